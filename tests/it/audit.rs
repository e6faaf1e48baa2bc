//! The audit log: who read what, without personal data, and only when it is wanted.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tributary::sandbox::{Options, Sandbox};

use super::support::caller::{ask, caller};
use super::support::gateway::{ALL, CONFIG, Setup};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The audit events of two equal questions, and the answer.
async fn events(config: &str) -> (Vec<Value>, Value) {
    let options = Options {
        customers: 20,
        ..Options::default()
    };
    let setup = Setup {
        config: format!("{CONFIG}{config}"),
        sandbox: Some(Arc::new(Sandbox::start(options).await.unwrap())),
        ..Setup::default()
    };
    let (gateway, _sandbox) = setup.build().await;
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let query = "query Mine { customers(first: 3) { nodes { displayName emails { address } orders(first: 1) { nodes { orderNumber } } } } }";
    let who = caller(ALL, &[], &[]);
    ask(gateway.engine(), query, &who).await;
    let answer = ask(gateway.engine(), query, &who).await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let events = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["target"] == "tributary::audit")
        .collect();
    (events, answer)
}

#[tokio::test]
async fn each_request_tells_which_entities_its_caller_read() {
    let (events, answer) = events("log: { audit: true }\n").await;
    let of = |entity: &str| {
        events
            .iter()
            .filter(|event| event["entity.type"] == entity)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("Customer").len(), 2, "{events:?}");
    assert_eq!(of("Order").len(), 2);
    let event = of("Customer")[1];
    assert_eq!(event["entity.count"], 3);
    assert_eq!(event["entity.ids"].as_str().unwrap().split(' ').count(), 3);
    assert_eq!(
        (event["caller.subject"].as_str(), event["event"].as_str()),
        (Some("tester"), Some("read"))
    );
    assert_eq!(event["operation.name"], "Mine");
    let all = format!("{events:?}");
    for node in answer["data"]["customers"]["nodes"].as_array().unwrap() {
        for mail in node["emails"].as_array().unwrap() {
            assert!(!all.contains(mail["address"].as_str().unwrap()));
        }
        assert!(!all.contains(node["displayName"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn nothing_is_told_unless_it_is_wanted() {
    let (events, _) = events("").await;
    assert!(events.is_empty(), "{events:?}");
}
