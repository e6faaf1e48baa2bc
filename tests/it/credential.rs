//! How a source's client proves itself to its vendor, over real sockets.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tributary::cache::clock::Clock;
use tributary::cache::redis::RedisTier;
use tributary::cache::settings::RedisSettings;
use tributary::config::interpolate::Environment;
use tributary::credential::CredentialSettings;
use tributary::transport::Call;
use tributary::transport::client::SourceClient;
use tributary::transport::failure::Failure;
use tributary::transport::settings::SourceSettings;

use crate::support::client::{client, get, settings, soon};
use crate::support::connector;
use crate::support::folder::Folder;
use crate::support::redis::RedisServer;
use crate::support::vendor::{Answer, Request, Vendor};

fn credential(json: &serde_json::Value) -> CredentialSettings {
    serde_json::from_str(&json.to_string()).unwrap()
}

fn with(vendor: &Vendor, json: &serde_json::Value) -> SourceSettings {
    SourceSettings {
        credential: credential(json),
        ..settings(&vendor.url())
    }
}

/// Answers token requests by a function of their number, and takes calls with the newest token only.
async fn token_vendor(reply: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Vendor {
    let count = Mutex::new(0);
    Vendor::start(move |request| {
        if !request.target.starts_with("/token") {
            return Answer::text("ok");
        }
        let mut count = count.lock().unwrap();
        *count += 1;
        reply(*count, request)
    })
    .await
}

fn token(number: usize) -> Answer {
    Answer::json(format!(
        r#"{{"access_token":"t{number}","expires_in":"3600"}}"#
    ))
}

fn calls(vendor: &Vendor) -> Vec<Request> {
    let requests = vendor.requests().into_iter();
    requests
        .filter(|request| !request.target.starts_with("/token"))
        .collect()
}

fn token_requests(vendor: &Vendor) -> Vec<Request> {
    let requests = vendor.requests().into_iter();
    requests
        .filter(|request| request.target.starts_with("/token"))
        .collect()
}

fn soap_call(vendor: &Vendor) -> Call {
    let body = "<Envelope><Header></Header><Body/></Envelope>";
    Call {
        method: http::Method::POST,
        body: body.into(),
        block_at: body.find("</Header>"),
        ..get(vendor, "/x")
    }
}

#[tokio::test]
async fn a_client_proves_itself_where_the_vendor_wants_it() {
    for (place, target, body) in [
        (
            "json",
            "/token",
            r#"{"client_id":"i","client_secret":"s","grant_type":"client_credentials","scope":"x"}"#,
        ),
        (
            "query",
            "/token?grant_type=client_credentials&client_id=i&client_secret=s&scope=x",
            "",
        ),
        (
            "form",
            "/token",
            "grant_type=client_credentials&client_id=i&client_secret=s&scope=x",
        ),
    ] {
        let vendor = token_vendor(|number, _| token(number)).await;
        let json = serde_json::json!({
            "kind": "oauth2_client_credentials", "token_url": format!("{}/token", vendor.url()), "client_auth": place,
            "client_id": "i", "client_secret": "s", "scope": "x", "send_as": {"query": {"access": "{{ token }}"}, "cookie": {"a": "{{ token }}"}},
        });
        client(with(&vendor, &json))
            .send(get(&vendor, "/x"), soon())
            .await
            .unwrap();
        let asked = token_requests(&vendor).remove(0);
        assert_eq!(
            (
                asked.target.as_str(),
                String::from_utf8_lossy(&asked.body).as_ref()
            ),
            (target, body)
        );
        let call = calls(&vendor).remove(0);
        assert_eq!(
            (call.target.as_str(), call.header("cookie")),
            ("/x?access=t1", Some("a=t1"))
        );
        assert_eq!(call.header("authorization"), None);
    }
}

#[tokio::test]
async fn calls_go_where_the_token_reply_says_when_that_host_is_declared() {
    let elsewhere = Vendor::queue([Answer::text("there")]).await;
    let url = elsewhere.url();
    let vendor = token_vendor(move |_, _| {
        Answer::json(format!(r#"{{"access_token":"t","instance_url":"{url}"}}"#))
    })
    .await;
    let json = |hosts: &str| {
        serde_json::json!({
            "kind": "oauth2_client_credentials", "token_url": format!("{}/token", vendor.url()),
            "client_id": "i", "client_secret": "s", "base_url": {"path": "instance_url", "hosts": [hosts]},
        })
    };
    let declared = elsewhere.url().replace("http://", "");
    let moved = client(with(&vendor, &json(&declared)));
    let reply = moved
        .send(get(&vendor, "/services/x?y=1"), soon())
        .await
        .unwrap();
    assert_eq!(&*reply.body, b"there");
    assert_eq!(elsewhere.requests()[0].target, "/services/x?y=1");
    let strict = client(with(&vendor, &json("*.example.com")));
    let failure = strict.send(get(&vendor, "/x"), soon()).await.unwrap_err();
    assert!(
        matches!(failure, Failure::CredentialUnavailable { .. }),
        "{failure:?}"
    );
    assert_eq!(elsewhere.requests().len(), 1);
}

#[tokio::test]
async fn a_signed_statement_is_the_grant_or_the_clients_proof() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let assertion = serde_json::json!({
        "algorithm": "es256", "key": key.serialize_pem(), "key_id": "k1", "issuer": "me", "audience": "them", "claims": {"scope": ["a", "b"]},
    });
    for (kind, auth, field) in [
        ("jwt_bearer", "none", "assertion"),
        ("oauth2_client_credentials", "assertion", "client_assertion"),
    ] {
        let vendor = token_vendor(|number, _| token(number)).await;
        let json = serde_json::json!({
            "kind": kind, "token_url": format!("{}/token", vendor.url()), "client_auth": auth, "client_id": "i", "assertion": assertion,
        });
        client(with(&vendor, &json))
            .send(get(&vendor, "/x"), soon())
            .await
            .unwrap();
        let body = token_requests(&vendor).remove(0).body;
        let fields: Vec<_> = url::form_urlencoded::parse(&body).collect();
        let (_, jwt) = fields.iter().find(|(name, _)| name == field).unwrap();
        let public = key.public_key_pem();
        let decoding = jsonwebtoken::DecodingKey::from_ec_pem(public.as_bytes()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
        rules.set_audience(&["them"]);
        let found =
            jsonwebtoken::decode::<serde_json::Value>(jwt.as_bytes(), &decoding, &rules).unwrap();
        assert_eq!(
            (found.header.kid.as_deref(), &found.claims["sub"]),
            (Some("k1"), &"me".into())
        );
    }
}

fn refreshing(vendor: &Vendor, state_file: Option<&PathBuf>) -> SourceSettings {
    with(
        vendor,
        &serde_json::json!({
            "kind": "oauth2_refresh_token", "token_url": format!("{}/token", vendor.url()), "client_auth": "form",
            "client_id": "i", "client_secret": "s", "refresh_token": "r0", "state_file": state_file,
        }),
    )
}

/// Gives a new refresh token at each use, and refuses all but the newest.
async fn rotating_vendor() -> Vendor {
    token_vendor(|number, request| {
        let newest = format!("refresh_token=r{}&", number - 1);
        if !String::from_utf8_lossy(&request.body).contains(&newest) {
            return Answer::status(400);
        }
        Answer::json(format!(
            r#"{{"access_token":"t{number}","expires_in":3600,"refresh_token":"r{number}"}}"#
        ))
    })
    .await
}

#[tokio::test]
async fn a_rotated_refresh_token_survives_a_restart() {
    use std::os::unix::fs::PermissionsExt as _;

    let vendor = rotating_vendor().await;
    let folder = Folder::new();
    let file = folder.0.join("state");
    for _ in 0..3 {
        let started = client(refreshing(&vendor, Some(&file)));
        assert_eq!(
            started
                .send(get(&vendor, "/x"), soon())
                .await
                .unwrap()
                .status,
            200
        );
    }
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = std::fs::read(&file).unwrap();
    assert!(!kept.windows(2).any(|part| part == b"r3"));
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
}

fn on_redis(settings: SourceSettings, redis: &RedisServer) -> SourceClient {
    let mut client = client(settings);
    let redis = RedisSettings {
        url: Some(redis.url()),
        ..RedisSettings::default()
    };
    let tier = RedisTier::new(&redis, Clock::system()).unwrap().unwrap();
    client.share_budget(Arc::new(tier));
    client
}

#[tokio::test]
async fn replicas_share_one_token_and_redis_never_sees_it() {
    let redis = RedisServer::start();
    let vendor = rotating_vendor().await;
    let replicas: Vec<_> = (0..3)
        .map(|_| Arc::new(on_redis(refreshing(&vendor, None), &redis)))
        .collect();
    let mut running = tokio::task::JoinSet::new();
    for number in 0..30 {
        let (replica, call) = (Arc::clone(&replicas[number % 3]), get(&vendor, "/x"));
        running.spawn(async move { replica.send(call, soon()).await });
    }
    while let Some(outcome) = running.join_next().await {
        assert_eq!(outcome.unwrap().unwrap().status, 200);
    }
    assert_eq!(token_requests(&vendor).len(), 1);
    let mut connection = redis.connection();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    let kept: Vec<_> = keys
        .iter()
        .filter(|key| key.contains(":credential:"))
        .collect();
    assert_eq!(kept.len(), 2, "{keys:?}");
    for key in kept {
        let value: Vec<u8> = redis::cmd("GET").arg(key).query(&mut connection).unwrap();
        let text = String::from_utf8_lossy(&value);
        assert!(
            !text.contains("access_token") && !text.contains("\"text\""),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_login_gives_what_the_calls_after_it_carry() {
    let vendor = token_vendor(|_, request| {
        assert_eq!(request.body, br#"{"password":"p\"q","username":"u"}"#);
        Answer::json("\"bare\"")
            .with("x-csrf-token", "c")
            .with("set-cookie", "sid=1; Path=/")
    })
    .await;
    let json = serde_json::json!({
        "kind": "login", "url": format!("{}/token", vendor.url()), "json": {"username": "u", "password": "p\"q"}, "token": "body",
        "send_as": {"header": {"Authorization": "Bearer {{ token }}", "X-CSRF-Token": "{{ header.x-csrf-token }}", "Cookie": "{{ cookies }}"}},
    });
    client(with(&vendor, &json))
        .send(get(&vendor, "/x"), soon())
        .await
        .unwrap();
    let call = calls(&vendor).remove(0);
    assert_eq!(call.header("authorization"), Some("Bearer bare"));
    assert_eq!(
        (call.header("x-csrf-token"), call.header("cookie")),
        (Some("c"), Some("sid=1"))
    );
}

#[tokio::test]
async fn a_soap_login_gives_the_session_and_the_address() {
    let elsewhere = Vendor::queue([Answer::text("ok")]).await;
    let server = format!("{}/services/7", elsewhere.url());
    let vendor = token_vendor(move |_, request| {
        assert!(String::from_utf8_lossy(&request.body).contains("<p>a&lt;b</p>"));
        Answer::text(format!(
            "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><r><s>S&amp;1</s><u>{server}</u></r></e:Body></e:Envelope>"
        ))
    })
    .await;
    let json = serde_json::json!({
        "kind": "login", "url": format!("{}/token", vendor.url()), "xml": "<l><p>{{ password }}</p></l>", "values": {"password": "a<b"},
        "token": "r.s", "send_as": {"soap": "<h>{{ token }}</h>"},
        "base_url": {"path": "r.u", "hosts": [elsewhere.url().replace("http://", "")], "whole": true},
    });
    let mut settings = with(&vendor, &json);
    settings.url = format!("{}/x", vendor.url()).parse().unwrap();
    client(settings)
        .send(soap_call(&vendor), soon())
        .await
        .unwrap();
    let call = elsewhere.requests().remove(0);
    assert_eq!(call.target, "/services/7");
    let body = String::from_utf8(call.body).unwrap();
    assert_eq!(
        body,
        "<Envelope><Header><h>S&amp;1</h></Header><Body/></Envelope>"
    );
}

#[tokio::test]
async fn soap_headers_are_written_afresh_for_every_call() {
    for (json, expected) in [
        (
            serde_json::json!({"kind": "ws_security", "username": "u<", "password": "p"}),
            "<wsse:Username>u&lt;</wsse:Username>",
        ),
        (
            serde_json::json!({"kind": "ws_security", "username": "u", "password": "p&", "password_type": "text"}),
            "#PasswordText\">p&amp;</wsse:Password>",
        ),
        (
            serde_json::json!({"kind": "token_passport", "account": "1", "consumer_key": "k", "consumer_secret": "s", "token": "t", "token_secret": "z", "namespace": "urn:m"}),
            "<account xmlns=\"urn:m\">1</account>",
        ),
        (
            serde_json::json!({"kind": "soap_header", "xml": "<a>{{ k }}</a>", "values": {"k": "<>"}}),
            "<Header><a>&lt;&gt;</a></Header>",
        ),
    ] {
        let vendor = Vendor::queue([Answer::text("ok")]).await;
        let client = client(with(&vendor, &json));
        for _ in 0..2 {
            client.send(soap_call(&vendor), soon()).await.unwrap();
        }
        let bodies: Vec<_> = vendor
            .requests()
            .into_iter()
            .map(|call| String::from_utf8(call.body).unwrap())
            .collect();
        assert!(bodies[0].contains(expected), "{}", bodies[0]);
        assert_eq!(bodies[0] == bodies[1], json["kind"] == "soap_header");
    }
}

#[tokio::test]
async fn an_oauth1_call_carries_its_signature() {
    let vendor = Vendor::queue([Answer::text("ok")]).await;
    let json = serde_json::json!({"kind": "oauth1", "consumer_key": "k", "consumer_secret": "cs", "token": "t", "token_secret": "ts", "realm": "1"});
    let client = client(with(&vendor, &json));
    client.send(get(&vendor, "/x?a=1"), soon()).await.unwrap();
    let request = vendor.requests().remove(0);
    let header = request.header("authorization").unwrap();
    assert!(
        header.starts_with("OAuth realm=\"1\", oauth_consumer_key=\"k\""),
        "{header}"
    );
    assert!(header.contains("oauth_signature_method=\"HMAC-SHA256\"") && !header.contains("ts\""));
}

const FILE: &str = "
source: desk
vendor: acme
category: HELPDESK
protocol: rest
url: ${URL}
credential: { kind: header, name: X-Key, value: \"${file:FOLDER/key}\" }
Customer:
  id: id
  get:
    request: GET /c/{{ key }}
";

#[tokio::test]
async fn a_changed_secret_file_is_used_by_the_next_call() {
    let vendor = Vendor::queue([Answer::json(r#"{"id":1}"#)]).await;
    let folder = Folder::new();
    let put = |secret: &str| {
        let beside = folder.0.join("new");
        let mut file = std::fs::File::create(&beside).unwrap();
        writeln!(file, "{secret}").unwrap();
        std::fs::rename(beside, folder.0.join("key")).unwrap();
    };
    put("one");
    let text = FILE.replace("FOLDER", folder.0.to_str().unwrap());
    let source = connector::source(&text, &Environment::of([("URL", vendor.url())]));
    for secret in ["one", "two"] {
        put(secret);
        connector::load(&source, ("Customer", "get"), &["1"])
            .await
            .unwrap();
        let request = vendor.requests().pop().unwrap();
        assert_eq!(request.header("x-key"), Some(secret));
    }
    // A secret that no header can carry leaves the last one in use.
    put("bro\u{7}ken");
    connector::load(&source, ("Customer", "get"), &["1"])
        .await
        .unwrap();
    assert_eq!(
        vendor.requests().pop().unwrap().header("x-key"),
        Some("two")
    );
}

#[test]
fn every_example_of_a_credential_loads() {
    let guide = include_str!("../../docs/connectors.md");
    let (_, section) = guide.split_once("\n## Credentials\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let folder = Folder::new();
    let mut count = 0;
    for part in section.split("```yaml\n").skip(1) {
        let (example, _) = part.split_once("```").unwrap();
        let is_soap = example.starts_with("protocol: soap");
        let head = "source: desk\nvendor: acme\ncategory: HELPDESK\nurl: https://api.example.com\n";
        let operation = if is_soap {
            "soap: { version: \"1.1\" }\nCustomer:\n  id: id\n  get:\n    action: \"\"\n    body: <Get>{{ key }}</Get>\n"
        } else {
            "protocol: rest\nCustomer:\n  id: id\n  get:\n    request: GET /c/{{ key }}\n"
        };
        let text = format!("{head}{example}{operation}");
        let values = [
            "KEY",
            "SECRET",
            "USER",
            "PASSWORD",
            "ACCOUNT",
            "CLIENT_ID",
            "CLIENT_SECRET",
            "REFRESH_TOKEN",
            "CONSUMER_KEY",
            "CONSUMER_SECRET",
            "TOKEN",
            "TOKEN_SECRET",
        ];
        let environment = Environment::of(values.map(|name| (name, "x")));
        let path = folder.0.to_str().unwrap();
        let mut text = text;
        for (name, content) in [
            ("client.secret", "x".to_owned()),
            ("private.pem", rsa_key()),
            ("client.p12.password", "x".to_owned()),
        ] {
            std::fs::write(folder.0.join(name), content).unwrap();
            text = text.replace(&format!("file:{name}"), &format!("file:{path}/{name}"));
        }
        let (found, diagnostics) = connector::read("example.yaml", &text, &environment);
        assert!(found.is_some(), "{text}\n{}", diagnostics.render_plain());
        count += 1;
    }
    assert_eq!(count, 13);
}

fn rsa_key() -> String {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
    key.unwrap().serialize_pem()
}
