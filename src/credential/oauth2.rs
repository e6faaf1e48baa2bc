//! OAuth 2 client credentials (RFC 6749, section 4.4): the token request and what its reply means.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::config::span::Span;
use crate::credential::basic::authorization;
use crate::credential::header::sensitive;
use crate::credential::{CredentialError, Token};
use crate::record::secret::Secret;

/// The client and its token endpoint as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentialsSettings {
    /// The address of the token endpoint.
    pub token_url: String,
    /// The client's id.
    pub client_id: Secret,
    /// The client's secret.
    pub client_secret: Secret,
    /// Where the client proves itself.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// The scope to ask for, when one is needed.
    #[serde(default)]
    pub scope: String,
    /// Further parameters of the token request, such as `audience`.
    #[serde(default)]
    pub params: BTreeMap<String, Secret>,
    /// How long before its end a token is replaced; never more than half of its life.
    #[serde(default = "a_minute")]
    pub early: Span,
    /// How long a token lives when the endpoint does not say; without it, until the vendor refuses the token.
    #[serde(default)]
    pub lifetime: Option<Span>,
}

fn a_minute() -> Span {
    Span(Duration::from_secs(60))
}

/// Where a client proves itself to the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// In the header `Authorization`, as the RFC prefers.
    #[default]
    Header,
    /// In the form, as `client_id` and `client_secret`.
    Form,
}

/// A prepared token request.
#[derive(Debug)]
pub struct ClientCredentials {
    url: Url,
    headers: HeaderMap,
    form: Secret,
    early: Duration,
    lifetime: Option<Duration>,
}

#[derive(Deserialize)]
struct TokenReply {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Seconds>,
}

/// Some vendors write the seconds as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u32),
    Text(String),
}

impl ClientCredentials {
    pub(crate) fn new(settings: &ClientCredentialsSettings) -> Result<Self, CredentialError> {
        let url = Url::parse(&settings.token_url).map_err(|_| CredentialError::TokenUrl)?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        if !is_web || !url.username().is_empty() || url.fragment().is_some() {
            return Err(CredentialError::TokenUrl);
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let (id, secret) = (settings.client_id.expose(), settings.client_secret.expose());
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        match settings.client_auth {
            ClientAuth::Header => {
                // RFC 6749, section 2.3.1: both are form-encoded before they are joined.
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                headers.insert(
                    header::AUTHORIZATION,
                    authorization(&encoded(id), &encoded(secret))?,
                );
            }
            ClientAuth::Form => {
                form.append_pair("client_id", id)
                    .append_pair("client_secret", secret);
            }
        }
        if !settings.scope.is_empty() {
            form.append_pair("scope", &settings.scope);
        }
        for (name, value) in &settings.params {
            form.append_pair(name, value.expose());
        }
        Ok(Self {
            url,
            headers,
            form: Secret::new(form.finish()),
            early: settings.early.0,
            lifetime: settings.lifetime.map(|span| span.0),
        })
    }

    /// The address, headers and form of the request, which is a POST.
    pub fn request(&self) -> (Url, HeaderMap, Bytes) {
        let body = Bytes::copy_from_slice(self.form.expose().as_bytes());
        (self.url.clone(), self.headers.clone(), body)
    }

    /// Reads the endpoint's reply.
    pub fn read(&self, status: StatusCode, body: &[u8]) -> Result<Token, CredentialError> {
        if !status.is_success() {
            return Err(CredentialError::Refused(status));
        }
        let reply: TokenReply = serde_json::from_slice(body).map_err(|_| CredentialError::Reply)?;
        let is_bearer = reply
            .token_type
            .is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
        if !is_bearer || reply.access_token.is_empty() {
            return Err(CredentialError::Reply);
        }
        let authorization = sensitive(&format!("Bearer {}", reply.access_token))?;
        let told = match reply.expires_in {
            Some(Seconds::Number(seconds)) => Some(seconds),
            Some(Seconds::Text(text)) => Some(text.parse().map_err(|_| CredentialError::Reply)?),
            None => None,
        };
        let lifetime = told
            .map(|seconds| Duration::from_secs(seconds.into()))
            .or(self.lifetime);
        let renew_after = lifetime.map(|life| life.saturating_sub(self.early.min(life / 2)));
        Ok(Token {
            authorization,
            renew_after,
        })
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod tests {
    use super::*;
    use crate::credential::{Credential, CredentialSettings};

    fn client(extra: &str) -> ClientCredentials {
        let text = format!(
            r#"{{"kind": "oauth2_client_credentials", "token_url": "https://id.test/token", "client_id": "a b", "client_secret": "c:d"{extra}}}"#
        );
        let settings: CredentialSettings = serde_json::from_str(&text).unwrap();
        assert!(!format!("{settings:?}").contains("c:d"));
        match Credential::new(&settings).unwrap() {
            Credential::Oauth2ClientCredentials(client) => *client,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn the_client_proves_itself_in_the_header_or_the_form() {
        let (_, headers, form) =
            client(r#", "scope": "x y", "params": {"audience": "z"}"#).request();
        // base64 of `a+b:c%3Ad`
        assert_eq!(headers["authorization"], "Basic YStiOmMlM0Fk");
        assert_eq!(form, "grant_type=client_credentials&scope=x+y&audience=z");
        let (_, headers, form) = client(r#", "client_auth": "form""#).request();
        assert!(!headers.contains_key("authorization"));
        assert_eq!(
            form,
            "grant_type=client_credentials&client_id=a+b&client_secret=c%3Ad"
        );
    }

    #[test]
    fn a_token_is_replaced_before_it_ends_and_not_before_half_its_life() {
        let renew = |client: &ClientCredentials, expiry: &str| {
            let body = format!(r#"{{"access_token": "t"{expiry}}}"#);
            let token = client.read(StatusCode::OK, body.as_bytes()).unwrap();
            token.renew_after.map(|after| after.as_secs())
        };
        let plain = client("");
        assert_eq!(renew(&plain, r#", "expires_in": 3600"#), Some(3540));
        assert_eq!(renew(&plain, r#", "expires_in": "100""#), Some(50));
        assert_eq!(renew(&plain, ""), None);
        assert_eq!(renew(&client(r#", "lifetime": "10m""#), ""), Some(540));
    }

    #[test]
    fn a_reply_that_is_no_bearer_token_is_refused() {
        let client = client("");
        for body in [
            "",
            "[]",
            r#"{"access_token": ""}"#,
            r#"{"access_token": "t", "token_type": "mac"}"#,
        ] {
            assert!(matches!(
                client.read(StatusCode::OK, body.as_bytes()),
                Err(CredentialError::Reply)
            ));
        }
        let refused = client
            .read(StatusCode::UNAUTHORIZED, b"secret")
            .unwrap_err();
        assert!(refused.is_refusal());
    }

    #[test]
    fn an_unknown_key_or_kind_is_refused() {
        for text in [
            r#"{"kind": "magic"}"#,
            r#"{"kind": "none", "x": 1}"#,
            r#"{"kind": "header", "name": "a", "value": "b", "x": 1}"#,
        ] {
            assert!(
                serde_json::from_str::<CredentialSettings>(text).is_err(),
                "{text}"
            );
        }
    }
}
