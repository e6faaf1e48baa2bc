//! The client of one source: takes a call through its budget to the vendor and back.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use rust_decimal::Decimal;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;

use crate::cache::redis::RedisTier;
use crate::credential::CredentialError;
use crate::credential::place::Outgoing;
use crate::transport::breaker::{Breaker, Pass};
use crate::transport::budget::{Budget, Permit};
use crate::transport::charge::{Bill, Charge, Inside};
use crate::transport::failure::{BuildError, Failure};
use crate::transport::feedback::{Feedback, Word};
use crate::transport::health::{Health, Monitor};
use crate::transport::kit::{Kit, Rack};
use crate::transport::meter::Meter;
use crate::transport::retry::{RetryBudget, Surroundings, pause, retry_after};
use crate::transport::settings::{PriceSettings, SourceSettings};
use crate::transport::terms::Terms;
use crate::transport::token::{Held, Office, TokenStore};
use crate::transport::vault::Vault;
use crate::transport::wire::Request;
use crate::transport::{Call, Reply};

/// Sends the calls of one source; all its callers share it.
#[derive(Debug)]
pub struct SourceClient {
    settings: SourceSettings,
    surroundings: Surroundings,
    rack: Rack,
    vault: Arc<Vault>,
    budget: Budget,
    breaker: Breaker,
    retries: RetryBudget,
    monitor: Monitor,
    meter: Meter,
}

/// One attempt's outcome, with the token it used.
struct Attempt {
    outcome: Result<Reply, Failure>,
    token: Option<Held>,
    /// Whether the vendor may have seen it.
    was_sent: bool,
}

impl SourceClient {
    /// Builds a client; reads the files that `tls` names, and connects nowhere.
    pub fn new(settings: SourceSettings, surroundings: Surroundings) -> Result<Self, BuildError> {
        let name = || settings.source.to_string();
        let price = settings.price.as_ref().and_then(PriceSettings::problem);
        if let Some(problem) = settings.budget.problems().first().copied().or(price) {
            return Err(BuildError::Setting {
                name: name(),
                problem,
            });
        }
        let is_web = matches!(settings.url.scheme(), "http" | "https");
        if !is_web || !settings.url.username().is_empty() || settings.url.password().is_some() {
            let problem = "`url` must be an http or https address without user name and password";
            return Err(BuildError::Setting {
                name: name(),
                problem,
            });
        }
        let source = Arc::clone(&settings.source);
        Ok(Self {
            rack: Rack::new(&settings)?,
            vault: Arc::default(),
            budget: Budget::new(source, &settings.budget, surroundings.now),
            breaker: Breaker::new(Instant::now()),
            retries: RetryBudget::new(),
            monitor: Monitor::new((surroundings.now)()),
            meter: Meter::new(Arc::clone(&settings.source), settings.price.clone()),
            settings,
            surroundings,
        })
    }

    /// Counts the source's limits together with the other replicas of that Redis, and shares tokens with them; before the first
    /// call only.
    pub fn share_budget(&mut self, redis: Arc<RedisTier>) {
        let mut vault = Vault::default();
        vault.share(Arc::clone(&redis));
        self.vault = Arc::new(vault);
        self.budget.share(redis);
    }

    /// Whether the source's limits should be shared with replicas that can't be reached, so that only a share of them is used.
    pub fn is_budget_apart(&self) -> bool {
        self.budget.is_apart()
    }

