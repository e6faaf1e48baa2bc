//! The section `cors`.

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::config::section::Check;

/// Which web pages of other origins may call the gateway; without any, only pages of its own may.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CorsSection {
    /// The origins, such as `https://app.acme.example`, at most 100; there is no wildcard.
    pub origins: Vec<String>,
}

impl CorsSection {
    /// Reports texts that are no origin as browsers write it.
    pub fn validate(&self, check: &mut Check<'_>) {
        if self.origins.len() > 100 {
            check.refuse(&["origins".into()], "`origins` must be at most 100.");
        }
        for (index, text) in self.origins.iter().enumerate() {
            if !is_origin(text) {
                let message = "An origin is scheme, host and port only, in lower case, as in `https://app.acme.example`.";
                check.refuse(&["origins".into(), index.into()], message);
            }
        }
    }
}

/// Whether a text is an origin as browsers write it.
pub(crate) fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == *text
    })
}
