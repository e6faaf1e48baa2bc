//! The section `server`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::net::Net;
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
    /// TLS on this listener; without it a proxy in front must end TLS.
    pub tls: Option<TlsSection>,
    /// Proxies that end TLS and forward their clients' certificates.
    pub forwarded_certificates: ForwardedSection,
}

/// TLS of the listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// The PEM file of the gateway's certificate, with those that link it to its authority.
    pub certificate: PathBuf,
    /// The PEM file of its private key.
    pub key: PathBuf,
    /// The PEM file of the authorities whose client certificates are accepted.
    pub client_ca: Option<PathBuf>,
    /// Whether clients are asked for a certificate, and must have one.
    #[serde(default)]
    pub client_auth: ClientAuth,
}

/// Whether clients show a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// They may.
    #[default]
    Optional,
    /// They must, or the handshake fails.
    Required,
}

/// Which proxies are believed when they forward a certificate, and how they do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ForwardedSection {
    /// The header, which carries the certificate as RFC 9440 writes it; the proxy must remove it from its clients' requests.
    pub header: String,
    /// Addresses or ranges of the proxies, as `10.0.0.0/8`; when empty the header means nothing.
    #[schemars(with = "Vec<String>")]
    pub peers: Vec<Net>,
}

impl Default for ForwardedSection {
    fn default() -> Self {
        Self {
            header: "client-cert".to_owned(),
            peers: Vec::new(),
        }
    }
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
            tls: None,
            forwarded_certificates: ForwardedSection::default(),
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
        let requires = self
            .tls
            .as_ref()
            .is_some_and(|tls| tls.client_auth == ClientAuth::Required && tls.client_ca.is_none());
        if requires {
            let message = "`client_auth: required` needs a `client_ca`.";
            check.refuse(&["tls".into(), "client_auth".into()], message);
        }
        let header = &self.forwarded_certificates.header;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if header.is_empty() || !header.bytes().all(is_name) {
            let message = "`header` must be a header's name in lower case.";
            check.refuse(&["forwarded_certificates".into(), "header".into()], message);
        }
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
