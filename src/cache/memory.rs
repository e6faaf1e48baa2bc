//! The tier in this process, weighed by bytes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moka::{Expiry, future::Cache, notification::RemovalCause};

use crate::cache::{clock::Clock, entry::Entry, key::Key, validity::Validity, value::Stored};

/// What an entry costs beside its key's text and its value: times, counters, table slots.
const ENTRY_OVERHEAD_BYTES: usize = 256;

/// An entry with its validity.
#[derive(Debug)]
pub(crate) struct Held<V: Stored> {
    pub(crate) entry: Arc<Entry<V>>,
    pub(crate) validity: Validity,
}

impl<V: Stored> Clone for Held<V> {
    fn clone(&self) -> Self {
        Self {
            entry: Arc::clone(&self.entry),
            validity: self.validity.clone(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Memory<V: Stored> {
    entries: Cache<Key, Held<V>>,
}

impl<V: Stored> Memory<V> {
    pub(crate) fn new(bytes_max: u64, clock: Clock) -> Self {
        let entries = Cache::builder()
            .max_capacity(bytes_max)
            .weigher(|key: &Key, held: &Held<V>| weigh(key, &held.entry.value))
            .expire_after(UntilStale { clock })
            .eviction_listener(|_, held: Held<V>, cause| match cause {
                RemovalCause::Replaced | RemovalCause::Explicit => held.validity.end(),
                RemovalCause::Expired | RemovalCause::Size => {}
            })
            .build();
        Self { entries }
    }

    pub(crate) async fn get(&self, key: &Key) -> Option<Held<V>> {
        self.entries.get(key).await
    }

    pub(crate) async fn put(&self, key: Key, entry: Arc<Entry<V>>) -> Validity {
        let validity = Validity::default();
        let held = Held {
            entry,
            validity: validity.clone(),
        };
        self.entries.insert(key, held).await;
        validity
    }

    pub(crate) async fn forget(&self, key: &Key) {
        self.entries.invalidate(key).await;
    }

    pub(crate) async fn bytes(&self) -> u64 {
        self.entries.run_pending_tasks().await;
        self.entries.weighted_size()
    }
}

fn weigh<V: Stored>(key: &Key, value: &V) -> u32 {
    let bytes = value
        .weight()
        .saturating_add(key.as_str().len())
        .saturating_add(ENTRY_OVERHEAD_BYTES);
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Frees an entry's memory once it must not be served any more; the entry's own times decide what is served.
struct UntilStale {
    clock: Clock,
}

impl<V: Stored> Expiry<Key, Held<V>> for UntilStale {
    fn expire_after_create(&self, _key: &Key, held: &Held<V>, _at: Instant) -> Option<Duration> {
        Some(held.entry.remaining(self.clock.now()))
    }

    fn expire_after_update(
        &self,
        _key: &Key,
        held: &Held<V>,
        _at: Instant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        Some(held.entry.remaining(self.clock.now()))
    }
}
