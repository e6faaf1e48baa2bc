//! API keys that replicas share through Redis: one hash of all keys, and a number that grows with each change.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError};

use crate::auth::api_key::ApiKey;
use crate::auth::key_book::KEYS_MAX;
use crate::record::secret::Secret;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Why shared keys can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SharedKeysError {
    /// Redis can't be reached or refuses.
    #[error("redis can't be asked for API keys")]
    Redis(#[source] RedisError),
    /// An entry is not a key.
    #[error("redis holds an API key of another form")]
    Form(#[source] serde_json::Error),
    /// There are more keys than are kept.
    #[error("redis holds more than {KEYS_MAX} API keys")]
    TooMany,
}

/// The keys in Redis.
#[derive(Clone)]
pub struct SharedKeys {
    connection: ConnectionManager,
    name: String,
}

impl std::fmt::Debug for SharedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedKeys").finish_non_exhaustive()
    }
}

impl SharedKeys {
    /// Prepares the connection, which is made at the first use and again after it is lost.
    pub fn new(url: &Secret, prefix: &str) -> Result<Self, SharedKeysError> {
        let client = Client::open(url.expose()).map_err(SharedKeysError::Redis)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(50))
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        let connection = ConnectionManager::new_lazy_with_config(client, config)
            .map_err(SharedKeysError::Redis)?;
        Ok(Self {
            connection,
            name: format!("tributary:{prefix}:keys"),
        })
    }

    /// A number that changes whenever a key does.
    pub async fn version(&self) -> Result<u64, SharedKeysError> {
        let mut connection = self.connection.clone();
        let found: Option<u64> = redis::cmd("GET")
            .arg(format!("{}:version", self.name))
            .query_async(&mut connection)
            .await
            .map_err(SharedKeysError::Redis)?;
        Ok(found.unwrap_or(0))
    }

    /// Every key.
    pub async fn read(&self) -> Result<Vec<ApiKey>, SharedKeysError> {
        let mut connection = self.connection.clone();
        let count: usize = redis::cmd("HLEN")
            .arg(&self.name)
            .query_async(&mut connection)
            .await
            .map_err(SharedKeysError::Redis)?;
        if count > KEYS_MAX {
            return Err(SharedKeysError::TooMany);
        }
        let texts: Vec<String> = redis::cmd("HVALS")
            .arg(&self.name)
            .query_async(&mut connection)
            .await
            .map_err(SharedKeysError::Redis)?;
        texts
            .iter()
            .map(|text| serde_json::from_str(text).map_err(SharedKeysError::Form))
            .collect()
    }

    /// Writes one key, new or changed.
    pub async fn write(&self, key: &ApiKey) -> Result<(), SharedKeysError> {
        let text = serde_json::to_string(key).map_err(SharedKeysError::Form)?;
        let mut connection = self.connection.clone();
        redis::pipe()
            .atomic()
            .cmd("HSET")
            .arg(&self.name)
            .arg(&key.id)
            .arg(text)
            .ignore()
            .cmd("INCR")
            .arg(format!("{}:version", self.name))
            .ignore()
            .exec_async(&mut connection)
            .await
            .map_err(SharedKeysError::Redis)
    }
}
