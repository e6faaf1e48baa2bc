//! The `http` and `graphiql` sections of the configuration.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How the gateway listens, and what it takes from a connection before it gives up on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Bytes of a request body above which it is refused.
    pub body_bytes_max: usize,
    /// Seconds within which a body must have arrived.
    pub body_timeout_seconds: u64,
    /// Seconds within which a request's head must have arrived; also how long a kept-alive connection may stay idle.
    pub header_timeout_seconds: u64,
    /// Headers a request may have.
    pub headers_max: usize,
    /// Connections open at the same time; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Requests that one HTTP/2 connection may have open at the same time.
    pub streams_max: u32,
    /// Seconds that requests in flight get to finish at shutdown.
    pub drain_seconds: u64,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            body_bytes_max: 256 * 1024,
            body_timeout_seconds: 10,
            header_timeout_seconds: 10,
            headers_max: 64,
            connections_max: 10_000,
            streams_max: 128,
            drain_seconds: 20,
        }
    }
}

/// The GraphiQL page.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GraphiqlSettings {
    /// Whether `/graphiql` is served.
    pub enabled: bool,
    /// A token put into the header editor; everyone who opens the page gets it, so it is for demos only.
    #[serde(skip_serializing)]
    pub token: Option<String>,
    /// Queries that open as tabs.
    pub examples: Vec<Example>,
}

impl fmt::Debug for GraphiqlSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphiqlSettings")
            .field("enabled", &self.enabled)
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("examples", &self.examples)
            .finish()
    }
}

impl Default for GraphiqlSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            token: None,
            examples: Vec::new(),
        }
    }
}

/// One query that opens as a tab of the GraphiQL page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The document.
    pub query: String,
    /// Values of its variables.
    #[serde(default)]
    pub variables: Option<Map<String, Value>>,
}
