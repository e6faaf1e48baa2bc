//! The log of what the vendors were asked, by which tests prove how many calls a query costs.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use crate::sandbox::Vendor;

/// So many calls are kept whole; counts go on beyond it.
const CALLS_MAX: usize = 4096;
/// So much of a body is kept.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// One request that a vendor received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Who received it.
    pub vendor: Vendor,
    /// The operation's name, such as `contacts.batch_read`; `unknown` when there is no such path.
    pub operation: String,
    /// The HTTP method.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// The body's beginning as text.
    pub body: String,
}

#[derive(Debug, Default)]
struct Kept {
    calls: VecDeque<Call>,
    counts: BTreeMap<(&'static str, String), u64>,
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    kept: Mutex<Kept>,
}

impl Calls {
    /// Adds a call, and forgets the oldest when there are too many.
    pub(crate) fn record(&self, mut call: Call) {
        if call.body.len() > BODY_BYTES_MAX {
            let end = call.body.floor_char_boundary(BODY_BYTES_MAX);
            call.body.truncate(end);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept
            .counts
            .entry((call.vendor.key(), call.operation.clone()))
            .or_default() += 1;
        if kept.calls.len() >= CALLS_MAX {
            kept.calls.pop_front();
        }
        kept.calls.push_back(call);
    }

    /// The calls since the last reset, oldest first.
    pub(crate) fn all(&self) -> Vec<Call> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.calls.iter().cloned().collect()
    }

    /// How often each operation was called since the last reset.
    pub(crate) fn counts(&self) -> BTreeMap<(&'static str, String), u64> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.counts.clone()
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }
}
