//! Row rules and masks: what a role sees of records, however they are reached.

use std::sync::Arc;

use serde_json::{Value, json};
use tributary::app::Gateway;
use tributary::auth::caller::Caller;
use tributary::config::Config;
use tributary::config::diagnostic::Diagnostics;
use tributary::config::interpolate::Environment;
use tributary::config::section::policy::PolicySection;
use tributary::resolve::policy::{Policy, PolicyProblem};
use tributary::sandbox::{Options, Sandbox};
use tributary::schema::load::load_shipped;

use super::support::caller::{ask, caller, text};
use super::support::folder::Folder;
use super::support::gateway::{ALL, CONFIG, Setup};

const POLICY: &str = "
policy:
  rows:
    partner:
      Customer: record.customFields.loyalty_tier == caller.tier
      Order: record.customer.customFields.loyalty_tier == caller.tier
      Ticket: record.customer.customFields.loyalty_tier == caller.tier
    everything: { Customer: 'true' }
  masks:
    agent:
      Customer: { emails.address: email, phones.raw: phone, familyName: initial, birthDate: redact }
    lead:
      Customer: { familyName: clear }
";

struct World {
    gateway: Gateway,
    _sandbox: Arc<Sandbox>,
}

impl World {
    async fn start() -> Self {
        let options = Options {
            customers: 60,
            ..Options::default()
        };
        let setup = Setup {
            config: format!("{CONFIG}{POLICY}"),
            sandbox: Some(Arc::new(Sandbox::start(options).await.unwrap())),
            ..Setup::default()
        };
        let (gateway, sandbox) = setup.build().await;
        Self {
            gateway,
            _sandbox: sandbox,
        }
    }

    async fn data(&self, query: &str, who: &Arc<Caller>) -> Value {
        let answer = ask(self.gateway.engine(), query, who).await;
        assert_eq!(answer.get("errors"), None, "{answer:#}");
        answer["data"].clone()
    }

    async fn code(&self, query: &str, who: &Arc<Caller>) -> String {
        let answer = ask(self.gateway.engine(), query, who).await;
        answer["errors"][0]["extensions"]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer:#}"))
            .to_owned()
    }
}

fn whole() -> Arc<Caller> {
    caller(ALL, &[], &[])
}

fn partner(tier: &str) -> Arc<Caller> {
    caller(ALL, &["partner"], &[("tier", json!(tier))])
}

const LIST: &str = "{ customers(first: 100) { nodes { id emails { address } customFields(keys: [\"loyalty_tier\"]) { value }
  sources { source { key } remoteId } } edges { node { id } } totalCount { value } } }";

fn tier(node: &Value) -> Option<&str> {
    node["customFields"][0]["value"].as_str()
}

