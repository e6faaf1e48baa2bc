//! Sources as connector files describe them: read, checked and compiled at load, and asked at run time.
//!
//! [`check`] reads a file and tells all that is wrong with it; what it gives is compiled and needs no further checks. A
//! [`Connector`] joins it with the client that sends its calls.

mod align;
pub mod check;
mod compile;
pub(crate) mod content;
mod convert;
pub mod failure;
mod identifier;
pub mod language;
mod load;
mod map;
pub mod operation;
mod page;
pub mod reference;
mod render;
mod reply;
mod rule;
pub mod spec;
mod written;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use url::Url;

use crate::cache::redis::RedisTier;
use crate::connector::failure::{CallFailure, Refusal};
use crate::connector::map::RecordMap;
use crate::connector::operation::Operation;
use crate::connector::spec::Protocol;
use crate::record::{Record, Trust};
use crate::transport::charge::{Charge, Inside};
use crate::transport::client::SourceClient;
use crate::transport::failure::BuildError;
use crate::transport::health::{FailureClass as CallClass, HealthState};
use crate::transport::retry::Surroundings;
use crate::transport::settings::SourceSettings;

/// What a question asks beside its keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ask {
    /// Values of filters that the operation pushes down.
    pub filter: Vec<(Arc<str>, serde_json::Value)>,
    /// An order that the operation offers, and whether descending.
    pub sort: Option<(Arc<str>, bool)>,
    /// How many records a page of a list should have; 0 leaves it to the operation.
    pub size: usize,
}

/// What was found for one key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeyResult {
    /// The records, in the source's order.
    pub records: Vec<Arc<Record>>,
    /// Whether reading stopped at the operation's limits.
    pub truncated: bool,
    /// Records that were left out.
    pub refused: Vec<Refusal>,
    /// Records that broke a rule and stay, whole or without a field.
    pub notes: Vec<Refusal>,
    /// The exact count, when the source tells it.
    pub total: Option<u64>,
    /// The vendor's failure of this key alone.
    pub failure: Option<CallFailure>,
}

/// One page of a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListPage {
    /// The records, in the source's order.
    pub records: Vec<Arc<Record>>,
    /// Where the next page starts; none on the last page.
    pub next: Option<String>,
    /// The exact count, when the source tells it.
    pub total: Option<u64>,
    /// Records that were left out.
    pub refused: Vec<Refusal>,
    /// Records that broke a rule and stay, whole or without a field.
    pub notes: Vec<Refusal>,
    /// Whether there is more that can't be read, since the source's paging goes in circles.
    pub truncated: bool,
    /// How long the source took.
    pub latency: Duration,
}

/// How a source fares, in the graph's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceHealth {
    /// `SourceHealthState`.
    pub state: &'static str,
    /// Since when the state holds.
    pub since: DateTime<Utc>,
    /// When a call last succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
    /// `SourceResultState` of the last failure.
    pub last_failure: Option<&'static str>,
    /// How many calls the vendor says are left.
    pub rate_limit_remaining: Option<u64>,
    /// When the vendor's limit starts afresh.
    pub rate_limit_reset_at: Option<DateTime<Utc>>,
}

/// A connector file that was read without errors.
#[derive(Debug)]
pub struct Compiled {
    /// Key of the source.
    pub source: Arc<str>,
    /// Name for people.
    pub name: Arc<str>,
    /// The vendor's product.
    pub vendor: Arc<str>,
    /// `SourceCategory` of the graph.
    pub category: Arc<str>,
    /// What the vendor speaks.
    pub protocol: Protocol,
    /// Digest of all that mapped records depend on; part of every cache key.
    pub digest: Arc<str>,
    /// How the source is called.
    pub settings: SourceSettings,
    operations: Vec<Operation>,
    maps: BTreeMap<Arc<str>, RecordMap>,
    /// The sources that keys of links belong to, where it is another one: entity, link, source.
    foreign_links: Vec<(Arc<str>, Arc<str>, Arc<str>)>,
    external_namespace: Option<Arc<str>>,
    email_trust: Trust,
    zone: Option<Arc<str>>,
}

