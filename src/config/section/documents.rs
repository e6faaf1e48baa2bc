//! The section `documents`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::section::Check;
use crate::config::size::Size;

/// Documents that callers name instead of sending them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DocumentsSection {
    /// Files of trusted documents: `.graphql`, named by the file, or manifests of Apollo's or Relay's tools (`.json`). The last part of a path may have `*` in it.
    pub trusted: Vec<PathBuf>,
    /// Whether a client may bring a document once with its SHA-256 and name it by that from then on (automatic persisted queries).
    pub automatic: bool,
    /// The memory that such documents may take in one process, from 64KiB to 1GiB; replicas share them by Redis.
    pub automatic_memory: Size,
}

impl Default for DocumentsSection {
    fn default() -> Self {
        Self {
            trusted: Vec::new(),
            automatic: true,
            automatic_memory: Size(8 * 1024 * 1024),
        }
    }
}

impl DocumentsSection {
    /// Reports values out of bounds.
    pub fn validate(&self, check: &mut Check<'_>) {
        let allowed = 64 * 1024..=1024 * 1024 * 1024;
        check.size("automatic_memory", self.automatic_memory, allowed);
    }
}
