//! The verified caller of a request.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// Who asks, and what the proof allows.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who vouches for the caller: the issuer of a token, or this gateway for keys and certificates.
    pub issuer: String,
    /// Whom the proof names; a subject is unique within its issuer only.
    pub subject: String,
    /// Tenant of the caller, when the proof names one.
    pub tenant: Option<String>,
    /// Scopes of the proof together with those its roles bundle.
    pub scopes: BTreeSet<String>,
    /// Roles of the caller.
    pub roles: BTreeSet<String>,
    /// Everything that the proof claims, for the rules on records; bounded by the size of a proof.
    pub claims: Map<String, Value>,
    /// When the proof ends.
    pub expires_at: DateTime<Utc>,
}

impl Caller {
    /// Whether the caller holds every scope of at least one of the alternatives; no alternatives means no demand.
    pub fn has_any_of(&self, alternatives: &[Vec<String>]) -> bool {
        alternatives.is_empty()
            || alternatives
                .iter()
                .any(|scopes| scopes.iter().all(|scope| self.scopes.contains(scope)))
    }
}
