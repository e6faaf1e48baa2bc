//! Root lists: paging, order, filters, over several sources.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::gateway::{ALL, Running, counts, token};

async fn walk(gateway: &Running, query: &str, list: &str) -> Vec<Value> {
    let mut nodes = Vec::new();
    let mut after = Value::Null;
    for _ in 0..400 {
        let answer = gateway
            .ask_with(query, json!({"after": after}), &token(ALL))
            .await;
        assert_eq!(answer.get("errors"), None, "{answer:#}");
        let page = &answer["data"][list];
        nodes.extend(page["nodes"].as_array().unwrap().iter().cloned());
        if page["pageInfo"]["hasNextPage"] == false {
            return nodes;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    panic!("the list does not end");
}

#[tokio::test]
async fn every_customer_is_listed_once() {
    let gateway = Running::start().await;
    let query = "query($after: String) { customers(first: 97, after: $after) { nodes { id displayName } pageInfo { hasNextPage endCursor } } }";
    let nodes = walk(&gateway, query, "customers").await;
    let ids: BTreeSet<&str> = nodes
        .iter()
        .map(|node| node["id"].as_str().unwrap())
        .collect();
    let expected = gateway
        .sandbox
        .truth()
        .people_in(tributary::sandbox::Vendor::Crm)
        .count();
    assert_eq!((nodes.len(), ids.len()), (expected, expected));
    assert!(
        nodes
            .iter()
            .all(|node| !node["displayName"].as_str().unwrap().trim().is_empty())
    );
    gateway.stop().await;
}

#[tokio::test]
async fn tickets_come_in_the_asked_order_and_each_once() {
    let gateway = Running::start().await;
    let query = "query($after: String) { tickets(first: 100, after: $after, sort: {field: CREATED_AT, direction: DESC}) { nodes { id createdAt } pageInfo { hasNextPage endCursor } } }";
    let nodes = walk(&gateway, query, "tickets").await;
    let ids: BTreeSet<&str> = nodes
        .iter()
        .map(|node| node["id"].as_str().unwrap())
        .collect();
    let expected = gateway.sandbox.truth().tickets.len();
    assert_eq!((nodes.len(), ids.len()), (expected, expected));
    let times: Vec<&str> = nodes
        .iter()
        .filter_map(|node| node["createdAt"].as_str())
        .collect();
    assert!(times.windows(2).all(|pair| pair[0] >= pair[1]));
    gateway.stop().await;
}

#[tokio::test]
async fn a_filter_holds_for_every_record_whoever_applies_it() {
    let gateway = Running::start().await;
    let data = gateway
        .data("{ tickets(first: 20, filter: {statuses: [OPEN], priorities: [URGENT, HIGH]}) { nodes { status priority } sourceStatuses { source { key } state filtersAppliedLocally } } }")
        .await;
    let nodes = data["tickets"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 20);
    for node in nodes {
        assert_eq!(node["status"], "OPEN");
        assert!(node["priority"] == "URGENT" || node["priority"] == "HIGH");
    }
    let local = &data["tickets"]["sourceStatuses"][0]["filtersAppliedLocally"];
    assert!(
        local.as_array().unwrap().contains(&json!("priorities")),
        "{data:#}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn orders_of_a_customer_are_asked_by_the_relation() {
    let gateway = Running::start().await;
    let ana = gateway
        .data(r#"{ customerByIdentifier(identifier: {email: "ana.silva@acme-industries.io"}) { id orders(first: 100) { nodes { id } } } }"#)
        .await;
    gateway.calls();
    let answer = gateway
        .ask_with(
            "query($ids: [ID!]) { orders(first: 100, filter: {customerIds: $ids}) { nodes { id } } }",
            json!({"ids": [ana["customerByIdentifier"]["id"]]}),
            &token(ALL),
        )
        .await;
    let set = |nodes: &Value| -> BTreeSet<String> {
        nodes
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["id"].to_string())
            .collect()
    };
    assert_eq!(
        set(&answer["data"]["orders"]["nodes"]),
        set(&ana["customerByIdentifier"]["orders"]["nodes"]),
        "{answer:#}"
    );
    assert_eq!(
        gateway.calls(),
        counts([("crm contacts.batch_read", 1)]),
        "the id is looked up, the rest was known"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let gateway = Running::start().await;
    let data = gateway
        .data("{ customers(first: 1) { pageInfo { endCursor } } }")
        .await;
    let cursor = &data["customers"]["pageInfo"]["endCursor"];
    for (query, why) in [
        (
            "query($after: String) { tickets(first: 1, after: $after) { nodes { id } } }",
            "other arguments",
        ),
        (
            "query($after: String) { customers(first: 1, after: $after, filter: {statuses: [ACTIVE]}) { nodes { id } } }",
            "other arguments",
        ),
    ] {
        let answer = gateway
            .ask_with(query, json!({"after": cursor}), &token(ALL))
            .await;
        assert_eq!(
            answer["errors"][0]["extensions"]["code"], "INVALID_CURSOR",
            "{answer:#}"
        );
        assert!(
            answer["errors"][0]["message"]
                .as_str()
                .unwrap()
                .contains(why)
        );
    }
    let answer = gateway
        .ask(r#"{ customers(after: "nonsense") { nodes { id } } }"#)
        .await;
    assert_eq!(
        answer["errors"][0]["extensions"]["code"], "INVALID_CURSOR",
        "{answer:#}"
    );
    let answer = gateway
        .ask("{ customers(first: 0) { nodes { id } } }")
        .await;
    assert_eq!(
        answer["errors"][0]["extensions"]["code"], "INVALID_ARGUMENT",
        "{answer:#}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn money_ids_and_unknown_words_arrive_unchanged() {
    let gateway = Running::start().await;
    let query = "query($after: String) { orders(first: 100, after: $after, sort: {field: UPDATED_AT, direction: ASC}) { nodes { status rawStatus currency total { amount currency } sources { source { key } remoteId } } pageInfo { hasNextPage endCursor } } }";
    let nodes = walk(&gateway, query, "orders").await;
    let truth = gateway.sandbox.truth();
    assert_eq!(
        nodes.len(),
        truth.erp_orders.len() + truth.shop_orders.len()
    );
    assert!(
        nodes
            .iter()
            .any(|node| node["status"] == "OTHER" && node["rawStatus"] == "WEIRD_HOLD")
    );
    let of = |currency: &str| -> Vec<&str> {
        nodes
            .iter()
            .filter(|node| node["total"]["currency"] == currency)
            .filter_map(|node| node["total"]["amount"].as_str())
            .collect()
    };
    assert!(of("KWD").iter().any(|amount| {
        amount
            .split_once('.')
            .is_some_and(|(_, cents)| cents.len() == 3)
    }));
    assert!(!of("JPY").is_empty());
    assert!(nodes.iter().any(|node| {
        node["total"]["amount"]
            .as_str()
            .is_some_and(|amount| amount.len() > 12)
    }));
    gateway.stop().await;
}

#[tokio::test]
async fn a_list_that_a_source_can_not_sort_says_where_reading_stopped() {
    let gateway = Running::start().await;
    let data = gateway
        .data("{ orders(first: 1, sort: {field: TOTAL}) { nodes { id } totalCount { value } sourceStatuses { source { key } truncated } } }")
        .await;
    let statuses = data["orders"]["sourceStatuses"].as_array().unwrap();
    assert!(
        statuses.iter().all(|status| status["truncated"] == true),
        "{data:#}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_query_too_large_or_too_dear_is_refused_before_any_call() {
    let gateway = Running::start().await;
    let aliases: String = (0..600).map(|n| format!(" a{n}: __typename")).collect();
    let deep = "{ customers(first: 100) { nodes { orders(first: 100) { nodes { lineItems(first: 100) { nodes { sku name } } } } } } }";
    let mut doubling = String::from("query { ...f0 }");
    for n in 0..28 {
        doubling.push_str(&format!(
            " fragment f{n} on Query {{ ...f{m} ...f{m} }}",
            m = n + 1
        ));
    }
    doubling.push_str(" fragment f28 on Query { __typename }");
    let brackets = format!("{{ customers(filter: {}", "{a:".repeat(2000));
    for query in [
        format!("{{{aliases} }}"),
        deep.to_owned(),
        doubling,
        brackets,
    ] {
        let answer = gateway.ask(&query).await;
        assert_eq!(
            answer["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED",
            "{answer:#}"
        );
        assert_eq!(answer.get("data"), None);
    }
    assert_eq!(gateway.calls(), counts([]));
    gateway.stop().await;
}
