//! Connector files for the dialects that real vendors speak, each against a vendor that speaks it.

use std::path::Path;

use serde_json::{Value as Json, json};
use tributary::config::interpolate::Environment;
use tributary::connector::failure::{FailureClass, Remedy};
use tributary::connector::{Ask, Connector};
use tributary::record::value::Value;

use crate::support::connector::{field, ids, load, page, source, text};
use crate::support::vendor::{Answer, Vendor};

/// A source by a fixture, and its vendor that gives these answers in turn.
async fn speak(dialect: &str, answers: impl IntoIterator<Item = Answer>) -> (Vendor, Connector) {
    let vendor = Vendor::queue(answers).await;
    let path = format!("tests/fixture/dialect/{dialect}.yaml");
    let file = std::fs::read_to_string(Path::new(&path)).unwrap();
    let source = source(&file, &Environment::of([("URL", vendor.url())]));
    (vendor, source)
}

fn reply(status: u16, body: Json) -> Answer {
    typed(status, "application/json", &body.to_string())
}

fn typed(status: u16, kind: &str, body: &str) -> Answer {
    Answer::Reply {
        status,
        headers: vec![("content-type".into(), kind.into())],
        body: body.as_bytes().to_vec(),
    }
}

fn envelope(status: u16, body: &str) -> Answer {
    let text = format!(
        r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:messages" xmlns:c="urn:core" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><s:Header><c:LimitInfo><c:current>5</c:current></c:LimitInfo></s:Header><s:Body>{body}</s:Body></s:Envelope>"#
    );
    typed(status, "text/xml; charset=utf-8", &text)
}

fn targets(vendor: &Vendor) -> Vec<String> {
    let requests = vendor.requests();
    requests.into_iter().map(|request| request.target).collect()
}

fn sent(vendor: &Vendor, at: usize) -> String {
    String::from_utf8(vendor.requests()[at].body.clone()).unwrap()
}

/// The class of the failure that a call ends in.
async fn class(source: &Connector, operation: (&str, &str), keys: &[&str]) -> FailureClass {
    load(source, operation, keys).await.unwrap_err().class
}

#[tokio::test]
async fn stripe_pages_by_the_last_id_and_counts_in_minor_units() {
    let (vendor, source) = speak(
        "stripe",
        [
            reply(
                200,
                json!({ "has_more": true, "data": [
                { "id": "ch_1", "amount": 1999, "currency": "eur", "customer": "cus_1" },
                { "id": "ch_2", "amount": 500, "currency": "jpy", "customer": "cus_1" }] }),
            ),
            reply(
                200,
                json!({ "has_more": false, "data": [
                { "id": "ch_3", "amount": 1500, "currency": "kwd", "customer": "cus_1" }] }),
            ),
        ],
    )
    .await;
    let found = load(&source, ("Order", "byCustomer"), &["cus_1"])
        .await
        .unwrap();
    let amounts: Vec<String> = found[0]
        .records
        .iter()
        .map(|record| text(record, "total.amount"))
        .collect();
    assert_eq!(amounts, ["19.99", "500", "1.500"]);
    assert!(!found[0].truncated);
    assert!(
        targets(&vendor)[1].ends_with("limit=2&starting_after=ch_2"),
        "{:?}",
        targets(&vendor)
    );
}

#[tokio::test]
async fn stripe_errors_have_a_code_or_a_type() {
    let (_vendor, source) = speak(
        "stripe",
        [
            reply(429, json!({ "error": { "type": "invalid_request_error", "code": "lock_timeout" } })),
            reply(404, json!({ "error": { "type": "invalid_request_error", "code": "resource_missing", "param": "id" } })),
            reply(402, json!({ "error": { "type": "card_error" } })),
        ],
    )
    .await;
    assert_eq!(
        class(&source, ("Customer", "get"), &["a"]).await,
        FailureClass::Unavailable
    );
    let absent = load(&source, ("Customer", "get"), &["a"]).await.unwrap();
    assert!(absent[0].records.is_empty() && absent[0].failure.is_none());
    let refused = load(&source, ("Customer", "get"), &["a"])
        .await
        .unwrap_err();
    assert_eq!(refused.class, FailureClass::Rejected);
    assert_eq!(refused.vendor_code.as_deref(), Some("card_error"));
}

