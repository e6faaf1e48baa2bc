//! Root lists: an entity over all its sources, as one merged, lazily read list.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use futures_util::future::join_all;

use crate::connector::operation::Operation;
use crate::connector::{Ask, Connector};
use crate::error::Code;
use crate::fetch::group::write_ask;
use crate::fetch::status::{SourceStatus, add};
use crate::fetch::{Question, ReadPolicy};
use crate::record::Reading;
use crate::resolve::argument::Arguments;
use crate::resolve::condition::{Condition, Targets, applied_here, conditions, is_wanted, pushed};
use crate::resolve::item::{Child, Item, Resolved};
use crate::resolve::order::{Order, Place, SortKey, compare_keys, key};
use crate::resolve::page::{Cursor, Cut, Positions, Row, list_hash, page};
use crate::resolve::policy::sight;
use crate::resolve::relation::{is_shown, node_type, operation_by, permitted_order, targets};
use crate::resolve::{FieldError, Run, entity, identity};
use crate::schema::{FieldDef, Matches, ObjectDef, TypeDef};

/// How many pages of one source one request reads at the most.
const PAGES_MAX: usize = 20;

type Position = Option<Arc<str>>;

/// One source's part of the list, read page by page.
#[derive(Debug)]
struct Stream<'r> {
    connector: &'r Arc<Connector>,
    entity: Arc<str>,
    ask: Ask,
    /// Whether the source answers in the asked order, so that its pages can be read one by one.
    in_order: bool,
    buffer: VecDeque<(Reading, Place, Position)>,
    /// Position of the next page; `None` when there is none.
    next: Option<Position>,
    pages_read: usize,
    total: Option<u64>,
    status: SourceStatus,
    /// Vendor ids of what was read: a page that moved under the reader shows records again.
    read: BTreeSet<Arc<str>>,
    /// Whether the row that the cursor stands on is still looked for.
    resuming: bool,
    /// Position of a page that could not be read.
    failed: Option<Position>,
    /// Value and ids of the rows that were given last and that the order does not tell apart.
    ties: (SortKey, Vec<Arc<str>>),
}

#[derive(Debug)]
struct Listing<'r> {
    target: &'r TypeDef,
    def: &'r ObjectDef,
    conditions: Vec<Condition>,
    targets: Targets,
    order: Order,
    cursor: Option<Cursor>,
    first: usize,
    hash: String,
}

/// Resolves a root list.
pub async fn list(run: &Run, field: &FieldDef, arguments: &Arguments) -> Resolved {
    let Some((target, def)) = node_type(run, &field.ty.name) else {
        return Err(FieldError::new(Code::Internal, "the list has no entity"));
    };
    let hash = list_hash(&field.name, arguments);
    let conditions = conditions(run.catalog(), field, arguments);
    run.view
        .check_conditions(run.catalog(), (target, def), &conditions)?;
    let order = permitted_order(run, target, field, arguments)?;
    let listing = Listing {
        target,
        def,
        targets: targets(run, &target.name, &conditions).await?,
        order,
        cursor: Cursor::read_root(arguments, &hash)?,
        first: arguments.first(run.resolver.page_size_max)?,
        conditions,
        hash,
    };
    let mut streams = listing.streams(run);
    let by_link = listing.by_link(run, &mut streams).await;
    let mut rows = Vec::new();
    while rows.len() <= listing.first {
        listing.fill(run, &mut streams).await;
        let Some(row) = listing.take_least(&mut streams) else {
            break;
        };
        rows.push(row);
    }
    // The sources count records that the caller does not see, and how far they were read tells of those too.
    let is_ruled = run.view.has_rule(&listing.target.name);
    let total = (!is_ruled)
        .then(|| listing.total(&streams, rows.len(), by_link))
        .flatten();
    let mut statuses = Vec::new();
    for stream in streams {
        add(&mut statuses, stream.status);
    }
    let cut = Cut {
        ty: listing.target.id,
        hash: listing.hash.clone(),
        first: listing.first,
        policy: ReadPolicy::CacheFirst,
        parents: Vec::new(),
    };
    Ok(Child::Item(Item::Page(Arc::new(page(
        &cut, rows, total, statuses,
    )))))
}

