//! The unified customer: joined data, exact call counts, linking, merging.

use serde_json::json;
use tributary::sandbox::Vendor;
use tributary::sandbox::fault::{Fault, FaultKind};

use crate::support::gateway::{ALL, Running, Setup, counts, token};

pub const VIEW: &str = r#"{
  customerByIdentifier(identifier: { email: "ana.silva@acme-industries.io" }) {
    displayName
    sources { source { key } remoteId state }
    identity { anchor { remoteId } links { method record { source { key } } matchedOn { type normalized } } bounded }
    freshness { state partial }
    orders(first: 50) { totalCount { value precision } nodes { orderNumber sources { source { key } } } }
    tickets(first: 50) { nodes { subject status } }
    campaignMemberships(first: 50) { nodes { status campaign { name } } }
    sourceStatuses { source { key } state }
  }
}"#;

#[tokio::test]
async fn one_customer_is_joined_from_five_systems_with_one_call_for_each_operation() {
    let gateway = Running::start().await;
    let data = gateway.data(VIEW).await;
    let customer = &data["customerByIdentifier"];
    let keys: Vec<&str> = customer["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["source"]["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["crm", "erp", "shop", "helpdesk", "marketing"]);
    assert_eq!(
        customer["freshness"],
        json!({"state": "LIVE", "partial": false})
    );
    let orders = customer["orders"]["nodes"].as_array().unwrap();
    let of = |key: &str| {
        orders
            .iter()
            .filter(|order| order["sources"][0]["source"]["key"] == key)
            .count()
    };
    assert!(of("erp") > 0 && of("shop") > 0, "{orders:#?}");
    assert_eq!(
        customer["orders"]["totalCount"],
        json!({"value": orders.len(), "precision": "EXACT"})
    );
    assert!(!customer["tickets"]["nodes"].as_array().unwrap().is_empty());
    assert!(
        !customer["campaignMemberships"]["nodes"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let calls = gateway.calls();
    insta::assert_json_snapshot!("calls_of_the_customer_view", calls);

    let again = gateway.data(VIEW).await;
    assert_eq!(
        gateway.calls(),
        counts([]),
        "the second time no vendor is asked"
    );
    assert_eq!(
        again["customerByIdentifier"]["freshness"]["state"],
        "CACHED"
    );
    assert_eq!(again["customerByIdentifier"]["orders"], customer["orders"]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_customer_is_the_same_by_every_way_in() {
    let gateway = Running::start().await;
    let by = |identifier: &str| {
        format!(
            "{{ customerByIdentifier(identifier: {identifier}) {{ id displayName sources {{ source {{ key }} remoteId }} }} }}"
        )
    };
    let first = gateway
        .data(&by(r#"{email: "ana.silva@acme-industries.io"}"#))
        .await;
    let first = &first["customerByIdentifier"];
    for identifier in [
        r#"{email: " Ana.Silva@ACME-Industries.io "}"#.to_owned(),
        r#"{externalId: {namespace: "crm", value: "9007199254740993"}}"#.to_owned(),
        r#"{externalId: {namespace: "erp", value: "0000104711"}}"#.to_owned(),
        r#"{record: {sourceKey: "helpdesk", remoteId: "361000000017"}}"#.to_owned(),
        format!("{{id: {}}}", first["id"]),
    ] {
        let found = gateway.data(&by(&identifier)).await;
        assert_eq!(&found["customerByIdentifier"], first, "{identifier}");
    }
    let node = gateway
        .data(&format!(
            "{{ node(id: {}) {{ __typename id ... on Customer {{ displayName }} }} }}",
            first["id"]
        ))
        .await;
    assert_eq!(
        node["node"],
        json!({"__typename": "Customer", "id": first["id"], "displayName": first["displayName"]})
    );
    let none = gateway.data(r#"{ a: node(id: "nonsense") { id } b: customer(id: "") { id } c: customerByIdentifier(identifier: {email: "nobody@nowhere-at-all.io"}) { id } }"#).await;
    assert_eq!(none, json!({"a": null, "b": null, "c": null}));
    gateway.stop().await;
}

#[tokio::test]
async fn a_shared_mailbox_identifies_nobody() {
    let gateway = Running::start().await;
    let answer = gateway
        .ask(r#"{ customerByIdentifier(identifier: {email: "info@acme-industries.io"}) { id } }"#)
        .await;
    assert_eq!(
        answer["errors"][0]["extensions"]["code"], "INVALID_ARGUMENT",
        "{answer:#}"
    );
    assert_eq!(answer["data"], json!({"customerByIdentifier": null}));
    gateway.stop().await;
}

const LIST: &str = "{ customers(first: 50) { nodes { displayName orders(first: 3) { nodes { orderNumber } } tickets(first: 3) { nodes { subject } } campaignMemberships(first: 3) { nodes { status } } } pageInfo { hasNextPage endCursor } } }";

#[tokio::test]
async fn fifty_customers_cost_the_same_batched_calls() {
    let gateway = Running::start().await;
    gateway.data(LIST).await;
    let idle = gateway.calls();
    insta::assert_json_snapshot!("calls_of_fifty_customers", idle);
    gateway.stop().await;
}

#[tokio::test]
async fn a_list_of_customers_with_address_and_last_order_asks_each_batching_source_in_one_round() {
    let gateway = Running::start().await;
    let list = "{ customers(first: 25) { nodes { primaryEmail { address } orders(first: 1, sort: {field: PLACED_AT, direction: DESC}) { nodes { placedAt } } } } }";
    let data = gateway.data(list).await;
    assert_eq!(
        data["customers"]["nodes"].as_array().map(Vec::len),
        Some(25)
    );
    let mut calls = gateway.calls();
    // The marketing tool and the helpdesk's search take one address a call; each address is looked for once.
    for single in ["marketing contacts.find", "helpdesk users.search"] {
        let count = calls.remove(single).unwrap_or_default();
        assert!((1..=50).contains(&count), "{single}: {count}");
    }
    insta::assert_json_snapshot!("batched_calls_of_twenty_five_customers", calls);
    gateway.stop().await;
}

#[tokio::test]
async fn thirty_two_concurrent_queries_cost_what_one_costs() {
    let gateway = Running::start().await;
    gateway.data(LIST).await;
    let idle = gateway.calls();
    let busy_gateway = Setup {
        sandbox: Some(gateway.sandbox.clone()),
        ..Setup::default()
    }
    .start()
    .await;
    let answers = futures_util::future::join_all((0..32).map(|_| busy_gateway.data(LIST))).await;
    assert_eq!(busy_gateway.calls(), idle);
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    busy_gateway.stop().await;
}

#[tokio::test]
async fn a_caller_sees_only_what_its_scopes_allow_and_no_vendor_is_asked_for_the_rest() {
    let gateway = Running::start().await;
    let query = "{ customers(first: 1) { nodes { displayName } } orders(first: 1) { nodes { id } } sources { key } }";
    let answer = gateway
        .ask_with(query, json!({}), &token(&["customer:read"]))
        .await;
    assert_eq!(
        answer["errors"][0]["extensions"]["code"], "FORBIDDEN",
        "{answer:#}"
    );
    assert!(
        answer["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("order:read"),
        "{answer:#}"
    );
    assert_eq!(
        gateway
            .calls()
            .keys()
            .filter(|name| name.contains("rder"))
            .count(),
        0
    );
    let id =
        gateway.data("{ orders(first: 1) { nodes { id } } }").await["orders"]["nodes"][0]["id"]
            .clone();
    gateway.calls();
    let answer = gateway
        .ask_with(
            "query($id: ID!) { node(id: $id) { id } }",
            json!({"id": id}),
            &token(&["customer:read"]),
        )
        .await;
    assert_eq!(
        answer["data"],
        json!({"node": null}),
        "denied and absent look alike"
    );
    assert_eq!(gateway.calls(), counts([]));
    gateway.stop().await;
}

#[tokio::test]
async fn reading_live_needs_its_scope_and_asks_the_vendors_again() {
    let gateway = Running::start().await;
    let id = gateway
        .data("{ customers(first: 1) { nodes { id } } }")
        .await["customers"]["nodes"][0]["id"]
        .clone();
    let query = "query($id: ID!, $policy: ReadPolicy!) { customer(id: $id, readPolicy: $policy) { displayName freshness { state } } }";
    let live = json!({"id": id, "policy": "LIVE"});
    let refused = gateway
        .ask_with(query, live.clone(), &token(&["customer:read"]))
        .await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN");
    gateway.ask_with(query, live.clone(), &token(ALL)).await;
    gateway.calls();
    let answer = gateway.ask_with(query, live, &token(ALL)).await;
    assert_eq!(
        answer["data"]["customer"]["freshness"]["state"], "LIVE",
        "{answer:#}"
    );
    assert!(!gateway.calls().is_empty());
    let cached = gateway
        .ask_with(
            query,
            json!({"id": id, "policy": "CACHE_ONLY"}),
            &token(ALL),
        )
        .await;
    assert_eq!(
        cached["data"]["customer"]["freshness"]["state"], "CACHED",
        "{cached:#}"
    );
    assert_eq!(gateway.calls(), counts([]));
    gateway.stop().await;
}

#[tokio::test]
async fn a_failing_source_leaves_the_rest_standing_and_says_why() {
    let cases = [
        (Vendor::Erp, FaultKind::Down, "UNAVAILABLE"),
        (Vendor::Erp, FaultKind::SoapFault200, "UNAVAILABLE"),
        (Vendor::Erp, FaultKind::SoapFault500, "UNAVAILABLE"),
        (Vendor::Erp, FaultKind::Rubbish, "INVALID_RESPONSE"),
        (Vendor::Shop, FaultKind::Truncated, "INVALID_RESPONSE"),
        (Vendor::Helpdesk, FaultKind::Status(500), "UNAVAILABLE"),
        (
            Vendor::Helpdesk,
            FaultKind::WrongContentType,
            "INVALID_RESPONSE",
        ),
        (Vendor::Marketing, FaultKind::Status(401), "UNAUTHORIZED"),
        (Vendor::Marketing, FaultKind::Status(403), "FORBIDDEN"),
    ];
    for (vendor, kind, state) in cases {
        let gateway = Running::start().await;
        let what = format!("{vendor:?} {kind:?}");
        gateway.sandbox.set_fault(vendor, Some(Fault::always(kind)));
        let text = gateway.text(VIEW, json!({}), &token(ALL)).await;
        assert!(
            !text.contains(tributary::sandbox::fault::SECRET_MARKER),
            "{what} leaks: {text}"
        );
        assert!(
            !text.contains(tributary::sandbox::fault::SECRET_HOST) && !text.contains("127.0.0.1"),
            "{what} leaks: {text}"
        );
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        let customer = &answer["data"]["customerByIdentifier"];
        assert_eq!(customer["displayName"], "Ana Silva", "{what}: {answer:#}");
        assert_eq!(customer["freshness"]["partial"], true, "{what}");
        let statuses = customer["sourceStatuses"].as_array().unwrap();
        let status = statuses
            .iter()
            .find(|status| status["source"]["key"] == vendor.key())
            .unwrap();
        assert_eq!(status["state"], state, "{what}: {answer:#}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_source_that_hangs_costs_its_own_part_and_no_more_than_its_timeout() {
    let patient = |text: &str| {
        let lines = text.lines().map(|line| match line.starts_with("budget:") {
            true => "budget: { timeout: 200ms, retries: 0 }\n".to_owned(),
            false => format!("{line}\n"),
        });
        lines.collect::<String>()
    };
    let gateway = Setup::default().edit("shop", patient).start().await;
    gateway
        .sandbox
        .set_fault(Vendor::Shop, Some(Fault::always(FaultKind::Hang)));
    let answer = gateway.ask(VIEW).await;
    let customer = &answer["data"]["customerByIdentifier"];
    assert_eq!(customer["displayName"], "Ana Silva", "{answer:#}");
    let statuses = customer["sourceStatuses"].as_array().unwrap();
    let shop = statuses
        .iter()
        .find(|status| status["source"]["key"] == "shop")
        .unwrap();
    assert_eq!(shop["state"], "TIMEOUT", "{answer:#}");
    assert_eq!(customer["orders"]["totalCount"]["precision"], "AT_LEAST");
    gateway.stop().await;
}
