//! Hostile documents against a gateway in a process of its own: each is refused with a typed error before any vendor is
//! asked, and the process stays the same, within bounds of time and memory.

use std::fmt::Write as _;

use serde_json::Value;

use super::support::process::Process;

/// CPU that one refused document may take.
const CPU_SECONDS_MAX: f64 = 0.5;
/// Memory that one refused document may take on top.
const MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Documents longer than this don't travel in a URL.
const URL_BYTES_MAX: usize = 16 * 1024;

struct Attack {
    name: &'static str,
    query: String,
    variables: String,
    code: &'static str,
}

fn attack(name: &'static str, code: &'static str, query: impl Into<String>) -> Attack {
    Attack {
        name,
        query: query.into(),
        variables: "{}".to_owned(),
        code,
    }
}

const LIMIT: &str = "LIMIT_EXCEEDED";
const INVALID: &str = "GRAPHQL_VALIDATION_FAILED";
const UNREADABLE: &str = "GRAPHQL_PARSE_FAILED";

/// `part` for each number, one after the other.
fn each(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect()
}

fn nesting() -> Vec<Attack> {
    let deep = |open: &str, close: &str, count: usize| {
        format!("{}1{}", open.repeat(count), close.repeat(count))
    };
    let on_tags =
        |value: &str| format!("{{ customers(filter: {{tags: {value}}}) {{ nodes {{ id }} }} }}");
    let mut levels = String::from("__schema { types ");
    levels.push_str(&"{ fields { type ".repeat(6));
    levels.push_str("{ name }");
    levels.push_str(&"} }".repeat(6));
    levels.push('}');
    vec![
        attack(
            "2,000 lists in a literal",
            LIMIT,
            on_tags(&deep("[", "]", 2_000)),
        ),
        attack(
            "2,000 lists never closed",
            LIMIT,
            on_tags(&"[".repeat(2_000)),
        ),
        attack(
            "2,000 objects in a literal",
            LIMIT,
            on_tags(&deep("{a:", "}", 2_000)),
        ),
        attack(
            "50 lists in a literal",
            INVALID,
            on_tags(&deep("[", "]", 50)),
        ),
        attack(
            "50 objects in a literal",
            INVALID,
            on_tags(&deep("{a:", "}", 50)),
        ),
        attack("30,000 brackets of every kind", LIMIT, "([{".repeat(10_000)),
        attack(
            "2,000 selections in each other",
            LIMIT,
            format!("{}a{}", "{ a ".repeat(2_000), "}".repeat(2_000)),
        ),
        attack(
            "60 selections in each other",
            LIMIT,
            format!("{}a{}", "{ a ".repeat(60), "}".repeat(60)),
        ),
        attack(
            "60 inline fragments in each other",
            INVALID,
            format!("{{ {} nothing {} }}", "... { ".repeat(60), "}".repeat(60)),
        ),
        attack(
            "introspection that multiplies",
            LIMIT,
            format!("{{ {levels} }}"),
        ),
        attack(
            "list types in variables, 2,000 deep",
            LIMIT,
            format!(
                "query($v: {}Int{}) {{ viewer {{ subject }} }}",
                "[".repeat(2_000),
                "]".repeat(2_000)
            ),
        ),
    ]
}

