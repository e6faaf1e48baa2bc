//! Hands what a reply holds to the keys that were asked for: records, refusals, and failures of single items.

use std::borrow::Cow;
use std::sync::Arc;

use crate::connector::failure::{CallFailure, FailureClass, Refusal};
use crate::connector::language::expression::{Expression, Scope};
use crate::connector::map::{MapError, RecordMap, items as list_of, texts};
use crate::connector::operation::{KeyPlan, Operation, PartialPlan};
use crate::connector::reply::{Answer, refusal};
use crate::connector::rule::Broken;
use crate::connector::{Connector, KeyResult};
use crate::protocol::tree::Tree;
use crate::record::email::match_key;
use crate::record::{IdentifierKind, Record};

/// The keys that one failure names, in the order of the reply.
type FailedKeys = (Vec<Arc<str>>, CallFailure);

/// What an item of a reply is.
pub(crate) enum Item<'a> {
    /// A record to be mapped; null when there is none.
    Record(Cow<'a, Tree>),
    /// The vendor's word that it has failed.
    Failed(CallFailure),
}

impl Connector {
    /// Maps the items of a page and hands them to their keys.
    pub(crate) fn place(
        &self,
        op: &Operation,
        items: &[Tree],
        answer: &Answer,
        results: &mut Results<'_>,
    ) -> Result<(), CallFailure> {
        let map = self.map_of(op)?;
        let by_position = op.plan.by_position;
        if by_position && items.len() != results.keys.len() {
            return Err(CallFailure::invalid(format!(
                "the reply has {} items for {} keys, which can't be told apart by place",
                items.len(),
                results.keys.len()
            )));
        }
        for (at, item) in items.iter().enumerate() {
            let record = match self.item(op, item, &answer.body)? {
                Item::Record(record) => record,
                Item::Failed(failure) => {
                    let owners = match by_position {
                        true => vec![at],
                        false => failed_keys(op, map, (item, &answer.body), results.keys),
                    };
                    results.fail(&owners, failure);
                    continue;
                }
            };
            if record.is_null() {
                continue;
            }
            let scope = Scope {
                root: Some(&answer.body),
                ..Scope::of(&record)
            };
            let owners = match by_position {
                true => Ok(Some(vec![at])),
                false => owners(op, map, &scope, results.keys),
            };
            match owners {
                Ok(Some(owners)) => {
                    let mut notes = Vec::new();
                    let mapped = map.map(&record, &answer.body, &mut notes);
                    let mapped = mapped.map_err(|error| refusal(&self.source, op, &error));
                    results.put(&owners, mapped, &self.notes(op, notes));
                }
                Ok(None) => {}
                Err(error) => results.refuse(refusal(&self.source, op, &error)),
            }
        }
        self.place_failures(op, answer, results)
    }

