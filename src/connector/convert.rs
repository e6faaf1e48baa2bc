//! Turns a value of a reply into a value of the graph's type, exactly or not at all.

use std::sync::Arc;

use chrono::NaiveDate;
use url::Url;

use crate::connector::language::expression::{Expression, Scope};
use crate::protocol::json;
use crate::protocol::tree::Tree;
use crate::record::value::Value;

/// Longest text of a number.
const NUMBER_BYTES_MAX: usize = 128;

/// How the values of one type are read.
#[derive(Debug, Clone)]
pub(crate) enum Leaf {
    /// Text as it is.
    Text,
    /// Text without white space around it, null when nothing is left.
    Trimmed,
    /// An id: like trimmed text, and never from a number that went through a float.
    Id,
    /// A decimal number as its text.
    Decimal,
    /// A whole number of any size as its text.
    BigInt,
    /// A whole number of 32 bits.
    Int,
    /// A number that may be rounded.
    Float,
    /// A truth value.
    Boolean,
    /// A point in time, by an expression over `value`.
    Time(Box<Expression>),
    /// A day.
    Date,
    /// A currency code.
    Currency,
    /// A country code, by an expression over `value`.
    Country(Box<Expression>),
    /// An absolute address.
    Url,
    /// Anything.
    Json,
    /// A name out of a closed set.
    Enum(Box<EnumLeaf>),
}

/// A closed set of names, and which of them stand for what is not mapped and for nothing.
#[derive(Debug, Clone)]
pub(crate) struct EnumLeaf {
    pub(crate) values: Vec<Arc<str>>,
    pub(crate) other: Option<Arc<str>>,
    pub(crate) unknown: Option<Arc<str>>,
}

/// Why a value is not of its type; the value itself is never told.
pub(crate) type Wrong = String;

impl Leaf {
    /// Reads one value; a list or map is wrong for everything but JSON.
    pub(crate) fn convert(&self, value: &Tree, exact: bool) -> Result<Value, Wrong> {
        if let Self::Json = self {
            return Ok(match value {
                Tree::Null => Value::Null,
                other => Value::Json(String::from_utf8_lossy(&json::encode(other)).into()),
            });
        }
        let Some(text) = value.as_text() else {
            return match value {
                Tree::Null => Ok(Value::Null),
                Tree::List(_) => Err("is a list where one value is needed".to_owned()),
                _ => Err("is an object where one value is needed".to_owned()),
            };
        };
        let trimmed = text.trim();
        if let Self::Text = self {
            return Ok(Value::Text(text.as_ref().into()));
        }
        if trimmed.is_empty() {
            return Ok(Value::Null);
        }
        if !exact && !matches!(self, Self::Float | Self::Boolean | Self::Trimmed) {
            return Err("was computed as a float and may have lost digits".to_owned());
        }
        self.convert_text(value, trimmed)
    }

    fn convert_text(&self, value: &Tree, text: &str) -> Result<Value, Wrong> {
        let by = |expression: &Expression| {
            let extra = [("value", value)];
            let scope = Scope {
                item: &Tree::Null,
                root: None,
                parent: None,
                extra: &extra,
            };
            let outcome = expression
                .evaluate(&scope)
                .map_err(|error| error.to_string())?;
            Ok(match outcome.value.as_text() {
                Some(text) => Value::Text(text.as_ref().into()),
                None => Value::Null,
            })
        };
        match self {
            Self::Text | Self::Trimmed | Self::Id | Self::Json => Ok(Value::Text(text.into())),
            Self::Decimal => decimal(text).ok_or("is not a decimal number"),
            Self::BigInt => whole(text).ok_or("is not a whole number"),
            Self::Int => int(text).ok_or("is not a whole number of 32 bits"),
            Self::Float => float(text).ok_or("is not a number"),
            Self::Boolean => boolean(text).ok_or("is not a truth value"),
            Self::Date => date(text).ok_or("is not a date written as YYYY-MM-DD"),
            Self::Currency => currency(text).ok_or("is not a currency code of three letters"),
            Self::Url => address(text).ok_or("is not an absolute http or https address"),
            Self::Time(expression) | Self::Country(expression) => return by(expression),
            Self::Enum(leaf) => return Ok(leaf.convert(text)),
        }
        .map_err(str::to_owned)
    }
}

