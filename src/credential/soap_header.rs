//! A block of the SOAP header with secrets in it, for vendors with headers of their own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::credential::CredentialError;
use crate::credential::place::Outgoing;
use crate::credential::text::Text;
use crate::protocol::soap::call::escape_attribute;
use crate::record::secret::Secret;

/// A block as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SoapHeaderSettings {
    /// The XML with its namespaces, and `{{ name }}` where a secret goes.
    pub xml: Secret,
    /// The secrets by name; they are escaped.
    #[serde(default)]
    pub values: BTreeMap<String, Secret>,
}

/// A block ready to be put in.
#[derive(Debug)]
pub struct SoapHeader {
    xml: Secret,
}

impl SoapHeader {
    pub(crate) fn new(settings: &SoapHeaderSettings) -> Result<Self, CredentialError> {
        let value = |name: &str| settings.values.get(name).cloned();
        let xml = Text::parse(&settings.xml)?.fill(value, escape_attribute)?;
        Ok(Self { xml })
    }

    pub(crate) fn apply(&self, call: &mut Outgoing<'_>) {
        call.insert_block(self.xml.expose());
    }
}
