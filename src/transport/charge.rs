//! What calls cost: Cost = n calls × r units a call × c a unit, in exact decimals.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// What calls hold that a vendor may charge for one by one.
#[derive(Debug, Clone, Copy)]
pub struct Inside {
    /// Keys that are asked for.
    pub keys: usize,
    /// Records that come back.
    pub records: usize,
}

/// A list of charges that several calls write on; a clone is the same bill. Also what failed and what was given up is on
/// it, since vendors charge for that too.
#[derive(Debug, Clone, Default)]
pub struct Bill(Arc<Mutex<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    charges: Vec<Charge>,
    savings: Vec<Charge>,
}

impl Bill {
    /// Writes a charge down, together with those of the same operation.
    pub fn add(&self, charge: &Charge) {
        join(&mut self.lock().charges, charge);
    }

    /// Writes down what was not spent, because a cache had the answer.
    pub fn save(&self, saving: &Charge) {
        join(&mut self.lock().savings, saving);
    }

    /// What all of it comes to; of one currency only when it is of one source.
    pub(crate) fn amount(&self) -> Decimal {
        let lists = self.lock();
        lists.charges.iter().fold(Decimal::ZERO, |sum, charge| {
            sum.saturating_add(charge.amount)
        })
    }

    /// The charges so far: one for each operation of each source, in the order of their first calls.
    pub fn charges(&self) -> Vec<Charge> {
        self.lock().charges.clone()
    }

    /// What the cache saved so far, in the same form.
    pub fn savings(&self) -> Vec<Charge> {
        self.lock().savings.clone()
    }

    /// Units a call of an operation had on the average; nothing before its first call.
    pub(crate) fn rate_of(&self, operation: &str) -> Option<Decimal> {
        let lists = self.lock();
        let mut charges = lists.charges.iter();
        charges
            .find(|charge| &*charge.operation == operation)
            .map(Charge::rate)
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn join(charges: &mut Vec<Charge>, charge: &Charge) {
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
