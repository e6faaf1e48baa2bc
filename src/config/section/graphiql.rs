//! The section `graphiql`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::section::Check;
use crate::config::section::auth::is_safe_url;
use crate::config::section::cors::is_origin;
use crate::record::secret::Secret;

/// The GraphiQL page, on which people try queries.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GraphiqlSection {
    /// Whether `/graphiql` is served.
    pub enabled: bool,
    /// A token that the page puts into its header editor; everyone who opens the page gets it, so it is for demos only.
    pub token: Option<Secret>,
    /// How people log in on the page; without it they bring a token.
    pub login: Option<LoginSection>,
    /// The queries that open as tabs, at most 50.
    pub examples: Vec<ExampleSection>,
}

impl Default for GraphiqlSection {
    fn default() -> Self {
        Self {
            enabled: true,
            token: None,
            login: None,
            examples: Vec::new(),
        }
    }
}

impl GraphiqlSection {
    /// Reports values out of bounds.
    pub fn validate(&self, check: &mut Check<'_>) {
        if self.examples.len() > 50 {
            check.refuse(&["examples".into()], "`examples` must be at most 50.");
        }
        if let Some(login) = &self.login {
            login.validate(check);
        }
        for (index, example) in self.examples.iter().enumerate() {
            if example.query.trim().is_empty() {
                check.refuse(
                    &["examples".into(), index.into(), "query".into()],
                    "`query` must not be empty.",
                );
            }
        }
    }
}

/// A login by the authorization code flow with PKCE; the page is a public client of the issuer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginSection {
    /// The issuer, as in `auth.issuers`; its description is read at `/.well-known/openid-configuration`.
    pub issuer: String,
    /// The page's client id there; its redirect URI is the page's own address.
    pub client_id: String,
    /// The scopes to ask for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What the issuer wants to be told beside that, such as `audience`.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Origins of the issuer's token endpoint and description, where they differ from the issuer's own.
    #[serde(default)]
    pub origins: Vec<String>,
}

impl LoginSection {
    fn validate(&self, check: &mut Check<'_>) {
        let mut refuse =
            |key: &str, message: &str| check.refuse(&["login".into(), key.into()], message);
        if !is_safe_url(&self.issuer) {
            let message =
                "`issuer` must be an https URL without credentials; http is for this machine only.";
            refuse("issuer", message);
        }
        if self.client_id.is_empty() {
            refuse("client_id", "`client_id` must not be empty.");
        }
        if !self.origins.iter().all(|origin| is_origin(origin)) {
            let message = "An origin is scheme, host and port only, in lower case, as in `https://app.acme.example`.";
            refuse("origins", message);
        }
    }
}

/// One query that opens as a tab.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExampleSection {
    /// The document.
    pub query: String,
    /// The values of its variables.
    #[serde(default)]
    pub variables: Map<String, Value>,
}
