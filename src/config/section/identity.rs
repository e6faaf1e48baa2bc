//! The section `identity`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::section::Check;

/// The names of mailboxes that belong to a function and not to a person.
const ROLE_ADDRESSES: [&str; 16] = [
    "accounting",
    "admin",
    "billing",
    "contact",
    "hello",
    "help",
    "info",
    "invoice",
    "mail",
    "marketing",
    "no-reply",
    "noreply",
    "office",
    "sales",
    "support",
    "team",
];

/// How records of different sources become one customer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdentitySection {
    /// The sources whose records make a customer exist, best first, normally CRM, then ERP, then shop.
    pub anchors: Vec<String>,
    /// The sources in the order in which their values are preferred.
    pub sources: Vec<String>,
    /// The local parts of e-mail addresses that several people share, which never link records.
    pub role_addresses: Vec<String>,
    /// E-mail addresses that never link records, such as a shop's address for guests.
    pub blocked_addresses: Vec<String>,
    /// How many records of one source may have an address before it counts as shared and links no more, from 1 to 1000.
    pub shared_threshold: u32,
}

impl Default for IdentitySection {
    fn default() -> Self {
        Self {
            anchors: Vec::new(),
            sources: Vec::new(),
            role_addresses: ROLE_ADDRESSES.map(str::to_owned).to_vec(),
            blocked_addresses: Vec::new(),
            shared_threshold: 5,
        }
    }
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
        check.number("shared_threshold", self.shared_threshold.into(), 1..=1_000);
    }
}
