//! Sources as connector files describe them. (Interface draft.)

pub mod language;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::record::Record;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub struct CallFailure {
    pub class: FailureClass,
    pub retry_after: Option<Duration>,
    pub vendor_code: Option<String>,
    pub detail: String,
}

#[derive(Debug, Clone)]
pub struct Refusal {
    pub reason: String,
}

#[derive(Debug, Clone, Default)]
pub struct Ask {
    pub filter: Vec<(Arc<str>, serde_json::Value)>,
    pub sort: Option<(Arc<str>, bool)>,
    pub size: usize,
}

#[derive(Debug, Clone, Default)]
pub struct KeyResult {
    pub records: Vec<Arc<Record>>,
    pub truncated: bool,
    pub refused: Vec<Refusal>,
    pub total: Option<u64>,
}

#[derive(Debug, Clone, Default)]
pub struct ListPage {
    pub records: Vec<Arc<Record>>,
    pub next: Option<String>,
    pub total: Option<u64>,
    pub refused: Vec<Refusal>,
    pub latency: Duration,
}

#[derive(Debug)]
pub struct Operation {
    pub entity: Arc<str>,
    pub name: Arc<str>,
    pub batch_max: Option<usize>,
    pub fresh: Duration,
    pub stale: Duration,
    pub not_found: Duration,
    pub filters: Vec<PushedFilter>,
    pub sorts: Vec<(Arc<str>, bool)>,
    pub sorted: Option<(Arc<str>, bool)>,
}

impl Operation {
    /// Whether the source can evaluate this value of the filter (an enum value may have no counterpart there).
    pub fn can_push(&self, name: &str, value: &serde_json::Value) -> bool {
        let _ = (name, value);
        true
    }
}

#[derive(Debug, Clone)]
pub struct PushedFilter {
    pub name: Arc<str>,
    pub partial: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Protocol {
    Rest,
    Soap,
    Graphql,
}
impl Protocol {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "REST",
            Self::Soap => "SOAP",
            Self::Graphql => "GRAPHQL",
        }
    }
}

/// Health in the graph's words.
#[derive(Debug)]
pub struct SourceHealth {
    pub state: &'static str,
    pub since: chrono::DateTime<chrono::Utc>,
    pub last_success_at: Option<chrono::DateTime<chrono::Utc>>,
    pub last_failure: Option<&'static str>,
    pub rate_limit_remaining: Option<u64>,
    pub rate_limit_reset_at: Option<chrono::DateTime<chrono::Utc>>,
}

#[derive(Debug)]
pub struct Connector {
    pub source: Arc<str>,
    pub name: Arc<str>,
    pub vendor: Arc<str>,
    pub category: Arc<str>,
    pub protocol: Protocol,
    pub digest: Arc<str>,
    pub operations: Vec<Operation>,
    /// The namespace (source key) of the external ids that this source's customers store and `byExternalId` looks up.
    pub external_namespace: Option<Arc<str>>,
    /// Who vouches for this source's e-mail addresses.
    pub email_trust: crate::record::Trust,
}

impl Connector {
    /// Key of the source that a link's keys belong to.
    pub fn link_source(&self, entity: &str, link: &str) -> Arc<str> {
        let _ = (entity, link);
        self.source.clone()
    }
    pub fn operations_of<'a>(&'a self, entity: &'a str) -> impl Iterator<Item = &'a Operation> {
        self.operations
            .iter()
            .filter(move |op| &*op.entity == entity)
    }
    pub fn health(&self) -> SourceHealth {
        SourceHealth {
            state: "HEALTHY",
            since: chrono::Utc::now(),
            last_success_at: None,
            last_failure: None,
            rate_limit_remaining: None,
            rate_limit_reset_at: None,
        }
    }
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
