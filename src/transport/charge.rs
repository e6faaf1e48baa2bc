//! What calls cost: Cost = n calls × r units a call × c a unit, in exact decimals.

use std::sync::{Arc, Mutex, PoisonError};

use rust_decimal::Decimal;

use crate::transport::settings::PriceUnit;

/// The cost of the calls of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The source.
    pub source: Arc<str>,
    /// The operation, as `Entity.operation`.
    pub operation: Arc<str>,
    /// How often the vendor was called: n, repeated calls included.
    pub calls: u64,
    /// How many units that were: n × r.
    pub units: Decimal,
    /// What is counted; none when the vendor charges nothing.
    pub unit: Option<PriceUnit>,
    /// What one unit costs: c.
    pub price: Decimal,
    /// What it comes to: n × r × c.
    pub amount: Decimal,
    /// The currency, as an ISO 4217 code; none when the vendor charges nothing.
    pub currency: Option<Arc<str>>,
}

impl Charge {
    /// Units a call on the average: r.
    pub fn rate(&self) -> Decimal {
        self.units
            .checked_div(Decimal::from(self.calls))
            .unwrap_or(Decimal::ZERO)
    }
}

/// A list of charges that several calls write on; a clone is the same bill. Also what failed and what was given up is on
/// it, since vendors charge for that too.
#[derive(Debug, Clone, Default)]
pub struct Bill(Arc<Mutex<Vec<Charge>>>);

impl Bill {
    /// Writes a charge down, together with those of the same operation.
    pub fn add(&self, charge: &Charge) {
        let mut charges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = charges
            .iter_mut()
            .find(|known| known.operation == charge.operation && known.source == charge.source);
        let Some(known) = same else {
            charges.push(charge.clone());
            return;
        };
        known.calls = known.calls.saturating_add(charge.calls);
        known.units = known.units.saturating_add(charge.units);
        known.amount = known.amount.saturating_add(charge.amount);
    }

    /// What all of it comes to; of one currency only when it is of one source.
    pub(crate) fn amount(&self) -> Decimal {
        let charges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        charges.iter().fold(Decimal::ZERO, |sum, charge| {
            sum.saturating_add(charge.amount)
        })
    }

    /// The charges so far: one for each operation of each source, in the order of their first calls.
    pub fn charges(&self) -> Vec<Charge> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
