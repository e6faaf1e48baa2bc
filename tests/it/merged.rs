//! Merged lists: one connection over several sources that page in their own ways, while records come in.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tributary::app::load::ConnectorText;

use crate::support::gateway::{ALL, Running, Setup, token};
use crate::support::vendor::{Answer, Request, Vendor};

const SOURCES: [(&str, &str); 4] = [
    (
        "one",
        r#"{ size: 100, cursor: "items[-1].id", as: after, more: more }"#,
    ),
    ("two", "{ size: 100, cursor: next, as: cursor }"),
    ("three", "{ size: 100, next: link }"),
    ("four", "{ size: 100, offset: offset, total: total }"),
];
const EACH: u64 = 2500;

/// A vendor's tickets, the newest first: seconds and id.
type Tickets = Arc<Mutex<Vec<(u64, u64)>>>;

/// Three tickets share a second, so that the order alone does not tell them apart.
fn tickets(shift: u64) -> Tickets {
    let made = (0..EACH)
        .rev()
        .map(|id| (1_700_000_000 + id / 3 * 7 + shift, id));
    Arc::new(Mutex::new(made.collect()))
}

fn insert(tickets: &Tickets, time: u64, id: u64) {
    let mut tickets = tickets.lock().unwrap();
    let place = tickets.partition_point(|(other, _)| *other > time);
    tickets.insert(place, (time, id));
}

fn parameter(request: &Request, name: &str) -> Option<u64> {
    let (_, query) = request.target.split_once('?')?;
    let found = query
        .split('&')
        .find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    found.map(|text| text.parse().unwrap())
}

/// Answers as a vendor of that kind does: by last id, by its own cursor, by a link, by a count.
fn answer(request: &Request, tickets: &Tickets) -> Answer {
    let all = tickets.lock().unwrap();
    let after_id = ["after", "cursor", "from"]
        .iter()
        .find_map(|name| parameter(request, name));
    let start = match (after_id, parameter(request, "offset")) {
        (Some(id), _) => all.iter().position(|(_, other)| *other == id).unwrap() + 1,
        (None, Some(offset)) => usize::try_from(offset).unwrap(),
        (None, None) => 0,
    };
    let page: Vec<(u64, u64)> = all.iter().skip(start).take(100).copied().collect();
    let more = start + page.len() < all.len();
    let last = page.last().map(|(_, id)| *id).filter(|_| more);
    let items: Vec<Value> = page
        .iter()
        .map(|(time, id)| json!({"id": id, "at": time}))
        .collect();
    let link = last.map(|id| format!("/tickets?sort=-created&from={id}"));
    let body =
        json!({"items": items, "more": more, "next": last, "link": link, "total": all.len()});
    Answer::json(body.to_string())
}

fn connector(source: &str, page: &str, url: &str, fresh: &str) -> ConnectorText {
    let text = format!(
        r#"
source: {source}
vendor: {source}
category: HELPDESK
protocol: rest
url: {url}
budget: {{ concurrency: 8, timeout: 4s }}
cache: {{ fresh: {fresh}, stale: 0s }}
Ticket:
  id: id
  fields:
    ticketNumber: id
    createdAt: at | epoch_s
  list:
    request: GET /tickets
    page: {page}
    items: items
    total: total
    sort:
      CREATED_AT: {{ desc: {{ query: {{ sort: "-created" }} }} }}
"#
    );
    ConnectorText {
        file: format!("connectors/{source}.yaml").into(),
        folder: std::path::PathBuf::new(),
        text,
    }
}

struct World {
    gateway: Running,
    vendors: Vec<(Vendor, Tickets)>,
    random: u64,
}

