//! The history of a customer, merged from all sources; and that cursors of relations belong to their parent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tributary::sandbox::Vendor;
use tributary::sandbox::fault::{Fault, FaultKind};

use super::support::caller::{ask, caller, text};
use super::support::gateway::{ALL, CONFIG, Running, Setup, token};

const ANA: &str = r#"customerByIdentifier(identifier: { email: "ana.silva@acme-industries.io" })"#;
const ENTRY: &str = "id type occurredAt timePrecision title summary channel source { source { key } remoteId } subject { __typename ... on Order { orderNumber } ... on Payment { status } ... on Ticket { subject } ... on Message { direction } ... on CampaignMember { status } ... on Customer { displayName } }";

fn timeline(arguments: &str, fields: &str) -> String {
    format!("{{ {ANA} {{ id timeline({arguments}) {{ {fields} }} }} }}")
}

fn entries(data: &Value) -> &Vec<Value> {
    data["customerByIdentifier"]["timeline"]["nodes"]
        .as_array()
        .unwrap()
}

fn ids(data: &Value) -> Vec<&str> {
    entries(data)
        .iter()
        .map(|entry| entry["id"].as_str().unwrap())
        .collect()
}

async fn whole(gateway: &Running) -> Value {
    gateway
        .data(&timeline("first: 100", &format!("nodes {{ {ENTRY} }}")))
        .await
}

#[tokio::test]
async fn what_happened_is_one_history_newest_first() {
    let gateway = Running::start().await;
    let data = whole(&gateway).await;
    let times: Vec<&str> = entries(&data)
        .iter()
        .map(|entry| entry["occurredAt"].as_str().unwrap())
        .collect();
    assert!(
        times.is_sorted_by(|newer, older| newer >= older),
        "{times:?}"
    );
    assert_eq!(
        ids(&data).iter().collect::<BTreeSet<_>>().len(),
        times.len()
    );
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries(&data) {
        *found.entry(entry["type"].as_str().unwrap()).or_default() += 1;
        let about = match entry["type"].as_str().unwrap().split('_').next().unwrap() {
            "ORDER" => "Order",
            "PAYMENT" => "Payment",
            "TICKET" => "Ticket",
            "CAMPAIGN" => "CampaignMember",
            "MESSAGE" => "Message",
            _ => "Customer",
        };
        assert_eq!(entry["subject"]["__typename"], about, "{entry:#}");
        if about == "Order" {
            let number = entry["subject"]["orderNumber"].as_str().unwrap();
            assert!(entry["title"].as_str().unwrap().contains(number));
        }
    }
    let truth = gateway.sandbox.truth();
    let orders = truth.orders_of(0, Vendor::Erp).len() + truth.orders_of(0, Vendor::Shop).len();
    assert_eq!(found["ORDER_PLACED"], orders);
    assert_eq!(found["TICKET_CREATED"], truth.tickets_of(0).len());
    assert_eq!(found["CUSTOMER_CREATED"], 5);
    assert_eq!(
        found.get("MESSAGE_SENT").unwrap_or(&0) + found.get("MESSAGE_RECEIVED").unwrap_or(&0),
        3
    );
    assert!(found.contains_key("PAYMENT_SUCCEEDED"), "{found:?}");
    let precision = |kind: &str| -> BTreeSet<&str> {
        let of_kind = entries(&data).iter().filter(|entry| entry["type"] == kind);
        of_kind
            .map(|entry| entry["timePrecision"].as_str().unwrap())
            .collect()
    };
    assert_eq!(precision("ORDER_PLACED"), ["EXACT"].into());
    assert_eq!(precision("CUSTOMER_UPDATED"), ["DERIVED"].into());
    gateway.stop().await;
}

