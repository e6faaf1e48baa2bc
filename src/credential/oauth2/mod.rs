//! OAuth 2: the token requests of the grants, and how the client proves itself in them.

pub mod settings;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::credential::assertion::Assertion;
use crate::credential::basic::authorization;
use crate::credential::session::{TokenRequest, address};
use crate::credential::{CredentialError, Moment};
use crate::record::secret::Secret;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Where a client proves itself to the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// In the header `Authorization`, as the RFC prefers.
    #[default]
    Header,
    /// In the form, as `client_id` and `client_secret`.
    Form,
    /// In a JSON body that takes the place of the form.
    Json,
    /// In the query; the parameters of the request go there too.
    Query,
    /// By the signed statement `assertion` in the form (RFC 7523, section 2.2).
    Assertion,
    /// Not at all; `client_id` goes into the form when it is given.
    None,
}

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Grant {
    ClientCredentials,
    RefreshToken,
    JwtBearer,
}

/// A client and its token endpoint.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) url: Url,
    grant: Grant,
    auth: ClientAuth,
    id: Secret,
    secret: Secret,
    assertion: Option<Assertion>,
    pairs: Vec<(String, Secret)>,
}

/// What the settings of all grants give.
pub(crate) struct Parts<'a> {
    pub(crate) grant: Grant,
    pub(crate) token_url: &'a str,
    pub(crate) client_auth: ClientAuth,
    pub(crate) client_id: &'a Secret,
    pub(crate) client_secret: &'a Secret,
    pub(crate) assertion: Option<Assertion>,
    pub(crate) scope: &'a str,
    pub(crate) params: &'a BTreeMap<String, Secret>,
}

impl Client {
    pub(crate) fn new(parts: Parts<'_>) -> Result<Self, CredentialError> {
        let needs_secret = match parts.client_auth {
            ClientAuth::Header | ClientAuth::Form | ClientAuth::Json | ClientAuth::Query => true,
            ClientAuth::Assertion | ClientAuth::None => false,
        };
        let is_anonymous = parts.client_auth == ClientAuth::None;
        if !is_anonymous && parts.client_id.is_empty()
            || needs_secret && parts.client_secret.is_empty()
        {
            return Err(CredentialError::Client);
        }
        let needs_assertion =
            parts.client_auth == ClientAuth::Assertion || matches!(parts.grant, Grant::JwtBearer);
        if needs_assertion != parts.assertion.is_some() {
            return Err(CredentialError::Assertion);
        }
        let mut pairs = Vec::new();
        if !parts.scope.is_empty() {
            pairs.push(("scope".to_owned(), Secret::new(parts.scope)));
        }
        pairs.extend(parts.params.clone());
        Ok(Self {
            url: address(parts.token_url)?,
            grant: parts.grant,
            auth: parts.client_auth,
            id: parts.client_id.clone(),
            secret: parts.client_secret.clone(),
            assertion: parts.assertion,
            pairs,
        })
    }

    /// The token request; `refresh` is the refresh token of that grant.
    pub(crate) fn request(
        &self,
        moment: &Moment,
        refresh: Option<&Secret>,
    ) -> Result<TokenRequest, CredentialError> {
        let mut pairs = self.grant_pairs(moment, refresh)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        match self.auth {
            ClientAuth::Header => {
                // RFC 6749, section 2.3.1: both are form-encoded before they are joined.
                let encoded =
                    |text: &Secret| byte_serialize(text.expose().as_bytes()).collect::<String>();
                let value = authorization(&encoded(&self.id), &encoded(&self.secret))?;
                headers.insert(header::AUTHORIZATION, value);
            }
            ClientAuth::Form | ClientAuth::Json | ClientAuth::Query => {
                pairs.push(("client_id", self.id.clone()));
                pairs.push(("client_secret", self.secret.clone()));
            }
            ClientAuth::Assertion => {
                pairs.push(("client_id", self.id.clone()));
                pairs.push(("client_assertion_type", Secret::new(ASSERTION_TYPE)));
                let assertion = self.assertion.as_ref().ok_or(CredentialError::Assertion)?;
                pairs.push(("client_assertion", assertion.sign(moment)?));
            }
            ClientAuth::None if self.id.is_empty() => {}
            ClientAuth::None => pairs.push(("client_id", self.id.clone())),
        }
        pairs.extend(
            self.pairs
                .iter()
                .map(|(name, value)| (name.as_str(), value.clone())),
        );
        let (url, body) = self.written(&pairs, &mut headers)?;
        Ok(TokenRequest {
            method: Method::POST,
            url,
            headers,
            body: Bytes::from(body),
        })
    }

    /// The parameters as query, JSON or form.
    fn written(
        &self,
        pairs: &[(&str, Secret)],
        headers: &mut HeaderMap,
    ) -> Result<(Url, Vec<u8>), CredentialError> {
        let mut url = self.url.clone();
        let body = match self.auth {
            ClientAuth::Json => {
                headers.insert(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                );
                let members: BTreeMap<&str, &str> = pairs
                    .iter()
                    .map(|(name, value)| (*name, value.expose()))
                    .collect();
                serde_json::to_vec(&members).map_err(|_| CredentialError::Template)?
            }
            ClientAuth::Query => {
                let mut query = url.query_pairs_mut();
                for (name, value) in pairs {
                    query.append_pair(name, value.expose());
                }
                Vec::new()
            }
            ClientAuth::Header | ClientAuth::Form | ClientAuth::Assertion | ClientAuth::None => {
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                headers.insert(header::CONTENT_TYPE, kind);
                let mut form = Serializer::new(String::new());
                for (name, value) in pairs {
                    form.append_pair(name, value.expose());
                }
                form.finish().into_bytes()
            }
        };
        Ok((url, body))
    }

    fn grant_pairs(
        &self,
        moment: &Moment,
        refresh: Option<&Secret>,
    ) -> Result<Vec<(&'static str, Secret)>, CredentialError> {
        let mut pairs = Vec::new();
        match self.grant {
            Grant::ClientCredentials => {
                pairs.push(("grant_type", Secret::new("client_credentials")));
            }
            Grant::RefreshToken => {
                pairs.push(("grant_type", Secret::new("refresh_token")));
                let refresh = refresh.ok_or(CredentialError::RefreshToken)?;
                pairs.push(("refresh_token", refresh.clone()));
            }
            Grant::JwtBearer => {
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                pairs.push(("grant_type", Secret::new(grant)));
                let assertion = self.assertion.as_ref().ok_or(CredentialError::Assertion)?;
                pairs.push(("assertion", assertion.sign(moment)?));
            }
        }
        Ok(pairs)
    }
}
