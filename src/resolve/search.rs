//! Free-text search: every source that can search is asked once for each entity type, and what they find is one list.
//! Relevance of one vendor says nothing about another's, so that the first hits of all come before the second hits of any.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;

use crate::connector::Connector;
use crate::error::Code;
use crate::fetch::status::{SourceStatus, add};
use crate::fetch::{Question, ReadPolicy};
use crate::record::Reading;
use crate::resolve::argument::Arguments;
use crate::resolve::item::{Child, Entity, Item, Node, Page, Resolved};
use crate::resolve::order::{Place, SortKey};
use crate::resolve::page::{Cursor, Positions, list_hash};
use crate::resolve::policy::sight;
use crate::resolve::{FieldError, Run, entity, identity};
use crate::schema::{TypeDef, TypeKind};

/// What search gives.
const RESULT: &str = "SearchResult";
/// The operation that connector files name.
const OPERATION: &str = "search";
const LETTERS_MIN: usize = 2;
const LETTERS_MAX: usize = 200;
/// How many hits of one type one source adds at the most; what they are part of is looked up for each.
const HITS_MAX: usize = 50;

/// One hit with its place.
#[derive(Debug)]
struct Hit {
    place: Place,
    entity: Arc<Entity>,
}

/// Resolves `search`.
pub async fn resolve(run: &Run, arguments: &Arguments) -> Resolved {
    let text = arguments.text("query").unwrap_or_default();
    let text = text.trim();
    let letters = text.chars().count();
    if !(LETTERS_MIN..=LETTERS_MAX).contains(&letters) {
        let message = format!(
            "`query` has {letters} letters; it must have between {LETTERS_MIN} and {LETTERS_MAX}"
        );
        return Err(FieldError::new(Code::InvalidArgument, message));
    }
    let hash = list_hash(OPERATION, arguments);
    let cursor = Cursor::read_root(arguments, &hash)?;
    let first = arguments.first(run.resolver.page_size_max)?;
    let Some(result) = run.catalog().named(RESULT) else {
        return Ok(Child::Null);
    };
    let (mut hits, statuses) = hits(run, &targets(run, result, arguments), text).await;
    hits.sort_by(|left, right| left.place.compare(&right.place, false));
    let mut known = BTreeSet::new();
    hits.retain(|hit| {
        let anchor = hit.entity.anchor();
        known.insert((
            hit.entity.ty,
            anchor.source.clone(),
            anchor.remote_id.clone(),
        ))
    });
    if let Some(cursor) = &cursor {
        hits.retain(|hit| hit.place.compare(&cursor.place, false).is_gt());
    }
    let has_next = hits.len() > first;
    hits.truncate(first);
    let page = Page {
        ty: result.id,
        cursors: hits
            .iter()
            .map(|hit| Cursor::new(&hash, hit.place.clone(), Positions::default()).write())
            .collect(),
        nodes: hits
            .into_iter()
            .map(|hit| Node::Entity(hit.entity))
            .collect(),
        has_next,
        total: None,
        statuses,
    };
    Ok(Child::Item(Item::Page(Arc::new(page))))
}

/// The entity types that are asked for and that the caller may see, in the order of the graph's union.
fn targets<'r>(run: &'r Run, result: &TypeDef, arguments: &Arguments) -> Vec<&'r TypeDef> {
    let TypeKind::Union(members) = &result.kind else {
        return Vec::new();
    };
    let asked = arguments.texts("types");
    let found = members.iter().filter_map(|name| run.catalog().object(name));
    let wanted = found.filter(|(def, object)| {
        let name = object
            .entity
            .as_ref()
            .and_then(|entity| entity.entity_type.as_deref());
        let is_asked = asked
            .as_ref()
            .is_none_or(|asked| asked.iter().any(|asked| Some(asked.as_str()) == name));
        is_asked && run.view.may_see_type(def.id)
    });
    wanted.map(|(def, _)| def).collect()
}

/// What every source finds, all of them asked together.
async fn hits(run: &Run, targets: &[&TypeDef], text: &str) -> (Vec<Hit>, Vec<SourceStatus>) {
    let asked = targets.iter().enumerate().flat_map(|(at, target)| {
        let sources = run.sources_with(&target.name, OPERATION);
        sources.map(move |connector| ask(run, (at, *target), connector, text))
    });
    let mut statuses = Vec::new();
    let mut found = Vec::new();
    for (hits, status) in join_all(asked).await {
        add(&mut statuses, status);
        found.extend(hits);
    }
    (found, statuses)
}

async fn ask(
    run: &Run,
    (at, target): (usize, &TypeDef),
    connector: &Connector,
    text: &str,
) -> (Vec<Hit>, SourceStatus) {
    let question = Question {
        source: connector.source.clone(),
        entity: target.name.clone(),
        operation: OPERATION.into(),
        ask: "".into(),
        policy: ReadPolicy::CacheFirst,
    };
    let outcomes = run.loader.load(&question, &[Arc::from(text)]).await;
    let Some(outcome) = outcomes.into_iter().next() else {
        let status = SourceStatus::new(connector.source.clone(), "SKIPPED");
        return (Vec::new(), status);
    };
    let mut status = SourceStatus::of(&connector.source, &outcome);
    let Ok(answer) = outcome else {
        return (Vec::new(), status);
    };
    let found = entity::readings(&answer).filter(|reading| !reading.record.deleted);
    let mut readings: Vec<Reading> = found.collect();
    status.truncated |= readings.len() > HITS_MAX;
    readings.truncate(HITS_MAX);
    let readings = sight::shown(run, target, readings, ReadPolicy::CacheFirst).await;
    let of = |reading| Arc::new(Entity::of(target.id, reading, ReadPolicy::CacheFirst));
    let mut entities: Vec<Arc<Entity>> = readings.into_iter().map(of).collect();
    if &*target.name == identity::CUSTOMER {
        // One person is one hit, whichever of the person's records were found.
        entities = entity::assemble(run, entities).await;
    }
    let rank = run.resolver.order.rank(&connector.source);
    let hits = entities
        .into_iter()
        .enumerate()
        .map(|(number, entity)| Hit {
            place: Place {
                key: SortKey::Number(i64::try_from(number).unwrap_or(i64::MAX)),
                rank: rank.saturating_mul(64).saturating_add(at),
                id: entity.seed.record.remote_id.clone(),
            },
            entity,
        });
    (hits.collect(), status)
}
