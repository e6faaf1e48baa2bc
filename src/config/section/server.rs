//! The section `server`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::section::{Check, seconds};
use crate::config::size::Size;
use crate::config::span::Span;

/// How the gateway listens, and what it takes from a connection before it gives up on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSection {
    /// The address and port to listen on.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The size of a request body above which it is refused, from 1KiB to 64MiB.
    pub body_bytes: Size,
    /// How long a request body may take to arrive, from 100ms to 5m.
    pub request_timeout: Span,
    /// How long a request's head may take to arrive, and a kept-alive connection may stay idle, from 100ms to 5m.
    pub header_timeout: Span,
    /// How long a client may take none of what is written to it before it is let go, from 100ms to 5m.
    pub write_timeout: Span,
    /// How many queries and mutations may run at the same time, from 1 to 1000000; more are refused.
    pub requests_max: u32,
    /// How many connections may be open at the same time, from 1 to 1000000; more wait in the kernel's queue.
    pub connections_max: u32,
    /// How long requests in flight get to finish at shutdown, at most 10m.
    pub drain: Span,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            body_bytes: Size(256 * 1024),
            request_timeout: seconds(10),
            header_timeout: seconds(10),
            write_timeout: seconds(30),
            requests_max: 1_000,
            connections_max: 10_000,
            drain: seconds(20),
        }
    }
}

impl ServerSection {
    /// Reports values out of bounds.
    pub fn validate(&self, check: &mut Check<'_>) {
        let arrival = Duration::from_millis(100)..=Duration::from_secs(300);
        check.size("body_bytes", self.body_bytes, 1024..=64 * 1024 * 1024);
        check.span("request_timeout", self.request_timeout, arrival.clone());
        check.span("header_timeout", self.header_timeout, arrival.clone());
        check.span("write_timeout", self.write_timeout, arrival);
        check.number("requests_max", self.requests_max.into(), 1..=1_000_000);
        check.number(
            "connections_max",
            self.connections_max.into(),
            1..=1_000_000,
        );
        check.span(
            "drain",
            self.drain,
            Duration::ZERO..=Duration::from_secs(600),
        );
    }
}
