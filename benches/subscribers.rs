//! What an idle subscriber costs: opens WebSockets with one silent subscription each and prints the growth of the process.
//!
//! `scripts/bench` runs it; how many there are is its argument. The clients are a process of their own, so that only the gateway's side is
//! counted. Each subscriber takes a file handle on both sides; `ulimit -n` must allow them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement fails by panicking and prints its figure"
)]

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tributary::auth::caller::Caller;
use tributary::auth::{AuthError, Proofs};
use tributary::cache::clock::Clock;
use tributary::config::Config;
use tributary::engine::stream::Events;
use tributary::engine::{Answer, Request};
use tributary::http::document::Documents;
use tributary::http::health::Readiness;
use tributary::http::limit::meter::Meter;
use tributary::http::settings::{GraphiqlSettings, ServerSettings, StreamSettings};
use tributary::http::{CallerCheck, Desk, GraphqlService, Services, routes, serve};
use tributary::{app, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SUBSCRIBERS: usize = 10_000;
/// Connections that warm the process up before it is measured.
const WARM_UP: usize = 100;

fn main() {
    let words: Vec<String> = env::args().collect();
    if let Some(at) = words.iter().position(|word| word == "--client") {
        let address = words.get(at + 1).unwrap().parse().unwrap();
        return clients(address);
    }
    let count = words.iter().find_map(|word| word.parse().ok());
    let count = count.unwrap_or(SUBSCRIBERS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(measure(count));
}

async fn measure(count: usize) {
    let connections_max = count + WARM_UP + 1;
    let settings = ServerSettings {
        connections_max,
        streams: StreamSettings {
            connections_max,
            ..StreamSettings::default()
        },
        ..ServerSettings::default()
    };
    let services = Services {
        engine: Arc::new(Silent),
        auth: Arc::new(Anybody),
        desk: Arc::new(Desk {
            allowances: app::settings::allowances(&Config::default()),
            meter: Arc::new(Meter::new(None, Clock::system())),
            documents: Documents::new([], None),
        }),
        readiness: Arc::new(|| Readiness {
            is_ready: true,
            checks: Vec::new(),
        }),
        metrics: telemetry::install().unwrap(),
        graphiql: GraphiqlSettings::default(),
    };
    let routes = routes(services, &settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve::serve(
        listener,
        routes,
        settings,
        serve::Security::default(),
        stop.clone(),
    ));
    let figures = tokio::task::spawn_blocking(move || {
        let mut clients = Clients::start(address);
        clients.open(WARM_UP);
        let before = resident_bytes();
        clients.open(count);
        (before, resident_bytes())
    });
    let (before, after) = figures.await.unwrap();
    let each = after.saturating_sub(before) / count as u64;
    println!(
        "idle subscribers: {count}, memory of each: {each} bytes, of the process: {after} bytes"
    );
    stop.cancel();
    server.await.unwrap();
}

/// The clients' process, which opens connections on request.
struct Clients {
    process: std::process::Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Clients {
    fn start(address: SocketAddr) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--client", &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        Self { process, said }
    }

    /// Opens connections, and waits until all of them are subscribed.
    fn open(&mut self, count: usize) {
        let input = self.process.stdin.as_mut().unwrap();
        writeln!(input, "{count}").unwrap();
        input.flush().unwrap();
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "open", "the clients could not connect");
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Opens as many connections as each line of standard input says, and holds them to its end.
fn clients(address: SocketAddr) {
    let mut held = Vec::new();
    for line in std::io::stdin().lines() {
        let count: usize = line.unwrap().parse().unwrap();
        for _ in 0..count {
            held.push(subscribe(address));
        }
        println!("open");
    }
}

const HANDSHAKE: &str = "GET /graphql HTTP/1.1\r\nhost: bench\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    sec-websocket-protocol: graphql-transport-ws\r\n\r\n";

/// One connection, handed back when its subscription runs: a ping behind it was answered.
fn subscribe(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(HANDSHAKE.as_bytes()).unwrap();
    read_until(&mut stream, "\r\n\r\n");
    stream
        .write_all(&frame(r#"{"type":"connection_init"}"#))
        .unwrap();
    read_until(&mut stream, "connection_ack");
    let subscribe = r#"{"type":"subscribe","id":"1","payload":{"query":"subscription { customerChanged { id } }"}}"#;
    stream.write_all(&frame(subscribe)).unwrap();
    stream.write_all(&frame(r#"{"type":"ping"}"#)).unwrap();
    read_until(&mut stream, "pong");
    stream
}

fn read_until(stream: &mut TcpStream, end: &str) {
    let mut read = Vec::new();
    let mut bytes = [0; 512];
    while !String::from_utf8_lossy(&read).contains(end) {
        let count = stream.read(&mut bytes).unwrap();
        assert_ne!(count, 0, "the gateway closed the connection");
        read.extend(bytes.iter().take(count));
    }
}

/// A text frame, masked with zeros as a client's frame must be masked with something.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("short");
    let mut frame = vec![0x81];
    if length < 126 {
        frame.push(0x80 | length);
    } else {
        frame.extend([0x80 | 126, 0, length]);
    }
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024
}

struct Silent;

impl GraphqlService for Silent {
    fn execute(&self, _: Request, _: Arc<Caller>) -> BoxFuture<'_, Answer> {
        Box::pin(async {
            Answer {
                body: Bytes::from_static(b"{}"),
                refused: None,
            }
        })
    }

    fn kind(&self, _: &Request) -> Option<OperationType> {
        Some(OperationType::Subscription)
    }

    fn subscribe(&self, _: Request, _: Arc<Caller>) -> BoxFuture<'_, Result<Events, Answer>> {
        Box::pin(async { Ok(stream::pending().boxed()) })
    }
}

struct Anybody;

impl CallerCheck for Anybody {
    fn authenticate<'a>(&'a self, _: Proofs<'a>) -> BoxFuture<'a, Result<Arc<Caller>, AuthError>> {
        Box::pin(async {
            Ok(Arc::new(Caller {
                issuer: "https://issuer.example".to_owned(),
                subject: "subscriber".to_owned(),
                tenant: None,
                scopes: BTreeSet::from(["customer:read".to_owned()]),
                roles: BTreeSet::new(),
                claims: serde_json::Map::new(),
                expires_at: Utc::now() + TimeDelta::hours(1),
            }))
        })
    }

    fn outlived<'a>(&'a self, caller: &'a Caller) -> BoxFuture<'a, AuthError> {
        Box::pin(caller.expired())
    }
}
