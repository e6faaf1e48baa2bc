//! The per-request loader: questions that branches of one request ask at the same time become one batch.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::connector::failure::FailureClass;
use crate::fetch::{Failure, Fetch, Outcome, Question};

type Batch = Shared<BoxFuture<'static, Arc<BTreeMap<Arc<str>, Outcome>>>>;

#[derive(Debug, Default)]
struct Pending {
    keys: Vec<Arc<str>>,
    batch: Option<Batch>,
}

type Open = Arc<Mutex<BTreeMap<Question, Pending>>>;

/// Gathers the questions of one request. A batch is sent once every branch that can ask now has asked: its future
/// gives way to the request's other branches once before it takes the keys, so no timer decides how full it is.
#[derive(Debug)]
pub struct Loader {
    fetch: Arc<Fetch>,
    open: Open,
    deadline: Instant,
}

impl Loader {
    /// A loader for one request, which ends at `deadline`.
    pub fn new(fetch: Arc<Fetch>, deadline: Instant) -> Self {
        Self {
            fetch,
            open: Open::default(),
            deadline,
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
        let outcomes = self.join(question, keys).await;
        let lost = || {
            Err(Arc::new(Failure {
                source: question.source.clone(),
                operation: format!("{}.{}", question.entity, question.operation).into(),
                class: FailureClass::InvalidResponse,
                retry_after_seconds: None,
            }))
        };
        keys.iter()
            .map(|key| outcomes.get(key).cloned().unwrap_or_else(lost))
            .collect()
    }

    fn join(&self, question: &Question, keys: &[Arc<str>]) -> Batch {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = open.entry(question.clone()).or_default();
        pending.keys.extend(keys.iter().cloned());
        if let Some(batch) = &pending.batch {
            return batch.clone();
        }
        let (fetch, deadline) = (self.fetch.clone(), self.deadline);
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
            Arc::new(fetch.ask(&question, &keys, deadline).await)
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
