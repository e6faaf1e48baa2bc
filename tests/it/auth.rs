//! Bearer tokens: what is accepted, what is refused, and how often an issuer is asked for its keys.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm as Alg, DecodingKey, EncodingKey, Header};
use serde_json::{Value, json};
use tributary::auth::caller::Caller;
use tributary::auth::mint::{MintError, Order, mint};
use tributary::auth::remote::key_set_client;
use tributary::auth::scope::Requirement;
use tributary::auth::settings::AuthSettings;
use tributary::auth::{AuthError, Authenticator, Clock, challenge};
use tributary::error::Code;

const NOW: i64 = 1_800_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn pem(name: &str) -> String {
    let path = format!(
        "{}/tests/fixture/keys/{name}.pem",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(path).unwrap()
}

struct Fixture {
    authenticator: Arc<Authenticator>,
    now: Arc<AtomicI64>,
}

fn settings(issuer: Value) -> AuthSettings {
    let mut one = json!({"issuer": "https://id.example", "audiences": ["graph"]});
    one.as_object_mut()
        .unwrap()
        .extend(issuer.as_object().unwrap().clone());
    serde_json::from_value(
        json!({"issuers": [one], "roles": {"agent": ["customer:read", "ticket:read"]}}),
    )
    .unwrap()
}

fn fixture(settings: AuthSettings) -> Fixture {
    let now = Arc::new(AtomicI64::new(NOW));
    let told = Arc::clone(&now);
    let clock: Clock =
        Arc::new(move || DateTime::from_timestamp(told.load(Ordering::SeqCst), 0).unwrap());
    let authenticator = Authenticator::new(settings, &key_set_client().unwrap(), clock).unwrap();
    Fixture {
        authenticator: Arc::new(authenticator),
        now,
    }
}

fn shared() -> Fixture {
    fixture(settings(json!({"algorithms": ["HS256"], "secret": SECRET})))
}

impl Fixture {
    async fn ask(&self, token: &str) -> Result<Arc<Caller>, AuthError> {
        self.authenticator
            .authenticate(Some(format!("Bearer {token}").as_str()))
            .await
    }
    async fn refusal(&self, token: &str) -> String {
        let error = self.ask(token).await.unwrap_err();
        assert_eq!(error.code.http_status(), 401, "{error}");
        error.message
    }
}

fn claims() -> Value {
    json!({"iss": "https://id.example", "aud": "graph", "sub": "ann", "exp": NOW + 60})
}

fn with(name: &str, value: Value) -> Value {
    let mut all = claims();
    all[name] = value;
    all
}

fn private(alg: Alg, name: &str) -> EncodingKey {
    let pem = pem(&format!("{name}.private"));
    match alg.family() {
        jsonwebtoken::AlgorithmFamily::Rsa => EncodingKey::from_rsa_pem(pem.as_bytes()),
        jsonwebtoken::AlgorithmFamily::Ec => EncodingKey::from_ec_pem(pem.as_bytes()),
        _ => EncodingKey::from_ed_pem(pem.as_bytes()),
    }
    .unwrap()
}

fn signed(alg: Alg, key: &EncodingKey, kid: Option<&str>, claims: &Value) -> String {
    let mut header = Header::new(alg);
    header.kid = kid.map(str::to_owned);
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn hs(claims: &Value) -> String {
    signed(
        Alg::HS256,
        &EncodingKey::from_secret(SECRET.as_bytes()),
        None,
        claims,
    )
}

/// A token with any header, rightly signed with the shared secret.
fn hs_with_header(header: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(&claims()));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Alg::HS256).unwrap();
    format!("{message}.{signature}")
}

const ASYMMETRIC: [(Alg, &str, &str); 7] = [
    (Alg::RS256, "RS256", "rsa"),
    (Alg::RS384, "RS384", "rsa"),
    (Alg::RS512, "RS512", "rsa"),
    (Alg::PS256, "PS256", "rsa"),
    (Alg::ES256, "ES256", "p256"),
    (Alg::ES384, "ES384", "p384"),
    (Alg::EdDSA, "EdDSA", "ed25519"),
];

