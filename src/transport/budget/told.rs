//! What the vendor itself says of its limits, and what follows for the next calls.

use std::time::Duration;

use tokio::time::Instant;

use crate::transport::feedback::Word;

/// How long a vendor's word is believed at most.
pub(crate) const HOLD_MAX: Duration = Duration::from_secs(3600);
/// How long a source is left alone after a first refusal that names no time; doubled with each further one.
const STRIKE_FIRST: Duration = Duration::from_millis(100);
/// How long it is left alone at most after such refusals.
const STRIKE_MAX: Duration = Duration::from_secs(60);

/// The vendor's words, the latest of each kind.
#[derive(Debug)]
pub(crate) struct Told {
    silent_until: Option<Instant>,
    /// Refusals in a row that named no time.
    strikes: u32,
    counts: Vec<Option<Count>>,
}

#[derive(Debug, Clone, Copy)]
enum Count {
    Left {
        calls: u64,
        until: Instant,
    },
    Purse {
        available: f64,
        maximum: f64,
        restore: f64,
        cost: f64,
        at: Instant,
    },
}

impl Told {
    /// Makes one for that many declared kinds of feedback.
    pub(crate) fn new(kinds: usize) -> Self {
        Self {
            silent_until: None,
            strikes: 0,
            counts: vec![None; kinds],
        }
    }

    /// When the next call may leave by the vendor's own word.
    pub(crate) fn earliest(&self, now: Instant) -> Instant {
        let counts = self.counts.iter().flatten();
        let at = counts.map(|count| count.earliest(now)).max().unwrap_or(now);
        at.max(self.silent_until.unwrap_or(now)).max(now)
    }

    /// Takes a call that leaves off what is left.
    pub(crate) fn take(&mut self, now: Instant) {
        for count in self.counts.iter_mut().flatten() {
            match count {
                Count::Left { calls, .. } => *calls = calls.saturating_sub(1),
                Count::Purse {
                    available,
                    maximum,
                    restore,
                    cost,
                    at,
                } => {
                    let back = *restore * now.saturating_duration_since(*at).as_secs_f64();
                    *available = (*available + back).min(*maximum) - *cost;
                    *at = now;
                }
            }
        }
    }

    /// Hears the vendor's word of that kind. `others` are the calls under way, which it may not have counted yet.
    pub(crate) fn hear(&mut self, kind: usize, word: Word, now: Instant, others: u64) {
        let Some(known) = self.counts.get_mut(kind) else {
            return;
        };
        match word {
            Word::Left { calls, fresh_in } => {
                let (calls, until) = (calls.saturating_sub(others), now + fresh_in.min(HOLD_MAX));
                *known = Some(Count::Left { calls, until });
            }
            Word::Purse {
                available,
                maximum,
                restore,
                cost,
            } => {
                let others = u32::try_from(others).unwrap_or(u32::MAX);
                *known = Some(Count::Purse {
                    available: available - f64::from(others) * cost,
                    maximum,
                    restore,
                    cost: cost.clamp(0.0, maximum),
                    at: now,
                });
            }
            Word::Silence(wait) => self.hold(now, wait),
        }
    }

    /// Keeps calls back because the vendor asked for it.
    pub(crate) fn hold(&mut self, now: Instant, wait: Duration) {
        let until = now + wait.min(HOLD_MAX);
        self.silent_until = Some(self.silent_until.map_or(until, |before| before.max(until)));
    }

    /// Keeps calls back for a while that the vendor did not name, and says for how long.
    pub(crate) fn strike(&mut self, now: Instant) -> Duration {
        let wait = STRIKE_FIRST.saturating_mul(1 << self.strikes.min(10));
        let wait = wait.min(STRIKE_MAX);
        // Calls that left together are refused together: that is one refusal, not many.
        if self.silent_until.is_none_or(|until| until <= now) {
            self.strikes = self.strikes.saturating_add(1);
            self.hold(now, wait);
        }
        wait
    }

    /// Notes that a call was not refused.
    pub(crate) fn pardon(&mut self) {
        self.strikes = 0;
    }
}

impl Count {
    fn earliest(&self, now: Instant) -> Instant {
        match *self {
            Self::Left { calls: 0, until } => until,
            Self::Left { .. } => now,
            Self::Purse {
                available,
                restore,
                cost,
                at,
                ..
            } => {
                let lacking = cost - available;
                if lacking <= 0.0 {
                    return now;
                }
                let seconds = lacking / restore.max(f64::MIN_POSITIVE);
                let wait = Duration::try_from_secs_f64(seconds).unwrap_or(HOLD_MAX);
                at + wait.min(HOLD_MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_vendor_that_asks_for_silence_gets_it_but_not_for_ever() {
        let now = Instant::now();
        let mut told = Told::new(0);
        told.hold(now, 2 * SECOND);
        told.hold(now, SECOND);
        assert_eq!(told.earliest(now) - now, 2 * SECOND);
        told.hold(now, 1_000_000 * SECOND);
        assert_eq!(told.earliest(now) - now, HOLD_MAX);
    }

    #[test]
    fn calls_that_are_left_are_counted_down_until_the_count_starts_afresh() {
        let now = Instant::now();
        let mut told = Told::new(1);
        let word = |calls| Word::Left {
            calls,
            fresh_in: 30 * SECOND,
        };
        told.hear(0, word(4), now, 2);
        assert_eq!(told.earliest(now), now);
        told.take(now);
        told.take(now);
        assert_eq!(told.earliest(now) - now, 30 * SECOND);
        let later = now + 30 * SECOND;
        assert_eq!(told.earliest(later), later, "it starts afresh by itself");
    }

    #[test]
    fn points_come_back_with_time() {
        let now = Instant::now();
        let mut told = Told::new(1);
        let word = Word::Purse {
            available: 25.0,
            maximum: 100.0,
            restore: 10.0,
            cost: 20.0,
        };
        told.hear(0, word, now, 0);
        assert_eq!(told.earliest(now), now);
        told.take(now);
        assert_eq!((told.earliest(now) - now).as_millis(), 1_500);
        let later = now + 2 * SECOND;
        assert_eq!(told.earliest(later), later);
    }

    #[test]
    fn refusals_without_a_time_make_the_pause_longer_until_one_succeeds() {
        let mut now = Instant::now();
        let mut told = Told::new(0);
        for millis in [100, 200, 400] {
            assert_eq!(told.strike(now).as_millis(), millis);
            told.strike(now);
            now = told.earliest(now);
        }
        for _ in 0..20 {
            told.strike(now);
            now = told.earliest(now);
        }
        assert_eq!(told.strike(now), STRIKE_MAX);
        told.pardon();
        now = told.earliest(now);
        assert_eq!(told.strike(now), STRIKE_FIRST);
    }
}
