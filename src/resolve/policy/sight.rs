//! Which records a caller sees: the row rules, applied wherever records enter an answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fetch::ReadPolicy;
use crate::record::Reading;
use crate::resolve::item::{Child, Entity, Item, Resolved};
use crate::resolve::policy::row::Linked;
use crate::resolve::{Run, entity, identity, relation};
use crate::schema::{Fill, TypeDef};

/// A record, by source and id.
pub type RecordKey = (Arc<str>, Arc<str>);

fn key_of(entity: &Entity) -> RecordKey {
    let record = &entity.seed.record;
    (record.source.clone(), record.remote_id.clone())
}

/// The entities that the caller sees, each in its place. What a rule depends on is loaded, selected or not; customers come
/// back assembled when there is a rule, since a rule sees the customer and not one of its records.
pub async fn visible(run: &Run, entities: Vec<Option<Arc<Entity>>>) -> Vec<Option<Arc<Entity>>> {
    let name_of = |entity: &Entity| run.catalog().get(entity.ty).map(|def| def.name.clone());
    let is_ruled = |entity: &Arc<Entity>| {
        !run.view.may_see_type(entity.ty)
            || name_of(entity).is_some_and(|name| run.view.has_rule(&name))
    };
    if !entities.iter().flatten().any(is_ruled) {
        return entities;
    }
    let mut shown = Vec::with_capacity(entities.len());
    let mut open: BTreeMap<Arc<str>, Vec<(usize, Arc<Entity>)>> = BTreeMap::new();
    for (index, found) in entities.into_iter().enumerate() {
        shown.push(None);
        let Some(entity) = found.filter(|entity| run.view.may_see_type(entity.ty)) else {
            continue;
        };
        match name_of(&entity).filter(|name| run.view.has_rule(name)) {
            Some(name) => open.entry(name).or_default().push((index, entity)),
            None => place(&mut shown, index, entity),
        }
    }
    for (name, ruled) in open {
        for (index, entity) in judge(run, &name, ruled).await {
            place(&mut shown, index, entity);
        }
    }
    shown
}

fn place(shown: &mut [Option<Arc<Entity>>], index: usize, entity: Arc<Entity>) {
    if let Some(place) = shown.get_mut(index) {
        *place = Some(entity);
    }
}

/// Of entities of one type those that a rule lets through.
async fn judge(
    run: &Run,
    name: &str,
    ruled: Vec<(usize, Arc<Entity>)>,
) -> Vec<(usize, Arc<Entity>)> {
    let Some(rules) = run.view.rules.get(name) else {
        return ruled;
    };
    let mut passed = Vec::new();
    let mut unknown = Vec::new();
    for (index, entity) in ruled {
        match run.verdict(entity.ty, &key_of(&entity)) {
            Some(true) => passed.push((index, entity)),
            Some(false) => {}
            None => unknown.push((index, entity)),
        }
    }
    let (places, mut entities): (Vec<usize>, Vec<Arc<Entity>>) = unknown.into_iter().unzip();
    if name == identity::CUSTOMER {
        entities = entity::assemble(run, entities).await;
    }
    let linked = links(run, name, &entities).await;
    for ((index, entity), linked) in places.into_iter().zip(entities).zip(linked) {
        let lets = rules
            .iter()
            .any(|rule| rule.lets_through(run, &run.view.caller, &entity, &linked));
        run.remember(entity.ty, key_of(&entity), lets);
        if lets {
            passed.push((index, entity));
        }
    }
    passed
}

/// What the links lead to that the rules read, for each entity.
async fn links(run: &Run, name: &str, entities: &[Arc<Entity>]) -> Vec<Linked> {
    let mut linked: Vec<Linked> = entities.iter().map(|_| Linked::new()).collect();
    let Some(((_, object), rules)) = run.catalog().entity(name).zip(run.view.rules.get(name))
    else {
        return linked;
    };
    let mut names: Vec<&str> = rules.iter().flat_map(|rule| rule.links()).collect();
    names.sort_unstable();
    names.dedup();
    let parents: Vec<Item> = entities.iter().cloned().map(Item::Entity).collect();
    for name in names {
        let Some(field) = object.field(name) else {
            continue;
        };
        let Fill::Link(link) = &field.fill else {
            continue;
        };
        let mut found: Vec<Option<Arc<Entity>>> = Vec::with_capacity(parents.len());
        for resolved in relation::targets_of(run, field, link, &parents).await {
            found.push(match resolved {
                Ok(Child::Item(Item::Entity(entity))) => Some(entity),
                // What can't be read is not there, and a rule that compares it lets nothing through.
                _ => None,
            });
        }
        if &*field.ty.name == identity::CUSTOMER {
            let present: Vec<Arc<Entity>> = found.iter().flatten().cloned().collect();
            let mut assembled = entity::assemble(run, present).await.into_iter();
            for place in found.iter_mut().filter(|place| place.is_some()) {
                *place = assembled.next();
            }
        }
        for (of_entity, target) in linked.iter_mut().zip(found) {
            of_entity.push((name.into(), target));
        }
    }
    linked
}

/// Leaves out of resolved values the entities that the caller does not see.
pub async fn screen(run: &Run, resolved: Vec<Resolved>) -> Vec<Resolved> {
    if !run.view.screens() {
        return resolved;
    }
    let mut entities = Vec::new();
    for child in resolved.iter().flatten() {
        gather(child, &mut entities);
    }
    let mut seen = visible(run, entities).await.into_iter();
    resolved
        .into_iter()
        .map(|result| result.map(|child| put_back(child, &mut seen)))
        .collect()
}

fn gather(child: &Child, entities: &mut Vec<Option<Arc<Entity>>>) {
    match child {
        Child::Item(Item::Entity(entity)) => entities.push(Some(entity.clone())),
        Child::Items(children) => children.iter().for_each(|child| gather(child, entities)),
        Child::Null | Child::Value(_) | Child::Item(_) => {}
    }
}

fn put_back(child: Child, seen: &mut impl Iterator<Item = Option<Arc<Entity>>>) -> Child {
    match child {
        Child::Item(Item::Entity(_)) => match seen.next().flatten() {
            Some(entity) => Child::Item(Item::Entity(entity)),
            None => Child::Null,
        },
        Child::Items(children) => Child::Items(
            children
                .into_iter()
                .map(|child| put_back(child, seen))
                .collect(),
        ),
        other => other,
    }
}

/// The readings of one entity type that the caller sees.
pub async fn shown(
    run: &Run,
    target: &TypeDef,
    readings: Vec<Reading>,
    policy: ReadPolicy,
) -> Vec<Reading> {
    if !run.view.has_rule(&target.name) && run.view.may_see_type(target.id) {
        return readings;
    }
    let entities = readings
        .iter()
        .map(|reading| Some(Arc::new(Entity::of(target.id, reading.clone(), policy))))
        .collect();
    let visible = visible(run, entities).await;
    readings
        .into_iter()
        .zip(visible)
        .filter_map(|(reading, entity)| entity.map(|_| reading))
        .collect()
}
