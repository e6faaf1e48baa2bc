//! What may be asked of a vendor: rates, quotas and places, who goes first, and what the vendor itself says.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tributary::cache::clock::Clock;
use tributary::cache::redis::RedisTier;
use tributary::cache::settings::RedisSettings;
use tributary::config::interpolate::Environment;
use tributary::connector::failure::FailureClass;
use tributary::transport::client::SourceClient;
use tributary::transport::failure::Failure;
use tributary::transport::feedback::Feedback;
use tributary::transport::retry::Surroundings;
use tributary::transport::settings::OperationBudgetSettings;
use tributary::transport::terms::{Priority, Terms};
use tributary::transport::{Call, Reply};

use crate::support::client::{budgeted, client, get, soon};
use crate::support::connector::{load, read, source};
use crate::support::redis::RedisServer;
use crate::support::vendor::{Answer, Vendor};

type Outcome = Result<Reply, Failure>;

/// Sends that many calls at once, and tells how each ended and how long it took.
async fn crowd(
    client: &Arc<SourceClient>,
    call: &Call,
    count: usize,
    within: Duration,
) -> Vec<(Outcome, Duration)> {
    let mut calls = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..count {
        let (client, call) = (Arc::clone(client), call.clone());
        calls.spawn(async move { (client.send(call, begun + within).await, begun.elapsed()) });
    }
    calls.join_all().await
}

/// Fails when in any second more requests arrived than the limit.
#[track_caller]
fn check_sliding_second(vendor: &Vendor, limit: usize) {
    let mut arrivals: Vec<_> = vendor.requests().iter().map(|request| request.at).collect();
    arrivals.sort();
    for (first, beyond) in arrivals.iter().zip(arrivals.iter().skip(limit)) {
        let apart = *beyond - *first;
        assert!(
            apart >= Duration::from_secs(1),
            "{} requests within {apart:?}",
            limit + 1
        );
    }
}

