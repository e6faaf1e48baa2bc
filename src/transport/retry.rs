//! Whether, when and how often a call is sent again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode, header};

use crate::credential::Moment;
use crate::transport::failure::Failure;
use crate::transport::{Call, Reply};

/// The pause before the first repetition at most; each further one may be twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(50);

/// What the surroundings supply, so that tests choose it.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings {
    /// The wall clock, for what is shown to people and for dates in headers.
    pub now: fn() -> DateTime<Utc>,
    /// A random length between nothing and the given one.
    pub jitter: fn(Duration) -> Duration,
}

impl Surroundings {
    /// The real clock and real randomness.
    pub fn real() -> Self {
        Self {
            now: Utc::now,
            jitter: random_part,
        }
    }

    /// What the next request to be signed has for itself.
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            now: (self.now)(),
            nonce: uuid::Uuid::new_v4().into_bytes(),
        }
    }
}

/// A random part of a length, evenly spread; the randomness is that of a version 4 UUID.
fn random_part(whole: Duration) -> Duration {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    // The upper 32 bits of a version 4 UUID are all random.
    let random = u32::try_from(high >> 32).unwrap_or(0);
    whole.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// A bucket of repetitions: every call adds a tenth of one, so that repeating never multiplies the load of a failing vendor.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    tenths: AtomicU32,
}

impl RetryBudget {
    const START: u32 = 30;
    const MAX: u32 = 100;
    const PRICE: u32 = 10;

    /// Makes one that allows three repetitions from the start.
    pub(crate) fn new() -> Self {
        Self {
            tenths: AtomicU32::new(Self::START),
        }
    }

    /// Counts a call.
    pub(crate) fn deposit(&self) {
        let add = |tenths: u32| Some(tenths.saturating_add(1).min(Self::MAX));
        let _ = self
            .tenths
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Takes a repetition, when there is one left.
    pub(crate) fn withdraw(&self) -> bool {
        let take = |tenths: u32| tenths.checked_sub(Self::PRICE);
        self.tenths
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }
}

/// How long to pause before the repetition after that attempt, when the outcome allows one. A write with a key of its own is
/// repeated also when it may have been done: asking again is the only way to learn what came of it.
pub(crate) fn pause(
    outcome: &Result<Reply, Failure>,
    call: &Call,
    attempt: u32,
    surroundings: Surroundings,
) -> Option<Duration> {
    if !call.may_repeat() {
        return None;
    }
    let backoff = || {
        let longest = PAUSE_FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(10));
        (surroundings.jitter)(longest)
    };
    match outcome {
        Ok(reply) => match reply.status {
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Some(backoff()),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Some(retry_after(&reply.headers, (surroundings.now)()).unwrap_or_else(backoff))
            }
            status if status.is_server_error() && !call.safe => Some(backoff()),
            _ => None,
        },
        Err(Failure::ConnectFailed(_) | Failure::Interrupted(_)) => Some(backoff()),
        Err(Failure::Timeout) if !call.safe => Some(backoff()),
        Err(
            Failure::Timeout
            | Failure::Tls { .. }
            | Failure::TooLarge { .. }
            | Failure::Malformed(_)
            | Failure::CircuitOpen { .. }
            | Failure::Overloaded
            | Failure::RateLimited { .. }
            | Failure::CredentialUnavailable { .. }
            | Failure::DeadlineExceeded
            | Failure::Indeterminate(_)
            | Failure::ForeignOrigin,
        ) => None,
    }
}

/// The wait that `Retry-After` asks for, as seconds or as a date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    Some((at.to_utc() - now).to_std().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn three_repetitions_are_free_and_ten_calls_earn_one() {
        let budget = RetryBudget::new();
        for _ in 0..3 {
            assert!(budget.withdraw());
        }
        for _ in 0..9 {
            budget.deposit();
        }
        assert!(!budget.withdraw());
        budget.deposit();
        assert!(budget.withdraw());
        assert!(!budget.withdraw());
    }

    #[track_caller]
    fn check(value: &str, expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        let now = DateTime::parse_from_rfc3339("2025-06-01T10:00:00Z")
            .unwrap()
            .to_utc();
        assert_eq!(
            retry_after(&headers, now).map(|wait| wait.as_secs()),
            expected
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        check("120", Some(120));
        check("Sun, 01 Jun 2025 10:00:30 GMT", Some(30));
        check("Sun, 01 Jun 2025 09:00:00 GMT", Some(0));
        check("soon", None);
        check("-1", None);
    }

    #[test]
    fn randomness_stays_within_the_given_length() {
        for _ in 0..100 {
            assert!(random_part(PAUSE_FIRST) <= PAUSE_FIRST);
        }
    }
}