#[tokio::test]
async fn a_vendor_that_always_has_more_is_cut_off_at_the_cap() {
    let more = |from: u32| {
        reply(
            200,
            json!({ "has_more": true, "data": [
            { "id": format!("ch_{from}"), "amount": 1, "currency": "eur", "customer": "c" }] }),
        )
    };
    let (vendor, source) = speak("stripe", (0..9).map(more)).await;
    let found = load(&source, ("Order", "byCustomer"), &["c"])
        .await
        .unwrap();
    assert!(found[0].truncated);
    assert_eq!((found[0].records.len(), vendor.requests().len()), (3, 3));
}

#[tokio::test]
async fn hubspot_fails_single_records_beside_the_others() {
    let (vendor, source) = speak(
        "hubspot",
        [reply(207, json!({
            "status": "COMPLETE",
            "results": [
                { "id": "3", "properties": { "firstname": "Cy", "lastmodifieddate": "2026-01-02T03:04:05.678Z" } },
                { "id": "1", "properties": { "firstname": "Al" } },
                { "id": "99", "properties": { "firstname": "Foreign" } },
            ],
            "errors": [
                { "category": "OBJECT_NOT_FOUND", "context": { "ids": ["2"] } },
                { "category": "RATE_LIMITS", "context": { "ids": ["4", "5"] } },
            ],
        }))],
    )
    .await;
    let found = load(&source, ("Customer", "get"), &["1", "2", "3", "4", "5"])
        .await
        .unwrap();
    assert_eq!(ids(&found[0].records), ["1"]);
    assert_eq!(text(&found[2].records[0], "givenName"), "Cy");
    assert!(found[1].records.is_empty() && found[1].failure.is_none());
    for failed in &found[3..] {
        assert_eq!(
            failed.failure.as_ref().unwrap().class,
            FailureClass::RateLimited
        );
    }
    assert_eq!(found[0].refused.len(), 1);
    let body: Json = serde_json::from_str(&sent(&vendor, 0)).unwrap();
    assert_eq!(body["inputs"][4], json!({ "id": "5" }));
}

#[tokio::test]
async fn hubspot_pages_by_a_cursor() {
    let (vendor, source) = speak(
        "hubspot",
        [
            reply(200, json!({ "results": [{ "id": "1", "properties": {} }], "paging": { "next": { "after": "NTI=" } } })),
            reply(200, json!({ "results": [{ "id": "2", "properties": {} }] })),
        ],
    )
    .await;
    let first = page(&source, "Customer", None, &Ask::default())
        .await
        .unwrap();
    let second = page(&source, "Customer", first.next.as_deref(), &Ask::default())
        .await
        .unwrap();
    assert_eq!((ids(&second.records), second.next), (vec!["2"], None));
    assert!(
        targets(&vendor)[1].ends_with("after=NTI%3D"),
        "{:?}",
        targets(&vendor)
    );
}

#[tokio::test]
async fn salesforce_keeps_places_and_follows_relative_links() {
    let (vendor, source) = speak(
        "salesforce",
        [
            reply(200, json!([{ "Id": "b", "LastName": "Bo" }, null, { "Id": "a", "LastName": "An" }])),
            reply(200, json!({ "done": false, "nextRecordsUrl": "/services/data/v60.0/query/01g-2000", "records": [
                { "Id": "1", "AccountId": "x'y", "SystemModstamp": "2026-01-02T03:04:05.000+0000" }] })),
            reply(200, json!({ "done": true, "records": [{ "Id": "2", "AccountId": "z" }] })),
        ],
    )
    .await;
    let placed = load(&source, ("Customer", "get"), &["b", "gone", "a"])
        .await
        .unwrap();
    assert_eq!(
        (ids(&placed[0].records), ids(&placed[2].records)),
        (vec!["b"], vec!["a"])
    );
    assert!(placed[1].records.is_empty());
    let found = load(&source, ("Customer", "byAccount"), &["x'y", "z"])
        .await
        .unwrap();
    assert_eq!(
        (ids(&found[0].records), ids(&found[1].records)),
        (vec!["1"], vec!["2"])
    );
    assert_eq!(
        found[0].records[0].updated_at.as_deref(),
        Some("2026-01-02T03:04:05Z")
    );
    let query = &targets(&vendor)[1];
    assert!(
        query.contains("x%5C%27y") || query.contains("x%5C'y"),
        "{query}"
    );
    assert_eq!(targets(&vendor)[2], "/services/data/v60.0/query/01g-2000");
}