#[tokio::test]
async fn ten_a_second_stay_ten_under_a_hundred_callers_and_nobody_waits_past_the_deadline() {
    let vendor = Vendor::queue([Answer::text("ok")]).await;
    let mut settings = budgeted(&vendor, r#"{"rate": "10/s", "concurrency": 64}"#);
    settings.budget.queue = 1000;
    let client = Arc::new(client(settings));
    let within = Duration::from_millis(1_800);
    let outcomes = crowd(&client, &get(&vendor, "/"), 100, within).await;
    let mut served = 0;
    for (outcome, took) in outcomes {
        match outcome {
            Ok(reply) => {
                assert_eq!(reply.status, 200);
                served += 1;
            }
            Err(Failure::RateLimited { .. }) => {}
            Err(failure) => panic!("{failure}"),
        }
        assert!(took < within + Duration::from_secs(1), "{took:?}");
    }
    assert_eq!(vendor.requests().len(), served);
    assert_eq!(served, 20, "the second window opens within the deadline");
    check_sliding_second(&vendor, 10);
}

#[tokio::test]
async fn who_would_wait_in_vain_is_told_at_once_and_how_long() {
    let vendor = Vendor::queue([Answer::text("ok")]).await;
    let client = client(budgeted(&vendor, r#"{"rate": ["5/s", "1/min"]}"#));
    client.send(get(&vendor, "/"), soon()).await.unwrap();
    let begun = Instant::now();
    let outcome = client.send(get(&vendor, "/"), soon()).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    let Err(Failure::RateLimited { retry_after }) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(
        (59..=62).contains(&retry_after.as_secs()),
        "{retry_after:?}"
    );
    assert_eq!(vendor.requests().len(), 1);
}

#[tokio::test]
async fn a_days_quota_is_kept() {
    let vendor = Vendor::queue([Answer::text("ok")]).await;
    let budget = r#"{"quota": {"calls": 2, "zone": "America/Los_Angeles"}}"#;
    let surroundings = Surroundings {
        now: || "2025-06-01T06:30:00Z".parse().unwrap(),
        ..Surroundings::real()
    };
    let client = SourceClient::new(budgeted(&vendor, budget), surroundings).unwrap();
    for _ in 0..2 {
        client.send(get(&vendor, "/"), soon()).await.unwrap();
    }
    let Err(Failure::RateLimited { retry_after }) = client.send(get(&vendor, "/"), soon()).await
    else {
        panic!("the quota was not kept");
    };
    assert_eq!(retry_after.as_secs(), 1800, "until the vendor's midnight");
    assert_eq!(vendor.requests().len(), 2);
}

#[tokio::test]
async fn an_operation_with_a_rate_of_its_own_holds_up_no_other() {
    let vendor = Vendor::queue([Answer::text("ok")]).await;
    let mut settings = budgeted(&vendor, r#"{"rate": "4/min"}"#);
    let own = OperationBudgetSettings {
        rate: serde_json::from_str(r#""1/min""#).unwrap(),
        timeout: None,
    };
    settings.budget.operations.insert("Ticket.list".into(), own);
    let client = client(settings);
    let list = Call {
        operation: "Ticket.list".into(),
        ..get(&vendor, "/list")
    };
    client.send(list.clone(), soon()).await.unwrap();
    let again = Terms::from(Instant::now() + Duration::from_secs(3600));
    let mut waiting = std::pin::pin!(client.send(list, again));
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("the narrow rate was not kept"),
        () = std::future::ready(()) => {}
    }
    for _ in 0..3 {
        client.send(get(&vendor, "/"), soon()).await.unwrap();
    }
    let outcome = client.send(get(&vendor, "/"), soon()).await;
    assert!(
        matches!(outcome, Err(Failure::RateLimited { .. })),
        "the rate of the source holds for both"
    );
    assert_eq!(vendor.requests().len(), 4);
}

#[tokio::test]
async fn interactive_calls_go_first_and_one_of_ten_is_the_backgrounds() {
    let permits = Arc::new(Semaphore::new(0));
    let held = Answer::Held(Arc::clone(&permits), Box::new(Answer::text("ok")));
    let vendor = Vendor::queue([held]).await;
    let client = client(budgeted(&vendor, r#"{"concurrency": 1}"#));
    let terms = |priority| Terms {
        priority,
        ..Terms::from(soon())
    };
    let mut calls: Vec<_> = vec![client.send(get(&vendor, "/first"), terms(Priority::Interactive))];
    for _ in 0..4 {
        calls.push(client.send(get(&vendor, "/background"), terms(Priority::Background)));
    }
    for _ in 0..25 {
        calls.push(client.send(get(&vendor, "/interactive"), terms(Priority::Interactive)));
    }
    let all = futures_util::future::join_all(calls);
    let (outcomes, ()) = tokio::join!(all, async {
        vendor.arrived(1).await;
        permits.add_permits(30);
    });
    assert!(outcomes.iter().all(Result::is_ok));
    let requests = vendor.requests();
    let places: Vec<usize> = requests
        .iter()
        .enumerate()
        .filter(|(_, request)| request.target == "/background")
        .map(|(place, _)| place)
        .collect();
    assert_eq!(places, [9, 19, 28, 29]);
}

#[tokio::test]
async fn callers_who_hang_up_leave_no_trace_in_the_queue() {
    let permits = Arc::new(Semaphore::new(0));
    let held = Answer::Held(Arc::clone(&permits), Box::new(Answer::text("ok")));
    let vendor = Vendor::queue([held]).await;
    let client = client(budgeted(
        &vendor,
        r#"{"concurrency": 1, "queue": 2, "rate": "3/min"}"#,
    ));
    let mut first = std::pin::pin!(client.send(get(&vendor, "/1"), soon()));
    tokio::select! {
        _ = &mut first => panic!("the vendor holds its answer"),
        () = vendor.arrived(1) => {}
    }
    for _ in 0..5 {
        let waiting = client.send(get(&vendor, "/gone"), soon());
        tokio::select! {
            biased;
            _ = waiting => panic!("there is one place only"),
            () = std::future::ready(()) => {}
        }
    }
    permits.add_permits(3);
    first.await.unwrap();
    for path in ["/2", "/3"] {
        client.send(get(&vendor, path), soon()).await.unwrap();
    }
    let targets: Vec<_> = vendor
        .requests()
        .into_iter()
        .map(|one| one.target)
        .collect();
    assert_eq!(targets, ["/1", "/2", "/3"]);
}

/// Sends a call that the vendor answers so, and tells how long a second one would have to wait.
async fn told(budget: &str, answer: Answer) -> Option<Duration> {
    let vendor = Vendor::queue([answer, Answer::text("ok")]).await;
    let mut settings = budgeted(&vendor, budget);
    settings.budget.retries = 0;
    let client = client(settings);
    client.send(get(&vendor, "/"), soon()).await.unwrap();
    let soon = Instant::now() + Duration::from_secs(20);
    match client.send(get(&vendor, "/"), soon).await {
        Ok(_) => None,
        Err(Failure::RateLimited { retry_after }) => Some(retry_after),
        Err(failure) => panic!("{failure}"),
    }
}

async fn check_told(budget: &str, answer: Answer, seconds: Option<u64>) {
    let wait = told(budget, answer.clone())
        .await
        .map(|wait| wait.as_secs_f64().round());
    let expected = seconds.map(|seconds| seconds as f64);
    assert!(
        wait == expected || wait == expected.map(|seconds| seconds - 1.0),
        "{budget}: {wait:?} and not {expected:?}"
    );
}

#[tokio::test]
async fn the_vendors_own_word_is_heard_in_every_form() {
    let ok = || Answer::json("{}");
    check_told(
        "{}",
        Answer::status(429).with("retry-after", "100"),
        Some(100),
    )
    .await;
    check_told(
        "{}",
        Answer::status(503).with("retry-after", "100"),
        Some(100),
    )
    .await;
    let at = (chrono::Utc::now() + chrono::TimeDelta::seconds(100)).to_rfc2822();
    check_told(
        "{}",
        Answer::status(429).with("retry-after", &at),
        Some(100),
    )
    .await;

    let left =
        r#"{"feedback": [{"kind": "remaining", "remaining": "X-Left", "reset": "X-Reset"}]}"#;
    let with = |left: &str, reset: &str| ok().with("x-left", left).with("x-reset", reset);
    check_told(left, with("0", "100"), Some(100)).await;
    check_told(left, with("1", "100"), None).await;
    let epoch = r#"{"feedback": [{"kind": "remaining", "remaining": "X-Left", "reset": "X-Reset", "unit": "epoch_ms"}]}"#;
    let at = chrono::Utc::now().timestamp_millis() + 100_000;
    check_told(epoch, with("0", &at.to_string()), Some(100)).await;

    let ratio = r#"{"feedback": [{"kind": "ratio", "header": "X-Calls", "restore": "1/min"}]}"#;
    check_told(ratio, ok().with("x-calls", "40/40"), Some(60)).await;
    check_told(ratio, ok().with("x-calls", "39/40"), None).await;

    let points = r#"{"feedback": [{"kind": "points", "available": "cost.left", "restore": "cost.rate", "cost": "cost.spent"}]}"#;
    let cost = |left: u32| {
        Answer::json(format!(
            r#"{{"cost": {{"left": {left}, "rate": 2, "spent": 100}}}}"#
        ))
    };
    check_told(points, cost(20), Some(40)).await;
    check_told(points, cost(100), None).await;

    let percent = r#"{"feedback": [{"kind": "percent", "header": "X-Usage", "members": ["calls"], "pause": "2m"}]}"#;
    check_told(percent, ok().with("x-usage", r#"{"calls": 97}"#), Some(120)).await;
    check_told(percent, ok().with("x-usage", r#"{"calls": 90}"#), None).await;
}

#[tokio::test]
async fn a_code_in_the_body_holds_the_source_like_a_429() {
    let vendor = Vendor::queue([Answer::text("ok")]).await;
    let client = client(budgeted(&vendor, "{}"));
    let minute = Some(Duration::from_secs(60));
    client
        .report(Feedback::RateLimited {
            retry_after: minute,
        })
        .await;
    let outcome = client.send(get(&vendor, "/"), soon()).await;
    assert!(matches!(outcome, Err(Failure::RateLimited { .. })));
    assert!(vendor.requests().is_empty());
}

#[tokio::test]
async fn those_who_wait_already_are_dismissed_when_the_vendor_wants_silence() {
    let permits = Arc::new(Semaphore::new(0));
    let refusal = Answer::status(429).with("retry-after", "3600");
    let held = Answer::Held(Arc::clone(&permits), Box::new(refusal));
    let vendor = Vendor::queue([held]).await;
    let client = client(budgeted(&vendor, r#"{"concurrency": 1}"#));
    let begun = Instant::now();
    let calls = (0..5).map(|_| client.send(get(&vendor, "/"), soon()));
    let (outcomes, ()) = tokio::join!(futures_util::future::join_all(calls), async {
        vendor.arrived(1).await;
        permits.add_permits(1);
    });
    let refused = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(Failure::RateLimited { .. })));
    assert_eq!(refused.count(), 4);
    assert!(begun.elapsed() < Duration::from_secs(9));
}

fn replica(vendor: &Vendor, redis: &RedisServer, budget: &str) -> SourceClient {
    let settings = RedisSettings {
        url: Some(redis.url()),
        timeout_ms: 2_000,
        ..RedisSettings::default()
    };
    let tier = RedisTier::new(&settings, Clock::system()).unwrap().unwrap();
    let mut client = client(budgeted(vendor, budget));
    client.share_budget(Arc::new(tier));
    client
}

#[tokio::test]
async fn two_replicas_together_stay_within_the_limit() {
    let redis = RedisServer::start();
    let vendor = Vendor::queue([Answer::text("ok")]).await;
    let budget = r#"{"rate": "10/s", "concurrency": 64}"#;
    let first = Arc::new(replica(&vendor, &redis, budget));
    let second = Arc::new(replica(&vendor, &redis, budget));
    let within = Duration::from_millis(1_900);
    let call = get(&vendor, "/");
    let (one, two) = tokio::join!(
        crowd(&first, &call, 50, within),
        crowd(&second, &call, 50, within)
    );
    let served = one
        .iter()
        .chain(&two)
        .filter(|(outcome, _)| outcome.is_ok());
    assert_eq!(served.count(), vendor.requests().len());
    assert!(
        vendor.requests().len() >= 11,
        "more than one window was used"
    );
    check_sliding_second(&vendor, 10);
    for (_, took) in one.iter().chain(&two) {
        assert!(*took < within + Duration::from_secs(1), "{took:?}");
    }
}

#[tokio::test]
async fn without_redis_a_replica_keeps_to_its_share() {
    let mut redis = RedisServer::start();
    let vendor = Vendor::queue([Answer::text("ok")]).await;
    let budget = r#"{"rate": "8/min"}"#;
    let first = replica(&vendor, &redis, budget);
    let second = replica(&vendor, &redis, budget);
    first.send(get(&vendor, "/"), soon()).await.unwrap();
    second.send(get(&vendor, "/"), soon()).await.unwrap();
    // Now each knows of two once it asks again.
    first.send(get(&vendor, "/"), soon()).await.unwrap();
    assert!(!first.is_budget_apart());
    redis.kill();
    for _ in 0..2 {
        first.send(get(&vendor, "/"), soon()).await.unwrap();
    }
    assert!(first.is_budget_apart());
    let outcome = first.send(get(&vendor, "/"), soon()).await;
    assert!(
        matches!(outcome, Err(Failure::RateLimited { .. })),
        "{outcome:?}"
    );
    assert_eq!(vendor.requests().len(), 5);
}

#[tokio::test]
async fn what_one_replica_hears_the_others_heed() {
    let redis = RedisServer::start();
    let refusal = Answer::status(429).with("retry-after", "100");
    let vendor = Vendor::queue([refusal, Answer::text("ok")]).await;
    let budget = r#"{"rate": "100/s", "retries": 0}"#;
    let first = replica(&vendor, &redis, budget);
    let second = replica(&vendor, &redis, budget);
    assert_eq!(
        first.send(get(&vendor, "/"), soon()).await.unwrap().status,
        429
    );
    let short = Instant::now() + Duration::from_millis(500);
    let outcome = second.send(get(&vendor, "/"), short).await;
    assert!(
        matches!(outcome, Err(Failure::RateLimited { .. })),
        "{outcome:?}"
    );
    assert_eq!(vendor.requests().len(), 1);
}

#[tokio::test]
async fn a_source_that_hangs_holds_up_no_other() {
    let hanging = Vendor::queue([Answer::Hang]).await;
    let vendor = Vendor::queue([Answer::text("ok")]).await;
    let stuck = Arc::new(client(budgeted(
        &hanging,
        r#"{"concurrency": 2, "queue": 50}"#,
    )));
    let well = client(budgeted(&vendor, r#"{"concurrency": 2}"#));
    let mut calls = JoinSet::new();
    for _ in 0..52 {
        let (client, call) = (Arc::clone(&stuck), get(&hanging, "/"));
        calls.spawn(async move { client.send(call, soon()).await });
    }
    hanging.arrived(2).await;
    for _ in 0..20 {
        let call = Call {
            method: Method::GET,
            ..get(&vendor, "/")
        };
        well.send(call, soon()).await.unwrap();
    }
    assert_eq!(calls.len(), 52, "all calls of the other still wait");
}

const FILE: &str = r#"
source: shop
vendor: acme
category: ECOMMERCE
protocol: rest
url: URL
budget:
  rate: [10/s, 500/min]
  quota: { calls: 50000, zone: America/Los_Angeles }
  connect: 500ms
  first_byte: 2s
  retries: 0
  feedback:
    - { kind: remaining, remaining: X-Left, reset: X-Reset, unit: epoch_s }
    - { kind: ratio, header: X-Calls, prefix: "api-usage=", restore: 2/s }
    - { kind: points, available: cost.left, restore: cost.rate, cost: cost.spent, maximum: cost.most }
    - { kind: percent, header: X-Usage, members: [calls], most: 90, pause: 1m }
price: { per: resource, amount: "0.002", currency: USD }
errors: { success: body.ok != false, code: code, classes: { SLOW_DOWN: rate_limited } }
Order:
  id: id
  get:
    request: GET /orders?ids={{ keys | join(',') }}
    batch: { max: 10 }
    items: orders
    budget: { rate: 10/min, timeout: 9s }
"#;

fn nothing() -> Environment {
    Environment::of::<String, String>([])
}

#[test]
fn a_file_says_all_of_it() {
    let (compiled, told) = read(
        "shop.yaml",
        &FILE.replace("URL", "https://shop.test"),
        &nothing(),
    );
    assert!(told.is_empty(), "{}", told.render_plain());
    let budget = compiled.unwrap().settings.budget;
    assert_eq!((budget.rate.0.len(), budget.feedback.len()), (2, 4));
    let own = &budget.operations["Order.get"];
    assert_eq!(own.rate.0, ["10/min".parse().unwrap()]);
}

#[track_caller]
fn check_wrong(old: &str, new: &str, place: &str, words: &str) {
    let text = FILE.replace("URL", "https://shop.test").replace(old, new);
    let (compiled, told) = read("shop.yaml", &text, &nothing());
    let told = told.render_plain();
    assert!(
        compiled.is_none() && told.contains(place) && told.contains(words),
        "{told}"
    );
}

#[test]
fn what_can_not_work_is_told_with_its_place() {
    check_wrong(
        "America/Los_Angeles",
        "Mars",
        "shop.yaml:7:",
        "IANA time zone",
    );
    check_wrong(
        "header: X-Calls",
        "header: X Calls",
        "shop.yaml:7:",
        "header",
    );
    check_wrong("unit: epoch_s", "unit: epoch", "shop.yaml:14:", "epoch");
    check_wrong(
        "10/s, 500/min",
        "10/s, often",
        "shop.yaml:8:",
        "is not a rate",
    );
    check_wrong(
        "timeout: 9s",
        "timeout: 0ms",
        "shop.yaml:26:",
        "between 1ms and 10m",
    );
    check_wrong(
        "per: resource",
        "per: point",
        "shop.yaml:18:",
        "`price.path`",
    );
}

#[tokio::test]
async fn the_vendors_code_in_a_body_holds_the_source_and_records_cost() {
    let answers = [
        Answer::json(r#"{"orders": [{"id": "1"}, {"id": "2"}]}"#),
        Answer::json(r#"{"ok": false, "code": "SLOW_DOWN"}"#).with("retry-after", "100"),
    ];
    let vendor = Vendor::queue(answers).await;
    let source = source(&FILE.replace("URL", &vendor.url()), &nothing());
    let keys = ["1", "2"];
    load(&source, ("Order", "get"), &keys).await.unwrap();
    let charges = source.charges();
    let [charge] = &charges[..] else {
        panic!("{charges:?}");
    };
    assert_eq!(
        (charge.calls, charge.amount.to_string()),
        (1, "0.004".to_owned())
    );
    for _ in 0..2 {
        let failure = load(&source, ("Order", "get"), &keys).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::RateLimited);
    }
    assert_eq!(vendor.requests().len(), 2, "the third was not sent");
}

#[tokio::test]
async fn a_page_of_a_proxy_is_a_failure_unless_the_vendor_is_known_to_lie() {
    let orders = r#"{"orders": [{"id": "1"}]}"#;
    let lie = Answer::text(orders).with("content-type", "text/html; charset=utf-8");
    let vendor = Vendor::queue([lie]).await;
    let text = FILE.replace("URL", &vendor.url());
    let strict = source(&text, &nothing());
    let failure = load(&strict, ("Order", "get"), &["1"]).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::InvalidResponse);
    assert!(failure.detail.contains("`text/html`"), "{failure}");
    let text = text.replace(
        "items: orders",
        "items: orders\n    content_type: text/html",
    );
    let knowing = source(&text, &nothing());
    let found = load(&knowing, ("Order", "get"), &["1"]).await.unwrap();
    assert_eq!(found[0].records.len(), 1);
}
