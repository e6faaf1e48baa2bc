//! The name under which a record is cached.

use std::{fmt, sync::Arc};

use sha2::{Digest as _, Sha256};

/// Hash characters in a Redis key: 160 bits, so that nobody can find two keys that share a name.
const HASH_CHARS: usize = 40;

/// The key of one cached answer: `source:digest:operation:key`. It may hold personal data, so that neither `Debug` nor
/// the name in Redis shows it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// Takes the key's text as the caller composed it.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key's SHA-256 in hexadecimal, cut to the length used in names.
    pub fn hash_hex(&self) -> String {
        let mut text = hex::encode(Sha256::digest(self.0.as_bytes()));
        text.truncate(HASH_CHARS);
        text
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.hash_hex())
    }
}
