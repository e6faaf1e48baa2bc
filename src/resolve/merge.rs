//! The golden record: which value wins when several records of one customer hold one.

use std::sync::Arc;

use crate::record::Reading;
use crate::record::value::{Object, Value};
use crate::resolve::Run;
use crate::resolve::provenance::source_record;
use crate::schema::{Fill, ObjectDef};

/// Fields of which the earliest or the latest value wins, whatever the source.
const EARLIEST: &str = "createdAt";
const LATEST: &str = "updatedAt";

/// Merges the records of one entity, most authoritative first: lists are united, anything else is taken from the first
/// record where it is not blank. An object is one unit, so an address never mixes two sources.
pub fn merge(run: &Run, def: &ObjectDef, seed: &Object, readings: &[&Reading]) -> Arc<Object> {
    let mut slots = vec![Value::Null; def.fields.len()];
    for field in &def.fields {
        if field.fill != Fill::Mapped {
            continue;
        }
        let values = readings
            .iter()
            .map(|reading| (*reading, reading.record.data.slot(field.slot)));
        let merged = if field.ty.list.is_some() {
            union(run, values)
        } else if &*field.name == EARLIEST {
            values
                .filter_map(|(_, value)| value.as_text())
                .min()
                .map_or(Value::Null, Value::from)
        } else if &*field.name == LATEST {
            values
                .filter_map(|(_, value)| value.as_text())
                .max()
                .map_or(Value::Null, Value::from)
        } else {
            first_of(values.map(|(_, value)| value))
        };
        if let Some(slot) = slots.get_mut(field.slot) {
            *slot = merged;
        }
    }
    Arc::new(Object {
        ty: seed.ty,
        slots: slots.into_boxed_slice(),
    })
}

/// The first value that says something; `UNKNOWN` says nothing, yet is better than null.
fn first_of<'a>(values: impl Iterator<Item = &'a Value>) -> Value {
    let mut fallback = Value::Null;
    for value in values {
        if value.is_blank() {
            continue;
        }
        if value.as_text() != Some("UNKNOWN") {
            return value.clone();
        }
        fallback = value.clone();
    }
    fallback
}

/// All values of all records, each once; contact points that are equal by their match key are one, with all its sources.
fn union<'a>(run: &Run, values: impl Iterator<Item = (&'a Reading, &'a Value)>) -> Value {
    let mut united: Vec<(String, Value, Vec<Value>)> = Vec::new();
    for (reading, value) in values {
        for item in value.items() {
            let key = key_of(run, item);
            let source = source_record(run, reading);
            match united.iter_mut().find(|(known, _, _)| *known == key) {
                Some((_, _, sources)) => sources.push(source),
                None => united.push((key, item.clone(), vec![source])),
            }
        }
    }
    let primary_seen = &mut false;
    Value::List(
        united
            .into_iter()
            .map(|(_, item, sources)| with_sources(run, item, sources, primary_seen))
            .collect(),
    )
}

/// What makes two items of a list the same.
fn key_of(run: &Run, item: &Value) -> String {
    let Value::Object(object) = item else {
        return item
            .as_text()
            .map_or_else(|| format!("{item:?}"), str::to_lowercase);
    };
    let read = |field| run.catalog().read(object, field).and_then(Value::as_text);
    if let Some(key) = read("normalized") {
        return key.to_owned();
    }
    if let Some(number) = read("e164") {
        return format!("{number} {}", read("extension").unwrap_or_default());
    }
    if let Some(raw) = read("raw") {
        return raw
            .chars()
            .filter(|c| c.is_alphanumeric())
            .collect::<String>()
            .to_lowercase();
    }
    format!("{object:?}").to_lowercase()
}

/// Fills the derived `sources` of a contact point, and leaves the mark `primary` on the first that bears it only.
fn with_sources(run: &Run, item: Value, sources: Vec<Value>, primary_seen: &mut bool) -> Value {
    let Value::Object(object) = &item else {
        return item;
    };
    let Some((_, def)) = run.catalog().type_of(object) else {
        return item;
    };
    let mut changed = Object::clone(object);
    if let Some(slot) = def
        .field("sources")
        .filter(|field| field.fill == Fill::Derived)
        .map(|field| field.slot)
        && let Some(place) = changed.slots.get_mut(slot)
    {
        *place = Value::List(sources.into());
    }
    if let (Some(key), Some(slot)) = (
        run.catalog()
            .read(object, "normalized")
            .and_then(Value::as_text),
        def.field("shared").map(|field| field.slot),
    ) && let Some(place) = changed.slots.get_mut(slot)
    {
        *place = Value::Bool(run.resolver.order.is_shared(key));
    }
    if let Some(slot) = def.field("primary").map(|field| field.slot)
        && let Some(place) = changed.slots.get_mut(slot)
        && *place == Value::Bool(true)
    {
        *place = Value::Bool(!*primary_seen);
        *primary_seen = true;
    }
    Value::Object(Arc::new(changed))
}
