//! What vendors tell of their limits beside a bare 429: in headers, and in the bodies of good answers.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderMap;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::rate::Rate;
use crate::config::span::Span;
use crate::transport::probe::{decimal, number_at};

/// What the connector found in a reply that the transport can't read: the vendor's own code for "too many".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// Too many calls; it says how long to wait, or not.
    RateLimited {
        /// The wait.
        retry_after: Option<Duration>,
    },
    /// A quota is used up; it says until when, or not.
    QuotaExhausted {
        /// The wait.
        retry_after: Option<Duration>,
    },
}

/// One way in which a vendor tells of its limits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FeedbackSettings {
    /// Headers with the number of calls that are left, and when the count starts afresh.
    Remaining(RemainingSettings),
    /// A header with the calls that are used and allowed, as in `10/40`.
    Ratio(RatioSettings),
    /// Points in the JSON body of every answer, as GraphQL vendors tell them.
    Points(PointsSettings),
    /// A header with a JSON object of percentages that are used.
    Percent(PercentSettings),
}

/// Headers with the number of calls that are left, and when the count starts afresh.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemainingSettings {
    /// The header with the calls that are left; `header:member` for one that reads `total=100; remaining=99`.
    pub remaining: String,
    /// The header that tells when the count starts afresh; without it, a second later.
    pub reset: Option<String>,
    /// What the number in `reset` is.
    #[serde(default)]
    pub unit: ResetUnit,
}

/// What the number in a reset header is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetUnit {
    /// Seconds from now.
    #[default]
    DeltaS,
    /// Milliseconds from now.
    DeltaMs,
    /// Microseconds from now.
    DeltaUs,
    /// Seconds since 1970.
    EpochS,
    /// Milliseconds since 1970.
    EpochMs,
}

/// A header with the calls that are used and allowed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RatioSettings {
    /// The header.
    pub header: String,
    /// What stands before the two numbers, as `api-usage=`.
    #[serde(default)]
    pub prefix: String,
    /// How fast the vendor gives used calls back, as in `2/s`; without it, it is asked again after a second.
    pub restore: Option<Rate>,
}

/// Points in the JSON body of every answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointsSettings {
    /// The path of the points that are left, as `extensions.cost.throttleStatus.currentlyAvailable`.
    pub available: String,
    /// The path of the points that come back every second.
    pub restore: String,
    /// The path of what the call itself cost; the next call is taken to cost as much.
    pub cost: String,
    /// The path of the points that a full purse holds.
    pub maximum: Option<String>,
}

/// A header with a JSON object of percentages that are used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PercentSettings {
    /// The header.
    pub header: String,
    /// The members with percentages, as `call_count`.
    pub members: Vec<String>,
    /// From which percentage on the source is left alone, 1 to 100.
    #[serde(default = "PercentSettings::most")]
    pub most: u32,
    /// For how long.
    #[serde(default = "PercentSettings::pause")]
    pub pause: Span,
}

impl PercentSettings {
    fn most() -> u32 {
        95
    }

    fn pause() -> Span {
        Span(Duration::from_secs(60))
    }
}

/// What a vendor said of its limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Word {
    /// That many calls are left until the count starts afresh.
    Left { calls: u64, fresh_in: Duration },
    /// That many points are left, so many come back each second, and a call takes so many.
    Purse {
        available: f64,
        maximum: f64,
        restore: f64,
        cost: f64,
    },
    /// The source wants to be left alone for so long.
    Silence(Duration),
}

/// How long a limit lasts of which the vendor does not say when it ends.
const UNTOLD: Duration = Duration::from_secs(1);

impl FeedbackSettings {
    /// What is wrong with it, as one sentence.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let is_header = |name: &str| {
            let name = name.split_once(':').map_or(name, |(header, _)| header);
            http::HeaderName::from_bytes(name.as_bytes()).is_ok()
        };
        let is_path = |path: &str| !path.is_empty() && path.split('.').all(|name| !name.is_empty());
        let headers = "`budget.feedback` names a header that can't be one";
        match self {
            Self::Remaining(settings) => {
                let reset = settings.reset.as_deref().is_none_or(is_header);
                (!is_header(&settings.remaining) || !reset).then_some(headers)
            }
            Self::Ratio(settings) => (!is_header(&settings.header)).then_some(headers),
            Self::Points(settings) => {
                let mut paths =
                    [&settings.available, &settings.restore, &settings.cost].into_iter();
                let maximum = settings.maximum.as_deref().is_none_or(is_path);
                (!maximum || !paths.all(|path| is_path(path)))
                    .then_some("`budget.feedback` paths are member names with points between them")
            }
            Self::Percent(settings) if !(1..=100).contains(&settings.most) => {
                Some("`budget.feedback.most` must be between 1 and 100")
            }
            Self::Percent(settings) => (!is_header(&settings.header)).then_some(headers),
        }
    }

    /// Reads a reply; nothing when it does not tell.
    pub(crate) fn read(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Option<Word> {
        match self {
            Self::Remaining(settings) => settings.read(headers, now),
            Self::Ratio(settings) => settings.read(headers),
            Self::Points(settings) => settings.read(body),
            Self::Percent(settings) => settings.read(headers),
        }
    }
}

