//! The `http` and `graphiql` sections of the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

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
    /// The time within which a body must have arrived.
    pub body_timeout: Duration,
    /// The time within which a request's head must have arrived; also how long a kept-alive connection may stay idle.
    pub header_timeout: Duration,
    /// Headers a request may have.
    pub headers_max: usize,
    /// Connections open at the same time; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Requests that one HTTP/2 connection may have open at the same time.
    pub streams_max: u32,
    /// The time that requests in flight get to finish at shutdown.
    pub drain: Duration,
    /// How long a client may take none of what is written to it.
    pub write_timeout: Duration,
    /// Queries and mutations that run at the same time; more are refused.
    pub requests_max: usize,
    /// Origins whose pages may call, such as `https://app.acme.example`.
    pub origins: Vec<String>,
    /// Bounds of WebSockets and streamed answers.
    pub streams: StreamSettings,
}

/// Bounds of WebSockets and streamed answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StreamSettings {
    /// WebSockets and streamed answers that may be open at the same time.
    pub connections_max: usize,
    /// Operations that may run on one WebSocket at the same time.
    pub subscriptions_max: usize,
    /// Bytes of a WebSocket message above which the connection is closed.
    pub message_bytes_max: usize,
    /// Messages a second that a client may send on one WebSocket.
    pub messages_per_second: u32,
    /// How long a client may take to open a WebSocket's protocol.
    pub init_timeout: Duration,
    /// How often a WebSocket's client is asked for a sign of life.
    pub ping_interval: Duration,
    /// How long a client may take to read a message.
    pub write_timeout: Duration,
    /// How often a streamed answer gives a sign of life.
    pub heartbeat: Duration,
    /// Bytes of the buffer that each WebSocket reads into.
    pub read_buffer_bytes: usize,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            subscriptions_max: 100,
            message_bytes_max: 256 * 1024,
            messages_per_second: 100,
            init_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(10),
            read_buffer_bytes: 4 * 1024,
        }
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            body_bytes_max: 256 * 1024,
            body_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            headers_max: 64,
            connections_max: 10_000,
            streams_max: 128,
            drain: Duration::from_secs(20),
            write_timeout: Duration::from_secs(30),
            requests_max: 1_000,
            origins: Vec::new(),
            streams: StreamSettings::default(),
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
    /// How people log in on the page.
    pub login: Option<LoginSettings>,
    /// Queries that open as tabs.
    pub examples: Vec<Example>,
}

impl fmt::Debug for GraphiqlSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphiqlSettings")
            .field("enabled", &self.enabled)
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("login", &self.login)
            .field("examples", &self.examples)
            .finish()
    }
}

impl Default for GraphiqlSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            token: None,
            login: None,
            examples: Vec::new(),
        }
    }
}

/// A login by the authorization code flow with PKCE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LoginSettings {
    /// The issuer.
    pub issuer: String,
    /// The page's client id there.
    pub client_id: String,
    /// The scopes to ask for, with blanks between.
    pub scope: String,
    /// What the issuer wants to be told beside that.
    pub parameters: BTreeMap<String, String>,
    /// Origins that the page must reach for it.
    #[serde(skip_serializing)]
    pub origins: Vec<String>,
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
