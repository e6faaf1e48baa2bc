//! The vendors of a measurement: five ports that answer from memory what the sandbox company answered once.
//!
//! They run on the core of the load generator, so they must cost little: a reply is found by the request's first line and
//! body, and written as it is. What is asked for the first time is passed on to the sandbox company, which learns nothing
//! of the measurement.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tokio::net::{TcpListener, TcpStream};
use tributary::sandbox::{Options, Sandbox, Vendor};

use crate::Outcome;
use crate::wire::{Frame, Wire, digest, first_line};

/// How many people the company has: enough for 128 pages of 100, so that no two connections ask for the same.
const CUSTOMERS: usize = 14_000;
/// Headers that belong to a connection and are not passed on.
const OF_CONNECTION: [HeaderName; 4] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONNECTION,
    header::ACCEPT_ENCODING,
];

/// What one kind of request was asked for how often.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The vendor's name, the request's first line and its body.
    pub text: String,
    /// The bytes of the reply.
    pub reply: Bytes,
}

#[derive(Debug)]
struct Shared {
    replies: RwLock<HashMap<u64, Bytes>>,
    recorded: Mutex<Vec<Asked>>,
    targets: BTreeMap<Vendor, String>,
    client: reqwest::Client,
    calls: AtomicU64,
    latency: Duration,
    /// The vendor that takes calls and never answers.
    hanging: Mutex<Option<Vendor>>,
}

/// The vendors, serving until they are dropped.
#[derive(Debug)]
pub struct Vendors {
    shared: Arc<Shared>,
    environment: BTreeMap<String, String>,
    sandbox: Sandbox,
}

impl Vendors {
    /// Starts the company, and a port in front of each of its vendors.
    pub async fn start(latency: Duration) -> Outcome<Self> {
        let options = Options {
            customers: CUSTOMERS,
            ..Options::default()
        };
        let sandbox = Sandbox::start(options).await?;
        let mut environment = sandbox.environment();
        let mut targets = BTreeMap::new();
        let mut listeners = Vec::new();
        for vendor in Vendor::ALL {
            let origin = origin(&sandbox.url(vendor));
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let ours = format!("http://{}", listener.local_addr()?);
            let name = format!("{}_URL", vendor.key().to_ascii_uppercase());
            let url = sandbox.url(vendor).replacen(&origin, &ours, 1);
            environment.insert(name, url);
            targets.insert(vendor, origin);
            listeners.push((vendor, listener));
        }
        let shared = Arc::new(Shared {
            replies: RwLock::default(),
            recorded: Mutex::default(),
            targets,
            client: reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([])
                .build()?,
            calls: AtomicU64::new(0),
            latency,
            hanging: Mutex::default(),
        });
        for (vendor, listener) in listeners {
            tokio::spawn(accept(listener, vendor, shared.clone()));
        }
        Ok(Self {
            shared,
            environment,
            sandbox: sandbox,
        })
    }

    /// The variables that the connector files read.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// The addresses of so many people whom every vendor knows and nobody else is known by, Ana Silva first.
    pub fn emails(&self, count: usize) -> Vec<String> {
        let mut times: HashMap<String, usize> = HashMap::new();
        let company = self.sandbox.truth();
        for person in &company.people {
            *times.entry(person.email.to_lowercase()).or_default() += 1;
        }
        let known_by_all = company
            .people
            .iter()
            .filter(|person| Vendor::ALL.iter().all(|vendor| person.is_in(*vendor)))
            .map(|person| person.email.to_lowercase())
            .filter(|email| email.contains('@') && times.get(email) == Some(&1));
        known_by_all.take(count).collect()
    }

    /// How many calls arrived so far.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// What was asked for the first time, in order, since this was called last.
    pub fn take_recorded(&self) -> Vec<Asked> {
        std::mem::take(&mut *lock(&self.shared.recorded))
    }

    /// Lets one vendor hang, or none.
    pub fn hang(&self, vendor: Option<Vendor>) {
        *lock(&self.shared.hanging) = vendor;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A URL without its path.
fn origin(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}

async fn accept(listener: TcpListener, vendor: Vendor, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            // A connection that breaks shows as a failed request of the gateway.
            let _ = serve(stream, vendor, &shared).await;
        });
    }
}

async fn serve(stream: TcpStream, vendor: Vendor, shared: &Shared) -> Outcome<()> {
    let mut wire = Wire::new(stream)?;
    while let Some(frame) = wire.read().await? {
        shared.calls.fetch_add(1, Ordering::Relaxed);
        if *lock(&shared.hanging) == Some(vendor) {
            std::future::pending::<()>().await;
        }
        if !shared.latency.is_zero() {
            tokio::time::sleep(shared.latency).await;
        }
        let line = first_line(wire.head(frame));
        let key = digest(&[vendor.key().as_bytes(), line, wire.body(frame)]);
        let known = shared
            .replies
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        let reply = match known {
            Some(reply) => reply,
            None => pass_on(&wire, frame, (vendor, key), shared).await?,
        };
        wire.pass(frame);
        wire.write(&reply).await?;
    }
    Ok(())
}

/// Asks the sandbox company, and remembers what it says.
async fn pass_on(
    wire: &Wire,
    frame: Frame,
    (vendor, key): (Vendor, u64),
    shared: &Shared,
) -> Outcome<Bytes> {
    let head = std::str::from_utf8(wire.head(frame))?;
    let line = std::str::from_utf8(first_line(wire.head(frame)))?;
    let mut words = line.split(' ');
    let method = Method::from_bytes(words.next().unwrap_or_default().as_bytes())?;
    let origin = shared.targets.get(&vendor).ok_or("a vendor has no port")?;
    let url = format!("{origin}{}", words.next().unwrap_or_default());
    let reply = shared
        .client
        .request(method, url)
        .headers(headers(head)?)
        .body(Bytes::copy_from_slice(wire.body(frame)))
        .send()
        .await?;
    let status = reply.status();
    let kind = reply.headers().get(header::CONTENT_TYPE);
    let kind = kind.map_or("text/plain", |kind| kind.to_str().unwrap_or("text/plain"));
    let mut bytes = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n");
    let body = reply.bytes().await?;
    bytes.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(&body);
    let bytes = Bytes::from(bytes);
    shared
        .replies
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(key, bytes.clone());
    let body = String::from_utf8_lossy(wire.body(frame));
    lock(&shared.recorded).push(Asked {
        text: format!("{} {line} {body}", vendor.key()),
        reply: bytes.clone(),
    });
    Ok(bytes)
}

fn headers(head: &str) -> Outcome<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in head.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let name = HeaderName::from_bytes(name.as_bytes())?;
        if !OF_CONNECTION.contains(&name) {
            headers.append(name, HeaderValue::from_str(value.trim())?);
        }
    }
    Ok(headers)
}
