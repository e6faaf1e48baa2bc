//! One WebSocket connection: the `graphql-transport-ws` protocol, with its close codes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, AbortHandle, BoxStream, SelectAll};
use serde_json::{Map, Value};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::auth::caller::Caller;
use crate::error::Code;
use crate::telemetry::STREAMS_ENDED;

use crate::http::GraphqlState;
use crate::http::limit::meter::Seat;
use crate::http::operation::Outcome;
use crate::http::params;
use crate::http::proof::Brought;
use crate::http::refusal::Refusal;
use crate::http::stream::message::{self, Incoming};

/// Keys of the payload of `connection_init` that may bring the proof, compared without case.
const PROOF: &str = "authorization";
/// How many pings may go unanswered.
const PINGS_UNANSWERED_MAX: u32 = 2;

/// Why a connection is closed, as code and reason of the close frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Goodbye {
    code: u16,
    reason: String,
}

impl Goodbye {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        let mut reason: String = reason.into();
        // A close frame has room for 123 bytes of reason.
        while reason.len() > 123 {
            reason.pop();
        }
        Self { code, reason }
    }

    fn stopping() -> Self {
        Self::new(1001, "The gateway stops")
    }

    fn slow() -> Self {
        Self::new(1013, "The connection is read too slowly")
    }

    fn name(&self) -> &'static str {
        match self.code {
            1000 => "left",
            1001 => "stopped",
            1013 => "slow",
            4401 | 4403 => "denied",
            4408 => "timeout",
            _ => "protocol",
        }
    }
}

/// What an operation says; the last word ends it.
enum Said {
    Next(String),
    Last(String),
}

/// An operation's words, under its name.
type Operation = BoxStream<'static, (Arc<str>, Said)>;

/// One connection.
pub(crate) struct Connection {
    state: Arc<GraphqlState>,
    request_id: Arc<str>,
    /// Proof that came with the handshake, for clients that are no browsers.
    brought: Brought,
    caller: Option<Arc<Caller>>,
    seat: Option<Seat>,
    operations: SelectAll<Operation>,
    running: HashMap<Arc<str>, AbortHandle>,
    allowance: Allowance,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    pub(crate) fn new(
        state: Arc<GraphqlState>,
        request_id: &str,
        brought: Brought,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let allowance = Allowance::new(state.streams.settings.messages_per_second);
        Self {
            state,
            request_id: request_id.into(),
            brought,
            caller: None,
            seat: None,
            operations: SelectAll::new(),
            running: HashMap::new(),
            allowance,
            _permit: permit,
        }
    }

    /// Serves the connection to its end.
    pub(crate) async fn run(mut self, mut socket: WebSocket) {
        let goodbye = if socket.protocol().is_none() {
            Goodbye::new(4406, "Subprotocol not acceptable")
        } else {
            match self.begin(&mut socket).await {
                Ok(caller) => self.serve(&mut socket, &caller).await,
                Err(goodbye) => goodbye,
            }
        };
        metrics::counter!(STREAMS_ENDED, "reason" => goodbye.name()).increment(1);
        // Operations end before the farewell, which a reader that is gone may hold up.
        self.running.clear();
        self.operations = SelectAll::new();
        let timeout = self.state.streams.settings.write_timeout;
        let _ = tokio::time::timeout(timeout, close(&mut socket, goodbye)).await;
        if let Some(seat) = self.seat {
            seat.leave().await;
        }
    }

