//! What becomes of calls when a vendor fails: deadlines, writes whose answer is lost, and when a source is left alone.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tokio::time::Instant;
use tributary::config::span::Span;
use tributary::transport::Call;
use tributary::transport::failure::Failure;

use crate::support::client::{budgeted, client, get, settings, soon, unsafe_post};
use crate::support::vendor::{Answer, Vendor};

#[tokio::test]
async fn a_vendor_that_does_not_begin_to_answer_is_given_up_early() {
    let vendor = Vendor::queue([Answer::Hang]).await;
    let client = client(budgeted(
        &vendor,
        r#"{"first_byte": "100ms", "timeout": "1m"}"#,
    ));
    let begun = Instant::now();
    let outcome = client.send(get(&vendor, "/"), soon()).await;
    assert!(matches!(outcome, Err(Failure::Timeout)));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_slow_operation_may_take_its_own_time() {
    let drip = Answer::Drip {
        body: vec![b'x'; 40],
        pause: Duration::from_millis(5),
    };
    let vendor = Vendor::queue([drip]).await;
    let mut settings = budgeted(&vendor, r#"{"timeout": "100ms"}"#);
    let own = serde_json::from_str(r#"{"timeout": "9s"}"#).unwrap();
    settings
        .budget
        .operations
        .insert("Ticket.export".into(), own);
    let client = client(settings);
    let export = Call {
        operation: "Ticket.export".into(),
        ..get(&vendor, "/")
    };
    assert_eq!(client.send(export, soon()).await.unwrap().body.len(), 40);
    let outcome = client.send(get(&vendor, "/"), soon()).await;
    assert!(matches!(outcome, Err(Failure::Timeout)));
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    for line in [
        "x-a: b\r\n".to_owned(),
        format!("x-a: {}", "b".repeat(1000)),
    ] {
        let vendor = Vendor::queue([Answer::HeaderFlood(line.into_bytes())]).await;
        let outcome = client(settings(&vendor.url()))
            .send(get(&vendor, "/"), soon())
            .await;
        assert!(
            matches!(outcome, Err(Failure::TooLarge { .. })),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn refusals_for_too_many_calls_open_the_breaker() {
    let vendor = Vendor::queue([Answer::status(429).with("retry-after", "0")]).await;
    let client = client(settings(&vendor.url()));
    for _ in 0..5 {
        client.send(unsafe_post(&vendor), soon()).await.unwrap();
    }
    let outcome = client.send(unsafe_post(&vendor), soon()).await;
    assert!(matches!(outcome, Err(Failure::CircuitOpen { .. })));
    assert_eq!(vendor.requests().len(), 5);
}

/// The ways in which the answer to a call is lost.
fn losses() -> Vec<Answer> {
    let body = b"12345".to_vec();
    vec![
        Answer::Hang,
        Answer::Close,
        Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
        Answer::Raw(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()),
        Answer::Promise { length: 10, body },
        Answer::Flood,
        Answer::Drip {
            body: vec![b'x'; 100_000],
            pause: Duration::from_millis(5),
        },
    ]
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_may_have_been_done_and_is_not_repeated() {
    for loss in losses() {
        let vendor = Vendor::queue([loss.clone(), Answer::text("ok")]).await;
        let client = client(budgeted(
            &vendor,
            r#"{"timeout": "200ms", "body": "64KiB"}"#,
        ));
        let outcome = client.send(unsafe_post(&vendor), soon()).await;
        assert!(
            matches!(outcome, Err(Failure::Indeterminate(_))),
            "{loss:?}: {outcome:?}"
        );
        assert_eq!(vendor.requests().len(), 1, "{loss:?}");
    }
    let vendor = Vendor::queue([Answer::Hang]).await;
    let short = Instant::now() + Duration::from_millis(100);
    let outcome = client(settings(&vendor.url()))
        .send(unsafe_post(&vendor), short)
        .await;
    assert!(matches!(outcome, Err(Failure::Indeterminate(_))));
}

#[tokio::test]
async fn a_write_that_was_never_sent_has_failed() {
    let vendor = Vendor::queue([Answer::text("ok")]).await;
    let call = unsafe_post(&vendor);
    let client = client(settings(&vendor.url()));
    vendor.stop().await;
    let outcome = client.send(call, soon()).await;
    assert!(
        matches!(outcome, Err(Failure::ConnectFailed(_))),
        "{outcome:?}"
    );
}

fn keyed(vendor: &Vendor) -> Call {
    let name = HeaderName::from_static("idempotency-key");
    Call {
        idempotency: Some((name, HeaderValue::from_static("k-1"))),
        ..unsafe_post(vendor)
    }
}

#[tokio::test]
async fn a_write_with_a_key_is_repeated_with_the_same_key() {
    for fault in [
        Answer::Close,
        Answer::Hang,
        Answer::status(500),
        Answer::status(503),
    ] {
        let vendor = Vendor::queue([fault.clone(), Answer::text("ok")]).await;
        let client = client(budgeted(&vendor, r#"{"timeout": "200ms"}"#));
        let reply = client.send(keyed(&vendor), soon()).await.unwrap();
        assert_eq!(
            (reply.status.as_u16(), reply.attempts),
            (200, 2),
            "{fault:?}"
        );
        let keys: Vec<_> = vendor
            .requests()
            .iter()
            .map(|request| request.header("idempotency-key").map(str::to_owned))
            .collect();
        assert_eq!(keys, [Some("k-1".to_owned()), Some("k-1".to_owned())]);
    }
}

#[tokio::test]
async fn a_repeated_write_stays_indeterminate_until_an_answer_settles_it() {
    let check = async |answers: Vec<Answer>, is_settled: bool| {
        let vendor = Vendor::queue(answers).await;
        let mut settings = settings(&vendor.url());
        settings.budget.timeout = Span(Duration::from_millis(200));
        settings.budget.retries = 1;
        let outcome = client(settings).send(keyed(&vendor), soon()).await;
        match outcome {
            Ok(_) => assert!(is_settled),
            Err(failure) => assert!(
                !is_settled && matches!(failure, Failure::Indeterminate(_)),
                "{failure:?}"
            ),
        }
    };
    check(vec![Answer::Close, Answer::Close], false).await;
    check(vec![Answer::Close, Answer::status(503)], false).await;
    check(vec![Answer::Close, Answer::status(429)], false).await;
    check(vec![Answer::Close, Answer::status(409)], true).await;
    check(vec![Answer::status(503), Answer::status(503)], true).await;
}
