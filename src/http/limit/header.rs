//! The headers that tell a caller how its quotas stand (draft-ietf-httpapi-ratelimit-headers-10).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::cache::quota::{Quota, Standing};

use crate::http::limit::Allowance;
use crate::http::limit::meter::Paid;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Says what the caller may ask, what is left of it, and when more comes back.
pub(crate) fn write(headers: &mut HeaderMap, allowance: &Allowance, paid: &Paid) {
    let quotas = [("requests", allowance.requests), ("cost", allowance.cost)];
    let policies: Vec<String> = quotas
        .iter()
        .map(|(name, quota)| format!("\"{name}\";q={};w={}", quota.count, quota.per.as_secs()))
        .collect();
    let limits: Vec<String> = quotas
        .iter()
        .zip(&paid.standings)
        .map(|((name, quota), standing)| {
            let (left, reset) = (left(*quota, standing), whole(standing.full_in));
            format!("\"{name}\";r={left};t={reset}")
        })
        .collect();
    for (name, value) in [(POLICY, policies), (LIMIT, limits)] {
        if let Ok(value) = HeaderValue::try_from(value.join(", ")) {
            headers.insert(name, value);
        }
    }
}

/// How long until the request can be paid.
pub(crate) fn wait(paid: &Paid) -> Duration {
    let waits = paid.standings.iter().map(|standing| standing.wait);
    waits.max().unwrap_or_default()
}

fn left(quota: Quota, standing: &Standing) -> u64 {
    // Redis tells whole microseconds, so a little less than a unit may be missing from the last one.
    let used = standing.full_in.as_secs_f64() * 1e6 / quota.unit_micros();
    quota
        .count
        .saturating_sub((used - 0.001).ceil().max(0.0) as u64)
}

fn whole(time: Duration) -> u64 {
    u64::try_from(time.as_millis())
        .unwrap_or(u64::MAX)
        .div_ceil(1000)
}
