//! How a source fares, as its last calls tell.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode};

use crate::transport::Reply;
use crate::transport::failure::Failure;

/// How a source fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The summary.
    pub state: HealthState,
    /// Since when the summary holds.
    pub since: DateTime<Utc>,
    /// When a call last succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
    /// How and when a call last failed.
    pub last_failure: Option<(FailureClass, DateTime<Utc>)>,
    /// How many calls the vendor says are left.
    pub rate_limit_remaining: Option<u64>,
    /// When the vendor says its limit starts afresh.
    pub rate_limit_reset_at: Option<DateTime<Utc>>,
}

/// A source's summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HealthState {
    /// The last call succeeded, or none was made yet.
    Healthy,
    /// The last call failed, and the source is still asked.
    Degraded,
    /// The source failed so often that it is left alone.
    Down,
    /// The source refuses our credential.
    Unauthorized,
}

/// What kind of failure a call met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// No answer in time.
    Timeout,
    /// No connection, or one that broke.
    Unreachable,
    /// A status of 500 or above.
    ServerError,
    /// A status of 429.
    RateLimited,
    /// A status of 401, or a refusal by the token endpoint.
    Unauthorized,
    /// A reply beyond its bounds or not HTTP.
    InvalidReply,
}

/// Keeps the health up to date.
#[derive(Debug)]
pub(crate) struct Monitor {
    health: Mutex<Health>,
}

impl Monitor {
    /// Makes one that knows of no call yet.
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        let health = Health {
            state: HealthState::Healthy,
            since: now,
            last_success_at: None,
            last_failure: None,
            rate_limit_remaining: None,
            rate_limit_reset_at: None,
        };
        Self {
            health: Mutex::new(health),
        }
    }

    /// The health as it is.
    pub(crate) fn read(&self) -> Health {
        self.health
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes in how many calls are left and when they start afresh, where the connector file says how to read it.
    pub(crate) fn limits(&self, remaining: u64, reset_at: Option<DateTime<Utc>>) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.rate_limit_remaining = Some(remaining);
        health.rate_limit_reset_at = reset_at.or(health.rate_limit_reset_at);
    }

    /// Takes an attempt's outcome in.
    pub(crate) fn record(
        &self,
        outcome: &Result<Reply, Failure>,
        is_open: bool,
        now: DateTime<Utc>,
    ) {
        let class = match outcome {
            Ok(reply) => class_of(reply.status),
            Err(failure) => match failure_class(failure) {
                Some(class) => Some(class),
                None => return,
            },
        };
        let state = match class {
            Some(FailureClass::Unauthorized) => HealthState::Unauthorized,
            _ if is_open => HealthState::Down,
            Some(_) => HealthState::Degraded,
            None => HealthState::Healthy,
        };
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        match class {
            Some(class) => health.last_failure = Some((class, now)),
            None => health.last_success_at = Some(now),
        }
        if let Ok(reply) = outcome {
            read_limits(&mut health, &reply.headers, now);
        }
        // A refused credential stays the news until a call succeeds.
        let stays = health.state == HealthState::Unauthorized && state != HealthState::Healthy;
        if health.state != state && !stays {
            health.state = state;
            health.since = now;
        }
    }
}

/// The class of a failing status. Other refusals of ours (400, 403, 404) say nothing against the source.
fn class_of(status: StatusCode) -> Option<FailureClass> {
    match status {
        StatusCode::UNAUTHORIZED => Some(FailureClass::Unauthorized),
        StatusCode::TOO_MANY_REQUESTS => Some(FailureClass::RateLimited),
        status if status.is_server_error() => Some(FailureClass::ServerError),
        _ => None,
    }
}

/// The class of a failure that is the source's; refusals of our own are none.
fn failure_class(failure: &Failure) -> Option<FailureClass> {
    match failure {
        Failure::Timeout => Some(FailureClass::Timeout),
        Failure::ConnectFailed(_) | Failure::Interrupted(_) => Some(FailureClass::Unreachable),
        Failure::Tls { problem, .. } if problem.is_ours() => Some(FailureClass::Unauthorized),
        Failure::Tls { .. } => Some(FailureClass::Unreachable),
        Failure::TooLarge { .. } | Failure::Malformed(_) => Some(FailureClass::InvalidReply),
        Failure::CredentialUnavailable { cause } if cause.is_refusal() => {
            Some(FailureClass::Unauthorized)
        }
        Failure::CredentialUnavailable { .. } => Some(FailureClass::Unreachable),
        Failure::Indeterminate(cause) => failure_class(cause),
        Failure::CircuitOpen { .. }
        | Failure::Overloaded
        | Failure::RateLimited { .. }
        | Failure::DeadlineExceeded
        | Failure::ForeignOrigin => None,
    }
}

/// Reads what the headers tell of the vendor's limit; a reset is seconds from now, or seconds since 1970 when large.
fn read_limits(health: &mut Health, headers: &HeaderMap, now: DateTime<Utc>) {
    let number = |names: [&str; 3]| {
        let text = names
            .iter()
            .find_map(|name| headers.get(*name))?
            .to_str()
            .ok()?;
        text.trim().parse::<u64>().ok()
    };
    let remaining = number([
        "ratelimit-remaining",
        "x-ratelimit-remaining",
        "x-rate-limit-remaining",
    ]);
    if remaining.is_some() {
        health.rate_limit_remaining = remaining;
    }
    let reset = number(["ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset"]);
    let reset_at = reset.and_then(|seconds| {
        let seconds = i64::try_from(seconds).ok()?;
        if seconds > 1_000_000_000 {
            return DateTime::from_timestamp(seconds, 0);
        }
        now.checked_add_signed(chrono::TimeDelta::try_seconds(seconds)?)
    });
    let asked = || {
        let wait = crate::transport::retry::retry_after(headers, now)
            .filter(|wait| *wait > Duration::ZERO)?;
        now.checked_add_signed(chrono::TimeDelta::from_std(wait).ok()?)
    };
    if let Some(at) = reset_at.or_else(asked) {
        health.rate_limit_reset_at = Some(at);
    }
}
