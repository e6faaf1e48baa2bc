//! Tells what is wrong with a connector file, each problem where it stands.

use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Diagnostics, Place, nearest};
use crate::config::yaml::{Kind, Node, PathSegment};
use crate::connector::language::Language;
use crate::connector::language::error::LanguageError;
use crate::connector::language::expression::Expression;

/// The longest list of known words that a hint spells out.
const KNOWN_SHOWN_MAX: usize = 16;

/// Collects the problems of one file, and knows which part of it is looked at.
pub(crate) struct Report<'a> {
    root: &'a Node,
    file: &'a Arc<str>,
    diagnostics: &'a mut Diagnostics,
    path: Vec<PathSegment>,
    has_failed: bool,
}

impl<'a> Report<'a> {
    pub(crate) fn new(
        root: &'a Node,
        file: &'a Arc<str>,
        diagnostics: &'a mut Diagnostics,
    ) -> Self {
        Self {
            root,
            file,
            diagnostics,
            path: Vec::new(),
            has_failed: false,
        }
    }

    /// Whether an error was told.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Looks at a part of what is looked at.
    pub(crate) fn at<T>(
        &mut self,
        segment: impl Into<PathSegment>,
        look: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.path.push(segment.into());
        let result = look(self);
        self.path.pop();
        result
    }

    /// Looks at a part several keys down.
    pub(crate) fn at_all<T>(&mut self, keys: &[&str], look: impl FnOnce(&mut Self) -> T) -> T {
        let depth = self.path.len();
        self.path
            .extend(keys.iter().map(|key| PathSegment::from(*key)));
        let result = look(self);
        self.path.truncate(depth);
        result
    }

    /// Whether a part of what is looked at is written.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.root
            .at(&self.path)
            .is_some_and(|node| node.get(key).is_some())
    }

    /// Whether a variable in the part is unset, so that its value is a placeholder and can't be judged.
    pub(crate) fn is_unset(&self) -> bool {
        let Some(node) = self.root.at(&self.path) else {
            return false;
        };
        let problems = self.diagnostics.sorted();
        let mut unset = problems
            .iter()
            .filter(|problem| problem.code.0 == "unset-variable")
            .map(|problem| problem.place.offset);
        unset.any(|offset| holds(node, offset))
    }

    /// Tells that the part is wrong.
    pub(crate) fn error(&mut self, code: &'static str, message: impl Into<String>) {
        self.error_with(code, message, None);
    }

    /// Tells that the part is wrong, and what to do.
    pub(crate) fn error_with(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let place = self.root.place_at(&self.path);
        self.push(code, place, message.into(), hint);
    }

    /// Tells that the name of the part is wrong.
    pub(crate) fn name_error(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let place = match self.root.key_at(&self.path) {
            Some(key) => key.place,
            None => self.root.place_at(&self.path),
        };
        self.push(code, place, message.into(), hint);
    }

    /// Tells that something within the part's text is wrong.
    pub(crate) fn text_error(
        &mut self,
        code: &'static str,
        offset: usize,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let node = self.root.at(&self.path);
        let place = match node {
            Some(node) => node.place_in(offset),
            None => self.root.place_at(&self.path),
        };
        let is_secret = node.is_some_and(|node| node.interpolated);
        let (message, hint) = if is_secret {
            let hidden =
                "The text is wrong here; it is not shown, since part of it comes from outside.";
            (hidden.to_owned(), None)
        } else {
            (message.into(), hint)
        };
        self.push(code, place, message, hint);
    }

    /// Tells what is wrong with an expression or template.
    pub(crate) fn language(&mut self, code: &'static str, error: LanguageError) {
        self.text_error(code, error.offset, error.message, error.hint.map(sentence));
    }

    /// Compiles an expression.
    pub(crate) fn expression(&mut self, text: &str, language: &Language) -> Option<Expression> {
        match Expression::compile(text, language) {
            Ok(expression) => Some(expression),
            Err(error) => {
                self.language("expression", error);
                None
            }
        }
    }

    /// Compiles an expression that may be absent, under its key.
    pub(crate) fn optional(
        &mut self,
        key: &str,
        text: Option<&String>,
        language: &Language,
    ) -> Option<Expression> {
        let text = text?;
        self.at(key, |report| report.expression(text, language))
    }

    fn push(&mut self, code: &'static str, place: Place, message: String, hint: Option<String>) {
        self.has_failed = true;
        let mut diagnostic = Diagnostic::error(code, self.file, place, message);
        diagnostic.hint = hint;
        self.diagnostics.push(diagnostic);
    }
}

/// Whether a scalar of the node is written around that place. The tree is no deeper than the parser allows.
fn holds(node: &Node, offset: usize) -> bool {
    match &node.kind {
        Kind::Scalar(_) => {
            let end = node.place.offset.saturating_add(node.place.len);
            (node.place.offset..=end).contains(&offset)
        }
        Kind::Sequence(items) => items.iter().any(|item| holds(item, offset)),
        Kind::Mapping(pairs) => pairs.iter().any(|(_, value)| holds(value, offset)),
    }
}

/// The hint for a word that is not known.
pub(crate) fn did_you_mean<'w>(
    word: &str,
    known: impl IntoIterator<Item = &'w str>,
) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(word, known.iter().copied()) {
        return Some(format!("Did you mean `{near}`?"));
    }
    if known.is_empty() || known.len() > KNOWN_SHOWN_MAX {
        return None;
    }
    Some(format!("The names here are: `{}`.", known.join("`, `")))
}

/// A hint as a sentence.
fn sentence(hint: String) -> String {
    let mut chars = hint.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    let mut text = first.unwrap_or_default() + chars.as_str();
    if !text.ends_with(['.', '?', '!', '`']) {
        text.push('.');
    }
    text
}
