//! Where fields get their values: one look at how the schema says a field is filled, for all parents of a level.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::resolve::argument::Arguments;
use crate::resolve::item::{Child, Item, Resolved, of_page};
use crate::resolve::policy::sight;
use crate::resolve::{Run, consent, entity, list, page, relation, root, stats, timeline};
use crate::schema::{FieldDef, Fill};

/// Gives fields their values. The gateway's come from its sources; the differential test brings data of its own, so
/// that nothing but the engine stands between it and the reference implementation.
pub trait Fields: std::fmt::Debug + Send + Sync {
    /// Lets parents load what the selected fields depend on, all of them together.
    fn prepare<'a>(
        &'a self,
        run: &'a Run,
        parents: Vec<Item>,
        selected: &'a [&'a str],
    ) -> BoxFuture<'a, Vec<Item>>;

    /// Resolves one field: a result for each parent, in their order.
    fn resolve<'a>(
        &'a self,
        run: &'a Run,
        field: &'a FieldDef,
        arguments: &'a Arguments,
        parents: &'a [Item],
    ) -> BoxFuture<'a, Vec<Resolved>>;
}

/// Values come from the configured sources.
#[derive(Debug, Clone, Copy)]
pub struct OfSources;

impl Fields for OfSources {
    fn prepare<'a>(
        &'a self,
        run: &'a Run,
        parents: Vec<Item>,
        selected: &'a [&'a str],
    ) -> BoxFuture<'a, Vec<Item>> {
        prepare(run, parents, selected).boxed()
    }

    fn resolve<'a>(
        &'a self,
        run: &'a Run,
        field: &'a FieldDef,
        arguments: &'a Arguments,
        parents: &'a [Item],
    ) -> BoxFuture<'a, Vec<Resolved>> {
        async move {
            let resolved = resolve(run, field, arguments, parents).await;
            // Each way to a record asks the rules itself, so that counts and pages are right; this is the net below.
            sight::screen(run, resolved).await
        }
        .boxed()
    }
}

async fn prepare(run: &Run, parents: Vec<Item>, selected: &[&str]) -> Vec<Item> {
    let entities: Option<Vec<_>> = parents
        .iter()
        .map(|item| match item {
            Item::Entity(entity) => Some(entity.clone()),
            Item::Root | Item::Page(_) | Item::Edge(..) => None,
        })
        .collect();
    match entities {
        Some(entities) => {
            let ready = entity::prepare(run, entities, selected).await;
            ready.into_iter().map(Item::Entity).collect()
        }
        None => parents,
    }
}

async fn resolve(
    run: &Run,
    field: &FieldDef,
    arguments: &Arguments,
    parents: &[Item],
) -> Vec<Resolved> {
    let single = |result: Resolved| parents.iter().map(|_| result.clone()).collect();
    match &field.fill {
        Fill::Link(link) => relation::follow(run, field, link, parents).await,
        Fill::By(link) => relation::back(run, field, link, parents, arguments).await,
        Fill::Embedded => parents
            .iter()
            .map(|parent| embedded(run, field, arguments, parent))
            .collect(),
        Fill::Get => single(root::get(run, &field.ty.name, arguments).await),
        Fill::List => single(list::list(run, field, arguments).await),
        Fill::Mapped | Fill::Derived | Fill::Computed => match parents.first() {
            Some(Item::Root) => single(root::compute(run, &field.name, arguments).await),
            Some(Item::Page(_) | Item::Edge(..)) => of_page(&field.name, parents, run),
            Some(Item::Entity(_)) if &*field.name == "stats" => {
                stats::resolve(run, parents, arguments).await
            }
            Some(Item::Entity(_)) if &*field.name == consent::CONSENTS => {
                consent::resolve(run, field, parents, arguments)
            }
            Some(Item::Entity(_)) if &*field.name == "lastContactedAt" => {
                stats::last_contacted(run, parents).await
            }
            Some(Item::Entity(_)) if &*field.name == "timeline" => {
                timeline::resolve(run, field, parents, arguments).await
            }
            Some(Item::Entity(_)) if &*field.name == "subject" => timeline::subjects(run, parents),
            Some(Item::Entity(_)) => entity::compute(run, &field.name, parents, arguments),
            None => Vec::new(),
        },
    }
}

fn embedded(run: &Run, field: &FieldDef, arguments: &Arguments, parent: &Item) -> Resolved {
    let Item::Entity(entity) = parent else {
        return Ok(Child::Null);
    };
    let Some((target, _)) = relation::node_type(run, &field.ty.name) else {
        return Ok(Child::Null);
    };
    let hash = page::list_hash(&field.name, arguments);
    let list = entity.data.slot(field.slot);
    let size_max = run.resolver.page_size_max;
    let page = page::embedded(target.id, list, &hash, arguments, size_max)?;
    Ok(Child::Item(Item::Page(Arc::new(page))))
}
