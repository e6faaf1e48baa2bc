//! YAML as a tree that remembers where each part was written, so that every message can point at it.

mod deserialize;
pub mod parse;
mod pretence;
pub mod read;
#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
mod tests;
mod wording;

use std::fmt;

use crate::config::diagnostic::Place;

/// One step from a node to a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSegment {
    /// The value of a key of a mapping.
    Key(String),
    /// An element of a sequence.
    Index(usize),
}

impl From<&str> for PathSegment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for PathSegment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: it may be a number, a boolean or null.
    Plain,
    /// In quotes: always text.
    Quoted,
    /// As a literal (`|`) or folded (`>`) block: always text.
    Block,
}

/// Where a piece of a scalar's text stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The offset in the scalar's text.
    pub(crate) text: usize,
    /// The place in the file, of no length.
    pub(crate) place: Place,
}

/// A leaf of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text, without quotes and indentation.
    pub text: String,
    /// How it was written.
    pub style: Style,
    /// Where the pieces of the text stand, by rising offset.
    pub(crate) marks: Vec<Mark>,
}

/// What a plain scalar means in YAML's core schema.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`; `yes`, `no`, `on` and `off` are texts.
    Bool(bool),
    /// A natural number.
    Unsigned(u64),
    /// A negative whole number.
    Signed(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// Anything else.
    Text(&'a str),
}

impl Scalar {
    /// What the scalar means in YAML's core schema.
    pub fn value(&self) -> Value<'_> {
        if self.style != Style::Plain {
            return Value::Text(&self.text);
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
            "true" | "True" | "TRUE" => return Value::Bool(true),
            "false" | "False" | "FALSE" => return Value::Bool(false),
            _ => {}
        }
        number(&self.text).unwrap_or(Value::Text(&self.text))
    }
}

fn number(text: &str) -> Option<Value<'_>> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16)
            .ok()
            .filter(|_| !digits.starts_with('+'))
            .map(Value::Unsigned);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8)
            .ok()
            .filter(|_| !digits.starts_with('+'))
            .map(Value::Unsigned);
    }
    match text.to_ascii_lowercase().as_str() {
        ".inf" | "+.inf" => return Some(Value::Float(f64::INFINITY)),
        "-.inf" => return Some(Value::Float(f64::NEG_INFINITY)),
        ".nan" => return Some(Value::Float(f64::NAN)),
        _ => {}
    }
    // Rust's parser knows words such as `inf` that YAML takes as text.
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'))
    {
        return None;
    }
    if let Ok(value) = text.parse::<u64>() {
        return Some(Value::Unsigned(value));
    }
    if let Ok(value) = text.parse::<i64>() {
        return Some(Value::Signed(value));
    }
    text.parse::<f64>().ok().map(Value::Float)
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A leaf.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Pairs in the order of the file; keys are distinct.
    Mapping(Vec<(Node, Node)>),
}

/// A part of a YAML document.
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it was written.
    pub place: Place,
    /// Whether its text came at least partly from the environment or a file, so that no message may show it.
    pub interpolated: bool,
    /// Whether its text stands in for an unset variable, so that no check of its meaning makes sense.
    pub placeholder: bool,
    /// Whether the reader leaves it out, because a problem in it is already reported.
    pub(crate) dropped: bool,
    /// The keys of a mapping that the reader pretends to see, because their absence is already reported.
    pub(crate) pretended: Vec<String>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            _ if self.interpolated => f.write_str("***"),
            Kind::Scalar(scalar) => fmt::Debug::fmt(&scalar.text, f),
            Kind::Sequence(items) => f.debug_list().entries(items).finish(),
            Kind::Mapping(pairs) => f
                .debug_map()
                .entries(pairs.iter().map(|(key, value)| (key, value)))
                .finish(),
        }
    }
}

impl Node {
    /// Makes a node as it was written.
    pub fn new(kind: Kind, place: Place) -> Self {
        Self {
            kind,
            place,
            interpolated: false,
            placeholder: false,
            dropped: false,
            pretended: Vec::new(),
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(&scalar.text),
            Kind::Sequence(_) | Kind::Mapping(_) => None,
        }
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.pair(key).map(|(_, value)| value)
    }

    /// The key and the value of a mapping's pair.
    pub fn pair(&self, key: &str) -> Option<(&Self, &Self)> {
        let Kind::Mapping(pairs) = &self.kind else {
            return None;
        };
        pairs
            .iter()
            .find(|(name, _)| name.text() == Some(key))
            .map(|(name, value)| (name, value))
    }

    /// The node at a path.
    pub fn at(&self, path: &[PathSegment]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |node, segment| match (segment, &node.kind) {
                (PathSegment::Key(key), _) => node.get(key),
                (PathSegment::Index(index), Kind::Sequence(items)) => items.get(*index),
                (PathSegment::Index(_), _) => None,
            })
    }

    /// The node of the last key of a path, to point at the name and not at the value.
    pub fn key_at(&self, path: &[PathSegment]) -> Option<&Self> {
        let (last, parents) = path.split_last()?;
        let PathSegment::Key(key) = last else {
            return None;
        };
        self.at(parents)?.pair(key).map(|(name, _)| name)
    }

    /// The place of the deepest part of a path that exists, so that a message always has a place.
    pub fn place_at(&self, path: &[PathSegment]) -> Place {
        let mut end = path.len();
        while end > 0 {
            let part = path.get(..end).unwrap_or_default();
            match (self.at(part), self.key_at(part)) {
                (Some(node), _) if end == path.len() && matches!(node.kind, Kind::Scalar(_)) => {
                    return node.head();
                }
                (_, Some(key)) => return key.place,
                (Some(node), None) => return node.head(),
                (None, None) => end = end.saturating_sub(1),
            }
        }
        self.head()
    }

    /// The first thing a reader sees of the node: a mapping is shown by its first key, not by all its lines.
    pub fn head(&self) -> Place {
        match &self.kind {
            Kind::Scalar(scalar) if scalar.style == Style::Block => {
                let line = scalar
                    .text
                    .trim_start_matches('\n')
                    .lines()
                    .next()
                    .unwrap_or_default();
                Place {
                    len: self.place.len.min(line.len()),
                    ..self.place
                }
            }
            Kind::Scalar(_) => self.place,
            Kind::Sequence(items) => items.first().map_or(self.place, Self::head),
            Kind::Mapping(pairs) => pairs.first().map_or(self.place, |(key, _)| key.head()),
        }
    }

    /// The line and column in the file, both from 1, of a byte of a scalar's text.
    pub fn position_in(&self, offset_in_text: usize) -> (u32, u32) {
        let place = self.place_in(offset_in_text);
        (place.line, place.column)
    }

    /// The place in the file, of one byte at most, of a byte of a scalar's text.
    pub fn place_in(&self, offset_in_text: usize) -> Place {
        let Kind::Scalar(scalar) = &self.kind else {
            return self.head();
        };
        let Some(mark) = scalar
            .marks
            .iter()
            .rev()
            .find(|mark| mark.text <= offset_in_text)
        else {
            return self.head();
        };
        let offset = offset_in_text.min(scalar.text.len());
        let between = scalar.text.get(mark.text..offset).unwrap_or_default();
        let columns = u32::try_from(between.chars().count()).unwrap_or(u32::MAX);
        Place {
            offset: mark.place.offset.saturating_add(between.len()),
            len: usize::from(offset < scalar.text.len()),
            line: mark.place.line,
            column: mark.place.column.saturating_add(columns),
        }
    }
}
