//! The tier in Redis: one multiplexed connection, short waits, and a breaker so that a dead Redis costs next to nothing.

use std::{
    fmt,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use metrics::gauge;
use redis::{
    Client, Pipeline, RedisError, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::time::Instant;

use crate::cache::{clock::Clock, key::Key, settings::RedisSettings};

/// Attempts to connect before the connection counts as failed; the breaker decides when the next round begins.
const CONNECT_RETRIES: usize = 2;
/// After so many waits in a row without an answer the connection is taken for half open and made anew.
const TIMEOUTS_MAX: u32 = 3;
/// Keys of one `MGET`, so that one huge batch does not hold up all others on the connection.
const KEYS_MAX: usize = 1000;

/// The address of the Redis cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the redis address is not valid")]
pub struct RedisAddressError(#[source] RedisError);

/// Whether Redis answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisStatus {
    /// It answered last time, or was not asked yet.
    Up,
    /// It does not answer.
    Down {
        /// Since when.
        since: DateTime<Utc>,
    },
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("redis did not answer in time")]
    Timeout,
    #[error("redis refused or dropped the command")]
    Redis(#[source] RedisError),
}

/// The breaker and the connection it guards.
#[derive(Default)]
struct Link {
    connection: Option<ConnectionManager>,
    down_since: Option<DateTime<Utc>>,
    probe_at: Option<Instant>,
    timeouts: u32,
}

/// Cached entries in Redis.
pub struct RedisTier {
    client: Client,
    settings: RedisSettings,
    clock: Clock,
    link: Mutex<Link>,
}

impl RedisTier {
    /// Reads the address; connects at the first use. Nothing when no address is set.
    pub fn new(settings: &RedisSettings, clock: Clock) -> Result<Option<Self>, RedisAddressError> {
        let Some(url) = &settings.url else {
            return Ok(None);
        };
        Ok(Some(Self {
            client: Client::open(url.as_str()).map_err(RedisAddressError)?,
            settings: settings.clone(),
            clock,
            link: Mutex::default(),
        }))
    }

    /// How it is reached.
    pub(crate) fn settings(&self) -> &RedisSettings {
        &self.settings
    }

    /// Whether Redis answered last time.
    pub fn status(&self) -> RedisStatus {
        match self.lock().down_since {
            None => RedisStatus::Up,
            Some(since) => RedisStatus::Down { since },
        }
    }

    /// Asks Redis for a sign of life, unless it failed a moment ago, and says how it stands; for readiness.
    pub async fn probe(&self) -> RedisStatus {
        let timeout = self.settings.timeout();
        self.guarded(timeout, |mut connection| async move {
            redis::cmd("PING").exec_async(&mut connection).await
        })
        .await;
        self.status()
    }

    /// The bytes under each key; nothing at all when Redis fails.
    pub(crate) async fn read(&self, keys: &[&Key]) -> Option<Vec<Option<Vec<u8>>>> {
        let mut values = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(KEYS_MAX) {
            let mut command = redis::cmd("MGET");
            for key in chunk {
                command.arg(self.name(key));
            }
            let work = |mut connection| async move { command.query_async(&mut connection).await };
            let found: Vec<Option<Vec<u8>>> = self.guarded(self.settings.timeout(), work).await?;
            values.extend(found);
        }
        Some(values)
    }

    /// Keeps the bytes for the given time each.
    pub(crate) async fn write(&self, entries: &[(Key, Vec<u8>, Duration)]) {
        for chunk in entries.chunks(KEYS_MAX) {
            let mut pipeline = Pipeline::with_capacity(chunk.len());
            for (key, bytes, ttl) in chunk {
                let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
                pipeline
                    .cmd("SET")
                    .arg(self.name(key))
                    .arg(bytes.as_slice())
                    .arg("PX")
                    .arg(ttl_ms)
                    .ignore();
            }
            self.run(pipeline).await;
        }
    }

    /// Removes the keys.
    pub(crate) async fn forget(&self, keys: &[Key]) {
        for chunk in keys.chunks(KEYS_MAX) {
            let mut pipeline = Pipeline::new();
            for key in chunk {
                pipeline.cmd("UNLINK").arg(self.name(key)).ignore();
            }
            self.run(pipeline).await;
        }
    }

    async fn run(&self, pipeline: Pipeline) {
        let work = |mut connection| async move { pipeline.exec_async(&mut connection).await };
        self.guarded(self.settings.write_timeout(), work).await;
    }

    /// The key's name in Redis. It is hashed always, so that no e-mail address stands in key names, dumps or slow logs.
    fn name(&self, key: &Key) -> String {
        format!("tributary:{}:{}", self.settings.prefix, key.hash_hex())
    }

    /// Runs the work within the time, when the breaker lets it, and notes how it went.
    pub(crate) async fn guarded<T, F>(
        &self,
        timeout: Duration,
        work: impl FnOnce(ConnectionManager) -> F,
    ) -> Option<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let connection = match self.admit() {
            Ok(connection) => connection?,
            Err(error) => {
                self.note_failure(&Failure::Redis(error));
                return None;
            }
        };
        let failure = match tokio::time::timeout(timeout, work(connection)).await {
            Ok(Ok(value)) => {
                self.note_success();
                return Some(value);
            }
            Ok(Err(error)) => Failure::Redis(error),
            Err(_elapsed) => Failure::Timeout,
        };
        self.note_failure(&failure);
        None
    }

    /// The connection, when Redis is up or due for a new try. While it is down one try per interval passes.
    fn admit(&self) -> RedisResult<Option<ConnectionManager>> {
        let mut link = self.lock();
        if let Some(probe_at) = link.probe_at {
            let now = Instant::now();
            if now < probe_at {
                return Ok(None);
            }
            link.probe_at = Some(now + self.settings.retry_after());
        }
        if let Some(connection) = &link.connection {
            return Ok(Some(connection.clone()));
        }
        let longest = self.settings.timeout().max(self.settings.write_timeout());
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(CONNECT_RETRIES)
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(self.settings.retry_after())
            .set_connection_timeout(Some(self.settings.connect_timeout()))
            .set_response_timeout(Some(longest));
        let connection = ConnectionManager::new_lazy_with_config(self.client.clone(), config)?;
        link.connection = Some(connection.clone());
        Ok(Some(connection))
    }

    fn note_success(&self) {
        let mut link = self.lock();
        link.timeouts = 0;
        link.probe_at = None;
        let was_down = link.down_since.take().is_some();
        drop(link);
        gauge!("tributary_cache_redis_up").set(1.0);
        if was_down {
            tracing::info!("redis answers again");
        }
    }

    fn note_failure(&self, failure: &Failure) {
        let mut link = self.lock();
        link.timeouts = match failure {
            Failure::Timeout => link.timeouts.saturating_add(1),
            Failure::Redis(_) => 0,
        };
        if link.timeouts >= TIMEOUTS_MAX {
            link.connection = None;
            link.timeouts = 0;
        }
        link.probe_at = Some(Instant::now() + self.settings.retry_after());
        let is_news = link.down_since.is_none();
        if is_news {
            link.down_since = Some(self.clock.now());
        }
        drop(link);
        gauge!("tributary_cache_redis_up").set(0.0);
        if is_news {
            let cause = std::error::Error::source(failure).map(ToString::to_string);
            tracing::warn!(error = %failure, cause, "redis fails, records are cached in memory only");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RedisTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTier")
            .field("status", &self.status())
            .finish()
    }
}
