//! Reads the text of expressions and templates before minijinja does: for places of faults, unknown names and statements we refuse.

use std::collections::HashSet;

use super::Language;
use super::error::{LanguageError, nearest};
use super::filter;

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A name or keyword.
    Name(&'a str),
    /// A quoted text, unescaped.
    Text(String),
    /// A number as written.
    Number(&'a str),
    /// An operator or bracket.
    Symbol(&'a str),
}

/// A token and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// What it is.
    pub kind: Kind<'a>,
    /// Where it starts, in bytes.
    pub start: usize,
    /// Where it ends, in bytes.
    pub end: usize,
}

impl Token<'_> {
    /// Whether this is that operator or bracket.
    pub fn is(&self, symbol: &str) -> bool {
        matches!(self.kind, Kind::Symbol(text) if text == symbol)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.kind, Kind::Name(text) if text == name)
    }
}

const PAIRS: &[&str] = &["//", "**", "==", "!=", "<=", ">="];

const KEYWORDS: &[&str] = &[
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "elif",
    "true",
    "false",
    "none",
    "True",
    "False",
    "None",
    "for",
    "recursive",
    "set",
];

/// Cuts the text of one expression, or the inside of one statement, into tokens.
pub(super) fn tokens(source: &str) -> Result<Vec<Token<'_>>, LanguageError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = source.get(at..) {
        let Some(first) = rest.chars().next() else {
            break;
        };
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = token(rest, first).map_err(|error| error.shifted(at))?;
        tokens.push(Token {
            kind,
            start: at,
            end: at + length,
        });
        at += length;
    }
    Ok(tokens)
}

fn token(rest: &str, first: char) -> Result<(Kind<'_>, usize), LanguageError> {
    if first == '\'' || first == '"' {
        return quoted(rest, first);
    }
    if first.is_alphabetic() || first == '_' {
        let length = run(rest, |c| c.is_alphanumeric() || c == '_');
        return Ok((Kind::Name(rest.get(..length).unwrap_or_default()), length));
    }
    if first.is_ascii_digit() {
        let mut length = run(rest, |c| c.is_ascii_digit());
        let fraction = rest.get(length..).and_then(|tail| tail.strip_prefix('.'));
        if let Some(fraction) =
            fraction.filter(|tail| tail.starts_with(|c: char| c.is_ascii_digit()))
        {
            length += 1 + run(fraction, |c| c.is_ascii_digit());
        }
        return Ok((Kind::Number(rest.get(..length).unwrap_or_default()), length));
    }
    let length = match PAIRS.iter().find(|pair| rest.starts_with(**pair)) {
        Some(pair) => pair.len(),
        None => first.len_utf8(),
    };
    Ok((Kind::Symbol(rest.get(..length).unwrap_or_default()), length))
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn quoted(rest: &str, quote: char) -> Result<(Kind<'_>, usize), LanguageError> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((Kind::Text(text), at + c.len_utf8()));
        }
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some((_, 'n')) => text.push('\n'),
            Some((_, 't')) => text.push('\t'),
            Some((_, 'r')) => text.push('\r'),
            Some((_, c @ ('\\' | '/' | '\'' | '"'))) => text.push(c),
            _ => {
                return Err(
                    LanguageError::new("This escape is not known in quoted texts.", at).with_hint(
                        Some("known are \\n, \\t, \\r, \\\\, \\/, \\' and \\\"".to_owned()),
                    ),
                );
            }
        }
    }
    Err(LanguageError::new("This quoted text does not end.", 0))
}

/// A top-level name that a text reads, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameUse {
    /// The name.
    pub name: Box<str>,
    /// Where it is first read, in bytes.
    pub offset: usize,
    /// The members that are read of it by name, each with its first place.
    pub members: Vec<(Box<str>, usize)>,
}

impl NameUse {
    /// The same use in a text that starts that many bytes into a larger one.
    pub(super) fn shifted(&self, bytes: usize) -> Self {
        let members = self.members.iter();
        Self {
            name: self.name.clone(),
            offset: bytes + self.offset,
            members: members
                .map(|(name, at)| (name.clone(), bytes + at))
                .collect(),
        }
    }

    /// Takes in the members that another use of the same name reads.
    pub(super) fn absorb(&mut self, other: Self) {
        for (name, at) in other.members {
            if !self.members.iter().any(|(known, _)| *known == name) {
                self.members.push((name, at));
            }
        }
    }
}

