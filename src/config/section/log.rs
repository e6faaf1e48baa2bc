//! The section `log`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::config::section::Check;

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// The form of a line.
    pub format: LogFormat,
    /// What is logged: a level, or a list such as `info,tributary::transport=debug`.
    pub filter: String,
    /// Whether it is logged who read which entities by which operation, under the target `tributary::audit`.
    pub audit: bool,
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
            audit: false,
        }
    }
}

impl LogSection {
    /// Reports a filter that can't be read.
    pub fn validate(&self, check: &mut Check<'_>) {
        if EnvFilter::builder().parse(&self.filter).is_err() {
            let message =
                "`filter` must be a level or a list such as `info,tributary::transport=debug`.";
            check.refuse(&["filter".into()], message);
        }
    }
}
