//! Reads a tree into a type and reports every structural problem at once.
//!
//! Serde stops at its first error. Each problem is therefore reported, taken out of a copy of the tree, and the reading
//! starts again; what fails only because of an earlier removal is recognised and not reported.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::config::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::config::yaml::deserialize::{NodeDeserializer, Problem, Refusal};
use crate::config::yaml::{Kind, Node, PathSegment, Scalar, Style, wording};

/// The most readings of one document in search of problems.
const ATTEMPTS_MAX: usize = 100;
/// The most readings spent on finding which part of a buffered value is refused.
const TRIALS_MAX: usize = 300;

/// Reads a value and reports all that is wrong with its structure.
///
/// After errors the value holds what could be read, without the refused parts, so that further checks can run; there is
/// none when a required part of the top level was refused.
pub fn read<T: DeserializeOwned>(
    node: &Node,
    file: &Arc<str>,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let mut reader = Reader {
        root: node.clone(),
        file,
        diagnostics,
        trials: 0,
    };
    for _ in 0..ATTEMPTS_MAX {
        match attempt::<T>(&reader.root) {
            Ok(value) if !pretends(&reader.root) => return Some(value),
            Ok(_) => break,
            Err(problem) => {
                if !reader.settle::<T>(problem) {
                    return None;
                }
            }
        }
    }
    salvage(reader.root)
}

fn attempt<T: DeserializeOwned>(root: &Node) -> Result<T, Problem> {
    T::deserialize(NodeDeserializer(root)).map_err(|mut problem| {
        problem.path.reverse();
        problem
    })
}

fn pretends(node: &Node) -> bool {
    !node.pretended.is_empty()
        || match &node.kind {
            Kind::Scalar(_) => false,
            Kind::Sequence(items) => items.iter().any(pretends),
            Kind::Mapping(pairs) => pairs.iter().any(|(_, value)| pretends(value)),
        }
}

fn stop_pretending(node: &mut Node) {
    node.pretended.clear();
    match &mut node.kind {
        Kind::Scalar(_) => {}
        Kind::Sequence(items) => items.iter_mut().for_each(stop_pretending),
        Kind::Mapping(pairs) => pairs
            .iter_mut()
            .for_each(|(_, value)| stop_pretending(value)),
    }
}

/// Reads what is left when the refused parts, and what needs them, are gone.
fn salvage<T: DeserializeOwned>(mut root: Node) -> Option<T> {
    stop_pretending(&mut root);
    for _ in 0..ATTEMPTS_MAX {
        let problem = match attempt::<T>(&root) {
            Ok(value) => return Some(value),
            Err(problem) => problem,
        };
        if problem.path.is_empty() {
            return None;
        }
        node_mut(&mut root, &problem.path)?.dropped = true;
    }
    None
}

fn node_mut<'a>(root: &'a mut Node, path: &[PathSegment]) -> Option<&'a mut Node> {
    let mut node = root;
    for segment in path {
        node = match (segment, &mut node.kind) {
            (PathSegment::Key(key), Kind::Mapping(pairs)) => pairs
                .iter_mut()
                .find(|(name, _)| name.text() == Some(key))
                .map(|(_, value)| value)?,
            (PathSegment::Index(index), Kind::Sequence(items)) => items.get_mut(*index)?,
            _ => return None,
        };
    }
    Some(node)
}

/// Whether a part of the node itself was taken out or is pretended, so that its further errors may be our own doing.
fn is_touched(node: &Node) -> bool {
    !node.pretended.is_empty()
        || match &node.kind {
            Kind::Scalar(_) => false,
            Kind::Sequence(items) => items.iter().any(|item| item.dropped),
            Kind::Mapping(pairs) => pairs.iter().any(|(_, value)| value.dropped),
        }
}

struct Reader<'a> {
    root: Node,
    file: &'a Arc<str>,
    diagnostics: &'a mut Diagnostics,
    trials: usize,
}

