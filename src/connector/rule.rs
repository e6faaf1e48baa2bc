//! What a connector file promises of its records beyond their types, and what becomes of a record that breaks a promise.

use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use regex::Regex;
use rust_decimal::Decimal;

use crate::connector::language::expression::{Expression, Scope};
use crate::connector::map::evaluate;
use crate::record::value::{Object, Value};

/// One promise, and what happens when it is broken.
#[derive(Debug)]
pub(crate) struct Rule {
    /// An expression over the vendor's record.
    pub(crate) check: Option<Expression>,
    /// The field of the graph that the tests look at.
    pub(crate) field: Option<RuleField>,
    pub(crate) tests: Vec<Test>,
    /// What operators read; it names the tests when the file has no words of its own.
    pub(crate) message: Option<String>,
    pub(crate) breach: Breach,
}

/// What happens to a record that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breach {
    /// The record is left out.
    Refuse,
    /// The field is null.
    Null,
    /// The record stays as it is.
    Warn,
}

/// A field and the slots that lead to it.
#[derive(Debug)]
pub(crate) struct RuleField {
    pub(crate) name: Arc<str>,
    pub(crate) slots: Vec<usize>,
    /// The slot of the amount, when the field is money.
    pub(crate) amount: Option<usize>,
}

/// What is asked of a value.
#[derive(Debug)]
pub(crate) enum Test {
    Required,
    Pattern(Regex),
    Least(Bound),
    Most(Bound),
    LengthLeast(usize),
    LengthMost(usize),
    OneOf(Vec<Box<str>>),
}

/// An end of a range, with its kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bound {
    Number(Decimal),
    Time(DateTime<Utc>),
    Day(NaiveDate),
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) path: String,
    pub(crate) reason: String,
    pub(crate) breach: Breach,
}

impl Rule {
    /// Looks at the vendor's record, before it is mapped.
    pub(crate) fn before(&self, scope: &Scope<'_>) -> Option<Broken> {
        let check = self.check.as_ref()?;
        let reason = match evaluate(check, scope) {
            Ok(outcome) if outcome.is_true() => return None,
            Ok(_) => self.message.clone(),
            Err(reason) => Some(reason),
        };
        let reason = reason.unwrap_or_else(|| "breaks the rule `check`".to_owned());
        Some(self.broken(reason))
    }

    /// Looks at the mapped record.
    pub(crate) fn after(&self, object: &Object) -> Option<Broken> {
        let field = self.field.as_ref()?;
        let name = self
            .tests
            .iter()
            .find(|test| !test.holds_in(object, &field.slots, field.amount))?
            .name();
        let own = self.message.clone();
        Some(self.broken(own.unwrap_or_else(|| format!("breaks the rule `{name}`"))))
    }

    fn broken(&self, reason: String) -> Broken {
        let path = self.field.as_ref().map_or("rules", |field| &*field.name);
        Broken {
            path: path.to_owned(),
            reason,
            breach: self.breach,
        }
    }
}

impl RuleField {
    /// The object without what the field holds.
    pub(crate) fn clear(&self, object: &mut Object) {
        clear(object, &self.slots);
    }
}

/// The depth is that of the field's name.
fn clear(object: &mut Object, slots: &[usize]) {
    let Some((first, rest)) = slots.split_first() else {
        return;
    };
    let Some(value) = object.slots.get_mut(*first) else {
        return;
    };
    if rest.is_empty() {
        *value = match value {
            Value::List(_) => Value::List(Arc::default()),
            _ => Value::Null,
        };
        return;
    }
    match value {
        Value::Object(inner) => clear(Arc::make_mut(inner), rest),
        Value::List(items) => {
            let cleared = items.iter().map(|item| match item {
                Value::Object(inner) => {
                    let mut inner = Object::clone(inner);
                    clear(&mut inner, rest);
                    Value::Object(Arc::new(inner))
                }
                other => other.clone(),
            });
            *value = Value::List(cleared.collect());
        }
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Json(_) => {}
    }
}

impl Test {
    /// The key in the file.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Pattern(_) => "pattern",
            Self::Least(_) => "min",
            Self::Most(_) => "max",
            Self::LengthLeast(_) => "min_length",
            Self::LengthMost(_) => "max_length",
            Self::OneOf(_) => "one_of",
        }
    }

    /// Whether it holds for every value that the slots lead to; what a test but `required` does not find, it does not judge.
    fn holds_in(&self, object: &Object, slots: &[usize], amount: Option<usize>) -> bool {
        let Some((first, rest)) = slots.split_first() else {
            return true;
        };
        let value = object.slot(*first);
        let inner = |value: &Value| match value {
            Value::Object(inner) if !rest.is_empty() => self.holds_in(inner, rest, amount),
            Value::Object(inner) => match amount {
                Some(amount) => self.holds(inner.slot(amount)),
                None => true,
            },
            value => self.holds(value),
        };
        match value {
            Value::List(items) if items.is_empty() => !matches!(self, Self::Required),
            Value::List(items) => items.iter().all(inner),
            value => inner(value),
        }
    }

    fn holds(&self, value: &Value) -> bool {
        if value.is_blank() {
            return !matches!(self, Self::Required);
        }
        let text = match value {
            Value::Text(text) | Value::Json(text) => text.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Null | Value::List(_) | Value::Object(_) => return true,
        };
        match self {
            Self::Required => true,
            Self::Pattern(pattern) => pattern.is_match(&text),
            Self::Least(bound) => bound.compare(&text).is_some_and(std::cmp::Ordering::is_ge),
            Self::Most(bound) => bound.compare(&text).is_some_and(std::cmp::Ordering::is_le),
            Self::LengthLeast(least) => text.chars().count() >= *least,
            Self::LengthMost(most) => text.chars().count() <= *most,
            Self::OneOf(known) => known.iter().any(|known| **known == *text),
        }
    }
}

impl Bound {
    /// How a value compares with the bound; nothing for a value that can't be compared exactly, which fails its test.
    fn compare(&self, text: &str) -> Option<std::cmp::Ordering> {
        match self {
            Self::Number(bound) => Some(number(text)?.cmp(bound)),
            Self::Time(bound) => Some(time(text)?.cmp(bound)),
            Self::Day(bound) => Some(day(text)?.cmp(bound)),
        }
    }
}

/// A decimal number without rounding.
pub(crate) fn number(text: &str) -> Option<Decimal> {
    Decimal::from_str_exact(text)
        .ok()
        .or_else(|| Decimal::from_scientific(text).ok())
}

/// A point in time as the graph writes it.
pub(crate) fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|time| time.with_timezone(&Utc))
}

/// A day as the graph writes it.
pub(crate) fn day(text: &str) -> Option<NaiveDate> {
    NaiveDate::from_str(text).ok()
}
