//! A token as it arrives: its three parts, its header, and the claims nobody has vouched for yet.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::auth::AuthError;
use crate::auth::settings::Algorithm;
use crate::error::Code;

/// The longest token that is read.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// The header parameters that decide something; all others, `jku`, `x5u` and `jwk` among them, are not even read. One
/// that is there twice is an error.
#[derive(Debug, serde::Deserialize)]
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
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
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
    /// Its `typ` in lower case without `application/`; a token without one counts as `jwt`.
    pub typ: String,
    /// Its claims, of which only `iss` may be looked at before the signature is checked.
    pub claims: Map<String, Value>,
    message: &'a str,
    signature: &'a str,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart and refuses what its form alone forbids.
    pub fn parse(token: &'a str) -> Result<Self, AuthError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AuthError::new(Code::TokenMalformed, TOO_LONG));
        }
        let malformed = || {
            AuthError::new(
                Code::TokenMalformed,
                "the token is not a signed JSON Web Token",
            )
        };
        let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = message.split_once('.').ok_or_else(malformed)?;
        if payload.contains('.') {
            return Err(malformed());
        }
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| malformed())?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| malformed())?;
        if header.crit == Presence::Present {
            return Err(AuthError::new(
                Code::TokenCritical,
                "the token's header has critical parameters that are not understood here",
            ));
        }
        let algorithm = Algorithm::from_name(&header.alg)
            .ok_or_else(|| AuthError::new(Code::TokenAlgorithmRefused, ALGORITHM_REFUSED))?;
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| malformed())?;
        let Claims(claims) = serde_json::from_slice(&payload).map_err(|_| malformed())?;
        Ok(Self {
            algorithm,
            kid: header.kid,
            typ: header
                .typ
                .as_deref()
                .map_or_else(|| "jwt".to_owned(), bare_type),
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
            Ok(false) | Err(_) => Err(AuthError::new(
                Code::TokenForged,
                "the token's signature does not match",
            )),
        }
    }
}

/// What the owner of a token with a wrong `alg` is told.
pub const ALGORITHM_REFUSED: &str = "the token's signature algorithm is not accepted here";

/// What the owner of an endless token is told.
pub const TOO_LONG: &str = "the token is longer than 16 KiB";

/// A `typ` as it is compared: RFC 7515 section 4.1.9 lets `application/` be left out.
pub fn bare_type(typ: &str) -> String {
    let lower = typ.to_ascii_lowercase();
    lower
        .strip_prefix("application/")
        .unwrap_or(&lower)
        .to_owned()
}

/// Claims, none of which is there twice: readers differ in which of two they take, and RFC 7519 section 4 lets us refuse.
struct Claims(Map<String, Value>);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Claims;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object without repeated names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
                let mut claims = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("a claim is there twice"));
                    }
                }
                Ok(Claims(claims))
            }
        }
        deserializer.deserialize_map(Once)
    }
}