impl Reader<'_> {
    /// Reports a problem unless it is our own doing, and takes it out; false when nothing is left to read.
    fn settle<T: DeserializeOwned>(&mut self, problem: Problem) -> bool {
        if let Some(parent) = self.pretending_parent(&problem.path) {
            return self.drop_at(&parent);
        }
        if problem.on_key {
            return self.settle_key(&problem);
        }
        match &problem.refusal {
            Refusal::Missing { key } => {
                let path = self.missing_owner::<T>(&problem, &problem.path, key);
                self.settle_missing(&path.unwrap_or(problem.path), key)
            }
            Refusal::UnknownKey { key, .. } if self.has_pair(&problem.path, key) => {
                let mut path = problem.path.clone();
                path.push(PathSegment::Key(key.clone()));
                self.settle_key(&Problem {
                    path,
                    on_key: true,
                    refusal: problem.refusal.clone(),
                })
            }
            _ => self.settle_value::<T>(problem),
        }
    }

    fn settle_key(&mut self, problem: &Problem) -> bool {
        let Some((PathSegment::Key(key), parent)) = problem.path.split_last() else {
            return false;
        };
        let place = self
            .root
            .key_at(&problem.path)
            .map_or_else(|| self.root.place_at(parent), |node| node.place);
        let owner = wording::name(parent);
        let diagnostic = match &problem.refusal {
            Refusal::UnknownKey { known, .. } | Refusal::UnknownVariant { known, .. } => {
                let message = format!("{owner} has no key `{key}`.");
                let mut diagnostic = Diagnostic::error("unknown-key", self.file, place, message);
                diagnostic.hint = wording::hint(key, known, "The keys here are");
                diagnostic
            }
            Refusal::WrongType { expected, .. } => {
                let message = format!("{owner} has the key `{key}`, and needs {expected} there.");
                Diagnostic::error("wrong-type", self.file, place, message)
            }
            Refusal::Other { message } => {
                let message = format!(
                    "The key `{key}` is not valid: {}.",
                    message.trim_end_matches('.')
                );
                Diagnostic::error("invalid-key", self.file, place, message)
            }
            Refusal::Missing { .. } => return self.drop_at(parent),
        };
        self.diagnostics.push(diagnostic);
        let Some(Kind::Mapping(pairs)) =
            node_mut(&mut self.root, parent).map(|node| &mut node.kind)
        else {
            return self.drop_at(parent);
        };
        let before = pairs.len();
        let is_variant = matches!(problem.refusal, Refusal::UnknownVariant { .. });
        if is_variant {
            // A mapping of one key that names a variant is nothing without it: what follows is our own doing.
            pairs
                .iter_mut()
                .filter(|(name, _)| name.text() == Some(key))
                .for_each(|(_, value)| value.dropped = true);
            return true;
        }
        pairs.retain(|(name, _)| name.text() != Some(key));
        pairs.len() < before || self.drop_at(parent)
    }

    fn settle_missing(&mut self, path: &[PathSegment], key: &str) -> bool {
        let Some(node) = self.root.at(path) else {
            return false;
        };
        let known = node.pair(key).is_some();
        let again = node.pretended.iter().any(|pretended| pretended == key);
        if again || (known && node.pair(key).is_some_and(|(_, value)| !value.dropped)) {
            return self.drop_at(path);
        }
        if !known {
            let message = format!("{} lacks the key `{key}`.", wording::name(path));
            let place = self.owner_place(path);
            self.diagnostics
                .push(Diagnostic::error("missing-key", self.file, place, message));
        }
        match node_mut(&mut self.root, path) {
            Some(node) if matches!(node.kind, Kind::Mapping(_)) => {
                node.pretended.push(key.to_owned());
                true
            }
            _ => self.drop_at(path),
        }
    }

    fn settle_value<T: DeserializeOwned>(&mut self, problem: Problem) -> bool {
        if self.root.at(&problem.path).is_none() {
            return false;
        }
        if self.is_due_to_pretence::<T>(&problem) {
            return self.drop_at(&problem.path);
        }
        let from_outside = self
            .root
            .at(&problem.path)
            .is_some_and(|node| node.interpolated);
        let culprit = match self.culprit::<T>(&problem, &problem.path) {
            // What a variable holds is a text before it is a number.
            Culprit::Unknown
                if from_outside && self.is_cured_by_quotes::<T>(&problem, &problem.path) =>
            {
                return self.quote(&problem.path);
            }
            Culprit::Quoted(path) => return self.quote(&path),
            Culprit::At(path) => path,
            Culprit::Unknown => problem.path.clone(),
        };
        if let Refusal::UnknownKey { key, .. } = &problem.refusal
            && self.has_pair(&culprit, key)
        {
            let mut path = culprit;
            path.push(PathSegment::Key(key.clone()));
            return self.settle_key(&Problem {
                path,
                on_key: true,
                refusal: problem.refusal,
            });
        }
        if let Some(node) = self.root.at(&culprit) {
            if is_touched(node) || node.placeholder {
                return self.drop_at(&culprit);
            }
            let place = match node.head() {
                head if head.len == 0 => self.owner_place(&culprit),
                head => head,
            };
            let diagnostic = wording::value(self.file, place, (&culprit, node), &problem.refusal);
            self.diagnostics.push(diagnostic);
        }
        self.drop_at(&culprit)
    }

    /// Whether the error goes away with the keys that its place pretends to have.
    fn is_due_to_pretence<T: DeserializeOwned>(&mut self, problem: &Problem) -> bool {
        let Some(node) = node_mut(&mut self.root, &problem.path) else {
            return false;
        };
        if node.pretended.is_empty() {
            return false;
        }
        let pretended = std::mem::take(&mut node.pretended);
        let outcome = attempt::<T>(&self.root);
        if let Some(node) = node_mut(&mut self.root, &problem.path) {
            node.pretended = pretended;
        }
        outcome.err().as_ref() != Some(problem)
    }

    /// Finds the mapping that lacks a key, at the path or inside a part that serde buffered.
    fn missing_owner<T: DeserializeOwned>(
        &mut self,
        problem: &Problem,
        path: &[PathSegment],
        key: &str,
    ) -> Option<Vec<PathSegment>> {
        let node = node_mut(&mut self.root, path).filter(|node| !node.dropped)?;
        let children: Vec<PathSegment> = match &node.kind {
            Kind::Scalar(_) => return None,
            Kind::Sequence(items) => (0..items.len()).map(PathSegment::Index).collect(),
            Kind::Mapping(pairs) => pairs
                .iter()
                .filter_map(|(key, _)| key.text().map(PathSegment::from))
                .collect(),
        };
        self.trials = self.trials.saturating_add(1);
        if self.trials > TRIALS_MAX {
            return None;
        }
        if matches!(node.kind, Kind::Mapping(_))
            && !node.pretended.iter().any(|pretended| pretended == key)
        {
            node.pretended.push(key.to_owned());
            let outcome = attempt::<T>(&self.root);
            node_mut(&mut self.root, path)?.pretended.pop();
            let is_owner = match outcome {
                Ok(_) => true,
                Err(next) => {
                    next != *problem
                        && !matches!(&next.refusal, Refusal::UnknownKey { key: k, .. } if k == key)
                }
            };
            if is_owner {
                return Some(path.to_vec());
            }
        }
        children.into_iter().find_map(|child| {
            let mut child_path = path.to_vec();
            child_path.push(child);
            self.missing_owner::<T>(problem, &child_path, key)
        })
    }

    fn has_pair(&self, path: &[PathSegment], key: &str) -> bool {
        self.root
            .at(path)
            .is_some_and(|node| node.pair(key).is_some())
    }

    /// The mapping on the path that pretends to have the next key of the path.
    fn pretending_parent(&self, path: &[PathSegment]) -> Option<Vec<PathSegment>> {
        let mut node = &self.root;
        for (index, segment) in path.iter().enumerate() {
            if let PathSegment::Key(key) = segment
                && node.pretended.contains(key)
            {
                return path.get(..index).map(<[PathSegment]>::to_vec);
            }
            node = node.at(std::slice::from_ref(segment))?;
        }
        None
    }

    fn owner_place(&self, path: &[PathSegment]) -> Place {
        match self.root.key_at(path) {
            Some(key) => key.place,
            None => self.root.place_at(path),
        }
    }

    fn quote(&mut self, path: &[PathSegment]) -> bool {
        self.replace(path, |node| {
            if let Kind::Scalar(scalar) = &mut node.kind {
                scalar.style = Style::Quoted;
            }
        })
    }

    fn drop_at(&mut self, path: &[PathSegment]) -> bool {
        !path.is_empty() && self.replace(path, |node| node.dropped = true)
    }

    fn replace(&mut self, path: &[PathSegment], change: impl FnOnce(&mut Node)) -> bool {
        match node_mut(&mut self.root, path) {
            Some(node) => {
                change(node);
                true
            }
            None => false,
        }
    }

    /// Finds the refused part of a value that serde buffered, as it does for tagged enums, and whose errors have no path.
    ///
    /// Each part is replaced in turn. What is read after the cause changes nothing, so that the last part whose
    /// replacement changes the error is its cause.
    fn culprit<T: DeserializeOwned>(&mut self, problem: &Problem, path: &[PathSegment]) -> Culprit {
        let Some(node) = self.root.at(path) else {
            return Culprit::Unknown;
        };
        if matches!(&problem.refusal, Refusal::UnknownKey { key, .. } if node.pair(key).is_some()) {
            return Culprit::Unknown;
        }
        let children: Vec<PathSegment> = match &node.kind {
            Kind::Scalar(_) => return Culprit::Unknown,
            Kind::Sequence(items) => (0..items.len()).map(PathSegment::Index).collect(),
            Kind::Mapping(pairs) => pairs
                .iter()
                .filter_map(|(key, _)| key.text().map(PathSegment::from))
                .collect(),
        };
        let mut last = None;
        let mut cures = 0_u32;
        for child in children {
            let mut child_path = path.to_vec();
            child_path.push(child);
            match self.suspect::<T>(problem, &child_path) {
                Suspicion::None => {}
                Suspicion::Cure => {
                    cures = cures.saturating_add(1);
                    last = Some(child_path);
                }
                Suspicion::Change => last = Some(child_path),
            }
        }
        // Several parts that each cure it contradict each other: the whole is at fault.
        let Some(last) = last.filter(|_| cures < 2) else {
            return Culprit::Unknown;
        };
        if self.is_cured_by_quotes::<T>(problem, &last) {
            return Culprit::Quoted(last);
        }
        match self.culprit::<T>(problem, &last) {
            Culprit::Unknown => Culprit::At(last),
            deeper => deeper,
        }
    }

    fn suspect<T: DeserializeOwned>(
        &mut self,
        problem: &Problem,
        path: &[PathSegment],
    ) -> Suspicion {
        let Some(node) = self.root.at(path).filter(|node| !node.dropped) else {
            return Suspicion::None;
        };
        let mut other = if node.text() == Some("") {
            Kind::Sequence(Vec::new())
        } else {
            Kind::Scalar(null())
        };
        match self.trial::<T>(path, &mut other) {
            Trial::Fine => Suspicion::Cure,
            // A part with errors of its own is not buffered.
            Trial::Problem(next) if next.path.starts_with(path) || next == *problem => {
                Suspicion::None
            }
            Trial::Problem(_) => Suspicion::Change,
            Trial::Exhausted => Suspicion::None,
        }
    }

    /// Whether the part is a number that a buffered text was given, and reads well as it was written.
    fn is_cured_by_quotes<T: DeserializeOwned>(
        &mut self,
        problem: &Problem,
        path: &[PathSegment],
    ) -> bool {
        let Some(Kind::Scalar(scalar)) = self.root.at(path).map(|node| &node.kind) else {
            return false;
        };
        if scalar.style != Style::Plain || scalar.text.is_empty() {
            return false;
        }
        let as_text = format!("the text `{}`", scalar.text);
        let mut quoted = Kind::Scalar(Scalar {
            style: Style::Quoted,
            ..scalar.clone()
        });
        match self.trial::<T>(path, &mut quoted) {
            Trial::Fine => true,
            Trial::Problem(Problem {
                refusal: Refusal::WrongType { found, .. },
                ..
            }) if found == as_text => false,
            Trial::Problem(next) => next != *problem,
            Trial::Exhausted => false,
        }
    }

    /// Reads once with another value at a path.
    fn trial<T: DeserializeOwned>(&mut self, path: &[PathSegment], other: &mut Kind) -> Trial {
        self.trials = self.trials.saturating_add(1);
        if self.trials > TRIALS_MAX {
            return Trial::Exhausted;
        }
        let Some(node) = node_mut(&mut self.root, path) else {
            return Trial::Exhausted;
        };
        std::mem::swap(&mut node.kind, other);
        let outcome = attempt::<T>(&self.root);
        if let Some(node) = node_mut(&mut self.root, path) {
            std::mem::swap(&mut node.kind, other);
        }
        outcome.map_or_else(Trial::Problem, |_| Trial::Fine)
    }
}

fn null() -> Scalar {
    Scalar {
        text: String::new(),
        style: Style::Plain,
        marks: Vec::new(),
    }
}

enum Trial {
    Fine,
    Problem(Problem),
    Exhausted,
}

enum Culprit {
    Unknown,
    Quoted(Vec<PathSegment>),
    At(Vec<PathSegment>),
}

enum Suspicion {
    None,
    Change,
    Cure,
}
