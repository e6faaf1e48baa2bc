//! Questions to sources: through the request's loader, the cache and one flight per key, to the connector.

pub mod group;
pub mod loader;
pub mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::entry::{Entry, Lifetime, State};
use crate::cache::flight::Flights;
use crate::cache::key::Key;
use crate::cache::validity::Validity;
use crate::cache::{Cache, Hit, clock::Clock};
use crate::connector::failure::{CallFailure, FailureClass};
use crate::connector::operation::Operation;
use crate::connector::{Ask, Connector};
use crate::fetch::group::Group;
use crate::record::Age;
use crate::transport::charge::{Charge, Inside};
use crate::transport::terms::{Priority, Terms};

/// How a read uses the cache; the graph's `ReadPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum ReadPolicy {
    /// Fresh cache first, vendor otherwise, stale as a last resort.
    #[default]
    CacheFirst,
    /// Stale at once, revalidated behind.
    StaleWhileRevalidate,
    /// Never call a vendor.
    CacheOnly,
    /// Always call the vendor.
    Live,
}

impl ReadPolicy {
    /// Reads the graph's name of the policy.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "CACHE_FIRST" => Some(Self::CacheFirst),
            "STALE_WHILE_REVALIDATE" => Some(Self::StaleWhileRevalidate),
            "CACHE_ONLY" => Some(Self::CacheOnly),
            "LIVE" => Some(Self::Live),
            _ => None,
        }
    }
}

/// A typed look-up at one source, for a batch of keys of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Question {
    /// Key of the source.
    pub source: Arc<str>,
    /// Name of the entity.
    pub entity: Arc<str>,
    /// Name of the operation.
    pub operation: Arc<str>,
    /// What is asked beside the keys, in canonical JSON; empty for nothing.
    pub ask: Arc<str>,
    /// How the cache is used.
    pub policy: ReadPolicy,
}

/// Why a question has no answer for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Key of the source.
    pub source: Arc<str>,
    /// `Entity.operation`.
    pub operation: Arc<str>,
    /// The class of the failure.
    pub class: FailureClass,
    /// When to try again, in seconds.
    pub retry_after_seconds: Option<u64>,
}

/// The answer for one key.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The records.
    pub group: Arc<Group>,
    /// When they were read from the vendor.
    pub fetched_at: DateTime<Utc>,
    /// When they stop being fresh.
    pub expires_at: DateTime<Utc>,
    /// How they were obtained.
    pub age: Age,
    /// How long the vendor took, when it was asked for this answer.
    pub latency_ms: Option<u32>,
    /// Set when a stale copy is served because the vendor failed.
    pub failed: Option<Arc<Failure>>,
    /// For a cached answer: ends when another takes its place.
    pub validity: Option<Validity>,
}

/// The answer for one key, or why there is none.
pub type Outcome = Result<Reading, Arc<Failure>>;

/// Everything that answers questions.
#[derive(Debug)]
pub struct Fetch {
    /// The sources by key, in configured order.
    sources: Vec<Arc<Connector>>,
    cache: Cache<Arc<Group>>,
    flights: Flights<Key, Outcome>,
    clock: Clock,
    background: TaskTracker,
    stop: CancellationToken,
    refresh_deadline: std::time::Duration,
}

const ROUNDS_MAX: usize = 4;
const CHUNKS_AT_ONCE_MAX: usize = 64;

impl Fetch {
    /// Wires the sources to a cache. `refresh_deadline` bounds a refresh behind an answer.
    pub fn new(
        sources: Vec<Arc<Connector>>,
        cache: Cache<Arc<Group>>,
        clock: Clock,
        refresh_deadline: std::time::Duration,
    ) -> Self {
        Self {
            sources,
            cache,
            flights: Flights::default(),
            clock,
            background: TaskTracker::new(),
            stop: CancellationToken::new(),
            refresh_deadline,
        }
    }

    /// The sources, in configured order.
    pub fn sources(&self) -> &[Arc<Connector>] {
        &self.sources
    }

    /// The source of that key.
    pub fn source(&self, key: &str) -> Option<&Arc<Connector>> {
        self.sources
            .iter()
            .find(|connector| &*connector.source == key)
    }

    /// The cache, for readiness.
    pub fn cache(&self) -> &Cache<Arc<Group>> {
        &self.cache
    }

