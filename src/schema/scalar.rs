//! The rules of the graph's scalars: which values one accepts.

use async_graphql::Value;
use chrono::{DateTime, NaiveDate};
use rust_decimal::Decimal;

/// Whether the scalar of that name, one that GraphQL does not define itself, accepts the value.
pub fn accepts(name: &str, value: &Value) -> bool {
    match name {
        "DateTime" => text_is(value, |text| DateTime::parse_from_rfc3339(text).is_ok()),
        "Date" => text_is(value, |text| text.parse::<NaiveDate>().is_ok()),
        "Decimal" => match value {
            Value::Number(_) => true,
            other => text_is(other, |text| Decimal::from_str_exact(text).is_ok()),
        },
        "BigInt" => match value {
            Value::Number(number) => number.is_i64() || number.is_u64(),
            other => text_is(other, |text| text.parse::<i128>().is_ok()),
        },
        "JSON" => true,
        _ => text_is(value, |_| true),
    }
}

fn text_is(value: &Value, holds: impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => holds(text),
        Value::Null
        | Value::Number(_)
        | Value::Boolean(_)
        | Value::Binary(_)
        | Value::Enum(_)
        | Value::List(_)
        | Value::Object(_) => false,
    }
}