fn fragments() -> Vec<Attack> {
    let doubling = |count: usize| {
        let mut text = String::from("{ ...f0 }");
        for n in 0..count {
            let next = n + 1;
            write!(text, " fragment f{n} on Query {{ ...f{next} ...f{next} }}").unwrap();
        }
        write!(
            text,
            " fragment f{count} on Query {{ viewer {{ subject }} }}"
        )
        .unwrap();
        text
    };
    let all_later = |count: usize| {
        let mut text = String::from("{ ...f0 }");
        for n in 0..count {
            let spreads = each(count - n, |later| format!("...f{} ", n + 1 + later));
            write!(text, " fragment f{n} on Query {{ {spreads} }}").unwrap();
        }
        write!(
            text,
            " fragment f{count} on Query {{ viewer {{ subject }} }}"
        )
        .unwrap();
        text
    };
    let chain = |count: usize| {
        let links = each(count, |n| {
            format!(" fragment f{n} on Query {{ ...f{} }}", n + 1)
        });
        format!("{{ ...f0 }} {links} fragment f{count} on Query {{ nothing }}")
    };
    let everyone = |count: usize| {
        let operations = each(count, |n| format!("query q{n} {{ ...f0 }} "));
        operations + &chain(count).replace("{ ...f0 } ", "")
    };
    let circles = each(300, |n| {
        format!(
            " fragment f{n} on Query {{ ...f{} ...f{} }}",
            (n + 1) % 300,
            (n * 7 + 3) % 300
        )
    });
    vec![
        attack("fragments that double 30 times", LIMIT, doubling(30)),
        attack("fragments that double 400 times", LIMIT, doubling(400)),
        attack("fragments that spread all later ones", LIMIT, all_later(80)),
        attack("a chain of 700 fragments", INVALID, chain(700)),
        attack(
            "300 operations over a chain of 300 fragments",
            INVALID,
            everyone(300),
        ),
        attack(
            "a fragment that spreads itself",
            INVALID,
            "{ ...f } fragment f on Query { ...f }",
        ),
        attack(
            "300 fragments in circles",
            INVALID,
            format!("{{ ...f0 }} {circles}"),
        ),
        attack(
            "1,500 spreads of nothing",
            INVALID,
            format!("{{ {} }}", each(1_500, |n| format!("...n{n} "))),
        ),
    ]
}

fn floods() -> Vec<Attack> {
    let flood = |what: &str| what.repeat(2_000);
    let skips = flood("@skip(if: true) ");
    let same = each(100, |n| {
        format!("a: customer(id: \"1\") {{ b{n}: id b: sources {{ remoteId }} }} ")
    });
    let same_spread = each(100, |_| "a: customer(id: \"1\") { ...f } ".to_owned());
    let operations = |count: usize| each(count, |n| format!("query q{n} {{ nothing }} "));
    let variables = |count: usize| each(count, |n| format!("$v{n}: Int = {n} "));
    vec![
        attack(
            "3,000 aliases",
            LIMIT,
            format!(
                "{{ {} }}",
                each(3_000, |n| format!("a{n}: viewer {{ subject }} "))
            ),
        ),
        attack(
            "600 aliases of a leaf",
            LIMIT,
            format!("{{ {} }}", each(600, |n| format!("a{n}: __typename "))),
        ),
        attack(
            "directives on a field",
            LIMIT,
            format!("{{ viewer {skips} {{ subject }} }}"),
        ),
        attack(
            "directives on a fragment",
            LIMIT,
            format!("{{ ... {skips} {{ viewer {{ subject }} }} }}"),
        ),
        attack(
            "directives on a fragment's definition",
            LIMIT,
            format!(
                "{{ ...f }} fragment f on Query {} {{ viewer {{ subject }} }}",
                flood("@no ")
            ),
        ),
        attack(
            "directives on an operation",
            LIMIT,
            format!("query {} {{ viewer {{ subject }} }}", flood("@no ")),
        ),
        attack(
            "directives on a variable",
            LIMIT,
            format!(
                "query($v: Int {}) {{ viewer {{ subject }} }}",
                flood("@no ")
            ),
        ),
        attack(
            "fields that overlap",
            INVALID,
            format!("{{ {same} nothing }}"),
        ),
        attack(
            "fields that overlap in a fragment",
            INVALID,
            format!(
                "{{ {same_spread} nothing }} fragment f on Customer {{ id b: sources {{ remoteId }} }}"
            ),
        ),
        attack("3,000 operations", LIMIT, operations(3_000)),
        attack("400 operations", INVALID, operations(400)),
        attack(
            "3,000 variables",
            LIMIT,
            format!("query({}) {{ viewer {{ subject }} }}", variables(3_000)),
        ),
        attack(
            "1,000 variables",
            INVALID,
            format!("query({}) {{ viewer {{ subject }} }}", variables(1_000)),
        ),
        attack(
            "450 unknown fields",
            INVALID,
            format!("{{ {} }}", each(450, |n| format!("custmer{n} "))),
        ),
        attack(
            "a list of 7,000 values",
            INVALID,
            format!(
                "{{ customers(filter: {{tags: [{}]}}) {{ nothing }} }}",
                "1,".repeat(7_000)
            ),
        ),
        attack(
            "lists of lists",
            LIMIT,
            "{ customers(first: 100) { nodes { orders(first: 100) { nodes { customer { orders(first: 100) { nodes { id } } } } } } } }",
        ),
    ]
}

