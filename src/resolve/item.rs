//! What a selection is resolved on: the operation's root, entities, pages of a list and their edges. Everything below
//! them is plain data.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::fetch::ReadPolicy;
use crate::fetch::status::SourceStatus;
use crate::record::value::{Object, TypeId, Value};
use crate::record::{Age, Identifier, Reading, Record};
use crate::resolve::FieldError;

/// A parent of a level.
#[derive(Debug, Clone)]
pub enum Item {
    /// The root of the operation.
    Root,
    /// An entity.
    Entity(Arc<Entity>),
    /// A page of a list.
    Page(Arc<Page>),
    /// One edge of a page.
    Edge(Arc<Page>, usize),
}

/// An entity: one record, or a customer assembled from several.
#[derive(Debug, Clone)]
pub struct Entity {
    /// Its type.
    pub ty: TypeId,
    /// The record it was found by.
    pub seed: Reading,
    /// How its parts are read.
    pub policy: ReadPolicy,
    /// The records of all sources, once they were looked for.
    pub cluster: Option<Arc<Cluster>>,
    /// The values to show: the seed's, or the merged ones.
    pub data: Arc<Object>,
}

impl Entity {
    /// An entity of one record.
    pub fn of(ty: TypeId, seed: Reading, policy: ReadPolicy) -> Self {
        let data = seed.record.data.clone();
        Self {
            ty,
            seed,
            policy,
            cluster: None,
            data,
        }
    }

    /// The records it is made of, most authoritative first.
    pub fn readings(&self) -> impl Iterator<Item = &Reading> {
        let cluster = self
            .cluster
            .as_deref()
            .map_or(&[][..], |cluster| &cluster.members);
        let alone = self.cluster.is_none().then_some(&self.seed);
        cluster.iter().map(|member| &member.reading).chain(alone)
    }

    /// The record its id is anchored on.
    pub fn anchor(&self) -> &Record {
        self.readings()
            .next()
            .map_or(&self.seed.record, |reading| &reading.record)
    }
}

/// The records that are one customer.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The linked records, most authoritative first: the first is the anchor.
    pub members: Vec<Member>,
    /// What each source answered.
    pub statuses: Vec<SourceStatus>,
    /// Whether a bound stopped the search.
    pub bounded: bool,
    /// When the links were made.
    pub resolved_at: DateTime<Utc>,
}

impl Cluster {
    /// Whether a source that may hold a part did not answer.
    pub fn is_partial(&self) -> bool {
        self.statuses.iter().any(SourceStatus::is_failure)
    }
}

/// A linked record and why it is linked.
#[derive(Debug, Clone)]
pub struct Member {
    /// The record.
    pub reading: Reading,
    /// `MatchMethod` of the graph.
    pub method: &'static str,
    /// The identifiers that matched.
    pub matched_on: Vec<Identifier>,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// The type of its nodes.
    pub ty: TypeId,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// A cursor for each node.
    pub cursors: Vec<String>,
    /// Whether more follow.
    pub has_next: bool,
    /// How many there are in all, and how far to trust that.
    pub total: Option<(u64, &'static str)>,
    /// What each source answered.
    pub statuses: Vec<SourceStatus>,
}

/// A node of a page.
#[derive(Debug, Clone)]
pub enum Node {
    /// An entity.
    Entity(Arc<Entity>),
    /// Plain data held by the parent record.
    Data(Value),
}

/// What a resolver answers for one parent.
#[derive(Debug, Clone)]
pub enum Child {
    /// Nothing.
    Null,
    /// Plain data.
    Value(Value),
    /// Something to select on.
    Item(Item),
    /// A list of things to select on.
    Items(Vec<Child>),
}

/// A resolver's answer for one parent, or why there is none.
pub type Resolved = Result<Child, FieldError>;

/// The worst age of several readings.
pub fn worst_age<'a>(readings: impl Iterator<Item = &'a Reading>) -> Age {
    readings
        .map(|reading| reading.age)
        .max()
        .unwrap_or(Age::Cached)
}

/// Resolves a field of pages or edges.
pub fn of_page(name: &str, parents: &[Item], run: &crate::resolve::Run) -> Vec<Resolved> {
    parents
        .iter()
        .map(|parent| match parent {
            Item::Page(page) => Ok(page_field(name, page, run)),
            Item::Edge(page, index) => Ok(match name {
                "cursor" => page.cursors.get(*index).map_or(Child::Null, |cursor| {
                    Child::Value(Value::from(cursor.as_str()))
                }),
                _ => page.nodes.get(*index).map_or(Child::Null, node),
            }),
            Item::Root | Item::Entity(_) => Ok(Child::Null),
        })
        .collect()
}

fn node(node: &Node) -> Child {
    match node {
        Node::Entity(entity) => Child::Item(Item::Entity(entity.clone())),
        Node::Data(value) => Child::Value(value.clone()),
    }
}

fn page_field(name: &str, page: &Arc<Page>, run: &crate::resolve::Run) -> Child {
    match name {
        "nodes" => Child::Items(page.nodes.iter().map(node).collect()),
        "edges" => Child::Items(
            (0..page.nodes.len())
                .map(|index| Child::Item(Item::Edge(page.clone(), index)))
                .collect(),
        ),
        "pageInfo" => {
            let cursor = |cursor: Option<&String>| {
                cursor.map_or(Value::Null, |text| Value::from(text.as_str()))
            };
            Child::Value(
                run.catalog()
                    .build("PageInfo")
                    .set("hasNextPage", Value::Bool(page.has_next))
                    .set("hasPreviousPage", Value::Bool(false))
                    .set("startCursor", cursor(page.cursors.first()))
                    .set("endCursor", cursor(page.cursors.last()))
                    .value(),
            )
        }
        "totalCount" => page.total.map_or(Child::Null, |(count_of, precision)| {
            Child::Value(count(run, count_of, precision))
        }),
        "sourceStatuses" => Child::Value(crate::resolve::provenance::statuses(run, &page.statuses)),
        _ => Child::Null,
    }
}

/// A number with its precision.
pub fn count(run: &crate::resolve::Run, number: u64, precision: &'static str) -> Value {
    let value = Value::Int(i32::try_from(number).unwrap_or(i32::MAX));
    run.catalog()
        .build("Count")
        .set("value", value)
        .set("precision", Value::from(precision))
        .value()
}
