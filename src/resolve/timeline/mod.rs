//! The history of a customer: what happened, newest first, merged from the records of all relations and sources.

pub mod entry;
pub mod kind;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_graphql::Value as Argument;
use futures_util::future::join_all;

use crate::error::Code;
use crate::fetch::ReadPolicy;
use crate::fetch::status::{SourceStatus, add};
use crate::record::id::GlobalId;
use crate::record::value::TypeId;
use crate::resolve::argument::Arguments;
use crate::resolve::condition::{Condition, is_wanted};
use crate::resolve::item::{Child, Entity, Item, Node, Page, Resolved};
use crate::resolve::order::instant;
use crate::resolve::page::{Cursor, Positions, list_hash, parents_of};
use crate::resolve::relation::{Held, node_type};
use crate::resolve::timeline::entry::{ENTRY, Entry, entries};
use crate::resolve::timeline::kind::{KINDS, Kind};
use crate::resolve::{FieldError, Run, entity, identity, whole};
use crate::schema::{FieldDef, Matches};

/// What is asked of a timeline.
#[derive(Debug)]
struct Asked {
    ty: TypeId,
    kinds: Vec<&'static Kind>,
    since: Option<i64>,
    until: Option<i64>,
    conditions: Vec<Condition>,
    cursor: Option<Cursor>,
    first: usize,
    hash: String,
}

/// Resolves `timeline` of each customer: only the relations that the asked types are about are read, together.
pub async fn resolve(
    run: &Run,
    field: &FieldDef,
    parents: &[Item],
    arguments: &Arguments,
) -> Vec<Resolved> {
    let gathered = match asked(run, field, arguments) {
        Ok(asked) => gather(run, &asked, parents).await.map(|held| (asked, held)),
        Err(error) => Err(error),
    };
    let (asked, held) = match gathered {
        Ok(found) => found,
        Err(error) => return parents.iter().map(|_| Err(error.clone())).collect(),
    };
    let parents = parents.iter().enumerate();
    parents
        .map(|(index, parent)| {
            let Item::Entity(parent) = parent else {
                return Ok(Child::Null);
            };
            let own = held.iter().filter_map(|(relation, held)| {
                let held = held.get(index).and_then(Option::as_ref)?;
                Some((*relation, held))
            });
            let page = page(run, &asked, parent, own)?;
            Ok(Child::Item(Item::Page(Arc::new(page))))
        })
        .collect()
}

/// The entities that entries are about.
pub fn subjects(run: &Run, parents: &[Item]) -> Vec<Resolved> {
    let subject = |parent: &Item| {
        let Item::Entity(entry) = parent else {
            return Child::Null;
        };
        let found = run.catalog().entity(&entry.seed.record.entity);
        found.map_or(Child::Null, |(def, _)| {
            let subject = Entity::of(def.id, entry.seed.clone(), entry.policy);
            Child::Item(Item::Entity(Arc::new(subject)))
        })
    };
    parents.iter().map(|parent| Ok(subject(parent))).collect()
}

/// Finds an entry by its id: the record is read again, and must still tell of it.
pub async fn by_id(run: &Run, id: &GlobalId) -> Resolved {
    let Some((kind, remote_type)) = entry::parts(id) else {
        return Ok(Child::Null);
    };
    let kind = KINDS.iter().find(|known| known.name == kind);
    let target = kind.and_then(|kind| target_of(run, kind));
    let (Some(kind), Some((target, name))) = (kind, target) else {
        return Ok(Child::Null);
    };
    if !run.view.may_see_type(target) {
        return Ok(Child::Null);
    }
    let of = GlobalId {
        entity: name.to_string(),
        remote_type: remote_type.to_owned(),
        ..id.clone()
    };
    let found = entity::by_ids(run, &[Some(of)], ReadPolicy::CacheFirst).await;
    let Some(found) = found.into_iter().next().transpose()?.flatten() else {
        return Ok(Child::Null);
    };
    let data = run.view.shape(run.catalog(), &found.seed.record.data);
    let told = entries(run, kind, &found.seed, &data);
    let wanted = GlobalId::encode(ENTRY, &id.source, &id.remote_type, &id.remote_id);
    let entry = told.into_iter().find(|entry| entry.id == wanted);
    Ok(match (entry, run.catalog().object(ENTRY)) {
        (Some(entry), Some((def, _))) => {
            let entity = entry.entity(def.id, ReadPolicy::CacheFirst);
            Child::Item(Item::Entity(Arc::new(entity)))
        }
        _ => Child::Null,
    })
}

/// The entity that entries of a kind are about.
fn target_of<'r>(run: &'r Run, kind: &Kind) -> Option<(TypeId, &'r Arc<str>)> {
    let (customer, object) = run.catalog().object(identity::CUSTOMER)?;
    match kind.relation {
        None => Some((customer.id, &customer.name)),
        Some(relation) => {
            let field = object.field(relation)?;
            let (target, _) = node_type(run, &field.ty.name)?;
            Some((target.id, &target.name))
        }
    }
}

