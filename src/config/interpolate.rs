//! Fills `${…}` in the values of a tree from the environment and from files.
//!
//! `${NAME}` is a variable, `${NAME:-default}` one that may be unset or empty, `${file:path}` the contents of a file, and
//! `$${` a plain `${`. What comes from outside is never shown in a message.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Diagnostics, Place, Severity};
use crate::config::yaml::{Kind, Mark, Node, Scalar};

/// The largest file that `${file:…}` takes in, in bytes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where variables come from.
#[derive(Clone)]
pub struct Environment {
    /// Fixed values; without them the environment of the process is asked.
    values: Option<BTreeMap<String, String>>,
    lenient: bool,
}

impl Environment {
    /// Takes variables from the environment of the process, which is read at each question.
    pub fn process() -> Self {
        Self {
            values: None,
            lenient: false,
        }
    }

    /// Takes variables from a list.
    pub fn of<K: Into<String>, V: Into<String>>(values: impl IntoIterator<Item = (K, V)>) -> Self {
        let values = values
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self {
            values: Some(values),
            lenient: false,
        }
    }

    /// Makes what is unset a warning and puts a placeholder there, to check files where the secrets are not.
    #[must_use]
    pub fn lenient(self) -> Self {
        Self {
            lenient: true,
            ..self
        }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<String> {
        match &self.values {
            Some(values) => values.get(name).cloned(),
            None => std::env::var(name).ok(),
        }
    }
}

/// Fills every value of the tree; paths of files are relative to the folder.
pub fn interpolate(
    node: &mut Node,
    file: &Arc<str>,
    folder: &Path,
    environment: &Environment,
    diagnostics: &mut Diagnostics,
) {
    Filler {
        file,
        folder,
        environment,
        diagnostics,
    }
    .node(node);
}

/// The files that `${file:…}` names anywhere in a tree that is not filled yet.
pub fn files(node: &Node, folder: &Path) -> Vec<PathBuf> {
    match &node.kind {
        Kind::Scalar(scalar) => {
            let parts = scalar.text.split("${file:").skip(1);
            let paths = parts.filter_map(|part| part.split_once('}'));
            paths.map(|(path, _)| folder.join(path)).collect()
        }
        Kind::Sequence(items) => items.iter().flat_map(|item| files(item, folder)).collect(),
        Kind::Mapping(pairs) => {
            let values = pairs.iter().map(|(_, value)| value);
            values.flat_map(|value| files(value, folder)).collect()
        }
    }
}

struct Filler<'a> {
    file: &'a Arc<str>,
    folder: &'a Path,
    environment: &'a Environment,
    diagnostics: &'a mut Diagnostics,
}

