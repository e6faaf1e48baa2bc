//! The keys an issuer signs with, and which of them may verify which token.

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::settings::Algorithm;
use crate::record::secret::Secret;

/// The most keys one set may have, so that a hostile or broken endpoint cannot fill the memory.
pub const KEYS_MAX: usize = 64;

/// The smallest RSA modulus, 2048 bits, that is accepted.
const RSA_MODULUS_BYTES_MIN: usize = 256;

/// Why a key or a key set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The document is no JSON Web Key Set.
    #[error("the key set is not a JSON object with a list `keys`")]
    NotAKeySet(#[source] serde_json::Error),
    /// The set has more keys than we keep.
    #[error("the key set has more than {KEYS_MAX} keys")]
    TooManyKeys,
    /// The PEM text holds no key we can verify with.
    #[error(
        "the PEM text is not a public key of type RSA (2048 bits or more), P-256, P-384 or Ed25519"
    )]
    NotAPublicKey,
}

/// One key and the algorithms it may verify.
#[derive(Debug)]
struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// What a look-up in a key set found.
#[derive(Debug)]
pub enum Found<'a> {
    /// The one key that may verify the token.
    One(&'a DecodingKey),
    /// No key fits; a newer version of the set may have it.
    None,
    /// Several keys fit, and guessing would let one stand for another.
    Several,
}

/// The keys of one issuer at one moment.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    is_named: bool,
}

impl KeySet {
    /// A set of one shared secret, whose tokens need no `kid`.
    pub fn from_secret(secret: &Secret) -> Self {
        let key = DecodingKey::from_secret(secret.expose().as_bytes());
        Self::single(Key {
            kid: None,
            algorithms: vec![Algorithm::HS256],
            key,
        })
    }

    /// A set of one public key in PEM text; a private key is refused, since it does not belong here.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.contains("PRIVATE KEY") {
            return Err(KeyError::NotAPublicKey);
        }
        let bytes = text.as_bytes();
        let key = DecodingKey::from_rsa_pem(bytes)
            .or_else(|_| DecodingKey::from_ec_pem(bytes))
            .or_else(|_| DecodingKey::from_ed_pem(bytes))
            .map_err(|_| KeyError::NotAPublicKey)?;
        let jwk = Jwk::from_decoding_key(&key, None).map_err(|_| KeyError::NotAPublicKey)?;
        usable(&jwk)
            .map(Self::single)
            .ok_or(KeyError::NotAPublicKey)
    }

    /// The usable keys of a JSON Web Key Set (RFC 7517); keys of other kinds or for other purposes are left out, as it demands.
    pub fn from_jwks(bytes: &[u8]) -> Result<Self, KeyError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_slice(bytes).map_err(KeyError::NotAKeySet)?;
        if document.keys.len() > KEYS_MAX {
            return Err(KeyError::TooManyKeys);
        }
        let keys = document
            .keys
            .into_iter()
            .filter_map(|value| serde_json::from_value::<Jwk>(value).ok())
            .filter_map(|jwk| usable(&jwk))
            .collect();
        Ok(Self {
            keys,
            is_named: true,
        })
    }

    /// The key that may verify a token with this key id and algorithm.
    ///
    /// A set of a single configured key takes no notice of `kid`; in a published set a token's `kid` must match exactly.
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        let mut fitting = self.keys.iter().filter(|key| {
            let is_meant = !self.is_named || kid.is_none() || key.kid.as_deref() == kid;
            is_meant && key.algorithms.contains(&algorithm)
        });
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Found::One(&key.key),
            (None, _) => Found::None,
            (Some(_), Some(_)) => Found::Several,
        }
    }

    fn single(key: Key) -> Self {
        Self {
            keys: vec![key],
            is_named: false,
        }
    }
}

/// The key with the algorithms its type, curve and `alg` leave it, or nothing when it must not verify signatures.
fn usable(jwk: &Jwk) -> Option<Key> {
    let common = &jwk.common;
    if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    if common
        .key_operations
        .as_ref()
        .is_some_and(|operations| !operations.contains(&KeyOperations::Verify))
    {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let mut algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => rsa_algorithms(&key)?,
        AlgorithmParameters::EllipticCurve(parameters) => {
            curve_algorithms(&key, &parameters.curve)?
        }
        AlgorithmParameters::OctetKeyPair(parameters)
            if parameters.curve == EllipticCurve::Ed25519 =>
        {
            vec![Algorithm::EdDSA]
        }
        // Symmetric keys never come from a published set: who can read it could sign.
        _ => return None,
    };
    if let Some(named) = common.key_algorithm {
        let named = Algorithm::from_name(&named.to_string())?;
        algorithms.retain(|algorithm| *algorithm == named);
    }
    (!algorithms.is_empty()).then(|| Key {
        kid: common.key_id.clone(),
        algorithms,
        key,
    })
}

fn rsa_algorithms(key: &DecodingKey) -> Option<Vec<Algorithm>> {
    let jsonwebtoken::DecodingKeyKind::RsaModulusExponent { n, .. } = key.kind() else {
        return None;
    };
    let modulus_bytes = n.iter().skip_while(|byte| **byte == 0).count();
    (modulus_bytes >= RSA_MODULUS_BYTES_MIN && !is_guessable(n)).then(|| {
        vec![
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
        ]
    })
}

/// Whether the modulus has the mark of CVE-2017-15361 (ROCA): generators in some smart cards made primes that are powers of
/// 65537 modulo all small primes, and such a key can be factored. A sound key bears the mark once in 2^27 times.
fn is_guessable(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89,
        97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|prime| {
        let rest = modulus
            .iter()
            .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * 65_537 % prime;
            power == rest
        })
    })
}

fn curve_algorithms(key: &DecodingKey, curve: &EllipticCurve) -> Option<Vec<Algorithm>> {
    // The library joins `x` and `y` unseen; the length of the point tells whether both have the size of the curve.
    let point_bytes = key.try_get_as_bytes().ok()?.len();
    match (curve, point_bytes) {
        (EllipticCurve::P256, 65) => Some(vec![Algorithm::ES256]),
        (EllipticCurve::P384, 97) => Some(vec![Algorithm::ES384]),
        _ => None,
    }
}
