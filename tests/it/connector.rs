//! Sources against vendors that answer as real ones do: in any order, in part, in pages, wrongly, or not at all.

use std::sync::Arc;

use proptest::prelude::{ProptestConfig, any, proptest};
use serde_json::json;
use tributary::config::interpolate::Environment;
use tributary::connector::failure::FailureClass;
use tributary::connector::{Ask, Connector};
use tributary::record::value::Value;

use crate::support::connector::{field, filtered, ids, load, page, read, source, text};
use crate::support::vendor::{Answer, Request, Vendor};

const REST: &str = r#"
source: desk
vendor: acme
category: HELPDESK
protocol: rest
url: ${URL}/api
zone: Europe/Berlin
budget: { retries: 0, timeout: 2s }
errors: { success: "body.ok is undefined or body.ok", code: body.code, message: body.message, classes: { SLOW: rate_limited, GONE: not_found, "499": timeout } }
Customer:
  id: id
  url: "https://desk.example/{{ id }}"
  deleted: active == false
  fields:
    givenName: first
    familyName: last
    status: { from: status, as: { on: ACTIVE, off: INACTIVE, parked: INACTIVE } }
    tags: tags
    emails: { each: emails, fields: { address: address, verified: verified } }
    phones: { raw: phone, country: { value: DE } }
    createdAt: created
    updatedAt: updated
  links: { account: company }
  identifiers: { email: "emails[].address", externalId: { crm: crm_id } }
  rules: [{ check: "id != 13", message: the record is marked as broken }]
  get:
    request: GET /users/{{ key }}
  byAccount:
    request: GET /users?companies={{ keys | join(',') }}
    batch: { max: 10, align: by_key }
    items: users
  byEmail:
    request: GET /search?q={{ key }}
    items: users
  byExternalId:
    request: POST /lookup
    body: { ids: "{{ keys }}", "note?": "{{ source.zone }}" }
    batch: { max: 10, align: by_key }
    items: users
  list:
    request: GET /users?limit={{ page.size }}
    headers: { X-Since: "{{ filter.updatedAt or 'never' }}" }
    page: { size: 2, cursor: next, as: after }
    items: users
    total: total
    filters:
      statuses: { query: { state: "{{ raw | join(',') }}" } }
      tags: { query: { tag: "{{ value }}" } }
      updatedAt: { value: "{{ value.from }}", query: { "since?": "{{ value.from }}" }, partial: true }
    sort: { UPDATED_AT: { desc: { query: { order: "-updated" } } } }
    sorted: { field: createdAt, direction: ASC }
Order:
  id: id
  fields:
    total: { amount: total, currency: currency }
    lineItems: { each: lines, fields: { id: id, quantity: quantity, unitPrice: { amount: price, currency: parent.currency } } }
    placedAt: placed
  links: { customer: buyer }
  get:
    request: GET /orders?ids={{ keys | join(',') }}
    batch: { max: 10, align: by_key }
    items: orders
  byCustomer:
    request: GET /users/{{ key }}/orders
    page: { size: 2, max_pages: 3, next: links.next }
    items: orders
  list:
    request: GET /orders?limit={{ page.size }}
    page: { size: 2, link_header: true }
"#;

const SOAP: &str = r#"
source: ledger
vendor: acme
category: ERP
protocol: soap
url: ${URL}/soap
budget: { retries: 0 }
soap: { version: "1.1", namespaces: { l: "urn:ledger" }, header: "<l:At>{{ source.key }}</l:At>" }
errors: { classes: { Busy: rate_limited, NoSuch: not_found } }
Customer:
  id: Id
  fields: { givenName: Name, familyName: Family, tags: Tag, phones: { raw: Phone } }
  get:
    action: urn:ledger/Get
    batch: { max: 10 }
    body: |
      <l:Get>{% for key in keys %}<l:Id at="{{ key }}">{{ key }}</l:Id>{% endfor %}</l:Get>
    items: GetResponse.Customer
    many: [Customer, Tag]
  list:
    action: urn:ledger/List
    body: <l:List>{% if filter.tags %}<l:Tag>{{ filter.tags }}</l:Tag>{% endif %}<l:Page>{{ page.number }}</l:Page></l:List>
    page: { size: 1, number: true, first: 0, total: ListResponse.Total }
    items: ListResponse.Customer
    filters: { tags: { value: "{{ value | first }}", single: true } }
"#;

