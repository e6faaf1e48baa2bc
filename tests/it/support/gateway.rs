//! A running gateway over the sandbox company, asked over HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tributary::app::{Gateway, load};
use tributary::cli::demo;
use tributary::config::Config;
use tributary::config::diagnostic::Diagnostics;
use tributary::config::interpolate::Environment;
use tributary::sandbox::{Options, Sandbox};

pub const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";

/// The configuration of every test gateway; a test adds its own sections.
pub const CONFIG: &str = "
auth:
  issuers:
    - { issuer: tests, audiences: [tributary], algorithms: [HS256], secret: a-secret-of-the-tests-that-is-long-enough }
connectors: []
";

pub struct Running {
    pub address: SocketAddr,
    pub sandbox: std::sync::Arc<Sandbox>,
    client: reqwest::Client,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

pub struct Setup {
    pub config: String,
    pub sandbox: Option<std::sync::Arc<Sandbox>>,
    pub connectors: Vec<load::ConnectorText>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            config: CONFIG.to_owned(),
            sandbox: None,
            connectors: demo::connector_texts(),
        }
    }
}

impl Setup {
    /// Changes the text of one connector file.
    pub fn edit(mut self, file: &str, change: impl Fn(&str) -> String) -> Self {
        let name = format!("connectors/{file}.yaml");
        let text = self
            .connectors
            .iter_mut()
            .find(|text| *text.file == *name)
            .unwrap();
        let changed = change(&text.text);
        assert_ne!(
            changed, text.text,
            "the edit of {file} found nothing to change"
        );
        text.text = changed;
        self
    }

    /// A gateway that is not served, for questions without HTTP.
    pub async fn build(self) -> (Gateway, std::sync::Arc<Sandbox>) {
        let sandbox = match self.sandbox {
            Some(sandbox) => sandbox,
            None => std::sync::Arc::new(Sandbox::start(Options::default()).await.unwrap()),
        };
        let mut diagnostics = Diagnostics::new();
        let environment = Environment::of(sandbox.environment());
        let folder = std::path::Path::new("");
        let config = Config::read(
            &self.config,
            &"tests.yaml".into(),
            folder,
            &environment,
            &mut diagnostics,
        );
        let loaded = config.and_then(|config| {
            load::assemble(config, &self.connectors, &environment, &mut diagnostics)
        });
        assert!(!diagnostics.has_errors(), "{}", diagnostics.render_plain());
        (Gateway::new(loaded.unwrap()).unwrap(), sandbox)
    }

    pub async fn start(self) -> Running {
        let (gateway, sandbox) = self.build().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(gateway.serve(listener, stop.clone()));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Running {
            address,
            sandbox,
            client,
            stop,
            task: Some(task),
        }
    }
}

impl Running {
    pub async fn start() -> Self {
        Setup::default().start().await
    }

    /// Asks with every scope; the answer's whole body.
    pub async fn ask(&self, query: &str) -> Value {
        self.ask_with(query, json!({}), &token(ALL)).await
    }

    pub async fn ask_with(&self, query: &str, variables: Value, token: &str) -> Value {
        let text = self.text(query, variables, token).await;
        serde_json::from_str(&text).unwrap()
    }

    pub async fn text(&self, query: &str, variables: Value, token: &str) -> String {
        let body = json!({"query": query, "variables": variables});
        let answer = self
            .client
            .post(format!("http://{}/graphql", self.address))
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        answer.text().await.unwrap()
    }

    /// What a path of the gateway says.
    pub async fn get(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.address);
        let answer = self.client.get(url).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// The data of an answer that must have no errors.
    pub async fn data(&self, query: &str) -> Value {
        let answer = self.ask(query).await;
        assert_eq!(answer.get("errors"), None, "{answer:#}");
        answer["data"].clone()
    }

    /// Vendor calls since they were last counted, by source and operation.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        let counts = self
            .sandbox
            .counts()
            .into_iter()
            .map(|((vendor, operation), count)| (format!("{vendor} {operation}"), count))
            .collect();
        self.sandbox.reset_calls();
        counts
    }

    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            task.await.unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub const ALL: &[&str] = &[
    "customer:read",
    "account:read",
    "order:read",
    "ticket:read",
    "campaign:read",
    "payment:read",
    "message:read",
    "social:read",
    "source:read",
    "cache:bypass",
];

/// A token with those scopes.
pub fn token(scopes: &[&str]) -> String {
    let claims = json!({
        "iss": "tests", "aud": "tributary", "sub": "tester", "exp": 4_000_000_000_u64, "scope": scopes.join(" "),
    });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

/// `{ "a b": n }` as a map, for comparing counts.
pub fn counts<const N: usize>(expected: [(&str, u64); N]) -> BTreeMap<String, u64> {
    expected
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}
