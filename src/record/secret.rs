//! A text that must not be shown.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq as _;

/// A secret text, wiped from memory when dropped, whose `Debug` prints `***` so that no log can repeat it.
///
/// It has no `Display` and no `Serialize` on purpose: whoever needs the text must say so with [`Secret::expose`].
#[derive(Clone, Default)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a text as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// Hands out the text, to be used at once and neither kept nor shown.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether there is no text at all, which is never a usable secret.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl PartialEq for Secret {
    /// Compares in constant time, so that a comparison tells nothing about how much of a secret was right.
    fn eq(&self, other: &Self) -> bool {
        self.expose()
            .as_bytes()
            .ct_eq(other.expose().as_bytes())
            .into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A wrong type is refused by serde's own words, which repeat the value; a secret in the wrong type (`password: 1234`)
        // would then be printed. The visitor below names the type alone.
        struct SecretVisitor;

        impl serde::de::Visitor<'_> for SecretVisitor {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text (write it in quotes)")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::new(text))
            }

            fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Secret, E> {
                Ok(Secret::new(text))
            }

            fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Secret, E> {
                Err(wrong("boolean"))
            }

            fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Secret, E> {
                Err(wrong("number"))
            }

            fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Secret, E> {
                Err(wrong("number"))
            }

            fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Secret, E> {
                Err(wrong("number"))
            }

            fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<Secret, E> {
                Err(wrong("number"))
            }

            fn visit_u128<E: serde::de::Error>(self, _: u128) -> Result<Secret, E> {
                Err(wrong("number"))
            }

            fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Secret, E> {
                Err(wrong("byte string"))
            }
        }

        fn wrong<E: serde::de::Error>(found: &'static str) -> E {
            E::invalid_type(serde::de::Unexpected::Other(found), &SecretVisitor)
        }

        // Asked for a string, serde_json makes that message itself, without the visitor.
        deserializer.deserialize_any(SecretVisitor)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A secret text; write `${NAME}` or `${file:PATH}` instead of the text itself." })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde::Deserialize;

    use super::Secret;

    #[derive(Debug, Deserialize)]
    struct Settings {
        password: Secret,
    }

    #[test]
    fn debug_shows_stars_only() {
        let settings: Settings = serde_json::from_str(r#"{"password":"hunter2"}"#).unwrap();
        assert_eq!(format!("{settings:?}"), "Settings { password: *** }");
        assert_eq!(settings.password.expose(), "hunter2");
    }

    #[test]
    fn a_value_of_a_wrong_type_is_not_repeated() {
        for text in ["1234567", "-1234567", "1234567.5", "true"] {
            let reply = serde_json::from_str::<Settings>(&format!(r#"{{"password":{text}}}"#));
            let message = reply.unwrap_err().to_string();
            assert!(message.contains("expected a text"), "{message}");
            assert!(!message.contains(text), "{message}");
        }
    }
}
