//! From verified claims to a caller.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use crate::auth::AuthError;
use crate::auth::caller::Caller;
use crate::auth::settings::{AuthSettings, IssuerSettings};
use crate::error::Code;

type Claims = Map<String, Value>;

/// Checks `aud`, `exp`, `nbf` and `sub`, and reads tenant, roles and scopes.
pub fn to_caller(
    claims: Claims,
    settings: &AuthSettings,
    issuer: &IssuerSettings,
    now: DateTime<Utc>,
) -> Result<Caller, AuthError> {
    check_audience(&claims, &issuer.audiences)?;
    let leeway = leeway(settings);
    let expires_at = time(&claims, "exp")?
        .ok_or_else(|| AuthError::new(Code::TokenExpired, "the token has no `exp`"))?;
    if has_expired(expires_at, leeway, now) {
        return Err(AuthError::new(Code::TokenExpired, EXPIRED));
    }
    if time(&claims, "nbf")?.is_some_and(|start| start - leeway > now) {
        return Err(AuthError::new(
            Code::TokenNotYetValid,
            "the token is not valid yet",
        ));
    }
    if time(&claims, "iat")?.is_some_and(|issued| issued - leeway > now) {
        return Err(AuthError::new(
            Code::TokenNotYetValid,
            "the token says that it was issued in the future",
        ));
    }
    let subject = text(claims.get("sub"), "sub")?
        .filter(|subject| !subject.is_empty())
        .ok_or_else(|| AuthError::invalid("the token has no `sub`"))?
        .to_owned();
    let tenant = text(at(&claims, &issuer.tenant_claim), "tenant")?.map(str::to_owned);
    let roles = roles(&claims, issuer)?;
    let mut scopes = BTreeSet::new();
    for name in ["scope", "scp", "scopes"] {
        scopes.extend(words(claims.get(name), name, true)?);
    }
    add_scopes(&mut scopes, &roles, &settings.roles);
    Ok(Caller {
        issuer: issuer.issuer.clone(),
        subject,
        tenant,
        scopes,
        roles,
        claims,
        expires_at,
    })
}

/// Adds the scopes that roles bundle.
pub fn add_scopes(
    scopes: &mut BTreeSet<String>,
    roles: &BTreeSet<String>,
    bundles: &BTreeMap<String, Vec<String>>,
) {
    for role in roles {
        scopes.extend(bundles.get(role).into_iter().flatten().cloned());
    }
}

/// The roles that the claim's values stand for; the issuer's own table goes first, and with one a value that it does not
/// have is no role, so that a group of the directory can't happen to be called like a role.
fn roles(claims: &Claims, issuer: &IssuerSettings) -> Result<BTreeSet<String>, AuthError> {
    let values = words(at(claims, &issuer.roles_claim), "roles", false)?;
    let mut roles: BTreeSet<String> = if issuer.role_values.is_empty() {
        values
    } else {
        values
            .iter()
            .filter_map(|value| issuer.role_values.get(value).cloned())
            .collect()
    };
    if roles.is_empty() {
        roles.extend(issuer.default_roles.iter().cloned());
    }
    Ok(roles)
}

/// What the owner of an expired token is told.
pub const EXPIRED: &str = "the token has expired";

/// How far clocks may differ.
pub fn leeway(settings: &AuthSettings) -> TimeDelta {
    // Settings bound it by 300; an unchecked larger value must not widen it.
    TimeDelta::seconds(
        i64::try_from(settings.leeway_seconds)
            .unwrap_or(300)
            .min(300),
    )
}

/// Whether a proof that ends then has ended now.
pub fn has_expired(expires_at: DateTime<Utc>, leeway: TimeDelta, now: DateTime<Utc>) -> bool {
    now - leeway >= expires_at
}

fn check_audience(claims: &Claims, accepted: &[String]) -> Result<(), AuthError> {
    let refuse = |message: &str| Err(AuthError::new(Code::TokenAudienceRefused, message));
    let is_accepted = |value: &Value| {
        value
            .as_str()
            .is_some_and(|name| accepted.iter().any(|one| one == name))
    };
    let matches = match claims.get("aud") {
        None | Some(Value::Null) => return refuse("the token has no `aud`"),
        Some(Value::Array(values)) => values.iter().any(is_accepted),
        Some(value) => is_accepted(value),
    };
    if matches {
        Ok(())
    } else {
        refuse("the token's audience is not accepted here")
    }
}

/// A NumericDate (RFC 7519 section 2): seconds, perhaps with a fraction.
fn time(claims: &Claims, name: &str) -> Result<Option<DateTime<Utc>>, AuthError> {
    let value = match claims.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    // Beyond the year 9999 there is no honest token, and sums with the leeway stay in range.
    let seconds = value
        .as_f64()
        .filter(|seconds| (-62_135_596_800.0..253_402_300_800.0).contains(seconds));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range is checked above"
    )]
    let seconds = seconds.map(|seconds| seconds.floor() as i64);
    seconds
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .map(Some)
        .ok_or_else(|| AuthError::invalid(format!("the token's `{name}` is not a time")))
}

/// The claim of that name, or the one the dots lead to; the whole name goes first since claim names may be URLs.
fn at<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut steps = path.split('.');
    let first = claims.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step))
}

fn text<'a>(value: Option<&'a Value>, what: &str) -> Result<Option<&'a str>, AuthError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(AuthError::invalid(format!(
            "the token's `{what}` is not a text"
        ))),
    }
}

/// A list of texts, or one text; scopes in one text stand apart by spaces (RFC 8693 section 4.2), a role may contain one.
fn words(value: Option<&Value>, what: &str, is_split: bool) -> Result<BTreeSet<String>, AuthError> {
    let refused = || {
        AuthError::invalid(format!(
            "the token's `{what}` is neither a text nor a list of texts"
        ))
    };
    match value {
        None | Some(Value::Null) => Ok(BTreeSet::new()),
        Some(Value::String(text)) if is_split => {
            Ok(text.split_ascii_whitespace().map(str::to_owned).collect())
        }
        Some(Value::String(text)) => Ok(BTreeSet::from([text.clone()])),
        Some(Value::Array(values)) => values
            .iter()
            .map(|value| value.as_str().map(str::to_owned).ok_or_else(refused))
            .collect(),
        Some(_) => Err(refused()),
    }
}
