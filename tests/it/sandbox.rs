//! The fake vendors, over raw HTTP.

use std::collections::HashSet;

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tributary::sandbox::{
    Options, Sandbox, Vendor,
    company::{
        Company,
        people::{ANA_CRM_ID, ANA_EMAIL, ANA_ERP_CUSTOMER, ANA_HELPDESK_ID, ANA_SHOP_ID},
    },
    fault::{Fault, FaultKind, SECRET_MARKER},
};

async fn small() -> Sandbox {
    start(Options {
        customers: 240,
        ..Options::default()
    })
    .await
}

async fn start(options: Options) -> Sandbox {
    Sandbox::start(options).await.unwrap()
}

fn get(sandbox: &Sandbox, vendor: Vendor, target: &str) -> RequestBuilder {
    let url = format!("{}{target}", sandbox.url(vendor));
    prove(sandbox, vendor, client().get(url))
}

fn post(sandbox: &Sandbox, vendor: Vendor, target: &str, body: &Value) -> RequestBuilder {
    let url = format!("{}{target}", sandbox.url(vendor));
    let request = client()
        .post(url)
        .header("content-type", "application/json");
    prove(sandbox, vendor, request.body(body.to_string()))
}

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

fn prove(sandbox: &Sandbox, vendor: Vendor, request: RequestBuilder) -> RequestBuilder {
    let known = sandbox.environment();
    match vendor {
        Vendor::Crm => request.bearer_auth(&known["CRM_TOKEN"]),
        Vendor::Erp => request.basic_auth(&known["ERP_USER"], Some(&known["ERP_PASSWORD"])),
        Vendor::Helpdesk => request.basic_auth(
            format!("{}/token", known["HELPDESK_USER"]),
            Some(&known["HELPDESK_TOKEN"]),
        ),
        Vendor::Shop => request.header("X-Shop-Access-Token", &known["SHOP_TOKEN"]),
        Vendor::Marketing => request.header("X-Api-Key", &known["MARKETING_KEY"]),
        Vendor::Payments => request.bearer_auth(&known["PAYMENTS_KEY"]),
        Vendor::Mail => request.header("X-Mail-Token", &known["MAIL_TOKEN"]),
        Vendor::Social => request.bearer_auth(&known["SOCIAL_TOKEN"]),
    }
}

fn soap(sandbox: &Sandbox, action: &str, inner: &str) -> RequestBuilder {
    let request = client()
        .post(sandbox.url(Vendor::Erp))
        .header("content-type", "text/xml; charset=utf-8")
        .header("soapaction", format!("\"urn:acme:erp:v2/{action}\""));
    let body = format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>\
         <erp:{action} xmlns:erp=\"urn:acme:erp:v2\">{inner}</erp:{action}></e:Body></e:Envelope>"
    );
    prove(sandbox, Vendor::Erp, request.body(body))
}

async fn graphql(sandbox: &Sandbox, query: &str, variables: Value) -> Value {
    let body = json!({ "query": query, "variables": variables });
    answer(post(sandbox, Vendor::Shop, "", &body)).await.1
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let (status, text) = words(request).await;
    (
        status,
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}")),
    )
}

