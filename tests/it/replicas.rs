//! The shared cache, stale answers, and what the graph gains from two text files.

use serde_json::json;
use tributary::sandbox::Vendor;
use tributary::sandbox::fault::{Fault, FaultKind};

use crate::support::gateway::{CONFIG, Running, Setup, counts};
use crate::support::redis::RedisServer;

const VIEW: &str = r#"{ customerByIdentifier(identifier: {email: "ana.silva@acme-industries.io"}) { id displayName freshness { state } orders(first: 3) { nodes { orderNumber } } } }"#;

#[tokio::test]
async fn what_one_replica_read_no_other_asks_for() {
    let redis = RedisServer::start();
    let config = format!(
        "{CONFIG}redis: {{ url: \"{}\", timeout: 2s }}\n",
        redis.url()
    );
    let first = Setup {
        config: config.clone(),
        ..Setup::default()
    }
    .start()
    .await;
    let second = Setup {
        config,
        sandbox: Some(first.sandbox.clone()),
        ..Setup::default()
    }
    .start()
    .await;
    let live = first.data(VIEW).await;
    first.calls();
    let cached = second.data(VIEW).await;
    assert_eq!(second.calls(), counts([]));
    assert_eq!(
        cached["customerByIdentifier"]["freshness"]["state"],
        "CACHED"
    );
    assert_eq!(
        cached["customerByIdentifier"]["orders"],
        live["customerByIdentifier"]["orders"]
    );
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_lost_redis_makes_nothing_wrong() {
    let redis = RedisServer::start();
    let config = format!("{CONFIG}redis: {{ url: \"{}\" }}\n", redis.url());
    let gateway = Setup {
        config,
        ..Setup::default()
    }
    .edit("shop", |text| {
        text.replace("concurrency: 8,", "concurrency: 8, rate: 600/min,")
    })
    .start()
    .await;
    assert!(!gateway.get("/health/ready").await.contains("budgets"));
    drop(redis);
    let data = gateway.data(VIEW).await;
    assert_eq!(data["customerByIdentifier"]["displayName"], "Ana Silva");
    let ready = gateway.get("/health/ready").await;
    assert!(
        ready.contains("keeps to its share of the vendors' limits"),
        "{ready}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_stale_copy_stands_in_for_a_source_that_is_down() {
    let short = |text: &str| format!("{text}\ncache: {{ fresh: 1ms, stale: 10m }}\n");
    let plain = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with("cache:"))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let gateway = Setup::default()
        .edit("crm", |text| short(&plain(text)))
        .start()
        .await;
    let live = gateway
        .data("{ customers(first: 1) { nodes { id displayName } } }")
        .await;
    gateway
        .sandbox
        .set_fault(Vendor::Crm, Some(Fault::always(FaultKind::Down)));
    let data = gateway.data("{ customers(first: 1) { nodes { id displayName freshness { state stale } } sourceStatuses { state } } }").await;
    assert_eq!(
        data["customers"]["nodes"][0]["displayName"],
        live["customers"]["nodes"][0]["displayName"]
    );
    assert_eq!(
        data["customers"]["sourceStatuses"][0]["state"], "STALE",
        "{data:#}"
    );
    assert_eq!(
        data["customers"]["nodes"][0]["freshness"],
        json!({"state": "STALE", "stale": true})
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_custom_field_takes_two_text_files() {
    let folder = std::env::temp_dir().join(format!("tributary-extension-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("loyalty.graphql");
    std::fs::write(
        &file,
        "extend type Customer { \"Tier of the loyalty programme.\" loyaltyTier: String }",
    )
    .unwrap();
    let config = format!(
        "{CONFIG}schema: {{ extensions: [\"{}\"] }}\n",
        file.display()
    );
    let setup = Setup {
        config,
        ..Setup::default()
    };
    let gateway = setup
        .edit("crm", |text| {
            text.replacen(
                "  fields:\n",
                "  fields:\n    loyaltyTier: properties.loyalty_tier\n",
                1,
            )
        })
        .start()
        .await;
    let data = gateway.data(r#"{ __type(name: "Customer") { fields { name description } } customers(first: 50) { nodes { loyaltyTier customFields(keys: ["loyalty_tier"]) { namespace value } } } }"#).await;
    let fields = data["__type"]["fields"].as_array().unwrap();
    assert!(fields.contains(
        &json!({"name": "loyaltyTier", "description": "Tier of the loyalty programme."})
    ));
    let nodes = data["customers"]["nodes"].as_array().unwrap();
    assert!(
        nodes.iter().any(|node| node["loyaltyTier"].is_string()),
        "{data:#}"
    );
    for node in nodes.iter().filter(|node| node["loyaltyTier"].is_string()) {
        assert_eq!(node["customFields"][0]["value"], node["loyaltyTier"]);
    }
    gateway.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn equal_answers_come_whatever_the_order_of_the_vendors() {
    let gateway = Running::start().await;
    let first = gateway.data(crate::customer::VIEW).await;
    let slow = tributary::sandbox::Options {
        latency: [(Vendor::Crm, std::time::Duration::from_millis(15))]
            .into_iter()
            .collect(),
        ..tributary::sandbox::Options::default()
    };
    let sandbox = std::sync::Arc::new(tributary::sandbox::Sandbox::start(slow).await.unwrap());
    let other = Setup {
        sandbox: Some(sandbox),
        ..Setup::default()
    }
    .start()
    .await;
    let second = other.data(crate::customer::VIEW).await;
    for part in [
        "displayName",
        "sources",
        "orders",
        "tickets",
        "campaignMemberships",
        "identity",
    ] {
        assert_eq!(
            first["customerByIdentifier"][part], second["customerByIdentifier"][part],
            "{part}"
        );
    }
    gateway.stop().await;
    other.stop().await;
}
