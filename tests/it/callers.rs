//! What each caller may ask: requests, cost, streams, trusted documents, the schema.

use futures_util::future::join_all;
use http::header;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::support::gateway::{ALL, CONFIG, Running, SECRET, Setup, counts};
use super::support::redis::RedisServer;
use super::support::socket::Socket;

const ASK: &str = "{ __typename }";

/// A token of somebody with roles.
fn token(subject: &str, roles: &[&str]) -> String {
    let claims = json!({
        "iss": "tests", "aud": "tributary", "sub": subject, "exp": 4_000_000_000_u64,
        "scope": ALL.join(" "), "roles": roles,
    });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

async fn start(config: &str) -> Running {
    let config = format!("{CONFIG}{config}\n");
    Setup {
        config,
        ..Setup::default()
    }
    .start()
    .await
}

struct Reply {
    status: u16,
    headers: http::HeaderMap,
    body: Value,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    #[track_caller]
    fn refuses(&self, status: u16, code: &str) {
        assert_eq!(self.body["errors"][0]["extensions"]["code"], code);
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.body.get("data"), None);
    }
}

async fn send(gateway: &Running, token: &str, body: Value) -> Reply {
    let response = reqwest::Client::new()
        .post(format!("http://{}/graphql", gateway.address))
        .bearer_auth(token)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/graphql-response+json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    Reply {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
    }
}

async fn ask(gateway: &Running, token: &str, query: &str) -> Reply {
    send(gateway, token, json!({"query": query})).await
}

#[tokio::test]
async fn a_caller_that_asks_too_often_is_told_when_to_come_back() {
    let gateway =
        start("callers: { requests: 2/hour, roles: { partner: { requests: 3/hour } } }").await;
    let (ada, bob) = (token("ada", &[]), token("bob", &["partner"]));
    let first = ask(&gateway, &ada, ASK).await;
    assert_eq!(first.status, 200);
    let policy = "\"requests\";q=2;w=3600, \"cost\";q=1000000000;w=60";
    assert_eq!(first.header("ratelimit-policy"), policy);
    let standing = first.header("ratelimit");
    assert!(
        standing.starts_with("\"requests\";r=1;t=1800, "),
        "{standing}"
    );
    // What can't be run counts as well, lest a flood of it be free.
    assert_eq!(ask(&gateway, &ada, "{ nothing }").await.status, 400);
    let refused = ask(&gateway, &ada, ASK).await;
    refused.refuses(429, "RATE_LIMITED");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1700..=1800).contains(&wait), "{wait}");
    let seconds = &refused.body["errors"][0]["extensions"]["retryAfterSeconds"];
    assert_eq!(*seconds, wait);
    assert!(refused.header("ratelimit").starts_with("\"requests\";r=0;"));
    // Another caller has a quota of its own, and a role its own size.
    for _ in 0..3 {
        assert_eq!(ask(&gateway, &bob, ASK).await.status, 200);
    }
    ask(&gateway, &bob, ASK).await.refuses(429, "RATE_LIMITED");
    gateway.stop().await;
}

#[tokio::test]
async fn a_costly_query_is_refused_before_any_vendor_is_asked() {
    let gateway = start("callers: { cost: 90/hour }").await;
    let ada = token("ada", &[]);
    let costly = "{ customers(first: 50) { nodes { displayName } } }";
    assert_eq!(ask(&gateway, &ada, costly).await.status, 200);
    gateway.calls();
    let fresh = costly.replace("50", "49");
    let refused = ask(&gateway, &ada, &fresh).await;
    assert_eq!(gateway.calls(), counts([]));
    refused.refuses(429, "RATE_LIMITED");
    assert!(refused.header("ratelimit").contains("\"cost\";r="));
    gateway.stop().await;
}

