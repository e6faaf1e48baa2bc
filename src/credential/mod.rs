//! How we prove ourselves to a vendor, one file per scheme; nothing here does IO.
//!
//! A scheme that must ask for a token builds the request and reads the reply; `transport` sends it.

pub mod assertion;
pub mod base;
pub mod basic;
pub mod header;
pub mod login;
pub mod oauth1;
pub mod oauth2;
pub mod place;
pub mod query;
pub mod reply;
pub mod session;
pub mod soap_header;
mod text;
pub mod token_passport;
pub mod ws_security;

use chrono::{DateTime, Utc};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::credential::basic::{Basic, BasicSettings};
use crate::credential::header::{Header, HeaderSettings};
use crate::credential::login::LoginSettings;
use crate::credential::oauth1::{Oauth1, Oauth1Settings};
use crate::credential::oauth2::settings::{
    ClientCredentialsSettings, JwtBearerSettings, RefreshTokenSettings,
};
use crate::credential::place::Outgoing;
use crate::credential::query::{Query, QuerySettings};
use crate::credential::reply::Token;
use crate::credential::session::Session;
use crate::credential::soap_header::{SoapHeader, SoapHeaderSettings};
use crate::credential::token_passport::{TokenPassport, TokenPassportSettings};
use crate::credential::ws_security::{WsSecurity, WsSecuritySettings};

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
    /// OAuth 2 refresh token (RFC 6749, section 6), with tokens that change at every use.
    Oauth2RefreshToken(RefreshTokenSettings),
    /// OAuth 2 with a signed statement as the grant (RFC 7523).
    JwtBearer(JwtBearerSettings),
    /// A call that logs in; what it gives goes into all others.
    Login(LoginSettings),
    /// OAuth 1.0 signatures (RFC 5849).
    Oauth1(Oauth1Settings),
    /// NetSuite's signed passport in the SOAP header.
    TokenPassport(TokenPassportSettings),
    /// User name and password in the SOAP header (WS-Security).
    WsSecurity(WsSecuritySettings),
    /// A block of the SOAP header of the vendor's own.
    SoapHeader(SoapHeaderSettings),
}

impl Default for CredentialSettings {
    fn default() -> Self {
        // Braces, because serde lets a variant without them carry unknown keys.
        Self::None {}
    }
}

impl CredentialSettings {
    /// The address that tokens come from, when they come from one.
    pub fn token_url(&self) -> Option<&str> {
        match self {
            Self::Oauth2ClientCredentials(settings) => Some(&settings.token_url),
            Self::Oauth2RefreshToken(settings) => Some(&settings.token_url),
            Self::JwtBearer(settings) => Some(&settings.token_url),
            Self::Login(settings) => Some(&settings.url),
            Self::None {}
            | Self::Header(_)
            | Self::Query(_)
            | Self::Basic(_)
            | Self::Oauth1(_)
            | Self::TokenPassport(_)
            | Self::WsSecurity(_)
            | Self::SoapHeader(_) => None,
        }
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
    Session(Box<Session>),
    /// A signature of every call.
    Oauth1(Oauth1),
    /// A signed block of the SOAP header.
    TokenPassport(TokenPassport),
    /// User name and password in the SOAP header.
    WsSecurity(WsSecurity),
    /// A fixed block of the SOAP header.
    SoapHeader(SoapHeader),
}

/// What differs from call to call.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The time.
    pub now: DateTime<Utc>,
    /// Random bytes.
    pub nonce: [u8; 16],
}