#[tokio::test]
async fn every_algorithm_accepts_its_signature_and_refuses_a_changed_one() {
    let mut cases = vec![(shared(), hs(&claims()))];
    for (alg, name, key) in ASYMMETRIC {
        let issuer = json!({"algorithms": [name], "public_key_pem": pem(&format!("{key}.public"))});
        cases.push((
            fixture(settings(issuer)),
            signed(alg, &private(alg, key), Some("any"), &claims()),
        ));
    }
    for (fixture, token) in cases {
        assert_eq!(fixture.ask(&token).await.unwrap().subject, "ann");
        let (message, signature) = token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        let changed = format!("{message}.{first}{}", &signature[1..]);
        assert_eq!(
            fixture.refusal(&changed).await,
            "the token's signature does not match"
        );
    }
}

#[tokio::test]
async fn claims_that_do_not_hold_are_refused_by_name() {
    let fixture = shared();
    for (name, value, expected) in [
        ("iss", Value::Null, "the token has no `iss`"),
        ("aud", Value::Null, "the token has no `aud`"),
        ("exp", Value::Null, "the token has no `exp`"),
        ("sub", Value::Null, "the token has no `sub`"),
        ("sub", json!(""), "the token has no `sub`"),
        (
            "iss",
            json!("https://other.example"),
            "the token's issuer is not accepted here",
        ),
        (
            "iss",
            json!(["https://id.example"]),
            "the token's issuer is not accepted here",
        ),
        (
            "aud",
            json!(["x", "y"]),
            "the token's audience is not accepted here",
        ),
        ("exp", json!(NOW - 5), "the token has expired"),
        ("exp", json!("soon"), "the token's `exp` is not a time"),
        ("exp", json!(1e300), "the token's `exp` is not a time"),
        ("nbf", json!(NOW + 6), "the token is not valid yet"),
        ("tenant", json!(7), "the token's `tenant` is not a text"),
        (
            "scope",
            json!(7),
            "the token's `scope` is neither a text nor a list of texts",
        ),
    ] {
        let mut claims = with(name, value.clone());
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        assert_eq!(fixture.refusal(&hs(&claims)).await, expected);
    }
    for claims in [
        with("exp", json!(NOW - 4)),
        with("nbf", json!(NOW + 5)),
        with("aud", json!(["x", "graph"])),
    ] {
        fixture.ask(&hs(&claims)).await.unwrap();
    }
}

#[tokio::test]
async fn headers_that_change_the_meaning_are_refused() {
    let fixture = shared();
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "HS512"}),
        json!({"alg": "RS256"}),
        json!({"alg": "HS256", "typ": "dpop+jwt"}),
        json!({"alg": "HS256", "crit": ["exp"]}),
        json!({"alg": "HS256", "crit": null}),
        json!({"typ": "JWT"}),
    ] {
        fixture.refusal(&hs_with_header(&header)).await;
    }
    for typ in ["jwt", "AT+JWT", "application/at+jwt"] {
        let header = json!({"alg": "HS256", "typ": typ, "jku": "http://127.0.0.1:1/", "jwk": {"kty": "oct", "k": "AA"}});
        fixture.ask(&hs_with_header(&header)).await.unwrap();
    }
    for token in ["x", "a.b", "a.b.c.d", &"x".repeat(16 * 1024 + 1)] {
        fixture.refusal(token).await;
    }
}

#[tokio::test]
async fn a_public_key_does_not_serve_as_a_shared_secret() {
    let fixture = fixture(settings(
        json!({"algorithms": ["RS256"], "public_key_pem": pem("rsa.public")}),
    ));
    let key = EncodingKey::from_secret(pem("rsa.public").as_bytes());
    let token = signed(Alg::HS256, &key, None, &claims());
    assert_eq!(
        fixture.refusal(&token).await,
        "the token's signature algorithm is not accepted here"
    );
}

#[tokio::test]
async fn no_proof_and_bad_proof_are_told_apart() {
    let fixture = shared();
    for header in [
        None,
        Some(""),
        Some("Basic YTpi"),
        Some("Bearer "),
        Some("Bearer"),
    ] {
        let error = fixture
            .authenticator
            .authenticate(header)
            .await
            .unwrap_err();
        assert_eq!(error.code, Code::Unauthenticated);
        assert_eq!(challenge(&error), "Bearer realm=\"tributary\"");
    }
    let error = fixture.ask(&hs(&with("exp", json!(1)))).await.unwrap_err();
    assert_eq!(
        challenge(&error),
        "Bearer realm=\"tributary\", error=\"invalid_token\", error_description=\"the token has expired\""
    );
}

