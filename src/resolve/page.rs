//! Pages of a list: places, cursors, cuts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Code;
use crate::fetch::ReadPolicy;
use crate::fetch::status::SourceStatus;
use crate::record::Reading;
use crate::record::value::{TypeId, Value};
use crate::resolve::FieldError;
use crate::resolve::argument::Arguments;
use crate::resolve::item::{Entity, Node, Page};
use crate::resolve::order::Place;

/// Vendors' own cursors travel inside ours, one for each source.
const CURSOR_BYTES_MAX: usize = 16 * 1024;
const DIGEST_BYTES: usize = 8;
/// How many ids of equal rows a cursor holds at the most.
const TIES_MAX: usize = 32;

/// Where to go on after a node: its place, and for each source the page in which its next records are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    hash: String,
    /// The place of the last node that was seen.
    pub place: Place,
    /// Position of the page to go on with, by source.
    pub positions: Positions,
    /// Vendor ids of the last rows that were seen of the same source with the same value, the newest last.
    #[serde(default)]
    pub ties: Vec<Arc<str>>,
    /// Digests of the records of the entity whose list it is; none of a list that has no parent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parents: Vec<u32>,
}

/// For each source the page in which its next records are; a source that is read to its end has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// Position of a page; the first has none.
    pub pages: BTreeMap<Arc<str>, Option<Arc<str>>>,
    /// Sources that are read to their end.
    pub ended: BTreeSet<Arc<str>>,
}

/// What makes two lists the same list: the field and its arguments, but not how much of it is asked for.
pub fn list_hash(name: &str, arguments: &Arguments) -> String {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    for (argument, value) in &arguments.0 {
        if !matches!(&**argument, "first" | "after") {
            hash.update(format!("\u{1f}{argument}\u{1f}{value}"));
        }
    }
    URL_SAFE_NO_PAD.encode(hash.finalize().get(..6).unwrap_or_default())
}

impl Cursor {
    /// A cursor of the list with that hash.
    pub fn new(hash: &str, place: Place, positions: Positions) -> Self {
        Self {
            hash: hash.to_owned(),
            place,
            positions,
            ties: Vec::new(),
            parents: Vec::new(),
        }
    }

    /// Notes whose list it is of.
    pub fn within(mut self, parents: &[u32]) -> Self {
        self.parents = parents.to_vec();
        self
    }

    /// Refuses a cursor of another entity's list. One record in common is enough, since a customer whose sources don't all
    /// answer is the same customer.
    pub fn check_parent(&self, parents: &[u32]) -> Result<(), FieldError> {
        let is_same = match parents {
            [] => self.parents.is_empty(),
            own => self.parents.iter().any(|parent| own.contains(parent)),
        };
        if is_same {
            return Ok(());
        }
        let message = "`after` belongs to the list of another entity";
        Err(FieldError::new(Code::InvalidCursor, message))
    }

    /// Notes rows that stand at the same value of the same source as the cursor's.
    pub fn with_ties(mut self, ties: impl IntoIterator<Item = Arc<str>>) -> Self {
        self.ties = ties.into_iter().collect();
        let surplus = self.ties.len().saturating_sub(TIES_MAX);
        self.ties.drain(..surplus);
        self
    }

