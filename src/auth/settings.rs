//! The section `auth` of `tributary.yaml`: whose tokens are accepted, and what their claims mean.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::record::secret::Secret;

/// The shortest shared secret, RFC 7518 section 3.2: as long as the hash.
const SECRET_BYTES_MIN: usize = 32;

/// A signature algorithm that an issuer may be allowed to use.
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

impl Algorithm {
    /// Reads a token's or key's `alg`; anything unsupported, `none` above all, is nothing.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::HS256,
            "RS256" => Self::RS256,
            "RS384" => Self::RS384,
            "RS512" => Self::RS512,
            "PS256" => Self::PS256,
            "ES256" => Self::ES256,
            "ES384" => Self::ES384,
            "EdDSA" => Self::EdDSA,
            _ => return None,
        })
    }

    /// Whether signer and verifier share one secret.
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256)
    }

    /// The same algorithm in the words of the library that verifies.
    pub(crate) const fn to_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::HS256 => jsonwebtoken::Algorithm::HS256,
            Self::RS256 => jsonwebtoken::Algorithm::RS256,
            Self::RS384 => jsonwebtoken::Algorithm::RS384,
            Self::RS512 => jsonwebtoken::Algorithm::RS512,
            Self::PS256 => jsonwebtoken::Algorithm::PS256,
            Self::ES256 => jsonwebtoken::Algorithm::ES256,
            Self::ES384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// Who may call, and how their tokens are read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// The issuers whose tokens are accepted, each with its own keys.
    pub issuers: Vec<IssuerSettings>,
    /// The scopes that a role stands for, by role.
    pub roles: BTreeMap<String, Vec<String>>,
    /// The client certificates that stand for callers.
    pub certificates: Vec<CertificateSettings>,
    /// How far the issuers' clocks may differ from ours, in seconds, at most 300.
    pub leeway_seconds: u64,
    /// How many verified tokens are remembered until they expire; 0 verifies each one every time.
    pub remember: usize,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            roles: BTreeMap::new(),
            certificates: Vec::new(),
            leeway_seconds: 5,
            remember: 10_000,
        }
    }
}

/// A client certificate that stands for a caller; every name that is given must be the certificate's.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateSettings {
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
    pub roles: Vec<String>,
    /// Scopes beside those of the roles.
    pub scopes: Vec<String>,
    /// What rules on records read of the caller.
    pub claims: BTreeMap<String, String>,
}

/// One issuer of tokens, with exactly one source of keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerSettings {
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// The values of `aud` that mean this gateway; one of them must be in the token.
    pub audiences: Vec<String>,
    /// The algorithms its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// The secret shared with the issuer, at least 32 bytes, for HS256.
    pub secret: Option<Secret>,
    /// The issuer's public key as PEM text.
    pub public_key_pem: Option<String>,
    /// A file with the issuer's public key as PEM text.
    pub public_key_file: Option<PathBuf>,
    /// A file with the issuer's JSON Web Key Set.
    pub jwks_file: Option<PathBuf>,
    /// Where the issuer publishes its JSON Web Key Set; https, or http on this machine.
    pub jwks_url: Option<String>,
    /// Whether the issuer's metadata (`/.well-known/openid-configuration` below `issuer`) tells where its keys are.
    pub discovery: bool,
    /// The values of a token's `typ` that are accepted, without `application/`; a token without one counts as `JWT`.
    pub types: Vec<String>,
    /// The claim that lists the roles; dots lead into objects (`realm_access.roles`).
    pub roles_claim: String,
    /// Which role each value of that claim stands for; when empty the values are names of roles.
    pub role_values: BTreeMap<String, String>,
    /// The roles of a caller whose token has none.
    pub default_roles: Vec<String>,
    /// The claim that names the tenant; dots lead into objects.
    pub tenant_claim: String,
    /// How old a fetched key set grows before it is fetched anew, in seconds.
    pub jwks_refresh_seconds: u64,
    /// How often at most an unknown key id makes us fetch the key set, in seconds.
    pub jwks_unknown_kid_seconds: u64,
}

