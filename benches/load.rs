//! The load generator: connections that ask, check the answer and ask again.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::Outcome;
use crate::wire::Wire;

/// A request with the answer that is right.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The request's bytes.
    pub request: Bytes,
    /// The right answer's body; any without an error when absent.
    pub expected: Option<Bytes>,
}

/// What a stretch of load brought.
#[derive(Debug, Default)]
pub struct Load {
    /// How long each request of the stretch took, in order of length.
    pub latencies: Vec<Duration>,
    /// How many answers were wrong.
    pub wrong: u64,
    /// The beginning of the first wrong one.
    pub first_wrong: Option<String>,
    /// How long the stretch was.
    pub elapsed: Duration,
}

impl Load {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        count(self.latencies.len()) / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The latency that so many of a thousand requests do not exceed.
    pub fn quantile(&self, of_thousand: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let at = last * of_thousand / 1000;
        self.latencies.get(at).copied().unwrap_or_default()
    }
}

/// A count as a number to divide by.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of one run are far below 2^52"
)]
pub fn count(number: usize) -> f64 {
    number as f64
}

/// The times of a stretch.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// How long load is applied before anything counts.
    pub warm_up: Duration,
    /// How long it counts.
    pub stretch: Duration,
}

#[derive(Debug, Default)]
struct Shared {
    counts: Cell<bool>,
    stopped: Cell<bool>,
    load: RefCell<Load>,
}

/// Applies load: one connection for each list of requests, which it sends in turn. `edge` is called as the stretch begins
/// and as it ends.
pub async fn apply(
    address: SocketAddr,
    connections: &[Vec<Ask>],
    times: Times,
    mut edge: impl FnMut() -> Outcome<()>,
) -> Outcome<Load> {
    let shared = Rc::new(Shared::default());
    let local = LocalSet::new();
    let mut tasks = Vec::new();
    for asks in connections {
        let (asks, shared) = (asks.clone(), shared.clone());
        tasks.push(local.spawn_local(connection(address, asks, shared)));
    }
    local
        .run_until(async {
            tokio::time::sleep(times.warm_up).await;
            edge()?;
            let begun = Instant::now();
            shared.counts.set(true);
            tokio::time::sleep(times.stretch).await;
            shared.counts.set(false);
            let elapsed = begun.elapsed();
            edge()?;
            shared.stopped.set(true);
            for task in tasks {
                task.await??;
            }
            let mut load = shared.load.take();
            load.elapsed = elapsed;
            load.latencies.sort_unstable();
            Ok(load)
        })
        .await
}

async fn connection(address: SocketAddr, asks: Vec<Ask>, shared: Rc<Shared>) -> Outcome<()> {
    let mut wire = Wire::new(TcpStream::connect(address).await?)?;
    for ask in asks.iter().cycle() {
        if shared.stopped.get() {
            break;
        }
        let begun = Instant::now();
        wire.write(&ask.request).await?;
        let Some(frame) = wire.read().await? else {
            return Err("the server hung up".into());
        };
        let latency = begun.elapsed();
        let body = wire.body(frame);
        let is_right = wire.head(frame).starts_with(b"HTTP/1.1 200 ")
            && match &ask.expected {
                Some(expected) => body == expected,
                None => !has_errors(body),
            };
        let mut load = shared.load.borrow_mut();
        if !is_right {
            load.wrong += 1;
            load.first_wrong
                .get_or_insert_with(|| shorten(&String::from_utf8_lossy(body)));
        }
        if shared.counts.get() {
            load.latencies.push(latency);
        }
        drop(load);
        wire.pass(frame);
    }
    Ok(())
}

/// Asks once; the answer must be 200 and without errors.
pub async fn once(address: SocketAddr, request: &Bytes) -> Outcome<Bytes> {
    let mut wire = Wire::new(TcpStream::connect(address).await?)?;
    wire.write(request).await?;
    let frame = wire.read().await?.ok_or("the server hung up")?;
    let body = Bytes::copy_from_slice(wire.body(frame));
    if !wire.head(frame).starts_with(b"HTTP/1.1 200 ") || has_errors(&body) {
        return Err(format!("refused: {}", shorten(&String::from_utf8_lossy(&body))).into());
    }
    Ok(body)
}

/// Whether an answer tells of errors, which stand at its beginning or at its end.
fn has_errors(body: &[u8]) -> bool {
    body.starts_with(br#"{"errors""#) || body.windows(11).any(|part| part == br#"],"errors":"#)
}

fn shorten(text: &str) -> String {
    text.chars().take(400).collect()
}
