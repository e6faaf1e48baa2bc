//! The connector files that ship, against the sandbox company: every operation of every file answers.

use std::collections::BTreeSet;

use serde_json::json;
use tributary::config::interpolate::Environment;
use tributary::connector::{Ask, Connector};
use tributary::record::value::Value;
use tributary::sandbox::{Options, Sandbox, Vendor};

use crate::support::connector::{field, filtered, ids, load, page, source, text};

const FILES: [(&str, &str); 8] = [
    ("crm", include_str!("../../connectors/crm.yaml")),
    ("erp", include_str!("../../connectors/erp.yaml")),
    ("helpdesk", include_str!("../../connectors/helpdesk.yaml")),
    ("shop", include_str!("../../connectors/shop.yaml")),
    ("marketing", include_str!("../../connectors/marketing.yaml")),
    ("payments", include_str!("../../connectors/payments.yaml")),
    ("mail", include_str!("../../connectors/mail.yaml")),
    ("social", include_str!("../../connectors/social.yaml")),
];

const ANA: &str = "ana.silva@acme-industries.io";

async fn company() -> Sandbox {
    let options = Options {
        customers: 120,
        ..Options::default()
    };
    Sandbox::start(options).await.unwrap()
}

#[track_caller]
fn connector(sandbox: &Sandbox, key: &str) -> Connector {
    let (_, file) = FILES.iter().find(|(name, _)| *name == key).unwrap();
    source(file, &Environment::of(sandbox.environment()))
}

/// Loads one key and gives its only record.
async fn one(
    source: &Connector,
    operation: (&str, &str),
    key: &str,
) -> std::sync::Arc<tributary::record::Record> {
    let results = load(source, operation, &[key]).await.unwrap();
    assert_eq!(results[0].refused, [], "{operation:?}");
    assert_eq!(results[0].records.len(), 1, "{operation:?}");
    results[0].records[0].clone()
}

#[tokio::test]
async fn every_operation_of_every_file_answers_without_a_refusal() {
    let sandbox = company().await;
    for (key, _) in FILES {
        let source = connector(&sandbox, key);
        let mut asked = 0;
        for op in &source.operations {
            let name = (&*op.entity, &*op.name);
            if name.1 == "list" {
                let first = page(&source, name.0, None, &Ask::default()).await.unwrap();
                assert!(
                    !first.records.is_empty() && first.refused.is_empty(),
                    "{key} {name:?} {:?}",
                    first.refused
                );
            } else {
                for record in 0..op.batch_max.map_or(3, |max| max.min(20)) {
                    let Some(keys) = keys_for(&source, name, record).await else {
                        continue;
                    };
                    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                    let results = load(&source, name, &keys).await;
                    let results = results.unwrap_or_else(|error| panic!("{key} {name:?}: {error}"));
                    assert_eq!(results.len(), keys.len());
                    for result in &results {
                        assert_eq!(result.refused, [], "{key} {name:?}");
                    }
                    asked += usize::from(results.iter().any(|result| !result.records.is_empty()));
                }
            }
        }
        assert!(asked > 0, "{key}");
    }
    sandbox.shutdown().await;
}

/// Keys that an operation of the sandbox's vendor knows; one or several by what the operation takes.
async fn keys_for(source: &Connector, operation: (&str, &str), at: usize) -> Option<Vec<String>> {
    let op = source.operation(operation.0, operation.1)?;
    let many = op.batch_max.is_some();
    if at > 0 && many {
        return None;
    }
    let known: &[&str] = match (&*source.source, operation) {
        ("crm", ("Account", "search")) => &["acme"],
        ("helpdesk", ("Ticket", "search")) => &["parcel"],
        (_, (_, "search")) => &["silva"],
        ("payments", (_, "get")) => &["ch_5000000001_paid"],
        ("payments", (_, "byOrder")) => &["gid://shop/Order/5000000001"],
        ("payments", _) => &["gid://shop/Customer/7001000001"],
        ("mail", (_, "get")) => &["msg-0-0"],
        ("social", (_, "get")) => &["0.0"],
        ("mail" | "social", _) => &["9007199254740993"],
        ("crm", ("Account", _) | (_, "byAccount")) => &["9107199254740993"],
        ("crm", (_, "byExternalId")) | ("erp", ("Customer", "get") | (_, "byCustomer")) => {
            &["0000104711"]
        }
        ("crm", (_, "get")) => &["9007199254740993"],
        ("erp", ("Order", "get")) => &["0045000001", "0045000002", "0045000003"],
        ("helpdesk", (_, "byExternalId")) => &["9007199254740993"],
        ("helpdesk", ("Customer", "get") | (_, "byCustomer")) => &["361000000017"],
        ("helpdesk", ("Ticket", _) | (_, "byTicket")) => &["500001", "500002", "500003"],
        ("shop", ("Order", "get")) => &["gid://shop/Order/5000000001"],
        ("shop", (_, "get" | "byCustomer")) => &["gid://shop/Customer/7001000001"],
        ("marketing", ("Campaign", _) | (_, "byCampaign")) => {
            &["cmp_1a001", "cmp_1a002", "cmp_1a003"]
        }
        ("marketing", (_, "get" | "byCustomer")) => &["cdcb24c5aa1bcb5c985a1cf662f38419"],
        (_, (_, "byEmail")) => &[ANA],
        _ => panic!("no key for {operation:?}"),
    };
    let known: Vec<String> = known.iter().map(|key| (*key).to_owned()).collect();
    if many {
        return Some(known);
    }
    known.get(at).map(|key| vec![key.clone()])
}