#[tokio::test]
async fn a_rule_holds_for_every_way_to_a_record() {
    let world = World::start().await;
    let all = world.data(LIST, &whole()).await["customers"]["nodes"].clone();
    let all = all.as_array().unwrap();
    let gold: Vec<&Value> = all
        .iter()
        .filter(|node| tier(node) == Some("gold"))
        .collect();
    let hidden = all
        .iter()
        .find(|node| tier(node).is_some_and(|tier| tier != "gold"))
        .unwrap();
    let shown = gold[0];
    assert!(gold.len() < all.len());

    let partner = partner("gold");
    let listed = world.data(LIST, &partner).await["customers"].clone();
    assert_eq!(listed["nodes"].as_array().unwrap().len(), gold.len());
    assert_eq!(listed["edges"].as_array().unwrap().len(), gold.len());
    assert!(
        listed["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|node| tier(node) == Some("gold"))
    );
    assert_eq!(
        listed["totalCount"],
        Value::Null,
        "a vendor's count tells of hidden records"
    );

    for (node, is_shown) in [(shown, true), (hidden, false)] {
        let id = node["id"].as_str().unwrap();
        let mail = node["emails"][0]["address"].as_str().unwrap();
        let record = &node["sources"][0];
        let queries = [
            format!("{{ x: customer(id: \"{id}\") {{ id }} }}"),
            format!("{{ x: node(id: \"{id}\") {{ id ... on Customer {{ displayName }} }} }}"),
            format!("{{ y: nodes(ids: [\"{id}\"]) {{ id }} }}"),
            format!("{{ x: customerByIdentifier(identifier: {{id: \"{id}\"}}) {{ id }} }}"),
            format!("{{ x: customerByIdentifier(identifier: {{email: \"{mail}\"}}) {{ id }} }}"),
            format!(
                "{{ x: customerByIdentifier(identifier: {{record: {{sourceKey: {}, remoteId: {}}}}}) {{ id }} }}",
                record["source"]["key"], record["remoteId"]
            ),
        ];
        for query in queries {
            let data = world.data(&query, &partner).await;
            let found = if data.get("y").is_some() {
                &data["y"][0]
            } else {
                &data["x"]
            };
            assert_eq!(!found.is_null(), is_shown, "{query}: {data}");
        }
        let orders = format!(
            "{{ orders(first: 100, filter: {{customerIds: [\"{id}\"]}}) {{ nodes {{ id }} }} }}"
        );
        if !is_shown {
            let data = world.data(&orders, &partner).await;
            assert_eq!(data["orders"]["nodes"], json!([]));
        }
    }
    let id = hidden["id"].as_str().unwrap();
    let absent = text(
        world.gateway.engine(),
        "{ node(id: \"bm9wZQ\") { id } }",
        &partner,
    )
    .await;
    let denied = text(
        world.gateway.engine(),
        &format!("{{ node(id: \"{id}\") {{ id }} }}"),
        &partner,
    )
    .await;
    assert_eq!(denied, absent, "denied and absent look alike");
}

#[tokio::test]
async fn a_rule_follows_a_link_and_counts_only_what_it_lets_through() {
    let world = World::start().await;
    let query = "{ orders(first: 100) { nodes { id customer { customFields(keys: [\"loyalty_tier\"]) { value } } } totalCount { value } } }";
    let all = world.data(query, &whole()).await["orders"]["nodes"].clone();
    let is_gold = |node: &Value| tier(&node["customer"]) == Some("gold");
    let ours = world.data(query, &partner("gold")).await["orders"].clone();
    let ours_nodes = ours["nodes"].as_array().unwrap();
    assert!(!ours_nodes.is_empty() && ours_nodes.iter().all(is_gold));
    assert_eq!(ours["totalCount"], Value::Null);
    let other = all
        .as_array()
        .unwrap()
        .iter()
        .find(|node| tier(&node["customer"]).is_some() && !is_gold(node))
        .unwrap();
    let id = other["id"].as_str().unwrap();
    let data = world
        .data(
            &format!("{{ order(id: \"{id}\") {{ id }} node(id: \"{id}\") {{ id }} }}"),
            &partner("gold"),
        )
        .await;
    assert_eq!(data, json!({"order": null, "node": null}));
    let shown = ours_nodes[0]["id"].as_str().unwrap();
    let data = world
        .data(
            &format!("{{ order(id: \"{shown}\") {{ id }} }}"),
            &partner("gold"),
        )
        .await;
    assert_eq!(data["order"]["id"], *shown);
}

#[tokio::test]
async fn who_lacks_the_claim_sees_nothing_and_another_role_can_open() {
    let world = World::start().await;
    for nobody in [
        caller(ALL, &["partner"], &[]),
        caller(ALL, &["partner"], &[("tier", Value::Null)]),
        partner("no such tier"),
        caller(ALL, &["partner", "unruled"], &[]),
    ] {
        assert_eq!(
            world.data(LIST, &nobody).await["customers"]["nodes"],
            json!([])
        );
    }
    let opened = caller(ALL, &["partner", "everything"], &[("tier", json!("gold"))]);
    let all = world.data(LIST, &whole()).await["customers"]["nodes"].clone();
    let seen = world.data(LIST, &opened).await["customers"]["nodes"].clone();
    assert_eq!(
        seen.as_array().unwrap().len(),
        all.as_array().unwrap().len()
    );
}

#[tokio::test]
async fn a_masked_field_is_masked_wherever_its_value_shows() {
    let world = World::start().await;
    let query = "{ customers(first: 60) { nodes { id displayName familyName birthDate emails { address normalized } phones { raw e164 }
      primaryEmail { address normalized } primaryPhone { raw e164 } identifiers { type value normalized }
      identity { links { matchedOn { type value normalized } } } } } }";
    let open = world.data(query, &whole()).await["customers"]["nodes"].clone();
    let agent = caller(ALL, &["agent"], &[]);
    let masked = text(world.gateway.engine(), query, &agent).await;
    let mut secrets = 0;
    for node in open.as_array().unwrap() {
        let mails = node["emails"].as_array().unwrap().iter();
        let phones = node["phones"].as_array().unwrap().iter();
        let values = mails
            .flat_map(|mail| [&mail["address"], &mail["normalized"]])
            .chain(phones.flat_map(|phone| [&phone["raw"], &phone["e164"]]))
            .chain([&node["familyName"]]);
        for secret in values
            .filter_map(Value::as_str)
            .filter(|text| text.chars().count() > 2)
        {
            assert!(!masked.contains(&format!("\"{secret}\"")), "{secret}");
            if secret.contains('@') {
                assert!(
                    !masked.to_lowercase().contains(&secret.to_lowercase()),
                    "{secret}"
                );
            }
            secrets += 1;
        }
    }
    assert!(secrets > 100 && masked.contains("•••@") && !masked.contains("errors"));
    let masked: Value = serde_json::from_str(&masked).unwrap();
    let nodes = &masked["data"]["customers"]["nodes"];
    assert!(
        nodes
            .as_array()
            .unwrap()
            .iter()
            .all(|node| node["birthDate"].is_null())
    );
    let lead = caller(ALL, &["agent", "lead"], &[]);
    let cleared = world
        .data("{ customers(first: 60) { nodes { familyName } } }", &lead)
        .await;
    let names = |nodes: &Value| {
        nodes
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["familyName"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&cleared["customers"]["nodes"]), names(&open));
}

