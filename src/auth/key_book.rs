//! The API keys that count now: those of the file together with those that replicas share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::auth::AuthError;
use crate::auth::api_key::{ApiKey, split};
use crate::error::Code;

/// How many keys are kept at the most.
pub const KEYS_MAX: usize = 100_000;

/// Where a part of the keys comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The keys file of this machine.
    File,
    /// What replicas share.
    Shared,
}

#[derive(Debug, Default)]
struct Parts {
    by_origin: BTreeMap<Origin, Vec<ApiKey>>,
    /// Keys that were seen revoked. A part that is lost, as by a Redis that restarts empty, must not bring one back.
    revoked: BTreeSet<String>,
}

/// The keys that count now, replaced as a whole whenever a part of them changes.
#[derive(Debug, Default)]
pub struct KeyBook {
    parts: Mutex<Parts>,
    current: watch::Sender<Arc<BTreeMap<String, ApiKey>>>,
}

impl KeyBook {
    /// Takes what one origin says now.
    pub fn replace(&self, origin: Origin, keys: Vec<ApiKey>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let revoked = keys.iter().filter(|key| key.revoked_at.is_some());
        let revoked: Vec<String> = revoked.map(|key| key.id.clone()).collect();
        parts.revoked.extend(revoked);
        parts.by_origin.insert(origin, keys);
        let mut all: BTreeMap<String, ApiKey> = BTreeMap::new();
        for key in parts.by_origin.values().flatten().take(KEYS_MAX) {
            let known = all.entry(key.id.clone()).or_insert_with(|| key.clone());
            if known.revoked_at.is_none() && parts.revoked.contains(&key.id) {
                known.revoked_at = key.revoked_at.or(Some(key.created_at));
            }
        }
        self.current.send_replace(Arc::new(all));
    }

    /// The key of that text, if it counts now.
    pub fn find(&self, text: &str, now: DateTime<Utc>) -> Result<ApiKey, AuthError> {
        let refuse = || AuthError::new(Code::ApiKeyInvalid, "the API key is not known here");
        let (id, secret) = split(text).ok_or_else(refuse)?;
        let current = self.current.borrow().clone();
        let key = current.get(id).ok_or_else(refuse)?;
        if !key.has_secret(secret) {
            return Err(refuse());
        }
        if !key.is_valid(now) {
            return Err(ended());
        }
        Ok(key.clone())
    }

    /// Waits until the key of that id is revoked or gone.
    pub async fn withdrawn(&self, id: &str) -> AuthError {
        let mut current = self.current.subscribe();
        let is_withdrawn = |keys: &Arc<BTreeMap<String, ApiKey>>| {
            keys.get(id).is_none_or(|key| key.revoked_at.is_some())
        };
        // The sender is this book's, so waiting can't fail while the book is borrowed.
        let _ = current.wait_for(is_withdrawn).await;
        ended()
    }
}

/// Why a key that was good no longer counts.
pub(crate) fn ended() -> AuthError {
    AuthError::new(Code::ApiKeyEnded, "the API key has expired or was revoked")
}
