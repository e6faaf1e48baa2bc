//! What calls cost: exact, also for those that fail, and by every unit that vendors charge for.

use tributary::transport::Call;
use tributary::transport::charge::{Bill, Charge};
use tributary::transport::client::SourceClient;
use tributary::transport::settings::PriceUnit;
use tributary::transport::terms::Terms;

use crate::support::client::{client, get, settings, soon};
use crate::support::vendor::{Answer, Vendor};

fn priced(vendor: &Vendor, price: &str) -> SourceClient {
    let mut settings = settings(&vendor.url());
    settings.price = Some(serde_json::from_str(price).unwrap());
    client(settings)
}

/// Sends a call and gives its bill.
async fn billed(client: &SourceClient, call: Call) -> Vec<Charge> {
    let bill = Bill::default();
    let terms = Terms {
        bill: bill.clone(),
        ..Terms::from(soon())
    };
    let operation = call.operation.clone();
    if client.send(call, terms).await.is_ok() {
        client.charge_resources(&operation, 3, &bill);
    }
    bill.charges()
}

/// Checks calls n, units n × r, and the amount n × r × c.
async fn check(price: &str, answers: Vec<Answer>, calls: u64, units: &str, amount: &str) {
    let vendor = Vendor::queue(answers).await;
    let client = priced(&vendor, price);
    let call = Call {
        inner: 25,
        ..get(&vendor, "/")
    };
    let [charge] = &billed(&client, call).await[..] else {
        panic!("one operation has one charge");
    };
    let told = (
        charge.calls,
        charge.units.to_string(),
        charge.amount.normalize().to_string(),
    );
    assert_eq!(
        told,
        (calls, units.to_owned(), amount.to_owned()),
        "{price}"
    );
    assert_eq!(charge.currency.as_deref(), Some("USD"));
    assert_eq!(client.spent(), charge.amount);
}

#[tokio::test]
async fn every_unit_is_counted_exactly() {
    let ok = || vec![Answer::json(r#"{"cost": {"points": 12.5}}"#)];
    let again = || vec![Answer::status(503), Answer::text("ok")];
    let request = r#"{"per": "request", "amount": "0.0002", "currency": "USD"}"#;
    check(request, ok(), 1, "1", "0.0002").await;
    check(request, again(), 2, "2", "0.0004").await;
    check(request, vec![Answer::Close], 3, "3", "0.0006").await;
    let resource = r#"{"per": "resource", "amount": "0.1", "currency": "USD"}"#;
    check(resource, ok(), 1, "3", "0.3").await;
    check(resource, vec![Answer::Close], 3, "0", "0").await;
    let inner = r#"{"per": "inner_request", "amount": "0.01", "currency": "USD"}"#;
    check(inner, again(), 2, "50", "0.5").await;
    let point = r#"{"per": "point", "amount": "0.003", "currency": "USD", "path": "cost.points"}"#;
    check(point, ok(), 1, "12.5", "0.0375").await;
    check(point, vec![Answer::text("<html>")], 1, "0", "0").await;
    let share = r#"{"per": "quota_share", "amount": "300", "currency": "USD", "quota": 15000}"#;
    check(share, ok(), 1, "1", "0.02").await;
}

#[tokio::test]
async fn a_vendor_without_a_price_is_counted_too() {
    let vendor = Vendor::queue([Answer::text("ok")]).await;
    let client = client(settings(&vendor.url()));
    let charges = billed(&client, get(&vendor, "/")).await;
    let told: Vec<_> = charges
        .iter()
        .map(|charge| (charge.calls, charge.unit, charge.amount.is_zero()))
        .collect();
    assert_eq!(told, [(1, None, true)]);
}

#[tokio::test]
async fn a_bill_has_one_line_for_each_operation_whoever_writes_on_it() {
    let vendor = Vendor::queue([Answer::text("ok")]).await;
    let client = priced(
        &vendor,
        r#"{"per": "request", "amount": "0.5", "currency": "EUR"}"#,
    );
    let bill = Bill::default();
    let terms = || Terms {
        bill: bill.clone(),
        ..Terms::from(soon())
    };
    let list = Call {
        operation: "Ticket.list".into(),
        ..get(&vendor, "/")
    };
    let calls = [get(&vendor, "/"), list, get(&vendor, "/")];
    let sent = calls.into_iter().map(|call| client.send(call, terms()));
    futures_util::future::join_all(sent).await;
    let lines: Vec<_> = bill
        .charges()
        .iter()
        .map(|charge| {
            assert_eq!(
                (charge.unit, charge.rate()),
                (Some(PriceUnit::Request), 1.into())
            );
            (
                charge.operation.to_string(),
                charge.calls,
                charge.amount.to_string(),
            )
        })
        .collect();
    let expected = |name: &str, calls, amount: &str| (name.to_owned(), calls, amount.to_owned());
    assert_eq!(
        lines,
        [
            expected("Ticket.get", 2, "1.0"),
            expected("Ticket.list", 1, "0.5")
        ]
    );
    assert_eq!(client.charges(), bill.charges());
    assert_eq!(client.spent().to_string(), "1.5");
}
