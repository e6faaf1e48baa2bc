//! Counts the calls of a source, their time and their money.

use std::sync::Arc;

use metrics::{Gauge, counter, gauge, histogram};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::telemetry::VENDOR_WAIT;
use crate::transport::charge::{Bill, Charge, Inside};
use crate::transport::failure::Failure;
use crate::transport::probe::number_at;
use crate::transport::settings::{PriceSettings, PriceUnit};
use crate::transport::{Call, Reply};

/// The counters of one source.
#[derive(Debug)]
pub(crate) struct Meter {
    source: Arc<str>,
    price: Option<PriceSettings>,
    /// What one unit costs.
    of_one: Decimal,
    currency: Option<Arc<str>>,
    /// All that was ever charged.
    total: Bill,
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
        let currency = price.as_ref().map(|price| price.currency.as_str().into());
        Self {
            source,
            of_one: price.as_ref().map_or(Decimal::ZERO, PriceSettings::of_one),
            currency,
            price,
            total: Bill::default(),
        }
    }

    /// Counts a request that leaves, and charges for it what is known by then.
    pub(crate) fn start(&self, attempt: u32, call: &Call, bill: &Bill) -> InFlight {
        let operation = &call.operation;
        if attempt > 1 {
            counter!("tributary_vendor_retries_total", "source" => self.source.clone(), "operation" => operation.clone())
                .increment(1);
        }
        let units = match self.price.as_ref().map(|price| price.per) {
            Some(PriceUnit::Request | PriceUnit::QuotaShare) => Decimal::ONE,
            Some(PriceUnit::InnerRequest) => Decimal::from(call.inner),
            Some(PriceUnit::Resource | PriceUnit::Point) | None => Decimal::ZERO,
        };
        self.charge(operation, 1, units, bill);
        let running = gauge!("tributary_vendor_calls_in_flight", "source" => self.source.clone());
        running.increment(1.0);
        InFlight(running)
    }

    /// Charges for the points that a reply tells.
    pub(crate) fn charge_points(&self, operation: &Arc<str>, reply: &Reply, bill: &Bill) {
        let path = self.price.as_ref().and_then(|price| price.path.as_ref());
        let points = path.and_then(|path| number_at(&reply.body, path));
        if let Some(points) = points.filter(|points| points.is_sign_positive()) {
            self.charge(operation, 0, points, bill);
        }
    }

    /// Charges for the records that a reply brought.
    pub(crate) fn charge_resources(&self, operation: &Arc<str>, count: usize, bill: &Bill) {
        if self.price.as_ref().map(|price| price.per) == Some(PriceUnit::Resource) {
            self.charge(operation, 0, Decimal::from(count), bill);
        }
    }

    /// What calls that were not made would have cost: `calls` of them, for so many keys and records.
    pub(crate) fn worth(&self, operation: &Arc<str>, calls: u64, inside: Inside) -> Charge {
        let calls_of = Decimal::from(calls);
        let units = match self.price.as_ref().map(|price| price.per) {
            Some(PriceUnit::Request | PriceUnit::QuotaShare) => calls_of,
            Some(PriceUnit::InnerRequest) => Decimal::from(inside.keys),
            Some(PriceUnit::Resource) => Decimal::from(inside.records),
            Some(PriceUnit::Point) => {
                let rate = self.total.rate_of(operation).unwrap_or_default();
                rate.saturating_mul(calls_of)
            }
            None => Decimal::ZERO,
        };
        self.priced(operation, calls, units)
    }

    fn charge(&self, operation: &Arc<str>, calls: u64, units: Decimal, bill: &Bill) {
        let charge = self.priced(operation, calls, units);
        self.total.add(&charge);
        bill.add(&charge);
        if let (Some(currency), Some(spent)) = (&self.currency, self.spent().to_f64()) {
            gauge!("tributary_vendor_cost_total", "source" => self.source.clone(), "currency" => currency.to_string())
                .set(spent);
        }
    }

    fn priced(&self, operation: &Arc<str>, calls: u64, units: Decimal) -> Charge {
        Charge {
            source: self.source.clone(),
            operation: operation.clone(),
            calls,
            units,
            unit: self.price.as_ref().map(|price| price.per),
            price: self.of_one,
            amount: units.saturating_mul(self.of_one),
            currency: self.currency.clone(),
        }
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

    /// Counts the time that a call waited for its turn.
    pub(crate) fn waited(&self, operation: &Arc<str>, seconds: f64) {
        histogram!(VENDOR_WAIT, "source" => self.source.clone(), "operation" => operation.clone())
            .record(seconds);
    }

    /// Counts a call that we refused to send.
    pub(crate) fn refuse(&self, operation: &Arc<str>) {
        self.count(operation, "refused");
    }

    /// All that was charged so far, by operation.
    pub(crate) fn charges(&self) -> Vec<Charge> {
        self.total.charges()
    }

    /// What it comes to; nothing without a price.
    pub(crate) fn spent(&self) -> Decimal {
        self.total.amount()
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
        Err(Failure::ConnectFailed(_) | Failure::Tls { .. } | Failure::Interrupted(_)) => {
            "unreachable"
        }
        Err(Failure::TooLarge { .. } | Failure::Malformed(_) | Failure::Indeterminate(_)) => {
            "server_error"
        }
        Err(
            Failure::CircuitOpen { .. }
            | Failure::Overloaded
            | Failure::RateLimited { .. }
            | Failure::CredentialUnavailable { .. }
            | Failure::ForeignOrigin,
        ) => "refused",
    }
}
