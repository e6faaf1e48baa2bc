//! The vendors' ways of writing a moment. All data lies before one fixed moment, so that a seed gives the same data every day.

use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Europe::Berlin;

/// The company's present: 2026-10-01T00:00:00Z, in seconds since 1970. Changes made by tests come after it.
pub const PRESENT: u32 = 1_790_812_800;

/// Seconds in a day.
pub(crate) const DAY: u32 = 86_400;

fn utc(seconds: u32) -> DateTime<Utc> {
    DateTime::from_timestamp(i64::from(seconds), 0).unwrap_or_default()
}

/// RFC 3339 in UTC: `2026-03-01T09:30:00Z`.
pub(crate) fn rfc3339(seconds: u32) -> String {
    utc(seconds).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A local time of Berlin without a zone: `2026-03-01T10:30:00`.
pub(crate) fn berlin(seconds: u32) -> String {
    utc(seconds)
        .with_timezone(&Berlin)
        .format("%Y-%m-%dT%H:%M:%S")
        .to_string()
}

/// UTC with a blank between day and hour and no zone: `2026-03-01 09:30:00`.
pub(crate) fn blank_separated(seconds: u32) -> String {
    utc(seconds).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// The day alone: `2026-03-01`.
pub(crate) fn day(seconds: u32) -> String {
    utc(seconds).format("%Y-%m-%d").to_string()
}

/// Reads RFC 3339.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|time| time.timestamp())
}

/// Reads a time without a zone as Berlin's, or one with a zone as it says.
pub(crate) fn parse_berlin(text: &str) -> Option<i64> {
    if let Some(time) = parse_rfc3339(text) {
        return Some(time);
    }
    let naive = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
    Berlin
        .from_local_datetime(&naive)
        .earliest()
        .map(|time| time.timestamp())
}
