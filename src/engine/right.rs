//! What a caller may do beside reading fields: look at the schema, be helped with names, and spend.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

/// What the sender of a request may do.
#[derive(Debug, Clone)]
pub struct Rights {
    /// Whether it may ask for the schema.
    pub introspection: bool,
    /// Whether a wrong name is answered with the right one.
    pub suggestions: bool,
    /// What pays for the request before it runs; nothing when requests are free.
    pub purse: Option<Arc<dyn Purse>>,
}

impl Default for Rights {
    fn default() -> Self {
        Self {
            introspection: true,
            suggestions: true,
            purse: None,
        }
    }
}

/// Pays for requests.
pub trait Purse: fmt::Debug + Send + Sync {
    /// Pays for one request that can cost so much, or says why it can't.
    fn spend(&self, cost: u64) -> BoxFuture<'_, Result<(), Overspent>>;
}

/// A request that its caller can't pay for now.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Overspent(pub String);
