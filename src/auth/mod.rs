//! Who calls us: verifies bearer tokens and says what their holder may see.

pub mod caller;
pub mod claim;
pub mod key;
pub mod mint;
pub mod remote;
pub mod scope;
pub mod settings;
pub mod token;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use moka::future::Cache;
use sha2::{Digest, Sha256};

use caller::Caller;
use key::{Found, KeyError, KeySet};
use remote::{Pace, RemoteKeys};
use settings::{AuthSettings, IssuerSettings};
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
    /// `Unauthenticated` when no proof was sent, `InvalidToken` when it does not hold, `Internal` when it cannot be checked now.
    pub code: Code,
    /// What is wrong with the proof, without repeating any of it.
    pub message: String,
}

impl AuthError {
    fn invalid(message: impl Into<String>) -> Self {
        Self {
            code: Code::InvalidToken,
            message: message.into(),
        }
    }
}

/// The `WWW-Authenticate` header of a refusal, as RFC 6750 section 3 has it.
pub fn challenge(error: &AuthError) -> String {
    let realm = "Bearer realm=\"tributary\"";
    let name = match error.code {
        Code::InvalidToken => "invalid_token",
        Code::Forbidden => "insufficient_scope",
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

#[derive(Debug)]
enum Keys {
    Fixed(Arc<KeySet>),
    Published(RemoteKeys),
}

#[derive(Debug)]
struct Issuer {
    settings: IssuerSettings,
    keys: Keys,
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

/// Verifies the callers' proofs against the configured issuers.
pub struct Authenticator {
    settings: AuthSettings,
    issuers: Vec<Issuer>,
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
            .map(|issuer| {
                let keys = keys_of(issuer, client, &clock)?;
                Ok(Issuer {
                    settings: issuer.clone(),
                    keys,
                })
            })
            .collect::<Result<_, BuildError>>()?;
        let remembered = Cache::builder()
            .max_capacity(settings.remember as u64)
            .weigher(|_: &[u8; 32], value: &Remembered| value.weight)
            .expire_after(UntilItExpires)
            .build();
        Ok(Self {
            settings,
            issuers,
            clock,
            remembered,
        })
    }

    /// Turns the value of the `Authorization` header into a caller.
    pub async fn authenticate(
        &self,
        authorization: Option<&str>,
    ) -> Result<Arc<Caller>, AuthError> {
        let token = bearer(authorization)?;
        if token.len() > token::TOKEN_BYTES_MAX {
            return Err(AuthError::invalid("the token is longer than 16 KiB"));
        }
        // The digest stands for the token, so that the cache holds nothing that could be replayed.
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let now = (self.clock)();
        let leeway = claim::leeway(&self.settings);
        if let Some(known) = self.remembered.get(&digest).await {
            if claim::has_expired(known.caller.expires_at, leeway, now) {
                return Err(AuthError::invalid(claim::EXPIRED));
            }
            return Ok(known.caller);
        }
        let caller = Arc::new(self.verify(token).await?);
        let ttl = (caller.expires_at + leeway - now)
            .to_std()
            .unwrap_or_default();
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
        let named = token.claims.get("iss").filter(|value| !value.is_null());
        let named = named.ok_or_else(|| AuthError::invalid("the token has no `iss`"))?;
        // The unverified issuer only picks whose keys and rules apply.
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| named.as_str() == Some(issuer.settings.issuer.as_str()))
            .ok_or_else(|| AuthError::invalid("the token's issuer is not accepted here"))?;
        if !issuer.settings.algorithms.contains(&token.algorithm) {
            return Err(AuthError::invalid(token::ALGORITHM_REFUSED));
        }
        issuer.check_signature(&token).await?;
        claim::to_caller(
            &token.claims,
            &self.settings,
            &issuer.settings,
            (self.clock)(),
        )
    }
}

impl Issuer {
    async fn check_signature(&self, token: &Unverified<'_>) -> Result<(), AuthError> {
        let kid = token.kid.as_deref();
        let mut keys = match &self.keys {
            Keys::Fixed(keys) => Arc::clone(keys),
            Keys::Published(remote) => remote.current().await.ok_or_else(|| AuthError {
                code: Code::Internal,
                message: "the keys of the token's issuer cannot be read at the moment".into(),
            })?,
        };
        if let (Found::None, Keys::Published(remote)) =
            (keys.find(kid, token.algorithm), &self.keys)
            && let Some(newer) = remote.refetched().await
        {
            keys = newer;
        }
        match keys.find(kid, token.algorithm) {
            Found::One(key) => token.verify(key),
            Found::None => Err(AuthError::invalid(
                "the token is signed with a key that its issuer does not offer",
            )),
            Found::Several => Err(AuthError::invalid(
                "the token does not say which of its issuer's keys signed it",
            )),
        }
    }
}

fn bearer(authorization: Option<&str>) -> Result<&str, AuthError> {
    let unauthenticated = |message: &str| AuthError {
        code: Code::Unauthenticated,
        message: message.into(),
    };
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

fn keys_of(
    issuer: &IssuerSettings,
    client: &reqwest::Client,
    clock: &Clock,
) -> Result<Keys, BuildError> {
    let unusable = |source| BuildError::Key {
        issuer: issuer.issuer.clone(),
        source,
    };
    let read = |path: &Path| {
        read_file(path).map_err(|source| BuildError::File {
            issuer: issuer.issuer.clone(),
            source,
        })
    };
    let keys = if let Some(secret) = &issuer.secret {
        KeySet::from_secret(secret)
    } else if let Some(pem) = &issuer.public_key_pem {
        KeySet::from_pem(pem).map_err(unusable)?
    } else if let Some(path) = &issuer.public_key_file {
        KeySet::from_pem(&read(path)?).map_err(unusable)?
    } else if let Some(path) = &issuer.jwks_file {
        KeySet::from_jwks(read(path)?.as_bytes()).map_err(unusable)?
    } else {
        let seconds =
            |count: u64| TimeDelta::seconds(i64::try_from(count).unwrap_or(i64::from(i32::MAX)));
        let pace = Pace {
            refresh: seconds(issuer.jwks_refresh_seconds),
            unknown_kid: seconds(issuer.jwks_unknown_kid_seconds),
        };
        let url = issuer.jwks_url.clone().unwrap_or_default();
        return Ok(Keys::Published(RemoteKeys::new(
            url,
            client.clone(),
            Arc::clone(clock),
            pace,
        )));
    };
    Ok(Keys::Fixed(Arc::new(keys)))
}

fn read_file(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
    }
    Ok(text)
}