impl<'r> Listing<'r> {
    fn streams(&self, run: &'r Run) -> Vec<Stream<'r>> {
        let anchors_only = &*self.target.name == identity::CUSTOMER;
        run.resolver
            .fetch
            .sources()
            .iter()
            .filter(|connector| connector.operation(&self.target.name, "list").is_some())
            .filter(|connector| {
                !anchors_only || run.resolver.order.anchors.contains(&connector.source)
            })
            .filter(|connector| is_wanted(&self.conditions, &connector.source))
            .filter_map(|connector| {
                let operation = connector.operation(&self.target.name, "list")?;
                let mut ask = pushed(operation, &self.conditions);
                let named = self
                    .order
                    .name
                    .as_ref()
                    .map(|name| (name.clone(), self.order.descending));
                let pushes = named
                    .as_ref()
                    .is_some_and(|order| operation.sorts.contains(order));
                if pushes {
                    ask.sort.clone_from(&named);
                }
                let in_order = pushes
                    || self.order.path.is_none()
                    || operation.sorted == named && named.is_some();
                let mut status = SourceStatus::new(connector.source.clone(), "CACHED");
                status.filtered_locally = applied_here(operation, &ask, &self.conditions);
                let cursor = self.cursor.as_ref().filter(|_| in_order);
                let rank = run.resolver.order.rank(&connector.source);
                let own = cursor.filter(|cursor| cursor.place.rank == rank);
                let ended =
                    cursor.is_some_and(|cursor| cursor.positions.ended.contains(&connector.source));
                let start: Position = cursor
                    .and_then(|cursor| cursor.positions.pages.get(&connector.source).cloned())
                    .unwrap_or_default();
                Some(Stream {
                    connector,
                    entity: self.target.name.clone(),
                    ask,
                    in_order,
                    buffer: VecDeque::new(),
                    next: (!ended).then_some(start),
                    pages_read: 0,
                    total: None,
                    status,
                    read: BTreeSet::new(),
                    resuming: own.is_some(),
                    failed: None,
                    ties: own.map_or_else(
                        || (SortKey::Nothing, Vec::new()),
                        |cursor| (cursor.place.key.clone(), cursor.ties.clone()),
                    ),
                })
            })
            .collect()
    }

    /// Where a condition names the records that the list belongs to, asks for those instead of reading everything.
    async fn by_link(&self, run: &'r Run, streams: &mut [Stream<'r>]) -> bool {
        let Some(link) = self
            .conditions
            .iter()
            .find_map(|condition| match &condition.matches {
                Matches::Link(link) => Some(link.clone()),
                Matches::Field(_) | Matches::Source => None,
            })
        else {
            return false;
        };
        let operation_name = operation_by(&link);
        let mut all = true;
        for stream in streams.iter_mut() {
            let Some(operation) = stream
                .connector
                .operation(&self.target.name, &operation_name)
            else {
                all = false;
                continue;
            };
            let source = &stream.connector.source;
            let ask = pushed(operation, &self.conditions);
            stream.status.filtered_locally = applied_here(operation, &ask, &self.conditions);
            let ids = self
                .targets
                .get(&link)
                .and_then(|sources| sources.get(source));
            let keys: Vec<Arc<str>> = ids.into_iter().flatten().cloned().collect();
            // All of it is at hand at once, so that the gateway sorts it.
            stream.next = None;
            stream.in_order = false;
            stream.resuming = false;
            let question = Question {
                source: source.clone(),
                entity: self.target.name.clone(),
                operation: operation_name.as_str().into(),
                ask: write_ask(&ask),
                policy: ReadPolicy::CacheFirst,
            };
            for outcome in run.loader.load(&question, &keys).await {
                let status = SourceStatus::of(source, &outcome);
                stream.status.absorb(status);
                if let Ok(answer) = outcome {
                    let readings: Vec<Reading> = entity::readings(&answer).collect();
                    let readings =
                        sight::shown(run, self.target, readings, ReadPolicy::CacheFirst).await;
                    self.buffer(run, stream, readings, &None);
                }
            }
            self.sort(stream);
        }
        all
    }

