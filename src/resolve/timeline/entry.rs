//! Entries that one record gives rise to.

use std::sync::Arc;

use crate::fetch::ReadPolicy;
use crate::record::Reading;
use crate::record::id::GlobalId;
use crate::record::value::{Object, TypeId, Value};
use crate::resolve::Run;
use crate::resolve::condition::collect;
use crate::resolve::item::Entity;
use crate::resolve::order::{Place, SortKey, instant};
use crate::resolve::timeline::kind::Kind;
use crate::schema::Catalog;

/// The type of entries.
pub const ENTRY: &str = "TimelineEntry";
const SEPARATOR: char = '/';

/// One entry with its place.
#[derive(Debug)]
pub struct Entry {
    /// Its place in the timeline.
    pub place: Place,
    /// When it happened, in microseconds since 1970.
    pub at: i64,
    /// Its global id.
    pub id: String,
    reading: Reading,
    data: Arc<Object>,
}

impl Entry {
    /// The entry as an item of the graph: an entity whose record is the one it is about.
    pub fn entity(self, ty: TypeId, policy: ReadPolicy) -> Entity {
        let mut entity = Entity::of(ty, self.reading, policy);
        entity.data = self.data;
        entity
    }
}

/// The entries of one kind that a record gives rise to; `data` holds its values as the caller may see them.
pub fn entries(run: &Run, kind: &Kind, reading: &Reading, data: &Object) -> Vec<Entry> {
    let catalog = run.catalog();
    let texts = |path: &str| {
        let mut values = Vec::new();
        collect(catalog, data, path, &mut values);
        values
    };
    if let Some((field, allowed)) = kind.when {
        let found = texts(field);
        let text = found.first().and_then(Value::as_text);
        if !text.is_some_and(|text| allowed.contains(&text)) {
            return Vec::new();
        }
    }
    let times = texts(kind.time);
    let times = times.iter().enumerate().filter_map(|(number, time)| {
        let text = time.as_text()?;
        Some((number, instant(text)?, text))
    });
    times
        .map(|(number, at, text)| {
            let record = &reading.record;
            let which = format!("{}@{at}.{number}", kind.name);
            let place = Place {
                key: SortKey::Number(at),
                rank: run.resolver.order.rank(&record.source),
                id: format!("{}{SEPARATOR}{which}", record.remote_id).into(),
            };
            let remote_type = format!("{which}{SEPARATOR}{}", record.remote_type);
            let id = GlobalId::encode(ENTRY, &record.source, &remote_type, &record.remote_id);
            Entry {
                place,
                at,
                data: written(catalog, kind, (&id, text), data),
                id,
                reading: reading.clone(),
            }
        })
        .collect()
}

/// The kind's name and the vendor's name for the record, out of an entry's id.
pub fn parts(id: &GlobalId) -> Option<(&str, &str)> {
    let (which, remote_type) = id.remote_type.split_once(SEPARATOR)?;
    let (kind, _) = which.split_once('@')?;
    Some((kind, remote_type))
}

fn written(catalog: &Catalog, kind: &Kind, (id, time): (&str, &str), data: &Object) -> Arc<Object> {
    let precision = if kind.is_exact { "EXACT" } else { "DERIVED" };
    let label = kind.label.and_then(|path| words(catalog, data, path));
    let title = match label {
        Some(label) => format!("{} {label} {}", kind.noun, kind.verb),
        None => format!("{} {}", kind.noun.trim_end_matches(" of"), kind.verb),
    };
    let summary = kind.summary.and_then(|path| words(catalog, data, path));
    let channel = catalog.read(data, "channel").cloned().unwrap_or_default();
    let entry = catalog
        .build(ENTRY)
        .set("id", Value::from(id))
        .set("type", Value::from(kind.name))
        .set("occurredAt", Value::from(time))
        .set("timePrecision", Value::from(precision))
        .set("title", Value::from(title.as_str()))
        .set(
            "summary",
            summary.as_deref().map_or(Value::Null, Value::from),
        )
        .set("channel", channel)
        .value();
    match entry {
        Value::Object(object) => object,
        _ => Arc::new(data.clone()),
    }
}

/// A field's value in words: text as it is, money with its currency.
fn words(catalog: &Catalog, data: &Object, path: &str) -> Option<String> {
    let mut values = Vec::new();
    collect(catalog, data, path, &mut values);
    let text = match values.first()? {
        Value::Object(money) => {
            let part = |field| catalog.read(money, field)?.as_text();
            format!("{} {}", part("amount")?, part("currency")?)
        }
        value => value.as_text()?.trim().to_owned(),
    };
    (!text.is_empty()).then_some(text)
}
