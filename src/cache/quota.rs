//! What replicas count together for callers: what each may ask in a length of time, and how many streams it holds.

use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;

use crate::cache::redis::RedisTier;

/// How long a stored text is kept after it was last asked for.
const TEXT_LIFE: Duration = Duration::from_secs(24 * 3600);

/// A quota that fills up evenly (the generic cell rate algorithm): one number says until when it is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many units there are.
    pub count: u64,
    /// The time in which they come back.
    pub per: Duration,
}

impl Quota {
    /// The time that one unit takes to come back, in microseconds and parts of them: a second has more units of cost.
    pub fn unit_micros(self) -> f64 {
        self.room_micros() / (self.count.max(1) as f64)
    }

    /// The time that all units take, in microseconds.
    pub fn room_micros(self) -> f64 {
        self.per.as_secs_f64() * 1e6
    }
}

/// One quota that is asked for units.
#[derive(Debug, Clone, Copy)]
pub struct Draw<'a> {
    /// Whose quota it is, and which.
    pub name: &'a str,
    /// Its size.
    pub quota: Quota,
    /// The units wanted.
    pub wanted: u64,
}

/// How a quota stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How long it takes until the units wanted are there; zero when they are.
    pub wait: Duration,
    /// How long it takes until all units are back.
    pub full_in: Duration,
}

/// All quotas give, or none does. The clock is that of Redis.
static DRAW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("quota.lua")));

/// Seats of one caller as a sorted set by the end of their lease. Arguments: the seat, how many there are, its lease.
static SEAT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] * 1000 + math.floor(time[2] / 1000)
         redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
         local is_held = redis.call('ZSCORE', KEYS[1], ARGV[1])
         if not is_held and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
           return 0
         end
         redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
         redis.call('PEXPIRE', KEYS[1], ARGV[3])
         return 1",
    )
});

impl RedisTier {
    /// Draws from several quotas of one owner at once; nothing at all when Redis fails.
    pub async fn draw(&self, owner: &str, draws: &[Draw<'_>]) -> Option<(bool, Vec<Standing>)> {
        let mut call = DRAW.prepare_invoke();
        for draw in draws {
            call.key(self.caller_key(owner, draw.name));
            call.arg(draw.quota.unit_micros())
                .arg(draw.quota.room_micros())
                .arg(draw.wanted);
        }
        let work = |mut connection| async move { call.invoke_async(&mut connection).await };
        let numbers: Vec<u64> = self.guarded(self.settings().timeout(), work).await?;
        let (given, rest) = numbers.split_first()?;
        let standings = rest.chunks_exact(2).map(|pair| Standing {
            wait: Duration::from_micros(pair.first().copied().unwrap_or_default()),
            full_in: Duration::from_micros(pair.last().copied().unwrap_or_default()),
        });
        Some((*given == 1, standings.collect()))
    }

    /// Takes or keeps a seat for the length of a lease; nothing at all when Redis fails.
    pub async fn take_seat(
        &self,
        owner: &str,
        seat: &str,
        seats_max: u32,
        lease: Duration,
    ) -> Option<bool> {
        let mut call = SEAT.key(self.caller_key(owner, "streams"));
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        call.arg(seat).arg(seats_max).arg(lease_ms);
        let work = |mut connection| async move { call.invoke_async(&mut connection).await };
        let taken: u32 = self.guarded(self.settings().timeout(), work).await?;
        Some(taken == 1)
    }

    /// Gives a seat back; when Redis fails its lease ends by itself.
    pub async fn leave_seat(&self, owner: &str, seat: &str) {
        let mut command = redis::cmd("ZREM");
        command.arg(self.caller_key(owner, "streams")).arg(seat);
        let work = |mut connection| async move { command.exec_async(&mut connection).await };
        self.guarded(self.settings().write_timeout(), work).await;
    }

    /// A text that replicas share, by the digest of what it is.
    pub async fn text(&self, digest: &str) -> Option<String> {
        let mut command = redis::cmd("GETEX");
        command
            .arg(self.text_key(digest))
            .arg("PX")
            .arg(u64::try_from(TEXT_LIFE.as_millis()).unwrap_or(u64::MAX));
        let work = |mut connection| async move { command.query_async(&mut connection).await };
        self.guarded::<Option<String>, _>(self.settings().timeout(), work)
            .await?
    }

    /// Keeps a text for all replicas.
    pub async fn keep_text(&self, digest: &str, text: &str) {
        let mut command = redis::cmd("SET");
        command
            .arg(self.text_key(digest))
            .arg(text)
            .arg("PX")
            .arg(u64::try_from(TEXT_LIFE.as_millis()).unwrap_or(u64::MAX));
        let work = |mut connection| async move { command.exec_async(&mut connection).await };
        self.guarded(self.settings().write_timeout(), work).await;
    }

    /// The name of a key. The braces keep all keys of an owner on one node of a cluster.
    fn caller_key(&self, owner: &str, name: &str) -> String {
        format!(
            "tributary:{}:caller:{{{owner}}}:{name}",
            self.settings().prefix
        )
    }

    fn text_key(&self, digest: &str) -> String {
        format!("tributary:{}:document:{digest}", self.settings().prefix)
    }
}
