//! Ways in which a vendor can be made to fail.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::sandbox::Vendor;

/// Stands in every error body of `FaultKind::Status`, so that a test can show that a vendor's words do not reach callers.
pub const SECRET_MARKER: &str = "sk_live_SANDBOXSECRET0000";

/// An internal host name that stands beside the secret.
pub const SECRET_HOST: &str = "db-17.internal.vendor.net";

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The connection is closed without an answer.
    Down,
    /// That status, with an error body of the vendor's form that gives away a secret and a host.
    Status(u16),
    /// Too many calls: 429 with `Retry-After: 1`, from the shop 200 with the code `THROTTLED`.
    Throttled,
    /// No answer ever comes.
    Hang,
    /// A page of HTML with status 200, as a proxy sends.
    Rubbish,
    /// The right answer's first half, well framed.
    Truncated,
    /// A SOAP fault with status 200. Vendors that do not speak SOAP send their error body with status 200.
    SoapFault200,
    /// A SOAP fault with status 500. Vendors that do not speak SOAP send their error body with status 500.
    SoapFault500,
    /// The right answer under a content type that does not fit it.
    WrongContentType,
    /// The right answer, one byte every 50 ms.
    DripFeed,
}

/// A fault of one vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The only operation that it concerns; all when absent.
    pub operation: Option<String>,
    /// For how many calls; until it is lifted when absent.
    pub times: Option<u32>,
}

impl Fault {
    /// A fault of every operation, until it is lifted.
    pub fn always(kind: FaultKind) -> Self {
        Self {
            kind,
            operation: None,
            times: None,
        }
    }

    /// A fault of the next `times` calls.
    pub fn times(kind: FaultKind, times: u32) -> Self {
        Self {
            kind,
            operation: None,
            times: Some(times),
        }
    }

    /// The same fault, of one operation only.
    #[must_use]
    pub fn on(self, operation: &str) -> Self {
        Self {
            operation: Some(operation.to_owned()),
            ..self
        }
    }
}

/// The faults that are set, one per vendor at most.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    set: Mutex<BTreeMap<Vendor, Fault>>,
}

impl Faults {
    /// Sets or lifts the vendor's fault.
    pub(crate) fn set(&self, vendor: Vendor, fault: Option<Fault>) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Some(fault) => set.insert(vendor, fault),
            None => set.remove(&vendor),
        };
    }

    /// What shall go wrong with this call; counts it when the fault is for so many calls.
    pub(crate) fn take(&self, vendor: Vendor, operation: &str) -> Option<FaultKind> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = set.get_mut(&vendor)?;
        if fault
            .operation
            .as_deref()
            .is_some_and(|only| only != operation)
        {
            return None;
        }
        if let Some(times) = &mut fault.times {
            *times = times.checked_sub(1)?;
        }
        Some(fault.kind)
    }
}
