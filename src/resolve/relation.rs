//! Relations between entities: foreign keys of a record, and the lists of what points back to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_graphql::Value as Argument;
use futures_util::future::join_all;

use crate::connector::Connector;
use crate::fetch::group::write_ask;
use crate::fetch::status::{SourceStatus, add};
use crate::fetch::{Outcome, Question, ReadPolicy};
use crate::record::id::GlobalId;
use crate::record::{Reading, Record};
use crate::resolve::argument::{Arguments, text};
use crate::resolve::condition::{Condition, Targets, applied_here, conditions, is_wanted, pushed};
use crate::resolve::item::{Child, Entity, Item, Resolved};
use crate::resolve::order::{Order, Place, key, order};
use crate::resolve::page::{Cursor, Cut, Positions, Row, list_hash, page, parents_of};
use crate::resolve::policy::sight::{self, RecordKey};
use crate::resolve::{FieldError, Run, entity, identity};
use crate::schema::{FieldDef, Matches, ObjectDef, TypeDef};

/// The name of the operation that a relation by that link calls.
pub fn operation_by(link: &str) -> String {
    let mut letters = link.chars();
    let first: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    format!("by{first}{}", letters.as_str())
}

/// The entity that a connection's nodes are, or that a plain list is of.
pub fn node_type<'c>(run: &'c Run, name: &str) -> Option<(&'c TypeDef, &'c ObjectDef)> {
    let (ty, def) = run.catalog().object(name)?;
    if def.entity.is_some() {
        return Some((ty, def));
    }
    run.catalog().object(&def.field("nodes")?.ty.name)
}

/// Follows a foreign key of each parent to one entity that the caller sees.
pub async fn follow(run: &Run, field: &FieldDef, link: &str, parents: &[Item]) -> Vec<Resolved> {
    let found = targets_of(run, field, link, parents).await;
    sight::screen(run, found).await
}

/// Follows a foreign key of each parent to one entity, whoever asks.
pub async fn targets_of(
    run: &Run,
    field: &FieldDef,
    link: &str,
    parents: &[Item],
) -> Vec<Resolved> {
    let Some((target, _)) = run.catalog().entity(&field.ty.name) else {
        return parents.iter().map(|_| Ok(Child::Null)).collect();
    };
    let mut wanted: BTreeMap<(Arc<str>, ReadPolicy), Vec<Arc<str>>> = BTreeMap::new();
    let mut keys = Vec::with_capacity(parents.len());
    for parent in parents {
        let found = match parent {
            Item::Entity(entity) => foreign_key(run, entity, link, &target.name),
            Item::Root | Item::Page(_) | Item::Edge(..) => None,
        };
        if let Some((source, key, policy)) = &found {
            wanted
                .entry((source.clone(), *policy))
                .or_default()
                .push(key.clone());
        }
        keys.push(found);
    }
    let loads = wanted.into_iter().map(|((source, policy), keys)| {
        let question = get(&source, &target.name, policy);
        async move {
            let outcomes = run.loader.load(&question, &keys).await;
            keys.into_iter()
                .zip(outcomes)
                .map(move |(key, outcome)| ((source.clone(), policy, key), outcome))
                .collect::<Vec<_>>()
        }
    });
    let answers: BTreeMap<_, Outcome> = join_all(loads).await.into_iter().flatten().collect();
    keys.into_iter()
        .map(|found| {
            match found.and_then(|(source, key, policy)| {
                answers
                    .get(&(source, policy, key))
                    .map(|outcome| (outcome, policy))
            }) {
                None => Ok(Child::Null),
                Some((Err(failure), _)) => Err(FieldError::of(failure)),
                Some((Ok(answer), policy)) => Ok(match entity::readings(answer).next() {
                    Some(reading) => Child::Item(Item::Entity(Arc::new(Entity::of(
                        target.id, reading, policy,
                    )))),
                    None => Child::Null,
                }),
            }
        })
        .collect()
}

/// The question for records by their own ids.
pub fn get(source: &Arc<str>, entity: &Arc<str>, policy: ReadPolicy) -> Question {
    Question {
        source: source.clone(),
        entity: entity.clone(),
        operation: "get".into(),
        ask: "".into(),
        policy,
    }
}

fn foreign_key(
    run: &Run,
    entity: &Entity,
    link: &str,
    target: &str,
) -> Option<(Arc<str>, Arc<str>, ReadPolicy)> {
    for reading in entity.readings() {
        let record = &reading.record;
        let Some(key) = record.link(link).first() else {
            continue;
        };
        let connector = run.resolver.fetch.source(&record.source)?;
        let source = connector.link_source(&record.entity, link);
        let offered = run
            .resolver
            .fetch
            .source(&source)?
            .operation(target, "get")
            .is_some();
        if offered {
            return Some((source, key.clone(), entity.policy));
        }
    }
    None
}

