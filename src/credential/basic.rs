//! User name and password (RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::credential::CredentialError;
use crate::credential::header::sensitive;
use crate::record::secret::Secret;

/// User name and password as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicSettings {
    /// The user name; it can't hold a colon.
    pub username: Secret,
    /// The password; empty when the vendor wants none.
    #[serde(default = "empty")]
    pub password: Secret,
}

fn empty() -> Secret {
    Secret::new("")
}

/// The header that carries both.
#[derive(Debug)]
pub struct Basic {
    authorization: HeaderValue,
}

impl Basic {
    pub(crate) fn new(settings: &BasicSettings) -> Result<Self, CredentialError> {
        if settings.username.expose().contains(':') {
            return Err(CredentialError::UserName);
        }
        let authorization = authorization(settings.username.expose(), settings.password.expose())?;
        Ok(Self { authorization })
    }

    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
    }
}

/// The value of `Authorization` for a name and a password.
pub(crate) fn authorization(
    username: &str,
    password: &str,
) -> Result<HeaderValue, CredentialError> {
    sensitive(&format!(
        "Basic {}",
        STANDARD.encode(format!("{username}:{password}"))
    ))
}
