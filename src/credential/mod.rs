//! How we prove ourselves to a vendor, one file per scheme; nothing here does IO.
//!
//! A scheme that must ask for a token builds the request and reads the reply; `transport` sends it.

pub mod basic;
pub mod header;
pub mod oauth2;
pub mod query;

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::credential::basic::{Basic, BasicSettings};
use crate::credential::header::{Header, HeaderSettings};
use crate::credential::oauth2::{ClientCredentials, ClientCredentialsSettings};
use crate::credential::query::{Query, QuerySettings};

/// The block `credential` of a connector file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CredentialSettings {
    /// The vendor asks for no proof.
    None {},
    /// A header with a fixed value.
    Header(HeaderSettings),
    /// A query parameter with a fixed value.
    Query(QuerySettings),
    /// User name and password (RFC 7617).
    Basic(BasicSettings),
    /// OAuth 2 client credentials (RFC 6749, section 4.4).
    Oauth2ClientCredentials(ClientCredentialsSettings),
}

impl Default for CredentialSettings {
    fn default() -> Self {
        // Braces, because serde lets a variant without them carry unknown keys.
        Self::None {}
    }
}

/// A usable credential.
#[derive(Debug)]
pub enum Credential {
    /// Nothing is added.
    None,
    /// A fixed header.
    Header(Header),
    /// A fixed query parameter.
    Query(Query),
    /// User name and password.
    Basic(Basic),
    /// A token that is asked for and renewed.
    Oauth2ClientCredentials(Box<ClientCredentials>),
}

/// Why a credential can't be used or obtained; the texts never repeat any of it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CredentialError {
    /// The header's name is not one.
    #[error("`{0}` is not the name of a header")]
    HeaderName(String),
    /// The value holds characters that a header can't carry.
    #[error("the value holds characters that a header can't carry")]
    HeaderValue,
    /// The user name holds a colon, which would move the border between name and password.
    #[error("the user name holds a colon")]
    UserName,
    /// The token address is not an absolute http or https one.
    #[error("`token_url` must be an http or https address without user name and fragment")]
    TokenUrl,
    /// The token endpoint did not answer.
    #[error("the token endpoint did not answer")]
    Unreachable,
    /// The token endpoint refused us.
    #[error("the token endpoint answered with status {0}")]
    Refused(StatusCode),
    /// The token endpoint's reply is not a token.
    #[error("the token endpoint's reply is not a bearer token")]
    Reply,
}

impl CredentialError {
    /// Whether the vendor rejected us, so that trying again does not help.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(status) => {
                status.is_client_error() && *status != StatusCode::TOO_MANY_REQUESTS
            }
            Self::HeaderName(_) | Self::HeaderValue | Self::UserName | Self::TokenUrl => true,
            Self::Unreachable | Self::Reply => false,
        }
    }
}

impl Credential {
    /// Checks the settings and prepares what can be prepared.
    pub fn new(settings: &CredentialSettings) -> Result<Self, CredentialError> {
        Ok(match settings {
            CredentialSettings::None {} => Self::None,
            CredentialSettings::Header(settings) => Self::Header(Header::new(settings)?),
            CredentialSettings::Query(settings) => Self::Query(Query::new(settings)),
            CredentialSettings::Basic(settings) => Self::Basic(Basic::new(settings)?),
            CredentialSettings::Oauth2ClientCredentials(settings) => {
                Self::Oauth2ClientCredentials(Box::new(ClientCredentials::new(settings)?))
            }
        })
    }

    /// Adds the proof to a call; a scheme with a token is given the current one.
    pub fn apply(&self, token: Option<&Token>, url: &mut Url, headers: &mut HeaderMap) {
        match self {
            Self::None => {}
            Self::Header(header) => header.apply(headers),
            Self::Query(query) => query.apply(url),
            Self::Basic(basic) => basic.apply(headers),
            Self::Oauth2ClientCredentials(_) => {
                if let Some(token) = token {
                    headers.insert(http::header::AUTHORIZATION, token.authorization.clone());
                }
            }
        }
    }
}

/// A token that was obtained.
#[derive(Debug, Clone)]
pub struct Token {
    /// The value of the header that carries it; marked sensitive, so that it prints as such.
    pub authorization: http::HeaderValue,
    /// How long after its arrival it is to be replaced; none means when the vendor refuses it.
    pub renew_after: Option<Duration>,
}
