//! A length of time as people write it: "250ms", "4s", "5m".

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A length of time, written as a whole number and a unit: `ms`, `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// A text that is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time, write a whole number and ms, s, m, h or d, as in `250ms`")]
pub struct SpanError(String);

/// The units, longest first, with their length in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let refused = || SpanError(text.into());
        let (digits, unit) = split_number(text).ok_or_else(refused)?;
        let number: u64 = digits.parse().map_err(|_| refused())?;
        let (_, factor) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(refused)?;
        let millis = number.checked_mul(*factor).ok_or_else(refused)?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

/// Splits leading ASCII digits from what follows; `None` when there are no digits.
pub(crate) fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    (!digits.is_empty()).then_some((digits, rest))
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        for (name, factor) in UNITS {
            if millis != 0 && millis.is_multiple_of(u128::from(factor)) {
                return write!(f, "{}{name}", millis / u128::from(factor));
            }
        }
        write!(f, "{millis}ms")
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(ms|s|m|h|d)$",
            "description": "A length of time: a whole number and ms, s, m, h or d."
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: u64, shown: &str) {
        let span: Span = text.parse().unwrap();
        assert_eq!(span.0, Duration::from_millis(millis));
        assert_eq!(span.to_string(), shown);
    }

    #[test]
    fn a_number_with_a_unit_is_a_length_of_time() {
        check("250ms", 250, "250ms");
        check("4s", 4_000, "4s");
        check("5m", 300_000, "5m");
        check("2h", 7_200_000, "2h");
        check("1d", 86_400_000, "1d");
        check("60s", 60_000, "1m");
        check("0s", 0, "0ms");
    }

    #[test]
    fn a_text_without_number_or_unit_is_refused() {
        for text in [
            "",
            "4",
            "s",
            "4 s",
            "-4s",
            "4.5s",
            "4w",
            "99999999999999999d",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        let refusal = serde_json::from_str::<Span>("\"4\"").unwrap_err();
        assert!(
            refusal
                .to_string()
                .starts_with("`4` is not a length of time")
        );
    }
}