    /// Reads on every stream that has nothing buffered and may have more.
    async fn fill(&self, run: &'r Run, streams: &mut [Stream<'r>]) {
        join_all(streams.iter_mut().map(|stream| async {
            while stream.next.is_some() && (stream.buffer.is_empty() || !stream.in_order) {
                if stream.pages_read >= PAGES_MAX {
                    stream.status.truncated = true;
                    stream.next = None;
                    break;
                }
                self.read_page(run, stream).await;
            }
        }))
        .await;
    }

    async fn read_page(&self, run: &'r Run, stream: &mut Stream<'r>) {
        let Some(position) = stream.next.take() else {
            return;
        };
        stream.pages_read += 1;
        let question = Question {
            source: stream.connector.source.clone(),
            entity: self.target.name.clone(),
            operation: "list".into(),
            ask: write_ask(&stream.ask),
            policy: ReadPolicy::CacheFirst,
        };
        let key: Arc<str> = position.clone().unwrap_or_else(|| "".into());
        let Some(outcome) = run.loader.load(&question, &[key]).await.pop() else {
            return;
        };
        stream
            .status
            .absorb(SourceStatus::of(&stream.connector.source, &outcome));
        let Ok(answer) = outcome else {
            // A later page of this list tries again.
            stream.failed = Some(position);
            return;
        };
        if stream.pages_read > 1 || position.is_some() {
            note_drift(stream);
        }
        stream.total = answer.group.total;
        stream.next = answer
            .group
            .next
            .clone()
            .filter(|next| Some(next) != position.as_ref())
            .map(Some);
        let readings: Vec<Reading> = entity::readings(&answer).collect();
        let readings = self.anchored(run, stream.connector, readings).await;
        let readings = sight::shown(run, self.target, readings, ReadPolicy::CacheFirst).await;
        self.buffer(run, stream, readings, &position);
        if !stream.in_order && stream.next.is_none() {
            self.sort(stream);
        }
    }

    /// Leaves out customers that a more authoritative source lists already.
    async fn anchored(
        &self,
        run: &Run,
        connector: &Connector,
        readings: Vec<Reading>,
    ) -> Vec<Reading> {
        let first = run.resolver.order.anchors.first();
        if &*self.target.name != identity::CUSTOMER || first == Some(&connector.source) {
            return readings;
        }
        let clusters = identity::resolve(run, &readings, ReadPolicy::CacheFirst).await;
        readings
            .into_iter()
            .zip(clusters)
            .filter(|(_, cluster)| {
                cluster
                    .members
                    .first()
                    .is_some_and(|anchor| anchor.reading.record.source == connector.source)
            })
            .map(|(reading, _)| reading)
            .collect()
    }

    fn buffer(
        &self,
        run: &Run,
        stream: &mut Stream<'_>,
        readings: Vec<Reading>,
        position: &Position,
    ) {
        let rank = run.resolver.order.rank(&stream.connector.source);
        // Within the page that holds the cursor's row, the source's own order tells what was seen: its way of ordering
        // equal values is not ours.
        let resumed = self.cursor.as_ref().filter(|_| stream.resuming);
        let seen_here = resumed.and_then(|cursor| {
            readings
                .iter()
                .position(|reading| reading.record.remote_id == cursor.place.id)
        });
        if seen_here.is_some() {
            stream.resuming = false;
        }
        for (index, reading) in readings.into_iter().enumerate() {
            let is_new = stream.read.insert(reading.record.remote_id.clone());
            let is_before = seen_here.is_some_and(|place| index <= place);
            if !is_new
                || is_before
                || !is_shown(run, &self.conditions, &self.targets, &reading.record)
            {
                continue;
            }
            let place = Place {
                key: key(run.catalog(), self.def, &reading.record, &self.order),
                rank,
                id: reading.record.remote_id.clone(),
            };
            if !self.is_seen(stream, &place) {
                stream.buffer.push_back((reading, place, position.clone()));
            }
        }
        // Once something lies after the cursor's row, that row is behind, removed or not.
        stream.resuming &= stream.buffer.is_empty();
    }

    /// Whether a row was given on an earlier page.
    fn is_seen(&self, stream: &Stream<'_>, place: &Place) -> bool {
        let Some(cursor) = &self.cursor else {
            return false;
        };
        let descending = self.order.descending;
        if !stream.in_order || cursor.place.rank != place.rank {
            return place.compare(&cursor.place, descending).is_le();
        }
        if !stream.resuming || self.order.path.is_none() {
            return false;
        }
        let order = compare_keys(&place.key, &cursor.place.key, descending);
        order.is_lt()
            || order.is_eq() && (place.id == cursor.place.id || cursor.ties.contains(&place.id))
    }

    fn sort(&self, stream: &mut Stream<'_>) {
        let descending = self.order.descending;
        stream
            .buffer
            .make_contiguous()
            .sort_by(|left, right| left.1.compare(&right.1, descending));
    }

    /// Takes the row that comes first among the streams' heads.
    fn take_least(&self, streams: &mut [Stream<'_>]) -> Option<Row> {
        let mut least: Option<(usize, Place)> = None;
        for (index, stream) in streams.iter().enumerate() {
            let Some((_, place, _)) = stream.buffer.front() else {
                continue;
            };
            let is_less = least
                .as_ref()
                .is_none_or(|(_, best)| place.compare(best, self.order.descending).is_lt());
            if is_less {
                least = Some((index, place.clone()));
            }
        }
        let (index, _) = least?;
        let stream = streams.get_mut(index)?;
        let (reading, place, position) = stream.buffer.pop_front()?;
        if stream.ties.0 != place.key {
            stream.ties = (place.key.clone(), Vec::new());
        }
        let ties = stream.ties.1.clone();
        if stream.in_order && self.order.path.is_some() {
            stream.ties.1.push(place.id.clone());
        }
        let mut positions = Positions::default();
        for (at, stream) in streams
            .iter()
            .enumerate()
            .filter(|(_, stream)| stream.in_order)
        {
            let source = stream.connector.source.clone();
            let head = stream
                .buffer
                .front()
                .map(|(_, _, position)| position.clone());
            if at == index {
                positions.pages.insert(source, position.clone());
            } else if let Some(position) = head
                .or_else(|| stream.next.clone())
                .or_else(|| stream.failed.clone())
            {
                positions.pages.insert(source, position);
            } else {
                positions.ended.insert(source);
            }
        }
        Some(Row {
            reading,
            place,
            positions,
            ties,
        })
    }

    /// The count of the list: what the sources told, else what was read of it.
    fn total(
        &self,
        streams: &[Stream<'_>],
        rows: usize,
        is_partial: bool,
    ) -> Option<(u64, &'static str)> {
        let local = streams
            .iter()
            .any(|stream| !stream.status.filtered_locally.is_empty());
        let failed = streams
            .iter()
            .any(|stream| stream.status.is_failure() || stream.status.truncated);
        let told: Option<u64> = streams.iter().map(|stream| stream.total).sum();
        if let Some(total) = told.filter(|_| !is_partial && !local) {
            return Some((total, if failed { "AT_LEAST" } else { "EXACT" }));
        }
        if self.cursor.is_some() {
            return None;
        }
        let waiting: usize = streams.iter().map(|stream| stream.buffer.len()).sum();
        let is_whole = !failed && streams.iter().all(|stream| stream.next.is_none());
        let read = u64::try_from(rows + waiting).unwrap_or(u64::MAX);
        Some((read, if is_whole { "EXACT" } else { "AT_LEAST" }))
    }
}

/// Says that pages asked for by a count move when records come or go: those that come are given once, but one that goes
/// may hide another.
fn note_drift(stream: &mut Stream<'_>) {
    let operation = stream.connector.operation(&stream.entity, "list");
    if operation.is_some_and(Operation::pages_drift) && stream.status.message.is_none() {
        stream.status.message = Some(format!(
            "source `{}` pages by a count: a record removed while the list is read may hide another",
            stream.connector.source
        ));
    }
}