#[tokio::test]
async fn a_remembered_token_ends_when_it_expires() {
    let fixture = shared();
    let first = fixture.ask(&hs(&claims())).await.unwrap();
    let again = fixture.ask(&hs(&claims())).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    fixture.now.store(NOW + 65, Ordering::SeqCst);
    assert_eq!(
        fixture.refusal(&hs(&claims())).await,
        "the token has expired"
    );
}

#[tokio::test]
async fn roles_bundle_scopes_and_minted_tokens_are_accepted() {
    let settings = settings(json!({"algorithms": ["HS256"], "secret": SECRET}));
    let order = Order {
        issuer: None,
        audience: None,
        subject: "dev".into(),
        tenant: Some("acme".into()),
        scopes: vec!["order:read".into()],
        roles: vec!["agent".into()],
        ttl: TimeDelta::hours(1),
    };
    let token = mint(&settings, &order, DateTime::from_timestamp(NOW, 0).unwrap()).unwrap();
    let caller = fixture(settings).ask(&token).await.unwrap();
    let scopes: Vec<_> = caller.scopes.iter().map(String::as_str).collect();
    assert_eq!(scopes, ["customer:read", "order:read", "ticket:read"]);
    assert_eq!(caller.tenant.as_deref(), Some("acme"));

    let list = |texts: &[&[&str]]| Requirement {
        alternatives: texts
            .iter()
            .map(|all| all.iter().map(|one| (*one).to_owned()).collect())
            .collect(),
    };
    let either = list(&[&["admin"], &["customer:read", "order:read"]]);
    assert!(either.is_met_by(&caller));
    let both = either.conjunction(&list(&[&["secret:read"]]));
    assert!(!both.is_met_by(&caller));
    assert_eq!(
        both.refusal(),
        "needs scopes admin and secret:read, or scopes customer:read and order:read and secret:read"
    );
    assert_eq!(
        list(&[&["customer:read"]]).refusal(),
        "needs scope customer:read"
    );
    let keyless =
        self::settings(json!({"algorithms": ["RS256"], "public_key_pem": pem("rsa.public")}));
    let refused = mint(&keyless, &order, DateTime::from_timestamp(NOW, 0).unwrap());
    assert!(matches!(refused, Err(MintError::NoSecretAnywhere)));
}

#[test]
fn unsafe_settings_are_named() {
    for (issuer, path) in [
        (
            json!({"algorithms": ["HS256"], "secret": "short"}),
            "issuers.0.secret",
        ),
        (
            json!({"algorithms": ["RS256"], "jwks_url": "http://id.example/keys"}),
            "issuers.0.jwks_url",
        ),
        (
            json!({"algorithms": ["HS256"], "jwks_url": "https://id.example/keys"}),
            "issuers.0.algorithms",
        ),
        (json!({"algorithms": ["RS256"]}), "issuers.0.issuer"),
        (
            json!({"algorithms": ["HS256"], "secret": SECRET, "audiences": []}),
            "issuers.0.audiences",
        ),
    ] {
        let problems = settings(issuer).validate();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].0, path);
    }
}

struct Endpoint {
    url: String,
    reply: Arc<Mutex<(StatusCode, String)>>,
    fetches: Arc<AtomicUsize>,
    _task: tokio_util::task::AbortOnDropHandle<()>,
}

