//! The tier in this process, weighed by bytes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moka::{Expiry, future::Cache};

use crate::cache::{clock::Clock, entry::Entry, key::Key, value::Stored};

/// What an entry costs beside its key's text and its value: times, counters, table slots.
const ENTRY_OVERHEAD_BYTES: usize = 256;

#[derive(Debug)]
pub(crate) struct Memory<V: Stored> {
    entries: Cache<Key, Arc<Entry<V>>>,
}

impl<V: Stored> Memory<V> {
    pub(crate) fn new(bytes_max: u64, clock: Clock) -> Self {
        let entries = Cache::builder()
            .max_capacity(bytes_max)
            .weigher(|key: &Key, entry: &Arc<Entry<V>>| weigh(key, &entry.value))
            .expire_after(UntilStale { clock })
            .build();
        Self { entries }
    }

    pub(crate) async fn get(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        self.entries.get(key).await
    }

    pub(crate) async fn put(&self, key: Key, entry: Arc<Entry<V>>) {
        self.entries.insert(key, entry).await;
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

impl<V: Stored> Expiry<Key, Arc<Entry<V>>> for UntilStale {
    fn expire_after_create(
        &self,
        _key: &Key,
        entry: &Arc<Entry<V>>,
        _at: Instant,
    ) -> Option<Duration> {
        Some(entry.remaining(self.clock.now()))
    }

    fn expire_after_update(
        &self,
        _key: &Key,
        entry: &Arc<Entry<V>>,
        _at: Instant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.remaining(self.clock.now()))
    }
}
