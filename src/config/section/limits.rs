//! The section `limits`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::section::{Check, seconds};
use crate::config::span::Span;

/// How large a query may be and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSection {
    /// How deep fields may be nested, from 1 to 50.
    pub depth: u32,
    /// How many fields a document may have with its fragments expanded, from 1 to 10000.
    pub fields: u32,
    /// How much a query may cost, counted by fields and page sizes, from 1 to 10000000.
    pub complexity: u32,
    /// The largest page that can be asked for, from 1 to 1000.
    pub page_size_max: u32,
    /// How long a query may take, from 100ms to 5m.
    pub deadline: Span,
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self {
            depth: 15,
            fields: 500,
            complexity: 20_000,
            page_size_max: 100,
            deadline: seconds(15),
        }
    }
}

impl LimitsSection {
    /// Reports values out of bounds.
    pub fn validate(&self, check: &mut Check<'_>) {
        check.number("depth", self.depth.into(), 1..=50);
        check.number("fields", self.fields.into(), 1..=10_000);
        check.number("complexity", self.complexity.into(), 1..=10_000_000);
        check.number("page_size_max", self.page_size_max.into(), 1..=1_000);
        check.span(
            "deadline",
            self.deadline,
            Duration::from_millis(100)..=Duration::from_secs(300),
        );
    }
}
