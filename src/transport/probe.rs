//! Reads single numbers out of a JSON body without building a tree of it.

use std::borrow::Cow;
use std::fmt;

use rust_decimal::Decimal;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The number at a path of member names; none when there is none. Digits are kept as they are written.
pub(crate) fn number_at(body: &[u8], path: &str) -> Option<Decimal> {
    let names: Vec<&str> = path.split('.').collect();
    let mut found = None;
    let seed = At {
        names: &names,
        found: &mut found,
    };
    // The outcome says nothing: reading stops with an error once the number is found.
    let _ = seed.deserialize(&mut serde_json::Deserializer::from_slice(body));
    decimal(&found?)
}

/// A number as JSON writes it, or as a text that holds nothing else.
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    let text = text.trim().trim_matches('"');
    Decimal::from_str_exact(text)
        .or_else(|_| Decimal::from_scientific(text))
        .ok()
}

struct At<'p> {
    names: &'p [&'p str],
    found: &'p mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.names.is_empty() {
            let text: &RawValue = serde::Deserialize::deserialize(deserializer)?;
            *self.found = Some(text.get().to_owned());
            return Ok(());
        }
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.names.split_first() else {
            return Ok(());
        };
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if name != *first {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            map.next_value_seed(At {
                names: rest,
                found: self.found,
            })?;
            return Err(A::Error::custom("found"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, path: &str, expected: Option<&str>) {
        let found = number_at(body.as_bytes(), path).map(|number| number.to_string());
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn a_number_is_found_by_its_path_with_all_its_digits() {
        let body = r#"{"data": {"cost": 7, "x": [{"cost": 1}]}, "extensions": {"cost": {"left": 0.10000000000000000001, "text": "12.50"}}}"#;
        check(body, "extensions.cost.left", Some("0.10000000000000000001"));
        check(body, "extensions.cost.text", Some("12.50"));
        check(body, "data.cost", Some("7"));
        check(body, "data.cost.more", None);
        check(body, "data.x", None);
        check(body, "nothing", None);
        check("<html>", "data", None);
        check(r#"{"data": 1e3, "broken"#, "data", Some("1000"));
    }
}