/// Why a credential can't be used or obtained; the texts never repeat any of it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CredentialError {
    /// The header's name is not one.
    #[error("`{0}` is not the name of a header")]
    HeaderName(String),
    /// The value holds characters that a header can't carry.
    #[error("the value holds characters that a header or cookie can't carry")]
    HeaderValue,
    /// The user name holds a colon, which would move the border between name and password.
    #[error("the user name holds a colon")]
    UserName,
    /// The token address is not an absolute http or https one.
    #[error(
        "the address of tokens must be an http or https address without user name and fragment"
    )]
    TokenUrl,
    /// The client lacks what its way of proving itself needs.
    #[error("`client_auth` needs `client_id` and `client_secret`")]
    Client,
    /// There is a statement and nothing needs it, or the other way round.
    #[error(
        "`assertion` is needed by `client_auth: assertion` and by `jwt_bearer`, and by nothing else"
    )]
    Assertion,
    /// The statement holds too long or too short.
    #[error("`assertion.lifetime` must be between 1s and 1h")]
    AssertionLifetime,
    /// The private key can't be read.
    #[error("`assertion.key` is not a private key in PEM form for that algorithm")]
    PrivateKey,
    /// There is no refresh token.
    #[error("`refresh_token` is empty")]
    RefreshToken,
    /// A template is not closed or names nothing.
    #[error("a `{{{{ name }}}}` is not closed or has no name")]
    Template,
    /// A template names what is not there.
    #[error("there is no value for `{0}`")]
    Absent(String),
    /// A login has several bodies.
    #[error("a login has one of `json`, `form` and `xml`")]
    LoginBody,
    /// The client of OAuth 1 is incomplete.
    #[error("`consumer_key` is empty, or only one of `token` and `token_secret` is given")]
    Oauth1,
    /// A pattern of hosts would fit too much.
    #[error("`{0}` is not a host; write `api.example.com` or `*.example.com`")]
    HostPattern(String),
    /// There is no pattern of hosts.
    #[error("`base_url.hosts` is empty, so no address would be believed")]
    NoHosts,
    /// The reply names an address that is not believed.
    #[error("the token reply names an address that `base_url.hosts` does not allow")]
    BaseUrl,
    /// What was renewed could not be kept, so that it would be lost at a restart.
    #[error("the renewed refresh token could not be kept")]
    State,
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
            Self::Unreachable | Self::Reply | Self::State => false,
            Self::HeaderName(_)
            | Self::HeaderValue
            | Self::UserName
            | Self::TokenUrl
            | Self::Client
            | Self::Assertion
            | Self::AssertionLifetime
            | Self::PrivateKey
            | Self::RefreshToken
            | Self::Template
            | Self::Absent(_)
            | Self::LoginBody
            | Self::Oauth1
            | Self::HostPattern(_)
            | Self::NoHosts
            | Self::BaseUrl => true,
        }
    }
}

impl Credential {
    /// Checks the settings and prepares what can be prepared.
    pub fn new(settings: &CredentialSettings) -> Result<Self, CredentialError> {
        let session = |session| Self::Session(Box::new(session));
        Ok(match settings {
            CredentialSettings::None {} => Self::None,
            CredentialSettings::Header(settings) => Self::Header(Header::new(settings)?),
            CredentialSettings::Query(settings) => Self::Query(Query::new(settings)),
            CredentialSettings::Basic(settings) => Self::Basic(Basic::new(settings)?),
            CredentialSettings::Oauth2ClientCredentials(settings) => session(settings.session()?),
            CredentialSettings::Oauth2RefreshToken(settings) => session(settings.session()?),
            CredentialSettings::JwtBearer(settings) => session(settings.session()?),
            CredentialSettings::Login(settings) => session(settings.session()?),
            CredentialSettings::Oauth1(settings) => Self::Oauth1(Oauth1::new(settings)?),
            CredentialSettings::TokenPassport(settings) => {
                Self::TokenPassport(TokenPassport::new(settings))
            }
            CredentialSettings::WsSecurity(settings) => Self::WsSecurity(WsSecurity::new(settings)),
            CredentialSettings::SoapHeader(settings) => {
                Self::SoapHeader(SoapHeader::new(settings)?)
            }
        })
    }

    /// Whether it goes into a SOAP envelope, so that no other protocol can carry it.
    pub fn needs_soap(&self) -> bool {
        match self {
            Self::TokenPassport(_) | Self::WsSecurity(_) | Self::SoapHeader(_) => true,
            Self::Session(session) => session.reading.place.needs_soap(),
            Self::None | Self::Header(_) | Self::Query(_) | Self::Basic(_) | Self::Oauth1(_) => {
                false
            }
        }
    }

    /// Adds the proof to a call; a scheme with a token is given the current one.
    pub fn apply(
        &self,
        token: Option<&Token>,
        moment: &Moment,
        call: &mut Outgoing<'_>,
    ) -> Result<(), CredentialError> {
        match self {
            Self::None => {}
            Self::Header(header) => header.apply(call.headers),
            Self::Query(query) => query.apply(call.url),
            Self::Basic(basic) => basic.apply(call.headers),
            Self::Session(_) => {
                if let Some(token) = token {
                    token.proof.apply(call);
                }
            }
            Self::Oauth1(oauth) => oauth.apply(moment, call)?,
            Self::TokenPassport(passport) => passport.apply(moment, call)?,
            Self::WsSecurity(security) => security.apply(moment, call),
            Self::SoapHeader(block) => block.apply(call),
        }
        Ok(())
    }
}