    /// Sends a call, again when it may be repeated and is worth it, and returns the last outcome before the deadline.
    pub async fn send(&self, call: Call, terms: impl Into<Terms>) -> Result<Reply, Failure> {
        let terms = terms.into();
        let origin = call.url.origin();
        let is_there = || {
            self.rack
                .current(&self.settings)
                .tokens
                .is_moved_to(&call.url)
        };
        let is_ours = (origin == self.settings.url.origin() || is_there())
            && call.url.username().is_empty()
            && call.url.password().is_none();
        if !is_ours {
            self.meter.refuse(&call.operation);
            return Err(Failure::ForeignOrigin);
        }
        self.retries.deposit();
        let mut attempt = 1;
        let mut repeats = 0;
        let mut has_renewed = false;
        // An answer to a write that was lost; only an answer that settles the matter makes up for it.
        let mut lost = None;
        loop {
            let kit = self.rack.current(&self.settings);
            let Attempt {
                outcome,
                token,
                was_sent,
            } = self.attempt(&kit, &call, attempt, &terms).await;
            if let (Ok(reply), Some(token)) = (&outcome, token)
                && reply.status == StatusCode::UNAUTHORIZED
            {
                kit.tokens.drop_number(token.number);
                if call.may_repeat() && !has_renewed {
                    has_renewed = true;
                    attempt += 1;
                    continue;
                }
            }
            let wait = pause(&outcome, &call, repeats + 1, self.surroundings);
            let wait = wait.filter(|_| repeats < self.settings.budget.retries);
            let fits = |wait| Instant::now().checked_add(wait) < Some(terms.deadline);
            let wait = wait.filter(|wait| fits(*wait) && self.retries.withdraw());
            let outcome = match outcome {
                Err(failure) if !call.safe && was_sent && failure.loses_answer() => {
                    lost = Some(failure);
                    None
                }
                outcome => Some(outcome),
            };
            let Some(wait) = wait else {
                return conclude(outcome, lost);
            };
            sleep(wait).await;
            attempt += 1;
            repeats += 1;
        }
    }

    /// Drops the token that a reply was got with, which the vendor says is no good, and tells whether a new one can be had.
    pub fn renew(&self, reply_token: Option<u64>) -> bool {
        let Some(number) = reply_token else {
            return false;
        };
        self.rack.current(&self.settings).tokens.drop_number(number);
        true
    }

    /// Takes in what the connector found in a reply: the vendor's own code for too many calls.
    pub async fn report(&self, feedback: Feedback) {
        match feedback {
            Feedback::RateLimited { retry_after: None } => self.budget.strike(),
            Feedback::QuotaExhausted { retry_after: None } => self.budget.spend_day().await,
            Feedback::RateLimited {
                retry_after: Some(wait),
            }
            | Feedback::QuotaExhausted {
                retry_after: Some(wait),
            } => self.budget.hold(wait).await,
        }
    }

    /// Takes one of the source's repetitions, when there is one left, for a call that the connector wants to send again.
    pub fn take_repetition(&self) -> bool {
        self.settings.budget.retries > 0 && self.retries.withdraw()
    }

    /// Charges for the records that a reply brought, when the vendor does.
    pub fn charge_resources(&self, operation: &Arc<str>, count: usize, bill: &Bill) {
        self.meter.charge_resources(operation, count, bill);
    }

    /// What calls that were not made would have cost.
    pub fn worth(&self, operation: &Arc<str>, calls: u64, inside: Inside) -> Charge {
        self.meter.worth(operation, calls, inside)
    }

    /// All that was charged since the start, by operation.
    pub fn charges(&self) -> Vec<Charge> {
        self.meter.charges()
    }

    /// How the source fares.
    pub fn health(&self) -> Health {
        self.monitor.read()
    }

    /// What the calls so far cost, in the currency of the source's price.
    pub fn spent(&self) -> Decimal {
        self.meter.spent()
    }