/// The relation's question, the same for every parent.
#[derive(Debug)]
struct Ready<'r> {
    target: &'r TypeDef,
    def: &'r ObjectDef,
    link: String,
    operation: String,
    conditions: Vec<Condition>,
    order: Order,
    targets: Targets,
    cursor: Option<Cursor>,
    cut_first: usize,
    hash: String,
}

/// Everything that one parent's sources hold of a relation, in its order.
#[derive(Debug)]
pub struct Held {
    /// The records that the caller sees.
    pub rows: Vec<Row>,
    /// What each source answered.
    pub statuses: Vec<SourceStatus>,
    /// Whether any source answered at all.
    pub is_told: bool,
    /// Whether no source failed or stopped early.
    pub is_complete: bool,
}

/// Lists what points back to each parent, from every source that can tell.
pub async fn back(
    run: &Run,
    field: &FieldDef,
    link: &str,
    parents: &[Item],
    arguments: &Arguments,
) -> Vec<Resolved> {
    let ready = match prepare(run, field, link, arguments).await {
        Ok(ready) => ready,
        Err(error) => return parents.iter().map(|_| Err(error.clone())).collect(),
    };
    let gathered = gather(run, &ready, parents).await;
    let pairs = parents.iter().zip(gathered);
    pairs
        .map(|(parent, held)| {
            let (Item::Entity(parent), Some(held)) = (parent, held) else {
                return Ok(Child::Null);
            };
            if field.ty.list.is_some() {
                return plain(&ready, parent, held);
            }
            let page = cut(&ready, parent, held)?;
            Ok(Child::Item(Item::Page(Arc::new(page))))
        })
        .collect()
}

/// Everything that points back to each parent and meets the conditions, for what is computed from the whole.
pub async fn held(
    run: &Run,
    (field, link): (&FieldDef, &str),
    parents: &[Item],
    conditions: &[Condition],
) -> Result<Vec<Option<Held>>, FieldError> {
    let mut ready = prepare(run, field, link, &Arguments::default()).await?;
    ready.conditions.extend_from_slice(conditions);
    Ok(gather(run, &ready, parents).await)
}

async fn gather(run: &Run, ready: &Ready<'_>, parents: &[Item]) -> Vec<Option<Held>> {
    let sources: Vec<&Arc<Connector>> = run
        .sources_with(&ready.target.name, &ready.operation)
        .filter(|connector| is_wanted(&ready.conditions, &connector.source))
        .collect();
    let asked = sources
        .iter()
        .map(|connector| ask(run, ready, connector, parents));
    let answers = join_all(asked).await;
    let unseen = unseen(run, ready, &answers).await;
    let parents = parents.iter().enumerate();
    parents
        .map(|(index, parent)| {
            let Item::Entity(parent) = parent else {
                return None;
            };
            let of_parent = answers.iter().zip(&sources).map(|(answer, connector)| {
                (*connector, answer.get(index).and_then(Option::as_ref))
            });
            Some(assemble(run, (ready, &unseen), parent, of_parent))
        })
        .collect()
}

/// The records among the answers that the caller does not see.
async fn unseen(
    run: &Run,
    ready: &Ready<'_>,
    answers: &[Vec<Option<Outcome>>],
) -> BTreeSet<RecordKey> {
    if !run.view.has_rule(&ready.target.name) {
        return BTreeSet::new();
    }
    let outcomes = answers.iter().flatten().flatten();
    let readings: Vec<Reading> = outcomes
        .filter_map(|outcome| outcome.as_ref().ok())
        .flat_map(entity::readings)
        .filter(|reading| is_shown(run, &ready.conditions, &ready.targets, &reading.record))
        .collect();
    let key = |reading: &Reading| {
        let record = &reading.record;
        (record.source.clone(), record.remote_id.clone())
    };
    let mut unseen: BTreeSet<RecordKey> = readings.iter().map(key).collect();
    for seen in sight::shown(run, ready.target, readings, ReadPolicy::CacheFirst).await {
        unseen.remove(&key(&seen));
    }
    unseen
}

async fn prepare<'r>(
    run: &'r Run,
    field: &FieldDef,
    link: &str,
    arguments: &Arguments,
) -> Result<Ready<'r>, FieldError> {
    let Some((target, def)) = node_type(run, &field.ty.name) else {
        return Err(FieldError::new(
            crate::error::Code::Internal,
            "the relation has no target",
        ));
    };
    let hash = list_hash(&field.name, arguments);
    let cut_first = arguments.first(run.resolver.page_size_max)?;
    let cursor = Cursor::read(arguments, &hash)?;
    let conditions = conditions(run.catalog(), field, arguments);
    run.view
        .check_conditions(run.catalog(), (target, def), &conditions)?;
    let order = permitted_order(run, target, field, arguments)?;
    let targets = targets(run, &target.name, &conditions).await?;
    Ok(Ready {
        target,
        def,
        link: link.to_owned(),
        operation: operation_by(link),
        order,
        conditions,
        targets,
        cursor,
        cut_first,
        hash,
    })
}