    /// The present time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Ends refreshes that run behind answers.
    pub async fn close(&self) {
        self.stop.cancel();
        self.background.close();
        self.background.wait().await;
    }

    /// Answers a question for many keys; the result has an outcome for every key. The calls it makes are on the bill of
    /// the terms; what another request's call answers is on that request's bill alone.
    pub async fn ask(
        self: &Arc<Self>,
        question: &Question,
        keys: &[Arc<str>],
        terms: &Terms,
    ) -> BTreeMap<Arc<str>, Outcome> {
        let Some((connector, operation)) = self.find(question) else {
            return fail_all(question, keys, FailureClass::Unsupported);
        };
        let cache_keys: Vec<Key> = keys
            .iter()
            .map(|key| cache_key(&connector, question, key))
            .collect();
        let mut outcomes = BTreeMap::new();
        let mut missing: Vec<(Arc<str>, Key)> = Vec::new();
        if question.policy == ReadPolicy::Live {
            missing = keys.iter().cloned().zip(cache_keys).collect();
        } else {
            let hits = self.cache.get_many(&cache_keys).await;
            let mut stale = Vec::new();
            let mut spared = Inside {
                keys: 0,
                records: 0,
            };
            for ((key, cache_key), hit) in keys.iter().zip(cache_keys).zip(hits) {
                match hit {
                    Some(hit) => {
                        if hit.state == State::Stale && question.policy != ReadPolicy::CacheOnly {
                            stale.push((key.clone(), cache_key));
                        } else {
                            spared.keys += 1;
                            spared.records += hit.entry.value.records.len();
                        }
                        outcomes.insert(key.clone(), Ok(cached(&hit)));
                    }
                    None if question.policy == ReadPolicy::CacheOnly => {
                        outcomes.insert(key.clone(), Err(failure(question, FailureClass::Skipped)));
                    }
                    None => missing.push((key.clone(), cache_key)),
                }
            }
            self.refresh_behind(&connector, question, stale);
            if let Some(saving) = saving(&connector, question, spared, missing.len()) {
                terms.bill.save(&saving);
            }
        }
        let led = self
            .load_missing(&connector, &operation, question, missing, terms)
            .await;
        outcomes.extend(led);
        outcomes
    }

    fn find(&self, question: &Question) -> Option<(Arc<Connector>, OperationAt)> {
        let connector = self.source(&question.source)?;
        connector.operation(&question.entity, &question.operation)?;
        let at = OperationAt {
            entity: question.entity.clone(),
            name: question.operation.clone(),
        };
        Some((connector.clone(), at))
    }

    /// Loads what the cache lacks: what this caller leads from the vendor, the rest from whoever leads it.
    async fn load_missing(
        self: &Arc<Self>,
        connector: &Arc<Connector>,
        operation: &OperationAt,
        question: &Question,
        missing: Vec<(Arc<str>, Key)>,
        terms: &Terms,
    ) -> BTreeMap<Arc<str>, Outcome> {
        let mut outcomes = BTreeMap::new();
        let mut open = missing;
        for _ in 0..ROUNDS_MAX {
            if open.is_empty() {
                return outcomes;
            }
            let by_cache_key: BTreeMap<Key, Arc<str>> = open
                .iter()
                .map(|(key, cache_key)| (cache_key.clone(), key.clone()))
                .collect();
            let (mut claim, followed) = self.flights.claim(open.iter().map(|(_, key)| key.clone()));
            let led: Vec<(Arc<str>, Key)> = claim
                .keys()
                .iter()
                .filter_map(|cache_key| {
                    Some((by_cache_key.get(cache_key)?.clone(), cache_key.clone()))
                })
                .collect();
            let answered = self.lead(connector, operation, question, led, terms).await;
            for (key, cache_key, outcome) in answered {
                claim.fulfil(&cache_key, outcome.clone());
                outcomes.insert(key, outcome);
            }
            drop(claim);
            open = Vec::new();
            for (cache_key, waiter) in followed {
                let Some(key) = by_cache_key.get(&cache_key).cloned() else {
                    continue;
                };
                match waiter.await {
                    Ok(outcome) => {
                        outcomes.insert(key, outcome);
                    }
                    Err(_abandoned) => open.push((key, cache_key)),
                }
            }
        }
        for (key, _) in open {
            outcomes.insert(key, Err(failure(question, FailureClass::Unavailable)));
        }
        outcomes
    }

