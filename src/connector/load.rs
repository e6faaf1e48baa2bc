//! Asks a source: calls, pages, maps, and hands every record to the key it belongs to.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, sleep};

use crate::connector::align::{Item, Results};
use crate::connector::failure::{CallFailure, FailureClass, Remedy};
use crate::connector::language::expression::{Expression, Scope};
use crate::connector::map::{RecordMap, items};
use crate::connector::operation::{CallPlan, Operation};
use crate::connector::page::{Next, Position, count, is_below};
use crate::connector::render::Asked;
use crate::connector::reply::{Answer, refusal};
use crate::connector::{Ask, Connector, KeyResult, ListPage};
use crate::protocol::tree::Tree;
use crate::transport::feedback::Feedback;
use crate::transport::terms::Terms;

/// How many pages are read when an operation says nothing of paging.
const SIZE_DEFAULT: usize = 100;
/// The longest pause before a call is repeated whose failure passes and names no time.
const TRANSIENT_PAUSE_MAX: Duration = Duration::from_millis(200);

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
                Err(failure) if is_absence(keys, &failure) => Next::Last,
                Err(failure) => return Err(failure),
            };
            let next = match next {
                Next::Page(next) => next,
                Next::Last => return Ok(self.finish(op, results, false)),
                Next::Circle => break,
            };
            if results.found >= items_max {
                break;
            }
            if !visited.insert(next.token()) {
                self.tell_circle(op);
                break;
            }
            position = next;
        }
        Ok(self.finish(op, results, true))
    }

    /// The results; with more to come, any key may lack records.
    fn finish(&self, op: &Operation, results: Results<'_>, has_more: bool) -> Vec<KeyResult> {
        let (refused, notes) = results.faults();
        self.tell(op, &refused, &notes);
        results.finish(has_more)
    }

    /// What was read stands, and is said to be cut off.
    fn tell_circle(&self, op: &Operation) {
        tracing::warn!(
            source.key = %self.source,
            operation.name = %op.plan.label,
            "the source's paging goes in circles: a page comes twice"
        );
    }

    /// Asks for one page, hands its records to their keys, and tells where the next page starts.
    async fn read_page(
        &self,
        op: &Operation,
        asked: Asked<'_>,
        items_max: usize,
        terms: &Terms,
        results: &mut Results<'_>,
    ) -> Result<Next, CallFailure> {
        let answer = self.ask(op, asked, terms).await?;
        let extra = answer.extra();
        let scope = answer.scope(&extra);
        let selected = select(op, &answer, &scope)?;
        let all = items(&selected);
        self.client
            .charge_resources(&op.plan.label, all.len(), &terms.bill);
        let taken = all.get(..items_max - results.found).unwrap_or(all);
        if asked.position.is_repeated_by(all) {
            return Ok(Next::Last);
        }
        self.place(op, taken, &answer, results)?;
        let limited = results
            .failures()
            .find(|one| one.class == FailureClass::RateLimited);
        if let Some(limited) = limited.cloned() {
            self.heed(&limited).await;
        }
        results.found += taken.len();
        results.is_cut |= taken.len() < all.len();
        if let (Some(total), [_]) = (&op.plan.total, asked.keys) {
            results.total(count(total, &scope)?);
        }
        match &op.plan.page {
            Some(page) => {
                let next = page.next(asked.position, answer.seen(&scope, all, asked.size))?;
                if next == Next::Circle {
                    self.tell_circle(op);
                }
                Ok(next)
            }
            None => Ok(Next::Last),
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
        if asked.position.is_repeated_by(all) {
            return Ok(result);
        }
        self.fill(op, all, &answer, &mut result)?;
        self.tell(op, &result.refused, &result.notes);
        if let Some(total) = &op.plan.total {
            result.total = count(total, &scope)?;
        }
        if let Some(page) = page {
            let next = page.next(asked.position, answer.seen(&scope, all, size))?;
            self.lead_on(op, asked, next, &mut result)?;
        }
        Ok(result)
    }

    /// Says in a page of a list where the next one starts.
    fn lead_on(
        &self,
        op: &Operation,
        asked: Asked<'_>,
        next: Next,
        page: &mut ListPage,
    ) -> Result<(), CallFailure> {
        match next {
            Next::Page(next) => page.next = self.token(op, asked, &next)?,
            Next::Last => {}
            Next::Circle => {
                self.tell_circle(op);
                page.truncated = true;
            }
        }
        Ok(())
    }

    /// Maps the items of a page of a list.
    fn fill(
        &self,
        op: &Operation,
        items: &[Tree],
        answer: &Answer,
        page: &mut ListPage,
    ) -> Result<(), CallFailure> {
        let map = self.map_of(op)?;
        for item in items {
            let record = match self.item(op, item, &answer.body)? {
                Item::Record(record) => record,
                Item::Failed(failure) => {
                    page.refused.extend(self.refused_item(op, &failure));
                    continue;
                }
            };
            let mut notes = Vec::new();
            match map.map(&record, &answer.body, &mut notes) {
                Ok(record) => page.records.push(Arc::new(record)),
                Err(error) => page.refused.push(refusal(&self.source, op, &error)),
            }
            page.notes.extend(self.notes(op, notes));
        }
        for (_, failure) in self.failures_beside(op, answer)? {
            page.refused.extend(self.refused_item(op, &failure));
        }
        Ok(())
    }

    /// The token of the next page; an address that a token could not name again is refused now, not later.
    fn token(
        &self,
        op: &Operation,
        asked: Asked<'_>,
        next: &Position,
    ) -> Result<Option<String>, CallFailure> {
        if let Position::Link(url) = next {
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
        Ok(next.token())
    }

    async fn ask(
        &self,
        op: &Operation,
        asked: Asked<'_>,
        terms: &Terms,
    ) -> Result<Answer, CallFailure> {
        let mut call = self.render(op, asked)?;
        call.inner = u32::try_from(asked.keys.len()).unwrap_or(u32::MAX).max(1);
        let mut has_renewed = false;
        let mut may_repeat = call.safe;
        loop {
            let url = call.url.clone();
            let reply = self.client.send(call.clone(), terms.clone()).await?;
            let status = reply.status;
            let was_told = status == StatusCode::TOO_MANY_REQUESTS;
            let token = reply.token;
            let failure = match self.read(op, reply, url) {
                Err(failure) => failure,
                answer => return answer,
            };
            // The statuses 401 and 429 speak for themselves; a code of the vendor's own is known here only.
            if failure.remedy == Remedy::Renew
                && self.client.renew(token)
                && call.safe
                && !has_renewed
            {
                has_renewed = true;
                continue;
            }
            // A status that means another try had its tries below; a code in an answer of any other is known here only.
            if failure.remedy == Remedy::Repeat && !is_repeated_below(status) {
                let wait = self.pause(&failure);
                let fits = Instant::now() + wait < terms.deadline;
                if !fits || !may_repeat || !self.client.take_repetition() {
                    return Err(failure);
                }
                sleep(wait).await;
                may_repeat = false;
                continue;
            }
            if was_told || failure.class != FailureClass::RateLimited {
                return Err(failure);
            }
            self.heed(&failure).await;
            if !may_repeat || !self.client.take_repetition() {
                return Err(failure);
            }
            may_repeat = false;
        }
    }

    /// How long to leave the source alone after a failure that passes: as it says, else a moment.
    fn pause(&self, failure: &CallFailure) -> Duration {
        let random = || (self.surroundings.jitter)(TRANSIENT_PAUSE_MAX);
        failure.retry_after.unwrap_or_else(random)
    }

    /// Lets the source's budget know what a failure says of it.
    async fn heed(&self, failure: &CallFailure) {
        let retry_after = failure.retry_after;
        let feedback = match (failure.class, failure.remedy) {
            (FailureClass::RateLimited, Remedy::AwaitQuota) => {
                Feedback::QuotaExhausted { retry_after }
            }
            (FailureClass::RateLimited, _) => Feedback::RateLimited { retry_after },
            _ => return,
        };
        self.client.report(feedback).await;
    }

    pub(crate) fn map_of(&self, op: &Operation) -> Result<&RecordMap, CallFailure> {
        self.maps.get(&op.entity).ok_or_else(|| {
            let detail = format!("`{}` is not an operation of this source", op.plan.label);
            CallFailure::new(FailureClass::Unsupported, detail)
        })
    }
}

/// Whether the transport repeats a safe call after that status.
fn is_repeated_below(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Whether a failure says that the one thing asked for is not there.
fn is_absence(keys: &[Arc<str>], failure: &CallFailure) -> bool {
    failure.class == FailureClass::NotFound && keys.len() == 1
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
