//! Counts what callers use: with all replicas through Redis, and in this process alone while there is none.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::auth::caller::Caller;
use crate::cache::clock::Clock;
use crate::cache::quota::{Draw, Standing};
use crate::cache::redis::RedisTier;
use crate::engine::right::{Overspent, Purse};
use crate::error::Code;

use crate::http::limit::Allowance;
use crate::http::limit::ledger::Ledger;
use crate::http::refusal::Refusal;

/// How long a stream counts without a sign of life from the replica that holds it.
const LEASE: Duration = Duration::from_secs(90);
/// How often that sign is given.
const RENEWAL: Duration = Duration::from_secs(30);

/// The counts of one gateway.
pub struct Meter {
    redis: Option<Arc<RedisTier>>,
    ledger: Ledger,
    clock: Clock,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

impl Meter {
    /// A meter that shares its counts by that Redis.
    pub fn new(redis: Option<Arc<RedisTier>>, clock: Clock) -> Self {
        Self {
            redis,
            ledger: Ledger::default(),
            clock,
        }
    }

    /// What pays for one request of the caller.
    pub(crate) fn wallet(self: &Arc<Self>, caller: &Caller, allowance: &Allowance) -> Arc<Wallet> {
        Arc::new(Wallet {
            meter: Arc::clone(self),
            owner: owner(caller),
            allowance: allowance.clone(),
            paid: Mutex::default(),
        })
    }

    /// Counts one stream of the caller, until the seat is left.
    pub(crate) async fn seat(
        self: &Arc<Self>,
        caller: &Caller,
        streams_max: u32,
    ) -> Result<Seat, Refusal> {
        let owner = owner(caller);
        let refused = || {
            let message = format!("at most {streams_max} streams of this caller may be open");
            Refusal {
                retry_after: Some(RENEWAL),
                ..Refusal::new(Code::RateLimited, message)
            }
        };
        if !self.ledger.open_stream(&owner, streams_max, self.now()) {
            return Err(refused());
        }
        let mut seat = Seat {
            meter: Arc::clone(self),
            owner,
            id: uuid::Uuid::now_v7().simple().to_string(),
            streams_max,
            renew_at: Instant::now(),
        };
        if !seat.renew().await {
            return Err(refused());
        }
        Ok(seat)
    }

    async fn draw(&self, owner: &str, allowance: &Allowance, cost: u64) -> (bool, Vec<Standing>) {
        let quotas = [allowance.requests, allowance.cost];
        // A request that costs more than there ever is waits for all of it, and is not refused for ever.
        let wanted = [1, cost.min(allowance.cost.count)];
        let now = self.now();
        if let Some(redis) = &self.redis {
            let draws = [
                Draw {
                    name: "requests",
                    quota: allowance.requests,
                    wanted: 1,
                },
                Draw {
                    name: "cost",
                    quota: allowance.cost,
                    wanted: wanted[1],
                },
            ];
            if let Some((is_given, standings)) = redis.draw(owner, &draws).await {
                self.ledger.note(owner, &standings, now);
                return (is_given, standings);
            }
        }
        self.ledger.draw(owner, quotas, wanted, now)
    }

    /// Microseconds of the clock.
    fn now(&self) -> f64 {
        self.clock.now().timestamp_micros() as f64
    }
}

/// The caller's name in counts: hashed, so that no key of Redis has a person's name in it.
fn owner(caller: &Caller) -> String {
    let mut digest = Sha256::new();
    digest.update(caller.issuer.as_bytes());
    digest.update([0]);
    digest.update(caller.subject.as_bytes());
    hex::encode(digest.finalize().get(..16).unwrap_or_default())
}

/// Pays for one request.
#[derive(Debug)]
pub(crate) struct Wallet {
    meter: Arc<Meter>,
    owner: String,
    allowance: Allowance,
    paid: Mutex<Option<Paid>>,
}

/// How a payment went.
#[derive(Debug, Clone)]
pub(crate) struct Paid {
    /// Whether it was taken.
    pub(crate) is_given: bool,
    /// How the quotas of requests and of cost stand.
    pub(crate) standings: Vec<Standing>,
}

impl Wallet {
    /// How the request was paid; a request that was refused before it could be is counted now, at no cost.
    pub(crate) async fn settled(&self) -> Paid {
        if let Some(paid) = self.paid() {
            return paid;
        }
        self.pay(0).await
    }

    /// The caller's quotas.
    pub(crate) fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    async fn pay(&self, cost: u64) -> Paid {
        let (is_given, standings) = self.meter.draw(&self.owner, &self.allowance, cost).await;
        let paid = Paid {
            is_given,
            standings,
        };
        *self.paid.lock().unwrap_or_else(PoisonError::into_inner) = Some(paid.clone());
        paid
    }

    /// How the request was paid so far.
    pub(crate) fn paid(&self) -> Option<Paid> {
        self.paid
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Purse for Wallet {
    fn spend(&self, cost: u64) -> BoxFuture<'_, Result<(), Overspent>> {
        Box::pin(async move {
            if self.pay(cost).await.is_given {
                return Ok(());
            }
            Err(Overspent(
                "this caller has used up what it may ask".to_owned(),
            ))
        })
    }
}

/// One stream that counts.
#[derive(Debug)]
pub(crate) struct Seat {
    meter: Arc<Meter>,
    owner: String,
    id: String,
    streams_max: u32,
    renew_at: Instant,
}

impl Seat {
    /// When the next sign of life is due.
    pub(crate) fn renew_at(&self) -> Instant {
        self.renew_at
    }

    /// Gives the other replicas a sign of life; false when they hold as many streams of the caller as it may have.
    pub(crate) async fn renew(&mut self) -> bool {
        self.renew_at = Instant::now() + RENEWAL;
        let Some(redis) = &self.meter.redis else {
            return true;
        };
        redis
            .take_seat(&self.owner, &self.id, self.streams_max, LEASE)
            .await
            .unwrap_or(true)
    }

    /// Frees the seat for other replicas at once, and not at the end of its lease.
    pub(crate) async fn leave(self) {
        if let Some(redis) = &self.meter.redis {
            redis.leave_seat(&self.owner, &self.id).await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.meter.ledger.close_stream(&self.owner);
    }
}
