//! A signed passport in the SOAP header, as NetSuite's token-based login wants it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::credential::oauth1::{SignatureMethod, encode};
use crate::credential::place::Outgoing;
use crate::credential::{CredentialError, Moment};
use crate::protocol::soap::call::escape_attribute;
use crate::record::secret::Secret;

/// A passport as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenPassportSettings {
    /// The account.
    pub account: Secret,
    /// The integration's key.
    pub consumer_key: Secret,
    /// The integration's secret.
    pub consumer_secret: Secret,
    /// The token's id.
    pub token: Secret,
    /// The token's secret.
    pub token_secret: Secret,
    /// The namespace of the element `tokenPassport`, such as `urn:messages_2023_1.platform.webservices.netsuite.com`.
    pub namespace: String,
    /// The namespace of what is in it, such as `urn:core_2023_1.platform.webservices.netsuite.com`; the same when absent.
    #[serde(default)]
    pub inner_namespace: Option<String>,
    /// How it is signed.
    #[serde(default)]
    pub signature: SignatureMethod,
}

/// Signs every call afresh.
#[derive(Debug)]
pub struct TokenPassport {
    settings: TokenPassportSettings,
}

impl TokenPassport {
    pub(crate) fn new(settings: &TokenPassportSettings) -> Self {
        Self {
            settings: settings.clone(),
        }
    }

    pub(crate) fn apply(
        &self,
        moment: &Moment,
        call: &mut Outgoing<'_>,
    ) -> Result<(), CredentialError> {
        call.insert_block(
            self.block(&hex::encode(moment.nonce), moment.now.timestamp())?
                .expose(),
        );
        Ok(())
    }

    fn block(&self, nonce: &str, timestamp: i64) -> Result<Secret, CredentialError> {
        let TokenPassportSettings {
            account,
            consumer_key,
            consumer_secret,
            token,
            token_secret,
            namespace,
            inner_namespace,
            signature,
        } = &self.settings;
        let (account, consumer, token) = (account.expose(), consumer_key.expose(), token.expose());
        let parts = [account, consumer, token, nonce].map(encode);
        let text = format!("{}&{timestamp}", parts.join("&"));
        let key = format!(
            "{}&{}",
            encode(consumer_secret.expose()),
            encode(token_secret.expose())
        );
        let signed = signature.sign(&key, &text)?;
        let mut xml = format!("<tokenPassport xmlns=\"{}\">", escape_attribute(namespace));
        let inner = escape_attribute(inner_namespace.as_ref().unwrap_or(namespace));
        for (name, value) in [
            ("account", account),
            ("consumerKey", consumer),
            ("token", token),
            ("nonce", nonce),
            ("timestamp", &timestamp.to_string()),
        ] {
            xml.push_str(&format!(
                "<{name} xmlns=\"{inner}\">{}</{name}>",
                escape_attribute(value)
            ));
        }
        xml.push_str(&format!(
            "<signature xmlns=\"{inner}\" algorithm=\"{}\">{signed}</signature></tokenPassport>",
            signature.name()
        ));
        Ok(Secret::new(xml))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_signature_covers_account_keys_nonce_and_time() {
        let settings = TokenPassportSettings {
            account: Secret::new("1234567"),
            consumer_key: Secret::new("ck"),
            consumer_secret: Secret::new("cs"),
            token: Secret::new("tk"),
            token_secret: Secret::new("ts"),
            namespace: "urn:m".into(),
            inner_namespace: None,
            signature: SignatureMethod::HmacSha256,
        };
        let block = TokenPassport::new(&settings)
            .block("abcdef0123456789", 1_400_000_000)
            .unwrap();
        // Made with `printf '1234567&ck&tk&abcdef0123456789&1400000000' | openssl dgst -sha256 -hmac 'cs&ts' -binary | base64`.
        let expected = "<signature xmlns=\"urn:m\" algorithm=\"HMAC-SHA256\">xzb8eQTeKSH3P7I8G0arRObEMIQi+ybI991LuyM3m+Y=</signature>";
        assert!(block.expose().contains(expected));
    }
}
