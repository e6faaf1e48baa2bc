//! Documents that clients brought together with their digest, to name them by it from then on.

use std::fmt;
use std::sync::Arc;

use moka::future::Cache;

use crate::cache::redis::RedisTier;

/// The documents that clients brought; replicas share them by Redis.
pub struct Automatic {
    memory: Cache<String, Arc<str>>,
    redis: Option<Arc<RedisTier>>,
}

impl fmt::Debug for Automatic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Automatic")
            .field("documents", &self.memory.entry_count())
            .finish()
    }
}

impl Automatic {
    /// None yet; they may take that many bytes in this process.
    pub fn new(bytes_max: u64, redis: Option<Arc<RedisTier>>) -> Self {
        let weigh = |digest: &String, text: &Arc<str>| {
            u32::try_from(digest.len().saturating_add(text.len())).unwrap_or(u32::MAX)
        };
        Self {
            memory: Cache::builder()
                .max_capacity(bytes_max)
                .weigher(weigh)
                .build(),
            redis,
        }
    }

    /// The document of that digest.
    pub(crate) async fn find(&self, digest: &str) -> Option<String> {
        if let Some(text) = self.memory.get(digest).await {
            return Some(text.to_string());
        }
        let text = self.redis.as_ref()?.text(digest).await?;
        self.memory
            .insert(digest.to_owned(), text.as_str().into())
            .await;
        Some(text)
    }

    /// Keeps a document under its digest.
    pub(crate) async fn keep(&self, digest: &str, text: &str) {
        if self.memory.contains_key(digest) {
            return;
        }
        self.memory.insert(digest.to_owned(), text.into()).await;
        if let Some(redis) = &self.redis {
            redis.keep_text(digest, text).await;
        }
    }
}