async fn words(request: RequestBuilder) -> (u16, String) {
    let response: Response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[test]
fn one_seed_gives_one_company_and_another_seed_another() {
    let text = |seed| format!("{:?}", Company::new(seed, 300).people);
    assert_eq!(text(7), text(7));
    assert_ne!(text(7), text(8));
}

#[test]
fn the_default_company_has_the_promised_size_and_spread() {
    let company = Company::new(1, 2400);
    let all = company.people.iter();
    let all = all
        .filter(|one| Vendor::OF_PEOPLE.iter().all(|vendor| one.is_in(*vendor)))
        .count();
    let counts = [
        company.people_in(Vendor::Crm).count(),
        company.erp_orders.len(),
        company.shop_orders.len(),
        company.tickets.len(),
        company.memberships.len(),
        all,
    ];
    assert!((2200..2360).contains(&counts[0]), "{counts:?}");
    assert!((5000..7500).contains(&counts[1]), "{counts:?}");
    assert!((5000..7500).contains(&counts[2]), "{counts:?}");
    assert!((4000..6000).contains(&counts[3]), "{counts:?}");
    assert!((7500..10_500).contains(&counts[4]), "{counts:?}");
    assert!((720..1100).contains(&counts[5]), "{counts:?}");
    let amounts: Vec<String> = company
        .erp_orders
        .iter()
        .map(|one| one.currency().text(one.subtotal()))
        .collect();
    assert!(amounts.iter().any(|one| one == "1234567890123.45"));
}

#[tokio::test]
async fn every_vendor_refuses_a_caller_without_credentials() {
    let sandbox = small().await;
    let targets = [
        (Vendor::Crm, "/v1/contacts"),
        (Vendor::Erp, ""),
        (Vendor::Helpdesk, "/api/v2/tickets.json"),
        (Vendor::Shop, ""),
        (Vendor::Marketing, "/3.0/campaigns"),
        (Vendor::Payments, "/v1/charges?customer=none"),
        (Vendor::Mail, "/v2/messages/msg-0-0"),
        (Vendor::Social, "/2/profiles/0.0"),
    ];
    for (vendor, target) in targets {
        let url = format!("{}{target}", sandbox.url(vendor));
        let (status, text) = words(client().get(url)).await;
        assert_eq!(status, 401, "{vendor:?}: {text}");
    }
}

#[tokio::test]
async fn ana_silva_has_a_record_with_every_vendor() {
    let sandbox = small().await;
    let (_, crm) = answer(get(&sandbox, Vendor::Crm, "/v1/contacts?limit=1")).await;
    assert_eq!(crm["results"][0]["id"], json!(ANA_CRM_ID));
    let id = format!("<erp:CustomerId>{ANA_ERP_CUSTOMER}</erp:CustomerId>");
    let (status, erp) = words(soap(&sandbox, "GetCustomers", &id)).await;
    assert_eq!(status, 200, "{erp}");
    assert!(erp.contains("<t:Name1>SILVA, Ana</t:Name1>"), "{erp}");
    let target = format!("/api/v2/users/search.json?query=email:\"{ANA_EMAIL}\"");
    let (_, users) = answer(get(&sandbox, Vendor::Helpdesk, &target)).await;
    assert_eq!(users["users"][0]["id"], json!(ANA_HELPDESK_ID));
    assert_eq!(
        users["users"][0]["external_id"],
        json!(ANA_CRM_ID.to_string())
    );
    let query = "query($q:String){customers(first:5,query:$q){nodes{id firstName}}}";
    let term = json!({ "q": format!("email:\"{ANA_EMAIL}\" OR email:\"no@body.io\"") });
    let shop = graphql(&sandbox, query, term).await;
    assert_eq!(
        shop["data"]["customers"]["nodes"],
        json!([{ "id": ANA_SHOP_ID, "firstName": "Ana" }])
    );
    let target = format!("/3.0/contacts?email={ANA_EMAIL}");
    let (_, found) = answer(get(&sandbox, Vendor::Marketing, &target)).await;
    let id = found["contacts"][0]["id"].as_str().unwrap().to_owned();
    let target = format!("/3.0/contacts/{id}/memberships?count=100");
    let (_, memberships) = answer(get(&sandbox, Vendor::Marketing, &target)).await;
    assert_eq!(memberships["total_items"], json!(4));
}

#[tokio::test]
async fn paging_walks_every_contact_exactly_once() {
    let sandbox = small().await;
    let mut seen = HashSet::new();
    let mut target = "/v1/contacts?limit=70".to_owned();
    for _ in 0..20 {
        let (_, page) = answer(get(&sandbox, Vendor::Crm, &target)).await;
        for contact in page["results"].as_array().unwrap() {
            assert!(seen.insert(contact["id"].as_u64().unwrap()));
        }
        let Some(after) = page["paging"]["next"]["after"].as_str() else {
            break;
        };
        target = format!("/v1/contacts?limit=70&after={after}");
    }
    assert_eq!(seen.len(), sandbox.truth().people_in(Vendor::Crm).count());
}

#[tokio::test]
async fn paging_walks_every_ticket_exactly_once() {
    let sandbox = small().await;
    let mut seen = HashSet::new();
    let mut target = "/api/v2/tickets.json?sort=-updated_at&page[size]=100".to_owned();
    for _ in 0..50 {
        let (_, page) = answer(get(&sandbox, Vendor::Helpdesk, &target)).await;
        for ticket in page["tickets"].as_array().unwrap() {
            assert!(seen.insert(ticket["id"].as_u64().unwrap()));
        }
        if page["meta"]["has_more"] == json!(false) {
            break;
        }
        let after = page["meta"]["after_cursor"].as_str().unwrap();
        target =
            format!("/api/v2/tickets.json?sort=-updated_at&page[size]=100&page[after]={after}");
    }
    assert_eq!(seen.len(), sandbox.truth().tickets.len());
}

#[tokio::test]
async fn paging_walks_every_order_of_both_systems_exactly_once() {
    let sandbox = small().await;
    let truth = sandbox.truth();
    let query = "query($a:String){orders(first:250,after:$a,sortKey:UPDATED_AT,reverse:true)\
                 {nodes{id customer{id}} pageInfo{hasNextPage endCursor}}}";
    let (mut seen, mut after) = (HashSet::new(), Value::Null);
    for _ in 0..50 {
        let page = graphql(&sandbox, query, json!({ "a": after })).await;
        let page = &page["data"]["orders"];
        for order in page["nodes"].as_array().unwrap() {
            assert!(seen.insert(order["id"].to_string()));
        }
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(seen.len(), truth.shop_orders.len());
    let mut ids = HashSet::new();
    for page in 1..=50 {
        let inner = format!("<erp:Page>{page}</erp:Page><erp:PageSize>100</erp:PageSize>");
        let (_, text) = words(soap(&sandbox, "SearchOrders", &inner)).await;
        let found: Vec<&str> = text.split("<t:OrderId>").skip(1).collect();
        if found.is_empty() {
            break;
        }
        for order in found {
            assert!(ids.insert(order[..10].to_owned()));
        }
    }
    assert_eq!(ids.len(), truth.erp_orders.len());
}

#[tokio::test]
async fn a_page_or_batch_at_the_limit_is_served_and_one_above_is_refused() {
    let sandbox = small().await;
    let batch = |count: usize| json!({ "inputs": vec![json!({ "id": ANA_CRM_ID }); count] });
    for (count, expected) in [(100, 200), (101, 400)] {
        let request = post(
            &sandbox,
            Vendor::Crm,
            "/v1/contacts/batch/read",
            &batch(count),
        );
        assert_eq!(answer(request).await.0, expected);
        let target = format!("/v1/contacts?limit={count}");
        assert_eq!(
            answer(get(&sandbox, Vendor::Crm, &target)).await.0,
            expected
        );
        let target = format!("/3.0/campaigns?count={count}");
        assert_eq!(
            answer(get(&sandbox, Vendor::Marketing, &target)).await.0,
            expected
        );
        let target = format!(
            "/api/v2/users/show_many.json?ids={}",
            vec!["1"; count].join(",")
        );
        assert_eq!(
            answer(get(&sandbox, Vendor::Helpdesk, &target)).await.0,
            expected
        );
    }
    for (count, expected) in [(50, 200), (51, 500)] {
        let ids = "<erp:CustomerId>0</erp:CustomerId>".repeat(count);
        assert_eq!(words(soap(&sandbox, "ListOrders", &ids)).await.0, expected);
    }
    let query = "query($ids:[ID!]!){nodes(ids:$ids){id}}";
    let shop = graphql(&sandbox, query, json!({ "ids": vec!["x"; 251] })).await;
    assert_eq!(
        shop["errors"][0]["extensions"]["code"],
        json!("BAD_USER_INPUT")
    );
}

#[tokio::test]
async fn a_batch_leaves_out_what_is_missing_and_names_what_is_wrong() {
    let sandbox = small().await;
    let body =
        json!({ "inputs": [{ "id": "5" }, { "id": "abc" }, { "id": ANA_CRM_ID.to_string() }] });
    let (status, read) = answer(post(
        &sandbox,
        Vendor::Crm,
        "/v1/contacts/batch/read",
        &body,
    ))
    .await;
    assert_eq!(status, 207);
    assert_eq!(read["results"].as_array().unwrap().len(), 1);
    assert_eq!(read["errors"][0]["id"], json!("abc"));
    let query = "query($ids:[ID!]!){nodes(ids:$ids){id}}";
    let ids = json!({ "ids": ["gid://shop/Customer/1", ANA_SHOP_ID] });
    let shop = graphql(&sandbox, query, ids).await;
    assert_eq!(shop["data"]["nodes"], json!([null, { "id": ANA_SHOP_ID }]));
}

#[tokio::test]
async fn soap_1_2_is_answered_in_1_2_and_a_wrong_action_with_a_fault() {
    let sandbox = small().await;
    let request = client()
        .post(sandbox.url(Vendor::Erp))
        .header("content-type", "application/soap+xml; charset=utf-8; action=\"urn:acme:erp:v2/GetCustomers\"")
        .body(format!(
            "<e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\"><e:Body><GetCustomers xmlns=\"urn:acme:erp:v2\">\
             <CustomerId>{ANA_ERP_CUSTOMER}</CustomerId></GetCustomers></e:Body></e:Envelope>"
        ));
    let (status, text) = words(prove(&sandbox, Vendor::Erp, request)).await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("http://www.w3.org/2003/05/soap-envelope"));
    let request = soap(&sandbox, "GetOrders", "<erp:OrderId>1</erp:OrderId>");
    let mut built = request.build().unwrap();
    built
        .headers_mut()
        .insert("soapaction", "other".parse().unwrap());
    let refused = client().execute(built).await.unwrap();
    assert_eq!(refused.status(), 500);
    assert!(
        refused
            .text()
            .await
            .unwrap()
            .contains("<faultcode>ns0:Client.ActionMismatch</faultcode>")
    );
}

#[tokio::test]
async fn calls_are_counted_by_vendor_and_operation_until_they_are_reset() {
    let sandbox = small().await;
    answer(get(&sandbox, Vendor::Crm, "/v1/contacts?limit=1")).await;
    answer(get(&sandbox, Vendor::Crm, "/v1/contacts?limit=2")).await;
    words(soap(&sandbox, "GetOrders", "<erp:OrderId>1</erp:OrderId>")).await;
    graphql(&sandbox, "{orders(first:1){nodes{id}}}", json!({})).await;
    let counts = sandbox.counts();
    assert_eq!(counts[&("crm", "contacts.list".to_owned())], 2);
    assert_eq!(counts[&("erp", "GetOrders".to_owned())], 1);
    assert_eq!(counts[&("shop", "orders".to_owned())], 1);
    assert_eq!(sandbox.calls()[1].target, "/v1/contacts?limit=2");
    sandbox.reset_calls();
    assert!(sandbox.counts().is_empty() && sandbox.calls().is_empty());
}

#[tokio::test]
async fn a_fault_spoils_so_many_calls_of_its_operation_and_no_others() {
    let sandbox = small().await;
    let fault = Fault::times(FaultKind::Status(503), 1).on("contacts.list");
    sandbox.set_fault(Vendor::Crm, Some(fault));
    assert_eq!(
        answer(get(&sandbox, Vendor::Crm, "/v1/companies")).await.0,
        200
    );
    let (status, text) = words(get(&sandbox, Vendor::Crm, "/v1/contacts")).await;
    assert_eq!(status, 503);
    assert!(text.contains(SECRET_MARKER));
    assert_eq!(
        answer(get(&sandbox, Vendor::Crm, "/v1/contacts")).await.0,
        200
    );
}

#[tokio::test]
async fn each_kind_of_fault_does_what_its_name_says() {
    let sandbox = small().await;
    let crm = || get(&sandbox, Vendor::Crm, "/v1/contacts?limit=1");
    let set = |vendor, kind| sandbox.set_fault(vendor, Some(Fault::always(kind)));
    set(Vendor::Crm, FaultKind::Down);
    assert!(crm().send().await.is_err());
    set(Vendor::Crm, FaultKind::Rubbish);
    assert!(words(crm()).await.1.starts_with("<!DOCTYPE html>"));
    set(Vendor::Crm, FaultKind::Truncated);
    let (status, text) = words(crm()).await;
    assert!(status == 200 && serde_json::from_str::<Value>(&text).is_err());
    set(Vendor::Crm, FaultKind::WrongContentType);
    let response = crm().send().await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "application/octet-stream"
    );
    set(Vendor::Crm, FaultKind::Throttled);
    let response = crm().send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "1");
    set(Vendor::Shop, FaultKind::Throttled);
    let shop = graphql(&sandbox, "{orders(first:1){nodes{id}}}", json!({})).await;
    assert_eq!(shop["errors"][0]["extensions"]["code"], json!("THROTTLED"));
    let short = std::time::Duration::from_millis(200);
    for kind in [FaultKind::Hang, FaultKind::DripFeed] {
        set(Vendor::Crm, kind);
        let late = async { crm().send().await.unwrap().text().await };
        assert!(tokio::time::timeout(short, late).await.is_err(), "{kind:?}");
    }
    for (kind, expected) in [
        (FaultKind::SoapFault200, 200),
        (FaultKind::SoapFault500, 500),
    ] {
        set(Vendor::Erp, kind);
        let (status, text) =
            words(soap(&sandbox, "GetOrders", "<erp:OrderId>1</erp:OrderId>")).await;
        assert!(status == expected && text.contains("<S:Fault>"), "{text}");
    }
}

