//! The engine: plans kept and bound anew, input coerced, answers given again only while they are true.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tributary::sandbox::company::Company;

use crate::support::gateway::{ALL, Running, Setup, counts, token};
use crate::support::vendor::{Answer, Vendor};

const BY_EMAIL: &str =
    r#"customerByIdentifier(identifier: { email: "ana.silva@acme-industries.io" })"#;

async fn ask(gateway: &Running, query: &str, variables: Value) -> Value {
    gateway.ask_with(query, variables, &token(ALL)).await
}

fn keys(answer: &Value) -> Vec<&str> {
    let members = answer["data"].as_object();
    let members = members.unwrap_or_else(|| panic!("{answer}"));
    members.keys().map(String::as_str).collect()
}

#[tokio::test]
async fn one_document_is_planned_for_each_combination_of_its_switches() {
    let gateway = Running::start().await;
    let query = "query($x: Boolean!, $y: Boolean = true) {
        a: viewer @skip(if: $x) { subject }
        b: viewer { subject }
        ... @include(if: $y) { c: viewer { subject } }
        a: viewer { subject }
    }";
    for (variables, expected) in [
        (json!({"x": false}), vec!["a", "b", "c"]),
        (json!({"x": true}), vec!["b", "c", "a"]),
        (json!({"x": true, "y": false}), vec!["b", "a"]),
        (json!({"x": false, "y": false}), vec!["a", "b"]),
    ] {
        for _ in 0..2 {
            let answer = ask(&gateway, query, variables.clone()).await;
            assert_eq!(keys(&answer), expected, "{variables}");
        }
    }
    let refused = ask(&gateway, query, json!({"x": false, "y": null})).await;
    assert_eq!(
        refused["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED",
        "{refused}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn one_plan_serves_other_variables_and_other_callers() {
    let gateway = Running::start().await;
    let query = "query($by: CustomerIdentifierInput!, $first: Int = 1) {
        customerByIdentifier(identifier: $by) { displayName orders(first: $first) { nodes { orderNumber } } }
    }";
    let ana = json!({"by": {"email": "ana.silva@acme-industries.io"}, "first": 3});
    let first = ask(&gateway, query, ana.clone()).await;
    let nobody = ask(
        &gateway,
        query,
        json!({"by": {"email": "nobody@example.org"}}),
    )
    .await;
    let one = json!({"by": {"email": "ana.silva@acme-industries.io"}});
    let fewer = ask(&gateway, query, one).await;
    let orders = |answer: &Value| {
        let nodes = &answer["data"]["customerByIdentifier"]["orders"]["nodes"];
        nodes.as_array().map_or(0, Vec::len)
    };
    assert_eq!((orders(&first), orders(&fewer)), (3, 1), "{first} {fewer}");
    assert_eq!(nobody["data"]["customerByIdentifier"], Value::Null);
    for _ in 0..3 {
        let again = ask(&gateway, query, ana.clone()).await;
        assert_eq!(again["data"], first["data"]);
        let less = gateway
            .ask_with(query, ana.clone(), &token(&["customer:read"]))
            .await;
        assert_eq!(
            less["data"],
            json!({"customerByIdentifier": null}),
            "{less}"
        );
        assert_eq!(less["errors"][0]["extensions"]["code"], "FORBIDDEN");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn input_that_does_not_fit_is_refused_with_its_place() {
    let gateway = Running::start().await;
    let listing = "query($first: Int!, $filter: OrderFilter, $by: CustomerIdentifierInput) {
        orders(first: $first, filter: $filter) { nodes { id } }
        customerByIdentifier(identifier: {email: \"a@b.example\"}) { id }
        other: customerByIdentifier(identifier: $by) { id }
    }";
    let listing = listing.replace(
        "$by: CustomerIdentifierInput)",
        "$by: CustomerIdentifierInput!)",
    );
    let by = json!({"email": "a@b.example"});
    for (variables, place) in [
        (json!({"by": by}), "`$first`: `Int!` needs a value"),
        (
            json!({"by": by, "first": null}),
            "`$first`: `Int!` may not be null",
        ),
        (
            json!({"by": by, "first": "ten"}),
            "`$first`: `Int` does not accept",
        ),
        (
            json!({"by": by, "first": 1.5}),
            "`$first`: `Int` does not accept",
        ),
        (
            json!({"by": by, "first": 3_000_000_000_u64}),
            "`$first`: the number is beyond 32 bits",
        ),
        (
            json!({"by": by, "first": 1, "filter": {"statuses": ["OPEN", "NEVER"]}}),
            "`$filter.statuses.",
        ),
        (
            json!({"by": by, "first": 1, "filter": {"state": []}}),
            "has no field `state`",
        ),
        (
            json!({"by": by, "first": 1, "filter": {"placedAt": {"from": "yesterday"}}}),
            "`$filter.placedAt.from`: `DateTime` does not accept",
        ),
        (
            json!({"first": 1, "by": {}}),
            "`$by`: `CustomerIdentifierInput` takes exactly one",
        ),
        (
            json!({"first": 1, "by": {"email": "a", "id": "b"}}),
            "`$by`: `CustomerIdentifierInput`",
        ),
        (json!({"first": 1, "by": {"email": null}}), "`$by"),
    ] {
        let answer = ask(&gateway, &listing, variables.clone()).await;
        let error = &answer["errors"][0];
        assert!(
            error["message"].as_str().unwrap().contains(place),
            "{variables}: {answer}"
        );
        assert_eq!(error["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(answer.get("data"), None);
    }
    for (query, place) in [
        (
            "query($e: String) { customerByIdentifier(identifier: {email: $e, bogus: 1}) { id } }",
            "has no field `bogus`",
        ),
        (
            "{ orders(first: 1, filter: {statuses: \"OPEN\"}) { nodes { id } } }",
            "`OrderStatus`",
        ),
        ("{ orders(first: \"1\") { nodes { id } } }", "Int"),
    ] {
        let answer = ask(&gateway, query, json!({})).await;
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(place), "{query}: {answer}");
    }
    assert_eq!(gateway.calls(), counts([]), "no vendor is asked");
    gateway.stop().await;
}

#[tokio::test]
async fn an_answer_is_given_again_only_while_its_records_stand() {
    let gateway = Running::start().await;
    let found = gateway.data(&format!("{{ {BY_EMAIL} {{ id }} }}")).await;
    let id = found["customerByIdentifier"]["id"].as_str().unwrap();
    let query = format!("{{ customer(id: \"{id}\") {{ displayName freshness {{ state }} }} }}");
    let name = |answer: &Value| answer["customer"]["displayName"].clone();
    let before = gateway.data(&query).await;
    for _ in 0..3 {
        let again = gateway.data(&query).await;
        assert_eq!(again["customer"]["freshness"]["state"], "CACHED", "{again}");
        assert_eq!(name(&again), name(&before));
    }
    // Lists begin with Ana.
    let rename = |company: &mut Company| company.rename(0, "Anabela", "Silveira");
    assert!(gateway.sandbox.change(rename));
    assert_eq!(
        name(&gateway.data(&query).await),
        name(&before),
        "still fresh"
    );
    let live = "query($id: ID!) { customer(id: $id, readPolicy: LIVE) { displayName } }";
    let read = ask(&gateway, live, json!({"id": id})).await;
    assert_eq!(read["data"]["customer"]["displayName"], "Anabela Silveira");
    let after = gateway.data(&query).await;
    assert_eq!(name(&after), "Anabela Silveira", "the record was replaced");
    gateway.stop().await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_takes_its_vendor_calls_along() {
    let vendor = Vendor::start(|_| Answer::Hang).await;
    let moved = |text: &str| text.replace("url: ${SHOP_URL}", &format!("url: {}", vendor.url()));
    let gateway = Setup::default().edit("shop", moved).start().await;
    let query = format!("{{ {BY_EMAIL} {{ displayName orders {{ nodes {{ id }} }} }} }}");
    let body = json!({"query": query}).to_string();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        token(ALL),
        body.len()
    );
    let mut caller = TcpStream::connect(gateway.address).await.unwrap();
    caller.write_all(request.as_bytes()).await.unwrap();
    vendor.arrived(1).await;
    drop(caller);
    vendor.given_up(1).await;
    gateway.stop().await;
}
