//! One rate: how many calls reached the vendor within the last window, and when the next one may leave.
//!
//! A log of the last calls, not a bucket that refills: with a bucket the first window can carry twice the vendor's
//! limit. A vendor counts a call when it arrives, which we see at the latest when it begins to answer. So a call counts
//! from its departure until a window after its answer began; when no answer begins, until a window and some slack after
//! it left. Two calls that left a window apart can then not arrive closer together, whatever the network does.
//!
//! Calls are counted in grains of a hundredth of the window, rounded to the careful side, so that a day's window takes
//! no more memory than a second's.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::rate::Rate;

/// How many grains a window has.
const GRAINS: u32 = 100;
/// The shortest grain.
const GRAIN_MIN: Duration = Duration::from_millis(1);
/// How late a call may arrive at most and still be counted right.
const SLACK_MAX: Duration = Duration::from_secs(1);

/// The calls of the last window.
#[derive(Debug)]
pub(crate) struct Window {
    rate: Rate,
    grain: Duration,
    start: Instant,
    /// Calls by the number of the grain they were counted in, oldest first.
    grains: VecDeque<(u64, u32)>,
    total: u64,
}

impl Window {
    /// Makes an empty one.
    pub(crate) fn new(rate: Rate, start: Instant) -> Self {
        Self {
            rate,
            grain: grain_of(rate),
            start,
            grains: VecDeque::new(),
            total: 0,
        }
    }

    /// When a call may leave that has that many before it, as far as is known now. `replicas` share the limit.
    pub(crate) fn earliest(&mut self, now: Instant, ahead: u64, replicas: u32) -> Instant {
        self.forget(now);
        let limit = u64::from((self.rate.count / replicas.max(1)).max(1));
        let Some(must_end) = (ahead + self.total).checked_sub(limit) else {
            return now;
        };
        // Beyond the calls that are known, each further round of the limit takes a whole window.
        let rounds = match must_end.checked_sub(self.total) {
            Some(beyond) => beyond / limit + 1,
            None => 0,
        };
        let known = must_end.checked_sub(rounds.saturating_mul(limit));
        let base = known.map_or(now, |index| self.end_of(index).max(now));
        let windows = |count: u64| {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            self.rate.per.saturating_mul(count).min(FAR)
        };
        let at = base + windows(rounds);
        match (rounds.checked_sub(1), self.total.checked_sub(1)) {
            // One of those before it has to wait for the last call that is known.
            (Some(rounds), Some(last)) => at.max(self.end_of(last) + windows(rounds)),
            (_, _) => at,
        }
    }

    /// Counts a call from that moment on, and says in which grain.
    pub(crate) fn mark(&mut self, at: Instant) -> u64 {
        let grain = self.grain_at(at);
        let place = self
            .grains
            .binary_search_by_key(&grain, |(known, _)| *known);
        match place {
            Ok(index) => {
                if let Some((_, count)) = self.grains.get_mut(index) {
                    *count = count.saturating_add(1);
                }
            }
            Err(index) => self.grains.insert(index, (grain, 1)),
        }
        self.total += 1;
        grain
    }

    /// Takes a call back that was counted in that grain.
    pub(crate) fn unmark(&mut self, grain: u64) {
        let place = self
            .grains
            .binary_search_by_key(&grain, |(known, _)| *known);
        let Ok(index) = place else {
            return;
        };
        if let Some((_, count)) = self.grains.get_mut(index)
            && *count > 0
        {
            *count -= 1;
            self.total -= 1;
        }
    }

    /// From when on a call counts that leaves now and is not heard of again.
    pub(crate) fn latest_arrival(&self, now: Instant) -> Instant {
        now + slack_of(self.rate)
    }

    fn grain_at(&self, at: Instant) -> u64 {
        let past = at.saturating_duration_since(self.start);
        let grains = past.as_nanos().div_ceil(self.grain.as_nanos().max(1));
        u64::try_from(grains).unwrap_or(u64::MAX)
    }

    /// When the calls of a grain stop counting.
    fn end(&self, grain: u64) -> Instant {
        let nanos = u64::try_from(self.grain.as_nanos()).unwrap_or(u64::MAX);
        let past = Duration::from_nanos(nanos.saturating_mul(grain));
        self.start + past.min(FAR) + self.rate.per
    }

    /// When the call with that many older ones stops counting.
    fn end_of(&self, index: u64) -> Instant {
        let mut older = 0;
        for (grain, count) in &self.grains {
            older += u64::from(*count);
            if older > index {
                return self.end(*grain);
            }
        }
        self.start
    }