    /// Waits for a token and for the budget, then sends once.
    async fn attempt(&self, kit: &Arc<Kit>, call: &Call, number: u32, terms: &Terms) -> Attempt {
        let prepared = self.prepare(kit, call, terms).await;
        let prepared = prepared.and_then(|(permit, token, pass)| {
            let request = self.request(kit, call, token.as_ref())?;
            Ok((permit, token, pass, request))
        });
        let (mut permit, token, pass, request) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => {
                self.meter.refuse(&call.operation);
                let outcome = Err(failure);
                let wall = (self.surroundings.now)();
                self.monitor.record(&outcome, self.breaker.is_open(), wall);
                return Attempt {
                    outcome,
                    token: None,
                    was_sent: false,
                };
            }
        };
        let span = tracing::info_span!(
            "vendor_call",
            source.name = %self.settings.source,
            operation.name = %call.operation,
            attempt = number,
            http.status = tracing::field::Empty,
            reply.bytes = tracing::field::Empty,
            error = tracing::field::Empty,
        );
        let running = self.meter.start(number, call, &terms.bill);
        let started = Instant::now();
        permit.leave();
        let outcome = self
            .exchange((kit, request), &call.operation, terms.deadline, &mut permit)
            .instrument(span.clone())
            .await;
        drop(running);
        self.meter
            .finish(&call.operation, &outcome, started.elapsed().as_secs_f64());
        let outcome = outcome.map(|reply| Reply {
            attempts: number,
            token: token.as_ref().map(|held| held.number),
            ..reply
        });
        note(&span, &outcome);
        if let Ok(reply) = &outcome {
            let operation = &call.operation;
            self.meter.charge_points(operation, reply, &terms.bill);
        }
        self.judge(&outcome, &call.operation, started, pass);
        self.listen(&outcome).await;
        Attempt {
            outcome,
            token,
            was_sent: true,
        }
    }

    /// All that a call needs before it leaves.
    async fn prepare(
        &self,
        kit: &Arc<Kit>,
        call: &Call,
        terms: &Terms,
    ) -> Result<(Permit, Option<Held>, Pass<'_>), Failure> {
        if let Some(retry_after) = self.breaker.rest(Instant::now()) {
            return Err(Failure::CircuitOpen { retry_after });
        }
        let token = self.token(kit, terms.deadline).await?;
        let queued = Instant::now();
        let permit = self.budget.enter(&call.operation, terms).await;
        self.meter
            .waited(&call.operation, queued.elapsed().as_secs_f64());
        let permit = permit?;
        match self.breaker.try_pass(Instant::now()) {
            Ok(pass) => Ok((permit, token, pass)),
            Err(retry_after) => Err(Failure::CircuitOpen { retry_after }),
        }
    }

    /// The current token, when the credential needs one.
    async fn token(&self, kit: &Arc<Kit>, deadline: Instant) -> Result<Option<Held>, Failure> {
        let office = Office {
            vault: Arc::clone(&self.vault),
            surroundings: self.surroundings,
            timeout: self.settings.budget.timeout.0,
        };
        let limit = deadline.min(Instant::now() + self.settings.budget.timeout.0);
        match timeout_at(limit, TokenStore::get(kit, &office)).await {
            Ok(Ok(held)) => Ok(held),
            Ok(Err(cause)) => Err(Failure::CredentialUnavailable { cause }),
            Err(_) if limit == deadline => Err(Failure::DeadlineExceeded),
            Err(_) => Err(Failure::CredentialUnavailable {
                cause: CredentialError::Unreachable,
            }),
        }
    }

    /// The call with its credential; what the credential sets wins over the call's own headers.
    fn request(&self, kit: &Kit, call: &Call, token: Option<&Held>) -> Result<Request, Failure> {
        let mut headers = HeaderMap::new();
        for (name, value) in &call.headers {
            headers.append(name.clone(), value.clone());
        }
        if let Some((name, key)) = &call.idempotency {
            headers.insert(name.clone(), key.clone());
        }
        let moved = token.and_then(|held| held.token.moved.as_ref());
        let moved = moved.filter(|moved| !moved.is_origin_of(&call.url));
        let mut url = match moved {
            Some(moved) => moved.apply(&call.url, &self.settings.url),
            None => call.url.clone(),
        };
        let mut body = call.body.clone();
        let mut outgoing = Outgoing {
            method: &call.method,
            url: &mut url,
            headers: &mut headers,
            body: &mut body,
            block_at: call.block_at,
        };
        let token = token.map(|held| &held.token);
        kit.credential
            .apply(token, &self.surroundings.moment(), &mut outgoing)
            .map_err(|cause| Failure::CredentialUnavailable { cause })?;
        Ok(Request {
            method: call.method.clone(),
            url,
            headers,
            body,
        })
    }

    /// Sends the request and reads all of the reply, within the source's times and the deadline.
    async fn exchange(
        &self,
        (kit, request): (&Kit, Request),
        operation: &str,
        deadline: Instant,
        permit: &mut Permit,
    ) -> Result<Reply, Failure> {
        let started = Instant::now();
        let budget = &self.settings.budget;
        let limit = started + budget.timeout_of(operation);
        let first_byte = budget.first_byte.map_or(limit, |span| started + span.0);
        let too_late = |limit: Instant| match limit < deadline {
            true => Failure::Timeout,
            false => Failure::DeadlineExceeded,
        };
        let begun_by = first_byte.min(limit);
        let begun = timeout_at(begun_by.min(deadline), kit.wire.begin(request)).await;
        let begun = begun.map_err(|_| too_late(begun_by))?;
        permit.arrived();
        let reading = begun?.read(budget.body.bytes());
        let response = timeout_at(limit.min(deadline), reading).await;
        let response = response.map_err(|_| too_late(limit))??;
        Ok(Reply {
            status: response.status,
            headers: response.headers,
            body: response.body,
            latency: started.elapsed(),
            attempts: 1,
            token: None,
        })
    }

    /// Tells the breaker and the health what came of an attempt. A caller who hangs up never comes here.
    fn judge(
        &self,
        outcome: &Result<Reply, Failure>,
        operation: &str,
        started: Instant,
        pass: Pass<'_>,
    ) {
        let now = Instant::now();
        match outcome {
            Ok(reply) => {
                let status = reply.status;
                let is_refused = status == StatusCode::TOO_MANY_REQUESTS;
                pass.settle(is_refused || status.is_server_error(), now);
            }
            Err(Failure::DeadlineExceeded) => {
                // A short deadline is the caller's doing, unless the source had at least half of its own time.
                if now - started >= self.settings.budget.timeout_of(operation) / 2 {
                    pass.settle(true, now);
                }
            }
            Err(_) => pass.settle(true, now),
        }
        let wall = (self.surroundings.now)();
        self.monitor.record(outcome, self.breaker.is_open(), wall);
    }

    /// Hears what a reply tells of the vendor's limits.
    async fn listen(&self, outcome: &Result<Reply, Failure>) {
        let Ok(reply) = outcome else {
            return;
        };
        let wall = (self.surroundings.now)();
        for (kind, settings) in self.settings.budget.feedback.iter().enumerate() {
            let Some(word) = settings.read(&reply.headers, &reply.body, wall) else {
                continue;
            };
            if let Word::Left { calls, fresh_in } = word {
                let fresh_in = chrono::TimeDelta::from_std(fresh_in).ok();
                let reset_at = fresh_in.and_then(|wait| wall.checked_add_signed(wait));
                self.monitor.limits(calls, reset_at);
            }
            self.budget.hear(kind, word);
        }
        let is_refused = reply.status == StatusCode::TOO_MANY_REQUESTS;
        let is_away = reply.status == StatusCode::SERVICE_UNAVAILABLE;
        match retry_after(&reply.headers, wall).filter(|_| is_refused || is_away) {
            Some(wait) => self.budget.hold(wait).await,
            None if is_refused => self.budget.strike(),
            None if reply.status.is_success() => self.budget.pardon(),
            None => {}
        }
    }
}

/// The outcome of a call. When the answer to a write was lost, only one that settles the matter counts.
fn conclude(
    outcome: Option<Result<Reply, Failure>>,
    lost: Option<Failure>,
) -> Result<Reply, Failure> {
    let unsettled =
        |status: StatusCode| status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    match (outcome, lost) {
        (Some(Ok(reply)), Some(lost)) if unsettled(reply.status) => {
            Err(Failure::Indeterminate(Box::new(lost)))
        }
        (Some(Ok(reply)), _) => Ok(reply),
        (_, Some(lost)) => Err(Failure::Indeterminate(Box::new(lost))),
        (Some(Err(failure)), None) => Err(failure),
        // Every attempt has an outcome.
        (None, None) => Err(Failure::DeadlineExceeded),
    }
}

/// Puts an attempt's outcome on its span; addresses and content stay out.
fn note(span: &tracing::Span, outcome: &Result<Reply, Failure>) {
    match outcome {
        Ok(reply) => {
            span.record("http.status", reply.status.as_u16());
            span.record("reply.bytes", reply.body.len());
        }
        Err(failure) => {
            span.record("error", tracing::field::display(failure));
        }
    }
}