impl Default for IssuerSettings {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audiences: Vec::new(),
            algorithms: Vec::new(),
            secret: None,
            public_key_pem: None,
            public_key_file: None,
            jwks_file: None,
            jwks_url: None,
            discovery: false,
            types: vec!["JWT".into(), "at+jwt".into()],
            roles_claim: "roles".into(),
            role_values: BTreeMap::new(),
            default_roles: Vec::new(),
            tenant_claim: "tenant".into(),
            jwks_refresh_seconds: 600,
            jwks_unknown_kid_seconds: 30,
        }
    }
}

impl AuthSettings {
    /// Finds everything that is wrong, each as the dotted path of the setting and a message for the operator.
    pub fn validate(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut problem =
            |path: &str, text: &str| problems.push((path.to_owned(), text.to_owned()));
        if self.leeway_seconds > 300 {
            problem("leeway_seconds", "must be at most 300");
        }
        if self.remember > 1_000_000 {
            problem("remember", "must be at most 1000000");
        }
        let mut seen = BTreeSet::new();
        for (index, issuer) in self.issuers.iter().enumerate() {
            if !seen.insert(&issuer.issuer) {
                problem(
                    &format!("issuers.{index}.issuer"),
                    "is given twice; an issuer has one set of keys",
                );
            }
            issuer.validate(&mut |field, text| problem(&format!("issuers.{index}.{field}"), text));
        }
        problems
    }
}

impl IssuerSettings {
    fn validate(&self, problem: &mut dyn FnMut(&str, &str)) {
        if self.issuer.is_empty() {
            problem("issuer", "must be the exact `iss` of the issuer's tokens");
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            problem(
                "audiences",
                "must name at least one audience, and none of them empty",
            );
        }
        if self.algorithms.is_empty() {
            problem("algorithms", "must name at least one algorithm");
        }
        for (name, claim) in [
            ("roles_claim", &self.roles_claim),
            ("tenant_claim", &self.tenant_claim),
        ] {
            if claim.is_empty() {
                problem(name, "must name a claim");
            }
        }
        if self.types.is_empty() {
            problem("types", "must name at least one type");
        }
        self.validate_keys(problem);
    }

    fn validate_keys(&self, problem: &mut dyn FnMut(&str, &str)) {
        let fits = |algorithm: &Algorithm| algorithm.is_symmetric() == self.secret.is_some();
        if !self.algorithms.iter().all(fits) {
            problem(
                "algorithms",
                "must fit the key: HS256 goes with `secret`, all others with public keys",
            );
        }
        if self.key_sources() != 1 {
            problem(
                "issuer",
                "needs exactly one of `secret`, `public_key_pem`, `public_key_file`, `jwks_file`, `jwks_url`, `discovery`",
            );
        }
        if self.discovery && !is_safe_url(&self.issuer) {
            problem(
                "issuer",
                "must be an https URL for `discovery`; http is accepted for loopback addresses only",
            );
        }
        if self
            .secret
            .as_ref()
            .is_some_and(|secret| secret.expose().len() < SECRET_BYTES_MIN)
        {
            problem("secret", "must have at least 32 bytes");
        }
        if self
            .jwks_url
            .as_deref()
            .is_some_and(|url| !is_safe_url(url))
        {
            problem(
                "jwks_url",
                "must be an https URL without credentials; http is accepted for loopback addresses only",
            );
        }
        if !(1..=86_400).contains(&self.jwks_refresh_seconds) {
            problem("jwks_refresh_seconds", "must be between 1 and 86400");
        }
        if !(1..=3_600).contains(&self.jwks_unknown_kid_seconds) {
            problem("jwks_unknown_kid_seconds", "must be between 1 and 3600");
        }
    }

    fn key_sources(&self) -> usize {
        [
            self.secret.is_some(),
            self.public_key_pem.is_some(),
            self.public_key_file.is_some(),
            self.jwks_file.is_some(),
            self.jwks_url.is_some(),
            self.discovery,
        ]
        .into_iter()
        .filter(|given| *given)
        .count()
    }
}

/// Whether keys may be read from there: https without credentials, or http on this machine.
pub(crate) fn is_safe_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    if !url.username().is_empty() || url.password().is_some() {
        return false;
    }
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}