    /// Waits for `connection_init` and answers it.
    async fn begin(&mut self, socket: &mut WebSocket) -> Result<Arc<Caller>, Goodbye> {
        let timeout = self.state.streams.settings.init_timeout;
        let stop = self.state.streams.stop().clone();
        let init = tokio::select! {
            () = stop.cancelled() => return Err(Goodbye::stopping()),
            init = tokio::time::timeout(timeout, self.initialisation(socket)) => {
                init.map_err(|_| Goodbye::new(4408, "Connection initialisation timeout"))??
            }
        };
        let later = proof(&init).map(str::to_owned);
        let brought = std::mem::take(&mut self.brought).or_later(later);
        let auth = &self.state.services.auth;
        let caller =
            auth.authenticate(brought.proofs())
                .await
                .map_err(|error| match error.code {
                    Code::Internal => Goodbye::new(4500, "Internal server error"),
                    _ => Goodbye::new(4403, format!("Forbidden: {}", error.message)),
                })?;
        let desk = &self.state.services.desk;
        let streams_max = desk.allowances.of(&caller).streams_max;
        let seat = desk.meter.seat(&caller, streams_max).await;
        self.seat = Some(seat.map_err(|refusal| Goodbye::new(4429, refusal.message))?);
        self.caller = Some(Arc::clone(&caller));
        self.send(socket, message::ACK.to_owned()).await?;
        Ok(caller)
    }

    async fn initialisation(
        &mut self,
        socket: &mut WebSocket,
    ) -> Result<Map<String, Value>, Goodbye> {
        loop {
            let Some(text) = self.receive(socket).await? else {
                continue;
            };
            match message::read(&text).map_err(|why| Goodbye::new(4400, why))? {
                Incoming::Init(payload) => return Ok(payload),
                Incoming::Ping(payload) => self.send(socket, message::pong(payload)).await?,
                Incoming::Pong | Incoming::Complete { .. } => {}
                Incoming::Subscribe { .. } => return Err(Goodbye::new(4401, "Unauthorized")),
            }
        }
    }

    /// Serves operations until the connection ends, and says why it does.
    async fn serve(&mut self, socket: &mut WebSocket, caller: &Caller) -> Goodbye {
        let auth = Arc::clone(&self.state.services.auth);
        tokio::select! {
            biased;
            why = auth.outlived(caller) => Goodbye::new(4403, format!("Forbidden: {}", why.message)),
            goodbye = self.talk(socket) => goodbye,
        }
    }

    async fn talk(&mut self, socket: &mut WebSocket) -> Goodbye {
        let stop = self.state.streams.stop().clone();
        let ping_interval = self.state.streams.settings.ping_interval;
        let mut ping_at = Instant::now() + ping_interval;
        let mut unanswered = 0;
        loop {
            let renew_at = self.seat.as_ref().map_or(ping_at, Seat::renew_at);
            let done = tokio::select! {
                () = stop.cancelled() => Err(Goodbye::stopping()),
                received = self.operations_and(socket) => match received {
                    Heard::Message(Ok(text)) => {
                        unanswered = 0;
                        match text {
                            Some(text) => self.hear(socket, &text).await,
                            None => Ok(()),
                        }
                    }
                    Heard::Message(Err(goodbye)) => Err(goodbye),
                    Heard::Said(id, said) => self.say(socket, id, said).await,
                },
                () = tokio::time::sleep_until(renew_at) => self.renew().await,
                () = tokio::time::sleep_until(ping_at) => {
                    if unanswered >= PINGS_UNANSWERED_MAX {
                        Err(Goodbye::new(1001, "The connection gives no sign of life"))
                    } else {
                        unanswered = unanswered.saturating_add(1);
                        ping_at = Instant::now() + ping_interval;
                        self.write(socket, Message::Ping(Bytes::new())).await
                    }
                }
            };
            if let Err(goodbye) = done {
                return goodbye;
            }
        }
    }

    async fn renew(&mut self) -> Result<(), Goodbye> {
        if let Some(seat) = &mut self.seat {
            seat.renew().await;
        }
        Ok(())
    }

    /// Waits for what comes first: something from the client, or from an operation.
    async fn operations_and(&mut self, socket: &mut WebSocket) -> Heard {
        if self.operations.is_empty() {
            return Heard::Message(self.receive(socket).await);
        }
        tokio::select! {
            said = self.operations.next() => match said {
                Some((id, said)) => Heard::Said(id, said),
                None => Heard::Message(Ok(None)),
            },
            text = receive(socket) => Heard::Message(text.and_then(|text| self.allowance.spend(text))),
        }
    }