impl World {
    async fn start(fresh: &str) -> Self {
        let mut vendors = Vec::new();
        let mut connectors = Vec::new();
        for (shift, (source, page)) in (0..).zip(SOURCES) {
            let tickets = tickets(shift % 2);
            let served = Arc::clone(&tickets);
            let vendor = Vendor::start(move |request| answer(request, &served)).await;
            connectors.push(connector(source, page, &vendor.url(), fresh));
            vendors.push((vendor, tickets));
        }
        let setup = Setup {
            connectors,
            ..Setup::default()
        };
        Self {
            gateway: setup.start().await,
            vendors,
            random: 7,
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn calls(&self) -> usize {
        let vendors = self.vendors.iter();
        vendors.map(|(vendor, _)| vendor.requests().len()).sum()
    }

    /// New tickets at every vendor: the newest of all, and some amid the others.
    fn grow(&mut self, round: u64) {
        for vendor in 0..self.vendors.len() {
            let amid = 1_700_000_000 + self.random(EACH * 7 / 3);
            let id = 1_000_000 + round * 10;
            let tickets = Arc::clone(&self.vendors[vendor].1);
            insert(&tickets, 1_800_000_000 + round, id);
            insert(&tickets, amid, id + 1);
        }
    }

    /// Reads the whole list in pages of random sizes; each item's source and number, and the most calls of one page.
    async fn walk(&mut self) -> (Vec<String>, usize) {
        let query = "query($after: String, $first: Int) { tickets(first: $first, after: $after, sort: {field: CREATED_AT, direction: DESC}) { nodes { ticketNumber createdAt sources { source { key } } } pageInfo { hasNextPage endCursor } sourceStatuses { source { key } state truncated message } } }";
        let (mut seen, mut after, mut calls_max) = (Vec::new(), Value::Null, 0);
        let mut last_time = "9".to_owned();
        for round in 0..2000 {
            let first = 1 + self.random(100);
            let before = self.calls();
            let answer = self
                .gateway
                .ask_with(query, json!({"after": after, "first": first}), &token(ALL))
                .await;
            calls_max = calls_max.max(self.calls() - before);
            assert_eq!(answer.get("errors"), None, "{answer:#}");
            let page = &answer["data"]["tickets"];
            for node in page["nodes"].as_array().unwrap() {
                let time = node["createdAt"].as_str().unwrap().to_owned();
                assert!(
                    time <= last_time,
                    "the order holds across sources and pages"
                );
                last_time = time;
                let source = node["sources"][0]["source"]["key"].as_str().unwrap();
                seen.push(format!(
                    "{source} {}",
                    node["ticketNumber"].as_str().unwrap()
                ));
            }
            if page["pageInfo"]["hasNextPage"] == false {
                let statuses = page["sourceStatuses"].as_array().unwrap();
                let four = statuses
                    .iter()
                    .find(|one| one["source"]["key"] == "four")
                    .unwrap();
                assert!(
                    four["message"]
                        .as_str()
                        .unwrap()
                        .contains("pages by a count")
                );
                assert!(statuses.iter().all(|one| one["truncated"] == false));
                return (seen, calls_max);
            }
            after = page["pageInfo"]["endCursor"].clone();
            self.grow(round);
        }
        panic!("the list does not end");
    }
}

#[track_caller]
fn each_once(seen: &[String]) {
    let once: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
    assert_eq!(once.len(), seen.len(), "no item comes twice");
    let expected = SOURCES
        .iter()
        .flat_map(|(source, _)| (0..EACH).map(move |id| format!("{source} {id}")));
    let missed: Vec<String> = expected.filter(|id| !once.contains(&**id)).collect();
    assert!(
        missed.is_empty(),
        "{} missed: {:?}",
        missed.len(),
        missed.first()
    );
}

#[tokio::test]
async fn a_merged_list_shows_each_of_ten_thousand_items_once_while_others_come_in() {
    let mut world = World::start("60s").await;
    let (seen, calls_max) = world.walk().await;
    each_once(&seen);
    assert!(
        calls_max <= SOURCES.len() + 1,
        "{calls_max} calls for one page"
    );
}

#[tokio::test]
async fn pages_that_move_between_requests_lose_and_repeat_nothing() {
    let mut world = World::start("0s").await;
    let (seen, calls_max) = world.walk().await;
    each_once(&seen);
    assert!(calls_max >= SOURCES.len(), "every page is read again");
}

#[tokio::test]
async fn a_cursor_that_was_changed_is_refused() {
    let world = World::start("60s").await;
    let query = "query($after: String) { tickets(first: 3, after: $after, sort: {field: CREATED_AT, direction: DESC}) { totalCount { value precision } pageInfo { endCursor } } }";
    let ask = async |after: Value| {
        let gateway = &world.gateway;
        gateway
            .ask_with(query, json!({"after": after}), &token(ALL))
            .await
    };
    let page = ask(Value::Null).await;
    assert_eq!(
        page["data"]["tickets"]["totalCount"],
        json!({"value": 4 * EACH, "precision": "EXACT"}),
        "{page:#}"
    );
    let cursor = page["data"]["tickets"]["pageInfo"]["endCursor"]
        .as_str()
        .unwrap();
    for place in (0..cursor.len()).step_by(9) {
        let mut changed = cursor.to_owned();
        let letter = if &cursor[place..=place] == "A" {
            "B"
        } else {
            "A"
        };
        changed.replace_range(place..=place, letter);
        let answer = ask(json!(changed)).await;
        assert_eq!(
            answer["errors"][0]["extensions"]["code"], "INVALID_CURSOR",
            "{place}: {answer:#}"
        );
    }
}

#[tokio::test]
async fn a_source_that_fails_amid_a_list_is_read_on_once_it_answers() {
    let fails = Arc::new(Mutex::new(false));
    let tickets_of_one = tickets(0);
    let (failing, served) = (Arc::clone(&fails), Arc::clone(&tickets_of_one));
    let vendor = Vendor::start(move |request| {
        if *failing.lock().unwrap() {
            return Answer::status(400);
        }
        answer(request, &served)
    })
    .await;
    let other = tickets(1);
    let healthy = Vendor::start(move |request| answer(request, &other)).await;
    let setup = Setup {
        connectors: vec![
            connector("one", SOURCES[0].1, &vendor.url(), "0s"),
            connector("two", SOURCES[1].1, &healthy.url(), "0s"),
        ],
        ..Setup::default()
    };
    let gateway = setup.start().await;
    let query = "query($after: String) { tickets(first: 50, after: $after, sort: {field: CREATED_AT, direction: DESC}) { nodes { sources { source { key } } } pageInfo { endCursor } sourceStatuses { source { key } state } } }";
    let mut after = Value::Null;
    let mut sources = Vec::new();
    for failing in [false, true, false] {
        *fails.lock().unwrap() = failing;
        let answer = gateway
            .ask_with(query, json!({"after": after}), &token(ALL))
            .await;
        let page = &answer["data"]["tickets"];
        after = page["pageInfo"]["endCursor"].clone();
        let nodes = page["nodes"].as_array().unwrap().iter();
        let keys: BTreeSet<String> = nodes
            .map(|node| {
                node["sources"][0]["source"]["key"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        sources.push(keys.len());
        let state = &page["sourceStatuses"][0]["state"];
        assert_eq!(*state == "REJECTED", failing, "{answer:#}");
    }
    assert_eq!(sources, [2, 1, 2]);
}
