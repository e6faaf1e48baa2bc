//! Asks a source: calls, pages, maps, and hands every record to the key it belongs to.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use http::StatusCode;

use crate::connector::failure::{CallFailure, FailureClass, Refusal};
use crate::connector::language::expression::{Expression, Scope};
use crate::connector::map::{MapError, RecordMap, items, texts};
use crate::connector::operation::{CallPlan, KeyPlan, Operation};
use crate::connector::page::{Position, count, is_below};
use crate::connector::render::Asked;
use crate::connector::reply::{Answer, refusal};
use crate::connector::{Ask, Connector, KeyResult, ListPage};
use crate::protocol::tree::Tree;
use crate::record::email::match_key;
use crate::record::{IdentifierKind, Record};
use crate::transport::feedback::Feedback;
use crate::transport::terms::Terms;

/// How many pages are read when an operation says nothing of paging.
const SIZE_DEFAULT: usize = 100;

impl Connector {
    /// Asks for one batch of keys: at most `batch_max`, exactly one without it. The results are in the order of the keys.
    /// A record that belongs to none of the keys is refused, at the first key.
    pub async fn load(
        &self,
        op: &Operation,
        keys: &[Arc<str>],
        ask: &Ask,
        terms: impl Into<Terms>,
    ) -> Result<Vec<KeyResult>, CallFailure> {
        let terms = terms.into();
        let max = op.batch_max.unwrap_or(1);
        if keys.is_empty() || keys.len() > max {
            let detail = format!("`{}` takes 1 to {max} keys", op.plan.label);
            return Err(CallFailure::new(FailureClass::Unsupported, detail));
        }
        let page = op.plan.page.as_ref();
        let (pages_max, items_max) =
            page.map_or((1, usize::MAX), |page| (page.pages_max, page.items_max));
        let size = page.map_or(SIZE_DEFAULT, |page| page.size);
        let mut results = Results::new(keys);
        let mut position = Position::start(page);
        let mut visited = HashSet::new();
        for _ in 0..pages_max {
            let asked = Asked {
                keys,
                ask,
                position: &position,
                size,
            };
            let next = match self
                .read_page(op, asked, items_max, &terms, &mut results)
                .await
            {
                Ok(next) => next,
                Err(failure) if is_absence(keys, &failure) => None,
                Err(failure) => return Err(failure),
            };
            let Some(next) = next else {
                return Ok(results.finish(false));
            };
            if results.found >= items_max {
                break;
            }
            if !visited.insert(next.token()) {
                return Err(CallFailure::invalid(
                    "the source's paging goes in circles: a page comes twice",
                ));
            }
            position = next;
        }
        Ok(results.finish(true))
    }

    /// Asks for one page, hands its records to their keys, and tells where the next page starts.
    async fn read_page(
        &self,
        op: &Operation,
        asked: Asked<'_>,
        items_max: usize,
        terms: &Terms,
        results: &mut Results<'_>,
    ) -> Result<Option<Position>, CallFailure> {
        let answer = self.ask(op, asked, terms).await?;
        let extra = answer.extra();
        let scope = answer.scope(&extra);
        let selected = select(op, &answer, &scope)?;
        let all = items(&selected);
        self.client
            .charge_resources(&op.plan.label, all.len(), &terms.bill);
        let taken = all.get(..items_max - results.found).unwrap_or(all);
        self.place(op, taken, &answer.body, results)?;
        results.found += taken.len();
        results.is_cut |= taken.len() < all.len();
        if let (Some(total), [_]) = (&op.plan.total, asked.keys) {
            results.total(count(total, &scope)?);
        }
        match &op.plan.page {
            Some(page) => page.next(asked.position, answer.seen(&scope, all.len(), asked.size)),
            None => Ok(None),
        }
    }

