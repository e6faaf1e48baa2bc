//! The section `schema`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// What the graph has beyond the built-in types.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SchemaSection {
    /// Files in GraphQL's schema language that extend the graph, such as `extend type Customer { loyaltyTier: String }`.
    pub extensions: Vec<PathBuf>,
}
