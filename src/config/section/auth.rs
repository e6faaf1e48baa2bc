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
    /// The scopes that a role stands for, by role; for tokens, API keys and certificates alike.
    pub roles: BTreeMap<String, Vec<String>>,
    /// The file of API keys, which `tributary key` writes; read anew when it changes.
    pub keys_file: Option<PathBuf>,
    /// The client certificates that stand for callers; the first that fits counts.
    pub certificates: Vec<CertificateSection>,
    /// How far the issuers' clocks may differ from ours, at most 5m.
    pub leeway: Span,
}

impl Default for AuthSection {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            roles: BTreeMap::new(),
            keys_file: None,
            certificates: Vec::new(),
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
        for (index, certificate) in self.certificates.iter().enumerate() {
            let mut refuse = |key: &str, message: &str| {
                check.refuse(&["certificates".into(), index.into(), key.into()], message);
            };
            certificate.validate(&mut refuse);
        }
    }
}

/// A client certificate that stands for a caller; every name that is given must be the certificate's.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateSection {
    /// The caller's name, its `subject`.
    pub name: String,
    /// The common name of the certificate's subject.
    pub common_name: Option<String>,
    /// A DNS name among its alternative names.
    pub dns: Option<String>,
    /// A URI among its alternative names, as `spiffe://acme/billing`.
    pub uri: Option<String>,
    /// An e-mail address among its alternative names.
    pub email: Option<String>,
    /// The SHA-256 of the certificate in hexadecimal.
    pub fingerprint: Option<String>,
    /// The caller's tenant.
    pub tenant: Option<String>,
    /// The caller's roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Scopes beside those of the roles.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What rules on records read of the caller.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
}

impl CertificateSection {
    fn validate(&self, refuse: &mut dyn FnMut(&str, &str)) {
        if self.name.is_empty() {
            refuse("name", "`name` must name the caller.");
        }
        let names = [
            &self.common_name,
            &self.dns,
            &self.uri,
            &self.email,
            &self.fingerprint,
        ];
        if names.iter().all(|name| name.is_none()) {
            let message = "A certificate needs at least one of `common_name`, `dns`, `uri`, `email` and `fingerprint`.";
            refuse("name", message);
        }
        if names.into_iter().flatten().any(String::is_empty) {
            refuse("name", "No name of a certificate may be empty.");
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
    /// Whether the issuer's metadata, `/.well-known/openid-configuration` below `issuer`, tells where its keys are.
    #[serde(default)]
    pub discovery: bool,
    /// The values of a token's `typ` that are accepted; a token without one counts as `JWT`.
    #[serde(default = "types")]
    pub types: Vec<String>,
    /// The claim that lists the roles; dots lead into objects, as in `realm_access.roles`.
    #[serde(default = "roles_claim")]
    pub roles_claim: String,
    /// Which role each value of that claim stands for; when empty the values are names of roles.
    #[serde(default)]
    pub role_values: BTreeMap<String, String>,
    /// The roles of a caller whose token has none.
    #[serde(default)]
    pub default_roles: Vec<String>,
    /// The claim that names the tenant; dots lead into objects.
    #[serde(default = "tenant_claim")]
    pub tenant_claim: String,
}

fn types() -> Vec<String> {
    vec!["JWT".to_owned(), "at+jwt".to_owned()]
}

fn roles_claim() -> String {
    "roles".to_owned()
}

fn tenant_claim() -> String {
    "tenant".to_owned()
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
        if self.types.is_empty() {
            refuse("types", "`types` must name at least one type.");
        }
        for (key, claim) in [
            ("roles_claim", &self.roles_claim),
            ("tenant_claim", &self.tenant_claim),
        ] {
            if claim.is_empty() {
                refuse(key, &format!("`{key}` must name a claim."));
            }
        }
        self.validate_keys(refuse);
    }

    fn validate_keys(&self, refuse: &mut dyn FnMut(&str, &str)) {
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
        let others = [
            self.secret.is_some(),
            self.jwks_url.is_some(),
            self.discovery,
        ];
        let others = others.into_iter().filter(|given| *given).count();
        if files.saturating_add(others) != 1 {
            let message = "An issuer needs exactly one of `secret`, `public_key_file`, `jwks_file`, `jwks_url` and `discovery`.";
            refuse("issuer", message);
        }
        if self.discovery && !is_safe_url(&self.issuer) {
            let message = "`issuer` must be an https URL without credentials for `discovery`; http is for this machine only.";
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