impl EnumLeaf {
    /// The value that a raw text names by itself, else the one for what is not mapped.
    pub(crate) fn convert(&self, raw: &str) -> Value {
        self.values
            .iter()
            .find(|value| value.eq_ignore_ascii_case(raw))
            .or(self.other.as_ref())
            .or(self.unknown.as_ref())
            .cloned()
            .into()
    }

    /// The value for nothing.
    pub(crate) fn absent(&self) -> Value {
        self.unknown.clone().into()
    }
}

/// Keeps the digits as the vendor wrote them; an exponent is written out, since callers do not expect one.
fn decimal(text: &str) -> Option<Value> {
    if text.len() > NUMBER_BYTES_MAX {
        return None;
    }
    if text.contains(['e', 'E']) {
        let number = rust_decimal::Decimal::from_scientific(text).ok()?;
        return Some(Value::Text(number.to_string().into()));
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number =
        !whole.is_empty() && !fraction.is_empty() && is_digits(whole) && is_digits(fraction);
    is_number.then(|| Value::Text(text.into()))
}

fn whole(text: &str) -> Option<Value> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty()
        && text.len() <= NUMBER_BYTES_MAX
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Value::Text(text.into()))
}

fn int(text: &str) -> Option<Value> {
    text.parse().ok().map(Value::Int)
}

fn float(text: &str) -> Option<Value> {
    let number: f64 = text.parse().ok()?;
    number.is_finite().then_some(Value::Float(number))
}

fn boolean(text: &str) -> Option<Value> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" => Some(Value::Bool(true)),
        "false" | "0" | "no" | "n" => Some(Value::Bool(false)),
        _ => None,
    }
}

fn date(text: &str) -> Option<Value> {
    // Vendors append a time to days; the day as written is what was meant.
    let day = match text.split_at_checked(10) {
        Some((day, rest)) if rest.is_empty() || rest.starts_with(['T', ' ']) => day,
        _ => return None,
    };
    NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?;
    Some(Value::Text(day.into()))
}

fn currency(text: &str) -> Option<Value> {
    let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_code.then(|| Value::Text(text.to_ascii_uppercase().into()))
}

fn address(text: &str) -> Option<Value> {
    let url = Url::parse(text).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    is_web.then(|| Value::Text(text.into()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::Leaf;
    use crate::protocol::tree::Tree;
    use crate::record::value::Value;

    #[track_caller]
    fn check(leaf: &Leaf, value: &Tree, expected: Option<Value>) {
        assert_eq!(leaf.convert(value, true).ok(), expected);
    }

    fn number(text: &str) -> Tree {
        Tree::Number(text.into())
    }

    #[test]
    fn money_and_large_ids_keep_every_digit() {
        let exact = "9007199254740993.10";
        check(&Leaf::Decimal, &number(exact), Some(exact.into()));
        check(&Leaf::Decimal, &number("1e3"), Some("1000".into()));
        check(&Leaf::Decimal, &"1,50".into(), None);
        check(&Leaf::Decimal, &"NaN".into(), None);
        check(
            &Leaf::Id,
            &number("9007199254740993"),
            Some("9007199254740993".into()),
        );
        check(
            &Leaf::BigInt,
            &number("18446744073709551616"),
            Some("18446744073709551616".into()),
        );
        assert!(Leaf::Decimal.convert(&number("0.3"), false).is_err());
    }

    #[test]
    fn a_value_of_another_type_is_refused_without_being_told() {
        check(&Leaf::Int, &number("4294967296"), None);
        check(&Leaf::Boolean, &"maybe".into(), None);
        check(&Leaf::Url, &"javascript:alert(1)".into(), None);
        check(&Leaf::Url, &"acme".into(), None);
        check(&Leaf::Date, &"2026-02-30".into(), None);
        check(&Leaf::Currency, &"euro".into(), None);
        let wrong = Leaf::Int.convert(&"secret".into(), true).unwrap_err();
        assert!(!wrong.contains("secret"));
    }

    #[test]
    fn blank_is_nothing_for_all_but_plain_text() {
        check(&Leaf::Decimal, &" ".into(), Some(Value::Null));
        check(&Leaf::Date, &"".into(), Some(Value::Null));
        check(&Leaf::Text, &"".into(), Some("".into()));
        check(&Leaf::Currency, &"eur".into(), Some("EUR".into()));
        check(
            &Leaf::Date,
            &"2026-02-28T00:00:00Z".into(),
            Some("2026-02-28".into()),
        );
    }
}