    /// Asks for one page of a list; `position` is what a former page gave as `next`.
    pub async fn page(
        &self,
        op: &Operation,
        position: Option<&str>,
        ask: &Ask,
        terms: impl Into<Terms>,
    ) -> Result<ListPage, CallFailure> {
        let terms = terms.into();
        let page = op.plan.page.as_ref();
        let most = page.map_or(SIZE_DEFAULT, |page| page.size);
        let size = if ask.size == 0 {
            most
        } else {
            ask.size.min(most)
        };
        let start = Position::start(page);
        let mut asked = Asked {
            keys: &[],
            ask,
            position: &start,
            size,
        };
        let at;
        if let Some(token) = position {
            let own = self.render(op, asked)?.url;
            at = Position::read(token, page, &own).ok_or_else(|| {
                CallFailure::new(FailureClass::Rejected, "the position is not of this list")
            })?;
            asked.position = &at;
        }
        let answer = self.ask(op, asked, &terms).await?;
        let extra = answer.extra();
        let scope = answer.scope(&extra);
        let selected = select(op, &answer, &scope)?;
        let all = items(&selected);
        self.client
            .charge_resources(&op.plan.label, all.len(), &terms.bill);
        let mut result = ListPage {
            latency: answer.latency,
            ..ListPage::default()
        };
        let map = self.map_of(op)?;
        for item in all {
            match map.map(item, &answer.body) {
                Ok(record) => result.records.push(Arc::new(record)),
                Err(error) => result.refused.push(refusal(&self.source, op, &error)),
            }
        }
        if let Some(total) = &op.plan.total {
            result.total = count(total, &scope)?;
        }
        if let Some(page) = page {
            let next = page.next(asked.position, answer.seen(&scope, all.len(), size))?;
            result.next = self.token(op, asked, next.as_ref())?;
        }
        Ok(result)
    }

    /// The token of the next page; an address that a token could not name again is refused now, not later.
    fn token(
        &self,
        op: &Operation,
        asked: Asked<'_>,
        next: Option<&Position>,
    ) -> Result<Option<String>, CallFailure> {
        if let Some(Position::Link(url)) = next {
            let first = Position::start(op.plan.page.as_ref());
            let own = self.render(
                op,
                Asked {
                    position: &first,
                    ..asked
                },
            )?;
            if !is_below(url, &own.url) {
                return Err(CallFailure::invalid(
                    "the next page's address is not at or below the list's own path",
                ));
            }
        }
        Ok(next.and_then(Position::token))
    }

    async fn ask(
        &self,
        op: &Operation,
        asked: Asked<'_>,
        terms: &Terms,
    ) -> Result<Answer, CallFailure> {
        let mut call = self.render(op, asked)?;
        call.inner = u32::try_from(asked.keys.len()).unwrap_or(u32::MAX).max(1);
        let url = call.url.clone();
        let again = op.plan.safe.then(|| call.clone());
        let reply = self.client.send(call, terms.clone()).await?;
        let mut was_told = reply.status == StatusCode::TOO_MANY_REQUESTS;
        // The status 401 was heeded already; that a session is over may stand in a body of any status.
        let is_new = reply.status != StatusCode::UNAUTHORIZED;
        let token = reply.token;
        let mut answer = self.read(op, reply, url.clone());
        let is_over = |answer: &Result<Answer, CallFailure>| matches!(answer, Err(failure) if failure.class == FailureClass::Unauthorized);
        if let Some(call) = again
            && is_new
            && is_over(&answer)
            && self.client.renew(token)
        {
            let reply = self.client.send(call, terms.clone()).await?;
            was_told = reply.status == StatusCode::TOO_MANY_REQUESTS;
            answer = self.read(op, reply, url);
        }
        // The status 429 speaks for itself; a code of the vendor's own is known here only.
        if let Err(failure) = &answer
            && failure.class == FailureClass::RateLimited
            && !was_told
        {
            let retry_after = failure.retry_after;
            self.client
                .report(Feedback::RateLimited { retry_after })
                .await;
        }
        answer
    }

    fn map_of(&self, op: &Operation) -> Result<&RecordMap, CallFailure> {
        self.maps.get(&op.entity).ok_or_else(|| {
            let detail = format!("`{}` is not an operation of this source", op.plan.label);
            CallFailure::new(FailureClass::Unsupported, detail)
        })
    }

    /// Maps the items of a page and hands them to their keys.
    fn place(
        &self,
        op: &Operation,
        items: &[Tree],
        root: &Tree,
        results: &mut Results<'_>,
    ) -> Result<(), CallFailure> {
        let map = self.map_of(op)?;
        if op.plan.by_position {
            if items.len() != results.keys.len() {
                return Err(CallFailure::invalid(format!(
                    "the reply has {} items for {} keys, which can't be told apart by place",
                    items.len(),
                    results.keys.len()
                )));
            }
            for (at, item) in items.iter().enumerate() {
                if !item.is_null() {
                    let mapped = map.map(item, root);
                    results.put(
                        &[at],
                        mapped.map_err(|error| refusal(&self.source, op, &error)),
                    );
                }
            }
            return Ok(());
        }
        for item in items.iter().filter(|item| !item.is_null()) {
            let scope = Scope {
                root: Some(root),
                ..Scope::of(item)
            };
            let owners = match owners(op, map, &scope, results.keys) {
                Ok(Some(owners)) => owners,
                Ok(None) => continue,
                Err(error) => {
                    results.refuse(refusal(&self.source, op, &error));
                    continue;
                }
            };
            let mapped = map.map(item, root);
            results.put(
                &owners,
                mapped.map_err(|error| refusal(&self.source, op, &error)),
            );
        }
        Ok(())
    }
}

