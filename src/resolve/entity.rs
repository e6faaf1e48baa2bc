//! Entities: finding them by id, assembling customers, and the fields that are computed on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;

use crate::fetch::{Outcome, ReadPolicy};
use crate::record::id::GlobalId;
use crate::record::value::Value;
use crate::record::{Reading, email};
use crate::resolve::argument::Arguments;
use crate::resolve::item::{Child, Entity, Item, Resolved};
use crate::resolve::policy::sight;
use crate::resolve::{FieldError, Run, identity, merge, provenance, relation};
use crate::schema::{Fill, ObjectDef};

/// The records of an answer, each with its age.
pub fn readings(answer: &crate::fetch::Reading) -> impl Iterator<Item = Reading> + use<> {
    let (fetched_at, expires_at, age) = (answer.fetched_at, answer.expires_at, answer.age);
    let group = answer.group.clone();
    (0..group.records.len()).filter_map(move |index| {
        Some(Reading {
            record: group.records.get(index)?.clone(),
            fetched_at,
            expires_at,
            age,
        })
    })
}

/// Finds entities by id; `None` where nothing is visible.
pub async fn by_ids(
    run: &Run,
    ids: &[Option<GlobalId>],
    policy: ReadPolicy,
) -> Vec<Result<Option<Arc<Entity>>, FieldError>> {
    let found = find(run, ids, policy).await;
    let entities = found.iter().map(|found| found.clone().ok().flatten());
    let seen = sight::visible(run, entities.collect()).await;
    found
        .into_iter()
        .zip(seen)
        .map(|(found, seen)| found.map(|_| seen))
        .collect()
}

/// Finds entities by id, whoever asks.
async fn find(
    run: &Run,
    ids: &[Option<GlobalId>],
    policy: ReadPolicy,
) -> Vec<Result<Option<Arc<Entity>>, FieldError>> {
    let mut wanted: BTreeMap<(String, String), Vec<Arc<str>>> = BTreeMap::new();
    for id in ids.iter().flatten() {
        let known = run.catalog().entity(&id.entity).is_some()
            && run
                .resolver
                .fetch
                .source(&id.source)
                .is_some_and(|connector| connector.operation(&id.entity, "get").is_some());
        if known {
            let keys = wanted
                .entry((id.source.clone(), id.entity.clone()))
                .or_default();
            keys.push(id.remote_id.as_str().into());
        }
    }
    let loads = wanted
        .into_iter()
        .map(|((source, entity), keys)| async move {
            let question = relation::get(&source.as_str().into(), &entity.as_str().into(), policy);
            let outcomes = run.loader.load(&question, &keys).await;
            keys.into_iter()
                .zip(outcomes)
                .map(|(key, outcome)| ((source.clone(), entity.clone(), key), outcome))
                .collect::<Vec<_>>()
        });
    let answers: BTreeMap<(String, String, Arc<str>), Outcome> =
        join_all(loads).await.into_iter().flatten().collect();
    ids.iter()
        .map(|id| {
            let Some(id) = id else { return Ok(None) };
            let key = (
                id.source.clone(),
                id.entity.clone(),
                Arc::from(id.remote_id.as_str()),
            );
            match answers.get(&key) {
                None => Ok(None),
                Some(Err(failure)) => Err(FieldError::of(failure)),
                Some(Ok(answer)) => Ok(readings(answer)
                    .find(|reading| {
                        *reading.record.remote_type == id.remote_type && !reading.record.deleted
                    })
                    .and_then(|reading| {
                        let (def, _) = run.catalog().entity(&id.entity)?;
                        Some(Arc::new(Entity::of(def.id, reading, policy)))
                    })),
            }
        })
        .collect()
}

/// Finds customers by id and assembles them.
pub async fn customers(
    run: &Run,
    ids: &[GlobalId],
    policy: ReadPolicy,
) -> Result<Vec<Arc<Entity>>, FieldError> {
    let ids: Vec<Option<GlobalId>> = ids.iter().cloned().map(Some).collect();
    let mut found = Vec::new();
    for entity in by_ids(run, &ids, policy).await {
        found.extend(entity?);
    }
    Ok(assemble(run, found).await)
}

