//! The section `graphiql`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::section::Check;
use crate::record::secret::Secret;

/// The GraphiQL page, on which people try queries.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GraphiqlSection {
    /// Whether `/graphiql` is served.
    pub enabled: bool,
    /// A token that the page puts into its header editor; everyone who opens the page gets it, so it is for demos only.
    pub token: Option<Secret>,
    /// The queries that open as tabs, at most 50.
    pub examples: Vec<ExampleSection>,
}

impl Default for GraphiqlSection {
    fn default() -> Self {
        Self {
            enabled: true,
            token: None,
            examples: Vec::new(),
        }
    }
}

impl GraphiqlSection {
    /// Reports values out of bounds.
    pub fn validate(&self, check: &mut Check<'_>) {
        if self.examples.len() > 50 {
            check.refuse(&["examples".into()], "`examples` must be at most 50.");
        }
        for (index, example) in self.examples.iter().enumerate() {
            if example.query.trim().is_empty() {
                check.refuse(
                    &["examples".into(), index.into(), "query".into()],
                    "`query` must not be empty.",
                );
            }
        }
    }
}

/// One query that opens as a tab.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExampleSection {
    /// The document.
    pub query: String,
    /// The values of its variables.
    #[serde(default)]
    pub variables: Map<String, Value>,
}
