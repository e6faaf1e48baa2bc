//! Who calls us: verifies tokens, API keys and client certificates, and says who their holder is.

pub mod api_key;
pub mod caller;
pub mod certificate;
pub mod claim;
mod issuer;
pub mod key;
pub mod key_book;
pub mod key_file;
pub mod key_watch;
pub mod mint;
pub mod remote;
pub mod scope;
pub mod settings;
pub mod shared_keys;
pub mod token;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use moka::future::Cache;
use sha2::{Digest, Sha256};

use caller::Caller;
use issuer::Issuer;
use key::KeyError;
use key_book::KeyBook;
use settings::AuthSettings;
use token::Unverified;

use crate::error::Code;

/// The largest key file that is read.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Tells the time; tests choose it.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// A refusal to accept a caller's proof; its text is safe to show to that caller.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct AuthError {
    /// `Unauthenticated` when no proof was sent, another code with the status 401 when it does not hold, `Internal` when it
    /// cannot be checked now.
    pub code: Code,
    /// What is wrong with the proof, without repeating any of it.
    pub message: String,
}

impl AuthError {
    /// A refusal with that code and message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidToken, message)
    }
}

/// The `WWW-Authenticate` header of a refusal, as RFC 6750 section 3 has it.
pub fn challenge(error: &AuthError) -> String {
    let realm = "Bearer realm=\"tributary\"";
    let name = match error.code {
        Code::Forbidden => "insufficient_scope",
        // Section 3.1: a request without any proof is told the scheme and nothing else.
        Code::Unauthenticated | Code::CertificateUnknown => return realm.to_owned(),
        code if code.http_status() == 401 => "invalid_token",
        _ => return realm.to_owned(),
    };
    let is_plain = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    let description: String = error.message.chars().filter(is_plain).collect();
    format!("{realm}, error=\"{name}\", error_description=\"{description}\"")
}

/// Why an authenticator cannot be made of its settings.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The settings break a rule; the first problem is told here, `AuthSettings::validate` has them all.
    #[error("auth.{path}: {message}")]
    Settings {
        /// The dotted path below `auth`.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// A key file cannot be read.
    #[error(
        "issuer `{issuer}`: the key file cannot be read, or is larger than {FILE_BYTES_MAX} bytes"
    )]
    File {
        /// Whose file it is.
        issuer: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A key cannot be used.
    #[error("issuer `{issuer}`: the key cannot be used")]
    Key {
        /// Whose key it is.
        issuer: String,
        /// The cause.
        #[source]
        source: KeyError,
    },
}

#[derive(Debug, Clone)]
struct Remembered {
    caller: Arc<Caller>,
    ttl: Duration,
    weight: u32,
}

/// Lets a remembered token go when it ends.
struct UntilItExpires;

impl moka::Expiry<[u8; 32], Remembered> for UntilItExpires {
    fn expire_after_create(
        &self,
        _: &[u8; 32],
        value: &Remembered,
        _: Instant,
    ) -> Option<Duration> {
        Some(value.ttl)
    }
}

/// What a request brings to prove who calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Proofs<'a> {
    /// The value of the `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The value of the `X-API-Key` header.
    pub api_key: Option<&'a str>,
    /// The client's certificate in DER, whose holder has been proven by the TLS handshake.
    pub certificate: Option<&'a [u8]>,
}

impl<'a> From<Option<&'a str>> for Proofs<'a> {
    fn from(authorization: Option<&'a str>) -> Self {
        Self {
            authorization,
            ..Self::default()
        }
    }
}

/// How long a verified token is remembered at the most, so that a key that its issuer withdraws stops counting.
const REMEMBER_MAX: Duration = Duration::from_secs(600);

/// Verifies the callers' proofs against the configured issuers, keys and certificates.
pub struct Authenticator {
    settings: AuthSettings,
    issuers: Vec<Issuer>,
    keys: Arc<KeyBook>,
    clock: Clock,
    remembered: Cache<[u8; 32], Remembered>,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Makes an authenticator; reads the key files that the settings name, and connects to nothing.
    ///
    /// The client is the one of [`remote::key_set_client`].
    pub fn new(
        settings: AuthSettings,
        client: &reqwest::Client,
        clock: Clock,
    ) -> Result<Self, BuildError> {
        if let Some((path, message)) = settings.validate().into_iter().next() {
            return Err(BuildError::Settings { path, message });
        }
        let issuers = settings
            .issuers
            .iter()
            .map(|issuer| Issuer::new(issuer, client, &clock))
            .collect::<Result<_, BuildError>>()?;
        let remembered = Cache::builder()
            .max_capacity(settings.remember as u64)
            .weigher(|_: &[u8; 32], value: &Remembered| value.weight)
            .expire_after(UntilItExpires)
            .build();
        Ok(Self {
            settings,
            issuers,
            keys: Arc::default(),
            clock,
            remembered,
        })
    }

