//! The verified caller of a request.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::auth::AuthError;

/// The longest time that a timer of the runtime is asked to wait; a proof that lives longer is looked at again then.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

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

    /// Waits until the caller's proof ends by itself.
    pub async fn expired(&self) -> AuthError {
        loop {
            let left = (self.expires_at - Utc::now()).to_std().unwrap_or_default();
            if left.is_zero() {
                return AuthError::invalid("the token has expired");
            }
            tokio::time::sleep(left.min(WAIT_MAX)).await;
        }
    }
}
