//! User name and password in the SOAP header (WS-Security UsernameToken profile 1.0).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use http::header;
use schemars::JsonSchema;
use serde::Deserialize;
use sha1::{Digest, Sha1};

use crate::config::span::Span;
use crate::credential::Moment;
use crate::credential::place::Outgoing;
use crate::protocol::soap::Version;
use crate::protocol::soap::call::escape_attribute;
use crate::record::secret::Secret;

const SECURITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const UTILITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const PROFILE: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0";
const BASE64: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

/// User name and password as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WsSecuritySettings {
    /// The user name.
    pub username: Secret,
    /// The password.
    pub password: Secret,
    /// How the password travels.
    #[serde(default)]
    pub password_type: PasswordType,
    /// How long a message holds, as its `Timestamp` says; no `Timestamp` when `0s`.
    #[serde(default = "five_minutes")]
    pub lifetime: Span,
    /// Whether a vendor that does not know the header must refuse the call.
    #[serde(default = "yes")]
    pub must_understand: bool,
}

fn five_minutes() -> Span {
    Span(Duration::from_secs(300))
}

fn yes() -> bool {
    true
}

/// How a password travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PasswordType {
    /// As a digest with a nonce and the time.
    #[default]
    Digest,
    /// As it is.
    Text,
}

/// Writes the header of every call afresh.
#[derive(Debug)]
pub struct WsSecurity {
    settings: WsSecuritySettings,
}

impl WsSecurity {
    pub(crate) fn new(settings: &WsSecuritySettings) -> Self {
        Self {
            settings: settings.clone(),
        }
    }

    pub(crate) fn apply(&self, moment: &Moment, call: &mut Outgoing<'_>) {
        let kind = call.headers.get(header::CONTENT_TYPE);
        let is_newer =
            kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/soap+xml"));
        let version = if is_newer {
            Version::V1_2
        } else {
            Version::V1_1
        };
        call.insert_block(self.block(version, moment).expose());
    }

    fn block(&self, version: Version, moment: &Moment) -> Secret {
        let settings = &self.settings;
        let created = written(moment.now);
        let mut xml = format!("<wsse:Security xmlns:wsse=\"{SECURITY}\" xmlns:wsu=\"{UTILITY}\"");
        if settings.must_understand {
            let namespace = version.namespace();
            xml.push_str(&format!(
                " xmlns:env=\"{namespace}\" env:mustUnderstand=\"1\""
            ));
        }
        xml.push('>');
        if !settings.lifetime.0.is_zero() {
            let expires = written(moment.now + settings.lifetime.0);
            xml.push_str(&format!(
                "<wsu:Timestamp><wsu:Created>{created}</wsu:Created><wsu:Expires>{expires}</wsu:Expires></wsu:Timestamp>"
            ));
        }
        let name = escape_attribute(settings.username.expose());
        xml.push_str(&format!(
            "<wsse:UsernameToken><wsse:Username>{name}</wsse:Username>"
        ));
        let (kind, password) = match settings.password_type {
            PasswordType::Text => ("PasswordText", escape_attribute(settings.password.expose())),
            PasswordType::Digest => {
                let password = settings.password.expose();
                ("PasswordDigest", digest(&moment.nonce, &created, password))
            }
        };
        let nonce = STANDARD.encode(moment.nonce);
        xml.push_str(&format!(
            "<wsse:Password Type=\"{PROFILE}#{kind}\">{password}</wsse:Password><wsse:Nonce EncodingType=\"{BASE64}\">{nonce}</wsse:Nonce><wsu:Created>{created}</wsu:Created></wsse:UsernameToken></wsse:Security>"
        ));
        Secret::new(xml)
    }
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The digest of the raw nonce, the time as written and the password.
fn digest(nonce: &[u8], created: &str, password: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(nonce);
    hash.update(created.as_bytes());
    hash.update(password.as_bytes());
    STANDARD.encode(hash.finalize())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_a_published_example() {
        // The example of the ONVIF application programmer's guide.
        let nonce = STANDARD.decode("LKqI6G/AikKCQrN0zqZFlg==").unwrap();
        let digest = digest(&nonce, "2010-09-16T07:50:45Z", "userpassword");
        assert_eq!(digest, "tuOSpGlFlIXsozq4HFNeeGeFLEI=");
    }
}