fn texts() -> Vec<Attack> {
    let with = |key: &str| format!("{{ source(key: {key}) {{ nothing }} }}");
    let long = "x".repeat(60_000);
    vec![
        attack("a string of 60 kB", INVALID, with(&format!("\"{long}\""))),
        attack(
            "a string of 80 kB",
            LIMIT,
            with(&format!("\"{}\"", "x".repeat(80_000))),
        ),
        attack(
            "a block string of 60 kB",
            INVALID,
            with(&format!("\"\"\"{long}\"\"\"")),
        ),
        attack(
            "a block string of 20,000 lines",
            INVALID,
            with(&format!("\"\"\"{}\"\"\"", " \n".repeat(20_000))),
        ),
        attack(
            "a string of escapes",
            INVALID,
            with(&format!("\"{}\"", "\\u00e9".repeat(9_000))),
        ),
        attack(
            "a comment of 60 kB",
            INVALID,
            format!("#{long}\n{{ nothing }}"),
        ),
        attack(
            "20,000 comments",
            INVALID,
            format!("{}{{ nothing }}", "#\n".repeat(20_000)),
        ),
        attack(
            "60,000 commas",
            INVALID,
            format!("{{ nothing {} }}", ",".repeat(60_000)),
        ),
        attack("a name of 60 kB", INVALID, format!("{{ {long} }}")),
        attack("a string that does not end", UNREADABLE, with("\"abc")),
        attack(
            "a block string that does not end",
            UNREADABLE,
            with("\"\"\"abc"),
        ),
        attack(
            "5,000 strings that do not end",
            UNREADABLE,
            "\"\n".repeat(5_000),
        ),
        attack(
            "a number of 5,000 digits",
            UNREADABLE,
            format!(
                "{{ customers(first: {}) {{ nothing }} }}",
                "9".repeat(5_000)
            ),
        ),
        attack(
            "a float of 5,000 digits",
            UNREADABLE,
            format!(
                "{{ customers(first: 1e{}) {{ nothing }} }}",
                "9".repeat(5_000)
            ),
        ),
        attack(
            "letters from everywhere",
            UNREADABLE,
            "\u{202e}é日本🦀\u{0}\u{feff}\u{fffd}".repeat(1_500),
        ),
        attack(
            "nothing but punctuation",
            UNREADABLE,
            "!$&|=:".repeat(1_300),
        ),
        attack(
            "a parser led astray",
            UNREADABLE,
            format!("{{ a({}", "a: $b ".repeat(1_500)),
        ),
    ]
}

fn variables() -> Vec<Attack> {
    let taking = |name, code, value: String| Attack {
        name,
        code,
        query: "query($f: CustomerFilter) { customers(filter: $f) { nodes { id } } }".to_owned(),
        variables: format!("{{\"f\": {value}}}"),
    };
    let deep = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
    let objects = |count: usize| format!("{}1{}", "{\"a\":".repeat(count), "}".repeat(count));
    vec![
        taking("100,000 lists in variables", "BAD_REQUEST", deep(100_000)),
        taking(
            "20,000 objects in variables",
            "BAD_REQUEST",
            objects(20_000),
        ),
        taking("100 lists in variables", INVALID, deep(100)),
        taking("100 objects in variables", INVALID, objects(100)),
        taking(
            "15,000 wrong members",
            INVALID,
            format!("{{{}\"z\":1}}", each(15_000, |n| format!("\"m{n}\":1,"))),
        ),
        taking(
            "100,000 wrong items",
            INVALID,
            format!("{{\"tags\":[{}1]}}", "1,".repeat(100_000)),
        ),
        taking(
            "a number of 100,000 digits",
            "BAD_REQUEST",
            "9".repeat(100_000),
        ),
    ]
}

