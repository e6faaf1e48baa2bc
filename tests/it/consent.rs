//! Consents, social profiles, and when a customer was last written to.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tributary::sandbox::Vendor;
use tributary::sandbox::fault::{Fault, FaultKind};

use super::support::gateway::{Running, token};

const ANA: &str = r#"customerByIdentifier(identifier: { email: "ana.silva@acme-industries.io" })"#;

#[tokio::test]
async fn consents_stand_side_by_side_as_each_source_recorded_them() {
    let gateway = Running::start().await;
    let fields = "channel purpose state rawState optInLevel legalBasis contactPoint source { source { key } remoteId }";
    let data = gateway
        .data(&format!("{{ {ANA} {{ consents {{ {fields} }} none: consents(channel: SMS) {{ state }} email: consents(channel: EMAIL, purpose: \"newsletter\") {{ state }} }} }}"))
        .await;
    let customer = &data["customerByIdentifier"];
    let consents = customer["consents"].as_array().unwrap();
    let sources: Vec<&Value> = consents
        .iter()
        .map(|consent| &consent["source"]["source"]["key"])
        .collect();
    assert_eq!(sources, ["crm", "marketing"]);
    for consent in consents {
        assert_eq!(consent["channel"], "EMAIL");
        assert_eq!(consent["optInLevel"], "UNKNOWN");
        assert!(consent["rawState"].is_string(), "{consent:#}");
    }
    assert_eq!(customer["none"], json!([]));
    assert_eq!(customer["email"].as_array().unwrap().len(), 2);
    let all = gateway
        .data("{ customers(first: 50) { nodes { consents { state } } } }")
        .await;
    let states: BTreeSet<&str> = all["customers"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|customer| customer["consents"].as_array().unwrap())
        .map(|consent| consent["state"].as_str().unwrap())
        .collect();
    for state in ["GRANTED", "DENIED", "PENDING", "REVOKED"] {
        assert!(states.contains(state), "{states:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn messages_are_read_for_stats_only_when_the_last_one_is_asked_for() {
    let gateway = Running::start().await;
    let data = gateway
        .data(&format!(
            "{{ {ANA} {{ stats {{ orderCount {{ value }} totalSpentByCurrency {{ amount }} }} }} }}"
        ))
        .await;
    let without = data["customerByIdentifier"]["stats"].clone();
    assert!(!gateway.calls().contains_key("mail messages.search"));
    let data = gateway
        .data("{ customers(first: 25) { nodes { stats { lastContactedAt totalSpentByCurrency { amount } orderCount { value } } messages(first: 50) { nodes { direction sentAt } } } } }")
        .await;
    for customer in data["customers"]["nodes"].as_array().unwrap() {
        let messages = customer["messages"]["nodes"].as_array().unwrap();
        let sent = messages.iter().filter(|one| one["direction"] == "OUTBOUND");
        let last = sent.filter_map(|one| one["sentAt"].as_str()).max();
        assert_eq!(customer["stats"]["lastContactedAt"].as_str(), last);
    }
    assert_eq!(gateway.calls()["mail messages.search"], 1);
    let data = gateway
        .data(&format!("{{ {ANA} {{ stats {{ lastContactedAt orderCount {{ value }} totalSpentByCurrency {{ amount }} }} }} }}"))
        .await;
    let with = &data["customerByIdentifier"]["stats"];
    for field in ["orderCount", "totalSpentByCurrency"] {
        assert_eq!(with[field], without[field]);
    }
    let scopes = token(&["customer:read", "order:read"]);
    let query = format!("{{ {ANA} {{ stats {{ lastContactedAt orderCount {{ value }} }} }} }}");
    let answer = gateway.ask_with(&query, json!({}), &scopes).await;
    let stats = &answer["data"]["customerByIdentifier"]["stats"];
    assert_eq!(stats["lastContactedAt"], Value::Null);
    assert!(stats["orderCount"]["value"].is_number(), "{answer:#}");
    gateway.stop().await;
}

#[tokio::test]
async fn profiles_of_many_customers_are_one_call_and_each_is_paid_for() {
    let gateway = Running::start().await;
    let query = "{ customers(first: 25) { nodes { id socialProfiles { id network rawNetwork handle followerCount source { source { key } } customer { id } } } } }";
    let data = gateway.data(query).await;
    let mut count = 0;
    let mut networks = BTreeSet::new();
    for customer in data["customers"]["nodes"].as_array().unwrap() {
        for profile in customer["socialProfiles"].as_array().unwrap() {
            count += 1;
            assert_eq!(profile["customer"]["id"], customer["id"]);
            networks.insert(profile["network"].as_str().unwrap());
            assert_eq!(
                profile["network"] == "OTHER",
                profile["rawNetwork"] == "mastodon"
            );
        }
    }
    assert!(
        count > 10 && networks.contains("OTHER"),
        "{count} {networks:?}"
    );
    assert_eq!(gateway.calls()["social profiles.by_references"], 1);
    let first = data["customers"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|customer| customer["socialProfiles"].get(0))
        .unwrap();
    let node = gateway
        .data(&format!(
            "{{ node(id: {}) {{ id ... on SocialProfile {{ handle }} }} }}",
            first["id"]
        ))
        .await;
    assert_eq!(node["node"]["handle"], first["handle"]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_dead_directory_fails_the_profiles_alone() {
    let gateway = Running::start().await;
    gateway
        .sandbox
        .set_fault(Vendor::Social, Some(Fault::always(FaultKind::Down)));
    let answer = gateway
        .ask(&format!(
            "{{ {ANA} {{ displayName socialProfiles {{ handle }} }} }}"
        ))
        .await;
    assert_eq!(
        answer["data"]["customerByIdentifier"],
        json!({"displayName": "Ana Silva", "socialProfiles": null})
    );
    assert_eq!(
        answer["errors"][0]["extensions"]["code"],
        "SOURCE_UNAVAILABLE"
    );
    assert_eq!(answer["errors"][0]["extensions"]["source"], "social");
    gateway.stop().await;
}
