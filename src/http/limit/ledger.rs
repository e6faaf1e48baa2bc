//! What callers have used in this process; it decides while no Redis does.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cache::quota::{Quota, Standing};

/// Callers that are remembered; the least busy are forgotten first.
const CALLERS_MAX: usize = 100_000;

/// Until when the quotas of one caller are used up, in microseconds of the clock, and how many streams it holds.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    busy_until: [f64; 2],
    streams: u32,
}

/// All accounts.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    accounts: Mutex<HashMap<String, Account>>,
}

impl Ledger {
    /// Draws from both quotas of a caller, or from neither.
    pub(crate) fn draw(
        &self,
        owner: &str,
        quotas: [Quota; 2],
        wanted: [u64; 2],
        now: f64,
    ) -> (bool, Vec<Standing>) {
        let mut accounts = self.lock(now);
        let account = accounts.entry(owner.to_owned()).or_default();
        let drawn: Vec<(f64, f64, f64)> = quotas
            .iter()
            .zip(wanted)
            .zip(account.busy_until)
            .map(|((quota, wanted), busy_until)| {
                let busy = busy_until.max(now);
                let after = busy + quota.unit_micros() * wanted as f64;
                let wait = (after - quota.room_micros() - now).max(0.0);
                (busy, after, wait)
            })
            .collect();
        let is_given = drawn.iter().all(|(_, _, wait)| *wait <= 0.0);
        let standings = drawn.iter().map(|(busy, after, wait)| Standing {
            wait: micros(*wait),
            full_in: micros(if is_given { *after } else { *busy } - now),
        });
        let standings = standings.collect();
        if is_given {
            for (slot, (_, after, _)) in account.busy_until.iter_mut().zip(&drawn) {
                *slot = *after;
            }
        }
        (is_given, standings)
    }

    /// Notes how a caller stands with all replicas together.
    pub(crate) fn note(&self, owner: &str, standings: &[Standing], now: f64) {
        let mut accounts = self.lock(now);
        let account = accounts.entry(owner.to_owned()).or_default();
        for (slot, standing) in account.busy_until.iter_mut().zip(standings) {
            *slot = now + standing.full_in.as_secs_f64() * 1e6;
        }
    }

    /// Counts a stream, unless the caller holds as many as it may.
    pub(crate) fn open_stream(&self, owner: &str, streams_max: u32, now: f64) -> bool {
        let mut accounts = self.lock(now);
        let account = accounts.entry(owner.to_owned()).or_default();
        if account.streams >= streams_max {
            return false;
        }
        account.streams = account.streams.saturating_add(1);
        true
    }

    /// Counts a stream no more.
    pub(crate) fn close_stream(&self, owner: &str) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get_mut(owner) {
            account.streams = account.streams.saturating_sub(1);
        }
    }

    /// The accounts, with room for one more.
    fn lock(&self, now: f64) -> MutexGuard<'_, HashMap<String, Account>> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= CALLERS_MAX {
            let is_busy = |account: &Account| {
                account.streams > 0 || account.busy_until.iter().any(|until| *until > now)
            };
            accounts.retain(|_, account| is_busy(account));
        }
        if accounts.len() >= CALLERS_MAX {
            // All of them are busy: those without streams start anew, which errs on the side of serving.
            accounts.retain(|_, account| account.streams > 0);
        }
        accounts
    }
}

fn micros(count: f64) -> Duration {
    Duration::try_from_secs_f64(count / 1e6).unwrap_or_default()
}
