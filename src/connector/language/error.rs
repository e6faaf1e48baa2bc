//! What can go wrong when the language is compiled and when it is evaluated.

use std::fmt;

use crate::protocol::tree::Tree;

/// A fault in the text of an expression or template, found at load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LanguageError {
    /// What is wrong, a full sentence.
    pub message: String,
    /// Where in the source text it is, in bytes from its start.
    pub offset: usize,
    /// The remedy, when it is known.
    pub hint: Option<String>,
}

impl LanguageError {
    /// A fault at that place without a known remedy.
    pub(super) fn new(message: impl Into<String>, offset: usize) -> Self {
        Self {
            message: message.into(),
            offset,
            hint: None,
        }
    }

    /// The same fault with its remedy.
    pub(super) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// The same fault, for a text that starts that many bytes into a larger one.
    pub(super) fn shifted(mut self, bytes: usize) -> Self {
        self.offset = self.offset.saturating_add(bytes);
        self
    }
}

/// The nearest of these names, as a hint, when one is near enough to be a slip of the pen.
pub(super) fn nearest<'a>(name: &str, among: impl IntoIterator<Item = &'a str>) -> Option<String> {
    among
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= 1 + candidate.len().max(name.len()) / 4 && *distance < candidate.len()
        })
        .min()
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

/// Why an expression or template gave no result for a reply or a context. Never carries the value, which may be personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// A value is not what a filter can convert.
    #[error("`{filter}` expects {expected}, not {found}")]
    Convert {
        /// The filter that refused.
        filter: Box<str>,
        /// What it would have taken.
        expected: Box<str>,
        /// The kind and length of what it got.
        found: Found,
    },
    /// A template names something its context does not have.
    #[error("`{name}` is undefined")]
    Undefined {
        /// The name as written.
        name: Box<str>,
    },
    /// A template prints a value that has no text of its own.
    #[error("`{name}` is {found}, which can't be written into {place}")]
    Unprintable {
        /// The name as written.
        name: Box<str>,
        /// What it is.
        found: Found,
        /// What was being written.
        place: &'static str,
    },
    /// A rendered text is not allowed where it goes.
    #[error("the {place} {reason}")]
    Refused {
        /// What was being written, by its place.
        place: Box<str>,
        /// What about it is not allowed.
        reason: &'static str,
    },
    /// The evaluation spent its whole budget.
    #[error("the evaluation took more than its budget of {fuel} steps")]
    OutOfFuel {
        /// The budget.
        fuel: u64,
    },
    /// An operation does not fit its operands.
    #[error("the expression failed: {reason}")]
    Failed {
        /// The kind of failure.
        reason: Box<str>,
    },
}

/// What a value is, told without telling the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    kind: &'static str,
    length: Option<usize>,
}

impl Found {
    /// Describes a value.
    pub fn of(value: &Tree) -> Self {
        let (kind, length) = match value {
            Tree::Null => ("null", None),
            Tree::Bool(_) => ("a truth value", None),
            Tree::Number(text) => ("a number", Some(text.len())),
            Tree::Text(text) => ("a text", Some(text.chars().count())),
            Tree::List(items) => ("a list", Some(items.len())),
            Tree::Map(members) => ("a map", Some(members.len())),
        };
        Self { kind, length }
    }

    /// Describes a value that is not a tree.
    pub(super) fn kind(kind: &'static str) -> Self {
        Self { kind, length: None }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length {
            Some(length) => write!(out, "{} of length {length}", self.kind),
            None => out.write_str(self.kind),
        }
    }
}
