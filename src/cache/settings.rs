//! The settings of the cache.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much is cached, for how long, and where.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSettings {
    /// Memory that cached records may take in one process, in bytes.
    pub memory_bytes_max: u64,
    /// How long a record is served without asking the vendor again, in seconds.
    pub fresh_seconds: u64,
    /// How much longer it may be served while it is refreshed or the vendor fails, in seconds.
    pub stale_seconds: u64,
    /// How long it is remembered that a vendor has no such record, in seconds.
    pub not_found_seconds: u64,
    /// The Redis that replicas share.
    pub redis: RedisSettings,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            memory_bytes_max: 64 * 1024 * 1024,
            fresh_seconds: 60,
            stale_seconds: 600,
            not_found_seconds: 10,
            redis: RedisSettings::default(),
        }
    }
}

/// Where the shared Redis is and how long to wait for it.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// Address of the Redis, for example `redis://127.0.0.1:6379/0`; without it records are cached in memory only.
    pub url: Option<String>,
    /// Put in front of every key, so that several installations can share one Redis.
    pub prefix: String,
    /// How long a read waits for Redis before it counts as a miss, in milliseconds.
    pub timeout_ms: u64,
    /// How long a write waits for Redis before it is given up, in milliseconds.
    pub write_timeout_ms: u64,
    /// How long one attempt to connect may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// After a failure, how long Redis is left alone before it is tried again, in milliseconds.
    pub retry_after_ms: u64,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            url: None,
            prefix: "default".into(),
            timeout_ms: 50,
            write_timeout_ms: 250,
            connect_timeout_ms: 500,
            retry_after_ms: 1000,
        }
    }
}

impl RedisSettings {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms)
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn retry_after(&self) -> Duration {
        Duration::from_millis(self.retry_after_ms)
    }
}

// By hand, because the address may carry a password.
impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("url", &self.url.as_ref().map(|_| "***"))
            .field("prefix", &self.prefix)
            .field("timeout_ms", &self.timeout_ms)
            .field("write_timeout_ms", &self.write_timeout_ms)
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .field("retry_after_ms", &self.retry_after_ms)
            .finish()
    }
}