    /// The cursor as callers see it. Its digest tells a damaged cursor; what a cursor names is checked where it is used,
    /// so that one made by hand reaches no more than its list.
    pub fn write(&self) -> String {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.extend(digest(&bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the `after` argument of a list that has no parent.
    pub fn read_root(arguments: &Arguments, hash: &str) -> Result<Option<Self>, FieldError> {
        let cursor = Self::read(arguments, hash)?;
        if let Some(cursor) = &cursor {
            cursor.check_parent(&[])?;
        }
        Ok(cursor)
    }

    /// Reads the `after` argument; whose list it is of is checked against each parent.
    pub fn read(arguments: &Arguments, hash: &str) -> Result<Option<Self>, FieldError> {
        let Some(text) = arguments.text("after") else {
            return Ok(None);
        };
        let refuse = |why: &str| FieldError::new(Code::InvalidCursor, format!("`after` {why}"));
        let bytes = (text.len() <= CURSOR_BYTES_MAX)
            .then(|| URL_SAFE_NO_PAD.decode(&text).ok())
            .flatten()
            .ok_or_else(|| refuse("is not a cursor of this gateway"))?;
        let cursor: Self = bytes
            .split_last_chunk::<DIGEST_BYTES>()
            .filter(|(text, told)| digest(text) == **told)
            .and_then(|(text, _)| serde_json::from_slice(text).ok())
            .ok_or_else(|| refuse("is not a cursor of this gateway"))?;
        if cursor.hash != hash {
            return Err(refuse("belongs to a list with other arguments"));
        }
        Ok(Some(cursor))
    }
}

/// What cursors of an entity's lists name it by.
pub fn parents_of(entity: &Entity) -> Vec<u32> {
    let digest = |reading: &Reading| {
        let record = &reading.record;
        let text = format!(
            "{}\u{1f}{}\u{1f}{}",
            record.source, record.entity, record.remote_id
        );
        let hash = Sha256::digest(text.as_bytes());
        hash.first_chunk().copied().map_or(0, u32::from_be_bytes)
    };
    entity.readings().map(digest).collect()
}

fn digest(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    let hash = Sha256::digest(bytes);
    hash.first_chunk().copied().unwrap_or_default()
}

/// A record with its place in a list.
#[derive(Debug, Clone)]
pub struct Row {
    /// The record.
    pub reading: Reading,
    /// Its place.
    pub place: Place,
    /// Where to go on after this row.
    pub positions: Positions,
    /// Rows before it that the list's order does not tell from it.
    pub ties: Vec<Arc<str>>,
}

/// What a page is cut with.
#[derive(Debug, Clone)]
pub struct Cut {
    /// The type of the nodes.
    pub ty: TypeId,
    /// The hash of the list.
    pub hash: String,
    /// How many nodes at the most.
    pub first: usize,
    /// How the nodes' parts are read.
    pub policy: ReadPolicy,
    /// What the cursors name the list's parent by.
    pub parents: Vec<u32>,
}

/// Makes a page of the first rows.
pub fn page(
    cut: &Cut,
    rows: Vec<Row>,
    total: Option<(u64, &'static str)>,
    statuses: Vec<SourceStatus>,
) -> Page {
    let has_next = rows.len() > cut.first;
    let mut page = Page {
        ty: cut.ty,
        nodes: Vec::with_capacity(cut.first.min(rows.len())),
        cursors: Vec::with_capacity(cut.first.min(rows.len())),
        has_next,
        total,
        statuses,
    };
    for row in rows.into_iter().take(cut.first) {
        page.cursors.push(
            Cursor::new(&cut.hash, row.place, row.positions)
                .with_ties(row.ties)
                .within(&cut.parents)
                .write(),
        );
        page.nodes.push(Node::Entity(Arc::new(Entity::of(
            cut.ty,
            row.reading,
            cut.policy,
        ))));
    }
    page
}

/// A page over a list that a record holds; a cursor is the place in that list.
pub fn embedded(
    ty: TypeId,
    list: &Value,
    hash: &str,
    arguments: &Arguments,
    max: usize,
) -> Result<Page, FieldError> {
    let first = arguments.first(max)?;
    let from = match Cursor::read(arguments, hash)? {
        Some(cursor) => cursor.place.rank + 1,
        None => 0,
    };
    let items = list.items();
    let shown: Vec<&Value> = items.iter().skip(from).take(first).collect();
    let cursor = |place: usize| {
        let place = Place {
            key: crate::resolve::order::SortKey::Nothing,
            rank: place,
            id: "".into(),
        };
        Cursor::new(hash, place, Positions::default()).write()
    };
    Ok(Page {
        ty,
        cursors: (from..from + shown.len()).map(cursor).collect(),
        has_next: items.len() > from + shown.len(),
        nodes: shown.into_iter().cloned().map(Node::Data).collect(),
        total: Some((items.len() as u64, "EXACT")),
        statuses: Vec::new(),
    })
}
