//! The section `cache`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::section::{Check, seconds};
use crate::config::size::Size;
use crate::config::span::Span;

/// How much is cached and for how long, where a connector file says nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSection {
    /// The memory that cached records may take in one process, from 1MiB to 64GiB.
    pub memory: Size,
    /// How long a record is served without asking the vendor again, at most 1d.
    pub fresh: Span,
    /// How much longer it may be served while it is refreshed or the vendor fails, at most 7d.
    pub stale: Span,
    /// How long it is remembered that a vendor has no such record, at most 1h.
    pub not_found: Span,
}

impl Default for CacheSection {
    fn default() -> Self {
        Self {
            memory: Size(64 * 1024 * 1024),
            fresh: seconds(60),
            stale: seconds(600),
            not_found: seconds(10),
        }
    }
}

impl CacheSection {
    /// Reports values out of bounds.
    pub fn validate(&self, check: &mut Check<'_>) {
        check.size("memory", self.memory, 1024 * 1024..=64 * 1024 * 1024 * 1024);
        check.span(
            "fresh",
            self.fresh,
            Duration::ZERO..=Duration::from_secs(86_400),
        );
        check.span(
            "stale",
            self.stale,
            Duration::ZERO..=Duration::from_secs(7 * 86_400),
        );
        check.span(
            "not_found",
            self.not_found,
            Duration::ZERO..=Duration::from_secs(3_600),
        );
    }
}