async fn endpoint(keys: &Value) -> Endpoint {
    let reply = Arc::new(Mutex::new((StatusCode::OK, keys.to_string())));
    let fetches = Arc::new(AtomicUsize::new(0));
    let (told, count) = (Arc::clone(&reply), Arc::clone(&fetches));
    let route = axum::routing::get(move || {
        count.fetch_add(1, Ordering::SeqCst);
        let reply = told.lock().unwrap().clone();
        async move { reply }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let app = axum::Router::new().route("/keys", route);
    let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    Endpoint {
        url,
        reply,
        fetches,
        _task: tokio_util::task::AbortOnDropHandle::new(task),
    }
}

fn jwk(name: &str, kid: &str) -> Value {
    let key = DecodingKey::from_rsa_pem(pem(&format!("{name}.public")).as_bytes()).unwrap();
    let mut value =
        serde_json::to_value(Jwk::from_decoding_key(&key, Some(Alg::RS256)).unwrap()).unwrap();
    value["kid"] = json!(kid);
    value
}

fn rs(name: &str, kid: &str) -> String {
    signed(
        Alg::RS256,
        &private(Alg::RS256, name),
        Some(kid),
        &with("exp", json!(NOW + 1_000_000)),
    )
}

fn published(endpoint: &Endpoint) -> Fixture {
    let mut settings =
        settings(json!({"algorithms": ["RS256", "PS256"], "jwks_url": endpoint.url}));
    settings.remember = 0;
    fixture(settings)
}

#[tokio::test]
async fn concurrent_first_requests_fetch_once() {
    let endpoint = endpoint(&json!({"keys": [jwk("rsa", "one")]})).await;
    let fixture = published(&endpoint);
    let token = rs("rsa", "one");
    let replies = futures_util::future::join_all((0..32).map(|_| fixture.ask(&token))).await;
    assert!(replies.iter().all(Result::is_ok));
    assert_eq!(endpoint.fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_rotated_key_is_found_and_a_flood_of_unknown_ones_fetches_once() {
    let endpoint = endpoint(&json!({"keys": [jwk("rsa", "one")]})).await;
    let fixture = published(&endpoint);
    fixture.ask(&rs("rsa", "one")).await.unwrap();
    *endpoint.reply.lock().unwrap() = (
        StatusCode::OK,
        json!({"keys": [jwk("rsa-next", "two")]}).to_string(),
    );
    fixture.ask(&rs("rsa-next", "two")).await.unwrap();
    assert_eq!(endpoint.fetches.load(Ordering::SeqCst), 2);
    for count in 0..50 {
        fixture.refusal(&rs("rsa", &format!("kid-{count}"))).await;
    }
    assert_eq!(endpoint.fetches.load(Ordering::SeqCst), 2);
    fixture.now.store(NOW + 30, Ordering::SeqCst);
    let tokens: Vec<_> = (0..50)
        .map(|count| rs("rsa", &format!("kid-{count}")))
        .collect();
    futures_util::future::join_all(tokens.iter().map(|token| fixture.refusal(token))).await;
    assert_eq!(endpoint.fetches.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn old_keys_serve_for_a_day_while_the_endpoint_fails() {
    let endpoint = endpoint(&json!({"keys": [jwk("rsa", "one")]})).await;
    let fixture = published(&endpoint);
    fixture.ask(&rs("rsa", "one")).await.unwrap();
    *endpoint.reply.lock().unwrap() = (StatusCode::INTERNAL_SERVER_ERROR, String::new());
    fixture.now.store(NOW + 86_399, Ordering::SeqCst);
    fixture.ask(&rs("rsa", "one")).await.unwrap();
    fixture.refusal(&rs("rsa", "two")).await;
    fixture.now.store(NOW + 86_400, Ordering::SeqCst);
    assert_eq!(
        fixture.ask(&rs("rsa", "one")).await.unwrap_err().code,
        Code::Internal
    );
}

#[tokio::test]
async fn published_keys_for_other_purposes_do_not_verify() {
    for (name, value) in [
        ("use", json!("enc")),
        ("key_ops", json!(["sign"])),
        ("alg", json!("PS256")),
        ("alg", json!("RSA-OAEP")),
        ("kty", json!("EC")),
    ] {
        let mut key = jwk("rsa", "one");
        key[name] = value;
        let endpoint = endpoint(&json!({"keys": [key]})).await;
        published(&endpoint).refusal(&rs("rsa", "one")).await;
    }
    let keys: Vec<_> = (0..65).map(|_| jwk("rsa", "one")).collect();
    let endpoint = endpoint(&json!({"keys": keys})).await;
    assert_eq!(
        published(&endpoint)
            .ask(&rs("rsa", "one"))
            .await
            .unwrap_err()
            .code,
        Code::Internal
    );
}

#[test]
fn signatures_agree_with_the_wycheproof_vectors() {
    use tributary::auth::key::{Found, KeySet};
    use tributary::auth::settings::Algorithm;
    use tributary::auth::token::Unverified;
    use tributary::record::secret::Secret;

    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let file = "shared/data/wycheproof/json_web_signature_test.json";
    let Some(text) = ["..", "../.."]
        .iter()
        .find_map(|up| std::fs::read_to_string(root.join(up).join(file)).ok())
    else {
        eprintln!("skipped: no Wycheproof vectors beside the repository");
        return;
    };
    let document: Value = serde_json::from_str(&text).unwrap();
    let (mut accepted, mut refused, mut left_out, mut wrong) = (0, 0, 0, Vec::new());
    for group in document["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        let alg = key["alg"].as_str().and_then(Algorithm::from_name);
        let tests = group["tests"].as_array().unwrap();
        let Some(alg) = alg else {
            left_out += tests.len();
            continue;
        };
        let keys = if alg.is_symmetric() {
            let bytes = URL_SAFE_NO_PAD.decode(key["k"].as_str().unwrap()).unwrap();
            let Ok(text) = String::from_utf8(bytes.clone()) else {
                // Our secrets are text; such a key is checked by the library alone.
                let key = DecodingKey::from_secret(&bytes);
                check_raw(
                    tests,
                    &key,
                    &mut accepted,
                    &mut refused,
                    &mut left_out,
                    &mut wrong,
                );
                continue;
            };
            KeySet::from_secret(&Secret::new(text))
        } else {
            KeySet::from_jwks(json!({"keys": [key]}).to_string().as_bytes()).unwrap()
        };
        for test in tests {
            // The payload of the vectors is mostly no JSON, so that the parts are checked without claims.
            let is_valid = test["result"] == "valid";
            let jws = test["jws"].as_str().unwrap_or_default();
            let verdict = match Unverified::parse(jws) {
                Ok(token) => match keys.find(token.kid.as_deref(), token.algorithm) {
                    Found::One(key) => token.verify(key).is_ok(),
                    Found::None | Found::Several => false,
                },
                Err(_) if is_valid => {
                    let Found::One(key) = keys.find(key["kid"].as_str(), alg) else {
                        wrong.push(test["tcId"].clone());
                        continue;
                    };
                    raw(jws, key, alg_of(jws))
                }
                Err(_) => false,
            };
            tally(
                verdict,
                is_valid,
                test,
                &mut accepted,
                &mut refused,
                &mut wrong,
            );
        }
    }
    eprintln!(
        "wycheproof: {accepted} accepted, {refused} refused, {left_out} of unsupported algorithms, differing: {wrong:?}"
    );
    assert!(accepted > 0 && refused > 0);
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn alg_of(jws: &str) -> Option<Alg> {
    let header = URL_SAFE_NO_PAD.decode(jws.split('.').next()?).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    header["alg"].as_str()?.parse().ok()
}

fn raw(jws: &str, key: &DecodingKey, alg: Option<Alg>) -> bool {
    let (Some((message, signature)), Some(alg)) = (jws.rsplit_once('.'), alg) else {
        return false;
    };
    jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, alg).unwrap_or(false)
}

/// Vectors called valid although a `?` stands in the base64url text; RFC 7515 section 2 forbids it, and we refuse them.
const STRICTER_THAN_THE_VECTORS: [u64; 2] = [372, 373];

fn tally(
    verdict: bool,
    is_valid: bool,
    test: &Value,
    accepted: &mut usize,
    refused: &mut usize,
    wrong: &mut Vec<Value>,
) {
    let is_stricter = STRICTER_THAN_THE_VECTORS
        .iter()
        .any(|id| test["tcId"] == *id);
    match (verdict, is_valid && !is_stricter) {
        (true, true) => *accepted += 1,
        (false, false) => *refused += 1,
        _ => wrong.push(json!([test["tcId"], test["comment"]])),
    }
}

fn check_raw(
    tests: &[Value],
    key: &DecodingKey,
    accepted: &mut usize,
    refused: &mut usize,
    left_out: &mut usize,
    wrong: &mut Vec<Value>,
) {
    for test in tests {
        let Some(jws) = test["jws"].as_str() else {
            *left_out += 1;
            continue;
        };
        let verdict = raw(jws, key, alg_of(jws).filter(|alg| *alg == Alg::HS256));
        tally(
            verdict,
            test["result"] == "valid",
            test,
            accepted,
            refused,
            wrong,
        );
    }
}
