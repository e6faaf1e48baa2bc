//! Finds what a customer is recognised by in other sources.

use std::sync::Arc;

use crate::connector::convert::{Leaf, Wrong};
use crate::connector::language::expression::{Expression, Scope};
use crate::connector::map::{LIST_ITEMS_MAX, evaluate, items};
use crate::protocol::tree::Tree;
use crate::record::value::Value;
use crate::record::{Identifier, IdentifierKind, Trust, email};

/// An identifier of a customer.
#[derive(Debug)]
pub(crate) struct IdentifierMap {
    pub(crate) kind: IdentifierKind,
    pub(crate) namespace: Option<Arc<str>>,
    pub(crate) from: Expression,
    pub(crate) verified: Option<Expression>,
    pub(crate) trust: Option<Trust>,
}

impl IdentifierMap {
    /// The identifiers of an item; what is no identifier of the kind, such as `n/a` for an address, is left out.
    pub(crate) fn find(&self, scope: &Scope<'_>) -> Result<Vec<Identifier>, Wrong> {
        let outcome = evaluate(&self.from, scope)?;
        let verified = match &self.verified {
            Some(verified) => Some(evaluate(verified, scope)?),
            None => None,
        };
        let mut identifiers = Vec::new();
        for (at, value) in items(&outcome.value)
            .iter()
            .take(LIST_ITEMS_MAX)
            .enumerate()
        {
            let Value::Text(value) = Leaf::Id.convert(value, outcome.exact)? else {
                continue;
            };
            let normalized: Option<Arc<str>> = match self.kind {
                IdentifierKind::Email => email::match_key(&value).map(Into::into),
                IdentifierKind::ExternalId => Some(value.clone()),
            };
            let Some(normalized) = normalized else {
                continue;
            };
            let told = verified.as_ref().and_then(|outcome| match &*outcome.value {
                Tree::List(answers) => answers.get(at).and_then(truth),
                one => truth(one),
            });
            identifiers.push(Identifier {
                kind: self.kind,
                namespace: self.namespace.clone(),
                value,
                normalized,
                verified: told.or((self.trust == Some(Trust::Verified)).then_some(true)),
            });
        }
        Ok(identifiers)
    }
}

fn truth(value: &Tree) -> Option<bool> {
    match Leaf::Boolean.convert(value, true) {
        Ok(Value::Bool(truth)) => Some(truth),
        Ok(_) | Err(_) => None,
    }
}
