//! The order of a list, total and stable: by the asked field, then by source, then by the vendor's id.

use std::cmp::Ordering;
use std::sync::Arc;

use async_graphql::Value as Argument;
use chrono::DateTime;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::record::Record;
use crate::record::value::Value;
use crate::resolve::argument::{Arguments, text};
use crate::resolve::condition::collect;
use crate::schema::{Catalog, FieldDef, ObjectDef};

/// The order a list is asked in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The graph's name of the order, by which a source can be asked for it.
    pub name: Option<Arc<str>>,
    /// The field compared, dotted for nested ones; `None` keeps the sources' own order.
    pub path: Option<String>,
    /// Whether the largest comes first.
    pub descending: bool,
}

/// The order that a field's arguments ask for, else the list's own.
pub fn order(catalog: &Catalog, field: &FieldDef, arguments: &Arguments) -> Order {
    let own = Order {
        name: None,
        path: field.order.clone(),
        descending: false,
    };
    let Some(argument) = field
        .arguments
        .iter()
        .find(|argument| &*argument.name == "sort")
    else {
        return own;
    };
    let inputs = catalog
        .input(&argument.ty.to_string().replace('!', ""))
        .unwrap_or_default();
    let value = |name: &str| {
        let given = match arguments.get("sort") {
            Some(Argument::Object(given)) => given.get(name).and_then(text),
            _ => None,
        };
        let input = inputs.iter().find(|input| &*input.name == name)?;
        given
            .or_else(|| input.default.as_ref().and_then(text))
            .map(|value| (value, input))
    };
    let Some((name, input)) = value("field") else {
        return own;
    };
    let descending = value("direction").is_none_or(|(direction, _)| direction == "DESC");
    let values = catalog
        .enum_values(&input.ty.to_string().replace('!', ""))
        .unwrap_or_default();
    let path = values
        .iter()
        .find(|value| *value.name == *name)
        .and_then(|value| value.sorts_by.clone());
    Order {
        name: Some(name.into()),
        path,
        descending,
    }
}

/// A value in the form in which it is compared. Nothing comes last, in either direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortKey {
    /// A number: a time in microseconds, or the place of an enum value.
    Number(i64),
    /// An exact amount.
    Amount(Decimal),
    /// Text, in lower case.
    Text(String),
    /// No value.
    Nothing,
}

/// The key of a record under an order.
pub fn key(catalog: &Catalog, def: &ObjectDef, record: &Record, order: &Order) -> SortKey {
    let Some(path) = order.path.as_deref() else {
        return SortKey::Nothing;
    };
    let mut values = Vec::new();
    collect(catalog, &record.data, path, &mut values);
    let Some(text) = values.first().and_then(Value::as_text) else {
        return SortKey::Nothing;
    };
    if let Some(place) = def
        .field(path)
        .and_then(|field| catalog.enum_values(&field.ty.name))
        .and_then(|values| values.iter().position(|value| &*value.name == text))
    {
        return SortKey::Number(i64::try_from(place).unwrap_or(i64::MAX));
    }
    if let Some(time) = instant(text) {
        return SortKey::Number(time);
    }
    if path.ends_with("amount")
        && let Ok(amount) = Decimal::from_str_exact(text)
    {
        return SortKey::Amount(amount);
    }
    SortKey::Text(text.to_lowercase())
}

/// A time of the graph in microseconds since 1970.
pub(crate) fn instant(text: &str) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.timestamp_micros())
}

/// Where a record stands in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The value compared.
    pub key: SortKey,
    /// The rank of its source.
    pub rank: usize,
    /// The vendor's id.
    pub id: Arc<str>,
}

impl Place {
    /// Compares two places under a direction.
    pub fn compare(&self, other: &Self, descending: bool) -> Ordering {
        compare_keys(&self.key, &other.key, descending)
            .then_with(|| self.rank.cmp(&other.rank))
            .then_with(|| self.id.cmp(&other.id))
    }
}

/// Compares two values under a direction; what has none comes last in both.
pub(crate) fn compare_keys(left: &SortKey, right: &SortKey, descending: bool) -> Ordering {
    let ascending = match (left, right) {
        (SortKey::Nothing, SortKey::Nothing) => return Ordering::Equal,
        (SortKey::Nothing, _) => return Ordering::Greater,
        (_, SortKey::Nothing) => return Ordering::Less,
        (SortKey::Number(left), SortKey::Number(right)) => left.cmp(right),
        (SortKey::Amount(left), SortKey::Amount(right)) => left.cmp(right),
        (SortKey::Text(left), SortKey::Text(right)) => left.cmp(right),
        (left, right) => kind(left).cmp(&kind(right)),
    };
    if descending {
        ascending.reverse()
    } else {
        ascending
    }
}

fn kind(key: &SortKey) -> u8 {
    match key {
        SortKey::Number(_) => 0,
        SortKey::Amount(_) => 1,
        SortKey::Text(_) => 2,
        SortKey::Nothing => 3,
    }
}
