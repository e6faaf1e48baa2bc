//! Counts the calls of a source, their time and their money.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Gauge, counter, gauge, histogram};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::transport::Reply;
use crate::transport::failure::Failure;
use crate::transport::settings::PriceSettings;

/// The counters of one source.
#[derive(Debug)]
pub(crate) struct Meter {
    source: Arc<str>,
    price: Option<PriceSettings>,
    requests: AtomicU64,
}

/// Counts one call as running until it is dropped.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Meter {
    /// Makes one at zero.
    pub(crate) fn new(source: Arc<str>, price: Option<PriceSettings>) -> Self {
        Self {
            source,
            price,
            requests: AtomicU64::new(0),
        }
    }

    /// Counts a request that leaves.
    pub(crate) fn start(&self, attempt: u32, operation: &Arc<str>) -> InFlight {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if attempt > 1 {
            counter!("tributary_vendor_retries_total", "source" => self.source.clone(), "operation" => operation.clone())
                .increment(1);
        }
        if let (Some(price), Some(spent)) = (&self.price, self.spent().to_f64()) {
            gauge!("tributary_vendor_cost_total", "source" => self.source.clone(), "currency" => price.currency.clone())
                .set(spent);
        }
        let running = gauge!("tributary_vendor_calls_in_flight", "source" => self.source.clone());
        running.increment(1.0);
        InFlight(running)
    }

    /// Counts an attempt's outcome and time.
    pub(crate) fn finish(
        &self,
        operation: &Arc<str>,
        outcome: &Result<Reply, Failure>,
        seconds: f64,
    ) {
        histogram!("tributary_vendor_call_seconds", "source" => self.source.clone(), "operation" => operation.clone())
            .record(seconds);
        self.count(operation, outcome_name(outcome));
    }

    /// Counts a call that we refused to send.
    pub(crate) fn refuse(&self, operation: &Arc<str>) {
        self.count(operation, "refused");
    }

    /// Requests so far times the price; nothing without a price.
    pub(crate) fn spent(&self) -> Decimal {
        let requests = Decimal::from(self.requests.load(Ordering::Relaxed));
        let amount = self
            .price
            .as_ref()
            .map_or(Decimal::ZERO, |price| price.amount);
        requests.checked_mul(amount).unwrap_or(Decimal::MAX)
    }

    fn count(&self, operation: &Arc<str>, outcome: &'static str) {
        counter!(
            "tributary_vendor_calls_total",
            "source" => self.source.clone(), "operation" => operation.clone(), "outcome" => outcome
        )
        .increment(1);
    }
}

/// The label of an outcome.
fn outcome_name(outcome: &Result<Reply, Failure>) -> &'static str {
    match outcome {
        Ok(reply) if reply.status.as_u16() == 429 => "rate_limited",
        Ok(reply) if reply.status.is_server_error() => "server_error",
        Ok(reply) if reply.status.is_client_error() => "client_error",
        Ok(_) => "ok",
        Err(Failure::Timeout | Failure::DeadlineExceeded) => "timeout",
        Err(Failure::ConnectFailed(_) | Failure::Interrupted(_)) => "unreachable",
        Err(Failure::TooLarge { .. } | Failure::Malformed(_)) => "server_error",
        Err(
            Failure::CircuitOpen { .. }
            | Failure::Overloaded
            | Failure::RateLimited { .. }
            | Failure::CredentialUnavailable { .. }
            | Failure::ForeignOrigin,
        ) => "refused",
    }
}