    async fn hear(&mut self, socket: &mut WebSocket, text: &str) -> Result<(), Goodbye> {
        match message::read(text).map_err(|why| Goodbye::new(4400, why))? {
            Incoming::Init(_) => Err(Goodbye::new(4429, "Too many initialisation requests")),
            Incoming::Ping(payload) => self.send(socket, message::pong(payload)).await,
            Incoming::Pong => Ok(()),
            Incoming::Subscribe { id, payload } => self.subscribe(socket, &id, payload).await,
            Incoming::Complete { id } => {
                if let Some(handle) = self.running.remove(&*id) {
                    handle.abort();
                }
                Ok(())
            }
        }
    }

    async fn subscribe(
        &mut self,
        socket: &mut WebSocket,
        id: &str,
        payload: Map<String, Value>,
    ) -> Result<(), Goodbye> {
        let Some(caller) = self.caller.clone() else {
            return Err(Goodbye::new(4401, "Unauthorized"));
        };
        if self.running.contains_key(id) {
            let reason = format!("Subscriber for {id} already exists");
            return Err(Goodbye::new(4409, reason));
        }
        if self.running.len() >= self.state.streams.settings.subscriptions_max {
            let most = self.state.streams.settings.subscriptions_max;
            let message = format!("at most {most} operations may run on one connection");
            let refusal = Refusal::new(Code::RateLimited, message);
            let error = refusal.error(&self.request_id);
            return self.send(socket, message::refusal(id, &error)).await;
        }
        let id: Arc<str> = id.into();
        let (handle, registration) = AbortHandle::new_pair();
        let operation = operation(
            Arc::clone(&self.state),
            Arc::clone(&id),
            Arc::clone(&self.request_id),
            payload,
            caller,
        );
        let operation = stream::Abortable::new(operation, registration);
        self.operations.push(operation.boxed());
        self.running.insert(id, handle);
        Ok(())
    }

    async fn say(
        &mut self,
        socket: &mut WebSocket,
        id: Arc<str>,
        said: Said,
    ) -> Result<(), Goodbye> {
        match said {
            Said::Next(text) => self.send(socket, text).await,
            Said::Last(text) => {
                self.running.remove(&id);
                self.send(socket, text).await
            }
        }
    }

    async fn receive(&mut self, socket: &mut WebSocket) -> Result<Option<String>, Goodbye> {
        let text = receive(socket).await?;
        self.allowance.spend(text)
    }

    async fn send(&mut self, socket: &mut WebSocket, text: String) -> Result<(), Goodbye> {
        self.write(socket, Message::Text(text.into())).await
    }

    /// Writes a message; a client that does not take it in time is let go, since what waits for it costs memory.
    async fn write(&mut self, socket: &mut WebSocket, message: Message) -> Result<(), Goodbye> {
        let timeout = self.state.streams.settings.write_timeout;
        match tokio::time::timeout(timeout, socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Goodbye::new(1000, "")),
            Err(_) => Err(Goodbye::slow()),
        }
    }
}

/// What comes next on a connection.
enum Heard {
    Message(Result<Option<String>, Goodbye>),
    Said(Arc<str>, Said),
}

/// The next text of the client; nothing for what the library answers by itself.
async fn receive(socket: &mut WebSocket) -> Result<Option<String>, Goodbye> {
    match socket.recv().await {
        None | Some(Ok(Message::Close(_))) => Err(Goodbye::new(1000, "")),
        Some(Ok(Message::Text(text))) => Ok(Some(text.as_str().to_owned())),
        Some(Ok(Message::Binary(_))) => Err(Goodbye::new(4400, "Invalid message: it is not text")),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Err(error)) => Err(of_error(error)),
    }
}

fn of_error(error: axum::Error) -> Goodbye {
    let error = error.into_inner();
    match error.downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Capacity(_)) => Goodbye::new(1009, "The message is too large"),
        Some(tungstenite::Error::Utf8(_)) => Goodbye::new(1007, "The text is not UTF-8"),
        Some(tungstenite::Error::Protocol(_)) => Goodbye::new(1002, "The frame is not right"),
        _ => Goodbye::new(1000, ""),
    }
}