/// The order of a list. One by what the caller may not see is refused, since places and cursors would tell the value; when
/// the caller did not choose it, the sources' own order takes its place.
pub fn permitted_order(
    run: &Run,
    target: &TypeDef,
    field: &FieldDef,
    arguments: &Arguments,
) -> Result<Order, FieldError> {
    let asked = order(run.catalog(), field, arguments);
    let Some(path) = &asked.path else {
        return Ok(asked);
    };
    match run.view.check_path(run.catalog(), target, path, "`sort`") {
        Ok(()) => Ok(asked),
        Err(refusal) if arguments.get("sort").is_some() => Err(refusal),
        Err(_) => Ok(Order {
            name: None,
            path: None,
            descending: false,
        }),
    }
}

/// The records that the global ids of link conditions on an entity stand for, by the source that holds the link; a customer
/// stands for all its linked records.
pub async fn targets(
    run: &Run,
    entity: &str,
    conditions: &[Condition],
) -> Result<Targets, FieldError> {
    let mut found = Targets::new();
    for condition in conditions {
        let Matches::Link(link) = &condition.matches else {
            continue;
        };
        let of_link = found.entry(link.clone()).or_default();
        let ids: Vec<String> = match &condition.value {
            Argument::List(items) => items.iter().filter_map(text).collect(),
            single => text(single).into_iter().collect(),
        };
        let ids: Vec<GlobalId> = ids.iter().filter_map(|id| GlobalId::decode(id)).collect();
        let customers: Vec<GlobalId> = ids
            .iter()
            .filter(|id| id.entity == identity::CUSTOMER)
            .cloned()
            .collect();
        for id in ids.into_iter().filter(|id| id.entity != identity::CUSTOMER) {
            of_link
                .entry(id.source.into())
                .or_default()
                .insert(id.remote_id.into());
        }
        for customer in entity::customers(run, &customers, ReadPolicy::CacheFirst).await? {
            for reading in customer.readings() {
                let record = &reading.record;
                of_link
                    .entry(record.source.clone())
                    .or_default()
                    .insert(record.remote_id.clone());
            }
        }
        let of_owner = of_link.clone();
        for connector in run.resolver.fetch.sources() {
            let owner = connector.link_source(entity, link);
            if owner != connector.source {
                let ids = of_owner.get(&owner).cloned().unwrap_or_default();
                of_link.insert(connector.source.clone(), ids);
            }
        }
    }
    Ok(found)
}

/// The source whose ids of the parent this one knows: its own, or another's where its file says so.
fn owner(ready: &Ready<'_>, connector: &Connector) -> Arc<str> {
    connector.link_source(&ready.target.name, &ready.link)
}

/// One source's outcome for each parent; `None` where the parent has no record there.
async fn ask(
    run: &Run,
    ready: &Ready<'_>,
    connector: &Arc<Connector>,
    parents: &[Item],
) -> Vec<Option<Outcome>> {
    let Some(operation) = connector.operation(&ready.target.name, &ready.operation) else {
        return parents.iter().map(|_| None).collect();
    };
    let written = write_ask(&pushed(operation, &ready.conditions));
    let owner = owner(ready, connector);
    let keys: Vec<Option<(Arc<str>, ReadPolicy)>> = parents
        .iter()
        .map(|parent| match parent {
            Item::Entity(entity) => entity
                .readings()
                .find(|reading| reading.record.source == owner)
                .map(|reading| (reading.record.remote_id.clone(), entity.policy)),
            Item::Root | Item::Page(_) | Item::Edge(..) => None,
        })
        .collect();
    let mut by_policy: BTreeMap<ReadPolicy, Vec<Arc<str>>> = BTreeMap::new();
    for (key, policy) in keys.iter().flatten() {
        by_policy.entry(*policy).or_default().push(key.clone());
    }
    let loads = by_policy.into_iter().map(|(policy, keys)| {
        let question = Question {
            source: connector.source.clone(),
            entity: ready.target.name.clone(),
            operation: ready.operation.as_str().into(),
            ask: written.clone(),
            policy,
        };
        async move {
            let outcomes = run.loader.load(&question, &keys).await;
            keys.into_iter()
                .zip(outcomes)
                .map(|(key, outcome)| ((key, policy), outcome))
                .collect::<Vec<_>>()
        }
    });
    let answers: BTreeMap<_, Outcome> = join_all(loads).await.into_iter().flatten().collect();
    keys.into_iter()
        .map(|key| key.and_then(|key| answers.get(&key).cloned()))
        .collect()
}

