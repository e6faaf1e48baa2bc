//! Subscriptions and operations over WebSockets, server-sent events and multipart answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures_util::StreamExt as _;
use http::{StatusCode, header};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};
use tributary::auth::Authenticator;
use tributary::auth::api_key::{ApiKey, Holder};
use tributary::auth::key_book::Origin;
use tributary::auth::remote::key_set_client;
use tributary::auth::settings::AuthSettings;
use tributary::http::settings::{GraphiqlSettings, ServerSettings, StreamSettings};

use super::support::front::{Front, SHORT_TOKEN, TOKEN};
use super::support::gateway::{ALL, Running, token};
use super::support::node;
use super::support::socket::Socket;

async fn start(change: impl FnOnce(&mut StreamSettings)) -> Front {
    let mut settings = ServerSettings::default();
    change(&mut settings.streams);
    Front::start_with(settings, GraphiqlSettings::default()).await
}

fn counted(n: u64) -> Value {
    json!({"data": {"count": n, "padding": ""}})
}

/// A streamed answer to a POST, or what is said instead.
async fn stream(front: &Front, query: &str, accept: &str, token: &str) -> reqwest::Response {
    reqwest::Client::new()
        .post(front.url("/graphql"))
        .bearer_auth(token)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, accept)
        .body(json!({"query": query}).to_string())
        .send()
        .await
        .unwrap()
}

