//! A number of calls per length of time as people write it: "700/min", "10/s".

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// How many calls a vendor allows in a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// The number of calls; never zero.
    pub count: u32,
    /// The length of time in which they may happen; never zero.
    pub per: Duration,
}

/// A text that is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a rate, write a number above zero, a slash and s, min, hour or day, as in `700/min`"
)]
pub struct RateError(String);

/// The windows with their length in seconds; the first name of a length is the one shown.
const WINDOWS: [(&str, u64); 7] = [
    ("s", 1),
    ("min", 60),
    ("hour", 3_600),
    ("day", 86_400),
    ("m", 60),
    ("h", 3_600),
    ("d", 86_400),
];

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let refused = || RateError(text.into());
        let (digits, window) = text.split_once('/').ok_or_else(refused)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused());
        }
        let count: u32 = digits.parse().map_err(|_| refused())?;
        let (_, seconds) = WINDOWS
            .iter()
            .find(|(name, _)| *name == window)
            .ok_or_else(refused)?;
        if count == 0 {
            return Err(refused());
        }
        Ok(Self {
            count,
            per: Duration::from_secs(*seconds),
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = WINDOWS
            .iter()
            .find(|(_, seconds)| *seconds == self.per.as_secs());
        match window {
            Some((name, _)) => write!(f, "{}/{name}", self.count),
            None => write!(f, "{}/{}s", self.count, self.per.as_secs()),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^0*[1-9][0-9]*/(s|min|hour|day|m|h|d)$",
            "description": "A number of calls per s, min, hour or day."
        })
    }
}

/// Several rates that all hold, written as one or as a list: `700/min`, `[10/s, 500/min]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Rates(pub Vec<Rate>);

impl From<Rate> for Rates {
    fn from(rate: Rate) -> Self {
        Self(vec![rate])
    }
}

impl<'de> Deserialize<'de> for Rates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RatesVisitor)
    }
}

struct RatesVisitor;

impl<'de> de::Visitor<'de> for RatesVisitor {
    type Value = Rates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rate such as `700/min`, or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rates, E> {
        text.parse::<Rate>().map(Rates::from).map_err(E::custom)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Rates, A::Error> {
        let mut rates = Vec::new();
        while let Some(rate) = items.next_element()? {
            rates.push(rate);
        }
        Ok(Rates(rates))
    }
}

impl JsonSchema for Rates {
    fn schema_name() -> Cow<'static, str> {
        "Rates".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rate = generator.subschema_for::<Rate>();
        json_schema!({
            "anyOf": [rate, { "type": "array", "items": rate }],
            "description": "A number of calls per s, min, hour or day, or a list of them that all hold."
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, count: u32, seconds: u64, shown: &str) {
        let rate: Rate = text.parse().unwrap();
        assert_eq!((rate.count, rate.per.as_secs()), (count, seconds));
        assert_eq!(rate.to_string(), shown);
    }

    #[test]
    fn a_count_per_window_is_a_rate() {
        check("700/min", 700, 60, "700/min");
        check("10/s", 10, 1, "10/s");
        check("5000/day", 5_000, 86_400, "5000/day");
        check("9/h", 9, 3_600, "9/hour");
    }

    #[test]
    fn several_rates_are_a_list_and_one_needs_none() {
        let rates = |text: &str| serde_json::from_str::<Rates>(text);
        let (fast, slow) = ("10/s".parse().unwrap(), "500/min".parse().unwrap());
        assert_eq!(rates(r#""10/s""#).unwrap(), Rates(vec![fast]));
        assert_eq!(
            rates(r#"["10/s", "500/min"]"#).unwrap(),
            Rates(vec![fast, slow])
        );
        assert!(rates(r#"["10/s", "often"]"#).is_err());
        assert!(rates("10").is_err());
    }

    #[test]
    fn a_rate_of_nothing_or_of_no_window_is_refused() {
        for text in [
            "", "10", "0/s", "/s", "-1/s", "+1/s", "10/week", "10 / s", "1.5/s",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
