//! The limits that replicas share, in Redis.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;

use crate::cache::permit::{Lease, LeaseRequest, SharedLimit};
use crate::cache::redis::RedisTier;
use crate::config::rate::Rate;
use crate::transport::budget::window::{grain_of, slack_of};

/// Counts one source's calls together with the other replicas.
#[derive(Debug)]
pub(crate) struct Ledger {
    source: Arc<str>,
    replica: String,
    redis: Arc<RedisTier>,
}

impl Ledger {
    /// Makes one for a source; asks nothing yet.
    pub(crate) fn new(source: &Arc<str>, redis: Arc<RedisTier>) -> Self {
        Self {
            source: Arc::clone(source),
            replica: uuid::Uuid::new_v4().simple().to_string(),
            redis,
        }
    }

    /// Borrows up to that many permits; nothing when Redis does not answer.
    pub(crate) async fn borrow(
        &self,
        rates: &[(usize, Rate)],
        quota: Option<(NaiveDate, u64, Duration)>,
        count: usize,
    ) -> Option<Lease> {
        // A permit counts from when it is lent; the call may leave and arrive later by the slack.
        let mut limits: Vec<SharedLimit> = rates
            .iter()
            .map(|(index, rate)| SharedLimit {
                name: format!("{index}:{rate}"),
                calls: u64::from(rate.count),
                counts_for: rate.per + slack_of(*rate),
                grain: grain_of(*rate),
            })
            .collect();
        limits.extend(quota.map(|(day, calls, rest)| SharedLimit {
            name: format!("day:{day}"),
            calls,
            counts_for: rest,
            grain: Duration::ZERO,
        }));
        let request = LeaseRequest {
            owner: &self.source,
            replica: &self.replica,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            limits: &limits,
        };
        self.redis.lease(&request).await
    }

    /// Tells the other replicas that the vendor wants to be left alone.
    pub(crate) async fn hold(&self, wait: Duration) {
        self.redis.hold(&self.source, wait).await;
    }
}

/// How long after they were asked for borrowed permits may be used: half of the slack, the rest is for the way.
pub(crate) fn lent_for(rates: &[(usize, Rate)]) -> Duration {
    let slack = rates.iter().map(|(_, rate)| slack_of(*rate) / 2).min();
    slack.unwrap_or(Duration::from_millis(500))
}