#[tokio::test]
async fn hashes_and_versions_are_made_of_what_is_shown() {
    let world = World::start().await;
    let query = "{ customers(first: 20) { nodes { version sources { contentHash } } }
      orders(first: 5) { nodes { version sources { contentHash } } } }";
    let agent = caller(ALL, &["agent"], &[]);
    let (seen, all) = (
        world.data(query, &agent).await,
        world.data(query, &whole()).await,
    );
    let pairs = |answer: &Value| answer["customers"]["nodes"].as_array().unwrap().clone();
    let (seen_customers, all_customers) = (pairs(&seen), pairs(&all));
    assert_eq!(seen_customers.len(), 20);
    for (seen, all) in seen_customers.iter().zip(&all_customers) {
        assert_ne!(seen["version"], all["version"]);
        let (seen, all) = (&seen["sources"], &all["sources"]);
        let hashes = all
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["contentHash"]);
        for hash in hashes {
            assert!(!seen.to_string().contains(hash.as_str().unwrap()));
        }
    }
    assert_eq!(seen["orders"], all["orders"], "nothing of orders is masked");
    assert_eq!(
        world.data(query, &agent).await,
        seen,
        "and they stay the same"
    );
}

#[tokio::test]
async fn filters_sorts_and_look_ups_do_not_tell_what_is_masked() {
    let world = World::start().await;
    let agent = caller(ALL, &["agent"], &[]);
    for query in [
        "{ customers(sort: {field: NAME}) { nodes { id } } }",
        "{ customers(filter: {emails: [\"a@b.io\"]}) { nodes { id } } }",
        "{ customerByIdentifier(identifier: {email: \"a@b.io\"}) { id } }",
    ] {
        let plain = ask(world.gateway.engine(), query, &whole()).await;
        if plain.to_string().contains("GRAPHQL_VALIDATION_FAILED") {
            panic!("{query}: {plain}");
        }
        assert_eq!(world.code(query, &agent).await, "FORBIDDEN", "{query}");
    }
}

fn compile(text: &str) -> Result<Policy, Vec<PolicyProblem>> {
    let mut diagnostics = Diagnostics::new();
    let environment = Environment::of([] as [(String, String); 0]);
    let folder = std::path::Path::new("");
    let config = Config::read(
        text,
        &"x.yaml".into(),
        folder,
        &environment,
        &mut diagnostics,
    );
    let section: PolicySection = config
        .unwrap_or_else(|| panic!("{}", diagnostics.render_plain()))
        .policy;
    Policy::compile(&load_shipped().unwrap(), &section)
}

