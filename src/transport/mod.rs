//! The only outward IO: sends a rendered call to its source within that source's budget and returns a bounded reply.
//!
//! Nothing here knows what a call means. A client exists once per source and owns all that its calls share: the
//! credential, the limits, the breaker, the health and the count of money.

pub mod charge;
pub mod client;
pub mod failure;
pub mod feedback;
pub mod health;
pub mod retry;
pub mod settings;
pub mod terms;

mod body;
mod breaker;
mod budget;
mod kit;
mod meter;
mod probe;
mod token;
mod vault;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

/// A fully rendered call, without its credential.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation it belongs to, for metrics and traces.
    pub operation: Arc<str>,
    /// The HTTP method.
    pub method: Method,
    /// The address; it must be of the source's own origin.
    pub url: Url,
    /// The headers, in order; a name may occur more than once.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; empty means none is sent.
    pub body: Bytes,
    /// Whether the vendor may see the call twice.
    pub safe: bool,
    /// The vendor's header that makes a write happen once however often it is sent, with this call's key.
    pub idempotency: Option<(HeaderName, HeaderValue)>,
    /// How many requests are inside it, such as the keys of a batch, for vendors that charge for each.
    pub inner: u32,
    /// Where in the body the credential may put a block of the SOAP header; none when the call is no SOAP.
    pub block_at: Option<usize>,
}

impl Call {
    /// Whether it may be sent again: it changes nothing, or the vendor knows it by its key.
    pub(crate) fn may_repeat(&self) -> bool {
        self.safe || self.idempotency.is_some()
    }
}

/// What a vendor answered, whatever the status.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status; a redirect arrives here like any other, since none is followed.
    pub status: StatusCode,
    /// The headers, without those that described the body's compression.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
    /// How long the last attempt took.
    pub latency: Duration,
    /// How often the call was sent.
    pub attempts: u32,
    /// Which of the source's tokens it was sent with, for [`client::SourceClient::renew`].
    pub token: Option<u64>,
}
