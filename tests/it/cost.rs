//! What an answer says it cost, held against the calls that vendors saw.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::gateway::{ALL, CONFIG, Running, Setup, token};
use crate::support::socket::Socket;

const QUERY: &str = "{ customers(first: 3) { nodes { displayName
    orders(first: 2) { nodes { id } } tickets(first: 2) { nodes { subject } } } } }";

/// Asks with the header; the whole answer, and its HTTP status.
async fn told(gateway: &Running, query: &str, header: &str) -> (u16, Value) {
    let answer = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(format!("http://{}/graphql", gateway.address))
        .bearer_auth(token(ALL))
        .header("content-type", "application/json")
        .header("tributary-cost", header)
        .body(json!({"query": query}).to_string())
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

/// Calls by source.
fn billed(answers: &[&Value]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        for line in answer["extensions"]["cost"]["calls"].as_array().unwrap() {
            let source = line["source"].as_str().unwrap().to_owned();
            *counts.entry(source).or_default() += line["count"].as_u64().unwrap();
        }
    }
    counts
}

/// Calls that the cache saved, by source.
fn saved(answer: &Value) -> BTreeMap<String, u64> {
    let told = json!({"extensions": {"cost": answer["extensions"]["cost"]["saved"]}});
    let mut counts = billed(&[&told]);
    counts.retain(|_, count| *count > 0);
    counts
}

fn sum(one: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut sums = one.clone();
    for (source, count) in other {
        *sums.entry(source.clone()).or_default() += count;
    }
    sums
}

/// Calls of data that the sandbox's vendors saw, by source; logins are no calls of an operation.
fn seen(gateway: &Running) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (name, count) in gateway.calls() {
        let (source, operation) = name.split_once(' ').unwrap();
        if !operation.contains("token") {
            *counts.entry(source.to_owned()).or_default() += count;
        }
    }
    counts
}

#[tokio::test]
async fn an_answer_tells_every_call_it_made_and_again_none() {
    let gateway = Running::start().await;
    let (_, first) = told(&gateway, QUERY, "tell").await;
    assert_eq!(first.get("errors"), None, "{first:#}");
    let calls = seen(&gateway);
    assert!(!calls.is_empty());
    assert_eq!(billed(&[&first]), calls);
    let cost = &first["extensions"]["cost"];
    let erp: u64 = calls["erp"];
    let amount = (rust_decimal::Decimal::new(2, 4) * rust_decimal::Decimal::from(erp)).normalize();
    assert_eq!(
        cost["amounts"],
        json!([{"currency": "EUR", "amount": amount.to_string()}])
    );
    let (_, again) = told(&gateway, QUERY, "tell").await;
    assert_eq!(again["data"], first["data"]);
    assert_eq!(seen(&gateway), BTreeMap::new());
    assert_eq!(
        again["extensions"]["cost"],
        json!({"query": cost["query"], "amounts": [], "calls": [], "saved": again["extensions"]["cost"]["saved"]})
    );
    // What is in the cache now was called for, or was in it already, when the first answer was made.
    assert_eq!(saved(&again), sum(&calls, &saved(&first)), "{again:#}");
    let erp = rust_decimal::Decimal::from(saved(&again)["erp"]) * rust_decimal::Decimal::new(2, 4);
    let worth = &again["extensions"]["cost"]["saved"]["amounts"][0]["amount"];
    assert_eq!(*worth, json!(erp.normalize().to_string()));
    // An answer that is given again as it is saves as much.
    let (_, third) = told(&gateway, QUERY, "tell").await;
    assert_eq!(third, again);
    gateway.stop().await;
}

#[tokio::test]
async fn a_call_that_requests_share_is_billed_once() {
    let gateway = Running::start().await;
    let asked = (0..8).map(|_| told(&gateway, QUERY, "tell"));
    let answers = futures_util::future::join_all(asked).await;
    let bodies: Vec<&Value> = answers.iter().map(|(_, body)| body).collect();
    assert_eq!(billed(&bodies), seen(&gateway));
    gateway.stop().await;
}

#[tokio::test]
async fn nobody_is_told_a_cost_they_did_not_ask_for() {
    let gateway = Running::start().await;
    assert_eq!(gateway.ask(QUERY).await.get("extensions"), None);
    let (status, quiet) = told(&gateway, QUERY, "none").await;
    assert_eq!((status, quiet.get("extensions")), (200, None));
    let (status, _) = told(&gateway, QUERY, "please").await;
    assert_eq!(status, 400);
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_may_tell_always_and_a_request_may_want_it_quiet() {
    let setup = Setup {
        config: format!("{CONFIG}callers: {{ tells_cost: true }}\n"),
        ..Setup::default()
    };
    let gateway = setup.start().await;
    let loud = gateway.ask(QUERY).await;
    assert!(
        !loud["extensions"]["cost"]["calls"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let (_, quiet) = told(&gateway, QUERY, "none").await;
    assert_eq!(quiet.get("extensions"), None);
    gateway.stop().await;
}

#[tokio::test]
async fn a_socket_is_told_the_cost_too() {
    let gateway = Running::start().await;
    let mut socket = Socket::begin(gateway.address, &token(ALL)).await;
    let payload = json!({"query": QUERY, "extensions": {"cost": "tell"}});
    socket
        .say(json!({"id": "q", "type": "subscribe", "payload": payload}))
        .await;
    let answer = &socket.receive().await["payload"];
    assert_eq!(billed(&[answer]), seen(&gateway));
    gateway.stop().await;
}

#[tokio::test]
async fn metrics_add_up_who_spent_how_much_by_which_operation() {
    let gateway = Running::start().await;
    let query = format!("query WhoSpends {QUERY}");
    let (_, answer) = told(&gateway, &query, "tell").await;
    let amount = &answer["extensions"]["cost"]["amounts"][0];
    let metrics = gateway.get("/metrics").await;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("tributary_caller_cost_total") && line.contains("WhoSpends"))
        .unwrap();
    assert!(line.contains("source=\"erp\"") && line.contains("currency=\"EUR\""));
    assert!(line.contains("caller=\""), "{line}");
    let spent: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    let told: f64 = amount["amount"].as_str().unwrap().parse().unwrap();
    assert!((spent - told).abs() < 1e-12, "{spent} {told}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_source_that_charges_by_the_record_is_paid_for_each_that_it_gave() {
    let gateway = Running::start().await;
    let query = "{ customers(first: 25) { nodes { socialProfiles { id } } } }";
    let (_, answer) = told(&gateway, query, "tell").await;
    let customers = answer["data"]["customers"]["nodes"].as_array().unwrap();
    let given: usize = customers
        .iter()
        .map(|one| one["socialProfiles"].as_array().unwrap().len())
        .sum();
    let lines = answer["extensions"]["cost"]["calls"].as_array().unwrap();
    let line = lines
        .iter()
        .find(|line| line["source"] == "social")
        .unwrap();
    assert_eq!(line["count"], 1);
    assert_eq!(line["units"], given.to_string());
    let cents = format!("{}.{:02}", given / 100, given % 100);
    let amount = line["amount"].as_str().unwrap();
    assert_eq!(amount.trim_end_matches('0'), cents.trim_end_matches('0'));
    assert_eq!(line["currency"], "USD");
    gateway.stop().await;
}