#[tokio::test]
async fn replicas_count_together_by_redis_and_alone_without_it() {
    let mut redis = RedisServer::start();
    let config = format!(
        "redis: {{ url: \"{}\", timeout: 5s }}\ncallers: {{ requests: 10/hour }}",
        redis.url()
    );
    let first = start(&config).await;
    let second = start(&config).await;
    let ada = token("ada", &[]);
    let both = [&first, &second];
    let replies = join_all((0..40).map(|n| ask(both[n % 2], &ada, ASK))).await;
    let served = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(served, 10);
    // A replica that loses Redis goes on from where the count stood, and says so.
    redis.kill();
    ask(&first, &ada, ASK).await.refuses(429, "RATE_LIMITED");
    let ready = reqwest::get(format!("http://{}/health/ready", first.address));
    let text = ready.await.unwrap().text().await.unwrap();
    assert!(
        text.contains(r#""name":"callers","state":"suspended""#),
        "{text}"
    );
    assert_eq!(ask(&first, &token("eve", &[]), ASK).await.status, 200);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_caller_has_so_many_streams_on_all_replicas() {
    let redis = RedisServer::start();
    let config = format!(
        "redis: {{ url: \"{}\", timeout: 5s }}\ncallers: {{ streams: 2 }}",
        redis.url()
    );
    let first = start(&config).await;
    let second = start(&config).await;
    let ada = token("ada", &[]);
    let one = Socket::begin(first.address, &ada).await;
    let two = Socket::begin(second.address, &ada).await;
    for gateway in [&first, &second] {
        let mut more = Socket::open(gateway.address).await;
        more.init(&ada).await;
        let (code, reason) = more.closed().await;
        assert_eq!((code, reason.contains("at most 2 streams")), (4429, true));
    }
    Socket::begin(first.address, &token("bob", &[])).await;
    drop(one);
    // The seat is free when the gateway has seen that its holder has left.
    loop {
        let mut again = Socket::open(second.address).await;
        again.init(&ada).await;
        if again.is_acknowledged().await {
            break;
        }
    }
    drop(two);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn the_schema_and_right_names_are_told_by_role() {
    let gateway = start(
        "callers: { roles: { partner: { introspection: false, suggestions: false }, analyst: {} } }",
    )
    .await;
    let (open, closed) = (token("ada", &[]), token("bob", &["partner"]));
    let both = token("eve", &["partner", "analyst"]);
    let schema = "{ __schema { queryType { name } } }";
    for token in [&open, &both] {
        assert_eq!(ask(&gateway, token, schema).await.status, 200);
        let wrong = ask(&gateway, token, "{ custommers }").await;
        assert!(wrong.body.to_string().contains("Did you mean"));
    }
    ask(&gateway, &closed, schema)
        .await
        .refuses(403, "FORBIDDEN");
    let by_type = "{ __type(name: \"Customer\") { fields { name } } }";
    ask(&gateway, &closed, by_type)
        .await
        .refuses(403, "FORBIDDEN");
    assert_eq!(ask(&gateway, &closed, ASK).await.status, 200);
    let wrong = ask(&gateway, &closed, "{ custommers }").await;
    wrong.refuses(400, "GRAPHQL_VALIDATION_FAILED");
    assert!(
        !wrong.body.to_string().contains("customers"),
        "{}",
        wrong.body
    );
    gateway.stop().await;
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn persisted(query: Option<&str>, digest: &str) -> Value {
    let mut body = json!({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}});
    if let Some(query) = query {
        body["query"] = query.into();
    }
    body
}

#[tokio::test]
async fn trusted_documents_are_run_by_id_and_a_role_may_run_nothing_else() {
    let folder = std::env::temp_dir().join(format!("tributary-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let typename = "query Which { __typename }";
    std::fs::write(folder.join("Which.graphql"), typename).unwrap();
    std::fs::write(folder.join("relay.json"), r#"{"r1": "{ r: __typename }"}"#).unwrap();
    let pattern = |name: &str| folder.join(name).display().to_string();
    let gateway = start(&format!(
        "documents: {{ trusted: [\"{}\", \"{}\"] }}\ncallers: {{ roles: {{ app: {{ trusted_only: true }} }} }}",
        pattern("*.graphql"),
        pattern("relay.json"),
    ))
    .await;
    std::fs::remove_dir_all(&folder).unwrap();
    let (open, app) = (token("ada", &[]), token("app", &["app"]));
    for token in [&open, &app] {
        let ids = ["Which".to_owned(), format!("sha256:{}", digest(typename))];
        for id in ids {
            let reply = send(&gateway, token, json!({"documentId": id})).await;
            assert_eq!(reply.body, json!({"data": {"__typename": "Query"}}));
        }
        let reply = send(&gateway, token, json!({"documentId": "r1"})).await;
        assert_eq!(reply.body, json!({"data": {"r": "Query"}}));
        let reply = send(&gateway, token, persisted(None, &digest(typename))).await;
        assert_eq!(reply.status, 200);
        let reply = send(&gateway, token, json!({"documentId": "nothing"})).await;
        reply.refuses(404, "DOCUMENT_NOT_FOUND");
        let reply = send(&gateway, token, json!({"documentId": "r1", "query": ASK})).await;
        reply.refuses(400, "BAD_REQUEST");
    }
    // The text of a trusted document is as good as its name.
    assert_eq!(ask(&gateway, &app, typename).await.status, 200);
    ask(&gateway, &app, ASK)
        .await
        .refuses(403, "DOCUMENT_NOT_TRUSTED");
    let brought = persisted(Some(ASK), &digest(ASK));
    send(&gateway, &app, brought)
        .await
        .refuses(403, "DOCUMENT_NOT_TRUSTED");
    assert_eq!(ask(&gateway, &open, ASK).await.status, 200);
    // A socket is no way round.
    let mut socket = Socket::begin(gateway.address, &app).await;
    socket.subscribe("1", ASK).await;
    let error = socket.receive().await;
    assert_eq!(
        error["payload"][0]["extensions"]["code"],
        "DOCUMENT_NOT_TRUSTED"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_document_that_a_client_brought_is_known_by_its_hash_on_all_replicas() {
    let redis = RedisServer::start();
    let config = format!("redis: {{ url: \"{}\", timeout: 5s }}", redis.url());
    let (first, second) = (start(&config).await, start(&config).await);
    let ada = token("ada", &[]);
    let hash = digest(ASK);
    let unknown = send(&first, &ada, persisted(None, &hash)).await;
    unknown.refuses(404, "PERSISTED_QUERY_NOT_FOUND");
    assert_eq!(
        unknown.body["errors"][0]["message"],
        "PersistedQueryNotFound"
    );
    let forged = send(&first, &ada, persisted(Some(ASK), &digest("other"))).await;
    forged.refuses(400, "BAD_REQUEST");
    let data = json!({"data": {"__typename": "Query"}});
    let brought = send(&first, &ada, persisted(Some(ASK), &hash)).await;
    assert_eq!(brought.body, data);
    for gateway in [&first, &second] {
        let named = send(gateway, &ada, persisted(None, &hash)).await;
        assert_eq!(named.body, data);
    }
    // By GET, so that it can be kept near the client.
    let extensions = persisted(None, &hash)["extensions"].to_string();
    let extensions: String = url::form_urlencoded::byte_serialize(extensions.as_bytes()).collect();
    let url = format!("http://{}/graphql?extensions={extensions}", second.address);
    let reply = reqwest::Client::new().get(url).bearer_auth(&ada).send();
    assert_eq!(reply.await.unwrap().text().await.unwrap(), data.to_string());
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn automatic_documents_can_be_switched_off() {
    let gateway = start("documents: { automatic: false }").await;
    let ada = token("ada", &[]);
    let hash = digest(ASK);
    assert_eq!(
        send(&gateway, &ada, persisted(Some(ASK), &hash))
            .await
            .status,
        200
    );
    let named = send(&gateway, &ada, persisted(None, &hash)).await;
    named.refuses(404, "PERSISTED_QUERY_NOT_FOUND");
    gateway.stop().await;
}
