//! What sources supply: records, the values in them, and the keys they are found by.

pub mod email;
pub mod id;
pub mod secret;
pub mod value;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::record::value::{Object, Value};

/// One vendor record, mapped to the shape that the graph gives its entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Key of the source it came from.
    pub source: Arc<str>,
    /// Name of the entity.
    pub entity: Arc<str>,
    /// The vendor's name for this kind of object.
    pub remote_type: Arc<str>,
    /// The vendor's id for the record.
    pub remote_id: Arc<str>,
    /// The mapped fields.
    pub data: Arc<Object>,
    /// Foreign keys by link name.
    pub links: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// What the record can be recognised by in other sources.
    pub identifiers: Vec<Identifier>,
    /// Values outside the graph's own fields.
    pub custom: Vec<CustomValue>,
    /// Address of the record in the vendor's own user interface.
    pub remote_url: Option<Arc<str>>,
    /// When the vendor created it, RFC 3339 in UTC.
    pub created_at: Option<Arc<str>>,
    /// When the vendor last changed it, RFC 3339 in UTC.
    pub updated_at: Option<Arc<str>>,
    /// Whether the vendor marks it as deleted.
    pub deleted: bool,
    /// Hash of the mapped content.
    pub content_hash: Arc<str>,
}

impl Record {
    /// The keys stored under that link.
    pub fn link(&self, name: &str) -> &[Arc<str>] {
        self.links
            .iter()
            .find(|(link, _)| &**link == name)
            .map_or(&[], |(_, keys)| keys)
    }

    /// Roughly how many bytes the record holds on to.
    pub fn weight(&self) -> usize {
        let links: usize = self
            .links
            .iter()
            .map(|(_, keys)| 32 + keys.len() * 32)
            .sum();
        let custom: usize = self
            .custom
            .iter()
            .map(|custom| 64 + custom.value.weight())
            .sum();
        256 + self.data.weight() + links + custom + self.identifiers.len() * 96
    }
}

/// Kinds of identifier that link records of different sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum IdentifierKind {
    /// Another system's id, within a namespace.
    ExternalId,
    /// An e-mail address.
    Email,
}

impl IdentifierKind {
    /// The name of the kind in the graph.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ExternalId => "EXTERNAL_ID",
            Self::Email => "EMAIL",
        }
    }
}

/// Who vouches for an identifier.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Typed in by the customer.
    SelfAsserted,
    /// Entered by employees.
    Staff,
    /// Confirmed by the vendor.
    Verified,
}

/// Something a customer record is recognised by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// Which kind it is.
    pub kind: IdentifierKind,
    /// The issuing system, for external ids.
    pub namespace: Option<Arc<str>>,
    /// The value as the source wrote it.
    pub value: Arc<str>,
    /// The value as it is compared.
    pub normalized: Arc<str>,
    /// Whether the source vouches for it; `None` when the source does not say.
    pub verified: Option<bool>,
}

/// A value that a connector file maps outside the graph's own fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomValue {
    /// Key within the source's namespace.
    pub key: Arc<str>,
    /// Label for people.
    pub label: Option<Arc<str>>,
    /// Declared type, a `CustomFieldType` of the graph.
    pub kind: Arc<str>,
    /// The value.
    pub value: Value,
}

/// A record together with how old this reading of it is.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The record.
    pub record: Arc<Record>,
    /// When it was read from the vendor.
    pub fetched_at: DateTime<Utc>,
    /// When the copy stops being fresh.
    pub expires_at: DateTime<Utc>,
    /// How it was obtained for this request.
    pub age: Age,
}

/// Age class of a copy, in the order from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Age {
    /// Read from the vendor for this request.
    Live,
    /// Served from cache within its time to live.
    Cached,
    /// Served from cache past its time to live.
    Stale,
}

impl Age {
    /// The name of the class in the graph.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "LIVE",
            Self::Cached => "CACHED",
            Self::Stale => "STALE",
        }
    }
}