    /// The API keys that are accepted; whoever keeps them up to date fills it.
    pub fn keys(&self) -> &Arc<KeyBook> {
        &self.keys
    }

    /// Turns what a request brings into a caller. A key or token that is sent counts before a certificate.
    pub async fn authenticate<'a>(
        &self,
        proofs: impl Into<Proofs<'a>>,
    ) -> Result<Arc<Caller>, AuthError> {
        let proofs = proofs.into();
        let is_given = |value: &&str| !value.trim().is_empty();
        let authorization = proofs.authorization.filter(is_given);
        match (authorization, proofs.api_key.filter(is_given)) {
            (Some(_), Some(_)) => Err(AuthError::new(
                Code::Unauthenticated,
                "both `Authorization` and `X-API-Key` were sent; send one of them",
            )),
            (None, Some(key)) => self.api_key(key.trim()),
            (None, None) if proofs.certificate.is_some() => {
                let der = proofs.certificate.unwrap_or_default();
                certificate::to_caller(der, &self.settings, (self.clock)()).map(Arc::new)
            }
            (authorization, None) => {
                let token = bearer(authorization)?;
                if token.starts_with(api_key::PREFIX) {
                    return self.api_key(token);
                }
                self.token(token).await
            }
        }
    }

    /// Waits until the proof of a caller no longer counts, and says why: it ends by itself, or is withdrawn.
    pub async fn outlived(&self, caller: &Caller) -> AuthError {
        if caller.issuer != api_key::ISSUER {
            return caller.expired().await;
        }
        tokio::select! {
            why = self.keys.withdrawn(&caller.subject) => why,
            _ = caller.expired() => key_book::ended(),
        }
    }

    /// API keys are not remembered: a look-up costs a hash, and a revoked one must end at once.
    fn api_key(&self, key: &str) -> Result<Arc<Caller>, AuthError> {
        let found = self.keys.find(key, (self.clock)())?;
        Ok(Arc::new(found.to_caller(&self.settings.roles)))
    }

    async fn token(&self, token: &str) -> Result<Arc<Caller>, AuthError> {
        if token.len() > token::TOKEN_BYTES_MAX {
            return Err(AuthError::new(Code::TokenMalformed, token::TOO_LONG));
        }
        // The digest stands for the token, so that the cache holds nothing that could be replayed.
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let now = (self.clock)();
        let leeway = claim::leeway(&self.settings);
        if let Some(known) = self.remembered.get(&digest).await {
            if claim::has_expired(known.caller.expires_at, leeway, now) {
                return Err(AuthError::new(Code::TokenExpired, claim::EXPIRED));
            }
            return Ok(known.caller);
        }
        let caller = Arc::new(self.verify(token).await?);
        let ttl = (caller.expires_at + leeway - now)
            .to_std()
            .unwrap_or_default()
            .min(REMEMBER_MAX);
        // A caller holds no more than its token said, so the token's length bounds what an entry costs.
        let weight = u32::try_from(token.len().div_ceil(2048)).unwrap_or(u32::MAX);
        self.remembered
            .insert(
                digest,
                Remembered {
                    caller: Arc::clone(&caller),
                    ttl,
                    weight,
                },
            )
            .await;
        Ok(caller)
    }

    async fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        let token = Unverified::parse(token)?;
        let refuse = |message: &str| AuthError::new(Code::TokenIssuerRefused, message);
        let named = token.claims.get("iss").filter(|value| !value.is_null());
        let named = named.ok_or_else(|| refuse("the token has no `iss`"))?;
        // The unverified issuer only picks whose keys and rules apply.
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| named.as_str() == Some(issuer.settings.issuer.as_str()))
            .ok_or_else(|| refuse("the token's issuer is not accepted here"))?;
        issuer.check(&token).await?;
        claim::to_caller(
            token.claims,
            &self.settings,
            &issuer.settings,
            (self.clock)(),
        )
    }
}

fn bearer(authorization: Option<&str>) -> Result<&str, AuthError> {
    let unauthenticated = |message: &str| AuthError::new(Code::Unauthenticated, message);
    let value = authorization
        .map(str::trim)
        .filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| unauthenticated("no bearer token was sent"))?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(unauthenticated("the authorization scheme must be Bearer"));
    }
    match token.trim_start() {
        "" => Err(unauthenticated("no bearer token was sent")),
        token => Ok(token),
    }
}