fn asked(run: &Run, field: &FieldDef, arguments: &Arguments) -> Result<Asked, FieldError> {
    let Some((target, _)) = node_type(run, &field.ty.name) else {
        let message = "the timeline has no entries";
        return Err(FieldError::new(Code::Internal, message));
    };
    let hash = list_hash(&field.name, arguments);
    let types = arguments.texts("types");
    let is_asked = |kind: &&Kind| {
        let types = types.as_ref();
        types.is_none_or(|types| types.iter().any(|name| name == kind.name))
    };
    let sources = arguments.get("sourceKeys").map(|keys| Condition {
        name: "sourceKeys".into(),
        matches: Matches::Source,
        value: Argument::clone(keys),
    });
    Ok(Asked {
        ty: target.id,
        kinds: KINDS.iter().filter(is_asked).collect(),
        since: bound(arguments, "since")?,
        until: bound(arguments, "until")?,
        conditions: sources.into_iter().collect(),
        cursor: Cursor::read(arguments, &hash)?,
        first: arguments.first(run.resolver.page_size_max)?,
        hash,
    })
}

fn bound(arguments: &Arguments, name: &str) -> Result<Option<i64>, FieldError> {
    let Some(text) = arguments.text(name) else {
        return Ok(None);
    };
    instant(&text).map(Some).ok_or_else(|| {
        let message = format!("`{name}` is not a time like 2026-03-01T09:30:00Z");
        FieldError::new(Code::InvalidArgument, message)
    })
}

type Relations = Vec<(&'static str, Vec<Option<Held>>)>;

/// What the relations that the asked types are about hold, for all parents.
async fn gather(run: &Run, asked: &Asked, parents: &[Item]) -> Result<Relations, FieldError> {
    let relations: BTreeSet<&'static str> = asked
        .kinds
        .iter()
        .filter_map(|kind| kind.relation)
        .collect();
    let loads = relations.into_iter().map(|relation| async move {
        let held = whole::held(run, relation, parents, &asked.conditions).await?;
        Ok((relation, held))
    });
    join_all(loads).await.into_iter().collect()
}

/// The asked page of one customer's entries.
fn page<'h>(
    run: &Run,
    asked: &Asked,
    parent: &Entity,
    held: impl Iterator<Item = (&'static str, &'h Held)>,
) -> Result<Page, FieldError> {
    let parents = parents_of(parent);
    if let Some(cursor) = &asked.cursor {
        cursor.check_parent(&parents)?;
    }
    let mut statuses: Vec<SourceStatus> = Vec::new();
    let mut told = own(run, asked, parent, &mut statuses);
    for (relation, held) in held {
        for status in &held.statuses {
            add(&mut statuses, status.clone());
        }
        let kinds = asked.kinds.iter();
        let kinds: Vec<_> = kinds
            .filter(|kind| kind.relation == Some(relation))
            .collect();
        for (reading, data) in whole::seen(run, held) {
            for kind in &kinds {
                told.extend(entries(run, kind, reading, &data));
            }
        }
    }
    told.retain(|entry| asked.lets_in(entry));
    told.sort_by(|left, right| left.place.compare(&right.place, true));
    let mut page = Page {
        ty: asked.ty,
        nodes: Vec::new(),
        cursors: Vec::new(),
        has_next: told.len() > asked.first,
        total: None,
        statuses,
    };
    for entry in told.into_iter().take(asked.first) {
        let cursor = Cursor::new(&asked.hash, entry.place.clone(), Positions::default());
        page.cursors.push(cursor.within(&parents).write());
        let entity = entry.entity(asked.ty, parent.policy);
        page.nodes.push(Node::Entity(Arc::new(entity)));
    }
    Ok(page)
}

/// What the customer's own records tell.
fn own(run: &Run, asked: &Asked, parent: &Entity, statuses: &mut Vec<SourceStatus>) -> Vec<Entry> {
    let kinds = asked.kinds.iter();
    let kinds: Vec<_> = kinds.filter(|kind| kind.relation.is_none()).collect();
    if kinds.is_empty() {
        return Vec::new();
    }
    if let Some(cluster) = &parent.cluster {
        let wanted = cluster.statuses.iter();
        for status in wanted.filter(|status| is_wanted(&asked.conditions, &status.source)) {
            add(statuses, status.clone());
        }
    }
    let mut told = Vec::new();
    for reading in parent.readings() {
        let record = &reading.record;
        if record.deleted || !is_wanted(&asked.conditions, &record.source) {
            continue;
        }
        let data = run.view.shape(run.catalog(), &record.data);
        for kind in &kinds {
            told.extend(entries(run, kind, reading, &data));
        }
    }
    told
}

impl Asked {
    /// Whether an entry is within the asked time and behind the cursor.
    fn lets_in(&self, entry: &Entry) -> bool {
        let place = self.cursor.as_ref().map(|cursor| &cursor.place);
        self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
            && place.is_none_or(|place| entry.place.compare(place, true).is_gt())
    }
}
