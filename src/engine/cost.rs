//! Tells in an answer's `extensions` what it cost.

use std::collections::BTreeMap;

use bytes::Bytes;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::transport::charge::Charge;

/// The answer with `extensions.cost` as its last member. The answer must be an object without extensions, as the
/// writer makes them; it may be one that is given again, so it is copied.
pub(crate) fn tell(answer: &Bytes, query: u64, charges: &[Charge]) -> Bytes {
    let Some(open) = answer.strip_suffix(b"}") else {
        return answer.clone();
    };
    let cost = json!({
        "query": query,
        "amounts": amounts(charges),
        "calls": charges.iter().map(line).collect::<Vec<_>>(),
    })
    .to_string();
    Bytes::from([open, b",\"extensions\":{\"cost\":", cost.as_bytes(), b"}}"].concat())
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
    use crate::transport::charge::Charge;
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
        let told = tell(&Bytes::from_static(b"{\"data\":{}}"), 7, &charges);
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(told["data"], json!({}));
        let cost = &told["extensions"]["cost"];
        assert_eq!(
            cost["amounts"],
            json!([{"currency": "EUR", "amount": "0.3"}, {"currency": "USD", "amount": "0.2"}])
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
