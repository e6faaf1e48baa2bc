//! The rate of a source: hands out the moments at which calls may leave.
//!
//! A log of the last calls, not a bucket that refills: with a bucket the first window can carry twice the vendor's
//! limit, or a burst has to be smaller than what the vendor allows. The log keeps both exact, for sixteen bytes a call.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::rate::Rate;

/// How long a vendor's `Retry-After` is believed at most.
const HOLD_MAX: Duration = Duration::from_secs(3600);

/// Spaces the calls of one source.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: Option<Rate>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the calls of the last window left or will leave, in order.
    departures: VecDeque<Instant>,
    /// The vendor asked for silence until then.
    silent_until: Option<Instant>,
}

impl Pace {
    /// Makes one that allows the rate, or anything when there is none.
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            state: Mutex::new(State::default()),
        }
    }

    /// Reserves the next moment that is not after the deadline; otherwise says how long until there is one.
    pub(crate) fn reserve(&self, now: Instant, deadline: Instant) -> Result<Instant, Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = state.silent_until.map_or(now, |until| until.max(now));
        if let Some(rate) = self.rate {
            while state
                .departures
                .front()
                .is_some_and(|left| *left + rate.per <= now)
            {
                state.departures.pop_front();
            }
            let count = usize::try_from(rate.count).unwrap_or(usize::MAX);
            let blocking = state.departures.len().checked_sub(count);
            if let Some(left) = blocking.and_then(|index| state.departures.get(index)) {
                at = at.max(*left + rate.per);
            }
            at = state.departures.back().map_or(at, |last| at.max(*last));
        }
        if at > deadline {
            return Err(at.saturating_duration_since(now));
        }
        if self.rate.is_some() {
            state.departures.push_back(at);
        }
        Ok(at)
    }

    /// Keeps calls back because the vendor asked for it.
    pub(crate) fn hold(&self, now: Instant, wait: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let until = now + wait.min(HOLD_MAX);
        state.silent_until = Some(state.silent_until.map_or(until, |before| before.max(until)));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn far(now: Instant) -> Instant {
        now + Duration::from_secs(1_000_000)
    }

    #[test]
    fn no_window_of_its_length_ever_holds_more_than_the_rate() {
        let start = Instant::now();
        let pace = Pace::new(Some("10/s".parse().unwrap()));
        let mut left = Vec::new();
        for step in 0..100u64 {
            let now = start + Duration::from_millis(step * 37);
            left.push(pace.reserve(now, far(now)).unwrap());
        }
        for (index, first) in left.iter().enumerate() {
            let within = left
                .iter()
                .skip(index)
                .filter(|at| **at < *first + Duration::from_secs(1));
            assert!(within.count() <= 10);
        }
    }

    #[test]
    fn a_burst_of_the_whole_rate_leaves_at_once() {
        let now = Instant::now();
        let pace = Pace::new(Some("3/min".parse().unwrap()));
        let waits: Vec<u64> = (0..5)
            .map(|_| (pace.reserve(now, far(now)).unwrap() - now).as_secs())
            .collect();
        assert_eq!(waits, [0, 0, 0, 60, 60]);
    }

    #[test]
    fn a_moment_after_the_deadline_is_not_taken() {
        let now = Instant::now();
        let pace = Pace::new(Some("1/s".parse().unwrap()));
        pace.reserve(now, now).unwrap();
        let short = now + Duration::from_millis(500);
        assert_eq!(
            pace.reserve(now, short).unwrap_err(),
            Duration::from_secs(1)
        );
        assert_eq!(
            pace.reserve(now, far(now)).unwrap() - now,
            Duration::from_secs(1)
        );
    }

    #[test]
    fn a_vendor_that_asks_for_silence_gets_it_but_not_for_ever() {
        let now = Instant::now();
        let pace = Pace::new(None);
        pace.hold(now, Duration::from_secs(2));
        pace.hold(now, Duration::from_secs(1));
        assert_eq!(
            pace.reserve(now, far(now)).unwrap() - now,
            Duration::from_secs(2)
        );
        pace.hold(now, Duration::from_secs(1_000_000));
        assert_eq!(
            pace.reserve(now, now).unwrap_err(),
            Duration::from_secs(3600)
        );
    }
}