const GRAPHQL: &str = r#"
source: store
vendor: acme
category: ECOMMERCE
protocol: graphql
url: ${URL}/graphql
budget: { retries: 0 }
errors: { classes: { LOST: not_found } }
Customer:
  id: id
  fields: { givenName: name }
  get:
    batch: { max: 10, align: position }
    document: "query Get($ids: [ID!]!) { nodes(ids: $ids) { id name } }"
    variables: { ids: "{{ keys }}" }
    items: nodes
  list:
    document: "query List($first: Int!, $after: String, $tags: [String!]) { users(first: $first, after: $after, tags: $tags) { nodes { id name } } }"
    variables: { first: "{{ page.size }}", after: "{{ page.cursor }}" }
    page: { size: 5, cursor: users.end }
    items: users.nodes
    filters: { tags: { variables: { tags: "{{ value }}" } } }
"#;

fn connect(text: &str, vendor: &Vendor) -> Connector {
    source(text, &Environment::of([("URL", vendor.url())]))
}

async fn rest(answers: impl IntoIterator<Item = Answer>) -> (Vendor, Connector) {
    let vendor = Vendor::queue(answers).await;
    let source = connect(REST, &vendor);
    (vendor, source)
}

async fn soap(answers: impl IntoIterator<Item = Answer>) -> (Vendor, Connector) {
    let vendor = Vendor::queue(answers).await;
    let source = connect(SOAP, &vendor);
    (vendor, source)
}

async fn graphql(answers: impl IntoIterator<Item = Answer>) -> (Vendor, Connector) {
    let vendor = Vendor::queue(answers).await;
    let source = connect(GRAPHQL, &vendor);
    (vendor, source)
}

fn reply(value: serde_json::Value) -> Answer {
    Answer::json(value.to_string())
}

fn failed(status: u16, value: serde_json::Value) -> Answer {
    match reply(value) {
        Answer::Reply { headers, body, .. } => Answer::Reply {
            status,
            headers,
            body,
        },
        other => other,
    }
}

fn envelope(status: u16, body: &str) -> Answer {
    let text = format!(
        r#"<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:ledger" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><e:Body>{body}</e:Body></e:Envelope>"#
    );
    Answer::Reply {
        status,
        headers: vec![("content-type".into(), "text/xml; charset=utf-8".into())],
        body: text.into_bytes(),
    }
}

fn body(request: &Request) -> String {
    String::from_utf8(request.body.clone()).unwrap()
}

async fn class(source: &Connector, operation: (&str, &str), keys: &[&str]) -> FailureClass {
    load(source, operation, keys).await.unwrap_err().class
}

#[tokio::test]
async fn a_record_is_mapped_with_every_digit_it_had() {
    let (_vendor, source) = rest([Answer::json(
        r#"{"id":9007199254740993,"first":"Ana","last":"","status":"on","tags":"vip","active":false,"company":[9223372036854775808,"b"],
        "emails":[{"address":" Info@Acme.IO ","verified":"false"},{"address":null}],"phone":"030 1234567",
        "created":"2026-07-01 12:00:00","updated":"2026-07-01T12:00:00.5+02:00","crm_id":"0042"}"#,
    )])
    .await;
    let found = load(&source, ("Customer", "get"), &["9007199254740993"])
        .await
        .unwrap();
    let record = &found[0].records[0];
    assert_eq!(&*record.remote_id, "9007199254740993");
    assert_eq!(
        record.remote_url.as_deref(),
        Some("https://desk.example/9007199254740993")
    );
    assert!(record.deleted);
    assert_eq!(text(record, "familyName"), "");
    assert_eq!(field(record, "birthDate"), Value::Null);
    assert_eq!(
        (text(record, "status"), text(record, "rawStatus")),
        ("ACTIVE".into(), "on".into())
    );
    assert_eq!(text(record, "tags.0"), "vip");
    assert_eq!(text(record, "emails.0.normalized"), "info@acme.io");
    assert_eq!(field(record, "emails.0.shared"), Value::Bool(true));
    assert_eq!(field(record, "emails").items().len(), 1);
    assert_eq!(text(record, "phones.0.e164"), "+49301234567");
    assert_eq!(text(record, "lifecycleStage"), "UNKNOWN");
    assert_eq!(record.created_at.as_deref(), Some("2026-07-01T10:00:00Z"));
    assert_eq!(
        record.updated_at.as_deref(),
        Some("2026-07-01T10:00:00.500Z")
    );
    assert_eq!(
        record.link("account"),
        [Arc::from("9223372036854775808"), Arc::from("b")]
    );
    assert_eq!(&*record.identifiers[1].normalized, "0042");
    assert_eq!(record.content_hash.len(), 32);
}

