//! Keeps mapped vendor records: in this process, and behind it in a Redis that replicas share.
//!
//! The cache knows nothing of vendors. It serves what it holds and says whether that is fresh or stale; asking again,
//! and serving stale because a vendor fails, is decided by its caller. Redis is an aid: when it fails, reads are misses
//! and writes are dropped, and both are counted.

pub mod clock;
pub mod entry;
pub mod flight;
pub mod key;
pub mod permit;
pub mod quota;
pub mod redis;
pub mod refresh;
mod secret;
pub mod settings;
pub mod validity;
pub mod value;

mod memory;

use std::sync::Arc;

use metrics::counter;

use crate::cache::{
    clock::Clock,
    entry::{Entry, Lifetime, State},
    key::Key,
    memory::{Held, Memory},
    redis::RedisTier,
    refresh::{RefreshGuard, Refreshing},
    settings::CacheSettings,
    validity::Validity,
    value::Stored,
};

/// Where a hit was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// In this process.
    Memory,
    /// In Redis.
    Redis,
}

impl Tier {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
        }
    }
}

/// A value found in the cache.
#[derive(Debug, Clone)]
pub struct Hit<V> {
    /// The value with its times.
    pub entry: Arc<Entry<V>>,
    /// Whether it is fresh.
    pub state: State,
    /// Where it was found.
    pub tier: Tier,
    /// Ends when the entry is replaced in this process or forgotten.
    pub validity: Validity,
}

/// The two tiers as one cache.
#[derive(Debug)]
pub struct Cache<V: Stored> {
    memory: Memory<V>,
    redis: Option<Arc<RedisTier>>,
    refreshing: Refreshing,
    clock: Clock,
}

impl<V: Stored> Cache<V> {
    /// Makes an empty cache; Redis is connected to at its first use.
    pub fn new(settings: &CacheSettings, redis: Option<Arc<RedisTier>>, clock: Clock) -> Self {
        Self {
            memory: Memory::new(settings.memory_bytes_max, clock.clone()),
            redis,
            refreshing: Refreshing::default(),
            clock,
        }
    }

    /// Looks the keys up, one result per key in their order: in memory, then all that are missing there in Redis at once.
    pub async fn get_many(&self, keys: &[Key]) -> Vec<Option<Hit<V>>> {
        let mut hits = Vec::with_capacity(keys.len());
        let mut missing = Vec::new();
        for key in keys {
            let held = self.memory.get(key).await;
            let hit = held.and_then(|held| self.judge(held, Tier::Memory));
            if hit.is_none() {
                count(Tier::Memory, "miss");
                missing.push(key);
            }
            hits.push(hit);
        }
        let Some(redis) = self.redis.as_ref().filter(|_| !missing.is_empty()) else {
            return hits;
        };
        let found = self.read_redis(redis, &missing).await;
        let gaps = hits.iter_mut().filter(|hit| hit.is_none());
        for (gap, hit) in gaps.zip(found) {
            *gap = hit;
        }
        hits
    }

    /// Keeps the values in both tiers. Returns after Redis answered or its short write time is over; its failure is
    /// logged and counted only, since the values are in memory.
    pub async fn put_many(&self, entries: Vec<(Key, V, Lifetime)>) {
        let now = self.clock.now();
        let mut writes = Vec::new();
        for (key, value, lifetime) in entries {
            let entry = Arc::new(Entry::new(&key, value, lifetime, now));
            self.memory.put(key.clone(), Arc::clone(&entry)).await;
            if self.redis.is_none() {
                continue;
            }
            match entry.encode() {
                Ok(bytes) => {
                    let ttl = entry.redis_ttl(&key, now);
                    writes.push((key, bytes, ttl));
                }
                Err(error) => {
                    counter!("tributary_cache_unencodable_total").increment(1);
                    tracing::warn!(error = %error, cache.key = ?key, "a record could not be encoded for redis");
                }
            }
        }
        if let Some(redis) = &self.redis {
            redis.write(&writes).await;
        }
    }

    /// Forgets the keys in this process and in Redis; other replicas may serve their own copy until it expires.
    pub async fn invalidate(&self, keys: &[Key]) {
        for key in keys {
            self.memory.forget(key).await;
        }
        if let Some(redis) = &self.redis {
            redis.forget(keys).await;
        }
    }

    /// The right to refresh the key in the background, unless a refresh of it runs in this process already.
    pub fn try_begin_refresh(&self, key: &Key) -> Option<RefreshGuard> {
        self.refreshing.try_begin(key)
    }

    /// The Redis tier, for readiness.
    pub fn redis(&self) -> Option<&Arc<RedisTier>> {
        self.redis.as_ref()
    }

    /// The bytes the records in memory take, after what was put is accounted for.
    pub async fn memory_bytes(&self) -> u64 {
        self.memory.bytes().await
    }

    async fn read_redis(&self, redis: &RedisTier, keys: &[&Key]) -> Vec<Option<Hit<V>>> {
        let Some(values) = redis.read(keys).await else {
            for _ in keys {
                count(Tier::Redis, "error");
            }
            return Vec::new();
        };
        let mut hits = Vec::with_capacity(keys.len());
        for (key, bytes) in keys.iter().zip(values) {
            let Some(bytes) = bytes else {
                count(Tier::Redis, "miss");
                hits.push(None);
                continue;
            };
            let entry = match Entry::decode(&bytes) {
                Ok(entry) => Arc::new(entry),
                Err(error) => {
                    count(Tier::Redis, "error");
                    tracing::debug!(error = %error, cache.key = ?key, "a cached record could not be read");
                    hits.push(None);
                    continue;
                }
            };
            let validity = Validity::default();
            let mut hit = self.judge(Held { entry, validity }, Tier::Redis);
            match &mut hit {
                Some(hit) => {
                    let entry = Arc::clone(&hit.entry);
                    hit.validity = self.memory.put((*key).clone(), entry).await;
                }
                None => count(Tier::Redis, "miss"),
            }
            hits.push(hit);
        }
        hits
    }

    /// Makes a hit of an entry that may still be served.
    fn judge(&self, held: Held<V>, tier: Tier) -> Option<Hit<V>> {
        let Held { entry, validity } = held;
        let state = entry.state(self.clock.now())?;
        match state {
            State::Fresh => count(tier, "fresh"),
            State::Stale => count(tier, "stale"),
        }
        Some(Hit {
            entry,
            state,
            tier,
            validity,
        })
    }
}

fn count(tier: Tier, state: &'static str) {
    counter!("tributary_cache_lookups_total", "tier" => tier.as_str(), "state" => state)
        .increment(1);
}