#[test]
fn a_policy_that_cannot_be_is_told_at_its_line() {
    let text = "connectors: []\npolicy:\n  rows:\n    partner:\n      Custmer: 'true'\n  masks:\n    agent:\n      Customer:\n        emails.adress: email\n";
    let folder = Folder::new();
    let path = folder.0.join("tributary.yaml");
    std::fs::write(&path, text).unwrap();
    let environment = Environment::of([] as [(String, String); 0]);
    let told = tributary::app::load::load(&path, &environment).unwrap_err();
    let told = told.render_plain();
    for (line, what) in [
        ("tributary.yaml:5:16: error[policy]", "no entity `Custmer`"),
        ("tributary.yaml:9:24: error[policy]", "emails.adress"),
    ] {
        let found = told.lines().find(|told| told.contains(line));
        assert!(found.is_some_and(|told| told.contains(what)), "{told}");
    }
}

#[test]
fn rules_and_masks_that_cannot_be_are_named() {
    for (rows, expected) in [
        ("Custmer: 'true'", "the graph has no entity `Custmer`"),
        (
            "Customer: 'record.givenNam == 1'",
            "`record.givenNam` is no value of a record",
        ),
        (
            "Customer: 'record.orders == 1'",
            "`record.orders` is no value of a record",
        ),
        ("Customer: 'record == caller'", "by name"),
        ("Customer: 'other.x == 1'", "by name"),
        ("Order: 'record.customer == 1'", "leads to another entity"),
        (
            "Order: 'record.customer.orders == 1'",
            "`record.orders` is no value",
        ),
        ("Customer: 'record.tags =='", ""),
    ] {
        let problems =
            compile(&format!("policy: {{ rows: {{ partner: {{ {rows} }} }} }}")).unwrap_err();
        let message = &problems[0].message;
        assert!(
            message.contains("policy.rows.partner.") && message.contains(expected),
            "{problems:?}"
        );
    }
    for masks in [
        "emails: email",
        "status: redact",
        "nothing: email",
        "emails.primary: email",
        "displayName: initial",
    ] {
        let problems = compile(&format!(
            "policy: {{ masks: {{ agent: {{ Customer: {{ {masks} }} }} }} }}"
        ))
        .unwrap_err();
        assert!(
            problems[0].message.contains("policy.masks.agent.Customer"),
            "{problems:?}"
        );
    }
}

#[test]
fn equal_views_share_a_key_and_different_ones_never_do() {
    let policy = compile(&POLICY[1..]).unwrap();
    let key = |scopes: &[&str], roles: &[&str], claims: &[(&str, Value)]| {
        policy.view_key(&caller(scopes, roles, claims))
    };
    let base = key(&["customer:read"], &["partner"], &[("tier", json!("gold"))]);
    let unlike_us = {
        let mut other = Caller::clone(&caller(
            &["customer:read", "profile"],
            &["partner", "unruled"],
            &[("tier", json!("gold")), ("email", json!("x"))],
        ));
        other.subject = "another".into();
        other.tenant = Some("elsewhere".into());
        policy.view_key(&other)
    };
    assert_eq!(
        base, unlike_us,
        "what no answer depends on makes no other view"
    );
    let all = [
        base,
        key(
            &["customer:read"],
            &["partner"],
            &[("tier", json!("silver"))],
        ),
        key(
            &["customer:read"],
            &["partner"],
            &[("tier", json!(["gold"]))],
        ),
        key(&["customer:read"], &["partner"], &[]),
        key(&["customer:read"], &["agent"], &[("tier", json!("gold"))]),
        key(&["customer:read"], &[], &[("tier", json!("gold"))]),
        key(
            &["customer:read", "order:read"],
            &["partner"],
            &[("tier", json!("gold"))],
        ),
        key(
            &["customer:read", "cache:bypass"],
            &["partner"],
            &[("tier", json!("gold"))],
        ),
        key(&[], &["partner"], &[("tier", json!("gold"))]),
    ];
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}
