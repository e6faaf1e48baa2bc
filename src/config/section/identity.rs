//! The section `identity`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::section::Check;

/// How records of different sources become one customer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdentitySection {
    /// The sources whose records make a customer exist, best first, normally CRM, then ERP, then shop.
    pub anchors: Vec<String>,
    /// The sources in the order in which their values are preferred.
    pub sources: Vec<String>,
    /// Local parts of e-mail addresses that several people share, beside the usual ones such as `info`; they never link records.
    pub role_addresses: Vec<String>,
    /// E-mail addresses that never link records, such as a shop's address for guests.
    pub blocked_addresses: Vec<String>,
}

impl IdentitySection {
    /// Reports sources named twice, addresses that are none and values out of bounds.
    pub fn validate(&self, check: &mut Check<'_>) {
        for (key, list) in [("anchors", &self.anchors), ("sources", &self.sources)] {
            for (index, source) in list.iter().enumerate() {
                if list.iter().take(index).any(|earlier| earlier == source) {
                    check.refuse(
                        &[key.into(), index.into()],
                        "This source is in the list twice.",
                    );
                }
            }
        }
        for (index, name) in self.role_addresses.iter().enumerate() {
            if name.is_empty() || name.contains('@') {
                let message =
                    "A role address is written without `@` and what follows it, as in `info`.";
                check.refuse(&["role_addresses".into(), index.into()], message);
            }
        }
        for (index, address) in self.blocked_addresses.iter().enumerate() {
            if !address.contains('@') {
                let message =
                    "A blocked address is a whole e-mail address, as in `guest@shop.example`.";
                check.refuse(&["blocked_addresses".into(), index.into()], message);
            }
        }
    }
}
