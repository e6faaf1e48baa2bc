//! Permits that replicas take from common limits: one script, so that no two replicas count at the same time.

use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;

use crate::cache::redis::RedisTier;

/// How long a replica counts as one after it was last heard of.
const REPLICA_LIFE: Duration = Duration::from_secs(60);

/// A limit that replicas share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedLimit {
    /// Tells it from the other limits of its owner.
    pub name: String,
    /// How many permits count at once at most.
    pub calls: u64,
    /// How long a permit counts.
    pub counts_for: Duration,
    /// How finely times are told apart; with zero all permits count until the limit itself ends, after `counts_for`.
    pub grain: Duration,
}

/// A request for permits.
#[derive(Debug, Clone, Copy)]
pub struct LeaseRequest<'a> {
    /// Whose limits they are.
    pub owner: &'a str,
    /// Who asks.
    pub replica: &'a str,
    /// How many permits are wanted.
    pub count: u32,
    /// The limits that all must allow it.
    pub limits: &'a [SharedLimit],
}

/// Permits that were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// How many, perhaps none.
    pub granted: u32,
    /// When to ask again, when there are none.
    pub wait: Duration,
    /// How many replicas asked of late.
    pub replicas: u32,
}

/// Counts permits in grains of time, so that a limit of a day takes no more room than one of a second. The clock is that of
/// Redis. Keys: the replicas, the silence, then each limit; arguments: the replica and its life, the count, then of each
/// limit its calls, how long a permit counts, and its grain.
static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("permit.lua")));

/// Lets a silence only become longer: a short word must not end a long one.
static HOLD: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then \
         redis.call('SET', KEYS[1], 1, 'PX', ARGV[1]) end",
    )
});

impl RedisTier {
    /// Takes permits, as many of those wanted as all limits allow; nothing at all when Redis fails.
    pub async fn lease(&self, request: &LeaseRequest<'_>) -> Option<Lease> {
        let millis = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let mut call = LEASE.key(self.budget_key(request.owner, "replicas"));
        call.key(self.budget_key(request.owner, "silence"));
        call.arg(request.replica)
            .arg(millis(REPLICA_LIFE))
            .arg(request.count);
        for limit in request.limits {
            call.key(self.budget_key(request.owner, &limit.name));
            call.arg(limit.calls)
                .arg(millis(limit.counts_for))
                .arg(millis(limit.grain));
        }
        let work = |mut connection| async move { call.invoke_async(&mut connection).await };
        let (granted, wait, replicas): (u32, u64, u32) =
            self.guarded(self.settings().timeout(), work).await?;
        Some(Lease {
            granted,
            wait: Duration::from_millis(wait),
            replicas,
        })
    }

    /// Lets nobody have permits of an owner for that long.
    pub async fn hold(&self, owner: &str, wait: Duration) {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut call = HOLD.key(self.budget_key(owner, "silence"));
        call.arg(millis);
        let work = |mut connection| async move { call.invoke_async(&mut connection).await };
        let _: Option<()> = self.guarded(self.settings().write_timeout(), work).await;
    }

    /// The name of a key. The braces keep all keys of an owner on one node of a cluster.
    fn budget_key(&self, owner: &str, name: &str) -> String {
        format!(
            "tributary:{}:budget:{{{owner}}}:{name}",
            self.settings().prefix
        )
    }
}
