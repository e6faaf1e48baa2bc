//! The breaker of a source: leaves a failing vendor alone, then lets one call through to see.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Consecutive failures that open it.
const CONSECUTIVE_MAX: u32 = 5;
/// Calls within the window below which their share of failures says nothing.
const CALLS_MIN: u32 = 20;
/// The window, in buckets of a second.
const WINDOW_SECONDS: u64 = 10;
/// How long it stays open at first.
const SPELL_FIRST: Duration = Duration::from_secs(5);
/// How long it stays open at most.
const SPELL_MAX: Duration = Duration::from_secs(60);

/// Counts the failures of one source and decides whether it may be called.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: Mutex<State>,
    start: Instant,
}

#[derive(Debug)]
enum State {
    Closed { consecutive: u32, window: Window },
    Open { until: Instant, spell: Duration },
    HalfOpen { probing: bool, spell: Duration },
}

/// Calls and failures of the last seconds, one bucket per second.
#[derive(Debug, Default)]
struct Window {
    buckets: [Bucket; WINDOW_SECONDS as usize],
}

#[derive(Debug, Default, Clone, Copy)]
struct Bucket {
    second: u64,
    calls: u32,
    failures: u32,
}

impl Window {
    fn count(&mut self, second: u64, failed: bool) {
        let index = usize::try_from(second % WINDOW_SECONDS).unwrap_or(0);
        if let Some(bucket) = self.buckets.get_mut(index) {
            if bucket.second != second {
                *bucket = Bucket {
                    second,
                    ..Bucket::default()
                };
            }
            bucket.calls = bucket.calls.saturating_add(1);
            bucket.failures = bucket.failures.saturating_add(u32::from(failed));
        }
    }

    fn is_failing(&self, second: u64) -> bool {
        let recent = |bucket: &&Bucket| second.saturating_sub(bucket.second) < WINDOW_SECONDS;
        let sum = |(calls, failures): (u32, u32), bucket: &Bucket| {
            (
                calls.saturating_add(bucket.calls),
                failures.saturating_add(bucket.failures),
            )
        };
        let (calls, failures) = self.buckets.iter().filter(recent).fold((0, 0), sum);
        calls >= CALLS_MIN && failures.saturating_mul(2) >= calls
    }
}

/// The right to make one call; dropped without a verdict, it counts for nothing.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
    settled: bool,
}

