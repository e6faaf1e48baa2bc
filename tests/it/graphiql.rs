//! The GraphiQL page in a real browser.

use std::path::Path;

use serde_json::json;
use tributary::http::{
    graphiql,
    settings::{Example, GraphiqlSettings, ServerSettings},
};

use super::support::{
    front::{Front, TOKEN},
    node,
};

fn examples() -> GraphiqlSettings {
    let example = |query: &str, variables: Option<serde_json::Value>| Example {
        query: query.into(),
        variables: variables.map(|value| value.as_object().unwrap().clone()),
    };
    GraphiqlSettings {
        enabled: true,
        token: Some(TOKEN.into()),
        examples: vec![
            example(
                "query OneCustomer($id: ID!) {\n  customer(id: $id) {\n    id\n    name\n    email\n  }\n}\n",
                Some(json!({"id": "42"})),
            ),
            example("query WhoAmI {\n  me\n}\n", None),
        ],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_user_runs_an_example_in_the_page_with_nothing_from_elsewhere() {
    assert!(graphiql::is_bundled(), "the build had no npm");
    let front = Front::start_with(ServerSettings::default(), examples()).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/graphiql");
    std::fs::create_dir_all(&folder).unwrap();
    let screenshot = folder.join("page.png");
    let argument = json!({"url": front.url("/graphiql"), "screenshot": screenshot});
    let seen = node::run("graphiql.js", &argument).await;
    assert_eq!(seen["problems"], json!([]));
    let origin = front.url("/");
    for request in seen["requests"].as_array().unwrap() {
        let url = request.as_str().unwrap();
        let is_ours = url.starts_with(&origin) || url.starts_with("data:");
        assert!(is_ours, "the page asked for {url}");
    }
    assert_eq!(seen["tabs"], json!(["OneCustomer", "WhoAmI"]));
    let headers = seen["headers"].as_str().unwrap();
    assert!(headers.contains(&format!("Bearer {TOKEN}")), "{headers}");
    assert!(seen["answer"].as_str().unwrap().contains("Ada Lovelace"));
    assert_eq!(seen["tabsAgain"], seen["tabs"]);
    let again = seen["answerAgain"].as_str().unwrap();
    assert!(again.contains(r#""me": "ada""#), "{again}");
}
