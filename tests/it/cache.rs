//! The cache: its two tiers, its times, an outage of Redis, and single flight.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::DateTime;
use tributary::cache::{
    Cache, Hit, Tier,
    clock::Clock,
    entry::{Entry, Lifetime, State},
    flight::{Abandoned, Flights},
    key::Key,
    redis::{RedisStatus, RedisTier},
    settings::{CacheSettings, RedisSettings},
    value::{CodecError, Stored},
};

use crate::support::redis::RedisServer;

const MINUTE: Lifetime = Lifetime {
    fresh: Duration::from_secs(60),
    stale: Duration::from_secs(600),
};

#[derive(Debug, Clone, PartialEq, Eq)]
struct Text(String);

impl Stored for Text {
    fn weight(&self) -> usize {
        self.0.len()
    }

    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        Ok(self.0.clone().into_bytes())
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| CodecError::Damaged)?;
        Ok(Self(text))
    }
}

/// A clock the test moves.
#[derive(Clone)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_800_000_000)))
    }

    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let hands = Arc::clone(&self.0);
        Clock::from_fn(move || DateTime::from_timestamp(hands.load(Ordering::SeqCst), 0).unwrap())
    }
}

fn settings(server: &RedisServer) -> RedisSettings {
    RedisSettings {
        url: Some(server.url()),
        timeout_ms: 2000,
        write_timeout_ms: 2000,
        ..RedisSettings::default()
    }
}

fn replica(redis: &RedisSettings, clock: &Clock) -> Cache<Text> {
    let tier = RedisTier::new(redis, clock.clone()).unwrap();
    Cache::new(&CacheSettings::default(), tier.map(Arc::new), clock.clone())
}

fn alone(bytes_max: u64, clock: &Clock) -> Cache<Text> {
    let settings = CacheSettings {
        memory_bytes_max: bytes_max,
        ..CacheSettings::default()
    };
    Cache::new(&settings, None, clock.clone())
}

fn key(text: &str) -> Key {
    Key::new(text)
}

async fn put(cache: &Cache<Text>, name: &str, value: &str) {
    let entry = (key(name), Text(value.into()), MINUTE);
    cache.put_many(vec![entry]).await;
}

async fn get(cache: &Cache<Text>, name: &str) -> Option<Hit<Text>> {
    cache.get_many(&[key(name)]).await.remove(0)
}