#[tokio::test]
async fn money_keeps_its_digits_and_a_part_of_money_is_no_money() {
    let (_vendor, source) = rest([Answer::json(
        r#"{"orders":[{"id":1,"total":1234567890123456.10,"currency":"eur","lines":[{"id":1,"quantity":1.000,"price":0.10}]},
        {"id":2,"total":null,"currency":"EUR","lines":[]},{"id":3,"total":5,"lines":{"id":1,"quantity":"2"}}]}"#,
    )])
    .await;
    let found = load(&source, ("Order", "get"), &["1", "2", "3"])
        .await
        .unwrap();
    let order = &found[0].records[0];
    assert_eq!(text(order, "total.amount"), "1234567890123456.10");
    assert_eq!(text(order, "total.currency"), "EUR");
    assert_eq!(text(order, "lineItems.0.quantity"), "1.000");
    assert_eq!(text(order, "lineItems.0.unitPrice.amount"), "0.10");
    assert_eq!(field(&found[1].records[0], "total"), Value::Null);
    assert!(found[2].records.is_empty());
    let reason = &found[2].refused[0].reason;
    assert_eq!(reason, "desk, Order.get: `total.currency` is missing");
}

#[tokio::test]
async fn a_batch_in_any_order_finds_its_keys_and_guesses_none() {
    let (vendor, source) = rest([reply(json!({ "users": [
        { "id": 3, "company": "c" }, { "id": 9, "company": "z" }, { "id": 1, "company": ["a", "c"] },
        { "id": 13, "company": "a" }, { "id": 4 }, null
    ] }))])
    .await;
    let found = load(&source, ("Customer", "byAccount"), &["a", "b", "c"])
        .await
        .unwrap();
    assert_eq!(ids(&found[0].records), ["1"]);
    assert_eq!(ids(&found[1].records), Vec::<&str>::new());
    assert_eq!(ids(&found[2].records), ["3", "1"]);
    let reasons: Vec<&str> = found[0]
        .refused
        .iter()
        .map(|one| one.reason.as_str())
        .collect();
    assert_eq!(
        reasons,
        [
            "desk, Customer.byAccount: `links.account` is none of the keys that were asked for",
            "desk, Customer.byAccount: `rules` the record is marked as broken",
            "desk, Customer.byAccount: `links.account` is none of the keys that were asked for",
        ]
    );
    assert_eq!(
        vendor.requests()[0].target,
        "/api/users?companies=a%2Cb%2Cc"
    );
    assert_eq!(
        class(&source, ("Customer", "byAccount"), &[]).await,
        FailureClass::Unsupported
    );
    assert_eq!(
        class(&source, ("Customer", "get"), &["1", "2"]).await,
        FailureClass::Unsupported
    );
}

#[tokio::test]
async fn a_search_that_finds_too_much_is_checked_again() {
    let users = json!({ "users": [
        { "id": 1, "emails": [{ "address": "ANA@acme.io" }] }, { "id": 2, "emails": [{ "address": "ana@acme.io.co" }] }
    ] });
    let (vendor, source) = rest([reply(users)]).await;
    let found = load(&source, ("Customer", "byEmail"), &["ana@acme.io"])
        .await
        .unwrap();
    assert_eq!(
        (ids(&found[0].records), found[0].refused.len()),
        (vec!["1"], 0)
    );
    assert_eq!(vendor.requests()[0].target, "/api/search?q=ana%40acme.io");
}

#[tokio::test]
async fn a_record_that_was_not_asked_for_is_never_shown() {
    let (_vendor, source) = rest([reply(json!({ "id": 2 }))]).await;
    let found = load(&source, ("Customer", "get"), &["1"]).await.unwrap();
    assert!(found[0].records.is_empty());
    assert_eq!(found[0].refused.len(), 1);

    let orders =
        json!({ "orders": [{ "id": 1, "buyer": 7 }, { "id": 2, "buyer": 8 }, { "id": 3 }] });
    let (_vendor, source) = rest([reply(orders)]).await;
    let found = load(&source, ("Order", "byCustomer"), &["7"])
        .await
        .unwrap();
    assert_eq!(
        (ids(&found[0].records), found[0].refused.len()),
        (vec!["1", "3"], 1)
    );
}

