//! API keys: what one looks like, how it is kept, and whom it stands for.
//!
//! A key is `trk_<id>_<secret>`. The id finds the entry, and only the SHA-256 of the secret is kept: with 256 random bits
//! there is nothing to guess, so that a slow hash would cost time and add nothing.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::auth::caller::Caller;
use crate::auth::claim;

/// What every key starts with, so that scanners for leaked secrets know one.
pub const PREFIX: &str = "trk_";
/// Who vouches for a key's holder.
pub const ISSUER: &str = "urn:tributary:api-key";

/// The longest key that is looked at.
const KEY_CHARS_MAX: usize = 128;
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;

/// A key as it is kept: everything but its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// What finds it; part of the key itself.
    pub id: String,
    /// SHA-256 of the secret, in hexadecimal.
    pub hash: String,
    /// What people call it.
    pub name: String,
    /// Its roles.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// Scopes beside those of the roles.
    #[serde(default)]
    pub scopes: BTreeSet<String>,
    /// The tenant of its holder.
    #[serde(default)]
    pub tenant: Option<String>,
    /// What rules on records read of its holder.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// When it was revoked, if it was.
    #[serde(default)]
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A key with the text that is shown to its holder once.
#[derive(Debug)]
pub struct Made {
    /// What is kept.
    pub key: ApiKey,
    /// What its holder sends.
    pub text: String,
}

/// Who a new key is for.
#[derive(Debug, Clone, Default)]
pub struct Holder {
    /// What people call the key.
    pub name: String,
    /// Its roles.
    pub roles: BTreeSet<String>,
    /// Scopes beside those of the roles.
    pub scopes: BTreeSet<String>,
    /// The tenant of its holder.
    pub tenant: Option<String>,
    /// What rules on records read of its holder.
    pub claims: BTreeMap<String, String>,
}

impl ApiKey {
    /// Makes a key of random bytes.
    pub fn make(
        holder: Holder,
        random: [u8; 38],
        created_at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Made {
        let (id, secret) = random.split_at(ID_BYTES);
        let id = hex::encode(id);
        let secret = URL_SAFE_NO_PAD.encode(secret.get(..SECRET_BYTES).unwrap_or(secret));
        let text = format!("{PREFIX}{id}_{secret}");
        let key = Self {
            id,
            hash: digest(&secret),
            name: holder.name,
            roles: holder.roles,
            scopes: holder.scopes,
            tenant: holder.tenant,
            claims: holder.claims,
            created_at,
            expires_at,
            revoked_at: None,
        };
        Made { key, text }
    }

    /// Whether the secret is the one this key was made with; takes the same time whatever the answer.
    pub fn has_secret(&self, secret: &str) -> bool {
        self.hash.as_bytes().ct_eq(digest(secret).as_bytes()).into()
    }

    /// Whether the key still counts.
    pub fn is_valid(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }

    /// The caller that the key stands for.
    pub fn to_caller(&self, bundles: &BTreeMap<String, Vec<String>>) -> Caller {
        let mut scopes = self.scopes.clone();
        claim::add_scopes(&mut scopes, &self.roles, bundles);
        let claims: Map<String, Value> = self
            .claims
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        Caller {
            issuer: ISSUER.to_owned(),
            subject: self.id.clone(),
            tenant: self.tenant.clone(),
            scopes,
            roles: self.roles.clone(),
            claims,
            expires_at: self.expires_at,
        }
    }
}

/// The id and the secret of a key's text, when it has the form of one.
pub fn split(text: &str) -> Option<(&str, &str)> {
    if text.len() > KEY_CHARS_MAX {
        return None;
    }
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    (id.len() == 2 * ID_BYTES).then_some((id, secret))
}

fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{ApiKey, Holder, split};
    use chrono::{DateTime, TimeDelta};

    #[test]
    fn a_key_is_kept_without_its_secret() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let made = ApiKey::make(Holder::default(), [7; 38], now, now + TimeDelta::days(1));
        let (id, secret) = split(&made.text).unwrap();
        assert_eq!((id, secret.len()), (&*made.key.id, 43));
        assert!(made.key.has_secret(secret) && !made.key.has_secret("x"));
        assert!(!serde_json::to_string(&made.key).unwrap().contains(secret));
        assert!(made.key.is_valid(now) && !made.key.is_valid(now + TimeDelta::days(1)));
        for text in [
            "",
            "trk_",
            "trk_x_y",
            "trx_070707070707_a",
            &"trk_".repeat(99),
        ] {
            assert_eq!(split(text), None);
        }
    }
}
