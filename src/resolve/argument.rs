//! Coerced arguments of a field.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::Value;

use crate::error::Code;
use crate::fetch::ReadPolicy;
use crate::resolve::FieldError;

/// The arguments of one field, coerced, with defaults filled in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arguments(pub BTreeMap<Arc<str>, Value>);

impl Arguments {
    /// The value of an argument, unless it is absent or null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .get(name)
            .filter(|value| !matches!(value, Value::Null))
    }

    /// The text of a string, id or enum argument.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(text)
    }

    /// The texts of a list argument.
    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        match self.get(name)? {
            Value::List(items) => Some(items.iter().filter_map(text).collect()),
            single => text(single).map(|text| vec![text]),
        }
    }

    /// `first`, within 1 and the largest page.
    pub fn first(&self, max: usize) -> Result<usize, FieldError> {
        let asked = match self.get("first") {
            Some(Value::Number(number)) => number.as_i64().unwrap_or(-1),
            _ => 25,
        };
        usize::try_from(asked)
            .ok()
            .filter(|first| (1..=max).contains(first))
            .ok_or_else(|| {
                FieldError::new(
                    Code::InvalidArgument,
                    format!("`first` is {asked}; it must be between 1 and {max}"),
                )
            })
    }

    /// `readPolicy`, by default cache first.
    pub fn read_policy(&self) -> ReadPolicy {
        self.text("readPolicy")
            .and_then(|name| ReadPolicy::parse(&name))
            .unwrap_or_default()
    }
}

/// The text of a string-like value.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Enum(name) => Some(name.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Null | Value::List(_) | Value::Object(_) | Value::Binary(_) => None,
    }
}
