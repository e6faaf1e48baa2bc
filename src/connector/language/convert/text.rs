//! Texts: case, digests, global ids and the literals of vendor query languages.

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::connector::language::error::EvaluateError;
use crate::connector::language::filter::Arguments;
use crate::protocol::tree::Tree;

/// Items that a text is split into at most.
const SPLIT_MAX: usize = 10_000;

/// The text in small letters.
pub fn lower(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    text_of(value, arguments).map(|text| owned(text.to_lowercase()))
}

/// The text in capitals.
pub fn upper(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    text_of(value, arguments).map(|text| owned(text.to_uppercase()))
}

/// The text without white space around it.
pub fn trim(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    text_of(value, arguments).map(|text| owned(text.trim().to_owned()))
}

/// The text cut at a separator, a comma by default, into trimmed items; an empty text has none.
pub fn split(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let text = text_of(value, arguments)?;
    let separator = arguments.text(0, "separator")?.unwrap_or(",");
    if separator.is_empty() {
        return Err(arguments.refuse("a separator that is not empty", &Tree::Text("".into())));
    }
    if text.trim().is_empty() {
        return Ok(Tree::List(Vec::new()));
    }
    let items = text
        .split(separator)
        .map(|item| Tree::Text(item.trim().into()))
        .take(SPLIT_MAX + 1)
        .collect::<Vec<_>>();
    if items.len() > SPLIT_MAX {
        return Err(arguments.refuse(&format!("a text of at most {SPLIT_MAX} items"), value));
    }
    Ok(Tree::List(items))
}

/// The MD5 digest, in hexadecimal, of the trimmed text in small letters: how vendors name a subscriber by address.
pub fn md5(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let text = text_of(value, arguments)?.trim().to_lowercase();
    Ok(owned(hex::encode(Md5::digest(text.as_bytes()))))
}

/// The SHA-256 digest, in hexadecimal, of the text as it is.
pub fn sha256(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let text = text_of(value, arguments)?;
    Ok(owned(hex::encode(Sha256::digest(text.as_bytes()))))
}

/// The last part of a global id such as `gid://shop/Customer/123`; with a type, the global id of a plain id.
pub fn gid(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let text = text_of(value, arguments)?;
    if let Some(kind) = arguments.text(0, "type")? {
        let is_plain = !text.is_empty() && !text.contains(['/', '?', '#']);
        if !is_plain {
            return Err(arguments.refuse("a plain id", value));
        }
        return Ok(owned(format!("gid://{}/{text}", kind.trim_matches('/'))));
    }
    text.strip_prefix("gid://")
        .map(|path| path.split_once('?').map_or(path, |(path, _)| path))
        .and_then(|path| path.rsplit_once('/'))
        .map(|(_, id)| id)
        .filter(|id| !id.is_empty())
        .map(|id| Tree::Text(id.into()))
        .ok_or_else(|| arguments.refuse("a global id such as `gid://shop/Customer/123`", value))
}

/// A SOQL string literal with its quotes; of a list, the literals in parentheses as `IN` takes them.
pub fn soql(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let Tree::List(items) = value else {
        return text_of(value, arguments).map(|text| owned(soql_literal(text)));
    };
    let literals = items
        .iter()
        .map(|item| text_of(item, arguments).map(soql_literal))
        .collect::<Result<Vec<_>, _>>()?;
    if literals.is_empty() {
        return Err(arguments.refuse("a list with items", value));
    }
    Ok(owned(format!("({})", literals.join(","))))
}

fn soql_literal(text: &str) -> String {
    let mut literal = String::from("'");
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => literal.extend(['\\', c]),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            '\u{8}' => literal.push_str("\\b"),
            '\u{c}' => literal.push_str("\\f"),
            _ if c.is_control() => {}
            _ => literal.push(c),
        }
    }
    literal.push('\'');
    literal
}

/// An OData string literal with its quotes.
pub fn odata(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let text = text_of(value, arguments)?;
    Ok(owned(format!("'{}'", text.replace('\'', "''"))))
}

/// A quoted term of the search languages that know `"…"` with backslashes; control characters become spaces.
pub fn search_term(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let text = text_of(value, arguments)?;
    let mut term = String::from("\"");
    for c in text.chars() {
        match c {
            '\\' | '"' => term.extend(['\\', c]),
            _ if c.is_control() => term.push(' '),
            _ => term.push(c),
        }
    }
    term.push('"');
    Ok(owned(term))
}

fn owned(text: String) -> Tree {
    Tree::Text(text.into())
}

fn text_of<'a>(value: &'a Tree, arguments: &Arguments<'_>) -> Result<&'a str, EvaluateError> {
    match value {
        Tree::Text(text) | Tree::Number(text) => Ok(text),
        Tree::Bool(true) => Ok("true"),
        Tree::Bool(false) => Ok("false"),
        Tree::Null | Tree::List(_) | Tree::Map(_) => Err(arguments.refuse("a text", value)),
    }
}