impl RemainingSettings {
    fn read(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Option<Word> {
        // Some vendors send a fraction, or a negative number when calls are owed.
        let calls = decimal(&value(headers, &self.remaining)?)?
            .max(Decimal::ZERO)
            .to_u64()?;
        let reset = self.reset.as_ref().and_then(|name| {
            let number = decimal(&value(headers, name)?)?;
            self.unit.wait(number, now)
        });
        Some(Word::Left {
            calls,
            fresh_in: reset.unwrap_or(UNTOLD),
        })
    }
}

impl ResetUnit {
    fn wait(self, number: Decimal, now: DateTime<Utc>) -> Option<Duration> {
        let scaled = |per_second: i64| {
            let micros = number.checked_mul(Decimal::from(1_000_000 / per_second))?;
            micros.to_i64()
        };
        let micros = match self {
            Self::DeltaS | Self::EpochS => scaled(1)?,
            Self::DeltaMs | Self::EpochMs => scaled(1_000)?,
            Self::DeltaUs => scaled(1_000_000)?,
        };
        let wait = match self {
            Self::DeltaS | Self::DeltaMs | Self::DeltaUs => TimeDelta::microseconds(micros),
            Self::EpochS | Self::EpochMs => DateTime::from_timestamp_micros(micros)? - now,
        };
        Some(wait.to_std().unwrap_or(Duration::ZERO))
    }
}

impl RatioSettings {
    fn read(&self, headers: &HeaderMap) -> Option<Word> {
        let text = value(headers, &self.header)?;
        let text = text.split([',', ';']).map(str::trim);
        let mut pairs = text.filter_map(|part| part.strip_prefix(self.prefix.as_str()));
        let (used, allowed) = pairs.next()?.split_once('/')?;
        let (used, allowed) = (decimal(used)?.to_f64()?, decimal(allowed)?.to_f64()?);
        let available = (allowed - used).max(0.0);
        match self.restore {
            Some(rate) => Some(Word::Purse {
                available,
                maximum: allowed,
                restore: f64::from(rate.count) / rate.per.as_secs_f64(),
                cost: 1.0,
            }),
            None => Some(Word::Left {
                calls: available.to_u64()?,
                fresh_in: UNTOLD,
            }),
        }
    }
}

impl PointsSettings {
    fn read(&self, body: &[u8]) -> Option<Word> {
        let number = |path: &str| number_at(body, path)?.to_f64();
        let available = number(&self.available)?;
        let maximum = self.maximum.as_ref().and_then(|path| number(path));
        Some(Word::Purse {
            available,
            maximum: maximum.unwrap_or(f64::MAX),
            restore: number(&self.restore)?,
            // A refused call has no cost of its own; then any room will do.
            cost: number(&self.cost).unwrap_or(1.0),
        })
    }
}

impl PercentSettings {
    fn read(&self, headers: &HeaderMap) -> Option<Word> {
        let text = value(headers, &self.header)?;
        let used = self
            .members
            .iter()
            .filter_map(|member| number_at(text.as_bytes(), member))
            .max()?;
        (used >= Decimal::from(self.most)).then_some(Word::Silence(self.pause.0))
    }
}

/// A header's value; of `header:member`, that member's of a list such as `total=100; remaining=99`.
fn value(headers: &HeaderMap, name: &str) -> Option<String> {
    let (header, member) = match name.split_once(':') {
        Some((header, member)) => (header, Some(member)),
        None => (name, None),
    };
    let text = headers.get(header)?.to_str().ok()?;
    let Some(member) = member else {
        return Some(text.trim().to_owned());
    };
    let mut pairs = text
        .split([';', ','])
        .filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(member));
    found.map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn read(settings: &str, headers: &[(&'static str, &str)], body: &str) -> Option<Word> {
        let settings: FeedbackSettings = serde_json::from_str(settings).unwrap();
        assert_eq!(settings.problem(), None);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let now = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        settings.read(&map, body.as_bytes(), now)
    }

    #[track_caller]
    fn check_left(unit: &str, reset: &str, millis: u64) {
        let settings = format!(
            r#"{{"kind": "remaining", "remaining": "X-Left", "reset": "X-Reset", "unit": "{unit}"}}"#
        );
        let word = read(&settings, &[("x-left", "41"), ("x-reset", reset)], "");
        let fresh_in = Duration::from_millis(millis);
        assert_eq!(
            word,
            Some(Word::Left {
                calls: 41,
                fresh_in
            })
        );
    }

    #[test]
    fn a_reset_is_read_in_its_unit() {
        check_left("delta_s", "30", 30_000);
        check_left("delta_s", "0.5", 500);
        check_left("delta_ms", "1500", 1_500);
        check_left("delta_us", "2500000", 2_500);
        check_left("epoch_s", "1750000030", 30_000);
        check_left("epoch_ms", "1750000000250", 250);
        check_left("epoch_s", "1749999999", 0);
        check_left("epoch_s", "soon", 1_000);
    }

    #[test]
    fn a_list_in_a_header_has_members() {
        let settings =
            r#"{"kind": "remaining", "remaining": "X-Limit:remaining", "reset": "X-Limit:resets"}"#;
        let header = [("x-limit", "total=100; remaining=99; resets=41")];
        let fresh_in = Duration::from_secs(41);
        let expected = Word::Left {
            calls: 99,
            fresh_in,
        };
        assert_eq!(read(settings, &header, ""), Some(expected));
        assert_eq!(read(settings, &[("x-limit", "total=100")], ""), None);
    }

    #[test]
    fn a_ratio_is_used_of_allowed() {
        let settings = r#"{"kind": "ratio", "header": "X-Calls", "restore": "2/s"}"#;
        let expected = Word::Purse {
            available: 30.0,
            maximum: 40.0,
            restore: 2.0,
            cost: 1.0,
        };
        assert_eq!(read(settings, &[("x-calls", "10/40")], ""), Some(expected));
        let settings = r#"{"kind": "ratio", "header": "X-Info", "prefix": "api-usage="}"#;
        let header = [("x-info", "per-app-api-usage=9/250, api-usage=15000/15000")];
        let expected = Word::Left {
            calls: 0,
            fresh_in: UNTOLD,
        };
        assert_eq!(read(settings, &header, ""), Some(expected));
        assert_eq!(read(settings, &[("x-info", "api-usage=many")], ""), None);
    }

    #[test]
    fn points_and_percentages_are_found_where_they_are() {
        let settings = r#"{"kind": "points", "available": "c.left", "restore": "c.rate", "cost": "c.spent", "maximum": "c.max"}"#;
        let body = r#"{"data": {}, "c": {"spent": 12, "left": 988.5, "rate": 50, "max": 1000}}"#;
        let expected = Word::Purse {
            available: 988.5,
            maximum: 1000.0,
            restore: 50.0,
            cost: 12.0,
        };
        assert_eq!(read(settings, &[], body), Some(expected));
        assert_eq!(read(settings, &[], "<html>"), None);
        let settings = r#"{"kind": "percent", "header": "X-Usage", "members": ["call_count", "total_time"], "pause": "30s"}"#;
        let usage = |count: u32| format!(r#"{{"call_count": {count}, "total_time": 3}}"#);
        assert_eq!(read(settings, &[("x-usage", &usage(94))], ""), None);
        let expected = Word::Silence(Duration::from_secs(30));
        assert_eq!(
            read(settings, &[("x-usage", &usage(95))], ""),
            Some(expected)
        );
    }

    #[test]
    fn what_can_not_work_is_told() {
        for settings in [
            r#"{"kind": "remaining", "remaining": "X Left"}"#,
            r#"{"kind": "ratio", "header": ""}"#,
            r#"{"kind": "points", "available": "a..b", "restore": "r", "cost": "c"}"#,
            r#"{"kind": "percent", "header": "X", "members": [], "most": 101}"#,
        ] {
            let settings: FeedbackSettings = serde_json::from_str(settings).unwrap();
            assert!(settings.problem().is_some(), "{settings:?}");
        }
    }
}
