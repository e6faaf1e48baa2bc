//! What each caller may ask: how often, at what cost, over how many streams, and which documents.

pub mod header;
pub mod ledger;
pub mod meter;

use std::collections::BTreeMap;

use crate::auth::caller::Caller;
use crate::cache::quota::Quota;

/// What one caller may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in a length of time.
    pub requests: Quota,
    /// What all requests may cost in a length of time.
    pub cost: Quota,
    /// Streams that may be open at the same time.
    pub streams_max: u32,
    /// Whether the schema may be asked for.
    pub introspection: bool,
    /// Whether a wrong name is answered with the right one.
    pub suggestions: bool,
    /// Whether answers tell what they cost when the request does not say.
    pub tells_cost: bool,
    /// Whether only trusted documents may be run.
    pub is_trusted_only: bool,
}

/// What callers may do, by their roles.
#[derive(Debug, Clone)]
pub struct Allowances {
    /// For callers without a role that is listed.
    pub default: Allowance,
    /// By role.
    pub roles: BTreeMap<String, Allowance>,
}

impl Allowances {
    /// What the caller may do: whatever one of its listed roles may.
    pub fn of(&self, caller: &Caller) -> Allowance {
        let listed = caller.roles.iter().filter_map(|role| self.roles.get(role));
        listed
            .cloned()
            .reduce(Allowance::joined)
            .unwrap_or_else(|| self.default.clone())
    }
}

impl Allowance {
    fn joined(self, other: Self) -> Self {
        Self {
            requests: greater(self.requests, other.requests),
            cost: greater(self.cost, other.cost),
            streams_max: self.streams_max.max(other.streams_max),
            introspection: self.introspection || other.introspection,
            suggestions: self.suggestions || other.suggestions,
            tells_cost: self.tells_cost || other.tells_cost,
            is_trusted_only: self.is_trusted_only && other.is_trusted_only,
        }
    }
}

/// The quota that gives more in the long run.
fn greater(one: Quota, other: Quota) -> Quota {
    if one.unit_micros() <= other.unit_micros() {
        one
    } else {
        other
    }
}