    /// What an item is: the record itself, a wrapper of it, or a failure.
    pub(crate) fn item<'a>(
        &self,
        op: &Operation,
        item: &'a Tree,
        root: &'a Tree,
    ) -> Result<Item<'a>, CallFailure> {
        let Some(partial) = op.plan.partial.as_ref().filter(|_| !item.is_null()) else {
            return Ok(Item::Record(Cow::Borrowed(item)));
        };
        let scope = Scope {
            root: Some(root),
            ..Scope::of(item)
        };
        let read = |expression: &Expression, key: &str| {
            expression
                .evaluate(&scope)
                .map_err(|error| CallFailure::invalid(format!("reading `partial.{key}`: {error}")))
        };
        if let Some(success) = &partial.success
            && !read(success, "success")?.is_true()
        {
            return Ok(Item::Failed(failure_of(op, partial, &scope)));
        }
        Ok(Item::Record(match &partial.record {
            Some(record) => read(record, "record")?.value,
            None => Cow::Borrowed(item),
        }))
    }

    /// The failures that stand beside the records, each with the keys that it names.
    pub(crate) fn failures_beside(
        &self,
        op: &Operation,
        answer: &Answer,
    ) -> Result<Vec<FailedKeys>, CallFailure> {
        let plan = op.plan.partial.as_ref();
        let Some((partial, errors)) = plan.and_then(|plan| Some((plan, plan.errors.as_ref()?)))
        else {
            return Ok(Vec::new());
        };
        let extra = answer.extra();
        let wrong = |reason: String| CallFailure::invalid(format!("reading `partial`: {reason}"));
        let found = errors
            .evaluate(&answer.scope(&extra))
            .map_err(|error| wrong(error.to_string()))?;
        let mut failures = Vec::new();
        for error in list_of(&found.value) {
            let scope = Scope {
                root: Some(&answer.body),
                ..Scope::of(error)
            };
            let keys = match &partial.key {
                Some(key) => texts(key, &scope).map_err(wrong)?,
                None => Vec::new(),
            };
            failures.push((keys, failure_of(op, partial, &scope)));
        }
        Ok(failures)
    }

    fn place_failures(
        &self,
        op: &Operation,
        answer: &Answer,
        results: &mut Results<'_>,
    ) -> Result<(), CallFailure> {
        for (named, failure) in self.failures_beside(op, answer)? {
            if named.is_empty() {
                results.fail_rest(failure);
            } else {
                results.fail(&places(results.keys, &named), failure);
            }
        }
        Ok(())
    }

    /// What broke a rule without being refused, for operators.
    pub(crate) fn notes(&self, op: &Operation, broken: Vec<Broken>) -> Vec<Refusal> {
        let notes = broken.into_iter().map(|broken| {
            let error = MapError {
                path: broken.path,
                reason: broken.reason,
            };
            refusal(&self.source, op, &error)
        });
        notes.collect()
    }

    /// A failed item of a list, without the vendor's words; that there is no such record is no failure.
    pub(crate) fn refused_item(&self, op: &Operation, failure: &CallFailure) -> Option<Refusal> {
        (failure.class != FailureClass::NotFound).then(|| {
            tracing::debug!(failure.detail = %failure, "the vendor failed an item of a list");
            Refusal {
                reason: format!(
                    "{}, {}: the vendor failed one item of its reply",
                    self.source, op.plan.label
                ),
            }
        })
    }

    /// Writes down that records were refused or broke a rule: once for a page, with the first reason.
    pub(crate) fn tell(&self, op: &Operation, refused: &[Refusal], notes: &[Refusal]) {
        for (outcome, all) in [("refused", refused), ("noted", notes)] {
            let Some(first) = all.first() else {
                continue;
            };
            metrics::counter!(
                "tributary_records_at_fault_total",
                "source" => self.source.clone(),
                "operation" => op.plan.label.clone(),
                "outcome" => outcome,
            )
            .increment(u64::try_from(all.len()).unwrap_or(u64::MAX));
            tracing::warn!(
                source.key = %self.source,
                operation.name = %op.plan.label,
                outcome,
                records.count = all.len(),
                reason = %first.reason,
                "records do not hold what the connector file promises"
            );
        }
    }
}

/// The vendor's failure of one item, in our words.
fn failure_of(op: &Operation, partial: &PartialPlan, scope: &Scope<'_>) -> CallFailure {
    let text = |expression: &Option<Expression>| -> Option<String> {
        let outcome = expression.as_ref()?.evaluate(scope).ok()?;
        let text = outcome.value.as_text()?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    op.plan
        .errors
        .failure_of_item(text(&partial.code), text(&partial.message))
}

/// The places of the keys that a failed item is about.
fn failed_keys(
    op: &Operation,
    map: &RecordMap,
    item: (&Tree, &Tree),
    keys: &[Arc<str>],
) -> Vec<usize> {
    let scope = Scope {
        root: Some(item.1),
        ..Scope::of(item.0)
    };
    let key = op
        .plan
        .partial
        .as_ref()
        .and_then(|partial| partial.key.as_ref());
    match key {
        Some(key) => places(keys, &texts(key, &scope).unwrap_or_default()),
        None => owners(op, map, &scope, keys)
            .ok()
            .flatten()
            .unwrap_or_default(),
    }
}

fn places(keys: &[Arc<str>], found: &[Arc<str>]) -> Vec<usize> {
    let pairs = keys.iter().enumerate();
    pairs
        .filter(|(_, key)| found.contains(key))
        .map(|(at, _)| at)
        .collect()
}

/// What is found for each key.
pub(crate) struct Results<'k> {
    keys: &'k [Arc<str>],
    by_key: Vec<KeyResult>,
    /// How many items were read.
    pub(crate) found: usize,
    /// Whether items of a page were left out.
    pub(crate) is_cut: bool,
    /// A failure that names no key, and so is that of all keys without a record.
    rest: Option<CallFailure>,
}

impl<'k> Results<'k> {
    pub(crate) fn new(keys: &'k [Arc<str>]) -> Self {
        Self {
            keys,
            by_key: keys.iter().map(|_| KeyResult::default()).collect(),
            found: 0,
            is_cut: false,
            rest: None,
        }
    }

    /// The results; with more to come, any key may lack records.
    pub(crate) fn finish(self, has_more: bool) -> Vec<KeyResult> {
        let mut by_key = self.by_key;
        for result in &mut by_key {
            if result.records.is_empty() && result.failure.is_none() {
                result.failure.clone_from(&self.rest);
            }
            result.truncated = has_more || self.is_cut;
        }
        by_key
    }

