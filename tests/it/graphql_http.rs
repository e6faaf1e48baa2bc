//! GraphQL over HTTP, as the audit of the `graphql-http` package checks it.

use serde_json::json;

use super::support::{
    gateway::{ALL, Running, token},
    node,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_check_of_the_graphql_over_http_audit_passes() {
    let gateway = Running::start().await;
    let url = format!("http://{}/graphql", gateway.address);
    let argument = json!({"url": url, "token": token(ALL)});
    let verdicts = node::run("audit.js", &argument).await;
    let verdicts = verdicts.as_array().unwrap();
    let failed: Vec<_> = verdicts
        .iter()
        .filter(|verdict| verdict["status"] != "ok")
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(verdicts.len(), 61);
}
