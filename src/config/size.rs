//! A number of bytes as people write it: "4MiB", "64KiB".

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::config::span::split_number;

/// A number of bytes, written as a whole number and `B`, `KiB`, `MiB` or `GiB` (or the decimal `kB`, `MB`, `GB`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

/// A text that is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size, write a whole number and B, KiB, MiB or GiB, as in `4MiB`")]
pub struct SizeError(String);

/// The units with their number of bytes; the binary ones, largest first, are those shown.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

impl Size {
    /// The number of bytes as this machine counts memory.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let refused = || SizeError(text.into());
        let (digits, unit) = split_number(text).ok_or_else(refused)?;
        let number: u64 = digits.parse().map_err(|_| refused())?;
        let (_, factor) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(refused)?;
        number.checked_mul(*factor).map(Self).ok_or_else(refused)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, factor) in UNITS {
            if self.0 != 0 && self.0.is_multiple_of(factor) {
                return write!(f, "{}{name}", self.0 / factor);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(B|KiB|MiB|GiB|kB|MB|GB)$",
            "description": "A number of bytes: a whole number and B, KiB, MiB or GiB."
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, bytes: u64, shown: &str) {
        let size: Size = text.parse().unwrap();
        assert_eq!(size.0, bytes);
        assert_eq!(size.to_string(), shown);
    }

    #[test]
    fn a_number_with_a_unit_is_a_size() {
        check("4MiB", 4 << 20, "4MiB");
        check("64KiB", 64 << 10, "64KiB");
        check("1GiB", 1 << 30, "1GiB");
        check("12B", 12, "12B");
        check("1MB", 1_000_000, "1000000B");
        check("0B", 0, "0B");
    }

    #[test]
    fn a_text_without_number_or_unit_is_refused() {
        for text in [
            "",
            "4",
            "MiB",
            "4 MiB",
            "-1B",
            "4mib",
            "99999999999999999999B",
            "99999999999GiB",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
