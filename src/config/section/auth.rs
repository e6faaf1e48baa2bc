//! The section `auth`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::config::section::{Check, seconds};
use crate::config::span::Span;
use crate::record::secret::Secret;

/// The shortest shared secret, RFC 7518 section 3.2: as long as the hash.
const SECRET_BYTES_MIN: usize = 32;

/// Whose tokens are accepted, and what the roles in them stand for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSection {
    /// The issuers whose tokens are accepted, each with its own keys.
    pub issuers: Vec<IssuerSection>,
    /// The scopes that a role stands for, by role.
    pub roles: BTreeMap<String, Vec<String>>,
    /// How far the issuers' clocks may differ from ours, at most 5m.
    pub leeway: Span,
}

impl Default for AuthSection {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            roles: BTreeMap::new(),
            leeway: seconds(5),
        }
    }
}

impl AuthSection {
    /// Reports issuers without exactly one source of keys, algorithms that do not fit it, and weak secrets.
    pub fn validate(&self, check: &mut Check<'_>) {
        check.span(
            "leeway",
            self.leeway,
            Duration::ZERO..=Duration::from_secs(300),
        );
        let mut seen = BTreeSet::new();
        for (index, issuer) in self.issuers.iter().enumerate() {
            let mut refuse = |key: &str, message: &str| {
                check.refuse(&["issuers".into(), index.into(), key.into()], message);
            };
            if !seen.insert(&issuer.issuer) {
                refuse(
                    "issuer",
                    "This `issuer` is here twice, and an issuer has one set of keys.",
                );
            }
            issuer.validate(&mut refuse);
        }
    }
}

/// A signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// HMAC with SHA-256, by a shared secret.
    HS256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RS256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    RS384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    RS512,
    /// RSA PSS with SHA-256.
    PS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

/// One issuer of tokens, with exactly one source of keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerSection {
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// The values of `aud` that mean this gateway; one of them must be in the token.
    pub audiences: Vec<String>,
    /// The algorithms its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// The secret shared with the issuer for HS256, at least 32 bytes; write it as `${NAME}` or `${file:path}`.
    pub secret: Option<Secret>,
    /// A file with the issuer's public key as PEM text.
    pub public_key_file: Option<PathBuf>,
    /// A file with the issuer's JSON Web Key Set.
    pub jwks_file: Option<PathBuf>,
    /// Where the issuer publishes its JSON Web Key Set; https, or http on this machine.
    pub jwks_url: Option<String>,
}

impl IssuerSection {
    fn validate(&self, refuse: &mut dyn FnMut(&str, &str)) {
        if self.issuer.is_empty() {
            refuse(
                "issuer",
                "`issuer` must be the exact `iss` of the issuer's tokens.",
            );
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            refuse(
                "audiences",
                "`audiences` must name at least one audience, and none of them empty.",
            );
        }
        if self.algorithms.is_empty() {
            refuse(
                "algorithms",
                "`algorithms` must name at least one algorithm.",
            );
        }
        let fits =
            |algorithm: &Algorithm| (*algorithm == Algorithm::HS256) == self.secret.is_some();
        if !self.algorithms.iter().all(fits) {
            refuse(
                "algorithms",
                "HS256 goes with `secret`, and all other algorithms go with public keys.",
            );
        }
        let files = [&self.public_key_file, &self.jwks_file]
            .into_iter()
            .flatten()
            .count();
        let others =
            usize::from(self.secret.is_some()).saturating_add(usize::from(self.jwks_url.is_some()));
        if files.saturating_add(others) != 1 {
            let message = "An issuer needs exactly one of `secret`, `public_key_file`, `jwks_file` and `jwks_url`.";
            refuse("issuer", message);
        }
        if self
            .secret
            .as_ref()
            .is_some_and(|secret| secret.expose().len() < SECRET_BYTES_MIN)
        {
            refuse("secret", "`secret` must have at least 32 bytes.");
        }
        if self
            .jwks_url
            .as_deref()
            .is_some_and(|url| !is_safe_url(url))
        {
            let message = "`jwks_url` must be an https URL without credentials; http is for this machine only.";
            refuse("jwks_url", message);
        }
    }
}

/// Whether a text is an https URL without credentials, or an http one of this machine.
pub(crate) fn is_safe_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    let is_bare = url.username().is_empty() && url.password().is_none();
    is_bare && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback))
}
