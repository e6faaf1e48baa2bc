//! The section `redis`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::config::section::{Check, milliseconds};
use crate::config::span::Span;
use crate::record::secret::Secret;

/// The Redis that replicas share; without it each process works alone.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSection {
    /// The address, such as `redis://127.0.0.1:6379/0`; `rediss` speaks TLS.
    pub url: Option<Secret>,
    /// What stands in front of every key, so that several installations can share one Redis.
    pub prefix: String,
    /// How long one answer may take before the gateway goes on without Redis, from 1ms to 10s.
    pub timeout: Span,
}

impl Default for RedisSection {
    fn default() -> Self {
        Self {
            url: None,
            prefix: "default".to_owned(),
            timeout: milliseconds(50),
        }
    }
}

impl RedisSection {
    /// Reports an address that is none of Redis and values out of bounds.
    pub fn validate(&self, check: &mut Check<'_>) {
        let is_redis = |secret: &Secret| {
            Url::parse(secret.expose()).is_ok_and(|url| match url.scheme() {
                "redis" | "rediss" => url.has_host(),
                "redis+unix" | "unix" => url.path().len() > 1,
                _ => false,
            })
        };
        if !self.url.as_ref().is_none_or(is_redis) {
            check.refuse(
                &["url".into()],
                "`url` must be an address such as `redis://127.0.0.1:6379/0`.",
            );
        }
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if self.prefix.is_empty() || self.prefix.len() > 64 || !self.prefix.bytes().all(is_plain) {
            let message =
                "`prefix` must have 1 to 64 letters, digits, hyphens, underscores or full stops.";
            check.refuse(&["prefix".into()], message);
        }
        check.span(
            "timeout",
            self.timeout,
            Duration::from_millis(1)..=Duration::from_secs(10),
        );
    }
}