#[tokio::test]
async fn paging_through_a_history_gives_each_entry_once() {
    let gateway = Running::start().await;
    let expected = whole(&gateway).await;
    for size in [1, 3, 7, 50] {
        let mut seen: Vec<String> = Vec::new();
        let mut after = "null".to_owned();
        loop {
            let arguments = format!("first: {size}, after: {after}");
            let fields = "nodes { id } edges { cursor } pageInfo { hasNextPage endCursor }";
            let data = gateway.data(&timeline(&arguments, fields)).await;
            seen.extend(ids(&data).into_iter().map(str::to_owned));
            let page = &data["customerByIdentifier"]["timeline"]["pageInfo"];
            if page["hasNextPage"] == false {
                break;
            }
            after = page["endCursor"].to_string();
        }
        assert_eq!(seen, ids(&expected), "pages of {size}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn only_what_the_asked_types_are_about_is_read() {
    let gateway = Running::start().await;
    let data = gateway
        .data(&timeline(
            "first: 50, types: [TICKET_CREATED, TICKET_RESOLVED]",
            "nodes { type } sourceStatuses { source { key } state }",
        ))
        .await;
    assert!(!entries(&data).is_empty());
    for entry in entries(&data) {
        assert!(entry["type"].as_str().unwrap().starts_with("TICKET_"));
    }
    assert_eq!(
        data["customerByIdentifier"]["timeline"]["sourceStatuses"],
        json!([{"source": {"key": "helpdesk"}, "state": "OK"}])
    );
    let calls = gateway.calls();
    assert_eq!(calls["helpdesk tickets.by_requesters"], 1);
    for unasked in [
        "shop orders",
        "erp ListOrders",
        "mail messages.search",
        "payments charges.by_customer",
    ] {
        assert!(!calls.contains_key(unasked), "{calls:?}");
    }
    let data = gateway
        .data(&timeline(
            "first: 50, sourceKeys: [\"shop\"]",
            "nodes { source { source { key } } } sourceStatuses { source { key } }",
        ))
        .await;
    assert!(!entries(&data).is_empty());
    for entry in entries(&data) {
        assert_eq!(entry["source"]["source"]["key"], "shop");
    }
    assert_eq!(
        data["customerByIdentifier"]["timeline"]["sourceStatuses"],
        json!([{"source": {"key": "shop"}}])
    );
    assert!(!gateway.calls().contains_key("erp ListOrders"));
    gateway.stop().await;
}

#[tokio::test]
async fn the_asked_time_includes_its_begin_and_not_its_end() {
    let gateway = Running::start().await;
    let all = whole(&gateway).await;
    let time = |index: usize| entries(&all)[index]["occurredAt"].clone();
    let (since, until) = (time(9), time(2));
    let arguments = format!("first: 100, since: {since}, until: {until}");
    let data = gateway
        .data(&timeline(&arguments, "nodes { id occurredAt }"))
        .await;
    let expected: Vec<&str> = entries(&all)
        .iter()
        .filter(|entry| {
            let at = entry["occurredAt"].as_str().unwrap();
            at >= since.as_str().unwrap() && at < until.as_str().unwrap()
        })
        .map(|entry| entry["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids(&data), expected);
    assert!(expected.contains(&entries(&all)[9]["id"].as_str().unwrap()));
    gateway.stop().await;
}

#[tokio::test]
async fn an_entry_is_found_again_by_its_id() {
    let gateway = Running::start().await;
    let all = whole(&gateway).await;
    for entry in entries(&all) {
        let query = format!(
            "{{ node(id: {}) {{ ... on TimelineEntry {{ {ENTRY} }} }} }}",
            entry["id"]
        );
        let found = gateway.data(&query).await;
        // The marketing tool gives no membership by its id, so that neither that nor an entry about it can be read again.
        match &entry["subject"]["__typename"] {
            ty if ty == "CampaignMember" => assert_eq!(found["node"], Value::Null),
            _ => assert_eq!(&found["node"], entry),
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn what_the_caller_may_not_see_is_no_entry_and_no_call() {
    let gateway = Running::start().await;
    let query = timeline("first: 100", "nodes { id type title }");
    let scopes = token(&["customer:read", "ticket:read"]);
    let answer = gateway.ask_with(&query, json!({}), &scopes).await;
    assert_eq!(answer.get("errors"), None, "{answer:#}");
    let kinds: BTreeSet<&str> = entries(&answer["data"])
        .iter()
        .map(|entry| entry["type"].as_str().unwrap().split('_').next().unwrap())
        .collect();
    assert_eq!(kinds, ["CUSTOMER", "TICKET"].into());
    let calls = gateway.calls();
    for unasked in [
        "shop orders",
        "erp ListOrders",
        "mail messages.search",
        "payments charges.by_customer",
    ] {
        assert!(!calls.contains_key(unasked), "{calls:?}");
    }
    let all = whole(&gateway).await;
    let order = entries(&all)
        .iter()
        .find(|entry| entry["type"] == "ORDER_PLACED")
        .unwrap();
    let query = format!("{{ node(id: {}) {{ id }} }}", order["id"]);
    let answer = gateway.ask_with(&query, json!({}), &scopes).await;
    assert_eq!(answer, json!({"data": {"node": null}}));
    gateway.stop().await;
}

#[tokio::test]
async fn a_masked_value_is_in_no_title() {
    let policy = "policy: { masks: { agent: { Ticket: { subject: redact }, Message: { subject: redact } } } }\n";
    let setup = Setup {
        config: format!("{CONFIG}{policy}"),
        ..Setup::default()
    };
    let (gateway, _sandbox) = setup.build().await;
    let query = timeline("first: 100", "nodes { type title summary }");
    let plain = ask(gateway.engine(), &query, &caller(ALL, &[], &[])).await;
    let subject = entries(&plain["data"])
        .iter()
        .find(|entry| entry["type"] == "TICKET_CREATED" && entry["summary"].is_string())
        .unwrap()["summary"]
        .as_str()
        .unwrap();
    let masked = text(gateway.engine(), &query, &caller(ALL, &["agent"], &[])).await;
    assert!(masked.contains("TICKET_CREATED"), "{masked}");
    assert!(!masked.contains(subject), "{masked}");
}

#[tokio::test]
async fn a_dead_source_leaves_the_rest_of_the_history_and_is_named() {
    let gateway = Running::start().await;
    gateway
        .sandbox
        .set_fault(Vendor::Mail, Some(Fault::always(FaultKind::Down)));
    let data = gateway
        .data(&timeline(
            "first: 100",
            "nodes { type } sourceStatuses { source { key } state }",
        ))
        .await;
    assert!(!entries(&data).is_empty());
    let statuses = data["customerByIdentifier"]["timeline"]["sourceStatuses"]
        .as_array()
        .unwrap();
    let mail = statuses
        .iter()
        .find(|status| status["source"]["key"] == "mail")
        .unwrap();
    assert_eq!(mail["state"], "UNAVAILABLE");
    gateway.stop().await;
}

#[tokio::test]
async fn a_cursor_of_one_customers_list_is_refused_with_another() {
    let gateway = Running::start().await;
    let lists = [
        "orders(first: 1AFTER) { edges { cursor } }",
        "tickets(first: 1AFTER) { edges { cursor } }",
        "timeline(first: 1AFTER) { edges { cursor } }",
    ];
    for list in lists {
        let name = list.split('(').next().unwrap();
        let ask = |after: String| {
            let list = list.replace("AFTER", &after);
            format!("{{ customers(first: 40) {{ nodes {{ id {list} }} }} }}")
        };
        let data = gateway.data(&ask(String::new())).await;
        let nodes = data["customers"]["nodes"].as_array().unwrap();
        let with_one: Vec<&Value> = nodes
            .iter()
            .filter(|node| !node[name]["edges"].as_array().unwrap().is_empty())
            .collect();
        let cursor = &with_one[0][name]["edges"][0]["cursor"];
        let of = |customer: &Value| {
            let list = list.replace("AFTER", &format!(", after: {cursor}"));
            format!("{{ customer(id: {}) {{ {list} }} }}", customer["id"])
        };
        gateway.data(&of(with_one[0])).await;
        let answer = gateway.ask(&of(with_one[1])).await;
        assert_eq!(
            answer["errors"][0]["extensions"]["code"], "INVALID_CURSOR",
            "{name}: {answer:#}"
        );
    }
    // The root list has the same name and no parent.
    let root = gateway
        .data("{ orders(first: 1) { edges { cursor } } }")
        .await;
    let cursor = &root["orders"]["edges"][0]["cursor"];
    let answer = gateway
        .ask(&format!(
            "{{ {ANA} {{ orders(first: 1, after: {cursor}) {{ nodes {{ id }} }} }} }}"
        ))
        .await;
    assert_eq!(
        answer["errors"][0]["extensions"]["code"], "INVALID_CURSOR",
        "{answer:#}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_whole_view_of_a_customer_costs_a_fixed_number_of_calls() {
    let gateway = Running::start().await;
    let query = format!(
        "{{ {ANA} {{ displayName primaryEmail {{ address }} primaryPhone {{ raw }} addresses {{ city }} account {{ name }}
          orders(first: 10) {{ nodes {{ orderNumber status total {{ amount currency }} }} }}
          tickets(first: 10) {{ nodes {{ subject status }} }}
          campaignMemberships(first: 10) {{ nodes {{ status campaign {{ name }} }} }}
          timeline(first: 20) {{ nodes {{ type occurredAt title source {{ source {{ key }} }} }} pageInfo {{ hasNextPage }} }} }} }}"
    );
    let data = gateway.data(&query).await;
    assert_eq!(entries(&data).len(), 20);
    insta::assert_json_snapshot!("calls_of_the_whole_view", gateway.calls());
    gateway.stop().await;
}