/// Merges what the sources hold for one parent.
fn assemble<'a>(
    run: &Run,
    (ready, unseen): (&Ready<'_>, &BTreeSet<RecordKey>),
    parent: &Entity,
    answers: impl Iterator<Item = (&'a Arc<Connector>, Option<&'a Outcome>)>,
) -> Held {
    let mut rows = Vec::new();
    let mut is_told = false;
    let mut statuses: Vec<SourceStatus> = Vec::new();
    let mut complete = true;
    for (connector, outcome) in answers {
        let Some(outcome) = outcome else {
            let status = missing(parent, &connector.source, &owner(ready, connector));
            complete &= !status.is_failure();
            add(&mut statuses, status);
            continue;
        };
        let mut status = SourceStatus::of(&connector.source, outcome);
        if let Some(operation) = connector.operation(&ready.target.name, &ready.operation) {
            status.filtered_locally = applied_here(
                operation,
                &pushed(operation, &ready.conditions),
                &ready.conditions,
            );
        }
        complete &= !status.is_failure() && !status.truncated;
        add(&mut statuses, status);
        let Ok(answer) = outcome else { continue };
        is_told = true;
        for reading in entity::readings(answer) {
            let record = &reading.record;
            let is_seen = unseen.is_empty()
                || !unseen.contains(&(record.source.clone(), record.remote_id.clone()));
            if is_seen && is_shown(run, &ready.conditions, &ready.targets, record) {
                rows.push(row(run, ready, reading));
            }
        }
    }
    rows.sort_by(|left, right| left.place.compare(&right.place, ready.order.descending));
    Held {
        rows,
        statuses,
        is_told,
        is_complete: complete,
    }
}

/// The whole as a plain list, which has no place for statuses: it is there when a source told it, and else fails.
fn plain(ready: &Ready<'_>, parent: &Entity, held: Held) -> Resolved {
    let failed = held.statuses.iter().find(|status| status.is_failure());
    if let (false, Some(status)) = (held.is_told, failed) {
        return Err(FieldError::of_status(status));
    }
    let entity = |row: Row| Entity::of(ready.target.id, row.reading, parent.policy);
    let items = held.rows.into_iter();
    let items = items.map(|row| Child::Item(Item::Entity(Arc::new(entity(row)))));
    Ok(Child::Items(items.collect()))
}

/// Cuts the asked page out of the whole.
fn cut(
    ready: &Ready<'_>,
    parent: &Entity,
    held: Held,
) -> Result<crate::resolve::item::Page, FieldError> {
    let parents = parents_of(parent);
    if let Some(cursor) = &ready.cursor {
        cursor.check_parent(&parents)?;
    }
    let mut rows = held.rows;
    let total = (
        rows.len() as u64,
        if held.is_complete {
            "EXACT"
        } else {
            "AT_LEAST"
        },
    );
    if let Some(cursor) = &ready.cursor {
        rows.retain(|row| {
            row.place
                .compare(&cursor.place, ready.order.descending)
                .is_gt()
        });
    }
    let cut = Cut {
        ty: ready.target.id,
        hash: ready.hash.clone(),
        first: ready.cut_first,
        policy: parent.policy,
        parents,
    };
    Ok(page(&cut, rows, Some(total), held.statuses))
}

/// Whether a record meets every condition; deleted ones are not listed.
pub fn is_shown(run: &Run, conditions: &[Condition], targets: &Targets, record: &Record) -> bool {
    !record.deleted
        && conditions
            .iter()
            .all(|condition| condition.holds(run.catalog(), record, targets))
}

fn row(run: &Run, ready: &Ready<'_>, reading: Reading) -> Row {
    let place = Place {
        key: key(run.catalog(), ready.def, &reading.record, &ready.order),
        rank: run.resolver.order.rank(&reading.record.source),
        id: reading.record.remote_id.clone(),
    };
    Row {
        reading,
        place,
        positions: Positions::default(),
        ties: Vec::new(),
    }
}

/// Why a source was not asked for a parent: its look-up failed, or the parent has no record there.
fn missing(parent: &Entity, source: &Arc<str>, owner: &Arc<str>) -> SourceStatus {
    let known = parent.cluster.as_deref().and_then(|cluster| {
        cluster
            .statuses
            .iter()
            .find(|status| status.source == *owner)
    });
    match known {
        // What failed is named, even where it is the owner of the key and not the source of the list.
        Some(status) if status.is_failure() => status.clone(),
        _ => SourceStatus::new(source.clone(), "SKIPPED"),
    }
}
