//! What a source's client promises whatever the vendor does.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tributary::config::size::Size;
use tributary::config::span::Span;
use tributary::error::Code;
use tributary::transport::Reply;
use tributary::transport::client::SourceClient;
use tributary::transport::failure::{BuildError, Failure};
use tributary::transport::health::{FailureClass, HealthState};
use tributary::transport::retry::Surroundings;
use tributary::transport::settings::SourceSettings;

use crate::support::client::{client, get, settings, soon, unsafe_post};
use crate::support::vendor::{Answer, Vendor};

/// Sends one call with default settings to a vendor that gives these answers.
async fn ask(answers: impl IntoIterator<Item = Answer>) -> (Result<Reply, Failure>, Vendor) {
    let vendor = Vendor::queue(answers).await;
    let outcome = client(settings(&vendor.url()))
        .send(get(&vendor, "/x"), soon())
        .await;
    (outcome, vendor)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_reply_arrives_with_status_headers_and_body() {
    let (outcome, vendor) = ask([Answer::json("{\"a\":1}").with("x-a", "b")]).await;
    let reply = outcome.unwrap();
    assert_eq!(
        (reply.status.as_u16(), &*reply.body),
        (200, &b"{\"a\":1}"[..])
    );
    assert_eq!(reply.headers["x-a"], "b");
    assert_eq!(reply.attempts, 1);
    let request = vendor.requests().remove(0);
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("GET", "/x")
    );
    let agent = request.header("user-agent").unwrap();
    assert_eq!(agent, concat!("tributary/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_redirect_is_a_reply_and_is_not_followed() {
    let other = Vendor::queue([Answer::text("stolen")]).await;
    let (outcome, _vendor) = ask([Answer::status(302).with("location", &other.url())]).await;
    assert_eq!(outcome.unwrap().status, 302);
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn a_call_to_another_origin_never_leaves() {
    let vendor = Vendor::queue([Answer::text("")]).await;
    let other = Vendor::queue([Answer::text("")]).await;
    let client = client(settings(&vendor.url()));
    let outcome = client.send(get(&other, "/"), soon()).await;
    assert!(matches!(outcome, Err(Failure::ForeignOrigin)));
    let mut call = get(&vendor, "/");
    call.url.set_username("someone").unwrap();
    assert!(matches!(
        client.send(call, soon()).await,
        Err(Failure::ForeignOrigin)
    ));
    assert!(other.requests().is_empty() && vendor.requests().is_empty());
}

#[tokio::test]
async fn compressed_bodies_arrive_plain() {
    let (outcome, vendor) =
        ask([Answer::text(gzip(b"hello")).with("content-encoding", "gzip")]).await;
    let reply = outcome.unwrap();
    assert_eq!(&*reply.body, b"hello");
    assert!(!reply.headers.contains_key("content-encoding"));
    assert_eq!(
        vendor.requests()[0].header("accept-encoding"),
        Some("gzip, br")
    );

    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut &b"hello"[..], &mut packed, &Default::default()).unwrap();
    let (outcome, _vendor) = ask([Answer::text(packed).with("content-encoding", "br")]).await;
    assert_eq!(&*outcome.unwrap().body, b"hello");
}

#[tokio::test]
async fn a_broken_or_unknown_compression_is_an_error() {
    for (coding, body) in [("gzip", "no gzip"), ("zstd", "x"), ("gzip, gzip", "x")] {
        let (outcome, vendor) = ask([Answer::text(body).with("content-encoding", coding)]).await;
        assert!(matches!(outcome, Err(Failure::Malformed(_))), "{coding}");
        assert_eq!(vendor.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_body_at_the_limit_passes_and_one_byte_more_does_not() {
    for (length, passes) in [(1000, true), (1001, false)] {
        for answer in [
            Answer::text(vec![b'x'; length]),
            Answer::text(gzip(&vec![b'x'; length])).with("content-encoding", "gzip"),
        ] {
            let vendor = Vendor::queue([answer]).await;
            let mut settings = settings(&vendor.url());
            settings.budget.body = Size(1000);
            let outcome = client(settings).send(get(&vendor, "/"), soon()).await;
            match outcome {
                Ok(reply) => assert!(passes && reply.body.len() == length),
                Err(failure) => {
                    assert!(!passes && matches!(failure, Failure::TooLarge { limit: 1000 }))
                }
            }
        }
    }
}

#[tokio::test]
async fn a_flood_a_bomb_and_too_many_headers_are_cut_off() {
    let (outcome, _vendor) = ask([Answer::Flood]).await;
    assert!(matches!(outcome, Err(Failure::TooLarge { .. })));
    let bomb = gzip(&vec![0; 64 << 20]);
    let (outcome, _vendor) = ask([Answer::text(bomb).with("content-encoding", "gzip")]).await;
    assert!(matches!(outcome, Err(Failure::TooLarge { .. })));
    let many = (0..101).fold(Answer::text(""), |answer, at| {
        answer.with(&format!("x-{at}"), "v")
    });
    let (outcome, _vendor) = ask([many]).await;
    assert!(
        matches!(outcome, Err(Failure::TooLarge { .. })),
        "{outcome:?}"
    );
    let (outcome, _vendor) = ask([Answer::text("").with("x-long", &"v".repeat(70_000))]).await;
    assert!(matches!(outcome, Err(Failure::TooLarge { .. })));
}

#[tokio::test]
async fn bytes_that_are_not_http_are_an_error() {
    let (outcome, _vendor) = ask([Answer::Raw(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec())]).await;
    assert!(matches!(outcome, Err(Failure::Malformed(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_hanging_or_dripping_vendor_does_not_escape_the_timeout() {
    let drip = Answer::Drip {
        body: vec![b'x'; 10_000],
        pause: Duration::from_millis(5),
    };
    for answer in [Answer::Hang, drip] {
        let vendor = Vendor::queue([answer]).await;
        let mut settings = settings(&vendor.url());
        settings.budget.timeout = Span(Duration::from_millis(100));
        let started = Instant::now();
        let outcome = client(settings).send(get(&vendor, "/"), soon()).await;
        assert!(matches!(outcome, Err(Failure::Timeout)));
        assert!(started.elapsed() < Duration::from_secs(2));
        assert_eq!(vendor.requests().len(), 1, "a timeout is not repeated");
    }
}

#[tokio::test]
async fn the_requests_deadline_wins_over_the_sources_timeout() {
    let vendor = Vendor::queue([Answer::Hang]).await;
    let client = client(settings(&vendor.url()));
    let deadline = Instant::now() + Duration::from_millis(100);
    let outcome = client.send(get(&vendor, "/"), deadline).await;
    assert!(matches!(outcome, Err(Failure::DeadlineExceeded)));
    assert_eq!(
        client.health().last_failure,
        None,
        "a short deadline says nothing of the source"
    );
}

#[tokio::test]
async fn a_safe_call_is_repeated_after_a_fault_and_an_unsafe_one_is_not() {
    let cut = Answer::Promise {
        length: 10,
        body: b"12345".to_vec(),
    };
    let chunk =
        Answer::Raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab".to_vec());
    for fault in [
        Answer::Close,
        cut,
        chunk,
        Answer::status(502),
        Answer::status(503),
        Answer::status(504),
        Answer::status(429),
    ] {
        let (outcome, vendor) = ask([fault.clone(), Answer::text("ok")]).await;
        let reply = outcome.unwrap();
        assert_eq!((&*reply.body, reply.attempts), (&b"ok"[..], 2), "{fault:?}");
        assert_eq!(vendor.requests().len(), 2);

        let vendor = Vendor::queue([fault, Answer::text("ok")]).await;
        let outcome = client(settings(&vendor.url()))
            .send(unsafe_post(&vendor), soon())
            .await;
        assert!(outcome.is_err() || outcome.unwrap().status != 200);
        assert_eq!(vendor.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_safe_call_is_sent_three_times_at_most_and_a_refusal_once() {
    let (outcome, vendor) = ask([Answer::status(503)]).await;
    assert_eq!(outcome.unwrap().status, 503);
    assert_eq!(vendor.requests().len(), 3);
    for status in [400, 401, 403, 404, 500, 501] {
        let (outcome, vendor) = ask([Answer::status(status)]).await;
        assert_eq!(outcome.unwrap().status, status);
        assert_eq!(vendor.requests().len(), 1);
    }
}

#[tokio::test]
async fn the_retry_budget_keeps_a_failing_vendor_from_being_flooded() {
    let answers = (0..40).flat_map(|_| [Answer::status(503), Answer::text("ok")]);
    let vendor = Vendor::queue(answers).await;
    let client = client(settings(&vendor.url()));
    for _ in 0..10 {
        let _ = client.send(get(&vendor, "/"), soon()).await;
    }
    assert_eq!(
        vendor.requests().len(),
        14,
        "three free ones and one for ten calls"
    );
}

#[tokio::test]
async fn a_wait_that_does_not_fit_the_deadline_is_not_begun() {
    let (outcome, vendor) = ask([Answer::status(429).with("retry-after", "3600")]).await;
    assert_eq!(outcome.unwrap().status, 429);
    assert_eq!(vendor.requests().len(), 1);
}

#[tokio::test]
async fn after_a_429_the_other_calls_keep_silent_too() {
    let vendor = Vendor::queue([
        Answer::status(429).with("retry-after", "3600"),
        Answer::text("ok"),
    ])
    .await;
    let client = client(settings(&vendor.url()));
    assert_eq!(
        client.send(get(&vendor, "/"), soon()).await.unwrap().status,
        429
    );
    let outcome = client.send(get(&vendor, "/"), soon()).await;
    assert!(matches!(outcome, Err(Failure::RateLimited { .. })));
    assert_eq!(vendor.requests().len(), 1);
    assert!(client.health().rate_limit_reset_at.is_some());
}

#[tokio::test]
async fn retry_after_within_the_deadline_is_waited_for() {
    let (outcome, vendor) = ask([
        Answer::status(429).with("retry-after", "1"),
        Answer::text("ok"),
    ])
    .await;
    let reply = outcome.unwrap();
    assert_eq!((reply.status.as_u16(), vendor.requests().len()), (200, 2));
}

#[tokio::test]
async fn a_vendor_that_is_gone_is_unreachable() {
    let vendor = Vendor::queue([Answer::text("")]).await;
    let call = get(&vendor, "/");
    let client = client(settings(&vendor.url()));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    drop(vendor);
    let mut gone = settings("http://127.0.0.1:1");
    gone.url.set_port(Some(port)).unwrap();
    let mut away = call.clone();
    away.url = gone.url.clone();
    let gone = self::client(gone);
    let failure = gone.send(away, soon()).await.unwrap_err();
    assert!(matches!(failure, Failure::ConnectFailed(_)));
    assert_eq!(failure.code(), Code::SourceUnavailable);
    assert_eq!(failure.to_string(), "the source could not be reached");
    assert_eq!(gone.health().state, HealthState::Degraded);
    drop(client);
}

#[tokio::test]
async fn no_more_calls_run_at_once_than_the_budget_allows() {
    let permits = Arc::new(Semaphore::new(0));
    let held = Answer::Held(Arc::clone(&permits), Box::new(Answer::text("ok")));
    let vendor = Vendor::queue([held]).await;
    let mut settings = settings(&vendor.url());
    settings.budget.concurrency = 2;
    settings.budget.queue = 3;
    let client = Arc::new(client(settings));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (client, call) = (Arc::clone(&client), get(&vendor, "/"));
        calls.spawn(async move { client.send(call, soon()).await });
    }
    // Two run, three wait, one is refused at once.
    let refused = calls.join_next().await.unwrap().unwrap();
    assert!(matches!(refused, Err(Failure::Overloaded)));
    vendor.arrived(2).await;
    permits.add_permits(5);
    while let Some(outcome) = calls.join_next().await {
        assert_eq!(outcome.unwrap().unwrap().status, 200);
    }
    assert_eq!((vendor.requests().len(), vendor.running_max()), (5, 2));
}

#[tokio::test]
async fn the_rate_lets_calls_wait_and_refuses_those_that_would_wait_in_vain() {
    let vendor = Vendor::queue([Answer::text("ok")]).await;
    let mut settings = settings(&vendor.url());
    settings.budget.rate = tributary::config::rate::Rates(vec!["2/s".parse().unwrap()]);
    let client = client(settings);
    let started = Instant::now();
    for _ in 0..3 {
        client.send(get(&vendor, "/"), soon()).await.unwrap();
    }
    assert!(started.elapsed() >= Duration::from_secs(1));
    client.send(get(&vendor, "/"), soon()).await.unwrap();
    let short = Instant::now() + Duration::from_millis(100);
    let outcome = client.send(get(&vendor, "/"), short).await;
    assert!(matches!(outcome, Err(Failure::RateLimited { .. })));
    assert_eq!(vendor.requests().len(), 4);
}

#[tokio::test]
async fn a_failing_source_is_left_alone_and_its_health_says_so() {
    let vendor = Vendor::queue([Answer::status(500)]).await;
    let client = client(settings(&vendor.url()));
    for _ in 0..5 {
        assert_eq!(
            client.send(get(&vendor, "/"), soon()).await.unwrap().status,
            500
        );
    }
    let outcome = client.send(get(&vendor, "/"), soon()).await;
    assert!(matches!(outcome, Err(Failure::CircuitOpen { .. })));
    assert_eq!(vendor.requests().len(), 5);
    let health = client.health();
    assert_eq!(health.state, HealthState::Down);
    assert_eq!(health.last_failure.unwrap().0, FailureClass::ServerError);
    assert_eq!(health.last_success_at, None);
}

#[tokio::test]
async fn refusals_and_callers_who_hang_up_do_not_open_the_breaker() {
    let vendor = Vendor::start(|request| match request.target.as_str() {
        "/hang" => Answer::Hang,
        _ => Answer::status(404),
    })
    .await;
    let client = client(settings(&vendor.url()));
    for count in 1..=6 {
        tokio::select! {
            _ = client.send(get(&vendor, "/hang"), soon()) => panic!("a hanging vendor answered"),
            () = vendor.arrived(count) => {}
        }
    }
    for _ in 0..6 {
        assert_eq!(
            client.send(get(&vendor, "/"), soon()).await.unwrap().status,
            404
        );
    }
    assert_eq!(client.health().state, HealthState::Healthy);
}

#[tokio::test]
async fn health_follows_the_credential_and_the_vendors_limit() {
    let answers = [
        Answer::status(401),
        Answer::status(500),
        Answer::text("")
            .with("x-ratelimit-remaining", "41")
            .with("ratelimit-reset", "30"),
    ];
    let vendor = Vendor::queue(answers).await;
    let client = client(settings(&vendor.url()));
    let _ = client.send(get(&vendor, "/"), soon()).await;
    assert_eq!(client.health().state, HealthState::Unauthorized);
    let _ = client.send(get(&vendor, "/"), soon()).await;
    assert_eq!(
        client.health().state,
        HealthState::Unauthorized,
        "until the next success"
    );
    let _ = client.send(get(&vendor, "/"), soon()).await;
    let health = client.health();
    assert_eq!(
        (health.state, health.rate_limit_remaining),
        (HealthState::Healthy, Some(41))
    );
    let reset = health.rate_limit_reset_at.unwrap() - health.last_success_at.unwrap();
    assert_eq!(reset.num_seconds(), 30);
}

#[tokio::test]
async fn every_request_costs_its_price_exactly() {
    let vendor = Vendor::queue([Answer::status(503), Answer::text("ok")]).await;
    let mut settings = settings(&vendor.url());
    let price = r#"{"per": "request", "amount": "0.0002", "currency": "USD"}"#;
    settings.price = Some(serde_json::from_str(price).unwrap());
    let client = client(settings);
    assert!(client.spent().is_zero());
    client.send(get(&vendor, "/"), soon()).await.unwrap();
    assert_eq!(client.spent().to_string(), "0.0004");
}

/// Sends a call with that credential and returns the request that the vendor saw.
async fn seen(credential: &str) -> crate::support::vendor::Request {
    let vendor = Vendor::queue([Answer::text("")]).await;
    let mut settings = settings(&vendor.url());
    settings.credential = serde_json::from_str(credential).unwrap();
    client(settings)
        .send(get(&vendor, "/x?a=1"), soon())
        .await
        .unwrap();
    vendor.requests().remove(0)
}

#[tokio::test]
async fn fixed_credentials_arrive_where_they_belong() {
    let header = seen(r#"{"kind": "header", "name": "X-Api-Key", "value": "k"}"#).await;
    assert_eq!(header.header("x-api-key"), Some("k"));
    let query = seen(r#"{"kind": "query", "name": "key", "value": "a&b"}"#).await;
    assert_eq!(query.target, "/x?a=1&key=a%26b");
    let basic = seen(r#"{"kind": "basic", "username": "u", "password": "p:q"}"#).await;
    assert_eq!(basic.header("authorization"), Some("Basic dTpwOnE="));
    assert_eq!(
        seen(r#"{"kind": "none"}"#).await.header("authorization"),
        None
    );
}

/// A vendor whose tokens are `t1`, `t2`, … and which accepts those that the function accepts.
async fn token_vendor(accepts: fn(&str) -> bool) -> Vendor {
    let issued = AtomicUsize::new(0);
    Vendor::start(move |request| {
        if request.target == "/token" {
            let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
            return Answer::json(format!(
                r#"{{"access_token": "t{number}", "token_type": "Bearer", "expires_in": 3600}}"#
            ));
        }
        match request.header("authorization") {
            Some(value) if accepts(value) => Answer::text("ok"),
            _ => Answer::status(401),
        }
    })
    .await
}

fn with_token(vendor: &Vendor) -> SourceSettings {
    let mut settings = settings(&vendor.url());
    let text = format!(
        r#"{{"kind": "oauth2_client_credentials", "token_url": "{}/token", "client_id": "i", "client_secret": "canary"}}"#,
        vendor.url()
    );
    settings.credential = serde_json::from_str(&text).unwrap();
    settings
}

fn token_requests(vendor: &Vendor) -> usize {
    vendor
        .requests()
        .iter()
        .filter(|request| request.target == "/token")
        .count()
}

#[tokio::test]
async fn a_hundred_callers_need_one_token() {
    let vendor = token_vendor(|value| value == "Bearer t1").await;
    let client = Arc::new(client(with_token(&vendor)));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (client, call) = (Arc::clone(&client), get(&vendor, "/x"));
        calls.spawn(async move { client.send(call, soon()).await });
    }
    while let Some(outcome) = calls.join_next().await {
        assert_eq!(outcome.unwrap().unwrap().status, 200);
    }
    assert_eq!(token_requests(&vendor), 1);
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_the_safe_call_repeated_once() {
    let vendor = token_vendor(|value| value == "Bearer t2").await;
    let first = client(with_token(&vendor));
    let reply = first.send(get(&vendor, "/x"), soon()).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.attempts), (200, 2));
    assert_eq!(token_requests(&vendor), 2);

    let vendor = token_vendor(|_| false).await;
    let never = client(with_token(&vendor));
    assert_eq!(
        never.send(get(&vendor, "/x"), soon()).await.unwrap().status,
        401
    );
    assert_eq!(token_requests(&vendor), 2, "one renewal, not a loop");
    let before = vendor.requests().len();
    assert_eq!(
        never
            .send(unsafe_post(&vendor), soon())
            .await
            .unwrap()
            .status,
        401
    );
    assert_eq!(
        vendor.requests().len(),
        before + 2,
        "a token and the call, which is not repeated"
    );
}

#[tokio::test]
async fn a_refusing_token_endpoint_is_asked_once_for_all_and_leaks_nothing() {
    let permits = Arc::new(Semaphore::new(0));
    let refusal = Answer::Reply {
        status: 401,
        headers: Vec::new(),
        body: b"canary".to_vec(),
    };
    let vendor = Vendor::queue([Answer::Held(Arc::clone(&permits), Box::new(refusal))]).await;
    let client = client(with_token(&vendor));
    let calls = (0..5).map(|_| client.send(get(&vendor, "/x"), soon()));
    let (outcomes, ()) = tokio::join!(futures_util::future::join_all(calls), async {
        vendor.arrived(1).await;
        permits.add_permits(100);
    });
    for outcome in outcomes {
        let failure = outcome.unwrap_err();
        assert_eq!(failure.code(), Code::SourceUnauthorized);
        assert!(!format!("{failure:?} {failure}").contains("canary"));
    }
    assert_eq!(token_requests(&vendor), 1);
    assert_eq!(client.health().state, HealthState::Unauthorized);
    assert!(
        !format!("{client:?}").contains("canary"),
        "not even the client's own debug text"
    );
}

#[tokio::test]
async fn a_key_in_the_query_is_in_no_error() {
    let vendor = Vendor::queue([Answer::Close]).await;
    let mut settings = settings(&vendor.url());
    settings.credential =
        serde_json::from_str(r#"{"kind": "query", "name": "key", "value": "canary"}"#).unwrap();
    let failure = client(settings)
        .send(get(&vendor, "/x"), soon())
        .await
        .unwrap_err();
    assert!(matches!(failure, Failure::Interrupted(_)));
    assert!(!format!("{failure:?}").contains("canary"));
    assert!(vendor.requests()[0].target.contains("canary"));
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_build() {
    let build = |change: fn(&mut SourceSettings)| {
        let mut settings = settings("https://vendor.test");
        change(&mut settings);
        SourceClient::new(settings, Surroundings::real()).map(drop)
    };
    let missing = build(|settings| settings.tls.ca_file = Some("/nowhere/ca.pem".into()));
    assert!(matches!(missing, Err(BuildError::File { .. })));
    let empty = build(|settings| settings.tls.ca_file = Some("Cargo.toml".into()));
    assert!(matches!(empty, Err(BuildError::Pem { .. })));
    let half = build(|settings| settings.tls.key_file = Some("Cargo.toml".into()));
    assert!(matches!(half, Err(BuildError::Setting { .. })));
    let bound = build(|settings| settings.budget.concurrency = 0);
    assert!(matches!(bound, Err(BuildError::Setting { .. })));
    let scheme = build(|settings| settings.url = "ftp://vendor.test".parse().unwrap());
    assert!(matches!(scheme, Err(BuildError::Setting { .. })));
}

#[tokio::test]
async fn a_body_arrives_whole_and_the_connection_is_used_again() {
    let vendor = Vendor::queue([Answer::text("ok")]).await;
    let client = client(settings(&vendor.url()));
    for _ in 0..3 {
        client.send(unsafe_post(&vendor), soon()).await.unwrap();
    }
    assert!(
        vendor
            .requests()
            .iter()
            .all(|request| request.body == b"{}")
    );
    assert_eq!(vendor.connections(), 1);
}

#[tokio::test]
async fn metrics_count_calls_by_outcome_and_name_no_address() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let answers = [
        Answer::status(503),
        Answer::text(""),
        Answer::status(404),
        Answer::status(429),
        Answer::text(""),
    ];
    let vendor = Vendor::queue(answers).await;
    let mut settings = settings(&vendor.url());
    settings.price = Some(
        serde_json::from_str(r#"{"per": "request", "amount": "0.5", "currency": "USD"}"#).unwrap(),
    );
    let client = client(settings);
    for _ in 0..3 {
        client.send(get(&vendor, "/x"), soon()).await.unwrap();
    }
    let text = recorder.handle().render();
    let calls = |outcome: &str, count: u32| {
        format!(
            "tributary_vendor_calls_total{{source=\"helpdesk\",operation=\"Ticket.get\",outcome=\"{outcome}\"}} {count}\n"
        )
    };
    for line in [
        calls("ok", 2),
        calls("server_error", 1),
        calls("client_error", 1),
        calls("rate_limited", 1),
        "tributary_vendor_retries_total{source=\"helpdesk\",operation=\"Ticket.get\"} 2\n".into(),
        "tributary_vendor_calls_in_flight{source=\"helpdesk\"} 0\n".into(),
        "tributary_vendor_cost_total{source=\"helpdesk\",currency=\"USD\"} 2.5\n".into(),
        "tributary_vendor_call_seconds_count{source=\"helpdesk\",operation=\"Ticket.get\"} 5\n"
            .into(),
    ] {
        assert!(text.contains(&line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("127.0.0.1"));
}
