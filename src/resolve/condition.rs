//! Filters of a list: what they compare, and how the gateway applies those that a source does not.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use async_graphql::Value as Argument;
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use crate::connector::Ask;
use crate::connector::operation::Operation;
use crate::record::value::{Object, Value};
use crate::record::{Record, email};
use crate::resolve::argument::{Arguments, text};
use crate::schema::{Catalog, FieldDef, InputDef, Matches};

/// One condition of a list; all conditions must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Name of the filter field.
    pub name: Arc<str>,
    /// What of a record it compares.
    pub matches: Matches,
    /// The value asked for.
    pub value: Argument,
}

/// The records that the ids of link conditions stand for: by link, source and remote id.
pub type Targets = BTreeMap<String, BTreeMap<Arc<str>, BTreeSet<Arc<str>>>>;

/// The conditions that a field's arguments set.
pub fn conditions(catalog: &Catalog, field: &FieldDef, arguments: &Arguments) -> Vec<Condition> {
    let mut found = Vec::new();
    for argument in &field.arguments {
        let Some(value) = arguments.get(&argument.name) else {
            continue;
        };
        if argument.matches.is_some() {
            found.extend(condition(argument, value));
        } else if let (Argument::Object(given), "filter") = (value, &*argument.name) {
            let fields = catalog.input(&input_name(argument)).unwrap_or_default();
            for field in fields {
                if let Some(value) = given.get(&*field.name) {
                    found.extend(condition(field, value));
                }
            }
        }
    }
    found
}

fn input_name(argument: &InputDef) -> String {
    argument.ty.to_string().replace(['!', '[', ']'], "")
}

fn condition(def: &InputDef, value: &Argument) -> Option<Condition> {
    if matches!(value, Argument::Null) {
        return None;
    }
    Some(Condition {
        name: def.name.clone(),
        matches: def.matches.clone()?,
        value: value.clone(),
    })
}

impl Condition {
    /// Whether a record meets the condition.
    pub fn holds(&self, catalog: &Catalog, record: &Record, targets: &Targets) -> bool {
        match &self.matches {
            Matches::Source => texts(&self.value).iter().any(|key| **key == *record.source),
            Matches::Link(link) => {
                let wanted = targets
                    .get(link)
                    .and_then(|sources| sources.get(&record.source));
                wanted.is_some_and(|ids| record.link(link).iter().any(|key| ids.contains(key)))
            }
            Matches::Field(path) => {
                let mut values = Vec::new();
                collect(catalog, &record.data, path, &mut values);
                self.compare(catalog, path, &values)
            }
        }
    }

    fn compare(&self, catalog: &Catalog, path: &str, values: &[Value]) -> bool {
        match &self.value {
            Argument::Object(range) if range.contains_key("currency") => {
                values.iter().any(|value| in_money(catalog, value, range))
            }
            Argument::Object(range) => values.iter().any(|value| in_times(value, range)),
            Argument::Boolean(flag) => values.contains(&Value::Bool(*flag)),
            wanted => {
                let is_email = path.ends_with("normalized");
                let wanted: Vec<String> = texts(wanted)
                    .into_iter()
                    .filter_map(|text| {
                        if is_email {
                            email::match_key(&text)
                        } else {
                            Some(text)
                        }
                    })
                    .collect();
                values
                    .iter()
                    .filter_map(Value::as_text)
                    .any(|value| wanted.iter().any(|wanted| wanted == value))
            }
        }
    }
}

/// Whether the conditions on sources let this one in.
pub fn is_wanted(conditions: &[Condition], source: &str) -> bool {
    conditions
        .iter()
        .filter(|condition| condition.matches == Matches::Source)
        .all(|condition| match &condition.value {
            Argument::List(keys) => keys.iter().any(|key| text(key).as_deref() == Some(source)),
            key => text(key).as_deref() == Some(source),
        })
}

/// The conditions that an operation evaluates itself, as its ask.
pub fn pushed(operation: &Operation, conditions: &[Condition]) -> Ask {
    let filter = conditions
        .iter()
        .filter(|condition| condition.matches != Matches::Source)
        .filter(|condition| {
            operation
                .filters
                .iter()
                .any(|filter| filter.name == condition.name)
        })
        .filter_map(|condition| {
            let value = condition.value.clone().into_json().ok()?;
            operation
                .can_push(&condition.name, &value)
                .then(|| (condition.name.clone(), value))
        })
        .collect();
    Ask {
        filter,
        sort: None,
        size: 0,
    }
}

/// The names of the conditions that the gateway applies itself.
pub fn applied_here(operation: &Operation, ask: &Ask, conditions: &[Condition]) -> Vec<Arc<str>> {
    conditions
        .iter()
        .filter(|condition| condition.matches != Matches::Source)
        .filter(|condition| {
            let pushed = ask.filter.iter().any(|(name, _)| *name == condition.name);
            let whole = operation
                .filters
                .iter()
                .any(|filter| filter.name == condition.name && !filter.partial);
            !(pushed && whole)
        })
        .map(|condition| condition.name.clone())
        .collect()
}

fn texts(value: &Argument) -> Vec<String> {
    match value {
        Argument::List(items) => items.iter().filter_map(text).collect(),
        single => text(single).into_iter().collect(),
    }
}

/// The values at a dotted path, through lists.
pub fn collect(catalog: &Catalog, object: &Object, path: &str, values: &mut Vec<Value>) {
    let (name, rest) = path
        .split_once('.')
        .map_or((path, None), |(name, rest)| (name, Some(rest)));
    let Some(value) = catalog.read(object, name) else {
        return;
    };
    let single = std::slice::from_ref(value);
    let items = if let Value::List(items) = value {
        items
    } else {
        single
    };
    for item in items {
        match (rest, item) {
            (None, item) => values.push(item.clone()),
            (Some(rest), Value::Object(inner)) => collect(catalog, inner, rest, values),
            (Some(_), _) => {}
        }
    }
}

type Range = async_graphql::indexmap::IndexMap<async_graphql::Name, Argument>;

fn in_times(value: &Value, range: &Range) -> bool {
    let Some(time) = value.as_text().and_then(time) else {
        return false;
    };
    let bound = |name: &str| match range.get(name) {
        Some(Argument::String(text)) => self::time(text),
        _ => None,
    };
    bound("from").is_none_or(|from| time >= from) && bound("to").is_none_or(|to| time < to)
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|time| time.to_utc())
}

fn in_money(catalog: &Catalog, value: &Value, range: &Range) -> bool {
    let Value::Object(money) = value else {
        return false;
    };
    let read = |field| catalog.read(money, field).and_then(Value::as_text);
    let bound = |name: &str| {
        range
            .get(name)
            .and_then(text)
            .and_then(|text| Decimal::from_str(&text).ok())
    };
    let Some(amount) = read("amount").and_then(|text| Decimal::from_str_exact(text).ok()) else {
        return false;
    };
    range.get("currency").and_then(text).as_deref() == read("currency")
        && bound("min").is_none_or(|min| amount >= min)
        && bound("max").is_none_or(|max| amount <= max)
}
