//! The verified caller of a request.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

/// Who asks, and what the proof allows.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Issuer of the token; a subject is unique within its issuer only.
    pub issuer: String,
    /// Subject of the token.
    pub subject: String,
    /// Tenant of the token, when it names one.
    pub tenant: Option<String>,
    /// Scopes of the token together with those its roles bundle.
    pub scopes: BTreeSet<String>,
    /// Roles of the token.
    pub roles: BTreeSet<String>,
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
