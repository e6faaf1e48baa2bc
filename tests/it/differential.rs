//! The engine against the reference implementation of GraphQL (graphql-js): random operations over the same data must
//! have the same answers, keys in the same order, errors at the same paths.
//!
//! `DIFFERENTIAL_SEED` and `DIFFERENTIAL_COUNT` choose other operations and more of them.

use super::support::differential::bench::Bench;
use super::support::differential::generate::{Conditions, document, with_other_variables};
use super::support::differential::operation::Case;
use super::support::differential::random::Random;

const SHIPPED: &str = tributary::schema::SCHEMA;
const EVERY_SHAPE: &str = include_str!("../fixture/differential.graphql");

/// How many operations the suite compares, over both graphs.
const COUNT: u64 = 20_000;
/// How many documents are run over the same data, each with two sets of variables.
const DOCUMENTS: u64 = 250;
/// Differences that are told before a run gives up.
const TOLD_MAX: usize = 4;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a whole number"))
}

async fn compare(schema: &'static str, seed: u64, count: u64) -> (u64, Vec<String>) {
    let mut random = Random::new(seed);
    let mut bench = Bench::start(schema, &mut random).await;
    let catalog = bench.catalog.clone();
    let conditions = Conditions::new(&catalog);
    let (mut done, mut told) = (0, Vec::new());
    while done < count && told.len() < TOLD_MAX {
        let mut documents = Vec::new();
        for _ in 0..DOCUMENTS.min((count - done).div_ceil(2)) {
            let first = document(&catalog, &conditions, &mut random);
            let second = with_other_variables(&catalog, &mut random, &first);
            documents.extend([first, second]);
        }
        told.extend(bench.differences(&documents).await);
        done += documents.len() as u64;
        bench.renew(&mut random);
    }
    (done, told)
}

/// Operations that once had different answers: the graph, the document, its variables as JSON.
const FOUND: &[(&str, &str, &str)] = &[
    // The library that validates passes over `__typename` with all that is on it.
    (
        EVERY_SHAPE,
        "query($f: Boolean!) { tree { __typename @skip(if: $f) } }",
        r#"{"f": false}"#,
    ),
    (EVERY_SHAPE, "{ tree { __typename @skip(if: $f) } }", "{}"),
    // It forgets the type of a selection inside an inline fragment without a condition.
    (
        EVERY_SHAPE,
        "{ thing { ... on Rock { ... { x: label } } ... on Tree { ... { x: label(width: 2) } } } }",
        "{}",
    ),
    // Members that a default leaves out have defaults of their own.
    (EVERY_SHAPE, "{ defaults }", "{}"),
    (EVERY_SHAPE, "{ find(where: {}) }", "{}"),
    (
        EVERY_SHAPE,
        "query($w: Where = {near: {}}) { find(where: $w) }",
        "{}",
    ),
    // A null in a list that may hold none nulls the list; it does not become an empty list.
    (
        SHIPPED,
        "{ sources { capabilities { pushedDownFilters } } }",
        "{}",
    ),
    (
        SHIPPED,
        "{ customers { nodes { addresses { lines } emails { address } tags } } }",
        "{}",
    ),
];

#[tokio::test]
async fn differences_once_found_stay_mended() {
    for seed in 0..3 {
        let mut random = Random::new(seed);
        for schema in [SHIPPED, EVERY_SHAPE] {
            let mut bench = Bench::start(schema, &mut random).await;
            for (_, query, variables) in FOUND.iter().filter(|found| found.0 == schema) {
                let case = Case {
                    query: (*query).to_owned(),
                    operation_name: None,
                    variables: serde_json::from_str(variables).unwrap(),
                };
                let said = bench.disagreement(&case).await;
                assert_eq!(said, None, "{query}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_the_reference_implementation() {
    let seed = number("DIFFERENTIAL_SEED").unwrap_or(1);
    let count = number("DIFFERENTIAL_COUNT").unwrap_or(COUNT);
    let started = std::time::Instant::now();
    let shipped = tokio::spawn(compare(SHIPPED, seed, count / 2));
    let shapes = tokio::spawn(compare(EVERY_SHAPE, seed, count - count / 2));
    let (shipped, shapes) = (shipped.await.unwrap(), shapes.await.unwrap());
    let told: Vec<String> = [shipped.1, shapes.1].concat();
    let done = shipped.0 + shapes.0;
    eprintln!("{done} operations in {:?}", started.elapsed());
    assert!(told.is_empty(), "{}", told.join("\n\n"));
    assert!(done >= count);
}
