//! The client of one source: takes a call through its budget to the vendor and back.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use rust_decimal::Decimal;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::Instrument;

use crate::credential::{Credential, CredentialError, CredentialSettings};
use crate::transport::breaker::{Breaker, Pass};
use crate::transport::failure::{BuildError, Failure};
use crate::transport::gate::Gate;
use crate::transport::health::{Health, Monitor};
use crate::transport::meter::Meter;
use crate::transport::pace::Pace;
use crate::transport::retry::{RetryBudget, Surroundings, pause, retry_after};
use crate::transport::settings::SourceSettings;
use crate::transport::token::{Held, TokenStore};
use crate::transport::wire::{Request, Wire};
use crate::transport::{Call, Reply};

/// Sends the calls of one source; all its callers share it.
#[derive(Debug)]
pub struct SourceClient {
    settings: SourceSettings,
    surroundings: Surroundings,
    wire: Wire,
    credential: Credential,
    tokens: TokenStore,
    gate: Gate,
    pace: Pace,
    breaker: Breaker,
    retries: RetryBudget,
    monitor: Monitor,
    meter: Meter,
}

/// One attempt's outcome, with the token it used.
struct Attempt {
    outcome: Result<Reply, Failure>,
    token: Option<Held>,
}

impl SourceSettings {
    /// Whether neither the vendor nor its token endpoint is reached by https.
    pub(crate) fn needs_no_tls(&self) -> bool {
        let asks_by_tls = match &self.credential {
            CredentialSettings::Oauth2ClientCredentials(oauth) => {
                let scheme = oauth.token_url.split(':').next();
                !scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"))
            }
            CredentialSettings::None {}
            | CredentialSettings::Header(_)
            | CredentialSettings::Query(_)
            | CredentialSettings::Basic(_) => false,
        };
        self.url.scheme() == "http" && !asks_by_tls
    }
}

