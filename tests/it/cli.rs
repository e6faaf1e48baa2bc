//! The command line, as a user meets it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

fn tributary(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

#[test]
fn wrong_usage_exits_with_2_and_a_found_problem_with_1() {
    assert_eq!(tributary(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(
        tributary(&["token", "--ttl", "soon"]).status.code(),
        Some(2)
    );
    assert_eq!(
        tributary(&["serve", "--config", "no-such-file.yaml"])
            .status
            .code(),
        Some(1)
    );
    assert_eq!(
        tributary(&["healthcheck", "--address", "127.0.0.1:1"])
            .status
            .code(),
        Some(1)
    );
    assert_eq!(tributary(&["--help"]).status.code(), Some(0));
}

#[test]
fn the_schema_goes_to_standard_output_with_its_scopes() {
    let out = tributary(&["schema"]);
    assert_eq!(out.status.code(), Some(0));
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("type Customer implements Node & FederatedEntity @requiresScopes(scopes: [[\"customer:read\"]])"));
    assert!(!text.contains("@entity"));
}

#[test]
fn a_token_is_one_line_and_nothing_else() {
    let out = tributary(&[
        "token",
        "--subject",
        "ana",
        "--scope",
        "customer:read",
        "--ttl",
        "1h",
    ]);
    assert_eq!((out.status.code(), out.stderr.len()), (Some(0), 0));
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1);
    assert_eq!(text.trim().split('.').count(), 3);
}

#[test]
fn check_tells_the_demos_own_files_to_be_in_order() {
    let root = env!("CARGO_MANIFEST_DIR");
    let files: Vec<String> = ["crm", "erp", "helpdesk", "shop", "marketing"]
        .map(|name| format!("{root}/connectors/{name}.yaml"))
        .to_vec();
    let mut arguments = vec!["check", "--lenient", "--plain"];
    arguments.extend(files.iter().map(String::as_str));
    let out = tributary(&arguments);
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(0), "{text}");
    assert!(text.ends_with("5 files are in order\n"), "{text}");
}

/// Ends the demo whatever happens.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_demo_answers_the_line_it_prints() {
    let mut demo = Ended(
        Command::new(env!("CARGO_BIN_EXE_tributary"))
            .args(["demo", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines();
    let mut printed = String::new();
    for line in lines.by_ref() {
        let line = line.unwrap();
        printed.push_str(&line);
        printed.push('\n');
        if line.starts_with("Stop it") {
            break;
        }
    }
    let curl: String = printed
        .lines()
        .skip_while(|line| !line.starts_with("curl"))
        .take_while(|line| !line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect();
    let out = Command::new("sh").args(["-c", &curl]).output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        answer["data"]["customerByIdentifier"]["displayName"], "Ana Silva",
        "{answer:#}"
    );
    let address = printed
        .split("http://")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(
        tributary(&["healthcheck", "--address", &address, "--ready"])
            .status
            .code(),
        Some(0)
    );
    let token = String::from_utf8(tributary(&["token"]).stdout).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client
        .post(format!("http://{address}/graphql"))
        .bearer_auth(token.trim())
        .header("content-type", "application/json")
        .body(r#"{"query":"{ viewer { subject } }"}"#)
        .send()
        .await
        .unwrap();
    // The demo tells what each answer cost.
    let answer: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(answer["data"]["viewer"]["subject"], "developer");
    assert!(answer["extensions"]["cost"]["calls"].is_array(), "{answer}");
    let metrics = client
        .get(format!("http://{address}/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for name in [
        "tributary_vendor_calls_total",
        "tributary_vendor_call_seconds",
        "tributary_cache_lookups_total",
        "tributary_http_requests_total",
    ] {
        assert!(metrics.contains(name), "{name} is missing:\n{metrics}");
    }
}