    fn forget(&mut self, now: Instant) {
        while let Some((grain, count)) = self.grains.front().copied() {
            if self.end(grain) > now {
                return;
            }
            self.total -= u64::from(count);
            self.grains.pop_front();
        }
    }
}

/// Further than any wait, and still a moment that can be computed.
const FAR: Duration = Duration::from_secs(10 * 365 * 86_400);

/// How finely the calls of a rate are told apart.
pub(crate) fn grain_of(rate: Rate) -> Duration {
    (rate.per / GRAINS).max(GRAIN_MIN)
}

/// How much later than it left a call may arrive: a quarter of the window, a second at most.
pub(crate) fn slack_of(rate: Rate) -> Duration {
    (rate.per / 4).min(SLACK_MAX)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn window(rate: &str) -> (Window, Instant) {
        let now = Instant::now();
        (Window::new(rate.parse().unwrap(), now), now)
    }

    #[test]
    fn no_window_of_its_length_ever_holds_more_than_the_rate() {
        let (mut window, start) = window("10/s");
        let mut left = Vec::new();
        let mut now = start;
        for step in 0..100u64 {
            now = window.earliest(now.max(start + Duration::from_millis(step * 37)), 0, 1);
            window.mark(now);
            left.push(now);
        }
        for (index, first) in left.iter().enumerate() {
            let within = left
                .iter()
                .skip(index)
                .filter(|at| **at < *first + Duration::from_secs(1));
            assert!(within.count() <= 10);
        }
        assert!(now < start + Duration::from_secs(10), "{:?}", now - start);
    }

    proptest::proptest! {
        /// However long calls travel, within the slack, and however long the vendor thinks.
        #[test]
        fn no_more_calls_than_the_rate_arrive_in_any_window(
            calls in proptest::collection::vec((0..60u64, 0..250u64, 0..900u64), 1..60),
        ) {
            let (mut window, start) = window("5/s");
            let mut now = start;
            let (mut arrivals, mut answers) = (Vec::new(), Vec::new());
            for (idle, travel, thinks) in calls {
                now += Duration::from_millis(idle);
                now = window.earliest(now, 0, 1).max(now);
                // Those that answered meanwhile count from then on.
                answers.retain(|(at, grain)| {
                    if *at <= now && *at < window.end(*grain) - Duration::from_secs(1) {
                        window.unmark(*grain);
                        window.mark(*at);
                    }
                    *at > now
                });
                let grain = window.mark(window.latest_arrival(now));
                let arrival = now + Duration::from_millis(travel);
                arrivals.push(arrival);
                answers.push((arrival + Duration::from_millis(thinks), grain));
            }
            arrivals.sort();
            for (first, sixth) in arrivals.iter().zip(arrivals.iter().skip(5)) {
                proptest::prop_assert!(*sixth - *first >= Duration::from_secs(1));
            }
        }
    }

    #[track_caller]
    fn check_waits(ahead: u64, seconds: u64) {
        let (mut window, now) = window("3/min");
        window.mark(now);
        window.mark(now + Duration::from_secs(30));
        let wait = window.earliest(now, ahead, 1) - now;
        assert_eq!(wait.as_secs(), seconds, "with {ahead} ahead");
    }

    #[test]
    fn the_wait_of_a_call_is_known_from_those_before_it() {
        check_waits(0, 0);
        check_waits(1, 60);
        check_waits(2, 90);
        check_waits(3, 90);
        check_waits(4, 120);
    }

    #[test]
    fn replicas_that_can_not_talk_keep_to_their_share() {
        let (mut window, now) = window("10/s");
        for _ in 0..3 {
            window.mark(now);
        }
        assert_eq!(window.earliest(now, 0, 2), now);
        assert_eq!(window.earliest(now, 0, 3) - now, Duration::from_secs(1));
        let (mut single, now) = self::window("1/s");
        assert_eq!(single.earliest(now, 0, 4), now, "a share is at least one");
    }

    #[test]
    fn a_call_that_was_not_sent_does_not_count() {
        let (mut window, now) = window("1/s");
        let grain = window.mark(now);
        assert!(window.earliest(now, 0, 1) > now);
        window.unmark(grain);
        assert_eq!(window.earliest(now, 0, 1), now);
    }

    #[test]
    fn a_days_window_takes_no_more_memory_than_a_seconds() {
        let (mut window, start) = window("1000000/day");
        for step in 0..100_000 {
            window.mark(start + Duration::from_secs(step));
            window.forget(start + Duration::from_secs(step));
        }
        assert!(window.grains.len() <= 102);
        assert!(window.total <= 88_000, "{}", window.total);
    }
}
