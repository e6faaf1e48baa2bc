//! The whole way with a certified OpenID provider: a client's grant becomes a token, and the gateway takes it.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tributary::auth::remote::key_set_client;
use tributary::auth::settings::AuthSettings;
use tributary::auth::{AuthError, Authenticator, caller::Caller};
use tributary::error::Code;

/// Ends a provider that hangs; decides no test.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

struct Provider {
    issuer: String,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Provider {
    async fn start() -> Self {
        let folder = format!("{}/tests/node", env!("CARGO_MANIFEST_DIR"));
        let mut process = Command::new("node")
            .arg("provider.js")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node must be on PATH");
        let mut provider = Self {
            issuer: String::new(),
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()).lines(),
            _process: process,
        };
        let said = provider.hear().await;
        provider.issuer = said["issuer"].as_str().unwrap().to_owned();
        provider
    }

    async fn hear(&mut self) -> Value {
        let line = tokio::time::timeout(ANSWER_TIME_MAX, self.output.next_line()).await;
        let line = line.expect("the provider must answer").unwrap();
        serde_json::from_str(&line.expect("the provider must not end: run `npm ci` in tests/node"))
            .unwrap()
    }

    async fn rotate(&mut self, kid: &str) {
        let command = format!("{}\n", json!({ "rotate": kid }));
        self.input.write_all(command.as_bytes()).await.unwrap();
        assert_eq!(self.hear().await["rotated"], kid);
    }

    /// The token that the client credentials grant gives.
    async fn token(&self, scope: &str) -> String {
        let answer = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .post(format!("{}/token", self.issuer))
            .basic_auth("partner-app", Some("a-secret-of-the-tests"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!(
                "grant_type=client_credentials&scope={}",
                scope.replace(':', "%3A").replace(' ', "+")
            ))
            .send()
            .await
            .unwrap();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let token = answer["access_token"].as_str();
        token.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

struct Gate {
    authenticator: Authenticator,
    ahead: Arc<AtomicI64>,
}

impl Gate {
    fn of(provider: &Provider) -> Self {
        let settings: AuthSettings = serde_json::from_value(json!({
            "issuers": [{
                "issuer": provider.issuer,
                "discovery": true,
                "audiences": ["urn:tributary:graph"],
                "algorithms": ["RS256"],
                "types": ["at+jwt"],
                "jwks_unknown_kid_seconds": 1,
            }],
            "roles": {"partner": ["ticket:read"]},
            "remember": 0,
        }))
        .unwrap();
        let ahead = Arc::new(AtomicI64::new(0));
        let told = Arc::clone(&ahead);
        let clock = Arc::new(move || {
            let now: DateTime<Utc> = Utc::now();
            now + chrono::TimeDelta::seconds(told.load(Ordering::SeqCst))
        });
        let client = key_set_client().unwrap();
        Self {
            authenticator: Authenticator::new(settings, &client, clock).unwrap(),
            ahead,
        }
    }

    async fn ask(&self, token: &str) -> Result<Arc<Caller>, AuthError> {
        let header = format!("Bearer {token}");
        self.authenticator.authenticate(Some(header.as_str())).await
    }
}

#[tokio::test]
async fn a_client_of_a_certified_provider_is_let_in_until_its_token_or_key_ends() {
    let mut provider = Provider::start().await;
    let gate = Gate::of(&provider);
    let token = provider.token("customer:read").await;
    let caller = gate.ask(&token).await.unwrap();
    let scopes: Vec<&str> = caller.scopes.iter().map(String::as_str).collect();
    assert_eq!(scopes, ["customer:read", "ticket:read"]);
    assert_eq!(caller.claims["partner"], "acme");
    assert_eq!(caller.subject, "partner-app");

    provider.rotate("second").await;
    let newer = provider.token("customer:read order:read").await;
    gate.ahead.store(2, Ordering::SeqCst);
    gate.ask(&newer).await.unwrap();
    assert_eq!(
        gate.ask(&token).await.unwrap_err().code,
        Code::TokenKeyUnknown,
        "a key that the provider withdrew signs nothing any more"
    );

    gate.ahead.store(60, Ordering::SeqCst);
    gate.ask(&newer).await.unwrap();
    gate.ahead.store(130, Ordering::SeqCst);
    assert_eq!(gate.ask(&newer).await.unwrap_err().code, Code::TokenExpired);
}

#[tokio::test]
async fn metadata_of_another_issuer_lends_it_no_keys() {
    let mut provider = Provider::start().await;
    // The slash leads to the same metadata, and names another issuer.
    provider.issuer.push('/');
    let gate = Gate::of(&provider);
    let path = format!(
        "{}/tests/fixture/keys/rsa.private.pem",
        env!("CARGO_MANIFEST_DIR")
    );
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(&std::fs::read(path).unwrap()).unwrap();
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
    header.typ = Some("at+jwt".into());
    let claims = json!({"iss": provider.issuer, "aud": "urn:tributary:graph", "sub": "x", "exp": 4_000_000_000_u64});
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    assert_eq!(gate.ask(&token).await.unwrap_err().code, Code::Internal);
}