struct Target {
    process: Process,
    client: reqwest::Client,
}

impl Target {
    async fn post(&self, attack: &Attack) -> Value {
        // The variables are text, since a nesting like theirs is more than a builder of JSON takes.
        let query = Value::from(attack.query.as_str());
        let body = format!(
            "{{\"query\": {query}, \"variables\": {}}}",
            attack.variables
        );
        let url = format!("{}/graphql", self.process.url);
        let request = self.client.post(url).bearer_auth(&self.process.token);
        let request = request
            .header("content-type", "application/json")
            .body(body);
        let answer = request.send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    async fn get(&self, attack: &Attack) -> Value {
        let pairs = [("query", &attack.query), ("variables", &attack.variables)];
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        let url = format!("{}/graphql?{query}", self.process.url);
        let request = self.client.get(url).bearer_auth(&self.process.token);
        let answer = request.send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// How often vendors were called since the start.
    async fn vendor_calls(&self) -> f64 {
        let url = format!("{}/metrics", self.process.url);
        let text = self
            .client
            .get(url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        text.lines()
            .filter(|line| line.starts_with("tributary_vendor_calls_total"))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// Attacks once; what is wrong with the outcome.
    async fn endure(&mut self, attack: &Attack, by_get: bool) -> Vec<String> {
        self.process.forget_peak();
        let before = self.process.usage();
        let answer = if by_get {
            self.get(attack).await
        } else {
            self.post(attack).await
        };
        let after = self.process.usage();
        let cpu_seconds = after.cpu_seconds - before.cpu_seconds;
        let memory_bytes = after.memory_peak_bytes.saturating_sub(before.memory_bytes);
        let mut wrong = Vec::new();
        let code = &answer["errors"][0]["extensions"]["code"];
        if *code != attack.code || answer.get("data").is_some() {
            let text: String = answer.to_string().chars().take(300).collect();
            wrong.push(format!(
                "is answered with {code}, not {}: {text}",
                attack.code
            ));
        }
        if cpu_seconds > CPU_SECONDS_MAX {
            wrong.push(format!("took {cpu_seconds} s of CPU"));
        }
        if memory_bytes > MEMORY_BYTES_MAX {
            wrong.push(format!("took {memory_bytes} bytes more"));
        }
        if !self.process.is_running() {
            wrong.push("ended the process".to_owned());
        }
        wrong
    }
}

#[tokio::test]
async fn hostile_documents_are_refused_and_leave_the_process_as_it_was() {
    let mut target = Target {
        process: Process::start(),
        client: reqwest::Client::builder().no_proxy().build().unwrap(),
    };
    let greeting = attack(
        "a first request, which sets things up",
        LIMIT,
        "{ viewer { subject } }",
    );
    let greeted = target.post(&greeting).await;
    assert_eq!(greeted["data"]["viewer"]["subject"], "developer");
    let calls = target.vendor_calls().await;
    let mut wrong = Vec::new();
    let groups = [nesting(), fragments(), floods(), texts(), variables()];
    for attack in groups.into_iter().flatten() {
        for by_get in [false, true] {
            if by_get && attack.query.len() + attack.variables.len() > URL_BYTES_MAX {
                continue;
            }
            for fault in target.endure(&attack, by_get).await {
                wrong.push(format!(
                    "{}{}: {fault}",
                    if by_get { "GET: " } else { "" },
                    attack.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(target.vendor_calls().await, calls, "a vendor was asked");
    assert_eq!(
        target.post(&greeting).await["data"]["viewer"]["subject"],
        "developer"
    );
}