async fn json_of(response: reqwest::Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

const EVENTS: &str = "text/event-stream";
const PARTS: &str = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json";

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_clients_of_frontends_subscribe_and_ask() {
    let front = Front::start().await;
    let operations = [
        "subscription { count }",
        "subscription { fail }",
        "{ me }",
        "mutation { touch }",
    ];
    let argument = json!({"url": front.url("/graphql"), "token": TOKEN, "operations": operations});
    let seen = node::run("streams.js", &argument).await;
    let all: Vec<Value> = (1..=3).map(counted).collect();
    let me = json!({"values": [{"data": {"me": "ada"}}], "complete": true});
    let touch = json!({"values": [{"data": {"touch": true}}], "complete": true});
    for way in ["socket", "events"] {
        assert_eq!(seen[way][0]["values"], json!(all), "{way}");
        assert_eq!(seen[way][0]["complete"], true, "{way}");
        assert_eq!(seen[way][2], me, "{way}");
        assert_eq!(seen[way][3], touch, "{way}");
    }
    assert_eq!(seen["socket"][1]["values"], json!([counted(1)]));
    assert_eq!(seen["socket"][1]["error"], json!(["SOURCE_UNAVAILABLE"]));
    let failed = &seen["events"][1]["values"][1]["errors"][0];
    assert_eq!(failed["extensions"]["code"], "SOURCE_UNAVAILABLE");
    // Apollo's client takes what was selected, and nothing else.
    let counts: Vec<Value> = (1..=3).map(|n| json!({"data": {"count": n}})).collect();
    assert_eq!(
        seen["parts"][0],
        json!({"values": counts, "complete": true})
    );
    assert_eq!(
        seen["parts"][1]["values"][1],
        json!({"error": ["SOURCE_UNAVAILABLE"]})
    );
    assert_eq!(seen["parts"][2], me);
    assert_eq!(seen["parts"][3], touch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_clients_of_frontends_ask_the_whole_gateway() {
    let gateway = Running::start().await;
    let query = "{ __typename customers(first: 1) { nodes { __typename } } }";
    let operations = [query, "subscription { nothing }"];
    let url = format!("http://{}/graphql", gateway.address);
    let argument = json!({"url": url, "token": token(ALL), "operations": operations});
    let seen = node::run("streams.js", &argument).await;
    let nodes = json!([{"__typename": "Customer"}]);
    for way in ["socket", "events", "parts"] {
        let answer = &seen[way][0]["values"][0]["data"];
        assert_eq!(answer["customers"]["nodes"], nodes, "{way}: {seen:#}");
        assert!(!seen[way][1].to_string().contains("\"data\":{"), "{way}");
    }
    let refused = &seen["socket"][1]["error"][0];
    assert_eq!(*refused, "GRAPHQL_VALIDATION_FAILED");
    gateway.stop().await;
}

#[track_caller]
fn closes(closed: (u16, String), code: u16, reason: &str) {
    assert_eq!((closed.0, &*closed.1), (code, reason));
}

#[tokio::test]
async fn what_breaks_the_protocol_is_closed_with_its_code() {
    let front = Front::start().await;
    for message in [
        Message::text("{}"),
        Message::text("what?"),
        Message::binary(vec![1, 2]),
    ] {
        let mut socket = Socket::open(front.address).await;
        socket.send(message).await;
        let (code, reason) = socket.closed().await;
        assert_eq!(code, 4400, "{reason}");
    }
    let mut early = Socket::open(front.address).await;
    early.subscribe("1", "{ me }").await;
    closes(early.closed().await, 4401, "Unauthorized");

    let mut twice = Socket::begin(front.address, TOKEN).await;
    twice.init(TOKEN).await;
    closes(
        twice.closed().await,
        4429,
        "Too many initialisation requests",
    );

    let mut same = Socket::begin(front.address, TOKEN).await;
    same.subscribe("1", "subscription { silent }").await;
    same.subscribe("1", "subscription { silent }").await;
    closes(same.closed().await, 4409, "Subscriber for 1 already exists");

    let headers = [("sec-websocket-protocol", "graphql-ws")];
    let legacy = Socket::open_with(front.address, &headers).await;
    assert!(
        legacy.is_err(),
        "the client takes no answer without its protocol"
    );
}

#[tokio::test]
async fn a_socket_without_the_subprotocol_is_closed_with_4406() {
    let front = Front::start().await;
    let mut socket = Socket::open_with(front.address, &[]).await.unwrap();
    closes(socket.closed().await, 4406, "Subprotocol not acceptable");
}

#[tokio::test]
async fn a_socket_that_does_not_begin_is_closed_with_4408() {
    let front = start(|streams| streams.init_timeout = Duration::from_millis(50)).await;
    let mut socket = Socket::open(front.address).await;
    closes(
        socket.closed().await,
        4408,
        "Connection initialisation timeout",
    );
}

#[tokio::test]
async fn a_socket_without_proof_is_closed_with_4403() {
    let front = Front::start().await;
    let mut none = Socket::open(front.address).await;
    none.say(json!({"type": "connection_init"})).await;
    closes(none.closed().await, 4403, "Forbidden: no token was sent");
    let mut wrong = Socket::open(front.address).await;
    wrong.init("wrong").await;
    closes(
        wrong.closed().await,
        4403,
        "Forbidden: the token is not the test's",
    );
    // Clients that are no browsers may send their proof with the handshake.
    let bearer = format!("Bearer {TOKEN}");
    let headers = [
        ("sec-websocket-protocol", "graphql-transport-ws"),
        ("authorization", &*bearer),
    ];
    let mut header = Socket::open_with(front.address, &headers).await.unwrap();
    header.say(json!({"type": "connection_init"})).await;
    assert_eq!(header.receive().await["type"], "connection_ack");
}

#[tokio::test]
async fn a_stream_ends_with_its_callers_token() {
    let front = Front::start().await;
    let mut socket = Socket::begin(front.address, SHORT_TOKEN).await;
    socket.subscribe("1", "subscription { silent }").await;
    closes(
        socket.closed().await,
        4403,
        "Forbidden: the token has expired",
    );
    let events = stream(&front, "subscription { silent }", EVENTS, SHORT_TOKEN).await;
    let text = events.text().await.unwrap();
    assert!(text.contains("\"code\":\"INVALID_TOKEN\""), "{text}");
    assert!(text.ends_with("event: complete\ndata:\n\n"), "{text}");
    let parts = stream(&front, "subscription { silent }", PARTS, SHORT_TOKEN).await;
    let text = parts.text().await.unwrap();
    assert!(text.contains("{\"payload\":null,\"errors\":[{"), "{text}");
    assert!(text.ends_with("\r\n--graphql--\r\n"), "{text}");
    assert_eq!(front.graph.probe.held.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_stream_ends_when_its_callers_key_is_revoked() {
    let made = ApiKey::make(
        Holder::default(),
        [7; 38],
        Utc::now(),
        Utc::now() + TimeDelta::hours(1),
    );
    let clock = Arc::new(Utc::now);
    let auth = Authenticator::new(AuthSettings::default(), &key_set_client().unwrap(), clock);
    let auth = Arc::new(auth.unwrap());
    let book = Arc::clone(auth.keys());
    book.replace(Origin::File, vec![made.key.clone()]);
    let front =
        Front::start_for(auth, ServerSettings::default(), GraphiqlSettings::default()).await;
    let mut socket = Socket::begin(front.address, &made.text).await;
    socket.subscribe("1", "subscription { silent }").await;
    let events = stream(&front, "subscription { silent }", EVENTS, &made.text).await;
    assert_eq!(events.status(), StatusCode::OK);

    // A change that does not concern the key ends nothing.
    book.replace(Origin::Shared, Vec::new());
    let mut revoked = made.key;
    revoked.revoked_at = Some(Utc::now());
    book.replace(Origin::File, vec![revoked]);
    closes(
        socket.closed().await,
        4403,
        "Forbidden: the API key has expired or was revoked",
    );
    let text = events.text().await.unwrap();
    assert!(text.contains("\"code\":\"API_KEY_ENDED\""), "{text}");
    assert!(text.ends_with("event: complete\ndata:\n\n"), "{text}");
}

#[tokio::test]
async fn pages_of_other_origins_open_no_socket_unless_they_are_listed() {
    let settings = ServerSettings {
        origins: vec!["https://app.acme.example".to_owned()],
        ..ServerSettings::default()
    };
    let front = Front::start_with(settings, GraphiqlSettings::default()).await;
    let own = format!("http://{}", front.address);
    for (origin, is_open) in [
        ("https://app.acme.example", true),
        (&*own, true),
        ("https://evil.example", false),
        ("http://app.acme.example", false),
        ("null", false),
    ] {
        let headers = [
            ("sec-websocket-protocol", "graphql-transport-ws"),
            ("origin", origin),
        ];
        match Socket::open_with(front.address, &headers).await {
            Ok(_) => assert!(is_open, "{origin}"),
            Err(Error::Http(response)) => {
                assert!(!is_open, "{origin}");
                assert_eq!(response.status(), 403);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_socket_asks_and_is_answered_while_a_subscription_runs() {
    let front = Front::start().await;
    let mut socket = Socket::begin(front.address, TOKEN).await;
    socket.subscribe("s", "subscription { silent }").await;
    socket.subscribe("q", "{ me }").await;
    let next = json!({"id": "q", "type": "next", "payload": {"data": {"me": "ada"}}});
    assert_eq!(socket.receive().await, next);
    assert_eq!(
        socket.receive().await,
        json!({"id": "q", "type": "complete"})
    );
    socket
        .say(json!({"type": "ping", "payload": {"n": 1}}))
        .await;
    assert_eq!(
        socket.receive().await,
        json!({"type": "pong", "payload": {"n": 1}})
    );
    // An end that the client asks for lets the subscription go, and its name may be used again.
    socket.say(json!({"type": "complete", "id": "s"})).await;
    front.graph.probe.released.notified().await;
    socket.subscribe("s", "subscription { count }").await;
    for n in 1..=3 {
        assert_eq!(socket.receive().await["payload"], counted(n));
    }
    assert_eq!(socket.receive().await["type"], "complete");
    socket.subscribe("e", "subscription { other }").await;
    let error = socket.receive().await;
    assert_eq!(error["type"], "error");
    let code = &error["payload"][0]["extensions"]["code"];
    assert_eq!(*code, "GRAPHQL_VALIDATION_FAILED");
}

#[tokio::test]
async fn a_client_that_leaves_lets_its_subscriptions_go() {
    let front = Front::start().await;
    let mut socket = Socket::begin(front.address, TOKEN).await;
    for id in ["1", "2"] {
        socket.subscribe(id, "subscription { silent }").await;
    }
    socket.subscribe("3", "{ me }").await;
    socket.receive().await;
    assert_eq!(front.graph.probe.held.load(Ordering::SeqCst), 2);
    drop(socket);
    while front.graph.probe.held.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    let events = stream(&front, "subscription { silent }", EVENTS, TOKEN).await;
    assert_eq!(front.graph.probe.held.load(Ordering::SeqCst), 1);
    drop(events);
    while front.graph.probe.held.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_has_bounds_on_operations_messages_and_their_size() {
    let front = start(|streams| {
        streams.subscriptions_max = 1;
        streams.message_bytes_max = 1024;
        streams.messages_per_second = 5;
    })
    .await;
    let mut many = Socket::begin(front.address, TOKEN).await;
    many.subscribe("1", "subscription { silent }").await;
    many.subscribe("2", "subscription { silent }").await;
    let error = many.receive().await;
    assert_eq!(error["id"], "2");
    assert_eq!(error["payload"][0]["extensions"]["code"], "RATE_LIMITED");

    let mut large = Socket::begin(front.address, TOKEN).await;
    let text = json!({"type": "pong", "payload": {"x": "y".repeat(1024)}});
    large.say(text).await;
    closes(large.closed().await, 1009, "The message is too large");

    let mut busy = Socket::begin(front.address, TOKEN).await;
    for _ in 0..20 {
        let ping = Message::text(r#"{"type":"pong"}"#);
        if futures_util::SinkExt::send(&mut busy.inner, ping)
            .await
            .is_err()
        {
            break;
        }
    }
    closes(busy.closed().await, 4429, "Too many messages");
}

#[tokio::test]
async fn a_stream_above_the_limit_is_refused_until_another_ends() {
    let front = start(|streams| streams.connections_max = 1).await;
    let first = Socket::begin(front.address, TOKEN).await;
    let second = stream(&front, "subscription { silent }", EVENTS, TOKEN).await;
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(second.headers()[header::RETRY_AFTER], "1");
    let body: Value = json_of(second).await;
    assert_eq!(body["errors"][0]["extensions"]["code"], "OVERLOADED");
    assert_eq!(body["errors"][0]["extensions"]["retryAfterSeconds"], 1);
    drop(first);
    while !stream(&front, "subscription { count }", EVENTS, TOKEN)
        .await
        .status()
        .is_success()
    {}
}

#[tokio::test]
async fn a_slow_reader_is_let_go_and_costs_a_bounded_amount() {
    let front = start(|streams| streams.write_timeout = Duration::from_millis(300)).await;
    let mut socket = Socket::begin(front.address, TOKEN).await;
    socket.subscribe("1", "subscription { flood }").await;
    // Nothing is read until the gateway has had enough.
    front.graph.probe.released.notified().await;
    let emitted = front.graph.probe.emitted.load(Ordering::SeqCst);
    // Each answer has 64 KiB; what the kernel's buffers take is all that was made.
    assert!(emitted < 200, "{emitted} answers were made for nobody");
    closes(
        socket.closed().await,
        1013,
        "The connection is read too slowly",
    );

    let events = stream(&front, "subscription { flood }", EVENTS, TOKEN).await;
    front.graph.probe.released.notified().await;
    let text = events.text().await.unwrap_or_default();
    assert!(!text.contains("event: complete"));
}

#[tokio::test]
async fn events_bring_ids_and_go_on_after_the_last_one() {
    let front = Front::start().await;
    let response = stream(&front, "subscription { count }", EVENTS, TOKEN).await;
    assert_eq!(response.status(), 200);
    let kind = &response.headers()[header::CONTENT_TYPE];
    assert_eq!(kind, "text/event-stream; charset=utf-8");
    let text = response.text().await.unwrap();
    let third = format!("event: next\nid: 3\ndata: {}\n\n", counted(3));
    assert!(
        text.ends_with(&format!("{third}event: complete\ndata:\n\n")),
        "{text}"
    );
    // A browser's `EventSource` comes back by GET with the last id that it saw.
    let request = reqwest::Client::new()
        .get(front.url("/graphql?query=subscription%7Bcount%7D"))
        .bearer_auth(TOKEN)
        .header(header::ACCEPT, EVENTS)
        .header("last-event-id", "2");
    let text = request.send().await.unwrap().text().await.unwrap();
    assert_eq!(text, format!(":\n\n{third}event: complete\ndata:\n\n"));
}

#[tokio::test]
async fn a_refused_document_is_told_in_the_stream_and_a_refused_caller_is_not() {
    let front = Front::start().await;
    let response = stream(&front, "subscription { other }", EVENTS, TOKEN).await;
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    assert!(text.contains("GRAPHQL_VALIDATION_FAILED"), "{text}");
    assert!(text.ends_with("event: complete\ndata:\n\n"), "{text}");
    let response = stream(&front, "subscription { count }", EVENTS, "wrong").await;
    assert_eq!(response.status(), 401);
    let body: Value = json_of(response).await;
    assert_eq!(body["errors"][0]["extensions"]["code"], "INVALID_TOKEN");
}

#[tokio::test]
async fn a_silent_stream_gives_signs_of_life() {
    let front = start(|streams| streams.heartbeat = Duration::from_millis(20)).await;
    for (accept, sign) in [
        (EVENTS, ":\n\n"),
        (
            PARTS,
            "\r\ncontent-type: application/json\r\n\r\n{}\r\n--graphql",
        ),
    ] {
        let response = stream(&front, "subscription { silent }", accept, TOKEN).await;
        let mut chunks = response.bytes_stream();
        let mut text = String::new();
        while text.matches(sign).count() < 3 {
            let chunk = chunks.next().await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test]
async fn a_stop_ends_streams_with_a_farewell() {
    let mut front = Front::start().await;
    let mut socket = Socket::begin(front.address, TOKEN).await;
    socket.subscribe("1", "subscription { silent }").await;
    let parts = stream(&front, "subscription { silent }", PARTS, TOKEN).await;
    let events = stream(&front, "subscription { silent }", EVENTS, TOKEN).await;
    front.shutdown.cancel();
    closes(socket.closed().await, 1001, "The gateway stops");
    let text = parts.text().await.unwrap();
    assert!(text.ends_with("--graphql--\r\n"), "{text}");
    let text = events.text().await.unwrap();
    assert!(!text.contains("complete"), "{text}");
    (&mut front.task).await.unwrap();
}

#[tokio::test]
async fn many_operations_share_one_connection_of_http2() {
    let front = Front::start().await;
    let client = reqwest::Client::builder().http2_prior_knowledge();
    let client = client.build().unwrap();
    let one = |query: &str| {
        client
            .post(front.url("/graphql"))
            .bearer_auth(TOKEN)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, EVENTS)
            .body(json!({"query": query}).to_string())
            .send()
    };
    let silent = one("subscription { silent }").await.unwrap();
    let counting = one("subscription { count }").await.unwrap();
    assert_eq!(counting.version(), http::Version::HTTP_2);
    assert!(counting.text().await.unwrap().contains("complete"));
    drop(silent);
}
