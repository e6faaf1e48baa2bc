//! Points in time: every notation becomes RFC 3339 in UTC.

use std::fmt::Write as _;

use chrono::{
    DateTime, Days, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta,
    TimeZone, Utc,
};
use chrono_tz::Tz;

use crate::connector::language::error::EvaluateError;
use crate::connector::language::filter::Arguments;
use crate::protocol::tree::Tree;

/// Longest text that is read as a point in time.
const TEXT_BYTES_MAX: usize = 128;

/// Reads a text by a `strptime` format; without an offset in the format a zone says where it was written.
pub fn date(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let format = arguments.required(0, "format")?;
    let refuse = || arguments.refuse(&format!("a date written as `{format}`"), value);
    let text = text_of(value).ok_or_else(refuse)?;
    if format.contains("%z") || format.contains("%:z") || format.contains("%#z") {
        let point = DateTime::parse_from_str(text, format).map_err(|_| refuse())?;
        return Ok(written(point.to_utc()));
    }
    let local = NaiveDateTime::parse_from_str(text, format)
        .or_else(|_| {
            NaiveDate::parse_from_str(text, format).map(|day| day.and_time(NaiveTime::MIN))
        })
        .map_err(|_| refuse())?;
    in_zone(local, arguments, 1).map(written)
}

/// Reads RFC 3339 and its common relatives: a space for the `T`, an offset without colon, no seconds, `24:00:00`, and
/// none at all when a zone is given.
pub fn datetime(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let parsed = text_of(value)
        .and_then(lenient)
        .ok_or_else(|| arguments.refuse("a date and time as in RFC 3339", value))?;
    let (local, offset) = parsed;
    let Some(offset) = offset else {
        return in_zone(local, arguments, 0).map(written);
    };
    local
        .and_local_timezone(offset)
        .single()
        .map(|point| written(point.to_utc()))
        .ok_or_else(|| arguments.refuse("a date and time in range", value))
}

/// Writes a point in time by a `strftime` format, in a zone or else in UTC.
pub fn strftime(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let format = arguments.required(0, "format")?;
    let Tree::Text(point) = datetime(
        value,
        &Arguments {
            positional: &[],
            named: &[],
            ..*arguments
        },
    )?
    else {
        return Ok(Tree::Null);
    };
    let refuse = || arguments.refuse(&format!("a time that `{format}` can write"), value);
    let point = DateTime::parse_from_rfc3339(&point).map_err(|_| refuse())?;
    let zone = match arguments.text(1, "zone")? {
        Some(name) => name
            .parse::<Tz>()
            .map_err(|_| arguments.refuse("an IANA time zone", &Tree::Text(name.into())))?,
        None => Tz::UTC,
    };
    let mut text = String::new();
    write!(text, "{}", point.with_timezone(&zone).format(format)).map_err(|_| refuse())?;
    Ok(Tree::Text(text.into()))
}

/// Reads seconds since 1970, also with a fraction.
pub fn epoch_s(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    since_epoch(value, 9).ok_or_else(|| arguments.refuse("seconds since 1970", value))
}

/// Reads milliseconds since 1970, also with a fraction.
pub fn epoch_ms(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    since_epoch(value, 6).ok_or_else(|| arguments.refuse("milliseconds since 1970", value))
}

/// Reads OData version 2's `/Date(milliseconds+offset)/`; the offset only says where it was written.
pub fn odata_date(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    text_of(value)
        .and_then(|text| text.strip_prefix("/Date(")?.strip_suffix(")/"))
        .map(|inner| {
            let sign = inner.rfind(['+', '-']).filter(|at| *at > 0);
            sign.and_then(|at| inner.get(..at)).unwrap_or(inner)
        })
        .and_then(|digits| since_epoch(&Tree::Number(digits.into()), 6))
        .ok_or_else(|| arguments.refuse("a date written as `/Date(milliseconds)/`", value))
}

/// Reads the dates of mail headers.
pub fn rfc2822(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    text_of(value)
        .and_then(|text| DateTime::parse_from_rfc2822(text).ok())
        .map(|point| written(point.to_utc()))
        .ok_or_else(|| arguments.refuse("a date as in RFC 2822", value))
}

