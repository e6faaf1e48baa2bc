//! The GraphiQL page in a real browser.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tributary::http::{
    graphiql,
    settings::{Example, GraphiqlSettings, ServerSettings},
};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use super::support::gateway::Setup;
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
        login: None,
        examples: vec![
            example(
                "query OneCustomer($id: ID!) {\n  customer(id: $id) {\n    id\n    name\n    email\n  }\n}\n",
                Some(json!({"id": "42"})),
            ),
            example("query WhoAmI {\n  me\n}\n", None),
            example("subscription Counting {\n  count\n}\n", None),
            example("subscription Silence {\n  silent\n}\n", None),
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
    assert_eq!(
        seen["tabs"],
        json!(["OneCustomer", "WhoAmI", "Counting", "Silence"])
    );
    let headers = seen["headers"].as_str().unwrap();
    assert!(headers.contains(&format!("Bearer {TOKEN}")), "{headers}");
    assert!(seen["answer"].as_str().unwrap().contains("Ada Lovelace"));
    assert_eq!(seen["tabsAgain"], seen["tabs"]);
    let again = seen["answerAgain"].as_str().unwrap();
    assert!(again.contains(r#""me": "ada""#), "{again}");
    let silence_ends = async {
        while front.graph.probe.held.load(Ordering::SeqCst) > 0 {
            front.graph.probe.released.notified().await;
        }
    };
    let ended = tokio::time::timeout(TIME_MAX, silence_ends).await;
    ended.expect("a stopped subscription must be let go");
}

/// The longest that the browser may take; it ends what hangs, and decides no test.
const TIME_MAX: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_analyst_logs_in_at_the_issuer_and_asks() {
    assert!(graphiql::is_bundled(), "the build had no npm");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut script = Command::new("node")
        .arg("login.js")
        .current_dir(root.join("tests/node"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(script.stdout.take().unwrap()).lines();
    let hear = said.next_line().await.unwrap().unwrap();
    let hear: serde_json::Value = serde_json::from_str(&hear).unwrap();
    let issuer = hear["issuer"].as_str().unwrap();
    let config = format!(
        "
connectors: []
auth:
  issuers:
    - {{ issuer: \"{issuer}\", audiences: [\"urn:tributary:graph\"], algorithms: [RS256], jwks_url: \"{issuer}/jwks\" }}
graphiql:
  login: {{ issuer: \"{issuer}\", client_id: graphiql, scopes: [openid, \"customer:read\"] }}
  examples: [{{ query: \"{{ customers(first: 1) {{ nodes {{ displayName }} }} }}\" }}]
"
    );
    let gateway = Setup {
        config,
        ..Setup::default()
    }
    .start()
    .await;
    let folder = root.join("target/graphiql");
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("http://{}/graphiql", gateway.address);
    let task = json!({"url": url, "screenshot": folder.join("login.png")});
    let mut input = script.stdin.take().unwrap();
    input
        .write_all(format!("{task}\n").as_bytes())
        .await
        .unwrap();
    let seen = tokio::time::timeout(TIME_MAX, said.next_line()).await;
    let seen = seen.expect("the script must end").unwrap();
    let seen: serde_json::Value = serde_json::from_str(&seen.expect("the script failed")).unwrap();
    assert_eq!(seen["problems"], json!([]));
    // Neither code nor state stays in the address.
    assert_eq!(seen["address"], url);
    let answer = seen["answer"].as_str().unwrap();
    assert!(answer.contains("displayName"), "{answer}");
    assert_eq!(seen["loggedOut"], true);
    gateway.stop().await;
}