    /// The failures of single keys so far.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &CallFailure> {
        let of_keys = self
            .by_key
            .iter()
            .filter_map(|result| result.failure.as_ref());
        of_keys.chain(&self.rest)
    }

    /// What was refused, and what was noted, so far.
    pub(crate) fn faults(&self) -> (Vec<Refusal>, Vec<Refusal>) {
        let all = || self.by_key.iter();
        (
            all().flat_map(|result| result.refused.clone()).collect(),
            all().flat_map(|result| result.notes.clone()).collect(),
        )
    }

    /// Gives a failure to its keys; that there is no such record is no failure, and one that names a foreign key is refused.
    fn fail(&mut self, owners: &[usize], failure: CallFailure) {
        if failure.class == FailureClass::NotFound {
            return;
        }
        if owners.is_empty() {
            self.refuse(Refusal {
                reason: "the vendor failed an item that is none of the keys that were asked for"
                    .to_owned(),
            });
        }
        for owner in owners {
            if let Some(result) = self.by_key.get_mut(*owner) {
                result.failure = Some(failure.clone());
            }
        }
    }

    fn fail_rest(&mut self, failure: CallFailure) {
        if failure.class != FailureClass::NotFound {
            self.rest.get_or_insert(failure);
        }
    }

    fn put(&mut self, owners: &[usize], mapped: Result<Record, Refusal>, notes: &[Refusal]) {
        let mapped = mapped.map(Arc::new);
        for owner in owners {
            if let Some(result) = self.by_key.get_mut(*owner) {
                result.notes.extend_from_slice(notes);
                match &mapped {
                    Ok(record) => result.records.push(record.clone()),
                    Err(refusal) => result.refused.push(refusal.clone()),
                }
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        if let Some(result) = self.by_key.first_mut() {
            result.refused.push(refusal);
        }
    }

    pub(crate) fn total(&mut self, total: Option<u64>) {
        if let Some(result) = self.by_key.first_mut() {
            result.total = total.or(result.total);
        }
    }
}

/// The places of the keys that an item belongs to; `None` when a search brought it that finds more than was asked for.
fn owners(
    op: &Operation,
    map: &RecordMap,
    scope: &Scope<'_>,
    keys: &[Arc<str>],
) -> Result<Option<Vec<usize>>, MapError> {
    let foreign = |path: &str| MapError {
        path: path.to_owned(),
        reason: "is none of the keys that were asked for".to_owned(),
    };
    let wrong = |path: &str, reason: String| MapError {
        path: path.to_owned(),
        reason,
    };
    let (path, found) = match &op.plan.key {
        KeyPlan::Asked => return Ok(Some((0..keys.len()).collect())),
        KeyPlan::Id => ("id".to_owned(), vec![map.id_of(scope)?]),
        KeyPlan::Link(name) => {
            let found = map.link_of(name, scope)?;
            // Asked for one key, an item that tells no key can only be its own.
            if found.is_empty() && keys.len() == 1 {
                return Ok(Some(vec![0]));
            }
            (format!("links.{name}"), found)
        }
        KeyPlan::Expression(expression) => {
            let found = texts(expression, scope).map_err(|reason| wrong("batch.key", reason))?;
            ("batch.key".to_owned(), found)
        }
        KeyPlan::Email => {
            let found = identifiers(map, scope, IdentifierKind::Email, None)?;
            let owners: Vec<usize> = keys
                .iter()
                .enumerate()
                .filter(|(_, key)| match_key(key).is_some_and(|key| found.contains(&key.into())))
                .map(|(at, _)| at)
                .collect();
            return Ok((!owners.is_empty()).then_some(owners));
        }
        KeyPlan::ExternalId(namespace) => {
            let kind = IdentifierKind::ExternalId;
            let found = identifiers(map, scope, kind, Some(namespace))?;
            (format!("identifiers.externalId.{namespace}"), found)
        }
    };
    let owners = places(keys, &found);
    if owners.is_empty() {
        return Err(foreign(&path));
    }
    Ok(Some(owners))
}

fn identifiers(
    map: &RecordMap,
    scope: &Scope<'_>,
    kind: IdentifierKind,
    namespace: Option<&Arc<str>>,
) -> Result<Vec<Arc<str>>, MapError> {
    let mut found = Vec::new();
    let wanted = map
        .identifiers
        .iter()
        .filter(|one| one.kind == kind && one.namespace.as_ref() == namespace);
    for one in wanted {
        let identifiers = one.find(scope).map_err(|reason| MapError {
            path: "identifiers".to_owned(),
            reason,
        })?;
        found.extend(identifiers.into_iter().map(|one| one.normalized));
    }
    Ok(found)
}
