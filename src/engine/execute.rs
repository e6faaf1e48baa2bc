//! Walks a plan level by level: each field is resolved once for all parents, branches run concurrently.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

use crate::engine::bind::Bound;
use crate::engine::plan::{Kind, Planned, PlannedField, is_slot};
use crate::error::Code;
use crate::record::value::{TypeId, Value};
use crate::resolve::item::{Child, Item, Resolved};
use crate::resolve::{FieldError, Run};

/// The result of a selection for many parents of one type.
#[derive(Debug)]
pub struct Level {
    /// The parents.
    pub items: Vec<Item>,
    /// One column for each planned field.
    pub columns: Vec<Column>,
}

/// One field's results, a cell for each parent.
#[derive(Debug)]
pub enum Column {
    /// The values stand in the parents' slots.
    Slot(usize),
    /// Name of the parents' type, or introspection; the writer knows.
    Fixed,
    /// Every cell fails alike.
    Failed(FieldError),
    /// A cell for each parent, and the levels they lead to.
    Cells(Vec<Cell>, Vec<Level>),
}

/// One field of one parent.
#[derive(Debug)]
pub enum Cell {
    /// Nothing.
    Null,
    /// Plain data, written by the plan's selection.
    Value(Value),
    /// A failure.
    Failed(FieldError),
    /// A row of a level.
    One {
        /// Which level of the column.
        level: usize,
        /// Which row.
        row: usize,
    },
    /// A list.
    Many(Vec<Cell>),
}

/// One execution: the request's view of the resolvers, and its plan's bindings.
#[derive(Debug, Clone, Copy)]
pub struct Execution<'a> {
    /// The resolvers.
    pub run: &'a Run,
    /// Arguments and denials.
    pub bound: &'a Bound,
}

/// Executes a selection for parents of one type.
pub fn level<'a>(
    execution: Execution<'a>,
    planned: &'a [Planned],
    items: Vec<Item>,
) -> BoxFuture<'a, Level> {
    async move {
        let Execution { run, bound } = execution;
        let names = bound.selected(run.catalog(), planned);
        let items = run.resolver.fields.prepare(run, items, &names).await;
        let columns = join_all(
            planned
                .iter()
                .map(|planned| column(execution, planned, &items)),
        )
        .await;
        Level { items, columns }
    }
    .boxed()
}

async fn column(execution: Execution<'_>, planned: &Planned, items: &[Item]) -> Column {
    let Execution { run, bound } = execution;
    let field = match &planned.kind {
        Kind::TypeName | Kind::Introspection => return Column::Fixed,
        Kind::Field(field) => field,
    };
    if let Some(refusal) = bound.denied(field) {
        return Column::Failed(refusal.clone());
    }
    let Some(def) = field.at.definition(run.catalog()) else {
        return Column::Failed(FieldError::new(
            Code::Internal,
            "the plan does not fit the graph",
        ));
    };
    let on_data = items.iter().all(|item| matches!(item, Item::Entity(_)));
    if is_slot(def) && on_data {
        return Column::Slot(def.slot);
    }
    let arguments = match bound.arguments(field) {
        Ok(arguments) => arguments,
        Err(error) => return Column::Failed(error),
    };
    let fields = &run.resolver.fields;
    let resolved = fields.resolve(run, def, arguments, items).await;
    descend(execution, field, resolved).await
}

/// Sorts what was resolved into cells, and executes the selections on it: one level for each concrete type.
async fn descend(
    execution: Execution<'_>,
    field: &PlannedField,
    resolved: Vec<Resolved>,
) -> Column {
    let mut groups: BTreeMap<TypeId, Vec<Item>> = BTreeMap::new();
    let mut order: Vec<TypeId> = Vec::new();
    let mut cells = Vec::with_capacity(resolved.len());
    for result in resolved {
        cells.push(match result {
            Ok(child) => cell(field, child, &mut groups, &mut order),
            Err(error) => Cell::Failed(error),
        });
    }
    let levels = order.iter().map(|ty| {
        let items = groups.remove(ty).unwrap_or_default();
        let planned = field.selection.get(ty).map_or(&[][..], Vec::as_slice);
        level(execution, planned, items)
    });
    let levels: Vec<_> = levels.collect();
    Column::Cells(cells, join_all(levels).await)
}

fn cell(
    field: &PlannedField,
    child: Child,
    groups: &mut BTreeMap<TypeId, Vec<Item>>,
    order: &mut Vec<TypeId>,
) -> Cell {
    match child {
        Child::Null => Cell::Null,
        Child::Value(value) => Cell::Value(value),
        Child::Items(children) => Cell::Many(
            children
                .into_iter()
                .map(|child| cell(field, child, groups, order))
                .collect(),
        ),
        Child::Item(item) => {
            let Some(ty) = type_of(field, &item) else {
                return Cell::Null;
            };
            let level = order
                .iter()
                .position(|known| *known == ty)
                .unwrap_or_else(|| {
                    order.push(ty);
                    order.len() - 1
                });
            let rows = groups.entry(ty).or_default();
            rows.push(item);
            Cell::One {
                level,
                row: rows.len() - 1,
            }
        }
    }
}

/// The concrete type of an item: its own, or the only one the field allows.
fn type_of(field: &PlannedField, item: &Item) -> Option<TypeId> {
    match item {
        Item::Entity(entity) => Some(entity.ty),
        Item::Page(_) | Item::Edge(..) | Item::Root => field.selection.keys().next().copied(),
    }
}
