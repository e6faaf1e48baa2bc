//! Signed statements about ourselves (RFC 7523), as a grant or as the client's proof.

use std::collections::BTreeMap;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::span::Span;
use crate::credential::{CredentialError, Moment};
use crate::record::secret::Secret;

/// A signed statement as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssertionSettings {
    /// How it is signed.
    pub algorithm: AssertionAlgorithm,
    /// The private key in PEM form; write `${file:…}`.
    pub key: Secret,
    /// The key's id, for the statement's head.
    #[serde(default)]
    pub key_id: Option<String>,
    /// Who says so (`iss`); the client's id at most vendors.
    pub issuer: String,
    /// About whom it is (`sub`); the issuer when absent.
    #[serde(default)]
    pub subject: Option<String>,
    /// For whom it is (`aud`).
    pub audience: String,
    /// Further claims.
    #[serde(default)]
    pub claims: BTreeMap<String, Value>,
    /// How long a statement holds, from 1s to 1h.
    #[serde(default = "three_minutes")]
    pub lifetime: Span,
}

fn three_minutes() -> Span {
    Span(Duration::from_secs(180))
}

/// How a statement is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssertionAlgorithm {
    /// RSA with SHA-256.
    Rs256,
    /// RSA-PSS with SHA-256.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

/// A statement ready to be signed afresh for every request.
pub(crate) struct Assertion {
    header: Header,
    key: EncodingKey,
    claims: Map<String, Value>,
    lifetime: Duration,
}

impl Assertion {
    pub(crate) fn new(settings: &AssertionSettings) -> Result<Self, CredentialError> {
        let pem = settings.key.expose().as_bytes();
        let (algorithm, key) = match settings.algorithm {
            AssertionAlgorithm::Rs256 => (Algorithm::RS256, EncodingKey::from_rsa_pem(pem)),
            AssertionAlgorithm::Ps256 => (Algorithm::PS256, EncodingKey::from_rsa_pem(pem)),
            AssertionAlgorithm::Es256 => (Algorithm::ES256, EncodingKey::from_ec_pem(pem)),
        };
        let lifetime = settings.lifetime.0;
        if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&lifetime) {
            return Err(CredentialError::AssertionLifetime);
        }
        let subject = settings.subject.as_ref().unwrap_or(&settings.issuer);
        let mut claims: Map<String, Value> = settings.claims.clone().into_iter().collect();
        for (name, value) in [
            ("iss", &settings.issuer),
            ("sub", subject),
            ("aud", &settings.audience),
        ] {
            claims.insert(name.to_owned(), Value::String(value.clone()));
        }
        let mut header = Header::new(algorithm);
        header.kid.clone_from(&settings.key_id);
        Ok(Self {
            header,
            key: key.map_err(|_| CredentialError::PrivateKey)?,
            claims,
            lifetime,
        })
    }

    /// A statement that holds from now.
    pub(crate) fn sign(&self, moment: &Moment) -> Result<Secret, CredentialError> {
        let now = moment.now.timestamp();
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(180);
        let mut claims = self.claims.clone();
        claims.insert("iat".into(), now.into());
        claims.insert("exp".into(), now.saturating_add(lifetime).into());
        claims.insert("jti".into(), hex::encode(moment.nonce).into());
        let signed = jsonwebtoken::encode(&self.header, &claims, &self.key);
        signed
            .map(Secret::new)
            .map_err(|_| CredentialError::PrivateKey)
    }
}

impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assertion").finish_non_exhaustive()
    }
}
