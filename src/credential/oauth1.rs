//! OAuth 1.0 signatures (RFC 5849).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, header};
use schemars::JsonSchema;
use serde::Deserialize;
use sha1::Sha1;
use sha2::Sha256;
use url::Url;

use crate::credential::header::sensitive;
use crate::credential::place::Outgoing;
use crate::credential::{CredentialError, Moment};
use crate::record::secret::Secret;

/// A client, and the token of whom it acts for, as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Oauth1Settings {
    /// The client's key.
    pub consumer_key: Secret,
    /// The client's secret.
    pub consumer_secret: Secret,
    /// The token; absent when the client acts for itself.
    #[serde(default)]
    pub token: Secret,
    /// The token's secret.
    #[serde(default)]
    pub token_secret: Secret,
    /// How calls are signed.
    #[serde(default)]
    pub signature: SignatureMethod,
    /// The realm, which some vendors use for the account.
    #[serde(default)]
    pub realm: Option<String>,
}

/// How calls are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignatureMethod {
    /// HMAC-SHA256.
    #[default]
    HmacSha256,
    /// HMAC-SHA1, the one in the RFC.
    HmacSha1,
}

impl SignatureMethod {
    /// The name on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "HMAC-SHA256",
            Self::HmacSha1 => "HMAC-SHA1",
        }
    }

    /// The signature of a text in base64.
    pub(crate) fn sign(self, key: &str, text: &str) -> Result<String, CredentialError> {
        let key = key.as_bytes();
        let bytes = match self {
            Self::HmacSha256 => {
                let mut mac =
                    Hmac::<Sha256>::new_from_slice(key).map_err(|_| CredentialError::Template)?;
                mac.update(text.as_bytes());
                mac.finalize().into_bytes().to_vec()
            }
            Self::HmacSha1 => {
                let mut mac =
                    Hmac::<Sha1>::new_from_slice(key).map_err(|_| CredentialError::Template)?;
                mac.update(text.as_bytes());
                mac.finalize().into_bytes().to_vec()
            }
        };
        Ok(STANDARD.encode(bytes))
    }
}

/// Signs every call afresh.
#[derive(Debug)]
pub struct Oauth1 {
    settings: Oauth1Settings,
}

impl Oauth1 {
    pub(crate) fn new(settings: &Oauth1Settings) -> Result<Self, CredentialError> {
        if settings.consumer_key.is_empty()
            || settings.token.is_empty() != settings.token_secret.is_empty()
        {
            return Err(CredentialError::Oauth1);
        }
        Ok(Self {
            settings: settings.clone(),
        })
    }

    pub(crate) fn apply(
        &self,
        moment: &Moment,
        call: &mut Outgoing<'_>,
    ) -> Result<(), CredentialError> {
        let settings = &self.settings;
        let mut own = vec![
            (
                "oauth_consumer_key",
                settings.consumer_key.expose().to_owned(),
            ),
            ("oauth_nonce", hex::encode(moment.nonce)),
            (
                "oauth_signature_method",
                settings.signature.name().to_owned(),
            ),
            ("oauth_timestamp", moment.now.timestamp().to_string()),
        ];
        if !settings.token.is_empty() {
            own.push(("oauth_token", settings.token.expose().to_owned()));
        }
        let base = base_string(call.method, call.url, &own, form(call.headers, call.body));
        let key = format!(
            "{}&{}",
            encode(settings.consumer_secret.expose()),
            encode(settings.token_secret.expose())
        );
        own.push(("oauth_signature", settings.signature.sign(&key, &base)?));
        let mut parts = Vec::new();
        if let Some(realm) = &settings.realm {
            parts.push(format!("realm=\"{}\"", encode(realm)));
        }
        parts.extend(
            own.iter()
                .map(|(name, value)| format!("{name}=\"{}\"", encode(value))),
        );
        let value = sensitive(&format!("OAuth {}", parts.join(", ")))?;
        call.headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }
}

/// The body, when it is a form, whose fields are signed too.
fn form<'a>(headers: &HeaderMap, body: &'a [u8]) -> &'a [u8] {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let is_form = kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if is_form { body } else { &[] }
}

/// The text that is signed (section 3.4.1).
fn base_string(method: &Method, url: &Url, own: &[(&str, String)], form: &[u8]) -> String {
    let mut pairs: Vec<(String, String)> = url
        .query_pairs()
        .chain(url::form_urlencoded::parse(form))
        .map(|(name, value)| (encode(&name), encode(&value)))
        .collect();
    pairs.extend(
        own.iter()
            .map(|(name, value)| (encode(name), encode(value))),
    );
    pairs.sort();
    let joined: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    format!(
        "{method}&{}&{}",
        encode(base.as_str()),
        encode(&joined.join("&"))
    )
}

/// Percent-encodes all but the unreserved characters (section 3.6).
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn own(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        pairs
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_base_string_is_that_of_the_rfc() {
        // Section 3.4.1.1; the realm is no part of it.
        let url =
            Url::parse("http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b").unwrap();
        let own = own(&[
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
        ]);
        let expected = "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7";
        assert_eq!(
            base_string(&Method::POST, &url, &own, b"c2&a3=2+q"),
            expected
        );
    }

    #[test]
    fn the_signature_is_that_of_the_rfc() {
        // Section 1.2.
        let url =
            Url::parse("http://photos.example.net/photos?file=vacation.jpg&size=original").unwrap();
        let pairs = own(&[
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "nnch734d00sl2jdk"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131202"),
            ("oauth_nonce", "chapoH"),
        ]);
        let base = base_string(&Method::GET, &url, &pairs, b"");
        let signature = SignatureMethod::HmacSha1.sign("kd94hf93k423kf44&pfkkdhi9sl3r4s00", &base);
        assert_eq!(signature.unwrap(), "MdpQcU8iPSUjWoN/UDMsK2sui9I=");
    }
}
