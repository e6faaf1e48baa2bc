//! The section `policy`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which records the holders of a role see, and which fields they see masked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySection {
    /// By role and entity, an expression over `record` and `caller` that says which records its holders see; of several roles
    /// with a rule for an entity one must let the record through, and a role without one opens nothing.
    pub rows: BTreeMap<String, BTreeMap<String, String>>,
    /// By role, entity and field (dotted for nested ones, as `emails.address`), how its holders see the field.
    pub masks: BTreeMap<String, BTreeMap<String, BTreeMap<String, MaskKind>>>,
}

/// How a value is masked.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MaskKind {
    /// The first letter and the domain of an address: `j•••@acme.com`.
    Email,
    /// The last two digits of a number: `•••42`.
    Phone,
    /// The first letter: `J•••`.
    Initial,
    /// The last four characters: `•••1234`.
    Last4,
    /// Nothing: null, or `•••` where the graph promises a text.
    Redact,
    /// The value itself, whatever masks other roles of the caller have.
    Clear,
}
