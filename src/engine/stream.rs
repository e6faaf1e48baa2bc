//! What a subscription gives: one answer after the other, until it ends.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::error::Code;

/// One answer of a subscription.
#[derive(Debug, Clone)]
pub struct Event {
    /// The JSON object with `data`, `errors`, `extensions`.
    pub body: Bytes,
    /// Where the subscription stands after this answer; a later one goes on from here when it sends it as `after`.
    pub cursor: Option<Arc<str>>,
}

/// Why a subscription ended though its source has more to say.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Ended {
    /// The code for the caller.
    pub code: Code,
    /// What happened, for the caller.
    pub message: String,
}

/// The answers of one subscription. It ends by itself when all is said, and after the first `Err`.
///
/// It is polled as fast as its reader reads and no faster, so an implementation must bound what it keeps for a slow one:
/// better an `Err` with [`Code::Overloaded`] than a queue that grows.
pub type Events = BoxStream<'static, Result<Event, Ended>>;
