//! The sections of `tributary.yaml`, a file each.

pub mod auth;
pub mod cache;
pub mod callers;
pub mod cors;
pub mod documents;
pub mod graphiql;
pub mod identity;
pub mod limits;
pub mod log;
pub mod policy;
pub mod redis;
pub mod schema;
pub mod server;
pub mod streams;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::config::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::config::rate::Rate;
use crate::config::size::Size;
use crate::config::span::Span;
use crate::config::yaml::{Node, PathSegment};

/// Where the checks of a section report what they find.
pub struct Check<'a> {
    root: &'a Node,
    file: &'a Arc<str>,
    section: PathSegment,
    diagnostics: &'a mut Diagnostics,
    /// Where the file is wrong already.
    errors: Vec<usize>,
}

impl<'a> Check<'a> {
    /// Starts the checks of one section of a file.
    pub fn new(
        root: &'a Node,
        file: &'a Arc<str>,
        section: &str,
        diagnostics: &'a mut Diagnostics,
    ) -> Self {
        let errors = error_offsets(file, diagnostics);
        Self {
            root,
            file,
            section: PathSegment::from(section),
            diagnostics,
            errors,
        }
    }

    /// Reports that a setting has an impossible value; the message must not repeat a secret.
    pub fn refuse(&mut self, path: &[PathSegment], message: &str) {
        let mut full = vec![self.section.clone()];
        full.extend_from_slice(path);
        if !is_known(self.root, &full, &self.errors) {
            return;
        }
        let place = self.root.place_at(&full);
        self.diagnostics.push(Diagnostic::error(
            "invalid-value",
            self.file,
            place,
            message,
        ));
    }

    /// Checks a number against its bounds.
    pub fn number(&mut self, key: &str, value: u64, allowed: RangeInclusive<u64>) {
        if !allowed.contains(&value) {
            let (least, most) = (allowed.start(), allowed.end());
            self.refuse(
                &[key.into()],
                &format!("`{key}` must be between {least} and {most}."),
            );
        }
    }

    /// Checks a length of time against its bounds.
    pub fn span(&mut self, key: &str, value: Span, allowed: RangeInclusive<Duration>) {
        if !allowed.contains(&value.0) {
            let (least, most) = (Span(*allowed.start()), Span(*allowed.end()));
            self.refuse(
                &[key.into()],
                &format!("`{key}` must be between {least} and {most}."),
            );
        }
    }

    /// Checks a number of bytes against its bounds.
    pub fn size(&mut self, key: &str, value: Size, allowed: RangeInclusive<u64>) {
        if !allowed.contains(&value.0) {
            let (least, most) = (Size(*allowed.start()), Size(*allowed.end()));
            self.refuse(
                &[key.into()],
                &format!("`{key}` must be between {least} and {most}."),
            );
        }
    }
}

/// The offsets of the errors that a file has so far.
pub(super) fn error_offsets(file: &Arc<str>, diagnostics: &Diagnostics) -> Vec<usize> {
    let items = diagnostics.sorted().into_iter();
    let errors = items.filter(|item| item.severity == Severity::Error && item.file == *file);
    errors.map(|item| item.place.offset).collect()
}

/// Whether the value at a path is what the file says, so that a check of it makes sense.
///
/// It is not when it stands in for an unset variable, nor when a part of it was refused and left out. A list with such a
/// part is not checked at all, since its elements are no longer counted as in the file.
pub(super) fn is_known(root: &Node, path: &[PathSegment], errors: &[usize]) -> bool {
    let list = path
        .iter()
        .position(|segment| matches!(segment, PathSegment::Index(_)));
    let Some(node) = root.at(path.get(..list.unwrap_or(path.len())).unwrap_or_default()) else {
        return true;
    };
    let end = node.place.offset.saturating_add(node.place.len);
    let is_whole = !errors
        .iter()
        .any(|offset| (node.place.offset..end).contains(offset));
    is_whole && root.at(path).is_none_or(|node| !node.placeholder)
}

// The defaults in the schema are written as people write them.
impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A length of time of whole seconds.
const fn seconds(count: u64) -> Span {
    Span(Duration::from_secs(count))
}

/// A length of time of whole milliseconds.
const fn milliseconds(count: u64) -> Span {
    Span(Duration::from_millis(count))
}
