//! The section `callers`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::rate::Rate;
use crate::config::section::Check;

/// What one caller may do; the defaults are there to be lowered. With Redis all replicas count together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CallersSection {
    /// How many requests a caller may send, such as `600/min`; they come back evenly.
    pub requests: Rate,
    /// How much a caller's queries may cost, counted as in `limits.complexity`.
    pub cost: Rate,
    /// How many WebSockets and streamed answers a caller may hold, from 0 to 100000.
    pub streams: u32,
    /// Whether a caller may ask for the schema.
    pub introspection: bool,
    /// Whether a caller who mistypes a name is told the right one.
    pub suggestions: bool,
    /// Whether answers tell what they cost without being asked; a request may still say `tell` or `none`.
    pub tells_cost: bool,
    /// Whether a caller may run trusted documents only.
    pub trusted_only: bool,
    /// What differs for callers of a role; of several listed roles each thing is taken from the most generous.
    pub roles: BTreeMap<String, RoleSection>,
}

/// What differs for callers of a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoleSection {
    /// In place of `requests`.
    pub requests: Option<Rate>,
    /// In place of `cost`.
    pub cost: Option<Rate>,
    /// In place of `streams`.
    pub streams: Option<u32>,
    /// In place of `introspection`.
    pub introspection: Option<bool>,
    /// In place of `suggestions`.
    pub suggestions: Option<bool>,
    /// In place of `tells_cost`.
    pub tells_cost: Option<bool>,
    /// In place of `trusted_only`.
    pub trusted_only: Option<bool>,
}

impl Default for CallersSection {
    fn default() -> Self {
        let minutely = |count| Rate {
            count,
            per: Duration::from_secs(60),
        };
        Self {
            requests: minutely(1_000_000),
            cost: minutely(1_000_000_000),
            streams: 20_000,
            introspection: true,
            suggestions: true,
            tells_cost: false,
            trusted_only: false,
            roles: BTreeMap::new(),
        }
    }
}

impl CallersSection {
    /// Reports values out of bounds.
    pub fn validate(&self, check: &mut Check<'_>) {
        check.number("streams", self.streams.into(), 0..=100_000);
        for (name, role) in &self.roles {
            if role.streams.is_some_and(|streams| streams > 100_000) {
                let path = ["roles".into(), name.as_str().into(), "streams".into()];
                check.refuse(&path, "`streams` must be between 0 and 100000.");
            }
        }
    }
}