/// What the tokens of one text use.
#[derive(Debug, Clone, Default)]
pub(super) struct Usage {
    /// Top-level names read, each once, in order, tables left out.
    pub names: Vec<NameUse>,
    /// Tables named in `lookup(table)`.
    pub tables: Vec<Box<str>>,
}

impl Usage {
    /// Adds what these tokens use, `base` bytes into the whole text; refuses unknown filters, tests and functions.
    pub fn add(
        &mut self,
        tokens: &[Token<'_>],
        base: usize,
        language: &Language,
    ) -> Result<(), LanguageError> {
        for (at, token) in tokens.iter().enumerate() {
            let Kind::Name(name) = token.kind else {
                continue;
            };
            let before = at.checked_sub(1).and_then(|at| tokens.get(at));
            let earlier = at.checked_sub(2).and_then(|at| tokens.get(at));
            let after = tokens.get(at + 1);
            let place = base + token.start;
            if before.is_some_and(|token| token.is(".")) {
                Self::check_method(name, after, place, earlier)?;
            } else if before.is_some_and(|token| token.is("|")) {
                check_known(name, place, "filter", filter::names())?;
                check_table(name, tokens.get(at + 1..at + 3), base)?;
            } else if is_test(before, earlier) && name != "not" {
                check_known(name, place, "test", filter::TESTS.iter().copied())?;
            } else if !KEYWORDS.contains(&name) && !after.is_some_and(|token| token.is("=")) {
                self.add_name(tokens, at, name, place, language)?;
            }
        }
        Ok(())
    }

    /// Keeps only these names, the ones that are not assigned by the text itself.
    pub fn retain(&mut self, undeclared: &HashSet<String>) {
        self.names.retain(|read| undeclared.contains(&*read.name));
    }

    fn check_method(
        name: &str,
        after: Option<&Token<'_>>,
        place: usize,
        owner: Option<&Token<'_>>,
    ) -> Result<(), LanguageError> {
        let is_loop = owner.is_some_and(|token| token.is_name("loop"));
        if after.is_some_and(|token| token.is("(")) && !is_loop {
            return Err(LanguageError::new(
                format!("There is no method `{name}`; values have no methods here."),
                place,
            )
            .with_hint(Some(format!("use a filter, as in `value | {name}`"))));
        }
        Ok(())
    }

    fn add_name(
        &mut self,
        tokens: &[Token<'_>],
        at: usize,
        name: &str,
        place: usize,
        language: &Language,
    ) -> Result<(), LanguageError> {
        if tokens.get(at + 1).is_some_and(|token| token.is("(")) {
            let hint = filter::names()
                .any(|filter| filter == name)
                .then(|| format!("`{name}` is a filter: write `value | {name}`"));
            return Err(
                LanguageError::new(format!("There is no function `{name}`."), place)
                    .with_hint(hint),
            );
        }
        if is_lookup_table(tokens, at) {
            if language.table(name).is_none() {
                return Err(
                    LanguageError::new(format!("There is no table `{name}`."), place)
                        .with_hint(nearest(name, language.table_names())),
                );
            }
            self.tables.push(name.into());
        } else {
            let used = NameUse {
                name: name.into(),
                offset: place,
                members: member_after(tokens, at, place).into_iter().collect(),
            };
            match self.names.iter_mut().find(|known| &*known.name == name) {
                Some(known) => known.absorb(used),
                None => self.names.push(used),
            }
        }
        Ok(())
    }
}

/// The member in `name.member`, and its place; what is called like a function is none.
fn member_after(tokens: &[Token<'_>], at: usize, place: usize) -> Option<(Box<str>, usize)> {
    let owner = tokens.get(at)?;
    let dot = tokens.get(at + 1).filter(|token| token.is("."));
    let member = dot.and_then(|_| tokens.get(at + 2))?;
    match member.kind {
        Kind::Name(name) => Some((name.into(), place + member.start.checked_sub(owner.start)?)),
        _ => None,
    }
}

fn is_test(before: Option<&Token<'_>>, earlier: Option<&Token<'_>>) -> bool {
    let is = |token: Option<&Token<'_>>| token.is_some_and(|token| token.is_name("is"));
    is(before) || (is(earlier) && before.is_some_and(|token| token.is_name("not")))
}

/// Refuses `lookup('table')`: a table goes by its name, and a text has no entries.
fn check_table(
    filter: &str,
    after: Option<&[Token<'_>]>,
    base: usize,
) -> Result<(), LanguageError> {
    let Some([open, table]) = after else {
        return Ok(());
    };
    match &table.kind {
        Kind::Text(name) if filter == "lookup" && open.is("(") => Err(LanguageError::new(
            "A table is named without quotes.",
            base + table.start,
        )
        .with_hint(Some(format!("write `lookup({name})`")))),
        _ => Ok(()),
    }
}

/// Whether the name is all of the first argument of `| lookup(…)`.
pub(super) fn is_lookup_table(tokens: &[Token<'_>], at: usize) -> bool {
    let back = |steps: usize| at.checked_sub(steps).and_then(|at| tokens.get(at));
    back(1).is_some_and(|token| token.is("("))
        && back(2).is_some_and(|token| token.is_name("lookup"))
        && back(3).is_some_and(|token| token.is("|"))
        && tokens
            .get(at + 1)
            .is_some_and(|token| token.is(")") || token.is(","))
}

fn check_known<'a>(
    name: &str,
    place: usize,
    what: &str,
    mut known: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), LanguageError> {
    let all = known.clone();
    if known.any(|candidate| candidate == name) {
        return Ok(());
    }
    Err(
        LanguageError::new(format!("There is no {what} `{name}`."), place)
            .with_hint(nearest(name, all)),
    )
}

/// A stretch of a template's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// What it is.
    pub kind: PieceKind,
    /// What is inside the delimiters, or the literal text itself.
    pub inner: &'a str,
    /// Where `inner` starts, in bytes.
    pub inner_start: usize,
    /// Where the piece starts, in bytes.
    pub start: usize,
    /// Where the piece ends, in bytes.
    pub end: usize,
}

/// What a stretch of a template's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// Text that stands for itself.
    Literal,
    /// `{{ … }}`.
    Print,
    /// `{% … %}`.
    Statement,
    /// `{# … #}`.
    Comment,
}

/// Cuts a template into its literal texts, prints, statements and comments.
pub(super) fn pieces(source: &str) -> Result<Vec<Piece<'_>>, LanguageError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let rest = source.get(at..).unwrap_or_default();
        let mut piece = match opening(rest) {
            Some(kind) => delimited(rest, kind).map_err(|error| error.shifted(at))?,
            None => literal(rest),
        };
        piece.start += at;
        piece.inner_start += at;
        piece.end += at;
        at = piece.end;
        pieces.push(piece);
    }
    Ok(pieces)
}

