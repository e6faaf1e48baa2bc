//! What a type or field of the graph demands of its reader.

use std::collections::BTreeSet;

use crate::auth::caller::Caller;

/// The scopes of one `@requiresScopes`: every scope of at least one alternative must be held; no alternatives means no demand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirement {
    /// The alternatives, each a list of scopes that are needed together.
    pub alternatives: Vec<Vec<String>>,
}

impl Requirement {
    /// Whether the caller may read what carries this requirement.
    pub fn is_met_by(&self, caller: &Caller) -> bool {
        caller.has_any_of(&self.alternatives)
    }

    /// The requirement that demands both, as a field's stands beside its type's.
    pub fn conjunction(&self, other: &Self) -> Self {
        if self.alternatives.is_empty() {
            return other.clone();
        }
        if other.alternatives.is_empty() {
            return self.clone();
        }
        let mut joined: Vec<BTreeSet<&String>> = Vec::new();
        for left in &self.alternatives {
            for right in &other.alternatives {
                let scopes: BTreeSet<_> = left.iter().chain(right).collect();
                if !joined.contains(&scopes) {
                    joined.push(scopes);
                }
            }
        }
        let alternatives = joined
            .into_iter()
            .map(|scopes| scopes.into_iter().cloned().collect())
            .collect();
        Self { alternatives }
    }

    /// What a refused caller is told: `needs scope customer:read`, `needs scopes a and b, or scope c`.
    pub fn refusal(&self) -> String {
        let alternatives: Vec<String> = self
            .alternatives
            .iter()
            .map(|scopes| {
                let noun = if scopes.len() == 1 { "scope" } else { "scopes" };
                format!("{noun} {}", scopes.join(" and "))
            })
            .collect();
        format!("needs {}", alternatives.join(", or "))
    }
}
