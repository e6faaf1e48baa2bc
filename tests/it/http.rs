//! The HTTP surface: what it refuses and how, its bounds, and how it stops.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tributary::http::settings::{GraphiqlSettings, ServerSettings};

use super::support::front::{Front, TOKEN};
use super::support::gateway::{ALL, Setup, token};

const QUERY: &str = r#"{"query":"{ me }"}"#;

/// What came back, with the body read.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    #[track_caller]
    fn refuses(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let error = &self.json()["errors"][0];
        assert_eq!(error["extensions"]["code"], code);
        assert_eq!(
            error["extensions"]["requestId"],
            self.header("x-request-id")
        );
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert_eq!(self.json().get("data"), None);
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.header("x-content-type-options"), "nosniff");
    }
}

async fn send(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    Reply {
        status: response.status(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

fn request(front: &Front, method: Method, path: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new().request(method, front.url(path))
}

/// A POST that is right in everything but its body.
fn post(front: &Front, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    request(front, Method::POST, "/graphql")
        .bearer_auth(TOKEN)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
}

async fn ask(front: &Front, query: &str) -> Reply {
    send(post(front, json!({"query": query}).to_string())).await
}

fn executed(front: &Front) -> usize {
    front.graph.probe.executed.load(Ordering::SeqCst)
}

async fn start(change: impl FnOnce(&mut ServerSettings)) -> Front {
    let mut settings = ServerSettings::default();
    change(&mut settings);
    Front::start_with(settings, GraphiqlSettings::default()).await
}

/// Sends the bytes and reads until the server closes.
async fn until_closed(front: &Front, bytes: &str) -> String {
    let mut stream = front.connect().await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// The head of a POST that announces a body of that length.
fn head(length: usize, token: &str) -> String {
    format!(
        "POST /graphql HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
         authorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// Reads one answer, whose length it tells, from a connection that stays open.
async fn read_answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|l| l.strip_prefix("content-length: "));
            if body.len() >= length.unwrap().parse().unwrap() {
                return text;
            }
        }
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).await.unwrap();
        assert_ne!(count, 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
}

#[tokio::test]
async fn a_query_is_answered_for_its_caller() {
    let front = Front::start().await;
    let reply = ask(&front, "{ me }").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json(), json!({"data": {"me": "ada"}}));
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_body_that_is_no_graphql_request_is_a_bad_request() {
    let front = Front::start().await;
    for body in ["", "{", "[]", "{}", r#"{"query":""}"#, r#"{"query":1}"#] {
        send(post(&front, body)).await.refuses(400, "BAD_REQUEST");
    }
    assert_eq!(executed(&front), 0);
}

#[tokio::test]
async fn types_that_a_browser_form_can_send_are_refused() {
    let front = Front::start().await;
    let kinds = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/jsonp",
    ];
    for kind in kinds {
        let request = request(&front, Method::POST, "/graphql").bearer_auth(TOKEN);
        let reply = send(request.header(header::CONTENT_TYPE, kind).body(QUERY)).await;
        reply.refuses(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    assert_eq!(executed(&front), 0);
}

#[tokio::test]
async fn an_answer_that_cannot_be_accepted_is_refused_before_it_is_made() {
    let front = Front::start().await;
    let reply = send(post(&front, QUERY).header(header::ACCEPT, "text/html")).await;
    reply.refuses(406, "NOT_ACCEPTABLE");
    assert_eq!(executed(&front), 0);
}

#[tokio::test]
async fn a_mutation_does_not_travel_by_get() {
    let front = Front::start().await;
    let get = |query| {
        let url = format!("/graphql?query={query}");
        send(request(&front, Method::GET, &url).bearer_auth(TOKEN))
    };
    let reply = get("mutation{touch}").await;
    reply.refuses(405, "METHOD_NOT_ALLOWED");
    assert_eq!(reply.header("allow"), "POST");
    assert_eq!(executed(&front), 0);
    assert_eq!(get("{me}").await.json(), json!({"data": {"me": "ada"}}));
}

#[tokio::test]
async fn other_methods_and_paths_are_refused_with_a_code() {
    let front = Front::start().await;
    let reply = send(request(&front, Method::PUT, "/graphql")).await;
    reply.refuses(405, "METHOD_NOT_ALLOWED");
    assert_eq!(reply.header("allow"), "GET, POST");
    let reply = send(request(&front, Method::POST, "/health/live")).await;
    reply.refuses(405, "METHOD_NOT_ALLOWED");
    assert_eq!(reply.header("allow"), "GET,HEAD");
    for path in ["/", "/nothing", "/graphiql/assets/nothing.js"] {
        let reply = send(request(&front, Method::GET, path)).await;
        reply.refuses(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_caller_without_proof_is_refused_before_the_body_is_read() {
    let front = Front::start().await;
    // The body is announced and never sent: an answer shows that nobody waited for it.
    let text = until_closed(&front, &head(1000, "wrong")).await;
    assert!(text.starts_with("HTTP/1.1 401 "), "{text}");
    assert!(text.contains("INVALID_TOKEN"), "{text}");
    let request = request(&front, Method::POST, "/graphql");
    let reply = send(request.header(header::CONTENT_TYPE, "application/json")).await;
    reply.refuses(401, "UNAUTHENTICATED");
    assert_eq!(
        reply.header("www-authenticate"),
        "Bearer realm=\"tributary\""
    );
    assert_eq!(executed(&front), 0);
}

#[tokio::test]
async fn a_refused_token_is_told_what_is_wrong_with_it() {
    let front = Front::start().await;
    let request = request(&front, Method::POST, "/graphql").bearer_auth("wrong");
    let reply = send(request).await;
    reply.refuses(401, "INVALID_TOKEN");
    let challenge = reply.header("www-authenticate");
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert!(!challenge.contains("wrong"), "{challenge}");
}

#[tokio::test]
async fn a_body_of_the_limit_is_taken_and_one_byte_more_is_refused() {
    let front = start(|settings| settings.body_bytes_max = 100).await;
    let fits = format!("{QUERY:<100}");
    let over = format!("{QUERY:<101}");
    let chunked = |text: &str| {
        let chunk = Ok::<_, std::io::Error>(text.to_owned());
        reqwest::Body::wrap_stream(futures_util::stream::iter([chunk]))
    };
    assert_eq!(send(post(&front, fits.clone())).await.status, 200);
    assert_eq!(send(post(&front, chunked(&fits))).await.status, 200);
    let declared = send(post(&front, over.clone())).await;
    declared.refuses(413, "PAYLOAD_TOO_LARGE");
    let unknown = send(post(&front, chunked(&over))).await;
    unknown.refuses(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(executed(&front), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let front = Front::start().await;
    let text = until_closed(&front, &format!("{}{{", head(50, TOKEN))).await;
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert!(text.contains("REQUEST_TIMEOUT"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn half_sent_heads_are_closed() {
    let front = Front::start().await;
    let starts = [
        "",
        "GET /graphql HT",
        "GET / HTTP/1.1\r\nhost: a",
        "PRI * HTTP/2.0\r\n\r\nS",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for start in starts {
        let text = until_closed(&front, start).await;
        assert!(!text.contains("200 OK"), "{start:?}: {text}");
    }
}

#[tokio::test]
async fn a_head_with_too_many_headers_is_refused() {
    let front = start(|settings| settings.headers_max = 10).await;
    let with = |count: usize| {
        let lines: String = (0..count).map(|n| format!("x-{n}: 1\r\n")).collect();
        format!("GET /health/live HTTP/1.1\r\n{lines}connection: close\r\n\r\n")
    };
    assert!(
        until_closed(&front, &with(9))
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    assert!(
        until_closed(&front, &with(10))
            .await
            .starts_with("HTTP/1.1 431 ")
    );
}

#[tokio::test]
async fn a_refused_document_has_its_codes_status() {
    let front = Front::start().await;
    for (code, plain, typed) in [
        ("GRAPHQL_PARSE_FAILED", 200, 400),
        ("GRAPHQL_VALIDATION_FAILED", 200, 400),
        ("FORBIDDEN", 403, 403),
        ("LIMIT_EXCEEDED", 400, 400),
        ("OVERLOADED", 503, 503),
    ] {
        let body = json!({"query": format!("# refuse with {code}")}).to_string();
        let reply = send(post(&front, body.clone())).await;
        assert_eq!(reply.status, plain, "{code}");
        let accept = "application/graphql-response+json";
        let reply = send(post(&front, body).header(header::ACCEPT, accept)).await;
        assert_eq!(reply.status, typed, "{code}");
        assert!(reply.header("content-type").starts_with(accept));
    }
}

#[tokio::test]
async fn a_request_id_is_kept_when_it_is_harmless() {
    let front = Front::start().await;
    let body = json!({"query": "{ requestId }"}).to_string();
    for (sent, is_kept) in [
        ("abc-123", true),
        (&*"x".repeat(64), true),
        (&*"x".repeat(65), false),
        ("a b", false),
        ("", false),
    ] {
        let reply = send(post(&front, body.clone()).header("x-request-id", sent)).await;
        let id = reply.header("x-request-id");
        assert_eq!(id == sent, is_kept, "{sent:?} became {id:?}");
        assert!(!id.is_empty());
        assert_eq!(reply.json()["data"]["requestId"], id);
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_server_goes_on() {
    let front = Front::start().await;
    let reply = ask(&front, "{ panic }").await;
    reply.refuses(500, "INTERNAL");
    assert!(!reply.text.contains("as asked"));
    assert_eq!(ask(&front, "{ me }").await.status, 200);
}

#[tokio::test]
async fn only_answers_above_a_kibibyte_are_compressed() {
    let front = Front::start().await;
    // Left to itself, the client unpacks the answer and hides that it was packed.
    let client = reqwest::Client::builder().no_gzip().build().unwrap();
    for (length, encoding) in [(500, None), (2000, Some("gzip"))] {
        let query = format!("{{ text(length: {length}) }}");
        let request = client
            .post(front.url("/graphql"))
            .bearer_auth(TOKEN)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT_ENCODING, "gzip")
            .body(json!({"query": query}).to_string());
        let response = request.send().await.unwrap();
        let sent = response.headers().get(header::CONTENT_ENCODING);
        assert_eq!(sent.map(|value| value.to_str().unwrap()), encoding);
    }
}

#[tokio::test]
async fn readiness_follows_the_gateway_and_liveness_does_not() {
    let front = Front::start().await;
    let get = |path| send(request(&front, Method::GET, path));
    let ready = get("/health/ready").await;
    assert_eq!(ready.status, 200);
    let check = json!({"name": "redis", "state": "up", "detail": "the shared cache"});
    assert_eq!(ready.json(), json!({"status": "ready", "checks": [check]}));
    front.is_ready.store(false, Ordering::SeqCst);
    let ready = get("/health/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["status"], "not_ready");
    assert_eq!(ready.json()["checks"][0]["state"], "down");
    assert_eq!(get("/health/live").await.status, 200);
}

#[tokio::test]
async fn the_metrics_page_counts_requests_by_route() {
    let front = Front::start().await;
    ask(&front, "{ me }").await;
    send(request(&front, Method::GET, "/surely/not/a/route")).await;
    let reply = send(request(&front, Method::GET, "/metrics")).await;
    assert!(reply.header("content-type").starts_with("text/plain"));
    let counted = r#"tributary_http_requests_total{route="/graphql",method="POST",status="200"}"#;
    assert!(reply.text.contains(counted), "{}", reply.text);
    assert!(reply.text.contains("tributary_http_request_seconds_bucket"));
    assert!(
        !reply.text.contains("surely"),
        "a caller must not make labels"
    );
}

#[tokio::test]
async fn http2_without_tls_works() {
    let front = Front::start().await;
    let client = reqwest::Client::builder().http2_prior_knowledge();
    let request = client.build().unwrap().post(front.url("/graphql"));
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let response = request.bearer_auth(TOKEN).body(QUERY).send().await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(response.text().await.unwrap(), r#"{"data":{"me":"ada"}}"#);
}

#[tokio::test]
async fn a_connection_above_the_limit_waits_for_another_to_end() {
    let front = start(|settings| settings.connections_max = 1).await;
    let ping = b"GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n";
    let mut first = front.connect().await;
    first.write_all(ping).await.unwrap();
    read_answer(&mut first).await;
    let mut second = front.connect().await;
    second.write_all(ping).await.unwrap();
    for _ in 0..3 {
        first.write_all(ping).await.unwrap();
        read_answer(&mut first).await;
    }
    let early = second.try_read(&mut [0; 16]).unwrap_err();
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    assert!(read_answer(&mut second).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn half_open_connections_are_closed_while_others_are_served() {
    let mut setup = Setup::default();
    setup.config += "server: { header_timeout: 300ms, request_timeout: 300ms }\n";
    setup.config += "streams: { init_timeout: 300ms }\n";
    let gateway = setup.start().await;
    let body_missing = head(50, &token(ALL));
    let handshake = "GET /graphql HTTP/1.1\r\nhost: test\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                     sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                     sec-websocket-protocol: graphql-transport-ws\r\n\r\n";
    let starts = [
        "",
        "POST /graphql HT",
        &body_missing,
        "PRI * HTTP/2.0\r\n\r\nS",
        handshake,
    ];
    let mut sockets = Vec::new();
    for number in 0..200 {
        let mut socket = TcpStream::connect(gateway.address).await.unwrap();
        let start = starts[number % starts.len()];
        socket.write_all(start.as_bytes()).await.unwrap();
        sockets.push(socket);
    }
    let closing = sockets.into_iter().map(|mut socket| async move {
        let mut answer = Vec::new();
        // A reset is an end as well.
        let _ = socket.read_to_end(&mut answer).await;
    });
    let closing = futures_util::future::join_all(closing);
    tokio::pin!(closing);
    let mut served = 0;
    loop {
        tokio::select! {
            biased;
            _ = &mut closing => break,
            answer = gateway.ask("{ __typename }") => {
                assert_eq!(answer, json!({"data": {"__typename": "Query"}}));
                served += 1;
            }
        }
    }
    assert!(served > 0);
    gateway.stop().await;
}

#[tokio::test]
async fn a_request_above_the_limit_is_shed_with_a_time_to_come_back() {
    let front = start(|settings| settings.requests_max = 1).await;
    let waiting = post(&front, json!({"query": "{ wait }"}).to_string());
    let waiting = tokio::spawn(send(waiting));
    front.graph.probe.entered.notified().await;
    let shed = ask(&front, "{ me }").await;
    shed.refuses(503, "OVERLOADED");
    assert_eq!(shed.header("retry-after"), "1");
    let extensions = &shed.json()["errors"][0]["extensions"];
    assert_eq!(extensions["retryAfterSeconds"], 1);
    front.graph.gate.add_permits(1);
    assert_eq!(waiting.await.unwrap().status, 200);
    assert_eq!(ask(&front, "{ me }").await.status, 200);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_let_go() {
    let mut front = start(|settings| settings.write_timeout = Duration::from_millis(300)).await;
    let mut stream = front.connect().await;
    let body = json!({"query": "{ text(length: 30000000) }"}).to_string();
    let request = format!("{}{body}", head(body.len(), TOKEN));
    stream.write_all(request.as_bytes()).await.unwrap();
    // The gateway gives up on its own: the test reads nothing before the server says that nobody is left.
    front.shutdown.cancel();
    (&mut front.task).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.len() < 30_000_000);
}

const PAGE: &str = "https://app.acme.example";

async fn with_pages() -> Front {
    start(|settings| settings.origins = vec![PAGE.to_owned()]).await
}

fn preflight(front: &Front, origin: &str) -> reqwest::RequestBuilder {
    request(front, Method::OPTIONS, "/graphql")
        .header(header::ORIGIN, origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization, content-type",
        )
}

#[tokio::test]
async fn a_listed_page_may_call_and_read_the_answer() {
    let front = with_pages().await;
    let reply = send(preflight(&front, PAGE)).await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-origin"), PAGE);
    assert_eq!(reply.header("access-control-allow-methods"), "GET, POST");
    let allowed = reply.header("access-control-allow-headers");
    assert!(allowed.contains("authorization") && allowed.contains("content-type"));
    assert_eq!(reply.header("access-control-allow-credentials"), "");
    let reply = send(post(&front, QUERY).header(header::ORIGIN, PAGE)).await;
    assert_eq!(reply.header("access-control-allow-origin"), PAGE);
    assert!(
        reply
            .header("access-control-expose-headers")
            .contains("x-request-id")
    );
    // A refusal can be read too, so that a page can tell its user why.
    let reply = send(request(&front, Method::POST, "/graphql").header(header::ORIGIN, PAGE)).await;
    reply.refuses(401, "UNAUTHENTICATED");
    assert_eq!(reply.header("access-control-allow-origin"), PAGE);
}

#[tokio::test]
async fn other_pages_are_told_nothing_and_caches_keep_them_apart() {
    let front = with_pages().await;
    for origin in [
        "https://evil.example",
        "http://app.acme.example",
        "https://app.acme.example.evil.example",
        "null",
    ] {
        let reply = send(preflight(&front, origin)).await;
        reply.refuses(405, "METHOD_NOT_ALLOWED");
        assert_eq!(reply.header("access-control-allow-origin"), "", "{origin}");
        let reply = send(post(&front, QUERY).header(header::ORIGIN, origin)).await;
        assert_eq!(reply.header("access-control-allow-origin"), "", "{origin}");
    }
    let vary: Vec<_> = {
        let reply = send(post(&front, QUERY)).await;
        let values = reply.headers.get_all(header::VARY).into_iter();
        values
            .map(|value| value.to_str().unwrap().to_lowercase())
            .collect()
    };
    assert!(vary.contains(&"origin".to_owned()), "{vary:?}");
}

#[tokio::test]
async fn a_stop_lets_the_request_in_flight_finish_and_takes_no_new_one() {
    let mut front = Front::start().await;
    let request = post(&front, json!({"query": "{ wait }"}).to_string());
    let reply = tokio::spawn(send(request));
    front.graph.probe.entered.notified().await;
    front.shutdown.cancel();
    while TcpStream::connect(front.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!front.task.is_finished());
    front.graph.gate.add_permits(1);
    let reply = reply.await.unwrap();
    assert_eq!(reply.json(), json!({"data": {"wait": true}}));
    (&mut front.task).await.unwrap();
}

#[tokio::test]
async fn a_stop_cuts_what_outlasts_the_drain_time() {
    let mut front = start(|settings| settings.drain = Duration::ZERO).await;
    let request = post(&front, json!({"query": "{ wait }"}).to_string());
    let reply = tokio::spawn(request.send());
    front.graph.probe.entered.notified().await;
    front.shutdown.cancel();
    (&mut front.task).await.unwrap();
    assert!(reply.await.unwrap().is_err());
}

#[test]
fn the_page_s_token_is_not_printed() {
    let settings = GraphiqlSettings {
        token: Some(TOKEN.into()),
        ..GraphiqlSettings::default()
    };
    assert!(!format!("{settings:?}").contains(TOKEN));
    let text = serde_json::to_string(&settings).unwrap();
    assert!(!text.contains(TOKEN));
}
