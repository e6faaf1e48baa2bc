//! Tells in an answer's `extensions` what it cost.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use metrics::gauge;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};

use crate::auth::caller::Caller;
use crate::telemetry::CALLER_COST;
use crate::transport::charge::{Bill, Charge};

/// The answer with `extensions.cost` as its last member. The answer must be an object without extensions, as the
/// writer makes them; it may be one that is given again, so it is copied.
pub(crate) fn tell(answer: &Bytes, query: u64, bill: &Bill) -> Bytes {
    let Some(open) = answer.strip_suffix(b"}") else {
        return answer.clone();
    };
    let list = |charges: &[Charge]| charges.iter().map(line).collect::<Vec<_>>();
    let (charges, savings) = (bill.charges(), bill.savings());
    let cost = json!({
        "query": query,
        "amounts": amounts(&charges),
        "calls": list(&charges),
        "saved": {"amounts": amounts(&savings), "calls": list(&savings)},
    })
    .to_string();
    Bytes::from([open, b",\"extensions\":{\"cost\":", cost.as_bytes(), b"}}"].concat())
}

/// Adds up in the metrics who spent how much, by which operation.
#[derive(Debug, Default)]
pub(crate) struct Spenders(Mutex<HashSet<(String, String)>>);

/// Pairs of caller and operation with figures of their own; all others are counted together.
const SPENDERS_MAX: usize = 1000;
/// Longer names are counted together.
const NAME_BYTES_MAX: usize = 100;

impl Spenders {
    /// Counts what one request cost.
    pub(crate) fn count(&self, caller: &Caller, operation: &str, bill: &Bill) {
        for charge in bill.charges() {
            let (Some(currency), Some(amount)) = (&charge.currency, charge.amount.to_f64()) else {
                continue;
            };
            let (caller, operation) = self.name(&caller.subject, operation);
            gauge!(
                CALLER_COST,
                "source" => charge.source.clone(), "caller" => caller, "operation" => operation,
                "currency" => currency.to_string()
            )
            .increment(amount);
        }
    }

    fn name(&self, caller: &str, operation: &str) -> (String, String) {
        let others = || ("others".to_owned(), "others".to_owned());
        if caller.len() > NAME_BYTES_MAX || operation.len() > NAME_BYTES_MAX {
            return others();
        }
        let name = (caller.to_owned(), operation.to_owned());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&name) {
            return name;
        }
        if known.len() >= SPENDERS_MAX {
            return others();
        }
        known.insert(name.clone());
        name
    }
}

/// What it comes to in each currency, which are never added up.
fn amounts(charges: &[Charge]) -> Vec<Value> {
    let mut sums: BTreeMap<&str, Decimal> = BTreeMap::new();
    for charge in charges {
        if let Some(currency) = &charge.currency {
            let sum = sums.entry(currency).or_default();
            *sum = sum.saturating_add(charge.amount);
        }
    }
    sums.into_iter()
        .map(|(currency, amount)| json!({"currency": currency, "amount": text(amount)}))
        .collect()
}

fn line(charge: &Charge) -> Value {
    json!({
        "source": &*charge.source,
        "operation": &*charge.operation,
        "count": charge.calls,
        "rate": text(charge.rate()),
        "units": text(charge.units),
        "unit": charge.unit.map(|unit| unit.as_str()),
        "price": text(charge.price),
        "amount": text(charge.amount),
        "currency": charge.currency.as_deref(),
    })
}

fn text(number: Decimal) -> String {
    number.normalize().to_string()
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::tell;
    use crate::transport::charge::{Bill, Charge};
    use crate::transport::settings::PriceUnit;

    fn charge(source: &str, amount: &str, currency: &str) -> Charge {
        Charge {
            source: source.into(),
            operation: "Order.get".into(),
            calls: 2,
            units: 5.into(),
            unit: Some(PriceUnit::Point),
            price: "0.10".parse().unwrap(),
            amount: amount.parse().unwrap(),
            currency: Some(currency.into()),
        }
    }

    #[test]
    fn currencies_are_never_added_up() {
        let charges = [
            charge("erp", "0.1", "EUR"),
            charge("shop", "0.2", "USD"),
            charge("crm", "0.2", "EUR"),
        ];
        let bill = Bill::default();
        charges.iter().for_each(|charge| bill.add(charge));
        bill.save(&charge("erp", "0.4", "EUR"));
        let told = tell(&Bytes::from_static(b"{\"data\":{}}"), 7, &bill);
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(told["data"], json!({}));
        let cost = &told["extensions"]["cost"];
        assert_eq!(
            cost["amounts"],
            json!([{"currency": "EUR", "amount": "0.3"}, {"currency": "USD", "amount": "0.2"}])
        );
        assert_eq!(
            cost["saved"]["amounts"],
            json!([{"currency": "EUR", "amount": "0.4"}])
        );
        assert_eq!(cost["query"], 7);
        assert_eq!(
            cost["calls"][0],
            json!({
                "source": "erp", "operation": "Order.get", "count": 2, "rate": "2.5", "units": "5", "unit": "point",
                "price": "0.1", "amount": "0.1", "currency": "EUR",
            })
        );
    }
}
