//! A header with a fixed value, such as `Authorization: Bearer …` or `X-Api-Key`.

use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::credential::CredentialError;
use crate::record::secret::Secret;

/// A header as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderSettings {
    /// The header's name.
    pub name: String,
    /// The whole value, with a prefix such as `Bearer` when the vendor wants one.
    pub value: Secret,
}

/// A header ready to be sent.
#[derive(Debug)]
pub struct Header {
    name: HeaderName,
    value: HeaderValue,
}

impl Header {
    pub(crate) fn new(settings: &HeaderSettings) -> Result<Self, CredentialError> {
        let name = HeaderName::from_bytes(settings.name.as_bytes())
            .map_err(|_| CredentialError::HeaderName(settings.name.clone()))?;
        let value = sensitive(settings.value.expose())?;
        Ok(Self { name, value })
    }

    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(self.name.clone(), self.value.clone());
    }
}

/// A header value that prints as `Sensitive` and is not indexed by HTTP/2 compression.
pub(crate) fn sensitive(text: &str) -> Result<HeaderValue, CredentialError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| CredentialError::HeaderValue)?;
    value.set_sensitive(true);
    Ok(value)
}
