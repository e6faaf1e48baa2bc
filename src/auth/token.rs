//! A token as it arrives: its three parts, its header, and the claims nobody has vouched for yet.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::auth::AuthError;
use crate::auth::settings::Algorithm;

/// The longest token that is read.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// The header parameters that decide something; all others, `jku`, `x5u` and `jwk` among them, are not even read.
#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    // A `crit` of null is a `crit` as well, hence not an `Option` of the value.
    #[serde(default)]
    crit: Presence,
}

#[derive(Debug, Default, PartialEq)]
enum Presence {
    #[default]
    Absent,
    Present,
}

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self::Present)
    }
}

/// A well-formed token whose signature has not been checked.
#[derive(Debug)]
pub struct Unverified<'a> {
    /// The algorithm its header names.
    pub algorithm: Algorithm,
    /// The key its header names.
    pub kid: Option<String>,
    /// Its claims, of which only `iss` may be looked at before the signature is checked.
    pub claims: Map<String, Value>,
    message: &'a str,
    signature: &'a str,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart and refuses what its form alone forbids.
    pub fn parse(token: &'a str) -> Result<Self, AuthError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AuthError::invalid("the token is longer than 16 KiB"));
        }
        let malformed = || AuthError::invalid("the token is not a signed JSON Web Token");
        let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = message.split_once('.').ok_or_else(malformed)?;
        if payload.contains('.') {
            return Err(malformed());
        }
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| malformed())?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| malformed())?;
        if header.crit == Presence::Present {
            return Err(AuthError::invalid(
                "the token's header has critical parameters that are not understood here",
            ));
        }
        if !header.typ.as_deref().is_none_or(is_accepted_type) {
            return Err(AuthError::invalid(
                "the token's type is not accepted here; it must be JWT or at+jwt",
            ));
        }
        let algorithm = Algorithm::from_name(&header.alg)
            .ok_or_else(|| AuthError::invalid(ALGORITHM_REFUSED))?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| malformed())?;
        let claims = serde_json::from_slice(&payload).map_err(|_| malformed())?;
        Ok(Self {
            algorithm,
            kid: header.kid,
            claims,
            message,
            signature,
        })
    }

    /// Checks the signature with a key that was chosen for this algorithm.
    pub fn verify(&self, key: &DecodingKey) -> Result<(), AuthError> {
        let algorithm = self.algorithm.to_library();
        match jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), key, algorithm)
        {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(AuthError::invalid("the token's signature does not match")),
        }
    }
}

/// What the owner of a token with a wrong `alg` is told.
pub const ALGORITHM_REFUSED: &str = "the token's signature algorithm is not accepted here";

fn is_accepted_type(typ: &str) -> bool {
    let lower = typ.to_ascii_lowercase();
    let bare = lower.strip_prefix("application/").unwrap_or(&lower);
    matches!(bare, "jwt" | "at+jwt")
}