#[tokio::test]
async fn all_pages_of_every_list_read_without_a_refusal_and_without_a_repeat() {
    let sandbox = company().await;
    for (key, _) in FILES {
        let source = connector(&sandbox, key);
        for op in source.operations.iter().filter(|op| &*op.name == "list") {
            let (mut seen, ask) = (BTreeSet::new(), Ask::default());
            let mut position = None;
            let mut total = None;
            for _ in 0..200 {
                let read = page(&source, &op.entity, position.as_deref(), &ask);
                let read = read.await.unwrap();
                assert_eq!(read.refused, [], "{key} {}", op.entity);
                for record in &read.records {
                    assert!(seen.insert(record.remote_id.clone()), "{key} {}", op.entity);
                }
                total = read.total.or(total);
                position = read.next;
                if position.is_none() {
                    break;
                }
            }
            assert_eq!(position, None);
            if let Some(total) = total {
                assert_eq!(total, seen.len() as u64, "{key} {}", op.entity);
            }
            assert!(seen.len() > 5, "{key} {}", op.entity);
        }
    }
    sandbox.shutdown().await;
}

#[tokio::test]
async fn the_same_person_is_mapped_from_all_five() {
    let sandbox = company().await;
    let crm = connector(&sandbox, "crm");
    let ana = one(&crm, ("Customer", "byEmail"), ANA).await;
    assert_eq!(&*ana.remote_id, "9007199254740993");
    assert_eq!(text(&ana, "givenName"), "Ana");
    assert_eq!(text(&ana, "emails.0.normalized"), ANA);
    assert_eq!(field(&ana, "emails.0.verified"), Value::Bool(true));
    // `0912345678` is no number of Portugal, so that it has no certain form.
    assert_eq!(field(&ana, "phones.0.e164"), Value::Null);
    assert_eq!(&*ana.link("account")[0], "9107199254740993");
    assert_eq!(&*ana.remote_type, "Contact");
    let erp_id = ana.identifiers.iter().find(|one| one.namespace.is_some());
    assert_eq!(&*erp_id.unwrap().normalized, "0000104711");

    let erp = connector(&sandbox, "erp");
    let debtor = one(&erp, ("Customer", "get"), "0000104711").await;
    assert_eq!(
        (text(&debtor, "familyName"), text(&debtor, "givenName")),
        ("Silva".into(), "Ana".into())
    );
    assert_eq!(text(&debtor, "phones.0.e164"), "+351912345678");
    assert_eq!(text(&debtor, "createdAt"), "2024-07-27T23:37:19Z");
    let orders = load(&erp, ("Order", "byCustomer"), &["0000104711", "0000000000"])
        .await
        .unwrap();
    let order = orders[0]
        .records
        .iter()
        .find(|order| &*order.remote_id == "0045000001")
        .unwrap();
    assert_eq!(text(order, "total.amount"), "157.06");
    assert_eq!(text(order, "lineItems.0.unitPrice.currency"), "EUR");
    assert!(orders[1].records.is_empty() && orders[1].refused.is_empty());

    let helpdesk = connector(&sandbox, "helpdesk");
    let user = one(&helpdesk, ("Customer", "byEmail"), ANA).await;
    assert_eq!(
        (text(&user, "givenName"), text(&user, "familyName")),
        ("Ana".into(), "Silva".into())
    );
    let tickets = load(&helpdesk, ("Ticket", "byCustomer"), &["361000000017"])
        .await
        .unwrap();
    assert!(
        tickets[0]
            .records
            .iter()
            .any(|ticket| &*ticket.remote_id == "500001")
    );

    let shop = connector(&sandbox, "shop");
    let buyer = one(&shop, ("Customer", "byEmail"), ANA).await;
    assert_eq!(&*buyer.remote_id, "gid://shop/Customer/7001000001");

    let marketing = connector(&sandbox, "marketing");
    let contact = one(&marketing, ("Customer", "byEmail"), ANA).await;
    assert_eq!(text(&contact, "createdAt"), "2023-01-03T07:47:05Z");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn unknown_words_of_vendors_become_other_and_stay_readable() {
    let sandbox = company().await;
    let crm = connector(&sandbox, "crm");
    let mut others = 0;
    let mut position = None;
    loop {
        let read = page(&crm, "Customer", position.as_deref(), &Ask::default())
            .await
            .unwrap();
        for record in &read.records {
            if text(record, "status") == "OTHER" {
                assert_eq!(text(record, "rawStatus"), "vip_review");
                others += 1;
            }
        }
        position = read.next;
        if position.is_none() {
            break;
        }
    }
    assert!(others > 0);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn filters_and_orders_are_evaluated_by_the_vendors() {
    let sandbox = company().await;
    let cases = [
        ("crm", "Customer", "statuses", json!(["ARCHIVED"]), "status"),
        ("erp", "Order", "statuses", json!(["CANCELED"]), "status"),
        (
            "helpdesk",
            "Ticket",
            "statuses",
            json!(["RESOLVED"]),
            "status",
        ),
        ("shop", "Order", "statuses", json!(["CANCELED"]), "status"),
        (
            "marketing",
            "Campaign",
            "statuses",
            json!(["DRAFT"]),
            "status",
        ),
    ];
    for (key, entity, name, value, compared) in cases {
        let source = connector(&sandbox, key);
        let op = source.operation(entity, "list").unwrap();
        assert!(op.can_push(name, &value), "{key}");
        let wanted = value[0].as_str().unwrap().to_owned();
        let read = page(&source, entity, None, &filtered(name, value))
            .await
            .unwrap();
        assert!(!read.records.is_empty(), "{key}");
        for record in &read.records {
            assert_eq!(text(record, compared), wanted, "{key}");
        }
        // What the vendor has no word for, or several for, is left to the gateway.
        assert!(!op.can_push(name, &json!(["UNKNOWN"])), "{key}");
    }
    for (key, entity) in [
        ("crm", "Customer"),
        ("erp", "Order"),
        ("marketing", "Campaign"),
    ] {
        let source = connector(&sandbox, key);
        let since = json!({ "from": "2026-06-01T00:00:00+05:00" });
        let read = page(&source, entity, None, &filtered("updatedAt", since))
            .await
            .unwrap();
        assert!(!read.records.is_empty(), "{key}");
        for record in &read.records {
            assert!(
                *text(record, "updatedAt") >= *"2026-05-31T19:00:00Z",
                "{key}"
            );
        }
    }
    for (key, entity, field) in [
        ("crm", "Customer", "updatedAt"),
        ("helpdesk", "Ticket", "updatedAt"),
        ("shop", "Order", "updatedAt"),
    ] {
        let source = connector(&sandbox, key);
        for descending in [false, true] {
            let ask = Ask {
                sort: Some(("UPDATED_AT".into(), descending)),
                ..Ask::default()
            };
            let read = page(&source, entity, None, &ask).await.unwrap();
            let mut times: Vec<String> = read
                .records
                .iter()
                .map(|record| text(record, field))
                .collect();
            if descending {
                times.reverse();
            }
            assert!(times.is_sorted() && times.len() > 10, "{key}");
        }
    }
    sandbox.shutdown().await;
}

#[tokio::test]
async fn members_of_a_campaign_come_in_pages_with_their_total() {
    let sandbox = company().await;
    let source = connector(&sandbox, "marketing");
    let members = load(&source, ("CampaignMember", "byCampaign"), &["cmp_1a001"])
        .await
        .unwrap();
    let truth = members[0].total.unwrap();
    assert_eq!(members[0].records.len() as u64, truth);
    assert!(!members[0].truncated);
    assert_eq!(&*members[0].records[0].link("campaign")[0], "cmp_1a001");
    let none = load(
        &source,
        ("Customer", "get"),
        &["00000000000000000000000000000000"],
    )
    .await
    .unwrap();
    assert!(none[0].records.is_empty());
    assert_eq!(ids(&none[0].records), Vec::<&str>::new());
    let calls = sandbox.calls();
    assert!(calls.iter().all(|call| call.vendor == Vendor::Marketing));
    sandbox.shutdown().await;
}
