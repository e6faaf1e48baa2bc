//! API keys: made and revoked by the command line, kept without their secrets, ended at once.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tributary::auth::key_watch::KeyWatch;
use tributary::auth::remote::key_set_client;
use tributary::auth::settings::AuthSettings;
use tributary::auth::shared_keys::SharedKeys;
use tributary::auth::{AuthError, Authenticator, Proofs, caller::Caller};
use tributary::error::Code;
use tributary::record::secret::Secret;

use super::support::redis::RedisServer;

struct Folder(PathBuf);

impl Folder {
    fn new(redis: Option<&str>) -> Self {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let folder = std::env::temp_dir().join(format!("tributary-{name}"));
        std::fs::create_dir(&folder).unwrap();
        let redis = redis.map_or_else(String::new, |url| format!("redis: {{ url: \"{url}\" }}\n"));
        let text = format!(
            "auth:\n  keys_file: keys.json\n  roles:\n    partner: [\"customer:read\"]\nconnectors: []\n{redis}"
        );
        std::fs::write(folder.join("tributary.yaml"), text).unwrap();
        Self(folder)
    }

    fn keys(&self) -> PathBuf {
        self.0.join("keys.json")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tributary"))
            .arg("key")
            .args(arguments)
            .current_dir(&self.0)
            .output()
            .unwrap()
    }

    #[track_caller]
    fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn authenticator(ahead: TimeDelta) -> Authenticator {
    let settings: AuthSettings =
        serde_json::from_value(json!({"roles": {"partner": ["customer:read"]}})).unwrap();
    let clock = Arc::new(move || Utc::now() + ahead);
    Authenticator::new(settings, &key_set_client().unwrap(), clock).unwrap()
}

fn read(authenticator: &Authenticator, file: &Path) {
    let mut watch = KeyWatch::new(authenticator.keys().clone(), Some(file.to_owned()), None);
    watch.read_file().unwrap();
}

async fn ask(authenticator: &Authenticator, key: &str) -> Result<Arc<Caller>, AuthError> {
    let proofs = Proofs {
        api_key: Some(key),
        ..Proofs::default()
    };
    authenticator.authenticate(proofs).await
}

async fn wait_until_refused(authenticator: &Authenticator, key: &str) {
    while ask(authenticator, key).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_key_is_shown_once_and_stands_for_its_holder() {
    let folder = Folder::new(None);
    let key = folder.said(&[
        "create",
        "--name",
        "acme",
        "--role",
        "partner",
        "--scope",
        "order:read",
        "--claim",
        "partner=acme",
        "--tenant",
        "emea",
    ]);
    assert!(key.starts_with("trk_") && key.len() == 60, "{key}");
    let kept = std::fs::read_to_string(folder.keys()).unwrap();
    let (_, secret) = tributary::auth::api_key::split(&key).unwrap();
    assert!(!kept.contains(secret), "the secret is kept");
    let listed = folder.said(&["list"]);
    assert!(!listed.contains(secret) && listed.contains("acme\tpartner\torder:read\temea"));
    let mode = {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(folder.keys())
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(mode & 0o777, 0o600);

    let authenticator = authenticator(TimeDelta::zero());
    read(&authenticator, &folder.keys());
    let caller = ask(&authenticator, &key).await.unwrap();
    let scopes: Vec<&str> = caller.scopes.iter().map(String::as_str).collect();
    assert_eq!(scopes, ["customer:read", "order:read"]);
    assert_eq!(caller.claims["partner"], "acme");
    assert_eq!(caller.tenant.as_deref(), Some("emea"));
    let bearer = format!("Bearer {key}");
    let again = authenticator.authenticate(Some(bearer.as_str())).await;
    assert_eq!(again.unwrap().subject, caller.subject);
}

#[tokio::test]
async fn wrong_ended_and_doubled_keys_are_refused_by_code() {
    let folder = Folder::new(None);
    let key = folder.said(&["create", "--name", "a", "--role", "partner", "--ttl", "1d"]);
    let current = authenticator(TimeDelta::zero());
    read(&current, &folder.keys());
    let changed = format!(
        "{}{}",
        &key[..59],
        if key.ends_with('A') { 'B' } else { 'A' }
    );
    for wrong in [
        changed.as_str(),
        "trk_",
        "trk_000000000000_x",
        &"trk_".repeat(90),
        "x",
    ] {
        let error = ask(&current, wrong).await.unwrap_err();
        assert_eq!(error.code, Code::ApiKeyInvalid, "{wrong}");
        assert_eq!(
            tributary::auth::challenge(&error)
                .matches("invalid_token")
                .count(),
            1
        );
    }
    let both = Proofs {
        authorization: Some("Bearer x"),
        api_key: Some(&key),
        certificate: None,
    };
    let error = current.authenticate(both).await.unwrap_err();
    assert_eq!(error.code, Code::Unauthenticated);

    let later = authenticator(TimeDelta::days(2));
    read(&later, &folder.keys());
    assert_eq!(ask(&later, &key).await.unwrap_err().code, Code::ApiKeyEnded);

    assert!(
        !folder
            .run(&["create", "--name", "a", "--role", "nobody"])
            .status
            .success()
    );
    assert!(!folder.run(&["create", "--name", "a"]).status.success());
    assert!(!folder.run(&["revoke", "000000000000"]).status.success());
}

#[tokio::test]
async fn a_key_revoked_in_the_file_ends_within_a_second() {
    let folder = Folder::new(None);
    let key = folder.said(&["create", "--name", "a", "--role", "partner"]);
    let authenticator = authenticator(TimeDelta::zero());
    let mut watch = KeyWatch::new(authenticator.keys().clone(), Some(folder.keys()), None);
    watch.read_file().unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(watch.run(stop.clone()));
    ask(&authenticator, &key).await.unwrap();
    folder.said(&["revoke", &key]);
    let waited = tokio::time::timeout(
        Duration::from_secs(30),
        wait_until_refused(&authenticator, &key),
    );
    waited.await.expect("the revoked key must end");
    assert_eq!(
        ask(&authenticator, &key).await.unwrap_err().code,
        Code::ApiKeyEnded
    );
    assert!(folder.said(&["list"]).ends_with("revoked"));
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn replicas_share_keys_and_revocations_and_a_lost_redis_brings_none_back() {
    let mut redis = RedisServer::start();
    let folder = Folder::new(Some(&redis.url()));
    let url = Secret::new(redis.url());
    let shared = SharedKeys::new(&url, "default").unwrap();
    let authenticator = authenticator(TimeDelta::zero());
    let watch = KeyWatch::new(authenticator.keys().clone(), None, Some(shared));
    let stop = CancellationToken::new();
    let task = tokio::spawn(watch.run(stop.clone()));

    let key = folder.said(&["create", "--name", "a", "--role", "partner"]);
    let accepted = async {
        while ask(&authenticator, &key).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, accepted)
        .await
        .expect("the other replica must learn of the key");
    folder.said(&["revoke", &key]);
    let waited = tokio::time::timeout(limit, wait_until_refused(&authenticator, &key));
    waited
        .await
        .expect("the other replica must learn of the end");

    redis.restart();
    let again = tributary::auth::key_file::read(&folder.keys()).unwrap();
    let revived: Vec<_> = again
        .into_iter()
        .map(|mut key| {
            key.revoked_at = None;
            key
        })
        .collect();
    authenticator
        .keys()
        .replace(tributary::auth::key_book::Origin::File, revived);
    assert_eq!(
        ask(&authenticator, &key).await.unwrap_err().code,
        Code::ApiKeyEnded
    );
    stop.cancel();
    task.await.unwrap();
}