/// A source that can be asked.
#[derive(Debug)]
pub struct Connector {
    /// Key of the source.
    pub source: Arc<str>,
    /// Name for people.
    pub name: Arc<str>,
    /// The vendor's product.
    pub vendor: Arc<str>,
    /// `SourceCategory` of the graph.
    pub category: Arc<str>,
    /// What the vendor speaks.
    pub protocol: Protocol,
    /// Digest of all that mapped records depend on; part of every cache key.
    pub digest: Arc<str>,
    /// What the source can do.
    pub operations: Vec<Operation>,
    /// The namespace of the external ids that this source's customers store and `byExternalId` looks up.
    pub external_namespace: Option<Arc<str>>,
    /// Who vouches for this source's e-mail addresses.
    pub email_trust: Trust,
    maps: BTreeMap<Arc<str>, RecordMap>,
    foreign_links: Vec<(Arc<str>, Arc<str>, Arc<str>)>,
    zone: Option<Arc<str>>,
    url: Url,
    client: SourceClient,
    surroundings: Surroundings,
}

impl Connector {
    /// Joins a compiled file with a client of its own; reads the files that `tls` names, and connects nowhere.
    pub fn new(compiled: Compiled, surroundings: Surroundings) -> Result<Self, BuildError> {
        Ok(Self {
            url: compiled.settings.url.clone(),
            client: SourceClient::new(compiled.settings, surroundings)?,
            source: compiled.source,
            name: compiled.name,
            vendor: compiled.vendor,
            category: compiled.category,
            protocol: compiled.protocol,
            digest: compiled.digest,
            operations: compiled.operations,
            external_namespace: compiled.external_namespace,
            email_trust: compiled.email_trust,
            maps: compiled.maps,
            foreign_links: compiled.foreign_links,
            zone: compiled.zone,
            surroundings,
        })
    }

    /// Counts the source's limits together with the other replicas of that Redis; before the first call only.
    pub fn share_budget(&mut self, redis: Arc<RedisTier>) {
        self.client.share_budget(redis);
    }

    /// Whether the source's limits should be shared with replicas that can't be reached.
    pub fn is_budget_apart(&self) -> bool {
        self.client.is_budget_apart()
    }

    /// What the source's calls have cost since the start, by operation.
    pub fn charges(&self) -> Vec<Charge> {
        self.client.charges()
    }

    /// What calls of an operation that were not made would have cost.
    pub fn worth(&self, operation: &Operation, calls: u64, inside: Inside) -> Charge {
        self.client.worth(&operation.plan.label, calls, inside)
    }

    /// Whether an operation takes several keys in one call.
    pub fn takes_batches(&self, entity: &str, name: &str) -> bool {
        self.operation(entity, name)
            .is_some_and(|operation| operation.batch_max.is_some())
    }

    /// The operation of that name for an entity.
    pub fn operation(&self, entity: &str, name: &str) -> Option<&Operation> {
        self.operations
            .iter()
            .find(|op| &*op.entity == entity && &*op.name == name)
    }

    /// What the source can do for an entity.
    pub fn operations_of<'a>(&'a self, entity: &'a str) -> impl Iterator<Item = &'a Operation> {
        self.operations
            .iter()
            .filter(move |op| &*op.entity == entity)
    }

    /// Key of the source that the keys of a link belong to: this one unless the file says otherwise.
    pub fn link_source(&self, entity: &str, link: &str) -> Arc<str> {
        self.foreign_links
            .iter()
            .find(|(of, name, _)| &**of == entity && &**name == link)
            .map_or_else(|| self.source.clone(), |(_, _, source)| source.clone())
    }

    /// The vendor's name for the objects of an entity.
    pub fn remote_type(&self, entity: &str) -> Option<&Arc<str>> {
        self.maps.get(entity).map(|map| &map.remote_type)
    }

    /// How the source fares.
    pub fn health(&self) -> SourceHealth {
        let health = self.client.health();
        SourceHealth {
            state: match health.state {
                HealthState::Healthy => "HEALTHY",
                HealthState::Degraded => "DEGRADED",
                HealthState::Down => "DOWN",
                HealthState::Unauthorized => "UNAUTHORIZED",
            },
            since: health.since,
            last_success_at: health.last_success_at,
            last_failure: health.last_failure.map(|(class, _)| match class {
                CallClass::Timeout => "TIMEOUT",
                CallClass::Unreachable | CallClass::ServerError => "UNAVAILABLE",
                CallClass::RateLimited => "RATE_LIMITED",
                CallClass::Unauthorized => "UNAUTHORIZED",
                CallClass::InvalidReply => "INVALID_RESPONSE",
            }),
            rate_limit_remaining: health.rate_limit_remaining,
            rate_limit_reset_at: health.rate_limit_reset_at,
        }
    }
}