    /// Asks the vendor for the keys this caller leads, in batches of the declared size.
    async fn lead(
        self: &Arc<Self>,
        connector: &Arc<Connector>,
        operation: &OperationAt,
        question: &Question,
        led: Vec<(Arc<str>, Key)>,
        terms: &Terms,
    ) -> Vec<(Arc<str>, Key, Outcome)> {
        if led.is_empty() {
            return Vec::new();
        }
        let mut answered = Vec::with_capacity(led.len());
        let mut unasked = led;
        if question.policy != ReadPolicy::Live {
            // Another flight may have ended between the first look and the claim.
            let cache_keys: Vec<Key> = unasked.iter().map(|(_, key)| key.clone()).collect();
            let hits = self.cache.get_many(&cache_keys).await;
            let mut still = Vec::new();
            for ((key, cache_key), hit) in unasked.into_iter().zip(hits) {
                match hit {
                    Some(hit) if hit.state == State::Fresh => {
                        answered.push((key, cache_key, Ok(cached(&hit))));
                    }
                    _ => still.push((key, cache_key)),
                }
            }
            unasked = still;
        }
        let size = connector
            .operation(&operation.entity, &operation.name)
            .and_then(|operation| operation.batch_max)
            .unwrap_or(1)
            .max(1);
        let chunks: Vec<&[(Arc<str>, Key)]> = unasked.chunks(size).collect();
        for wave in chunks.chunks(CHUNKS_AT_ONCE_MAX) {
            let calls = wave
                .iter()
                .map(|chunk| self.call(connector, operation, question, chunk, terms));
            for results in join_all(calls).await {
                answered.extend(results);
            }
        }
        answered
    }

    /// One batch: the vendor call, the cache, and an outcome for every key of it.
    async fn call(
        &self,
        connector: &Arc<Connector>,
        operation: &OperationAt,
        question: &Question,
        chunk: &[(Arc<str>, Key)],
        terms: &Terms,
    ) -> Vec<(Arc<str>, Key, Outcome)> {
        let Some(operation) = connector.operation(&operation.entity, &operation.name) else {
            return Vec::new();
        };
        let keys: Vec<Arc<str>> = chunk.iter().map(|(key, _)| key.clone()).collect();
        let ask = group::read_ask(&question.ask);
        let begun = Instant::now();
        let loaded = load_groups(connector, operation, &keys, &ask, terms).await;
        let latency = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
        match loaded {
            Ok(groups) => {
                let now = self.clock.now();
                let mut stored = Vec::with_capacity(groups.len());
                let mut answered = Vec::with_capacity(groups.len());
                for ((key, cache_key), group) in chunk.iter().zip(groups) {
                    let group = match group {
                        Ok(group) => group,
                        Err(error) => {
                            let failed = failed(question, &error);
                            answered.push((key.clone(), cache_key.clone(), Err(failed)));
                            continue;
                        }
                    };
                    let lifetime = lifetime(operation, &group);
                    let entry = Entry::new(cache_key, group.clone(), lifetime, now);
                    let mut read = reading(&entry, Age::Live);
                    read.latency_ms = Some(latency);
                    stored.push((cache_key.clone(), group, lifetime));
                    answered.push((key.clone(), cache_key.clone(), Ok(read)));
                }
                self.cache.put_many(stored).await;
                answered
            }
            Err(error) => {
                let failed = failed(question, &error);
                chunk
                    .iter()
                    .map(|(key, cache_key)| (key.clone(), cache_key.clone(), Err(failed.clone())))
                    .collect()
            }
        }
    }

    /// Refreshes stale entries behind the answer that served them.
    fn refresh_behind(
        self: &Arc<Self>,
        connector: &Arc<Connector>,
        question: &Question,
        stale: Vec<(Arc<str>, Key)>,
    ) {
        let mut guards = Vec::new();
        let mut due = Vec::new();
        for (key, cache_key) in stale {
            if let Some(guard) = self.cache.try_begin_refresh(&cache_key) {
                guards.push(guard);
                due.push((key, cache_key));
            }
        }
        if due.is_empty() {
            return;
        }
        let (fetch, connector) = (self.clone(), connector.clone());
        let question = Question {
            policy: ReadPolicy::Live,
            ..question.clone()
        };
        let operation = OperationAt {
            entity: question.entity.clone(),
            name: question.operation.clone(),
        };
        let stop = self.stop.clone();
        self.background.spawn(async move {
            let terms = Terms {
                priority: Priority::Background,
                ..Terms::from(Instant::now() + fetch.refresh_deadline)
            };
            let refresh = fetch.load_missing(&connector, &operation, &question, due, &terms);
            tokio::select! {
                _ = refresh => {}
                () = stop.cancelled() => {}
            }
            drop(guards);
        });
    }
}