/// Repeats the look-up until it is answered by Redis.
async fn wait_for_redis(cache: &Cache<Text>, name: &str) {
    let start = Instant::now();
    loop {
        cache
            .put_many(vec![(key("other"), Text("x".into()), MINUTE)])
            .await;
        if cache.redis().unwrap().status() == RedisStatus::Up && get(cache, name).await.is_some() {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "redis stayed away"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_one_replica_put_another_finds_in_redis_and_then_in_memory() {
    let server = RedisServer::start();
    let clock = Hands::new().clock();
    let (first, second) = (
        replica(&settings(&server), &clock),
        replica(&settings(&server), &clock),
    );
    put(&first, "a", "one").await;
    let hit = get(&first, "a").await.unwrap();
    assert_eq!((hit.tier, hit.state), (Tier::Memory, State::Fresh));
    let hit = get(&second, "a").await.unwrap();
    assert_eq!((hit.tier, hit.state), (Tier::Redis, State::Fresh));
    assert_eq!(hit.entry.value.0, "one");
    assert_eq!(get(&second, "a").await.unwrap().tier, Tier::Memory);
}

#[tokio::test]
async fn an_entry_is_fresh_then_stale_then_gone_in_both_tiers() {
    let server = RedisServer::start();
    let hands = Hands::new();
    let clock = hands.clock();
    let first = replica(&settings(&server), &clock);
    put(&first, "a", "one").await;
    let state = async |cache: &Cache<Text>| get(cache, "a").await.map(|hit| hit.state);
    hands.advance(53);
    assert_eq!(state(&first).await, Some(State::Fresh));
    assert_eq!(
        state(&replica(&settings(&server), &clock)).await,
        Some(State::Fresh)
    );
    hands.advance(7);
    assert_eq!(state(&first).await, Some(State::Stale));
    assert_eq!(
        state(&replica(&settings(&server), &clock)).await,
        Some(State::Stale)
    );
    hands.advance(600);
    assert_eq!(state(&first).await, None);
    assert_eq!(state(&replica(&settings(&server), &clock)).await, None);
}

#[test]
fn jitter_shortens_the_fresh_time_by_a_tenth_at_most_and_differs_by_key() {
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..200 {
        let entry = Entry::new(&key(&number.to_string()), Text(String::new()), MINUTE, now);
        let fresh = (entry.expires_at - now).num_milliseconds();
        assert!((54_000..=60_000).contains(&fresh), "{fresh}");
        assert_eq!((entry.stale_until - now).num_seconds(), 660);
        seen.insert(fresh);
    }
    assert!(seen.len() > 100);
}

#[tokio::test]
async fn keys_missing_in_memory_are_read_with_one_mget_and_come_back_in_order() {
    let server = RedisServer::start();
    let clock = Hands::new().clock();
    let names: Vec<String> = (0..50).map(|number| format!("k{number}")).collect();
    let first = replica(&settings(&server), &clock);
    for name in names.iter().step_by(2) {
        put(&first, name, name).await;
    }
    let second = replica(&settings(&server), &clock);
    put(&second, "k0", "own").await;
    let keys: Vec<Key> = names.iter().map(|name| key(name)).collect();
    let hits = second.get_many(&keys).await;
    assert_eq!((server.calls("mget"), server.calls("get")), (1, 0));
    assert_eq!(hits[0].as_ref().unwrap().entry.value.0, "own");
    for (number, hit) in hits.iter().enumerate().skip(1) {
        let value = hit.as_ref().map(|hit| hit.entry.value.0.clone());
        assert_eq!(value, (number % 2 == 0).then(|| format!("k{number}")));
    }
}

#[tokio::test]
async fn names_in_redis_hold_no_key_text_and_expire() {
    let server = RedisServer::start();
    let cache = replica(&settings(&server), &Clock::system());
    put(&cache, "crm:1:byEmail:ada@example.org", "one").await;
    let mut connection = server.connection();
    let names: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    assert_eq!(names.len(), 1);
    assert!(names[0].starts_with("tributary:default:"), "{names:?}");
    assert!(
        !names[0].contains("ada") && !names[0].contains("crm"),
        "{names:?}"
    );
    let ttl: i64 = redis::cmd("TTL")
        .arg(&names[0])
        .query(&mut connection)
        .unwrap();
    assert!((590..=727).contains(&ttl), "{ttl}");
    assert!(!format!("{:?}", key("ada@example.org")).contains("ada"));
}

#[tokio::test]
async fn an_invalidated_key_is_gone_from_both_tiers() {
    let server = RedisServer::start();
    let clock = Hands::new().clock();
    let cache = replica(&settings(&server), &clock);
    put(&cache, "a", "one").await;
    put(&cache, "b", "two").await;
    cache.invalidate(&[key("a")]).await;
    assert!(get(&cache, "a").await.is_none());
    let other = replica(&settings(&server), &clock);
    assert!(get(&other, "a").await.is_none());
    assert!(get(&other, "b").await.is_some());
}

#[tokio::test]
async fn a_damaged_entry_is_a_miss_and_can_be_replaced() {
    let server = RedisServer::start();
    let clock = Hands::new().clock();
    put(
        &replica(&settings(&server), &clock),
        "a",
        &"long ".repeat(1000),
    )
    .await;
    let mut connection = server.connection();
    let names: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    let good: Vec<u8> = redis::cmd("GET")
        .arg(&names[0])
        .query(&mut connection)
        .unwrap();
    let mut other_version = good.clone();
    other_version[0] = 99;
    let mut huge = good.clone();
    huge[26..30].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut small = good.clone();
    small[26..30].copy_from_slice(&3_u32.to_le_bytes());
    let cut = good[..good.len() - 4].to_vec();
    for bad in [
        Vec::new(),
        vec![1],
        good[..20].to_vec(),
        cut,
        other_version,
        huge,
        small,
    ] {
        redis::cmd("SET")
            .arg(&names[0])
            .arg(bad)
            .exec(&mut connection)
            .unwrap();
        let reader = replica(&settings(&server), &clock);
        assert!(get(&reader, "a").await.is_none());
        assert_eq!(reader.redis().unwrap().status(), RedisStatus::Up);
    }
    let writer = replica(&settings(&server), &clock);
    put(&writer, "a", "again").await;
    let hit = get(&replica(&settings(&server), &clock), "a")
        .await
        .unwrap();
    assert_eq!(hit.entry.value.0, "again");
}

#[tokio::test]
async fn a_big_value_is_compressed_and_comes_back_equal_and_one_beyond_the_cap_stays_in_memory() {
    let server = RedisServer::start();
    let clock = Hands::new().clock();
    let cache = replica(&settings(&server), &clock);
    let big = "the same words ".repeat(20_000);
    put(&cache, "big", &big).await;
    let mut connection = server.connection();
    let names: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    let length: usize = redis::cmd("STRLEN")
        .arg(&names[0])
        .query(&mut connection)
        .unwrap();
    assert!(length < big.len() / 10, "{length}");
    let hit = get(&replica(&settings(&server), &clock), "big")
        .await
        .unwrap();
    assert_eq!(hit.entry.value.0, big);
    put(&cache, "huge", &"x".repeat(8 * 1024 * 1024 + 1)).await;
    assert!(get(&cache, "huge").await.is_some());
    assert!(
        get(&replica(&settings(&server), &clock), "huge")
            .await
            .is_none()
    );
}

#[tokio::test]
async fn a_killed_redis_is_a_miss_and_is_used_again_after_its_restart() {
    let mut server = RedisServer::start();
    let clock = Hands::new().clock();
    let redis = RedisSettings {
        retry_after_ms: 20,
        timeout_ms: 200,
        ..settings(&server)
    };
    let cache = replica(&redis, &clock);
    put(&cache, "a", "one").await;
    server.kill();
    let start = Instant::now();
    assert!(get(&cache, "absent").await.is_none());
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(matches!(
        cache.redis().unwrap().status(),
        RedisStatus::Down { .. }
    ));
    assert!(get(&cache, "a").await.is_some(), "memory still answers");
    server.restart();
    let writer = replica(&settings(&server), &clock);
    put(&writer, "b", "two").await;
    wait_for_redis(&cache, "b").await;
}

#[tokio::test]
async fn a_redis_absent_at_start_neither_blocks_nor_fails_and_is_found_later() {
    let mut server = RedisServer::start();
    server.kill();
    let clock = Hands::new().clock();
    let redis = RedisSettings {
        retry_after_ms: 20,
        timeout_ms: 200,
        ..settings(&server)
    };
    let cache = replica(&redis, &clock);
    assert!(get(&cache, "a").await.is_none());
    assert!(matches!(
        cache.redis().unwrap().probe().await,
        RedisStatus::Down { .. }
    ));
    server.restart();
    put(&replica(&settings(&server), &clock), "b", "two").await;
    wait_for_redis(&cache, "b").await;
}

#[tokio::test]
async fn a_frozen_redis_costs_one_timeout_and_not_one_per_read() {
    let server = RedisServer::start();
    let clock = Hands::new().clock();
    let redis = RedisSettings {
        retry_after_ms: 60_000,
        timeout_ms: 100,
        ..settings(&server)
    };
    let cache = replica(&redis, &clock);
    assert_eq!(cache.redis().unwrap().probe().await, RedisStatus::Up);
    server.freeze();
    let start = Instant::now();
    for number in 0..200 {
        assert!(get(&cache, &number.to_string()).await.is_none());
    }
    let took = start.elapsed();
    server.thaw();
    assert!(took >= Duration::from_millis(100), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_frozen_redis_is_used_again_once_it_goes_on() {
    let server = RedisServer::start();
    let clock = Hands::new().clock();
    let redis = RedisSettings {
        retry_after_ms: 5,
        timeout_ms: 30,
        write_timeout_ms: 30,
        ..settings(&server)
    };
    put(&replica(&settings(&server), &clock), "b", "two").await;
    let cache = replica(&redis, &clock);
    server.freeze();
    for number in 0..8 {
        assert!(get(&cache, &number.to_string()).await.is_none());
    }
    server.thaw();
    wait_for_redis(&cache, "b").await;
}

#[tokio::test]
async fn memory_stays_within_its_bytes() {
    let cache = alone(100_000, &Hands::new().clock());
    for number in 0..500 {
        put(&cache, &number.to_string(), &"x".repeat(1000)).await;
    }
    let bytes = cache.memory_bytes().await;
    assert!((50_000..=100_000).contains(&bytes), "{bytes}");
    put(&cache, "too big", &"x".repeat(200_000)).await;
    assert!(cache.memory_bytes().await <= 100_000);
    assert!(get(&cache, "too big").await.is_none());
}

#[tokio::test]
async fn one_refresh_per_key_runs_at_a_time() {
    let cache = alone(1000, &Hands::new().clock());
    let guard = cache.try_begin_refresh(&key("a")).unwrap();
    assert!(cache.try_begin_refresh(&key("a")).is_none());
    assert!(cache.try_begin_refresh(&key("b")).is_some());
    drop(guard);
    assert!(cache.try_begin_refresh(&key("a")).is_some());
}

#[test]
fn a_redis_address_that_is_none_is_refused_and_never_shown() {
    let redis = RedisSettings {
        url: Some("https://user:hunter2@example.org".into()),
        ..RedisSettings::default()
    };
    let error = RedisTier::new(&redis, Clock::system()).unwrap_err();
    assert!(!format!("{error} {error:?} {redis:?}").contains("hunter2"));
}

#[test]
fn an_unknown_setting_is_refused_and_what_is_absent_has_its_default() {
    let read: CacheSettings = serde_json::from_str("{\"fresh_seconds\": 5}").unwrap();
    assert_eq!((read.fresh_seconds, read.stale_seconds), (5, 600));
    assert!(serde_json::from_str::<CacheSettings>("{\"fresh\": 5}").is_err());
    assert!(serde_json::from_str::<CacheSettings>("{\"redis\": {\"host\": 1}}").is_err());
}

#[tokio::test]
async fn a_follower_gets_the_leaders_answer() {
    let flights = Flights::default();
    let (mut first, follow) = flights.claim(["a", "b", "a"]);
    assert_eq!((first.keys(), follow.len()), (&["a", "b"][..], 0));
    let (second, mut follow) = flights.claim(["b", "c"]);
    assert_eq!(second.keys(), ["c"]);
    let (name, waiter) = follow.remove(0);
    assert_eq!(name, "b");
    first.fulfil(&"b", 2);
    assert_eq!(waiter.await, Ok(2));
    drop((first, second));
    assert!(flights.is_empty());
}

#[tokio::test]
async fn a_leader_that_is_cancelled_hands_its_key_to_a_follower() {
    let flights = Arc::new(Flights::<&str, u32>::default());
    let (claim, _) = flights.claim(["a"]);
    let leader = tokio::spawn(async move {
        let _claim = claim;
        std::future::pending::<()>().await;
    });
    let (_, mut follow) = flights.claim(["a"]);
    leader.abort();
    assert_eq!(follow.remove(0).1.await, Err(Abandoned));
    let (mut claim, _) = flights.claim(["a"]);
    assert_eq!(claim.keys(), ["a"]);
    claim.fulfil(&"a", 1);
    drop(claim);
    assert!(flights.is_empty());
}

#[tokio::test]
async fn a_leader_that_panics_hands_its_key_to_a_follower() {
    let flights = Arc::new(Flights::<&str, u32>::default());
    let (mut claim, _) = flights.claim(["done", "open"]);
    let (_, follow) = flights.claim(["done", "open"]);
    let leader = tokio::spawn(async move {
        claim.fulfil(&"done", 1);
        panic!("on purpose");
    });
    assert!(leader.await.unwrap_err().is_panic());
    let mut answers = Vec::new();
    for (_, waiter) in follow {
        answers.push(waiter.await);
    }
    assert_eq!(answers, [Ok(1), Err(Abandoned)]);
    assert_eq!(flights.claim(["open"]).0.keys(), ["open"]);
}

/// Loads a batch as a caller of the cache does: own keys first, then the others'; a key left behind is claimed again.
async fn load(
    flights: &Flights<u32, u32>,
    keys: Vec<u32>,
    loading: &Mutex<HashMap<u32, u32>>,
    fails: bool,
) -> HashMap<u32, u32> {
    let mut answers = HashMap::new();
    let mut open = keys;
    let mut fails = fails;
    while !open.is_empty() {
        let (mut claim, follow) = flights.claim(std::mem::take(&mut open));
        for key in claim.keys() {
            let mut loading = loading.lock().unwrap();
            let running = loading.entry(*key).or_default();
            *running += 1;
            assert_eq!(*running, 1, "key {key} is loaded twice at a time");
        }
        tokio::task::yield_now().await;
        let lead = claim.keys().to_vec();
        for key in &lead {
            *loading.lock().unwrap().get_mut(key).unwrap() -= 1;
            if fails {
                open.push(*key);
            } else {
                claim.fulfil(key, key * 10);
                answers.insert(*key, key * 10);
            }
        }
        drop(claim);
        fails = false;
        for (key, waiter) in follow {
            match waiter.await {
                Ok(value) => drop(answers.insert(key, value)),
                Err(Abandoned) => open.push(key),
            }
        }
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_concurrent_claims_load_each_key_once_at_a_time_and_all_get_answers() {
    let flights = Arc::new(Flights::default());
    let loading = Arc::new(Mutex::new(HashMap::new()));
    let answered = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..1000_u32 {
        let (flights, loading) = (Arc::clone(&flights), Arc::clone(&loading));
        let answered = Arc::clone(&answered);
        tasks.spawn(async move {
            let keys: Vec<u32> = (0..5).map(|step| (number * 7 + step * 3) % 20).collect();
            let answers = load(&flights, keys.clone(), &loading, number % 5 == 0).await;
            for key in keys {
                assert_eq!(answers.get(&key), Some(&(key * 10)));
            }
            answered.fetch_add(1, Ordering::SeqCst);
        });
    }
    let all = async {
        while let Some(done) = tasks.join_next().await {
            done.unwrap()
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all)
        .await
        .expect("a waiter hangs");
    assert_eq!(answered.load(Ordering::SeqCst), 1000);
    assert!(flights.is_empty());
}