impl Filler<'_> {
    // The tree is no deeper than the parser allows.
    fn node(&mut self, node: &mut Node) {
        match &mut node.kind {
            Kind::Scalar(scalar) if scalar.text.contains("${") => self.scalar(node),
            Kind::Scalar(_) => {}
            Kind::Sequence(items) => items.iter_mut().for_each(|item| self.node(item)),
            Kind::Mapping(pairs) => pairs.iter_mut().for_each(|(_, value)| self.node(value)),
        }
    }

    fn scalar(&mut self, node: &mut Node) {
        let Kind::Scalar(before) = &node.kind else {
            return;
        };
        let mut filled = Filled {
            node: &*node,
            scalar: before,
            text: String::new(),
            marks: Vec::new(),
        };
        let (mut interpolated, mut is_placeholder) = (false, false);
        let mut at = 0;
        while let Some(found) = before.text.get(at..).and_then(|rest| rest.find("${")) {
            let start = at.saturating_add(found);
            let left = before.text.get(..start).unwrap_or_default();
            if left.ends_with('$') {
                filled.copy(at, start.saturating_sub(1));
                let after = start.saturating_add(2);
                filled.copy(start, after);
                at = after;
                continue;
            }
            filled.copy(at, start);
            let rest = before.text.get(start..).unwrap_or_default();
            let Some((inside, after)) = rest.get(2..).and_then(|rest| rest.split_once('}')) else {
                let place = Place {
                    len: 2,
                    ..node.place_in(start)
                };
                self.unclosed(place);
                return;
            };
            let place = Place {
                len: inside.len().saturating_add(3),
                ..node.place_in(start)
            };
            let placeholder = placeholder(inside, start == 0, after);
            let value = self.fill(inside, place);
            is_placeholder |= value.is_none();
            filled.insert(start, value.as_deref().unwrap_or(placeholder));
            interpolated = true;
            at = before.text.len().saturating_sub(after.len());
        }
        filled.copy(at, before.text.len());
        let Filled { text, marks, .. } = filled;
        node.kind = Kind::Scalar(Scalar {
            text,
            style: before.style,
            marks,
        });
        node.interpolated = interpolated;
        node.placeholder = is_placeholder;
    }

    fn unclosed(&mut self, place: Place) {
        let diagnostic = Diagnostic::error(
            "interpolation-syntax",
            self.file,
            place,
            "This `${` has no `}`.",
        );
        self.diagnostics
            .push(diagnostic.with_hint("Write `$${` for a plain `${`."));
    }

    fn fill(&mut self, inside: &str, place: Place) -> Option<String> {
        if let Some(path) = inside.strip_prefix("file:") {
            return self.fill_from_file(path, place);
        }
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_name(name) {
            let message = format!("`${{{}}}` is not a variable.", inside);
            let hint = "Write `${NAME}`, `${NAME:-default}` or `${file:path}`, and `$${` for a plain `${`.";
            let diagnostic = Diagnostic::error("interpolation-syntax", self.file, place, message);
            self.diagnostics.push(diagnostic.with_hint(hint));
            return None;
        }
        match (self.environment.get(name), default) {
            (Some(value), Some(default)) if value.is_empty() => Some(default.to_owned()),
            (Some(value), _) => Some(value),
            (None, Some(default)) => Some(default.to_owned()),
            (None, None) => {
                let message = format!("The environment has no variable `{name}`.");
                let hint =
                    format!("Set it, or write `${{{name}:-default}}` when it may be absent.");
                self.absent("unset-variable", place, message, &hint);
                None
            }
        }
    }

    fn fill_from_file(&mut self, path: &str, place: Place) -> Option<String> {
        let reason = match read_file(&self.folder.join(path)) {
            Ok(text) => return Some(text),
            Err(reason) => reason,
        };
        let message = format!("The file `{path}` can't be read: {reason}.");
        self.absent(
            "unreadable-file",
            place,
            message,
            "Its path is relative to the folder of this file.",
        );
        None
    }

    fn absent(&mut self, code: &'static str, place: Place, message: String, hint: &str) {
        let mut diagnostic = Diagnostic::error(code, self.file, place, message).with_hint(hint);
        if self.environment.lenient {
            diagnostic.severity = Severity::Warning;
        }
        self.diagnostics.push(diagnostic);
    }
}

fn is_name(text: &str) -> bool {
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts_well
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// Reads a secret's file; the reason of a failure says nothing of its contents.
fn read_file(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.kind().to_string())?;
    let mut text = String::new();
    let limit = FILE_BYTES_MAX.saturating_add(1);
    file.take(limit)
        .read_to_string(&mut text)
        .map_err(|error| error.kind().to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    let trimmed = text
        .strip_suffix('\n')
        .map(|text| text.strip_suffix('\r').unwrap_or(text));
    Ok(trimmed.unwrap_or(&text).to_owned())
}

/// A text under construction that keeps where its pieces stand in the file.
struct Filled<'a> {
    node: &'a Node,
    scalar: &'a Scalar,
    text: String,
    marks: Vec<Mark>,
}

impl Filled<'_> {
    fn mark(&mut self, offset: usize) {
        let place = Place {
            len: 0,
            ..self.node.place_in(offset)
        };
        self.marks.push(Mark {
            text: self.text.len(),
            place,
        });
    }

    /// Takes over a piece of the text as written.
    fn copy(&mut self, from: usize, to: usize) {
        let Some(piece) = self.scalar.text.get(from..to) else {
            return;
        };
        self.mark(from);
        for mark in self
            .scalar
            .marks
            .iter()
            .filter(|mark| mark.text > from && mark.text < to)
        {
            let text = self
                .text
                .len()
                .saturating_add(mark.text)
                .saturating_sub(from);
            self.marks.push(Mark {
                text,
                place: mark.place,
            });
        }
        self.text.push_str(piece);
    }

    /// Puts in a value that stands nowhere in the file but for its `${…}`.
    fn insert(&mut self, offset: usize, value: &str) {
        self.mark(offset);
        self.text.push_str(value);
    }
}

