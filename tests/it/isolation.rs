//! Tenants that ask for the same hot records at the same time never get one another's answers.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::json;
use tributary::auth::caller::Caller;
use tributary::engine::{Engine, Request};
use tributary::sandbox::{Options, Sandbox};

use super::support::caller::{ask, caller};
use super::support::gateway::{ALL, CONFIG, Setup};

const POLICY: &str = "
policy:
  rows:
    tenant: { Customer: record.customFields.loyalty_tier == caller.tier }
  masks:
    masked: { Customer: { givenName: initial } }
";

const ANSWERS: usize = 100_000;
const SINGLES: usize = 4_096;
const ITEMS: usize = 100;
const AT_ONCE: usize = 64;

async fn answer(engine: &Engine, query: &str, who: &Arc<Caller>) -> bytes::Bytes {
    let request = Request {
        query: query.to_owned(),
        ..Request::default()
    };
    engine.execute(request, who.clone()).await.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_answers_to_two_tenants_are_never_crossed() {
    let options = Options {
        customers: 40,
        ..Options::default()
    };
    let setup = Setup {
        config: format!("{CONFIG}{POLICY}"),
        sandbox: Some(Arc::new(Sandbox::start(options).await.unwrap())),
        ..Setup::default()
    };
    let (gateway, _sandbox) = setup.build().await;
    let engine = gateway.engine();
    let whole = caller(ALL, &[], &[]);
    let list = "{ customers(first: 40) { nodes { id givenName customFields(keys: [\"loyalty_tier\"]) { value } } } }";
    let nodes = ask(engine, list, &whole).await["data"]["customers"]["nodes"].clone();
    let of = |tier: &str| {
        let found = nodes.as_array().unwrap().iter().find(|node| {
            node["customFields"][0]["value"] == tier
                && node["givenName"]
                    .as_str()
                    .is_some_and(|name| name.len() > 2)
        });
        found.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let queries: Vec<String> = ["gold", "silver"]
        .iter()
        .map(|tier| {
            format!(
                "{{ customer(id: \"{}\") {{ givenName }} viewer {{ scopes }} }}",
                of(tier)
            )
        })
        .collect();
    let tenants = [
        caller(ALL, &["tenant"], &[("tier", json!("gold"))]),
        caller(ALL, &["tenant", "masked"], &[("tier", json!("silver"))]),
        caller(ALL, &["masked"], &[]),
        whole,
    ];
    let mut cases = Vec::new();
    for tenant in &tenants {
        for query in &queries {
            cases.push((query, tenant, answer(engine, query, tenant).await));
        }
    }
    let texts: Vec<String> = cases
        .iter()
        .map(|(_, _, body)| String::from_utf8(body.to_vec()).unwrap())
        .collect();
    assert!(
        texts[1].contains("null") && texts[2].contains("null"),
        "{texts:?}"
    );
    assert!(
        texts[3].contains("•••") && texts[4].contains("•••") && !texts[0].contains("•••"),
        "{texts:?}"
    );

    // One record at a time, in answers that are never given again, and a hundred at once.
    let ids: Vec<String> = nodes
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["id"].to_string())
        .collect();
    let hundred: Vec<&str> = ids.iter().cycle().take(ITEMS).map(String::as_str).collect();
    let hot = format!(
        "{{ nodes(ids: [{}]) {{ ... on Customer {{ givenName }} }} }}",
        hundred.join(", ")
    );
    let mut batches = Vec::new();
    for tenant in &tenants {
        batches.push((&hot, tenant, answer(engine, &hot, tenant).await));
    }
    let distinct: std::collections::BTreeSet<_> =
        batches.iter().map(|(_, _, body)| body.clone()).collect();
    assert_eq!(
        distinct.len(),
        batches.len(),
        "each view has an answer of its own"
    );

    let begun = Instant::now();
    let singles = SINGLES / AT_ONCE;
    let rounds = singles + (ANSWERS - SINGLES) / ITEMS / AT_ONCE + 1;
    let (cases, batches) = (&cases, &batches);
    for round in 0..rounds {
        let asked = (0..AT_ONCE).map(|index| async move {
            let pick = round * 7 + index * 3;
            let of = if round < singles { cases } else { batches };
            let (query, tenant, expected) = &of[pick % of.len()];
            let is_same = answer(engine, query, tenant).await == *expected;
            assert!(is_same, "an answer was crossed");
        });
        join_all(asked).await;
    }
    let answers = singles * AT_ONCE + (rounds - singles) * AT_ONCE * ITEMS;
    assert!(answers >= ANSWERS);
    let took = begun.elapsed().as_millis();
    eprintln!(
        "{answers} answers to {} views in {took} ms, none crossed",
        tenants.len()
    );
}
