//! A query parameter with a fixed value.

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::record::secret::Secret;

/// A parameter as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuerySettings {
    /// The parameter's name.
    pub name: String,
    /// The parameter's value, unescaped.
    pub value: Secret,
}

/// A parameter ready to be added.
#[derive(Debug)]
pub struct Query {
    name: String,
    value: Secret,
}

impl Query {
    pub(crate) fn new(settings: &QuerySettings) -> Self {
        Self {
            name: settings.name.clone(),
            value: settings.value.clone(),
        }
    }

    pub(crate) fn apply(&self, url: &mut Url) {
        url.query_pairs_mut()
            .append_pair(&self.name, self.value.expose());
    }
}
