//! Development tokens, signed with the secret that the gateway shares with an issuer.

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value};

use crate::auth::settings::{AuthSettings, IssuerSettings};

/// Why no token can be made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The settings have no issuer of that name.
    #[error("the settings have no issuer `{0}`")]
    UnknownIssuer(String),
    /// The issuer signs with a key that we do not hold.
    #[error("issuer `{0}` has no `secret`; only issuers with a shared secret can be signed for")]
    NoSecret(String),
    /// No issuer has a secret, and none was named.
    #[error("no issuer in the settings has a `secret` to sign with")]
    NoSecretAnywhere,
    /// No audience was named, and the issuer has none.
    #[error("issuer `{0}` has no audience")]
    NoAudience(String),
    /// The time to live is not positive, or too long to express.
    #[error("the time to live must be positive and end before the year 9999")]
    Lifetime,
    /// The library could not sign.
    #[error("the token could not be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// What the token shall say.
#[derive(Debug, Clone)]
pub struct Order {
    /// Issuer; when absent the first one with a secret.
    pub issuer: Option<String>,
    /// Audience; when absent the issuer's first one.
    pub audience: Option<String>,
    /// Subject.
    pub subject: String,
    /// Tenant, when it shall name one.
    pub tenant: Option<String>,
    /// Scopes.
    pub scopes: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// How long it is valid.
    pub ttl: TimeDelta,
}

/// Makes a token that an authenticator of the same settings accepts.
pub fn mint(
    settings: &AuthSettings,
    order: &Order,
    now: DateTime<Utc>,
) -> Result<String, MintError> {
    let issuer = choose(settings, order.issuer.as_deref())?;
    let name = || issuer.issuer.clone();
    let secret = issuer
        .secret
        .as_ref()
        .ok_or_else(|| MintError::NoSecret(name()))?;
    let audience = order
        .audience
        .as_ref()
        .or(issuer.audiences.first())
        .ok_or_else(|| MintError::NoAudience(name()))?;
    let end = now
        .checked_add_signed(order.ttl)
        .filter(|end| *end > now)
        .ok_or(MintError::Lifetime)?;
    if end.timestamp() >= 253_402_300_800 {
        return Err(MintError::Lifetime);
    }
    let mut claims = Map::new();
    let mut claim = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    claim("iss", name().into());
    claim("aud", audience.clone().into());
    claim("sub", order.subject.clone().into());
    claim("iat", now.timestamp().into());
    claim("exp", end.timestamp().into());
    if let Some(tenant) = &order.tenant {
        claim(&issuer.tenant_claim, tenant.clone().into());
    }
    if !order.scopes.is_empty() {
        claim("scope", order.scopes.join(" ").into());
    }
    if !order.roles.is_empty() {
        // A dotted name is written as one name, which the reader looks for first.
        claim(&issuer.roles_claim, order.roles.clone().into());
    }
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).map_err(MintError::Sign)
}

fn choose<'a>(
    settings: &'a AuthSettings,
    name: Option<&str>,
) -> Result<&'a IssuerSettings, MintError> {
    let mut issuers = settings.issuers.iter();
    match name {
        Some(name) => issuers
            .find(|issuer| issuer.issuer == name)
            .ok_or_else(|| MintError::UnknownIssuer(name.to_owned())),
        None => issuers
            .find(|issuer| issuer.secret.is_some())
            .ok_or(MintError::NoSecretAnywhere),
    }
}