/// What stands in for an unset variable: an address where one is meant, which the variable's name tells.
fn placeholder(name: &str, is_first: bool, after: &str) -> &'static str {
    let whole = is_first && (after.is_empty() || after.starts_with('/'));
    let name = name.to_ascii_uppercase();
    let names_address = ["URL", "ADDRESS", "HOST"]
        .iter()
        .any(|word| name.contains(word));
    if whole && names_address {
        "https://unset.invalid"
    } else {
        "unset"
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::config::span::Span;
    use crate::config::yaml::parse::parse;
    use crate::config::yaml::read::read;

    fn fill(text: &str, environment: &Environment, folder: &Path) -> (Node, Diagnostics) {
        let file = Arc::from("a.yaml");
        let mut diagnostics = Diagnostics::new();
        let mut node = parse(text, &file, &mut diagnostics).unwrap();
        interpolate(&mut node, &file, folder, environment, &mut diagnostics);
        (node, diagnostics)
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let environment = Environment::of([("HOST", "a.example"), ("EMPTY", ""), ("PORT", "8080")]);
        let (node, diagnostics) = fill(text, &environment, Path::new("."));
        assert!(diagnostics.is_empty(), "{}", diagnostics.render_plain());
        assert_eq!(node.text(), Some(expected));
    }

    #[test]
    fn variables_fill_their_holes() {
        check("https://${HOST}:${PORT}/x", "https://a.example:8080/x");
        check(
            "${NONE:-b} ${EMPTY:-c} ${HOST:-d} [${NONE:-}]",
            "b c a.example []",
        );
        check("$${HOST} $HOST $", "${HOST} $HOST $");
        check("'${EMPTY}'", "");
    }

    #[test]
    fn a_file_is_taken_without_its_last_newline() {
        let folder =
            std::env::temp_dir().join(format!("tributary-interpolate-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("key"), "one\ntwo\n\n").unwrap();
        let (node, diagnostics) = fill(
            "a: ${file:key}\nb: ${file:none}\n",
            &Environment::of([("", "")]),
            &folder,
        );
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(node.get("a").unwrap().text(), Some("one\ntwo\n"));
        insta::assert_snapshot!(diagnostics.render_plain(), @r"
        a.yaml:2:4: error[unreadable-file]: The file `none` can't be read: entity not found.
          hint: Its path is relative to the folder of this file.
        ");
    }

    #[test]
    fn what_is_unset_is_told_with_its_place() {
        let none = Environment::of([("", "")]);
        let text =
            "a: x ${ONE} ${TWO}\nb: |\n  one\n  two ${THREE}\nc: ${NO PE}\nd: ${\n${KEY}: 1\n";
        let (node, diagnostics) = fill(text, &none, Path::new("."));
        assert!(node.get("${KEY}").is_some());
        insta::assert_snapshot!(diagnostics.render_plain(), @r"
        a.yaml:1:6: error[unset-variable]: The environment has no variable `ONE`.
          hint: Set it, or write `${ONE:-default}` when it may be absent.
        a.yaml:1:13: error[unset-variable]: The environment has no variable `TWO`.
          hint: Set it, or write `${TWO:-default}` when it may be absent.
        a.yaml:4:7: error[unset-variable]: The environment has no variable `THREE`.
          hint: Set it, or write `${THREE:-default}` when it may be absent.
        a.yaml:5:4: error[interpolation-syntax]: `${NO PE}` is not a variable.
          hint: Write `${NAME}`, `${NAME:-default}` or `${file:path}`, and `$${` for a plain `${`.
        a.yaml:6:4: error[interpolation-syntax]: This `${` has no `}`.
          hint: Write `$${` for a plain `${`.
        ");
        let (node, diagnostics) = fill("a: ${ONE}\nb: x${TWO}", &none.lenient(), Path::new("."));
        assert!(!diagnostics.has_errors() && diagnostics.len() == 2);
        assert!(node.get("a").unwrap().placeholder && node.get("b").unwrap().placeholder);
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only what is refused matters")]
    #[serde(deny_unknown_fields)]
    struct Secretive {
        port: u16,
        wait: Span,
        kind: Kinds,
        tagged: Tagged,
        list: Vec<u32>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kinds {
        One,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only what is refused matters")]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Tagged {
        Basic { tries: u32, wait: Span },
    }

    const MANY: &str = "port: ${S}\nwait: \"${S}\"\nkind: ${S}\ntagged: { kind: basic, tries: \"${S}\", wait: \"x${S}\" }\nlist:\n  - ${S}\n  - 1\n";

    #[test]
    fn a_secret_never_shows_in_a_message() {
        let environment = Environment::of([("S", "hunter2")]);
        let (node, mut diagnostics) = fill(MANY, &environment, Path::new("."));
        let value: Option<Secretive> = read(&node, &Arc::from("a.yaml"), &mut diagnostics);
        assert!(value.is_none());
        for text in [
            diagnostics.render_plain(),
            diagnostics.render_graphical(false, 80),
            format!("{node:?}"),
        ] {
            assert!(!text.contains("hunter2"), "{text}");
        }
        insta::assert_snapshot!(diagnostics.render_plain(), @r"
        a.yaml:1:7: error[wrong-type]: `port` needs a whole number that is not negative, and its `${…}` gives something else.
        a.yaml:2:7: error[invalid-value]: `wait` is not valid with what its `${…}` gives.
        a.yaml:3:7: error[unknown-value]: `kind` does not know what its `${…}` gives.
          hint: The values here are: `one`.
        a.yaml:4:31: error[wrong-type]: `tagged.tries` needs a whole number that is not negative, and its `${…}` gives something else.
        a.yaml:4:45: error[invalid-value]: `tagged.wait` is not valid with what its `${…}` gives.
        a.yaml:6:5: error[wrong-type]: `list[0]` needs a whole number that is not negative, and its `${…}` gives something else.
        ");
    }

    #[test]
    fn a_placeholder_causes_no_further_errors() {
        let (node, mut diagnostics) =
            fill(MANY, &Environment::of([("", "")]).lenient(), Path::new("."));
        let _: Option<Secretive> = read(&node, &Arc::from("a.yaml"), &mut diagnostics);
        assert!(!diagnostics.has_errors(), "{}", diagnostics.render_plain());
    }

    #[test]
    fn numbers_and_texts_come_out_of_variables() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Plain {
            port: u16,
            quoted: u16,
            on: bool,
            password: String,
            null: String,
            none: Option<String>,
        }
        let environment = Environment::of([
            ("PORT", "80"),
            ("ON", "true"),
            ("NULL", "null"),
            ("DIGITS", "0123"),
        ]);
        let text = "port: ${PORT}\nquoted: '${PORT}'\non: '${ON}'\npassword: ${DIGITS}\nnull: ${NULL}\nnone: ${NONE:-}\n";
        let (node, mut diagnostics) = fill(text, &environment, Path::new("."));
        let value: Option<Plain> = read(&node, &Arc::from("a.yaml"), &mut diagnostics);
        assert!(diagnostics.is_empty(), "{}", diagnostics.render_plain());
        let expected = Plain {
            port: 80,
            quoted: 80,
            on: true,
            password: "0123".into(),
            null: "null".into(),
            none: None,
        };
        assert_eq!(value.unwrap(), expected);
    }

    #[test]
    fn places_behind_a_hole_are_still_those_of_the_file() {
        let environment = Environment::of([("LONG", "a much longer text")]);
        let (node, _) = fill(
            "a: |\n  one ${LONG} two\n  three @\n",
            &environment,
            Path::new("."),
        );
        let value = node.get("a").unwrap();
        let text = value.text().unwrap();
        assert_eq!(value.position_in(text.find("two").unwrap()), (2, 15));
        assert_eq!(value.position_in(text.find('@').unwrap()), (3, 9));
    }
}
