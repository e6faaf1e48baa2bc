//! Aggregates of a customer: the same as counting and summing what its lists show, and never more than is known.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use tributary::sandbox::Vendor;
use tributary::sandbox::fault::{Fault, FaultKind};

use crate::support::gateway::{Running, token};

const STATS: &str = "stats { orderCount { value precision } totalSpent { amount currency } totalSpentByCurrency { amount currency } averageOrderValue { amount currency } firstOrderAt lastOrderAt openTicketCount { value } ticketCount { value precision } lastTicketAt satisfactionScore }";
const LISTS: &str = "orders(first: 30) { nodes { paymentStatus placedAt total { amount currency } refundedTotal { amount } } } tickets(first: 30) { nodes { status createdAt } }";

fn nodes<'a>(customer: &'a Value, list: &str) -> &'a Vec<Value> {
    customer[list]["nodes"].as_array().unwrap()
}

fn amount(money: &Value) -> Decimal {
    Decimal::from_str_exact(money["amount"].as_str().unwrap()).unwrap()
}

/// What was paid by currency, by the orders that the list shows.
fn spent(customer: &Value) -> BTreeMap<String, Decimal> {
    let mut sums = BTreeMap::new();
    for order in nodes(customer, "orders") {
        if order["paymentStatus"] == "PAID" {
            let currency = order["total"]["currency"].as_str().unwrap();
            *sums.entry(currency.to_owned()).or_insert(Decimal::ZERO) += amount(&order["total"]);
        }
    }
    sums
}

#[tokio::test]
async fn aggregates_are_what_the_lists_add_up_to_and_no_sum_crosses_currencies() {
    let gateway = Running::start().await;
    let query = format!("{{ customers(first: 40) {{ nodes {{ {LISTS} {STATS} }} }} }}");
    let data = gateway.data(&query).await;
    let (mut several, mut single) = (0, 0);
    for customer in data["customers"]["nodes"].as_array().unwrap() {
        let (stats, orders) = (&customer["stats"], nodes(customer, "orders"));
        if !stats["orderCount"].is_null() {
            assert_eq!(
                stats["orderCount"],
                json!({"value": orders.len(), "precision": "EXACT"})
            );
        }
        let told: BTreeMap<String, Decimal> = stats["totalSpentByCurrency"]
            .as_array()
            .unwrap()
            .iter()
            .map(|money| {
                (
                    money["currency"].as_str().unwrap().to_owned(),
                    amount(money),
                )
            })
            .collect();
        let expected = spent(customer);
        assert_eq!(told, expected, "{customer:#}");
        match expected.len() {
            1 => {
                single += 1;
                assert_eq!(stats["totalSpent"], stats["totalSpentByCurrency"][0]);
            }
            _ => {
                several += usize::from(expected.len() > 1);
                assert_eq!(
                    (&stats["totalSpent"], &stats["averageOrderValue"]),
                    (&Value::Null, &Value::Null)
                );
            }
        }
        let placed = orders.iter().filter_map(|order| order["placedAt"].as_str());
        assert_eq!(stats["lastOrderAt"].as_str(), placed.clone().max());
        assert_eq!(stats["firstOrderAt"].as_str(), placed.min());
        let tickets = nodes(customer, "tickets");
        let open = |ticket: &&Value| {
            ["NEW", "OPEN", "PENDING", "ON_HOLD"].contains(&ticket["status"].as_str().unwrap())
        };
        if !stats["ticketCount"].is_null() {
            assert_eq!(stats["ticketCount"]["value"], tickets.len());
            assert_eq!(
                stats["openTicketCount"]["value"],
                tickets.iter().filter(open).count()
            );
        }
    }
    assert!(
        several > 0 && single > 0,
        "both kinds are met: {several} {single}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn aggregates_cost_no_call_beside_the_lists_and_answer_in_the_asked_currency() {
    let gateway = Running::start().await;
    let view = |fields: &str| {
        format!(
            r#"{{ customerByIdentifier(identifier: {{ email: "ana.silva@acme-industries.io" }}) {{ displayName orders(first: 10) {{ nodes {{ id }} }} tickets(first: 10) {{ nodes {{ id }} }} campaignMemberships(first: 10) {{ nodes {{ status }} }} {fields} }} }}"#
        )
    };
    let data = gateway.data(&view(STATS)).await;
    assert!(data["customerByIdentifier"]["stats"]["lastTicketAt"].is_string());
    let calls = gateway.calls();
    assert!(calls.values().all(|count| *count == 1), "{calls:?}");
    assert_eq!(calls.len(), 9, "{calls:?}");
    let asked = |currency| {
        view(&format!(
            "stats(currency: \"{currency}\") {{ totalSpent {{ amount currency }} }}"
        ))
    };
    let data = gateway.data(&asked("CHF")).await;
    let stats = &data["customerByIdentifier"]["stats"];
    assert_eq!(stats["totalSpent"]["currency"], "CHF", "{data:#}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_part_of_a_sum_is_not_shown_as_the_whole() {
    let gateway = Running::start().await;
    gateway.sandbox.set_fault(
        Vendor::Shop,
        Some(Fault::always(FaultKind::Status(400)).on("orders")),
    );
    let query = format!(
        r#"{{ customerByIdentifier(identifier: {{ email: "ana.silva@acme-industries.io" }}) {{ orders(first: 1) {{ totalCount {{ value }} }} {STATS} }} }}"#
    );
    let data = gateway.data(&query).await;
    let customer = &data["customerByIdentifier"];
    let stats = &customer["stats"];
    assert_eq!(stats["orderCount"]["precision"], "AT_LEAST", "{data:#}");
    assert_eq!(
        stats["orderCount"]["value"],
        customer["orders"]["totalCount"]["value"]
    );
    assert_eq!(stats["totalSpent"], Value::Null);
    assert_eq!(stats["totalSpentByCurrency"], json!([]));
    assert_eq!(stats["ticketCount"]["precision"], "EXACT");
    gateway.stop().await;
}

#[tokio::test]
async fn aggregates_of_what_a_caller_may_not_read_are_refused_and_not_asked_for() {
    let gateway = Running::start().await;
    let scopes = token(&["customer:read", "ticket:read"]);
    let ask = async |fields: &str| {
        let query = format!(
            r#"{{ customerByIdentifier(identifier: {{ email: "ana.silva@acme-industries.io" }}) {{ stats {{ {fields} }} }} }}"#
        );
        gateway.ask_with(&query, json!({}), &scopes).await
    };
    let answer = ask("ticketCount { precision }").await;
    assert_eq!(
        answer["data"]["customerByIdentifier"]["stats"]["ticketCount"]["precision"], "EXACT",
        "{answer:#}"
    );
    let calls = gateway.calls();
    assert!(
        calls.keys().all(|name| !name.contains("rders")),
        "{calls:?}"
    );
    let answer = ask("totalSpent { amount }").await;
    assert_eq!(
        answer["errors"][0]["extensions"]["code"], "FORBIDDEN",
        "{answer:#}"
    );
    gateway.stop().await;
}