#[tokio::test]
async fn a_structured_body_carries_keys_as_data() {
    let (vendor, source) = rest([reply(json!({ "users": [{ "id": 1, "crm_id": "a\"}" }] }))]).await;
    let found = load(&source, ("Customer", "byExternalId"), &["a\"}", "b"])
        .await
        .unwrap();
    assert_eq!(ids(&found[0].records), ["1"]);
    let request = &vendor.requests()[0];
    assert_eq!(
        body(request),
        r#"{"ids":["a\"}","b"],"note":"Europe/Berlin"}"#
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(&*source.external_namespace.clone().unwrap(), "crm");
}

#[tokio::test]
async fn cursors_lead_from_page_to_page_of_a_list() {
    let (vendor, source) = rest([
        reply(json!({ "users": [{ "id": 1 }, { "id": 13 }], "next": "p 2&x=1", "total": 3 })),
        reply(json!({ "users": [{ "id": 3 }], "next": null, "total": 3 })),
    ])
    .await;
    let ask = Ask {
        size: 50,
        ..Ask::default()
    };
    let first = page(&source, "Customer", None, &ask).await.unwrap();
    assert_eq!(
        (ids(&first.records), first.refused.len(), first.total),
        (vec!["1"], 1, Some(3))
    );
    let second = page(&source, "Customer", first.next.as_deref(), &ask)
        .await
        .unwrap();
    assert_eq!((ids(&second.records), second.next), (vec!["3"], None));
    let targets: Vec<String> = vendor
        .requests()
        .iter()
        .map(|one| one.target.clone())
        .collect();
    assert_eq!(
        targets,
        [
            "/api/users?limit=2",
            "/api/users?limit=2&after=p%202%26x%3D1"
        ]
    );
}

#[tokio::test]
async fn a_walk_in_circles_stops_and_says_truncated() {
    let (_vendor, source) = rest([reply(json!({ "users": [{ "id": 1 }], "next": "x" }))]).await;
    let first = page(&source, "Customer", None, &Ask::default())
        .await
        .unwrap();
    let second = page(&source, "Customer", first.next.as_deref(), &Ask::default())
        .await
        .unwrap();
    assert_eq!((second.next, second.truncated), (None, true));

    let order = |id: u32, next: &str| {
        reply(json!({ "orders": [{ "id": id, "buyer": 7 }], "links": { "next": next } }))
    };
    let (vendor, source) = rest([order(1, "?p=2"), order(2, "?p=3"), order(3, "?p=2")]).await;
    let found = load(&source, ("Order", "byCustomer"), &["7"])
        .await
        .unwrap();
    assert_eq!(
        (ids(&found[0].records), found[0].truncated),
        (vec!["1", "2", "3"], true)
    );
    assert_eq!(vendor.requests().len(), 3);
}

#[tokio::test]
async fn next_links_stay_at_home_and_stop_at_the_limit() {
    let order = |id: u32, next: &str| {
        reply(json!({ "orders": [{ "id": id, "buyer": 7 }], "links": { "next": next } }))
    };
    let (vendor, source) = rest([
        order(1, "/api/users/7/orders?p=2"),
        order(2, "?p=3"),
        order(3, "?p=4"),
        order(4, "?p=5"),
    ])
    .await;
    let found = load(&source, ("Order", "byCustomer"), &["7"])
        .await
        .unwrap();
    assert_eq!(
        (ids(&found[0].records), found[0].truncated),
        (vec!["1", "2", "3"], true)
    );
    assert_eq!(vendor.requests()[2].target, "/api/users/7/orders?p=3");

    let (vendor, source) = rest([order(1, "https://evil.example/api/users/7/orders")]).await;
    assert_eq!(
        class(&source, ("Order", "byCustomer"), &["7"]).await,
        FailureClass::InvalidResponse
    );
    assert_eq!(vendor.requests().len(), 1);
}

#[tokio::test]
async fn a_position_from_a_caller_reaches_nothing_but_its_list() {
    let link = |target: &str| Answer::json("[]").with("link", &format!("<{target}>; rel=\"next\""));
    let (vendor, source) = rest([link("/api/orders?limit=2&p=2"), link("/api/admin")]).await;
    let first = page(&source, "Order", None, &Ask::default()).await.unwrap();
    assert_eq!(first.next.as_deref(), Some("l:/api/orders?limit=2&p=2"));
    let away = page(&source, "Order", first.next.as_deref(), &Ask::default()).await;
    assert_eq!(away.unwrap_err().class, FailureClass::InvalidResponse);
    assert_eq!(vendor.requests()[1].target, "/api/orders?limit=2&p=2");
    for token in [
        "l:/api/admin",
        "l://evil.example/api/orders",
        "l:/api/orders/../admin",
        "l:/api/ordersx",
        "c:x",
        "n:1",
        "x",
        "",
    ] {
        let refused = page(&source, "Order", Some(token), &Ask::default()).await;
        assert_eq!(
            refused.unwrap_err().class,
            FailureClass::Rejected,
            "{token}"
        );
    }
    assert_eq!(vendor.requests().len(), 2);
}

#[tokio::test]
async fn what_is_pushed_down_reaches_the_vendor_and_nothing_else_does() {
    let (vendor, source) = rest([reply(json!({ "users": [] }))]).await;
    let op = source.operation("Customer", "list").unwrap();
    let pushes = |name: &str, value: serde_json::Value| op.can_push(name, &value);
    assert!(pushes("statuses", json!(["ACTIVE", "INACTIVE"])));
    assert!(!pushes("statuses", json!(["ACTIVE", "BLOCKED"])));
    assert!(!pushes("emails", json!(["a@b.io"])));
    assert_eq!(op.sorts, [("UPDATED_AT".into(), true)]);
    assert_eq!(op.sorted, Some(("CREATED_AT".into(), false)));
    let partial: Vec<bool> = op.filters.iter().map(|filter| filter.partial).collect();
    assert_eq!(partial, [false, false, true]);

    let mut ask = filtered("statuses", json!(["INACTIVE"]));
    ask.filter.push(("tags".into(), json!(["a&b", "c"])));
    ask.filter.push((
        "updatedAt".into(),
        json!({ "from": "2026-01-01T00:00:00Z" }),
    ));
    ask.sort = Some(("UPDATED_AT".into(), true));
    page(&source, "Customer", None, &ask).await.unwrap();
    let request = &vendor.requests()[0];
    assert_eq!(
        request.target,
        "/api/users?limit=2&state=off%2Cparked&tag=a%26b&tag=c&since=2026-01-01T00%3A00%3A00Z&order=-updated"
    );
    assert_eq!(request.header("x-since"), Some("2026-01-01T00:00:00Z"));
    for ask in [
        filtered("emails", json!(["a"])),
        filtered("statuses", json!(["BLOCKED"])),
    ] {
        let refused = page(&source, "Customer", None, &ask).await.unwrap_err();
        assert_eq!(refused.class, FailureClass::Unsupported);
    }
    let ask = Ask {
        sort: Some(("UPDATED_AT".into(), false)),
        ..Ask::default()
    };
    assert_eq!(
        page(&source, "Customer", None, &ask)
            .await
            .unwrap_err()
            .class,
        FailureClass::Unsupported
    );
    assert_eq!(vendor.requests().len(), 1);
}

#[tokio::test]
async fn hostile_keys_reach_a_rest_vendor_as_one_segment_or_not_at_all() {
    let (vendor, source) = rest([reply(json!(null))]).await;
    let keys = [
        "%2e%2e",
        "a/b?c#d",
        "x\r\nX-Evil: 1",
        "é ]]>\"'",
        "..\\..",
        "%00",
    ];
    for key in keys {
        load(&source, ("Customer", "get"), &[key]).await.unwrap();
    }
    let targets: Vec<String> = vendor
        .requests()
        .iter()
        .map(|one| one.target.clone())
        .collect();
    assert_eq!(
        targets,
        [
            "/api/users/%252e%252e",
            "/api/users/a%2Fb%3Fc%23d",
            "/api/users/x%0D%0AX-Evil%3A%201",
            "/api/users/%C3%A9%20%5D%5D%3E%22%27",
            "/api/users/..%5C..",
            "/api/users/%2500",
        ]
    );
    assert!(
        vendor
            .requests()
            .iter()
            .all(|one| one.header("x-evil").is_none())
    );
    for key in ["..", ".", ""] {
        assert_eq!(
            class(&source, ("Customer", "get"), &[key]).await,
            FailureClass::Rejected
        );
    }
    let ask = filtered("updatedAt", json!({ "from": "a\r\nX-Evil: 1" }));
    assert_eq!(
        page(&source, "Customer", None, &ask)
            .await
            .unwrap_err()
            .class,
        FailureClass::Rejected
    );
    assert_eq!(vendor.requests().len(), keys.len());
}

#[tokio::test]
async fn failures_are_told_apart_by_status_table_and_predicate() {
    let cases = [
        (failed(401, json!({})), FailureClass::Unauthorized),
        (failed(403, json!({})), FailureClass::Forbidden),
        (failed(400, json!({})), FailureClass::Rejected),
        (failed(408, json!({})), FailureClass::Timeout),
        (failed(429, json!({})), FailureClass::RateLimited),
        (failed(499, json!({})), FailureClass::Timeout),
        (failed(500, json!({})), FailureClass::Unavailable),
        (
            failed(503, json!({ "code": "SLOW" })),
            FailureClass::RateLimited,
        ),
        (failed(302, json!({})), FailureClass::InvalidResponse),
        (reply(json!({ "ok": false })), FailureClass::Rejected),
        (
            reply(json!({ "ok": false, "code": "SLOW" })),
            FailureClass::RateLimited,
        ),
        (
            Answer::text("<html>hello</html>").with("content-type", "text/html"),
            FailureClass::InvalidResponse,
        ),
        (
            Answer::json(r#"{"id": 1, "first": "#),
            FailureClass::InvalidResponse,
        ),
        (Answer::json("\"text\""), FailureClass::InvalidResponse),
        (Answer::Close, FailureClass::Unavailable),
    ];
    for (at, (answer, expected)) in cases.into_iter().enumerate() {
        let (_vendor, source) = rest([answer]).await;
        assert_eq!(
            class(&source, ("Customer", "byEmail"), &["a@b.io"]).await,
            expected,
            "case {at}"
        );
    }
    let answer =
        failed(429, json!({ "code": "SLOW", "message": "wait\nplease" })).with("retry-after", "7");
    let (_vendor, source) = rest([answer]).await;
    let failure = load(&source, ("Customer", "get"), &["1"])
        .await
        .unwrap_err();
    assert_eq!(failure.vendor_code.as_deref(), Some("SLOW"));
    assert_eq!(failure.retry_after.map(|wait| wait.as_secs()), Some(7));
    assert_eq!(
        failure.detail,
        "the reply has a failing status (429): waitplease"
    );
}

#[tokio::test]
async fn what_is_not_there_is_empty_and_another_form_is_a_failure() {
    for answer in [
        failed(404, json!({})),
        failed(410, json!({})),
        failed(400, json!({ "code": "GONE" })),
    ] {
        let (_vendor, source) = rest([answer]).await;
        let found = load(&source, ("Customer", "get"), &["1"]).await.unwrap();
        assert!(found[0].records.is_empty() && found[0].refused.is_empty());
    }
    let (_vendor, source) = rest([
        reply(json!({ "users": null })),
        reply(json!({ "user": [] })),
    ])
    .await;
    let found = load(&source, ("Customer", "byAccount"), &["a"])
        .await
        .unwrap();
    assert!(found[0].records.is_empty());
    assert_eq!(
        class(&source, ("Customer", "byAccount"), &["a"]).await,
        FailureClass::InvalidResponse
    );
}

#[tokio::test]
async fn an_unknown_word_is_other_and_a_wrong_value_refuses_its_record_alone() {
    let (_vendor, source) = rest([reply(json!({ "users": [
        { "id": 1, "status": "frozen", "company": "a" }, { "id": 2, "status": " ", "company": "a" },
        { "id": 3, "created": "yesterday", "company": "a" }, { "id": 4, "company": "a", "first": { "x": 1 } },
        { "id": "", "company": "a" }
    ] }))])
    .await;
    let found = load(&source, ("Customer", "byAccount"), &["a"])
        .await
        .unwrap();
    assert_eq!(ids(&found[0].records), ["1", "2"]);
    let records = &found[0].records;
    assert_eq!(
        (text(&records[0], "status"), text(&records[0], "rawStatus")),
        ("OTHER".into(), "frozen".into())
    );
    assert_eq!(
        (text(&records[1], "status"), field(&records[1], "rawStatus")),
        ("UNKNOWN".into(), Value::Null)
    );
    let reasons: Vec<&str> = found[0]
        .refused
        .iter()
        .map(|one| one.reason.as_str())
        .collect();
    assert_eq!(
        reasons,
        [
            "desk, Customer.byAccount: `createdAt` `datetime` expects a date and time as in RFC 3339, not a text of length 9",
            "desk, Customer.byAccount: `givenName` is an object where one value is needed",
            "desk, Customer.byAccount: `id` is missing",
        ]
    );
}

#[tokio::test]
async fn the_same_content_has_the_same_hash_and_other_content_another() {
    let (_vendor, source) = rest([
        Answer::json(r#"{"id":1,"first":"Ana","tags":["a"]}"#),
        Answer::json(r#"{"tags":["a"],"unmapped":5,"first":"Ana","id":1}"#),
        Answer::json(r#"{"id":1,"first":"Ana","tags":["b"]}"#),
    ])
    .await;
    let mut hashes = Vec::new();
    for _ in 0..3 {
        let found = load(&source, ("Customer", "get"), &["1"]).await.unwrap();
        hashes.push(found[0].records[0].content_hash.clone());
    }
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[0], hashes[2]);
}

#[tokio::test]
async fn soap_lists_of_one_nil_empty_and_absent_are_what_they_are() {
    let one = "<GetResponse><Customer><Id>007</Id><Name xsi:nil=\"true\"/><Family/><Tag>a</Tag></Customer></GetResponse>";
    let (vendor, source) = soap([
        envelope(200, one),
        envelope(200, "<GetResponse/>"),
        envelope(200, "<Other/>"),
    ])
    .await;
    let found = load(&source, ("Customer", "get"), &["007", "8"])
        .await
        .unwrap();
    let record = &found[0].records[0];
    assert_eq!(&*record.remote_id, "007");
    assert_eq!(
        (field(record, "givenName"), text(record, "familyName")),
        (Value::Null, String::new())
    );
    assert_eq!(
        (
            text(record, "tags.0"),
            field(record, "phones").items().len()
        ),
        ("a".into(), 0)
    );
    assert!(found[1].records.is_empty());
    let found = load(&source, ("Customer", "get"), &["7"]).await.unwrap();
    assert!(found[0].records.is_empty());
    assert_eq!(
        class(&source, ("Customer", "get"), &["7"]).await,
        FailureClass::InvalidResponse
    );
    let request = &vendor.requests()[0];
    assert_eq!(request.header("soapaction"), Some("\"urn:ledger/Get\""));
    assert!(body(request).contains("<l:At>ledger</l:At>"));
}

#[tokio::test]
async fn faults_are_failures_at_200_and_at_500() {
    let fault = |code: &str| {
        format!("<e:Fault><faultcode>e:{code}</faultcode><faultstring>no</faultstring></e:Fault>")
    };
    let cases = [
        (200, "Client", FailureClass::Rejected),
        (500, "Client.Limit", FailureClass::Rejected),
        (200, "Server", FailureClass::Unavailable),
        (500, "Busy", FailureClass::RateLimited),
        (401, "Client", FailureClass::Unauthorized),
        (500, "VersionMismatch", FailureClass::InvalidResponse),
    ];
    for (status, code, expected) in cases {
        let (_vendor, source) = soap([envelope(status, &fault(code))]).await;
        let failure = load(&source, ("Customer", "get"), &["1"])
            .await
            .unwrap_err();
        assert_eq!(
            (failure.class, failure.vendor_code.as_deref()),
            (expected, Some(code))
        );
    }
    let (_vendor, source) = soap([envelope(500, &fault("NoSuch"))]).await;
    assert!(
        load(&source, ("Customer", "get"), &["1"]).await.unwrap()[0]
            .records
            .is_empty()
    );
    let page =
        || Answer::text("<html><body>Bad gateway</body></html>").with("content-type", "text/html");
    let (_vendor, source) = soap([page()]).await;
    assert_eq!(
        class(&source, ("Customer", "get"), &["1"]).await,
        FailureClass::InvalidResponse
    );
    let (_vendor, source) = soap([Answer::status(503)]).await;
    assert_eq!(
        class(&source, ("Customer", "get"), &["1"]).await,
        FailureClass::Unavailable
    );
}

#[tokio::test]
async fn hostile_keys_and_filters_stay_text_in_soap() {
    let (vendor, source) = soap([
        envelope(200, "<GetResponse/>"),
        envelope(200, "<ListResponse/>"),
    ])
    .await;
    let key = "1</l:Id><l:Evil a=\"'&]]>\r\n";
    load(&source, ("Customer", "get"), &[key]).await.unwrap();
    let sent = body(&vendor.requests()[0]);
    let escaped = "1&lt;/l:Id&gt;&lt;l:Evil a=&quot;&#39;&amp;]]&gt;&#13;&#10;";
    let apostrophe = escaped.replace("&#39;", "&apos;");
    assert!(
        sent.contains(&format!(">{escaped}</l:Id>"))
            || sent.contains(&format!(">{apostrophe}</l:Id>")),
        "{sent}"
    );
    assert_eq!(sent.matches("<l:").count(), 3, "{sent}");
    page(
        &source,
        "Customer",
        None,
        &filtered("tags", json!(["</l:Tag><l:x/>"])),
    )
    .await
    .unwrap();
    let sent = body(&vendor.requests()[1]);
    assert!(
        sent.contains("<l:Tag>&lt;/l:Tag&gt;&lt;l:x/&gt;</l:Tag>"),
        "{sent}"
    );
}

#[tokio::test]
async fn numbered_pages_of_soap_end_at_the_total() {
    let list = |id: u32| {
        envelope(
            200,
            &format!(
                "<ListResponse><Total>2</Total><Customer><Id>{id}</Id></Customer></ListResponse>"
            ),
        )
    };
    let (vendor, source) = soap([list(1), list(2)]).await;
    let first = page(&source, "Customer", None, &Ask::default())
        .await
        .unwrap();
    let second = page(&source, "Customer", first.next.as_deref(), &Ask::default())
        .await
        .unwrap();
    assert_eq!(
        (ids(&first.records), ids(&second.records), second.next),
        (vec!["1"], vec!["2"], None)
    );
    let numbers: Vec<bool> = vendor
        .requests()
        .iter()
        .map(|one| body(one).contains("<l:Page>0</l:Page>"))
        .collect();
    assert_eq!(numbers, [true, false]);
}

#[tokio::test]
async fn graphql_values_travel_as_variables_and_places_are_kept() {
    let nodes = json!({ "data": { "nodes": [null, { "id": "b", "name": "Bo" }] } });
    let (vendor, source) = graphql([reply(nodes)]).await;
    let found = load(&source, ("Customer", "get"), &["a\"}) { evil }", "b"])
        .await
        .unwrap();
    assert!(found[0].records.is_empty());
    assert_eq!(ids(&found[1].records), ["b"]);
    let sent: serde_json::Value = serde_json::from_str(&body(&vendor.requests()[0])).unwrap();
    assert_eq!(sent["variables"], json!({ "ids": ["a\"}) { evil }", "b"] }));
    assert_eq!(
        sent["query"],
        "query Get($ids: [ID!]!) { nodes(ids: $ids) { id name } }"
    );

    let (_vendor, source) = graphql([reply(json!({ "data": { "nodes": [null] } }))]).await;
    assert_eq!(
        class(&source, ("Customer", "get"), &["a", "b"]).await,
        FailureClass::InvalidResponse
    );

    let users =
        |end: serde_json::Value| reply(json!({ "data": { "users": { "nodes": [], "end": end } } }));
    let (vendor, source) = graphql([users(json!("e")), users(json!(null))]).await;
    let ask = filtered("tags", json!(["a\"", "b"]));
    let first = page(&source, "Customer", None, &ask).await.unwrap();
    let second = page(&source, "Customer", first.next.as_deref(), &ask)
        .await
        .unwrap();
    assert_eq!(second.next, None);
    let sent: serde_json::Value = serde_json::from_str(&body(&vendor.requests()[1])).unwrap();
    assert_eq!(
        sent["variables"],
        json!({ "first": 5, "after": "e", "tags": ["a\"", "b"] })
    );
}

#[tokio::test]
async fn graphql_errors_are_told_apart_by_their_codes() {
    let errors = |code: &str, data: serde_json::Value| {
        reply(
            json!({ "data": data, "errors": [{ "message": "m", "extensions": { "code": code } }] }),
        )
    };
    let nodes = || json!({ "nodes": [null] });
    let cases = [
        (
            errors("UNAUTHENTICATED", json!(null)),
            FailureClass::Unauthorized,
        ),
        (errors("THROTTLED", json!(null)), FailureClass::RateLimited),
        (errors("ODD", json!(null)), FailureClass::Rejected),
        (errors("ODD", nodes()), FailureClass::InvalidResponse),
        (
            reply(json!({ "errors": "no such key" })),
            FailureClass::Rejected,
        ),
        (
            failed(401, json!({ "message": "x" })),
            FailureClass::Unauthorized,
        ),
        (
            reply(json!({ "message": "x" })),
            FailureClass::InvalidResponse,
        ),
        (
            Answer::text("<html>").with("content-type", "text/html"),
            FailureClass::InvalidResponse,
        ),
    ];
    for (at, (answer, expected)) in cases.into_iter().enumerate() {
        let (_vendor, source) = graphql([answer]).await;
        assert_eq!(
            class(&source, ("Customer", "get"), &["a"]).await,
            expected,
            "case {at}"
        );
    }
    let (_vendor, source) = graphql([errors("LOST", nodes())]).await;
    assert!(
        load(&source, ("Customer", "get"), &["a"]).await.unwrap()[0]
            .records
            .is_empty()
    );
}

#[test]
fn operations_tell_what_they_take_and_how_long_answers_live() {
    let environment = Environment::of([("URL", "http://127.0.0.1:1")]);
    let source = source(REST, &environment);
    let by_account = source.operation("Customer", "byAccount").unwrap();
    assert_eq!(
        (by_account.batch_max, by_account.fresh.as_secs()),
        (Some(10), 60)
    );
    assert_eq!(source.operations_of("Order").count(), 3);
    assert_eq!(&*source.link_source("Customer", "account"), "desk");
    assert_eq!(
        source.remote_type("Customer").map(|name| &**name),
        Some("customer")
    );
    let foreign = REST.replace(
        "links: { account: company }",
        "links: { account: { from: company, source: crm } }",
    );
    let source = self::source(&foreign, &environment);
    assert_eq!(&*source.link_source("Customer", "account"), "crm");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_makes_the_reader_of_files_panic(text in any::<String>(), at in 0..REST.len()) {
        let at = (at..).find(|at| REST.is_char_boundary(*at)).unwrap();
        let broken = format!("{}{text}{}", &REST[..at], &REST[at..]);
        let _ = read("any.yaml", &broken, &Environment::of([("URL", "http://127.0.0.1:1")]));
    }
}

#[tokio::test]
async fn a_passing_failure_at_status_200_is_asked_once_more_and_no_oftener() {
    let file = REST
        .replace("retries: 0", "retries: 2")
        .replace("SLOW: rate_limited", "BUSY: transient");
    let busy = || Answer::json(r#"{"ok":false,"code":"BUSY"}"#);
    let vendor = Vendor::queue(vec![busy(), Answer::json(r#"{"id":1}"#), busy(), busy()]).await;
    let source = connect(&file, &vendor);
    let found = load(&source, ("Customer", "get"), &["1"]).await.unwrap();
    assert_eq!(&*found[0].records[0].remote_id, "1");
    assert_eq!(vendor.requests().len(), 2);
    let failed = class(&source, ("Customer", "get"), &["1"]).await;
    assert_eq!(failed, FailureClass::Unavailable);
    assert_eq!(vendor.requests().len(), 4);
}
