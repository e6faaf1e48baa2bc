//! Trees as minijinja values and back.

use minijinja::value::{Value, ValueKind};

use super::error::{EvaluateError, Found};
use crate::protocol::tree::Tree;

/// How a number with a fraction or exponent enters minijinja, which has no decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decimals {
    /// As a float, for comparing; results are marked inexact.
    Float,
    /// As its text, for writing it out digit by digit.
    Text,
}

/// A tree as a value; integers exactly.
pub(super) fn to_value(tree: &Tree, decimals: Decimals) -> Value {
    match tree {
        Tree::Null => Value::from(()),
        Tree::Bool(truth) => Value::from(*truth),
        Tree::Number(text) => number(text, decimals),
        Tree::Text(text) => Value::from(&**text),
        Tree::List(items) => items
            .iter()
            .map(|item| to_value(item, decimals))
            .collect::<Vec<_>>()
            .into(),
        Tree::Map(members) => Value::from_pairs(
            members
                .iter()
                .map(|(key, member)| (&**key, to_value(member, decimals))),
        ),
    }
}

fn number(text: &str, decimals: Decimals) -> Value {
    if let Ok(small) = text.parse::<i64>() {
        return Value::from(small);
    }
    if let Ok(large) = text.parse::<i128>() {
        return Value::from(large);
    }
    match (decimals, text.parse::<f64>()) {
        (Decimals::Float, Ok(float)) if float.is_finite() => Value::from(float),
        _ => Value::from(text),
    }
}

/// A value as a tree, and whether every number in it is exact.
pub(super) fn from_value(value: &Value) -> Result<(Tree, bool), EvaluateError> {
    let tree = match value.kind() {
        ValueKind::Undefined | ValueKind::None => Tree::Null,
        ValueKind::Bool => Tree::Bool(value.is_true()),
        ValueKind::Number => return from_number(value),
        ValueKind::String => Tree::Text(value.as_str().unwrap_or_default().into()),
        ValueKind::Seq | ValueKind::Iterable => return from_items(value),
        ValueKind::Map => return from_members(value),
        _ => return Err(odd("a value without a form in replies")),
    };
    Ok((tree, true))
}

fn from_number(value: &Value) -> Result<(Tree, bool), EvaluateError> {
    if value.is_integer() {
        return Ok((Tree::Number(value.to_string().into()), true));
    }
    match f64::try_from(value.clone()) {
        Ok(float) if float.is_finite() => Ok((Tree::Number(float.to_string().into()), false)),
        _ => Err(odd("a number that is not finite")),
    }
}

fn from_items(value: &Value) -> Result<(Tree, bool), EvaluateError> {
    let mut items = Vec::new();
    let mut all_exact = true;
    for item in value
        .try_iter()
        .map_err(|_| odd("a list that can't be read"))?
    {
        let (item, exact) = from_value(&item)?;
        all_exact &= exact;
        items.push(item);
    }
    Ok((Tree::List(items), all_exact))
}

fn from_members(value: &Value) -> Result<(Tree, bool), EvaluateError> {
    let mut members = Vec::new();
    let mut all_exact = true;
    for key in value
        .try_iter()
        .map_err(|_| odd("a map that can't be read"))?
    {
        let member = value
            .get_item(&key)
            .map_err(|_| odd("a map that can't be read"))?;
        let (member, exact) = from_value(&member)?;
        all_exact &= exact;
        let name = match key.as_str() {
            Some(name) => name.into(),
            None => key.to_string().into(),
        };
        members.push((name, member));
    }
    Ok((Tree::Map(members), all_exact))
}

fn odd(reason: &'static str) -> EvaluateError {
    EvaluateError::Failed {
        reason: reason.into(),
    }
}

/// What a value is, for messages.
pub(super) fn found(value: &Value) -> Found {
    match from_value(value) {
        Ok((tree, _)) if !value.is_undefined() => Found::of(&tree),
        _ if value.is_undefined() => Found::kind("undefined"),
        _ => Found::kind("a value of another kind"),
    }
}
