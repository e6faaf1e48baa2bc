//! Sources from the texts of connector files.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary::config::diagnostic::Diagnostics;
use tributary::config::interpolate::Environment;
use tributary::connector::check::{Text, check};
use tributary::connector::failure::CallFailure;
use tributary::connector::{Ask, Compiled, Connector, KeyResult, ListPage};
use tributary::record::Record;
use tributary::record::value::Value;
use tributary::schema::Catalog;
use tributary::schema::load::load_shipped;
use tributary::transport::retry::Surroundings;

/// The graph that ships with the binary.
pub fn catalog() -> Catalog {
    load_shipped().unwrap()
}

/// Checks a text; the compiled file, and what was told.
pub fn read(file: &str, text: &str, environment: &Environment) -> (Option<Compiled>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let file: Arc<str> = file.into();
    let text = Text {
        file: &file,
        folder: Path::new(""),
        text,
    };
    let compiled = check(text, &catalog(), environment, &mut diagnostics);
    (compiled, diagnostics)
}

/// A source from a text without mistakes.
#[track_caller]
pub fn source(text: &str, environment: &Environment) -> Connector {
    let (compiled, diagnostics) = read("source.yaml", text, environment);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render_plain());
    Connector::new(compiled.unwrap(), Surroundings::real()).unwrap()
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Loads keys of an operation.
pub async fn load(
    source: &Connector,
    operation: (&str, &str),
    keys: &[&str],
) -> Result<Vec<KeyResult>, CallFailure> {
    let op = source.operation(operation.0, operation.1).unwrap();
    let keys: Vec<Arc<str>> = keys.iter().map(|key| (*key).into()).collect();
    source.load(op, &keys, &Ask::default(), deadline()).await
}

/// Reads a page of a list.
pub async fn page(
    source: &Connector,
    entity: &str,
    position: Option<&str>,
    ask: &Ask,
) -> Result<ListPage, CallFailure> {
    let op = source.operation(entity, "list").unwrap();
    source.page(op, position, ask, deadline()).await
}

/// An ask with one filter.
pub fn filtered(name: &str, value: serde_json::Value) -> Ask {
    Ask {
        filter: vec![(name.into(), value)],
        ..Ask::default()
    }
}

/// A field of a record, dotted for nested ones, items of lists by place.
pub fn field(record: &Record, path: &str) -> Value {
    let catalog = catalog();
    let mut value = Value::Object(record.data.clone());
    for name in path.split('.') {
        value = match &value {
            Value::Object(object) => catalog
                .read(object, name)
                .unwrap_or_else(|| panic!("no field `{name}`"))
                .clone(),
            other => other.items()[name.parse::<usize>().unwrap()].clone(),
        };
    }
    value
}

/// The text of a field.
pub fn text(record: &Record, path: &str) -> String {
    match field(record, path) {
        Value::Text(text) => text.to_string(),
        other => format!("{other:?}"),
    }
}

/// The ids of records.
pub fn ids(records: &[Arc<Record>]) -> Vec<&str> {
    records.iter().map(|record| &*record.remote_id).collect()
}
