//! The section `streams`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::section::{Check, seconds};
use crate::config::size::Size;
use crate::config::span::Span;

/// What WebSockets and streamed answers may take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StreamsSection {
    /// How many WebSockets and streamed answers may be open at the same time, from 1 to 1000000; more are refused.
    pub connections_max: u32,
    /// How many operations may run on one WebSocket at the same time, from 1 to 10000.
    pub subscriptions_max: u32,
    /// The size of a WebSocket message above which the connection is closed, from 1KiB to 16MiB.
    pub message_bytes: Size,
    /// How many messages a second a client may send on one WebSocket, from 1 to 100000.
    pub messages_per_second: u32,
    /// How long a client may take to send `connection_init`, from 100ms to 1m.
    pub init_timeout: Span,
    /// How often a WebSocket's client is asked for a sign of life, from 1s to 10m; after two without an answer it is let go.
    pub ping: Span,
    /// How long a client may take to read one message before it is let go, from 100ms to 5m.
    pub write_timeout: Span,
    /// How often a streamed answer gives a sign of life, so that proxies keep it open, from 100ms to 10m.
    pub heartbeat: Span,
    /// The buffer that each WebSocket reads into, from 1KiB to 1MiB; it is most of what an idle subscriber costs.
    pub read_buffer: Size,
}

impl Default for StreamsSection {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            subscriptions_max: 100,
            message_bytes: Size(256 * 1024),
            messages_per_second: 100,
            init_timeout: seconds(5),
            ping: seconds(30),
            write_timeout: seconds(10),
            heartbeat: seconds(10),
            read_buffer: Size(4 * 1024),
        }
    }
}

impl StreamsSection {
    /// Reports values out of bounds.
    pub fn validate(&self, check: &mut Check<'_>) {
        let shortest = Duration::from_millis(100);
        check.number(
            "connections_max",
            self.connections_max.into(),
            1..=1_000_000,
        );
        check.number(
            "subscriptions_max",
            self.subscriptions_max.into(),
            1..=10_000,
        );
        check.size("message_bytes", self.message_bytes, 1024..=16 * 1024 * 1024);
        check.number(
            "messages_per_second",
            self.messages_per_second.into(),
            1..=100_000,
        );
        check.span(
            "init_timeout",
            self.init_timeout,
            shortest..=Duration::from_secs(60),
        );
        check.span(
            "ping",
            self.ping,
            Duration::from_secs(1)..=Duration::from_secs(600),
        );
        check.span(
            "write_timeout",
            self.write_timeout,
            shortest..=Duration::from_secs(300),
        );
        check.span(
            "heartbeat",
            self.heartbeat,
            shortest..=Duration::from_secs(600),
        );
        check.size("read_buffer", self.read_buffer, 1024..=1024 * 1024);
    }
}
