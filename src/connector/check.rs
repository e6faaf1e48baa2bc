//! Reads connector files, and tells all that is wrong with them at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::config::interpolate::{Environment, files, interpolate};
use crate::config::yaml::{Kind, Node, Scalar, Style, parse, read};
use crate::connector::Compiled;
use crate::connector::compile::compile;
use crate::connector::compile::report::Report;
use crate::connector::spec::{ConnectorSpec, ENTITIES, OPERATIONS};
use crate::schema::Catalog;
use crate::transport::settings::Reread;

/// A connector file that was read.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// Its name in messages.
    pub file: &'a Arc<str>,
    /// Where the paths of `${file:…}` start.
    pub folder: &'a Path,
    /// Its contents.
    pub text: &'a str,
}

/// Checks and compiles one file against the graph. Nothing comes back when it has an error.
pub fn check(
    text: Text<'_>,
    catalog: &Catalog,
    environment: &Environment,
    diagnostics: &mut Diagnostics,
) -> Option<Compiled> {
    let mut found = Diagnostics::new();
    let compiled = check_alone(text, catalog, environment, &mut found);
    let compiled = compiled.filter(|_| !found.has_errors());
    diagnostics.extend(found);
    compiled
}

fn check_alone(
    text: Text<'_>,
    catalog: &Catalog,
    environment: &Environment,
    diagnostics: &mut Diagnostics,
) -> Option<Compiled> {
    let Text { file, folder, text } = text;
    let mut root = parse::parse(text, file, diagnostics)?;
    let files = root.get("credential").map(|node| files(node, folder));
    interpolate(&mut root, file, folder, environment, diagnostics);
    gather(&mut root, file, diagnostics);
    let spec = read_spec(&root, file, diagnostics)?;
    let mut report = Report::new(&root, file, diagnostics);
    let mut compiled = compile(&spec, text, catalog, &mut report)?;
    let files = files.unwrap_or_default();
    if !files.is_empty() {
        compiled.settings.reread = Some(reread(files, text, folder, environment));
    }
    Some(compiled)
}

/// Reads the credential of a file again from the files it is made of.
fn reread(files: Vec<PathBuf>, text: &str, folder: &Path, environment: &Environment) -> Reread {
    let (text, folder, environment) = (text.to_owned(), folder.to_owned(), environment.clone());
    let read = move || {
        let file: Arc<str> = "credential".into();
        let mut found = Diagnostics::new();
        let root = parse::parse(&text, &file, &mut found)?;
        let mut node = root.get("credential")?.clone();
        interpolate(&mut node, &file, &folder, &environment, &mut found);
        let credential = read::read(&node, &file, &mut found)?;
        (!found.has_errors()).then_some(credential)
    };
    Reread {
        files,
        read: Arc::new(read),
    }
}

/// Reads the structure; messages name paths as they are written, without the keys that names are gathered under.
fn read_spec(root: &Node, file: &Arc<str>, diagnostics: &mut Diagnostics) -> Option<ConnectorSpec> {
    let mut found = Diagnostics::new();
    let spec = read::read(root, file, &mut found);
    for problem in found.sorted() {
        let mut problem = problem.clone();
        for gathered in [ENTITIES, OPERATIONS] {
            problem.message = problem.message.replace(&format!("{gathered}."), "");
        }
        diagnostics.push(problem);
    }
    spec
}

/// Tells sources that have the same key; `files` are those that were read, with their texts.
pub fn check_keys(sources: &[(Arc<str>, &Compiled)], diagnostics: &mut Diagnostics) {
    for (index, (file, compiled)) in sources.iter().enumerate() {
        let earlier = sources.get(..index).unwrap_or_default();
        let same = earlier
            .iter()
            .find(|(_, known)| known.source == compiled.source);
        if let Some((other, _)) = same {
            let message = format!(
                "The source `{}` is described by `{other}` already.",
                compiled.source
            );
            let problem = Diagnostic::error("duplicate-source", file, Place::START, message);
            diagnostics.push(problem.with_hint("Give each source a key of its own."));
        }
    }
}

/// The JSON Schema of connector files, for editors.
pub fn connector_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(ConnectorSpec).to_value();
    rename(&mut schema, ENTITIES, "^[A-Z]");
    if let Some(entity) = schema.pointer_mut("/$defs/EntitySpec") {
        rename(entity, OPERATIONS, "^(get|list|by[A-Z].*)$");
    }
    schema
}

/// Makes a property that stands for free names a pattern.
fn rename(schema: &mut serde_json::Value, property: &str, pattern: &str) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let found = object
        .get_mut("properties")
        .and_then(serde_json::Value::as_object_mut)
        .and_then(|properties| properties.shift_remove(property));
    let values = found.and_then(|mut found| Some(found.get_mut("additionalProperties")?.take()));
    if let Some(values) = values {
        object.insert(
            "patternProperties".into(),
            serde_json::json!({ pattern: values }),
        );
    }
}

/// Moves entities and operations, whose names are free, under keys of their own, so that all other keys are known.
fn gather(root: &mut Node, file: &Arc<str>, diagnostics: &mut Diagnostics) {
    for reserved in [ENTITIES, OPERATIONS] {
        if let Some((key, _)) = root.pair(reserved) {
            let message = format!("There is no key `{reserved}`.");
            diagnostics.push(Diagnostic::error("unknown-key", file, key.place, message));
        }
    }
    let is_entity = |name: &str| name.starts_with(|c: char| c.is_ascii_uppercase());
    move_under(root, ENTITIES, is_entity);
    let Kind::Mapping(pairs) = &mut root.kind else {
        return;
    };
    let entities = pairs
        .iter_mut()
        .find(|(key, _)| key.text() == Some(ENTITIES));
    if let Some((
        _,
        Node {
            kind: Kind::Mapping(entities),
            ..
        },
    )) = entities
    {
        for (_, entity) in entities {
            move_under(entity, OPERATIONS, is_operation);
        }
    }
}

fn is_operation(name: &str) -> bool {
    let by = name.strip_prefix("by");
    matches!(name, "get" | "list" | "search")
        || by.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}

fn move_under(node: &mut Node, name: &str, moves: impl Fn(&str) -> bool) {
    let Kind::Mapping(pairs) = &mut node.kind else {
        return;
    };
    let (moved, stay): (Vec<_>, Vec<_>) = std::mem::take(pairs)
        .into_iter()
        .partition(|(key, _)| key.text().is_some_and(&moves));
    *pairs = stay;
    let Some(place) = moved.first().map(|(key, _)| key.place) else {
        return;
    };
    let key = Scalar {
        text: name.to_owned(),
        style: Style::Plain,
        marks: Vec::new(),
    };
    pairs.push((
        Node::new(Kind::Scalar(key), place),
        Node::new(Kind::Mapping(moved), place),
    ));
}