fn opening(rest: &str) -> Option<PieceKind> {
    match rest.get(..2)? {
        "{{" => Some(PieceKind::Print),
        "{%" => Some(PieceKind::Statement),
        "{#" => Some(PieceKind::Comment),
        _ => None,
    }
}

fn literal(rest: &str) -> Piece<'_> {
    let end = ["{{", "{%", "{#"]
        .iter()
        .filter_map(|open| rest.find(open))
        .min()
        .unwrap_or(rest.len());
    Piece {
        kind: PieceKind::Literal,
        inner: rest.get(..end).unwrap_or_default(),
        inner_start: 0,
        start: 0,
        end,
    }
}

fn delimited(rest: &str, kind: PieceKind) -> Result<Piece<'_>, LanguageError> {
    let close = match kind {
        PieceKind::Print => "}}",
        PieceKind::Statement => "%}",
        PieceKind::Comment | PieceKind::Literal => "#}",
    };
    let unclosed = || LanguageError::new(format!("This does not end with `{close}`."), 0);
    let inner_end = match kind {
        PieceKind::Comment => rest.find(close).ok_or_else(unclosed)?,
        _ => code_end(rest, close).ok_or_else(unclosed)?,
    };
    let end = inner_end + close.len();
    let mut inner_start = 2;
    let mut inner = rest.get(inner_start..inner_end).unwrap_or_default();
    if let Some(trimmed) = inner.strip_prefix(['-', '+']) {
        inner = trimmed;
        inner_start += 1;
    }
    let inner = inner.strip_suffix(['-', '+']).unwrap_or(inner);
    Ok(Piece {
        kind,
        inner,
        inner_start,
        start: 0,
        end,
    })
}

/// Where code ends: at the closing delimiter outside quotes and brackets, as minijinja reads it.
fn code_end(rest: &str, close: &str) -> Option<usize> {
    let mut depth = 0_i32;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(2) {
        if let Some(open) = quote {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                _ if c == open => quote = None,
                _ => {}
            }
            continue;
        }
        if depth == 0 && rest.get(at..).is_some_and(|tail| tail.starts_with(close)) {
            return Some(at);
        }
        match c {
            '\'' | '"' => quote = Some(c),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    None
}