/// Finds the records of all sources for each customer, and merges their values.
pub async fn assemble(run: &Run, entities: Vec<Arc<Entity>>) -> Vec<Arc<Entity>> {
    let mut by_policy: BTreeMap<ReadPolicy, Vec<usize>> = BTreeMap::new();
    for (index, entity) in entities.iter().enumerate() {
        if entity.cluster.is_none() {
            by_policy.entry(entity.policy).or_default().push(index);
        }
    }
    let mut assembled = entities;
    for (policy, indices) in by_policy {
        let seeds: Vec<Reading> = indices
            .iter()
            .filter_map(|index| Some(assembled.get(*index)?.seed.clone()))
            .collect();
        let clusters = identity::resolve(run, &seeds, policy).await;
        for (index, cluster) in indices.into_iter().zip(clusters) {
            let Some(place) = assembled.get_mut(index) else {
                continue;
            };
            let mut entity = Entity::clone(place);
            entity.cluster = Some(Arc::new(cluster));
            if let Some((_, def)) = run.catalog().type_of(&entity.data) {
                let readings: Vec<&Reading> = entity.readings().collect();
                let data = merge::merge(run, def, &entity.data, &readings);
                entity.data = data;
            }
            *place = Arc::new(entity);
        }
    }
    assembled
}

/// Makes entities ready for the fields that are selected on them: customers are assembled when a selected field can
/// depend on more than the record at hand, and contact points of other entities get their sources.
///
/// What the caller may not see of their values is taken out at the end, so that nothing computed from them can tell it.
pub async fn prepare(run: &Run, entities: Vec<Arc<Entity>>, selected: &[&str]) -> Vec<Arc<Entity>> {
    let mut ready = load(run, entities, selected).await;
    run.note_read(&ready);
    for entity in &mut ready {
        let shaped = run.view.shape(run.catalog(), &entity.data);
        if !Arc::ptr_eq(&shaped, &entity.data) {
            let mut own = Entity::clone(entity);
            own.data = shaped;
            *entity = Arc::new(own);
        }
    }
    ready
}

async fn load(run: &Run, entities: Vec<Arc<Entity>>, selected: &[&str]) -> Vec<Arc<Entity>> {
    let Some((def, object)) = entities
        .first()
        .and_then(|entity| run.catalog().type_of(&entity.data))
    else {
        return entities;
    };
    if &*def.name != identity::CUSTOMER {
        // What the gateway made of a record is not the record's own, and has nothing to merge.
        let is_mapped = object.entity.is_some();
        let has_lists = selected.iter().any(|name| {
            object
                .field(name)
                .is_some_and(|field| field.ty.list.is_some() && field.fill == Fill::Mapped)
        });
        return if is_mapped && has_lists {
            entities
                .into_iter()
                .map(|entity| alone(run, object, entity))
                .collect()
        } else {
            entities
        };
    }
    let needs_all = |entity: &Entity| {
        entity.cluster.is_none()
            && selected
                .iter()
                .any(|name| depends_on_all(run, object, entity, name))
    };
    let mut ready: Vec<Option<Arc<Entity>>> = Vec::with_capacity(entities.len());
    let mut open = Vec::new();
    for entity in entities {
        if needs_all(&entity) {
            open.push(entity);
            ready.push(None);
        } else {
            ready.push(Some(entity));
        }
    }
    let mut assembled = assemble(run, open).await.into_iter();
    ready
        .into_iter()
        .filter_map(|entity| entity.or_else(|| assembled.next()))
        .collect()
}

fn alone(run: &Run, object: &ObjectDef, entity: Arc<Entity>) -> Arc<Entity> {
    let mut own = Entity::clone(&entity);
    own.data = merge::merge(run, object, &entity.data, &[&entity.seed]);
    Arc::new(own)
}

