//! One background refresh per key: a stale hit of a hot key must not start one for every request.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use crate::cache::key::Key;

/// More refreshes than this at once would be a stampede of their own; further ones wait for the next stale hit.
const REFRESHES_MAX: usize = 4096;

/// The keys whose background refresh runs in this process.
#[derive(Debug, Clone, Default)]
pub struct Refreshing {
    keys: Arc<Mutex<HashSet<Key>>>,
}

impl Refreshing {
    /// The right to refresh the key, unless somebody has it or too many refreshes run.
    pub fn try_begin(&self, key: &Key) -> Option<RefreshGuard> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= REFRESHES_MAX || !keys.insert(key.clone()) {
            return None;
        }
        Some(RefreshGuard {
            keys: Arc::clone(&self.keys),
            key: key.clone(),
        })
    }
}

/// The right to refresh one key; it ends with the drop, however the refresh ended.
#[derive(Debug)]
pub struct RefreshGuard {
    keys: Arc<Mutex<HashSet<Key>>>,
    key: Key,
}

impl Drop for RefreshGuard {
    fn drop(&mut self) {
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}
