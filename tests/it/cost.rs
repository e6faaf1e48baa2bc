//! What an answer says it cost, held against the calls that vendors saw.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::gateway::{ALL, Running, token};

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
        json!({"query": cost["query"], "amounts": [], "calls": []})
    );
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
