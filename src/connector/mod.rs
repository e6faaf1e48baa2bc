//! Sources as connector files describe them: checked, compiled, and asked.

pub mod language;
pub mod spec;
pub mod written;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::record::Record;

/// Class of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    Unauthorized,
    Forbidden,
    RateLimited,
    Timeout,
    Unavailable,
    InvalidResponse,
    Rejected,
    NotFound,
    Unsupported,
    Skipped,
}

/// A failed call.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub struct CallFailure {
    pub class: FailureClass,
    pub retry_after: Option<Duration>,
    pub vendor_code: Option<String>,
    pub detail: String,
}

/// A record that failed validation.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub reason: String,
}

/// What a call asks beside its keys.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    pub filter: Vec<(Arc<str>, serde_json::Value)>,
    pub sort: Option<(Arc<str>, bool)>,
    pub size: usize,
}

/// Records of one key.
#[derive(Debug, Clone, Default)]
pub struct KeyResult {
    pub records: Vec<Arc<Record>>,
    pub truncated: bool,
    pub refused: Vec<Refusal>,
    pub total: Option<u64>,
}

/// A page of a list.
#[derive(Debug, Clone, Default)]
pub struct ListPage {
    pub records: Vec<Arc<Record>>,
    pub next: Option<String>,
    pub total: Option<u64>,
    pub refused: Vec<Refusal>,
    pub latency: Duration,
}

/// An operation.
#[derive(Debug)]
pub struct Operation {
    pub entity: Arc<str>,
    pub name: Arc<str>,
    pub batch_max: Option<usize>,
    pub fresh: Duration,
    pub stale: Duration,
    pub not_found: Duration,
    pub filters: Vec<(Arc<str>, bool)>,
    pub sorts: Vec<(Arc<str>, bool)>,
    pub sorted: Option<(Arc<str>, bool)>,
    pub pages_max: usize,
}

/// A source.
#[derive(Debug)]
pub struct Connector {
    pub source: Arc<str>,
    pub digest: Arc<str>,
    pub operations: Vec<Operation>,
}

impl Connector {
    pub fn operation(&self, entity: &str, name: &str) -> Option<&Operation> {
        self.operations
            .iter()
            .find(|op| &*op.entity == entity && &*op.name == name)
    }
    pub async fn load(
        &self,
        op: &Operation,
        keys: &[Arc<str>],
        ask: &Ask,
        deadline: Instant,
    ) -> Result<Vec<KeyResult>, CallFailure> {
        let _ = (op, keys, ask, deadline);
        Ok(Vec::new())
    }
    pub async fn page(
        &self,
        op: &Operation,
        position: Option<&str>,
        ask: &Ask,
        deadline: Instant,
    ) -> Result<ListPage, CallFailure> {
        let _ = (op, position, ask, deadline);
        Ok(ListPage::default())
    }
}