/// Whether there is such an IANA time zone.
pub fn is_zone(name: &str) -> bool {
    name.parse::<Tz>().is_ok()
}

fn written(point: DateTime<Utc>) -> Tree {
    Tree::Text(point.to_rfc3339_opts(SecondsFormat::AutoSi, true).into())
}

fn text_of(value: &Tree) -> Option<&str> {
    match value {
        Tree::Text(text) | Tree::Number(text) if text.len() <= TEXT_BYTES_MAX => Some(text.trim()),
        _ => None,
    }
}

/// A local time in the zone of the argument. Of a time that comes twice the first is taken; one that clocks skip is
/// moved by the hour they skip.
fn in_zone(
    local: NaiveDateTime,
    arguments: &Arguments<'_>,
    place: usize,
) -> Result<DateTime<Utc>, EvaluateError> {
    let name = arguments.required(place, "zone")?;
    let zone = name
        .parse::<Tz>()
        .map_err(|_| arguments.refuse("an IANA time zone", &Tree::Text(name.into())))?;
    zone.from_local_datetime(&local)
        .earliest()
        .or_else(|| {
            let moved = local.checked_add_signed(TimeDelta::hours(1))?;
            zone.from_local_datetime(&moved).earliest()
        })
        .map(|point| point.to_utc())
        .ok_or_else(|| arguments.refuse("a local time that exists", &Tree::Null))
}

fn lenient(text: &str) -> Option<(NaiveDateTime, Option<FixedOffset>)> {
    let (day, rest) = text.split_at_checked(10)?;
    let day = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-', ' ']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at_checked(zone_at)?;
    let offset = offset(zone.trim_start())?;
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, nanoseconds(fraction)?),
        None => (clock, 0),
    };
    let numbers = clock
        .split(':')
        .map(two_digits)
        .collect::<Option<Vec<u32>>>()?;
    let (hour, minute, second) = match numbers.as_slice() {
        [hour, minute] => (*hour, *minute, 0),
        [hour, minute, second] => (*hour, *minute, *second),
        _ => return None,
    };
    if (hour, minute, second, fraction) == (24, 0, 0, 0) {
        let next = day.checked_add_days(Days::new(1))?;
        return Some((next.and_time(NaiveTime::MIN), offset));
    }
    let time = NaiveTime::from_hms_nano_opt(hour, minute, second, fraction)?;
    Some((day.and_time(time), offset))
}

fn two_digits(text: &str) -> Option<u32> {
    let is_pair = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_pair)
}

fn nanoseconds(fraction: &str) -> Option<u32> {
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<9}").parse().ok()
}

/// The offset a text ends in; `Some(None)` when there is none, `None` when it is not one.
#[expect(
    clippy::option_option,
    reason = "absent and wrong are different answers"
)]
fn offset(text: &str) -> Option<Option<FixedOffset>> {
    if text.is_empty() {
        return Some(None);
    }
    if text.eq_ignore_ascii_case("z") {
        return FixedOffset::east_opt(0).map(Some);
    }
    let (sign, digits) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(digits), _) => (1, digits),
        (None, Some(digits)) => (-1, digits),
        (None, None) => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = match minutes.strip_prefix(':').unwrap_or(minutes) {
        "" => 0,
        minutes => two_digits(minutes)?,
    };
    let hours = two_digits(hours)?;
    if minutes > 59 {
        return None;
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    FixedOffset::east_opt(sign * seconds).map(Some)
}

/// A point so many units after 1970; a unit is ten to the power of `digits` nanoseconds.
fn since_epoch(value: &Tree, digits: usize) -> Option<Tree> {
    let text = text_of(value)?;
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => (-1, magnitude),
        None => (1, text),
    };
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 15 || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let fraction = fraction.get(..digits).unwrap_or(fraction);
    let nanoseconds = format!("{whole}{fraction:0<digits$}")
        .parse::<i128>()
        .ok()?
        * sign;
    let second = 1_000_000_000;
    let seconds = i64::try_from(nanoseconds.div_euclid(second)).ok()?;
    let rest = u32::try_from(nanoseconds.rem_euclid(second)).ok()?;
    DateTime::from_timestamp(seconds, rest).map(written)
}
