//! Marketing permissions: what each source recorded, side by side. They are never merged into one verdict, since a refusal
//! that one system noted must not vanish behind another system's consent.

use std::sync::Arc;

use crate::record::value::{Object, Value};
use crate::resolve::Run;
use crate::resolve::argument::Arguments;
use crate::resolve::item::{Child, Entity, Item, Resolved};
use crate::resolve::provenance::source_record;
use crate::schema::FieldDef;

/// The name of the field that is resolved here.
pub const CONSENTS: &str = "consents";

/// Resolves `consents` of each customer.
pub fn resolve(
    run: &Run,
    field: &FieldDef,
    parents: &[Item],
    arguments: &Arguments,
) -> Vec<Resolved> {
    let consents = |parent: &Item| match parent {
        Item::Entity(entity) => Child::Value(consents(run, field, entity, arguments)),
        Item::Root | Item::Page(_) | Item::Edge(..) => Child::Null,
    };
    parents.iter().map(|parent| Ok(consents(parent))).collect()
}

fn consents(run: &Run, field: &FieldDef, entity: &Entity, arguments: &Arguments) -> Value {
    let catalog = run.catalog();
    let conditions: Vec<(&str, String)> = ["channel", "purpose"]
        .into_iter()
        .filter_map(|name| Some((name, arguments.text(name)?)))
        .collect();
    let is_asked = |consent: &Object| {
        conditions.iter().all(|(name, wanted)| {
            let value = catalog.read(consent, name).and_then(Value::as_text);
            value == Some(wanted.as_str())
        })
    };
    let mut told = Vec::new();
    for reading in entity.readings() {
        let data = run.view.shape(catalog, &reading.record.data);
        let own = data.slot(field.slot).items().iter();
        for consent in own.filter_map(Value::object) {
            if is_asked(consent) {
                let source = source_record(run, reading);
                told.push(with_source(run, consent, source));
            }
        }
    }
    Value::List(told.into())
}

fn with_source(run: &Run, consent: &Arc<Object>, source: Value) -> Value {
    let mut changed = Object::clone(consent);
    let slot = run
        .catalog()
        .type_of(consent)
        .and_then(|(_, def)| def.field("source"))
        .map(|field| field.slot);
    if let Some(place) = slot.and_then(|slot| changed.slots.get_mut(slot)) {
        *place = source;
    }
    Value::Object(Arc::new(changed))
}