#[tokio::test]
async fn salesforce_tells_limits_with_403_and_errors_in_an_array() {
    let error = |status, code| {
        reply(
            status,
            json!([{ "errorCode": code, "message": "m", "fields": ["Id"] }]),
        )
    };
    let (_vendor, source) = speak(
        "salesforce",
        [
            error(400, "MALFORMED_QUERY"),
            error(403, "INSUFFICIENT_ACCESS"),
            error(401, "INVALID_SESSION_ID"),
            error(403, "REQUEST_LIMIT_EXCEEDED"),
        ],
    )
    .await;
    let mut failures = Vec::new();
    for _ in 0..4 {
        failures.push(
            load(&source, ("Customer", "get"), &["a"])
                .await
                .unwrap_err(),
        );
    }
    let classes: Vec<_> = failures.iter().map(|one| (one.class, one.remedy)).collect();
    assert_eq!(
        classes,
        [
            (FailureClass::Rejected, Remedy::None),
            (FailureClass::Forbidden, Remedy::None),
            (FailureClass::Unauthorized, Remedy::Renew),
            (FailureClass::RateLimited, Remedy::AwaitQuota),
        ]
    );
    assert!(
        failures[0].detail.ends_with(": m (at `Id`)"),
        "{}",
        failures[0].detail
    );
}

#[tokio::test]
async fn marketo_renews_a_token_that_a_200_calls_expired_once() {
    let token = |name| reply(200, json!({ "access_token": name, "expires_in": 3600 }));
    let expired = || {
        reply(
            200,
            json!({ "success": false, "errors": [{ "code": "602" }] }),
        )
    };
    let (vendor, source) = speak(
        "marketo",
        [
            token("one"),
            expired(),
            token("two"),
            reply(
                200,
                json!({ "success": true, "result": [{ "id": 7, "firstName": "Ana" }] }),
            ),
            expired(),
            token("three"),
            expired(),
        ],
    )
    .await;
    let found = load(&source, ("Customer", "get"), &["7"]).await.unwrap();
    assert_eq!(text(&found[0].records[0], "givenName"), "Ana");
    assert_eq!(
        vendor.requests()[3].header("authorization"),
        Some("Bearer two")
    );
    assert_eq!(
        class(&source, ("Customer", "get"), &["7"]).await,
        FailureClass::Unauthorized
    );
    assert_eq!(vendor.requests().len(), 7);
}

#[tokio::test]
async fn marketo_codes_have_their_classes() {
    let failed = |code: &str| {
        reply(
            200,
            json!({ "success": false, "errors": [{ "code": code }] }),
        )
    };
    let token = reply(200, json!({ "access_token": "t", "expires_in": 3600 }));
    let (_vendor, source) = speak(
        "marketo",
        [
            token,
            failed("1003"),
            failed("608"),
            failed("610"),
            failed("606"),
        ],
    )
    .await;
    assert_eq!(
        class(&source, ("Customer", "get"), &["1"]).await,
        FailureClass::Rejected
    );
    assert_eq!(
        class(&source, ("Customer", "get"), &["1"]).await,
        FailureClass::Unavailable
    );
    assert!(
        load(&source, ("Customer", "get"), &["1"]).await.unwrap()[0]
            .records
            .is_empty()
    );
    assert_eq!(
        class(&source, ("Customer", "get"), &["1"]).await,
        FailureClass::RateLimited
    );
}