async fn close(socket: &mut WebSocket, goodbye: Goodbye) {
    let frame = CloseFrame {
        code: goodbye.code,
        reason: goodbye.reason.into(),
    };
    if socket.send(Message::Close(Some(frame))).await.is_err() {
        return;
    }
    // What was sent before the close may be lost when the connection goes before the client has read it.
    while let Some(Ok(_)) = socket.recv().await {}
}

/// The proof in the payload of `connection_init`: a token under `authorization`, with or without its scheme, there or
/// among `headers`.
fn proof(payload: &Map<String, Value>) -> Option<&str> {
    let of = |members: &'_ Map<String, Value>| {
        members
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(PROOF))
            .map(|(name, _)| name.clone())
    };
    if let Some(name) = of(payload) {
        return payload.get(&name).and_then(Value::as_str);
    }
    let headers = payload.get("headers").and_then(Value::as_object)?;
    let name = of(headers)?;
    headers.get(&name).and_then(Value::as_str)
}

/// Runs an operation, and gives what it says.
fn operation(
    state: Arc<GraphqlState>,
    id: Arc<str>,
    request_id: Arc<str>,
    payload: Map<String, Value>,
    caller: Arc<Caller>,
) -> Operation {
    let name = Arc::clone(&id);
    let begun = async move {
        let prepared = match params::from_members(payload) {
            Ok(params) => state.prepare(params, caller, &request_id).await,
            Err(refusal) => Err(refusal),
        };
        let outcome = match prepared {
            Ok(prepared) => state.run(prepared).await,
            Err(refusal) => Err(refusal),
        };
        match outcome {
            Ok(Outcome::Answer(answer)) if answer.refused.is_some() => {
                last([Said::Last(message::error(&id, &answer.body))])
            }
            Ok(Outcome::Answer(answer)) => last([
                Said::Next(message::next(&id, &answer.body)),
                Said::Last(message::complete(&id)),
            ]),
            Ok(Outcome::Events(events)) => {
                let words = events.map({
                    let id = Arc::clone(&id);
                    move |event| match event {
                        Ok(event) => Said::Next(message::next(&id, &event.body)),
                        Err(why) => {
                            let error = Refusal::new(why.code, why.message).error(&request_id);
                            Said::Last(message::refusal(&id, &error))
                        }
                    }
                });
                let end = stream::once(async move { Said::Last(message::complete(&id)) });
                // After an error nothing more is said, so the end is left out by its operation's name being gone.
                words.chain(end).boxed()
            }
            Err(refusal) => refused(&id, &refusal, &request_id),
        }
    };
    // The future is boxed, so that it is freed when the words begin.
    let words = stream::once(Box::pin(begun)).flatten();
    let mut has_ended = false;
    words
        .take_while(move |said| {
            let goes_on = !has_ended;
            has_ended |= matches!(said, Said::Last(_));
            std::future::ready(goes_on)
        })
        .map(move |said| (Arc::clone(&name), said))
        .boxed()
}

fn refused(id: &str, refusal: &Refusal, request_id: &str) -> BoxStream<'static, Said> {
    let error = refusal.error(request_id);
    last([Said::Last(message::refusal(id, &error))])
}

fn last<const N: usize>(words: [Said; N]) -> BoxStream<'static, Said> {
    stream::iter(words).boxed()
}

/// How many messages a client may still send; it fills up evenly.
struct Allowance {
    per_second: u32,
    left: u32,
    counted_from: Instant,
}

impl Allowance {
    fn new(per_second: u32) -> Self {
        Self {
            per_second,
            left: per_second,
            counted_from: Instant::now(),
        }
    }

    /// Counts a message, or says that there are too many.
    fn spend(&mut self, text: Option<String>) -> Result<Option<String>, Goodbye> {
        let now = Instant::now();
        if now.duration_since(self.counted_from) >= Duration::from_secs(1) {
            self.counted_from = now;
            self.left = self.per_second;
        }
        if self.left == 0 {
            return Err(Goodbye::new(4429, "Too many messages"));
        }
        self.left = self.left.saturating_sub(1);
        Ok(text)
    }
}
