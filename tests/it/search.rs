//! Free-text search over entities and sources.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tributary::sandbox::Vendor;
use tributary::sandbox::fault::{Fault, FaultKind};

use super::support::gateway::{Running, token};

const FIELDS: &str = "nodes { __typename ... on Customer { id displayName sources { source { key } } } ... on Account { name } ... on Ticket { subject description } } sourceStatuses { source { key } state }";

fn nodes(data: &Value) -> &Vec<Value> {
    data["search"]["nodes"].as_array().unwrap()
}

fn types(data: &Value) -> BTreeSet<&str> {
    let names = nodes(data).iter();
    names
        .map(|node| node["__typename"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_person_found_in_two_systems_is_one_hit() {
    let gateway = Running::start().await;
    let query = format!("{{ search(query: \"Ana Silva\", first: 100) {{ {FIELDS} }} }}");
    let data = gateway.data(&query).await;
    let ana: Vec<&Value> = nodes(&data)
        .iter()
        .filter(|node| {
            let sources = node["sources"].as_array();
            sources.is_some_and(|sources| sources.len() == 5) && node["displayName"] == "Ana Silva"
        })
        .collect();
    assert!(!ana.is_empty(), "{data:#}");
    let ids: Vec<&Value> = nodes(&data)
        .iter()
        .filter(|node| node["__typename"] == "Customer")
        .map(|node| &node["id"])
        .collect();
    let distinct: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), ids.len());
    let calls = gateway.calls();
    assert_eq!(calls["crm contacts.search"], 1);
    assert_eq!(calls["crm companies.search"], 1);
    assert_eq!(calls["helpdesk search"], 2);
    gateway.stop().await;
}

#[tokio::test]
async fn hits_of_several_types_are_paged_each_once() {
    let gateway = Running::start().await;
    let whole = gateway
        .data("{ search(query: \"acme\", first: 100) { nodes { __typename ... on Node { id } } } }")
        .await;
    assert_eq!(types(&whole), ["Account", "Customer"].into());
    let mut seen = Vec::new();
    let mut after = "null".to_owned();
    loop {
        let query = format!(
            "{{ search(query: \"acme\", first: 3, after: {after}) {{ nodes {{ __typename ... on Node {{ id }} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let data = gateway.data(&query).await;
        seen.extend(nodes(&data).iter().cloned());
        let page = &data["search"]["pageInfo"];
        if page["hasNextPage"] == false {
            break;
        }
        after = page["endCursor"].to_string();
    }
    assert_eq!(&seen, nodes(&whole));
    gateway.stop().await;
}

#[tokio::test]
async fn only_the_asked_types_and_those_the_caller_may_see_are_searched() {
    let gateway = Running::start().await;
    let query = format!("{{ search(query: \"parcel\", types: [TICKET]) {{ {FIELDS} }} }}");
    let data = gateway.data(&query).await;
    assert_eq!(types(&data), ["Ticket"].into());
    for ticket in nodes(&data) {
        let text = format!("{} {}", ticket["subject"], ticket["description"]);
        assert!(text.to_lowercase().contains("parcel"), "{text}");
    }
    let calls: Vec<String> = gateway.calls().into_keys().collect();
    assert_eq!(calls, ["helpdesk search"]);
    let scopes = token(&["account:read"]);
    let query = "{ search(query: \"acme\") { nodes { __typename } } }";
    let answer = gateway.ask_with(query, json!({}), &scopes).await;
    assert_eq!(types(&answer["data"]), ["Account"].into());
    let calls: Vec<String> = gateway.calls().into_keys().collect();
    assert_eq!(calls, ["crm companies.search"]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_dead_source_leaves_the_hits_of_the_others() {
    let gateway = Running::start().await;
    gateway
        .sandbox
        .set_fault(Vendor::Helpdesk, Some(Fault::always(FaultKind::Down)));
    let query = "{ search(query: \"acme\") { nodes { __typename } sourceStatuses { source { key } state } } }";
    let data = gateway.data(query).await;
    assert!(!nodes(&data).is_empty());
    let statuses = data["search"]["sourceStatuses"].as_array().unwrap();
    assert!(statuses.contains(&json!({"source": {"key": "helpdesk"}, "state": "UNAVAILABLE"})));
    for text in ["a", " b ", &"x".repeat(201)] {
        let answer = gateway
            .ask(&format!(
                "{{ search(query: \"{text}\") {{ nodes {{ __typename }} }} }}"
            ))
            .await;
        let code = &answer["errors"][0]["extensions"]["code"];
        assert_eq!(code, "INVALID_ARGUMENT", "{answer:#}");
    }
    gateway.stop().await;
}