#[tokio::test]
async fn the_helpdesk_says_when_to_come_back() {
    let sandbox = start(Options {
        customers: 20,
        helpdesk_calls_per_minute: Some(1),
        ..Options::default()
    })
    .await;
    let call = || get(&sandbox, Vendor::Helpdesk, "/api/v2/tickets.json");
    assert_eq!(answer(call()).await.0, 200);
    let refused = call().send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(
        refused.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 0
    );
}

#[tokio::test]
async fn a_change_shows_in_the_next_answer() {
    let sandbox = small().await;
    assert!(sandbox.change(|company| company.rename(0, "Ana", "Costa")));
    let (_, page) = answer(get(
        &sandbox,
        Vendor::Crm,
        "/v1/contacts?sort=-updated_at&limit=1",
    ))
    .await;
    assert_eq!(page["results"][0]["last_name"], json!("Costa"));
    assert!(sandbox.change(|company| company.set_order_state(Vendor::Shop, 0, 5)));
    let shop = graphql(
        &sandbox,
        "{orders(first:1,sortKey:UPDATED_AT,reverse:true){nodes{status}}}",
        json!({}),
    )
    .await;
    assert_eq!(
        shop["data"]["orders"]["nodes"][0]["status"],
        json!("WEIRD_HOLD")
    );
}

#[tokio::test]
async fn a_stopped_sandbox_closes_its_ports() {
    let sandbox = small().await;
    let request = get(&sandbox, Vendor::Crm, "/v1/contacts");
    sandbox.shutdown().await;
    assert!(request.send().await.is_err());
}