impl SourceClient {
    /// Builds a client; reads the files that `tls` names, and connects nowhere.
    pub fn new(settings: SourceSettings, surroundings: Surroundings) -> Result<Self, BuildError> {
        let name = || settings.source.to_string();
        if let Some(problem) = settings.budget.problems().first() {
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
        let credential =
            Credential::new(&settings.credential).map_err(|cause| BuildError::Credential {
                name: name(),
                cause,
            })?;
        let budget = &settings.budget;
        Ok(Self {
            wire: Wire::new(&settings)?,
            credential,
            tokens: TokenStore::new(),
            gate: Gate::new(budget.concurrency, budget.queue),
            pace: Pace::new(budget.rate),
            breaker: Breaker::new(Instant::now()),
            retries: RetryBudget::new(),
            monitor: Monitor::new((surroundings.now)()),
            meter: Meter::new(Arc::clone(&settings.source), settings.price.clone()),
            settings,
            surroundings,
        })
    }

    /// Sends a call, again when it is safe and worth it, and returns the last outcome before the deadline.
    pub async fn send(&self, call: Call, deadline: Instant) -> Result<Reply, Failure> {
        let is_ours = call.url.origin() == self.settings.url.origin()
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
        loop {
            let Attempt { outcome, token } = self.attempt(&call, attempt, deadline).await;
            if let (Ok(reply), Some(token)) = (&outcome, token)
                && reply.status == StatusCode::UNAUTHORIZED
            {
                self.tokens.drop_refused(&token);
                if call.safe && !has_renewed {
                    has_renewed = true;
                    attempt += 1;
                    continue;
                }
            }
            let pause = pause(&outcome, repeats + 1, self.surroundings);
            let Some(pause) = pause.filter(|_| call.safe && repeats < self.settings.budget.retries)
            else {
                return outcome;
            };
            let fits = Instant::now()
                .checked_add(pause)
                .is_some_and(|at| at < deadline);
            if !fits || !self.retries.withdraw() {
                return outcome;
            }
            sleep(pause).await;
            attempt += 1;
            repeats += 1;
        }
    }

    /// How the source fares.
    pub fn health(&self) -> Health {
        self.monitor.read()
    }

    /// What the requests sent so far cost, in the currency of the source's price.
    pub fn spent(&self) -> Decimal {
        self.meter.spent()
    }

    /// Waits for a place, a token and the rate, then sends once.
    async fn attempt(&self, call: &Call, number: u32, deadline: Instant) -> Attempt {
        let refused = |failure: Failure| {
            self.meter.refuse(&call.operation);
            let outcome = Err(failure);
            self.monitor
                .record(&outcome, self.breaker.is_open(), (self.surroundings.now)());
            Attempt {
                outcome,
                token: None,
            }
        };
        if let Some(retry_after) = self.breaker.rest(Instant::now()) {
            return refused(Failure::CircuitOpen { retry_after });
        }
        let _place = match self.gate.enter(deadline).await {
            Ok(place) => place,
            Err(failure) => return refused(failure),
        };
        let token = match self.token(deadline).await {
            Ok(token) => token,
            Err(failure) => return refused(failure),
        };
        let departure = match self.pace.reserve(Instant::now(), deadline) {
            Ok(departure) => departure,
            Err(retry_after) => return refused(Failure::RateLimited { retry_after }),
        };
        sleep_until(departure).await;
        let pass = match self.breaker.try_pass(Instant::now()) {
            Ok(pass) => pass,
            Err(retry_after) => return refused(Failure::CircuitOpen { retry_after }),
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
        let request = self.request(call, token.as_ref());
        let running = self.meter.start(number, &call.operation);
        let started = Instant::now();
        let outcome = self
            .exchange(request, deadline)
            .instrument(span.clone())
            .await;
        drop(running);
        self.meter
            .finish(&call.operation, &outcome, started.elapsed().as_secs_f64());
        let outcome = outcome.map(|reply| Reply {
            attempts: number,
            ..reply
        });
        note(&span, &outcome);
        self.judge(&outcome, started, pass);
        Attempt { outcome, token }
    }

    /// The current token, when the credential needs one.
    async fn token(&self, deadline: Instant) -> Result<Option<Held>, Failure> {
        let Credential::Oauth2ClientCredentials(client) = &self.credential else {
            return Ok(None);
        };
        let limit = deadline.min(Instant::now() + self.settings.budget.timeout.0);
        match timeout_at(limit, self.tokens.get(client, &self.wire)).await {
            Ok(Ok(held)) => Ok(Some(held)),
            Ok(Err(cause)) => Err(Failure::CredentialUnavailable { cause }),
            Err(_) if limit == deadline => Err(Failure::DeadlineExceeded),
            Err(_) => Err(Failure::CredentialUnavailable {
                cause: CredentialError::Unreachable,
            }),
        }
    }

    /// The call with its credential; what the credential sets wins over the call's own headers.
    fn request(&self, call: &Call, token: Option<&Held>) -> Request {
        let mut headers = HeaderMap::new();
        for (name, value) in &call.headers {
            headers.append(name.clone(), value.clone());
        }
        let mut url = call.url.clone();
        self.credential
            .apply(token.map(|held| &held.token), &mut url, &mut headers);
        Request {
            method: call.method.clone(),
            url,
            headers,
            body: call.body.clone(),
        }
    }

    /// Sends the request and reads all of the reply, within the source's timeout and the deadline.
    async fn exchange(&self, request: Request, deadline: Instant) -> Result<Reply, Failure> {
        let started = Instant::now();
        let limit = deadline.min(started + self.settings.budget.timeout.0);
        match timeout_at(
            limit,
            self.wire.send(request, self.settings.budget.body.bytes()),
        )
        .await
        {
            Ok(Ok(response)) => Ok(Reply {
                status: response.status,
                headers: response.headers,
                body: response.body,
                latency: started.elapsed(),
                attempts: 1,
            }),
            Ok(Err(failure)) => Err(failure),
            Err(_) if limit == deadline => Err(Failure::DeadlineExceeded),
            Err(_) => Err(Failure::Timeout),
        }
    }

    /// Tells the breaker, the pace and the health what came of an attempt.
    fn judge(&self, outcome: &Result<Reply, Failure>, started: Instant, pass: Pass<'_>) {
        let now = Instant::now();
        let wall = (self.surroundings.now)();
        match outcome {
            Ok(reply) => {
                pass.settle(reply.status.is_server_error(), now);
                if reply.status == StatusCode::TOO_MANY_REQUESTS
                    && let Some(wait) = retry_after(&reply.headers, wall)
                {
                    self.pace.hold(now, wait);
                }
            }
            Err(Failure::DeadlineExceeded) => {
                // A short deadline is the caller's doing, unless the source had at least half of its own time.
                if now - started >= self.settings.budget.timeout.0 / 2 {
                    pass.settle(true, now);
                }
            }
            Err(_) => pass.settle(true, now),
        }
        self.monitor.record(outcome, self.breaker.is_open(), wall);
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
