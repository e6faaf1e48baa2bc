//! A fake vendor on raw sockets, so that it can break every rule of HTTP.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinHandle, JoinSet};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path and query, unparsed.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// When it had arrived.
    pub at: Instant,
}

impl Request {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What the vendor does with a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A proper reply.
    Reply {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// Nothing ever, the connection stays open.
    Hang,
    /// The connection is closed at once.
    Close,
    /// These bytes, then the connection is closed.
    Raw(Vec<u8>),
    /// A proper head, then one byte of the body per pause.
    Drip { body: Vec<u8>, pause: Duration },
    /// A proper head that promises that many bytes, then those bytes, then the connection is closed.
    Promise { length: usize, body: Vec<u8> },
    /// A body without end, in chunks.
    Flood,
    /// A head without end, of such pieces.
    HeaderFlood(Vec<u8>),
    /// The answer once the semaphore gives a permit, which is used up.
    Held(Arc<Semaphore>, Box<Answer>),
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self::Reply {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn text(body: impl Into<Vec<u8>>) -> Self {
        Self::Reply {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::text(body).with("content-type", "application/json")
    }

    /// Adds a header to a proper reply.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Reply { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }
}

type Handler = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

/// A running vendor; it ends with this value.
pub struct Vendor {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    handler: Handler,
    requests: Mutex<Vec<Request>>,
    arrived: Notify,
    connections: AtomicUsize,
    running: AtomicUsize,
    running_max: AtomicUsize,
    given_up: AtomicUsize,
}

impl Vendor {
    /// Starts one that answers by a function.
    pub async fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            handler: Arc::new(handler),
            requests: Mutex::default(),
            arrived: Notify::new(),
            connections: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            running_max: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { port, shared, task }
    }

    /// Starts one that gives these answers in turn, then the last for ever.
    pub async fn queue(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
        Self::start(move |_| {
            let mut answers = answers.lock().unwrap();
            if answers.len() > 1 {
                return answers.pop_front().unwrap();
            }
            answers.front().cloned().expect("a queue holds an answer")
        })
        .await
    }

    /// Stops it: from now on nobody listens there.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Waits until that many requests have arrived.
    pub async fn arrived(&self, count: usize) {
        self.until(|shared| shared.requests.lock().unwrap().len() >= count)
            .await;
    }

    /// Waits until that many callers have closed the connection on which this vendor hung.
    pub async fn given_up(&self, count: usize) {
        self.until(|shared| shared.given_up.load(Ordering::SeqCst) >= count)
            .await;
    }

    async fn until(&self, holds: impl Fn(&Shared) -> bool) {
        loop {
            let notified = self.shared.arrived.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if holds(&self.shared) {
                return;
            }
            notified.await;
        }
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many requests were being answered at once, at most.
    pub fn running_max(&self) -> usize {
        self.shared.running_max.load(Ordering::SeqCst)
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Owned here, so that aborting this task ends every connection.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        connections.spawn(converse(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await {
        let running = shared.running.fetch_add(1, Ordering::SeqCst) + 1;
        shared.running_max.fetch_max(running, Ordering::SeqCst);
        shared.requests.lock().unwrap().push(request.clone());
        shared.arrived.notify_waiters();
        let answer = (shared.handler)(&request);
        let stays_open = give(&mut stream, answer, &shared).await;
        if !stays_open {
            return;
        }
    }
}

async fn give(stream: &mut TcpStream, answer: Answer, shared: &Shared) -> bool {
    let mut answer = answer;
    while let Answer::Held(permits, then) = answer {
        permits.acquire().await.unwrap().forget();
        answer = *then;
    }
    if matches!(answer, Answer::Hang) {
        while fill(stream, &mut Vec::new()).await.is_some() {}
        shared.given_up.fetch_add(1, Ordering::SeqCst);
        shared.arrived.notify_waiters();
        return false;
    }
    shared.running.fetch_sub(1, Ordering::SeqCst);
    write(stream, answer).await.unwrap_or(false)
}

async fn write(stream: &mut TcpStream, answer: Answer) -> std::io::Result<bool> {
    match answer {
        Answer::Reply {
            status,
            headers,
            body,
        } => {
            let mut bytes = format!("HTTP/1.1 {status} Scripted\r\n").into_bytes();
            for (name, value) in headers {
                bytes.extend(format!("{name}: {value}\r\n").into_bytes());
            }
            bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
            bytes.extend(body);
            stream.write_all(&bytes).await?;
            return Ok(true);
        }
        Answer::Close | Answer::Hang | Answer::Held(..) => {}
        Answer::Raw(bytes) => stream.write_all(&bytes).await?,
        Answer::Drip { body, pause } => {
            stream.write_all(&head(body.len())).await?;
            for byte in body {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(pause).await;
            }
            return Ok(true);
        }
        Answer::Promise { length, body } => {
            stream.write_all(&head(length)).await?;
            stream.write_all(&body).await?;
        }
        Answer::HeaderFlood(piece) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all(&piece).await?;
            }
        }
        Answer::Flood => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .await?;
            let mut chunk = b"10000\r\n".to_vec();
            chunk.extend(vec![b'x'; 0x10000]);
            chunk.extend(b"\r\n");
            loop {
                stream.write_all(&chunk).await?;
            }
        }
    }
    stream.flush().await?;
    stream.shutdown().await?;
    Ok(false)
}

fn head(length: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes()
}

/// Reads one request; none when the client closed.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        fill(stream, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    while buffer.len() < end + 4 + length {
        fill(stream, buffer).await?;
    }
    let body = buffer[end + 4..end + 4 + length].to_vec();
    buffer.drain(..end + 4 + length);
    Some(Request {
        method,
        target,
        headers,
        body,
        at: Instant::now(),
    })
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 8192];
    let count = stream.read(&mut chunk).await.ok()?;
    buffer.extend_from_slice(&chunk[..count]);
    (count > 0).then_some(())
}
