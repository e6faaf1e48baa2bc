//! The per-request loader: questions that branches of one request ask at the same time become one batch.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::cache::validity::Validity;
use crate::connector::failure::FailureClass;
use crate::fetch::{Failure, Fetch, Outcome, Question};
use crate::record::Age;
use crate::transport::terms::Terms;

type Batch = Shared<BoxFuture<'static, Arc<BTreeMap<Arc<str>, Outcome>>>>;

#[derive(Debug, Default)]
struct Pending {
    keys: Vec<Arc<str>>,
    batch: Option<Batch>,
}

type Open = Arc<Mutex<BTreeMap<Question, Pending>>>;

/// What an answer rests on: it is true while every part stands, and until the first of them is no longer fresh.
#[derive(Debug, Default)]
pub struct Ground {
    /// The cached records it was made of.
    pub parts: Vec<Validity>,
    /// When the first of them stops being fresh; nothing for an answer made of no record.
    pub until: Option<DateTime<Utc>>,
}

/// Gathers the questions of one request. A batch is sent once every branch that can ask now has asked: its future
/// gives way to the request's other branches once before it takes the keys, so no timer decides how full it is.
#[derive(Debug)]
pub struct Loader {
    fetch: Arc<Fetch>,
    open: Open,
    /// What this request was told already: it is told the same again.
    told: Mutex<BTreeMap<Question, BTreeMap<Arc<str>, Outcome>>>,
    terms: Terms,
}

impl Loader {
    /// A loader for one request, whose calls are made on these terms.
    pub fn new(fetch: Arc<Fetch>, terms: Terms) -> Self {
        Self {
            fetch,
            open: Open::default(),
            told: Mutex::default(),
            terms,
        }
    }

    /// The sources and the cache behind the loader.
    pub fn fetch(&self) -> &Arc<Fetch> {
        &self.fetch
    }

    /// Answers a question for many keys; the outcomes are in the order of the keys.
    pub async fn load(&self, question: &Question, keys: &[Arc<str>]) -> Vec<Outcome> {
        if keys.is_empty() {
            return Vec::new();
        }
        let mut known = self.recall(question, keys);
        let unknown: Vec<Arc<str>> = keys
            .iter()
            .filter(|key| !known.contains_key(*key))
            .cloned()
            .collect();
        if !unknown.is_empty() {
            let outcomes = self.join(question, &unknown).await;
            let found = unknown.into_iter().filter_map(|key| {
                let outcome = outcomes.get(&key)?.clone();
                Some((key, outcome))
            });
            known.extend(found);
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let told = told.entry(question.clone()).or_default();
            told.extend(
                known
                    .iter()
                    .map(|(key, outcome)| (key.clone(), outcome.clone())),
            );
        }
        let lost = || {
            Err(Arc::new(Failure {
                source: question.source.clone(),
                operation: format!("{}.{}", question.entity, question.operation).into(),
                class: FailureClass::InvalidResponse,
                retry_after_seconds: None,
            }))
        };
        keys.iter()
            .map(|key| known.get(key).cloned().unwrap_or_else(lost))
            .collect()
    }

    /// What an answer made of all that this request was told rests on; nothing when a source was asked or failed, or
    /// when something told was stale.
    pub fn ground(&self) -> Option<Ground> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ground = Ground::default();
        for outcome in told.values().flat_map(BTreeMap::values) {
            let reading = outcome.as_ref().ok()?;
            if reading.age != Age::Cached || reading.failed.is_some() {
                return None;
            }
            ground.parts.push(reading.validity.clone()?);
            let until = ground.until.get_or_insert(reading.expires_at);
            *until = reading.expires_at.min(*until);
        }
        Some(ground)
    }

    fn recall(&self, question: &Question, keys: &[Arc<str>]) -> BTreeMap<Arc<str>, Outcome> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(told) = told.get(question) else {
            return BTreeMap::new();
        };
        keys.iter()
            .filter_map(|key| Some((key.clone(), told.get(key)?.clone())))
            .collect()
    }

    fn join(&self, question: &Question, keys: &[Arc<str>]) -> Batch {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = open.entry(question.clone()).or_default();
        pending.keys.extend(keys.iter().cloned());
        if let Some(batch) = &pending.batch {
            return batch.clone();
        }
        let (fetch, terms) = (self.fetch.clone(), self.terms.clone());
        let (waiting, question) = (self.open.clone(), question.clone());
        let batch = async move {
            GiveWay::default().await;
            let taken = waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&question);
            let mut keys = taken.map(|pending| pending.keys).unwrap_or_default();
            keys.sort();
            keys.dedup();
            Arc::new(fetch.ask(&question, &keys, &terms).await)
        }
        .boxed()
        .shared();
        pending.batch = Some(batch.clone());
        batch
    }
}

/// Lets everything else that is ready in this task run once.
#[derive(Debug, Default)]
struct GiveWay {
    gave: bool,
}

impl Future for GiveWay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.gave {
            return Poll::Ready(());
        }
        self.gave = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