/// Whether the value of a customer's field can depend on records of other sources.
fn depends_on_all(run: &Run, object: &ObjectDef, entity: &Entity, name: &str) -> bool {
    let Some(field) = object.field(name) else {
        return false;
    };
    let is_first = run.resolver.order.anchors.first() == Some(&entity.seed.record.source)
        && run.resolver.order.sources.first() == Some(&entity.seed.record.source);
    match &field.fill {
        Fill::Computed if name == "id" => !is_first,
        Fill::Computed if name == "displayName" => !is_first || name_of(run, entity).is_none(),
        Fill::Mapped if field.ty.list.is_none() && !matches!(name, "createdAt" | "updatedAt") => {
            let value = entity.data.slot(field.slot);
            !is_first || value.is_blank() || value.as_text() == Some("UNKNOWN")
        }
        Fill::Link(link) => !is_first || entity.seed.record.link(link).is_empty(),
        Fill::Mapped | Fill::Computed | Fill::By(_) => true,
        Fill::Derived | Fill::Embedded | Fill::Get | Fill::List => false,
    }
}

fn name_of(run: &Run, entity: &Entity) -> Option<String> {
    let read = |field| {
        let value = run.catalog().read(&entity.data, field)?;
        value
            .as_text()
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let parts: Vec<String> = [read("givenName"), read("middleName"), read("familyName")]
        .into_iter()
        .flatten()
        .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// The id of an entity.
pub fn id(run: &Run, entity: &Entity) -> Value {
    let anchor = entity.anchor();
    let name = run.catalog().get(entity.ty).map_or("", |def| &*def.name);
    let id = GlobalId::encode(name, &anchor.source, &anchor.remote_type, &anchor.remote_id);
    Value::Text(id.into())
}

/// The fields that are computed on an entity.
pub fn compute(run: &Run, name: &str, parents: &[Item], arguments: &Arguments) -> Vec<Resolved> {
    let keys = arguments.texts("keys");
    let types = arguments.texts("types");
    parents
        .iter()
        .map(|parent| {
            let Item::Entity(entity) = parent else {
                return Ok(Child::Null);
            };
            let value = match name {
                "id" => id(run, entity),
                "displayName" => display_name(run, entity),
                "sources" => provenance::source_records(run, entity),
                "source" => provenance::source_record(run, &entity.seed),
                "freshness" => provenance::freshness(run, entity),
                "version" => provenance::version(run, entity),
                "customFields" => provenance::custom_fields(run, entity, keys.as_deref()),
                "sourceStatuses" => provenance::own_status(run, entity),
                "identifiers" => provenance::identifiers(run, entity, types.as_deref()),
                "identity" => provenance::identity(run, entity),
                "primaryEmail" => primary(run, entity, "emails"),
                "primaryPhone" => primary(run, entity, "phones"),
                other => {
                    let message = format!("the gateway does not know how to compute `{other}`");
                    return Err(FieldError::new(crate::error::Code::Internal, message));
                }
            };
            Ok(Child::Value(value))
        })
        .collect()
}

/// Names that [`compute`] and the modules beside it know, for the check at start.
pub const COMPUTED: &[&str] = &[
    "id",
    "displayName",
    "sources",
    "source",
    "freshness",
    "version",
    "customFields",
    "sourceStatuses",
    "identifiers",
    "identity",
    "primaryEmail",
    "primaryPhone",
    "stats",
    "timeline",
];

fn primary(run: &Run, entity: &Entity, list: &str) -> Value {
    let Some(points) = run.catalog().read(&entity.data, list) else {
        return Value::Null;
    };
    let is_primary = |point: &&Value| {
        point
            .object()
            .and_then(|object| run.catalog().read(object, "primary"))
            .is_some_and(|flag| *flag == Value::Bool(true))
    };
    let items = points.items();
    items
        .iter()
        .find(is_primary)
        .or_else(|| items.first())
        .cloned()
        .unwrap_or_default()
}

/// The best name, never empty: the person's, else a masked address or number, else the vendor's id.
fn display_name(run: &Run, entity: &Entity) -> Value {
    if let Some(name) = name_of(run, entity) {
        return Value::Text(name.into());
    }
    let read = |list, field: &str| {
        let point = primary(run, entity, list);
        let object = point.object()?.clone();
        run.catalog()
            .read(&object, field)?
            .as_text()
            .map(str::to_owned)
    };
    if let Some(address) = read("emails", "address") {
        return Value::Text(email::masked(&address).into());
    }
    if let Some(number) = read("phones", "raw") {
        let tail: String = number
            .chars()
            .rev()
            .take(2)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        return Value::Text(format!("•••{tail}").into());
    }
    Value::Text(entity.anchor().remote_id.clone())
}
