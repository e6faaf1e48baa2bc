//! Lists, maps and tables.

use crate::connector::language::error::EvaluateError;
use crate::connector::language::filter::Arguments;
use crate::protocol::tree::Tree;

/// The entry of a table for this value; a value without an entry is an error unless there is a default.
pub fn lookup(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let table = match arguments.get(0, "table") {
        Some(table @ Tree::Map(_)) => table,
        other => return Err(arguments.refuse("a map as `table`", other.unwrap_or(&Tree::Null))),
    };
    let key =
        key_of(value).ok_or_else(|| arguments.refuse("a text, number or truth value", value))?;
    match (table.get(key), arguments.get(1, "default")) {
        (Some(entry), _) => Ok(entry.clone()),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(arguments.refuse("a value that is in the table", value)),
    }
}

/// The argument when the value is null or absent.
pub fn default(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    match (value, arguments.get(0, "value")) {
        (Tree::Null, Some(default)) => Ok(default.clone()),
        (other, _) => Ok(other.clone()),
    }
}

/// The first item; null of an empty list; a single value counts as a list of one.
pub fn first(value: &Tree, _: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    Ok(items(value).first().cloned().unwrap_or_default())
}

/// The last item; null of an empty list; a single value counts as a list of one.
pub fn last(value: &Tree, _: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    Ok(items(value).last().cloned().unwrap_or_default())
}

/// The texts of the items in one, with a separator between them; null items are left out.
pub fn join(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let separator = arguments.text(0, "separator")?.unwrap_or_default();
    let mut texts = Vec::new();
    for item in items(value) {
        if *item != Tree::Null {
            texts.push(key_of(item).ok_or_else(|| arguments.refuse("a list of texts", item))?);
        }
    }
    Ok(Tree::Text(texts.join(separator).into()))
}

/// That member of every item; items without it are left out.
pub fn pluck(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let key = arguments.required(0, "key")?;
    let found = items(value)
        .iter()
        .filter_map(|item| item.get(key))
        .filter(|member| **member != Tree::Null)
        .cloned()
        .collect();
    Ok(Tree::List(found))
}

/// The items whose member has that value; values are compared as text.
pub fn where_(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let key = arguments.required(0, "key")?;
    let wanted = arguments.get(1, "value").and_then(key_of);
    let found = items(value)
        .iter()
        .filter(|item| item.get(key).and_then(key_of) == wanted)
        .cloned()
        .collect();
    Ok(Tree::List(found))
}

/// Every item wrapped in a map with that one member.
pub fn objects(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let name = arguments.required(0, "name")?;
    let wrapped = items(value)
        .iter()
        .map(|item| Tree::Map(vec![(name.into(), item.clone())]))
        .collect();
    Ok(Tree::List(wrapped))
}

/// The value of a named entry in a list of key-value pairs, such as custom fields; null when there is none.
pub fn entry(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let name = arguments.required(0, "name")?;
    let key = arguments.text(1, "key")?.unwrap_or("id");
    let member = arguments.text(2, "value")?.unwrap_or("value");
    let found = items(value)
        .iter()
        .find(|item| item.get(key).and_then(key_of) == Some(name))
        .and_then(|item| item.get(member));
    Ok(found.cloned().unwrap_or_default())
}

fn items(value: &Tree) -> &[Tree] {
    match value {
        Tree::List(items) => items,
        Tree::Null => &[],
        single => std::slice::from_ref(single),
    }
}

fn key_of(value: &Tree) -> Option<&str> {
    match value {
        Tree::Text(text) | Tree::Number(text) => Some(text),
        Tree::Bool(true) => Some("true"),
        Tree::Bool(false) => Some("false"),
        Tree::Null | Tree::List(_) | Tree::Map(_) => None,
    }
}
