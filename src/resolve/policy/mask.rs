//! Masks: what is left of a value that a caller may not see whole.

use crate::config::section::policy::MaskKind;
use crate::record::email;
use crate::record::value::Value;

const DOTS: &str = "•••";

/// What is left of a value; `non_null` says whether the graph promises one.
pub fn masked(value: &Value, kind: MaskKind, non_null: bool) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::List(items) => {
            Value::List(items.iter().map(|item| masked(item, kind, true)).collect())
        }
        Value::Text(text) => match kind {
            MaskKind::Redact if !non_null => Value::Null,
            kind => Value::Text(masked_text(text, kind).into()),
        },
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Object(_) | Value::Json(_) => {
            Value::Null
        }
    }
}

/// What is left of a text.
pub fn masked_text(text: &str, kind: MaskKind) -> String {
    let last = |count: usize, keep: fn(char) -> bool| {
        let kept: Vec<char> = text.chars().filter(|c| keep(*c)).collect();
        // A short value would be shown whole.
        let from = kept.len().saturating_sub(count.min(kept.len() / 2));
        kept.into_iter().skip(from).collect::<String>()
    };
    match kind {
        MaskKind::Email => email::masked(text),
        MaskKind::Phone => format!("{DOTS}{}", last(2, |c| c.is_ascii_digit())),
        MaskKind::Initial => {
            let first: String = text.trim().chars().take(1).collect();
            format!("{first}{DOTS}")
        }
        MaskKind::Last4 => format!("{DOTS}{}", last(4, |_| true)),
        MaskKind::Redact => DOTS.to_owned(),
        MaskKind::Clear => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::masked_text;
    use crate::config::section::policy::MaskKind::{Email, Initial, Last4, Phone, Redact};

    #[test]
    fn what_is_left_does_not_tell_the_value() {
        for (text, kind, expected) in [
            ("jane@acme.com", Email, "j•••@acme.com"),
            ("no address", Email, "•••"),
            ("+49 30 1234567", Phone, "•••67"),
            ("7", Phone, "•••"),
            ("Silva", Initial, "S•••"),
            ("", Initial, "•••"),
            ("DE89370400440532013000", Last4, "•••3000"),
            ("1234", Last4, "•••34"),
            ("x", Last4, "•••"),
            ("anything", Redact, "•••"),
        ] {
            assert_eq!(masked_text(text, kind), expected, "{text}");
        }
    }
}
