//! Moves a subscription's answers into a long-lived HTTP body.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::poll_fn;
use http::{HeaderName, HeaderValue, header};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use crate::auth::caller::Caller;
use crate::engine::stream::{Ended, Events};
use crate::telemetry::STREAMS_ENDED;

use crate::http::CallerCheck;
use crate::http::limit::meter::Seat;
use crate::http::stream::Streams;
use crate::http::stream::encoding::Encoding;

/// Asks proxies of the nginx kind to pass each event on at once.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// One stream on its way into a body.
pub(crate) struct Pump {
    pub(crate) streams: Arc<Streams>,
    pub(crate) events: Events,
    pub(crate) encoding: Encoding,
    pub(crate) auth: Arc<dyn CallerCheck>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) request_id: String,
    pub(crate) seat: Seat,
    pub(crate) permit: OwnedSemaphorePermit,
}

impl Pump {
    /// The answer whose body this stream fills.
    ///
    /// A task of its own moves the answers: nobody polls a body whose reader has stopped to read, and then neither the end
    /// of the token nor the gateway's stop would end the stream.
    pub(crate) fn answer(self) -> Response {
        let (sender, mut receiver) = mpsc::channel(1);
        let chunks = poll_fn(move |context| receiver.poll_recv(context));
        let mut response = Response::new(Body::from_stream(chunks.map(Ok::<Bytes, Infallible>)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.encoding.content_type());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
        let streams = Arc::clone(&self.streams);
        tokio::spawn(async move { streams.keep(self.run(sender)).await });
        response
    }

    async fn run(mut self, sender: mpsc::Sender<Bytes>) {
        let sender = Sender {
            sender,
            timeout: self.streams.settings.write_timeout,
        };
        let reason = self.serve(&sender).await;
        metrics::counter!(STREAMS_ENDED, "reason" => reason).increment(1);
        self.seat.leave().await;
        drop(self.permit);
    }

    /// Runs the stream to its end, and says how it came.
    async fn serve(&mut self, sender: &Sender) -> &'static str {
        if !sender.send(self.encoding.opening()).await {
            return "slow";
        }
        let mut outlived = self.auth.outlived(&self.caller);
        let heartbeat = self.streams.settings.heartbeat;
        let mut quiet_until = Instant::now() + heartbeat;
        let (reason, farewell) = loop {
            let chunk = tokio::select! {
                biased;
                () = self.streams.stop().cancelled() => {
                    break ("stopped", self.encoding.stopped(&self.request_id));
                }
                why = &mut outlived => {
                    let why = Ended { code: why.code, message: why.message };
                    break ("expired", self.encoding.ended(&why, &self.request_id));
                }
                () = sender.sender.closed() => return "left",
                event = self.events.next() => match event {
                    Some(Ok(event)) => self.encoding.next(&event),
                    Some(Err(why)) => break ("failed", self.encoding.ended(&why, &self.request_id)),
                    None => break ("complete", self.encoding.complete()),
                },
                () = tokio::time::sleep_until(self.seat.renew_at()) => {
                    self.seat.renew().await;
                    continue;
                }
                () = tokio::time::sleep_until(quiet_until) => self.encoding.heartbeat(),
            };
            if !sender.send(chunk).await {
                return "slow";
            }
            quiet_until = Instant::now() + heartbeat;
        };
        if sender.send(farewell).await {
            reason
        } else {
            "slow"
        }
    }
}

struct Sender {
    sender: mpsc::Sender<Bytes>,
    timeout: Duration,
}

impl Sender {
    /// Gives a chunk out; false when the reader does not take it in time or has left.
    async fn send(&self, chunk: Bytes) -> bool {
        self.sender.send_timeout(chunk, self.timeout).await.is_ok()
    }
}