#[tokio::test]
async fn woocommerce_links_in_a_header_and_counts_in_another() {
    let next = |vendor: &str| {
        format!(
            "<{vendor}/wp-json/wc/v3/orders?per_page=2&page=2>; rel=\"next\", </x>; rel=\"prev\""
        )
    };
    let vendor = Vendor::start(move |request| {
        let body = json!([{ "id": 1, "total": "10.50", "currency": "EUR", "date_created": "2026-07-01T12:00:00" }]);
        let answer = reply(200, body).with("x-wp-total", "3");
        if request.target.contains("page=2&") || request.target.ends_with("page=2") && !request.target.ends_with("per_page=2") {
            return answer;
        }
        let host = request.header("host").unwrap();
        answer.with("link", &next(&format!("http://{host}")))
    })
    .await;
    let file = include_str!("../fixture/dialect/woocommerce.yaml");
    let source = source(file, &Environment::of([("URL", vendor.url())]));
    let first = page(&source, "Order", None, &Ask::default()).await.unwrap();
    assert_eq!(first.total, Some(3));
    assert_eq!(text(&first.records[0], "total.amount"), "10.50");
    assert_eq!(text(&first.records[0], "placedAt"), "2026-07-01T10:00:00Z");
    let second = page(&source, "Order", first.next.as_deref(), &Ask::default())
        .await
        .unwrap();
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn odata_quotes_keys_and_reads_times_in_milliseconds() {
    let (vendor, source) = speak(
        "odata",
        [
            reply(200, json!({ "d": { "results": [
                { "BusinessPartner": "O'B", "BusinessPartnerFullName": "B", "CreationDate": "/Date(1700000000123)/" }] } })),
            reply(400, json!({ "error": { "code": "SY/530", "message": { "lang": "en", "value": "bad" } } })),
        ],
    )
    .await;
    let found = load(&source, ("Customer", "get"), &["1", "O'B"])
        .await
        .unwrap();
    assert_eq!(
        found[1].records[0].created_at.as_deref(),
        Some("2023-11-14T22:13:20.123Z")
    );
    let target = targets(&vendor)[0].clone();
    let query = target.split_once('?').unwrap().1.as_bytes();
    let (_, query) = url::form_urlencoded::parse(query).next().unwrap();
    assert!(
        query.ends_with("BusinessPartner eq '1' or BusinessPartner eq 'O''B'"),
        "{query}"
    );
    let failure = load(&source, ("Customer", "get"), &["1"])
        .await
        .unwrap_err();
    assert_eq!(
        (failure.class, failure.vendor_code.as_deref()),
        (FailureClass::Rejected, Some("SY/530"))
    );
    assert!(failure.detail.ends_with(": bad"));
}

#[tokio::test]
async fn odata_next_links_lead_on_and_not_abroad() {
    let list = |next: &str| {
        reply(
            200,
            json!({ "d": { "results": [{ "BusinessPartner": "1" }], "__next": next } }),
        )
    };
    let (_vendor, source) = speak(
        "odata",
        [
            list("A_BusinessPartner?$skiptoken=2"),
            list("https://evil.example/A_BusinessPartner"),
        ],
    )
    .await;
    let first = page(&source, "Customer", None, &Ask::default())
        .await
        .unwrap();
    let abroad = page(&source, "Customer", first.next.as_deref(), &Ask::default()).await;
    assert_eq!(abroad.unwrap_err().class, FailureClass::InvalidResponse);
}

#[tokio::test]
async fn shopify_throttles_with_a_200_and_pages_by_variables() {
    let (vendor, source) = speak(
        "shopify",
        [
            reply(200, json!({ "data": { "nodes": [null, { "id": "gid://shopify/Customer/2", "firstName": "Bo" }] } })),
            reply(200, json!({ "data": { "customers": { "nodes": [], "pageInfo": { "hasNextPage": true, "endCursor": "c1" } } } })),
            reply(200, json!({ "data": { "customers": { "nodes": [], "pageInfo": { "hasNextPage": false, "endCursor": "c2" } } } })),
            reply(200, json!({ "errors": [{ "message": "Throttled", "extensions": { "code": "THROTTLED" } }] })),
        ],
    )
    .await;
    let found = load(&source, ("Customer", "get"), &["1", "2"])
        .await
        .unwrap();
    assert!(found[0].records.is_empty());
    assert_eq!(ids(&found[1].records), ["2"]);
    assert!(
        sent(&vendor, 0).contains("gid://shopify/Customer/1"),
        "{}",
        sent(&vendor, 0)
    );
    let first = page(&source, "Customer", None, &Ask::default())
        .await
        .unwrap();
    let second = page(&source, "Customer", first.next.as_deref(), &Ask::default())
        .await
        .unwrap();
    assert_eq!(second.next, None);
    assert!(
        sent(&vendor, 2).contains(r#""after":"c1""#),
        "{}",
        sent(&vendor, 2)
    );
    assert_eq!(
        class(&source, ("Customer", "get"), &["1"]).await,
        FailureClass::RateLimited
    );
}

#[tokio::test]
async fn netsuite_tells_of_each_record_whether_it_failed() {
    let good = |id: u32| {
        format!(
            r#"<readResponse><c:status isSuccess="true"/><record internalId="{id}" xsi:type="c:Customer"><c:entityId>N{id}</c:entityId></record></readResponse>"#
        )
    };
    let bad = |code: &str| {
        format!(
            r#"<readResponse><c:status isSuccess="false"><c:statusDetail type="ERROR"><c:code>{code}</c:code></c:statusDetail></c:status></readResponse>"#
        )
    };
    let list = format!(
        "<getListResponse><readResponseList>{}{}{}</readResponseList></getListResponse>",
        good(1),
        bad("RCRD_DSNT_EXIST"),
        bad("INSUFFICIENT_PERMISSION")
    );
    let (vendor, source) = speak("netsuite", [envelope(200, &list)]).await;
    let found = load(&source, ("Customer", "get"), &["1", "2", "3"])
        .await
        .unwrap();
    assert_eq!(text(&found[0].records[0], "givenName"), "N1");
    assert!(found[1].records.is_empty() && found[1].failure.is_none());
    assert_eq!(
        found[2].failure.as_ref().unwrap().class,
        FailureClass::Forbidden
    );
    assert!(
        sent(&vendor, 0)
            .contains(r#"<m:baseRef x:type="c:RecordRef" type="customer" internalId="2"/>"#)
    );
    assert_eq!(
        vendor.requests()[0].header("soapaction"),
        Some("\"getList\"")
    );
}

#[tokio::test]
async fn netsuite_types_choose_among_records_and_faults_are_read_at_any_status() {
    let list = r#"<searchResponse><searchResult><totalRecords>2</totalRecords><recordList>
        <record internalId="1" xsi:type="c:Customer"><c:entityId>N1</c:entityId></record>
        <record internalId="2" xsi:type="c:Contact"><c:entityId>N2</c:entityId></record></recordList></searchResult></searchResponse>"#;
    let fault = r#"<s:Fault><faultcode>sf:Server</faultcode><faultstring>m</faultstring><detail><c:limit>1</c:limit></detail></s:Fault>"#;
    let busy = r#"<s:Fault><faultcode>ns:ExceededRequestLimitFault</faultcode><faultstring>m</faultstring></s:Fault>"#;
    let (_vendor, source) = speak(
        "netsuite",
        [
            envelope(200, list),
            envelope(200, fault),
            envelope(500, busy),
            typed(502, "text/html", "<!DOCTYPE html><html>Bad Gateway</html>"),
            typed(200, "text/html", "<html>Login</html>"),
        ],
    )
    .await;
    let first = page(&source, "Customer", None, &Ask::default())
        .await
        .unwrap();
    assert_eq!(ids(&first.records), ["1"]);
    assert_eq!(
        class(&source, ("Customer", "get"), &["1"]).await,
        FailureClass::Unavailable
    );
    assert_eq!(
        class(&source, ("Customer", "get"), &["1"]).await,
        FailureClass::RateLimited
    );
    assert_eq!(
        class(&source, ("Customer", "get"), &["1"]).await,
        FailureClass::Unavailable
    );
    assert_eq!(
        class(&source, ("Customer", "get"), &["1"]).await,
        FailureClass::InvalidResponse
    );
}

#[tokio::test]
async fn exacttarget_goes_on_by_the_id_of_the_request() {
    let list = |status: &str, id: &str| {
        envelope(
            200,
            &format!(
                r#"<RetrieveResponseMsg xmlns="http://other.example/partnerAPI"><OverallStatus>{status}</OverallStatus><RequestID>{id}</RequestID>
            <Results><SubscriberKey>{id}</SubscriberKey><CreatedDate>2024-03-01T10:00:00.123</CreatedDate></Results></RetrieveResponseMsg>"#
            ),
        )
    };
    let (vendor, source) = speak(
        "exacttarget",
        [
            list("MoreDataAvailable", "r1"),
            list("OK", "r2"),
            list("Error: rate", "r3"),
        ],
    )
    .await;
    let first = page(&source, "Customer", None, &Ask::default())
        .await
        .unwrap();
    assert_eq!(
        first.records[0].created_at.as_deref(),
        Some("2024-03-01T16:00:00.123Z")
    );
    let second = page(&source, "Customer", first.next.as_deref(), &Ask::default())
        .await
        .unwrap();
    assert_eq!((ids(&second.records), second.next), (vec!["r2"], None));
    assert!(sent(&vendor, 0).contains(r#"xsi:type="et:SimpleFilterPart""#));
    assert!(sent(&vendor, 1).contains("<et:ContinueRequest>r1</et:ContinueRequest>"));
    let failed = page(&source, "Customer", None, &Ask::default())
        .await
        .unwrap_err();
    assert_eq!(failed.class, FailureClass::RateLimited);
}

fn order(id: u32, total: Json) -> Json {
    json!({ "entity_id": id, "grand_total": total, "currency": "EUR", "customer_id": 5, "state": "new" })
}

#[tokio::test]
async fn magento_repeats_its_last_page_and_the_walk_ends_there() {
    let orders = |ids: [u32; 2]| reply(200, json!({ "items": ids.map(|id| order(id, json!(1))) }));
    let (vendor, source) = speak("magento", [orders([1, 2]), orders([3, 4]), orders([3, 4])]).await;
    let found = load(&source, ("Order", "byCustomer"), &["5"])
        .await
        .unwrap();
    assert_eq!(ids(&found[0].records), ["1", "2", "3", "4"]);
    assert!(!found[0].truncated);
    assert_eq!(vendor.requests().len(), 3);

    let (_vendor, source) = speak("magento", [orders([1, 2]), orders([1, 2])]).await;
    let first = page(&source, "Order", None, &Ask::default()).await.unwrap();
    let again = page(&source, "Order", first.next.as_deref(), &Ask::default())
        .await
        .unwrap();
    assert!(again.records.is_empty() && again.next.is_none());
}

#[tokio::test]
async fn a_broken_rule_refuses_nulls_or_notes_as_the_file_says() {
    let mut odd = order(3, json!(1));
    odd["currency"] = json!("GBP");
    let mut held = order(4, json!(1));
    held["state"] = json!("holded");
    let items = json!({ "items": [order(1, json!(10.5)), order(2, json!(-1)), odd, held] });
    let (_vendor, source) = speak(
        "magento",
        [reply(200, items), reply(200, json!({ "items": [] }))],
    )
    .await;
    let found = load(&source, ("Order", "byCustomer"), &["5"])
        .await
        .unwrap();
    let records = &found[0].records;
    assert_eq!(ids(records), ["1", "2", "4"]);
    assert_eq!(text(&records[0], "total.amount"), "10.5");
    assert_eq!(field(&records[1], "total"), Value::Null);
    let reasons = |all: &[tributary::connector::failure::Refusal]| {
        let reasons: Vec<String> = all.iter().map(|one| one.reason.clone()).collect();
        reasons
    };
    assert_eq!(
        reasons(&found[0].refused),
        ["mage, Order.byCustomer: `total.currency` breaks the rule `one_of`"]
    );
    assert_eq!(
        reasons(&found[0].notes),
        [
            "mage, Order.byCustomer: `total` breaks the rule `min`",
            "mage, Order.byCustomer: `rules` the order is held",
        ]
    );
}
