//! The calls of a vendor's day.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use crate::transport::settings::QuotaSettings;

/// Counts the calls of the day in the vendor's zone.
#[derive(Debug)]
pub(crate) struct Quota {
    calls: u64,
    zone: Tz,
    day: Option<NaiveDate>,
    used: u64,
}

impl Quota {
    /// Makes one at zero.
    pub(crate) fn new(settings: &QuotaSettings) -> Self {
        Self {
            calls: settings.calls,
            zone: settings.zone.parse().unwrap_or(Tz::UTC),
            day: None,
            used: 0,
        }
    }

    /// How long until a call may leave; `replicas` share the quota.
    pub(crate) fn wait(&mut self, now: DateTime<Utc>, replicas: u32) -> Duration {
        self.turn_over(now);
        let share = (self.calls / u64::from(replicas.max(1))).max(1);
        if self.used < share {
            return Duration::ZERO;
        }
        self.until_tomorrow(now)
    }

    /// Counts a call.
    pub(crate) fn take(&mut self, now: DateTime<Utc>) {
        self.turn_over(now);
        self.used += 1;
    }

    /// Takes a call back that did not leave.
    pub(crate) fn give_back(&mut self) {
        self.used = self.used.saturating_sub(1);
    }

    /// How many calls a day may have.
    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    /// The vendor's day.
    pub(crate) fn day(&self, now: DateTime<Utc>) -> NaiveDate {
        now.with_timezone(&self.zone).date_naive()
    }

    /// How long the vendor's day still lasts. A midnight that a change of the clocks leaves out comes an hour later.
    pub(crate) fn until_tomorrow(&self, now: DateTime<Utc>) -> Duration {
        let tomorrow = self.day(now) + Days::new(1);
        let begins = (0..3).find_map(|hour| {
            let time = NaiveTime::from_hms_opt(hour, 0, 0)?;
            self.zone
                .from_local_datetime(&tomorrow.and_time(time))
                .earliest()
        });
        begins
            .and_then(|begins| (begins.to_utc() - now).to_std().ok())
            .unwrap_or(Duration::from_secs(3600))
    }

    fn turn_over(&mut self, now: DateTime<Utc>) {
        let day = self.day(now);
        if self.day != Some(day) {
            self.day = Some(day);
            self.used = 0;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_is_that_of_the_vendors_zone() {
        let settings = QuotaSettings {
            calls: 2,
            zone: "America/Los_Angeles".into(),
        };
        let mut quota = Quota::new(&settings);
        let evening = at("2025-06-01T06:30:00Z");
        quota.take(evening);
        assert_eq!(quota.wait(evening, 1), Duration::ZERO);
        quota.take(evening);
        assert_eq!(quota.wait(evening, 1), Duration::from_secs(1800));
        assert_eq!(quota.wait(at("2025-06-01T07:00:00Z"), 1), Duration::ZERO);
    }

    #[test]
    fn a_midnight_that_the_clocks_leave_out_comes_later() {
        let settings = QuotaSettings {
            calls: 1,
            zone: "America/Santiago".into(),
        };
        let mut quota = Quota::new(&settings);
        let now = at("2025-09-07T03:00:00Z");
        quota.take(now);
        assert_eq!(quota.wait(now, 1), Duration::from_secs(3600));
    }
}
