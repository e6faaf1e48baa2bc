//! Payments and messages: sources that know a customer by the id of another source.

use serde_json::{Value, json};
use tributary::sandbox::Vendor;
use tributary::sandbox::fault::{Fault, FaultKind};

use crate::support::gateway::{Running, Setup, counts};

const ANA: &str = r#"customerByIdentifier(identifier: { email: "ana.silva@acme-industries.io" })"#;

fn nodes<'a>(data: &'a Value, list: &str) -> &'a Vec<Value> {
    data["customerByIdentifier"][list]["nodes"]
        .as_array()
        .unwrap()
}

#[tokio::test]
async fn payments_of_a_customer_are_found_by_the_shops_id_without_a_look_up() {
    let gateway = Running::start().await;
    let query = format!(
        "{{ {ANA} {{ payments(first: 50) {{ nodes {{ status amount {{ amount currency }} refunds {{ status amount {{ amount }} }} sources {{ source {{ key }} }} order {{ orderNumber total {{ amount currency }} }} customer {{ displayName }} }} totalCount {{ value precision }} sourceStatuses {{ source {{ key }} state }} }} }} }}"
    );
    let data = gateway.data(&query).await;
    let truth = gateway.sandbox.truth();
    let paid: Vec<&Value> = nodes(&data, "payments")
        .iter()
        .filter(|payment| payment["status"] != "FAILED")
        .collect();
    assert_eq!(paid.len(), truth.orders_of(0, Vendor::Shop).len());
    for payment in &paid {
        assert_eq!(payment["amount"], payment["order"]["total"]);
        assert_eq!(payment["customer"]["displayName"], "Ana Silva");
    }
    let count = nodes(&data, "payments").len();
    let list = &data["customerByIdentifier"]["payments"];
    assert_eq!(
        list["totalCount"],
        json!({"value": count, "precision": "EXACT"})
    );
    assert_eq!(
        list["sourceStatuses"],
        json!([{"source": {"key": "payments"}, "state": "OK"}])
    );
    assert_eq!(gateway.calls()["payments charges.by_customer"], 1);
    gateway.stop().await;
}

#[tokio::test]
async fn minor_units_are_read_by_the_digits_of_the_currency() {
    let gateway = Running::start().await;
    let data = gateway
        .data("{ orders(first: 100, filter: {sourceKeys: [\"shop\"]}) { nodes { total { amount currency } payments(first: 5) { nodes { status amount { amount currency } net { amount } } } } } }")
        .await;
    let mut currencies = std::collections::BTreeSet::new();
    for order in data["orders"]["nodes"].as_array().unwrap() {
        for payment in order["payments"]["nodes"].as_array().unwrap() {
            assert_eq!(payment["amount"], order["total"]);
            currencies.insert(order["total"]["currency"].as_str().unwrap().to_owned());
        }
    }
    assert!(
        currencies.contains("JPY") && currencies.contains("KWD"),
        "{currencies:?}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn payments_are_paged_by_the_last_id() {
    let small = |text: &str| text.replace("size: 100", "size: 1");
    let gateway = Setup::default().edit("payments", small).start().await;
    let query = format!("{{ {ANA} {{ payments(first: 50) {{ nodes {{ id }} }} }} }}");
    let data = gateway.data(&query).await;
    let count = nodes(&data, "payments").len() as u64;
    assert!(count >= 4, "{data:#}");
    assert_eq!(gateway.calls()["payments charges.by_customer"], count);
    gateway.stop().await;
}

#[tokio::test]
async fn a_payment_and_a_message_are_found_again_by_their_ids() {
    let gateway = Running::start().await;
    let query = format!(
        "{{ {ANA} {{ payments(first: 1) {{ nodes {{ id reference }} }} messages(first: 1) {{ nodes {{ id subject }} }} }} }}"
    );
    let data = gateway.data(&query).await;
    for (list, ty, field) in [
        ("payments", "Payment", "reference"),
        ("messages", "Message", "subject"),
    ] {
        let first = &nodes(&data, list)[0];
        let again = format!(
            "{{ node(id: {}) {{ id ... on {ty} {{ {field} }} }} }}",
            first["id"]
        );
        assert_eq!(&gateway.data(&again).await["node"], first);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn messages_of_many_customers_are_one_call() {
    let gateway = Running::start().await;
    let data = gateway
        .data("{ customers(first: 25) { nodes { messages(first: 20) { nodes { direction status channel from { address } customer { id } } } id } } }")
        .await;
    let mut count = 0;
    for customer in data["customers"]["nodes"].as_array().unwrap() {
        for message in customer["messages"]["nodes"].as_array().unwrap() {
            count += 1;
            assert_eq!(message["customer"]["id"], customer["id"]);
        }
    }
    assert!(count > 25, "{count}");
    assert_eq!(gateway.calls()["mail messages.search"], 1);
    gateway.stop().await;
}

#[tokio::test]
async fn a_dead_shop_leaves_its_payments_untold_and_says_so() {
    let gateway = Running::start().await;
    gateway
        .sandbox
        .set_fault(Vendor::Shop, Some(Fault::always(FaultKind::Down)));
    let query = format!(
        "{{ {ANA} {{ payments {{ nodes {{ id }} totalCount {{ precision }} sourceStatuses {{ source {{ key }} state }} }} }} }}"
    );
    let answer = gateway.ask(&query).await;
    let list = &answer["data"]["customerByIdentifier"]["payments"];
    assert_eq!(
        *list,
        json!({"nodes": [], "totalCount": {"precision": "AT_LEAST"}, "sourceStatuses": [{"source": {"key": "shop"}, "state": "UNAVAILABLE"}]})
    );
    assert!(!gateway.calls().contains_key("payments charges.by_customer"));
    gateway.stop().await;
}

#[tokio::test]
async fn filters_hold_for_payments_and_messages() {
    let gateway = Running::start().await;
    let query = format!(
        "{{ {ANA} {{ id payments(first: 50, filter: {{statuses: [SUCCEEDED, FAILED], methods: [CARD]}}) {{ nodes {{ status method }} }} messages(first: 50, filter: {{directions: [OUTBOUND]}}) {{ nodes {{ direction }} }} }} }}"
    );
    let data = gateway.data(&query).await;
    for payment in nodes(&data, "payments") {
        assert_eq!(payment["method"], "CARD");
        assert!(["SUCCEEDED", "FAILED"].contains(&payment["status"].as_str().unwrap()));
    }
    for message in nodes(&data, "messages") {
        assert_eq!(message["direction"], "OUTBOUND");
    }
    // A customer as a condition is known to the payments by the shop's id as well.
    let of = |id: &Value| {
        format!(
            "{{ {ANA} {{ payments(first: 50, filter: {{customerIds: [{id}]}}) {{ nodes {{ id }} }} }} }}"
        )
    };
    let own = gateway.data(&of(&data["customerByIdentifier"]["id"])).await;
    assert!(!nodes(&own, "payments").is_empty());
    let other = gateway
        .data("{ customers(first: 2) { nodes { id } } }")
        .await;
    let others = other["customers"]["nodes"].as_array().unwrap();
    let other = others
        .iter()
        .find(|one| one["id"] != data["customerByIdentifier"]["id"])
        .unwrap();
    let none = gateway.data(&of(&other["id"])).await;
    assert!(nodes(&none, "payments").is_empty());
    assert_ne!(gateway.calls(), counts([]));
    gateway.stop().await;
}