/// Names an operation without borrowing its connector.
#[derive(Debug, Clone)]
struct OperationAt {
    entity: Arc<str>,
    name: Arc<str>,
}

/// Tells operators of a failure, and gives what callers hear of it.
fn failed(question: &Question, error: &CallFailure) -> Arc<Failure> {
    tracing::warn!(
        source.key = %question.source,
        operation.name = %format!("{}.{}", question.entity, question.operation),
        failure.class = ?error.class,
        failure.detail = %error,
        "a source failed to answer"
    );
    Arc::new(Failure {
        source: question.source.clone(),
        operation: operation_label(question),
        class: error.class,
        retry_after_seconds: error.retry_after.map(|wait| wait.as_secs().max(1)),
    })
}

async fn load_groups(
    connector: &Connector,
    operation: &Operation,
    keys: &[Arc<str>],
    ask: &Ask,
    terms: &Terms,
) -> Result<Vec<Result<Arc<Group>, CallFailure>>, CallFailure> {
    if &*operation.name == "list" {
        let mut groups = Vec::with_capacity(keys.len());
        for position in keys {
            let position = (!position.is_empty()).then_some(&**position);
            let page = connector
                .page(operation, position, ask, terms.clone())
                .await?;
            groups.push(Ok(Arc::new(Group::of_page(page))));
        }
        return Ok(groups);
    }
    let results = connector.load(operation, keys, ask, terms.clone()).await?;
    Ok(results
        .into_iter()
        .map(|mut result| match result.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(Arc::new(Group::of_key(result))),
        })
        .collect())
}

/// What the cache saved by answering some keys of a question: the calls for all of them, less those for the ones missing.
fn saving(
    connector: &Connector,
    question: &Question,
    spared: Inside,
    missing: usize,
) -> Option<Charge> {
    let operation = connector.operation(&question.entity, &question.operation)?;
    let size = operation.batch_max.unwrap_or(1).max(1);
    let all = spared.keys.saturating_add(missing).div_ceil(size);
    let calls = all.saturating_sub(missing.div_ceil(size));
    (spared.keys > 0)
        .then(|| connector.worth(operation, u64::try_from(calls).unwrap_or(u64::MAX), spared))
}

fn lifetime(operation: &Operation, group: &Group) -> Lifetime {
    if group.records.is_empty() {
        Lifetime {
            fresh: operation.not_found,
            stale: std::time::Duration::ZERO,
        }
    } else {
        Lifetime {
            fresh: operation.fresh,
            stale: operation.stale,
        }
    }
}

fn cache_key(connector: &Connector, question: &Question, key: &str) -> Key {
    Key::new(format!(
        "{}\u{1f}{}\u{1f}{}.{}\u{1f}{}\u{1f}{key}",
        question.source, connector.digest, question.entity, question.operation, question.ask
    ))
}

fn reading(entry: &Entry<Arc<Group>>, age: Age) -> Reading {
    Reading {
        group: entry.value.clone(),
        fetched_at: entry.fetched_at,
        expires_at: entry.expires_at,
        age,
        latency_ms: None,
        failed: None,
        validity: None,
    }
}

fn cached(hit: &Hit<Arc<Group>>) -> Reading {
    let age = match hit.state {
        State::Fresh => Age::Cached,
        State::Stale => Age::Stale,
    };
    let mut read = reading(&hit.entry, age);
    read.validity = Some(hit.validity.clone());
    read
}

fn operation_label(question: &Question) -> Arc<str> {
    format!("{}.{}", question.entity, question.operation).into()
}

fn failure(question: &Question, class: FailureClass) -> Arc<Failure> {
    Arc::new(Failure {
        source: question.source.clone(),
        operation: operation_label(question),
        class,
        retry_after_seconds: None,
    })
}

fn fail_all(
    question: &Question,
    keys: &[Arc<str>],
    class: FailureClass,
) -> BTreeMap<Arc<str>, Outcome> {
    let failed = failure(question, class);
    keys.iter()
        .map(|key| (key.clone(), Err(failed.clone())))
        .collect()
}