impl Breaker {
    /// Makes a closed one.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            state: Mutex::new(State::closed()),
            start: now,
        }
    }

    /// Lets a call through, or says when to come again.
    pub(crate) fn try_pass(&self, now: Instant) -> Result<Pass<'_>, Duration> {
        let mut state = self.lock();
        if let State::Open { until, spell } = *state {
            if now < until {
                return Err(until - now);
            }
            *state = State::HalfOpen {
                probing: false,
                spell,
            };
        }
        let is_probe = match &mut *state {
            State::Closed { .. } => false,
            State::HalfOpen { probing: true, .. } => return Err(Duration::from_secs(1)),
            State::HalfOpen { probing, .. } => {
                *probing = true;
                true
            }
            State::Open { until, .. } => return Err(until.saturating_duration_since(now)),
        };
        Ok(Pass {
            breaker: self,
            is_probe,
            settled: false,
        })
    }

    /// How long the source is still left alone, for those who need not even queue.
    pub(crate) fn rest(&self, now: Instant) -> Option<Duration> {
        match *self.lock() {
            State::Open { until, .. } if now < until => Some(until - now),
            State::Open { .. } | State::Closed { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// Whether calls are refused or only a probe is let through.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(*self.lock(), State::Closed { .. })
    }

    fn settle(&self, is_probe: bool, failed: bool, now: Instant) {
        let second = now.saturating_duration_since(self.start).as_secs();
        let mut state = self.lock();
        match &mut *state {
            State::Closed {
                consecutive,
                window,
            } => {
                *consecutive = if failed {
                    consecutive.saturating_add(1)
                } else {
                    0
                };
                window.count(second, failed);
                if failed && (*consecutive >= CONSECUTIVE_MAX || window.is_failing(second)) {
                    *state = State::Open {
                        until: now + SPELL_FIRST,
                        spell: SPELL_FIRST,
                    };
                }
            }
            State::HalfOpen { spell, .. } if is_probe && failed => {
                let spell = (*spell * 2).min(SPELL_MAX);
                *state = State::Open {
                    until: now + spell,
                    spell,
                };
            }
            State::HalfOpen { .. } if is_probe => *state = State::closed(),
            // A call that set out before the breaker opened says nothing about now.
            State::HalfOpen { .. } | State::Open { .. } => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn closed() -> Self {
        Self::Closed {
            consecutive: 0,
            window: Window::default(),
        }
    }
}

impl Pass<'_> {
    /// Gives the verdict on the call.
    pub(crate) fn settle(mut self, failed: bool, now: Instant) {
        self.settled = true;
        self.breaker.settle(self.is_probe, failed, now);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.settled || !self.is_probe {
            return;
        }
        if let State::HalfOpen { probing, .. } = &mut *self.breaker.lock() {
            *probing = false;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn fail(breaker: &Breaker, now: Instant) {
        breaker.try_pass(now).unwrap().settle(true, now);
    }

    fn succeed(breaker: &Breaker, now: Instant) {
        breaker.try_pass(now).unwrap().settle(false, now);
    }

    fn opened(now: Instant) -> Breaker {
        let breaker = Breaker::new(now);
        for _ in 0..5 {
            fail(&breaker, now);
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_four_do_not() {
        let now = Instant::now();
        let breaker = Breaker::new(now);
        for _ in 0..4 {
            fail(&breaker, now);
        }
        succeed(&breaker, now);
        for _ in 0..4 {
            fail(&breaker, now);
        }
        assert!(!breaker.is_open());
        fail(&breaker, now);
        assert_eq!(breaker.try_pass(now).unwrap_err(), Duration::from_secs(5));
    }

    #[test]
    fn half_of_twenty_failing_opens_it_within_the_window_only() {
        let start = Instant::now();
        let breaker = Breaker::new(start);
        for _ in 0..10 {
            succeed(&breaker, start);
            fail(&breaker, start);
        }
        assert!(breaker.is_open());

        let breaker = Breaker::new(start);
        for second in 0..10 {
            assert!(!breaker.is_open());
            let now = start + Duration::from_secs(second);
            succeed(&breaker, now);
            fail(&breaker, now);
        }
        assert!(
            breaker.is_open(),
            "two calls a second are twenty in ten seconds"
        );

        let breaker = Breaker::new(start);
        for second in 0..40 {
            let now = start + Duration::from_secs(second * 2);
            succeed(&breaker, now);
            fail(&breaker, now);
        }
        assert!(!breaker.is_open(), "ten calls in the window say nothing");
    }

    #[test]
    fn one_probe_at_a_time_goes_through_and_closes_it() {
        let start = Instant::now();
        let breaker = opened(start);
        let later = start + Duration::from_secs(5);
        let probe = breaker.try_pass(later).unwrap();
        assert!(breaker.try_pass(later).is_err());
        probe.settle(false, later);
        assert!(!breaker.is_open());
    }

    #[test]
    fn each_failed_probe_doubles_the_spell_up_to_a_minute() {
        let mut now = Instant::now();
        let breaker = opened(now);
        for seconds in [5, 10, 20, 40, 60, 60] {
            assert_eq!(
                breaker.try_pass(now).unwrap_err(),
                Duration::from_secs(seconds)
            );
            now += Duration::from_secs(seconds);
            fail(&breaker, now);
        }
    }

    #[test]
    fn a_probe_that_was_given_up_leaves_the_place_to_the_next() {
        let start = Instant::now();
        let breaker = opened(start);
        let later = start + Duration::from_secs(5);
        drop(breaker.try_pass(later).unwrap());
        assert!(breaker.try_pass(later).is_ok());
    }

    #[test]
    fn a_late_success_from_before_does_not_close_it() {
        let now = Instant::now();
        let breaker = Breaker::new(now);
        let early = breaker.try_pass(now).unwrap();
        for _ in 0..5 {
            fail(&breaker, now);
        }
        early.settle(false, now);
        assert!(breaker.is_open());
    }
}