/// What is found for each key.
struct Results<'k> {
    keys: &'k [Arc<str>],
    by_key: Vec<KeyResult>,
    /// How many items were read.
    found: usize,
    /// Whether items of a page were left out.
    is_cut: bool,
}

impl<'k> Results<'k> {
    fn new(keys: &'k [Arc<str>]) -> Self {
        Self {
            keys,
            by_key: keys.iter().map(|_| KeyResult::default()).collect(),
            found: 0,
            is_cut: false,
        }
    }

    /// The results; with more to come, any key may lack records.
    fn finish(self, has_more: bool) -> Vec<KeyResult> {
        let mut by_key = self.by_key;
        for result in &mut by_key {
            result.truncated = has_more || self.is_cut;
        }
        by_key
    }

    fn put(&mut self, owners: &[usize], mapped: Result<Record, Refusal>) {
        let mapped = mapped.map(Arc::new);
        for owner in owners {
            if let Some(result) = self.by_key.get_mut(*owner) {
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

    fn total(&mut self, total: Option<u64>) {
        if let Some(result) = self.by_key.first_mut() {
            result.total = total.or(result.total);
        }
    }
}

/// Whether a failure says that the one thing asked for is not there.
fn is_absence(keys: &[Arc<str>], failure: &CallFailure) -> bool {
    failure.class == FailureClass::NotFound && keys.len() == 1
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
    let places = |found: &[Arc<str>]| -> Vec<usize> {
        let is_found = |key: &Arc<str>| found.contains(key);
        let pairs = keys.iter().enumerate();
        pairs
            .filter(|(_, key)| is_found(key))
            .map(|(at, _)| at)
            .collect()
    };
    let wrong = |path: &str, reason: String| MapError {
        path: path.to_owned(),
        reason,
    };
    let (path, found) = match &op.plan.key {
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
    let owners = places(&found);
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

/// The records in a reply. A path that the reply does not have is a reply of another form, and never an empty list.
fn select<'a>(
    op: &Operation,
    answer: &'a Answer,
    scope: &Scope<'a>,
) -> Result<Cow<'a, Tree>, CallFailure> {
    let Some(path) = &op.plan.items else {
        return Ok(Cow::Borrowed(&answer.body));
    };
    let outcome = path
        .evaluate(scope)
        .map_err(|error| CallFailure::invalid(format!("reading `items`: {error}")))?;
    let is_soap = matches!(op.plan.call, CallPlan::Soap(_));
    if outcome.value.is_null() && !is_there(path, &answer.body, is_soap) {
        return Err(CallFailure::invalid(
            "the reply does not have the path of `items`",
        ));
    }
    match &*outcome.value {
        Tree::Text(text) if is_soap && text.trim().is_empty() => Ok(Cow::Owned(Tree::Null)),
        Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) => Err(CallFailure::invalid(
            "the reply has a single value at the path of `items`",
        )),
        Tree::Null | Tree::List(_) | Tree::Map(_) => Ok(outcome.value),
    }
}

/// Whether the reply says that there is nothing at a path, as against having no such path. XML leaves empty lists out, so
/// there only the reply's outermost element must be right.
fn is_there(path: &Expression, body: &Tree, is_soap: bool) -> bool {
    let Some(names) = path.reads().first() else {
        return true;
    };
    let mut names = names.iter().map(|name| &**name).peekable();
    if names.peek() == Some(&"body") && body.get("body").is_none() {
        names.next();
    }
    let mut at = body;
    let most = if is_soap { 1 } else { usize::MAX };
    for name in names.take(most) {
        match at {
            Tree::Map(_) => match at.get(name) {
                Some(member) => at = member,
                None => return false,
            },
            Tree::Null | Tree::List(_) => return true,
            Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) => return false,
        }
    }
    true
}
