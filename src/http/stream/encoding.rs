//! How answers are written into a long-lived HTTP body: server-sent events and Apollo's multipart protocol.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::HeaderValue;
use serde_json::json;

use crate::engine::stream::{Ended, Event};

/// The form of a long-lived body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// `text/event-stream`, after the protocol "GraphQL over Server-Sent Events" in distinct connections mode.
    #[default]
    EventStream,
    /// `multipart/mixed`, after Apollo's protocol for subscriptions over HTTP, version 1.0.
    Multipart,
}

/// A part's head; the boundary before it was sent with the former part, since a reader gives a part out when it sees the next boundary.
const PART: &[u8] = b"\r\ncontent-type: application/json\r\n\r\n";
const BOUNDARY: &[u8] = b"\r\n--graphql";

impl Encoding {
    /// The value of `Content-Type`.
    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::EventStream => "text/event-stream; charset=utf-8",
            Self::Multipart => "multipart/mixed;boundary=\"graphql\";subscriptionSpec=1.0",
        })
    }

    /// What comes first, so that a reader sees at once that the stream stands.
    pub(crate) fn opening(self) -> Bytes {
        match self {
            Self::EventStream => Bytes::from_static(b":\n\n"),
            Self::Multipart => Bytes::from_static(BOUNDARY),
        }
    }

    /// A sign of life.
    pub(crate) fn heartbeat(self) -> Bytes {
        match self {
            Self::EventStream => Bytes::from_static(b":\n\n"),
            Self::Multipart => part(&[b"{}"]),
        }
    }

    /// One answer.
    pub(crate) fn next(self, event: &Event) -> Bytes {
        match self {
            Self::EventStream => {
                let mut out = BytesMut::with_capacity(event.body.len().saturating_add(64));
                out.put_slice(b"event: next\n");
                // A cursor is the engine's own text; one with a line break could write fields of its own and is left out.
                let cursor = event.cursor.as_deref();
                if let Some(cursor) = cursor.filter(|text| !text.contains(['\n', '\r', '\0'])) {
                    out.put_slice(b"id: ");
                    out.put_slice(cursor.as_bytes());
                    out.put_u8(b'\n');
                }
                data(&mut out, &event.body);
                out.freeze()
            }
            Self::Multipart => part(&[b"{\"payload\":", &event.body, b"}"]),
        }
    }

    /// The end of a stream that has said all.
    pub(crate) fn complete(self) -> Bytes {
        match self {
            Self::EventStream => Bytes::from_static(b"event: complete\ndata:\n\n"),
            Self::Multipart => Bytes::from_static(b"--\r\n"),
        }
    }

    /// The end of a stream that is cut short for a reason.
    pub(crate) fn ended(self, why: &Ended, request_id: &str) -> Bytes {
        let error = json!({
            "message": why.message,
            "extensions": {"code": why.code.as_str(), "requestId": request_id},
        });
        let mut out = BytesMut::new();
        match self {
            Self::EventStream => {
                out.put_slice(b"event: next\n");
                data(&mut out, json!({"errors": [error]}).to_string().as_bytes());
            }
            Self::Multipart => {
                let body = json!({"payload": null, "errors": [error]}).to_string();
                out.put_slice(&part(&[body.as_bytes()]));
            }
        }
        out.put_slice(&self.complete());
        out.freeze()
    }

    /// The end of a stream at the gateway's stop, after which the reader should come back.
    pub(crate) fn stopped(self, request_id: &str) -> Bytes {
        match self {
            // A reader takes an end without `complete` for a lost connection, and connects anew.
            Self::EventStream => Bytes::from_static(b":\n\n"),
            Self::Multipart => self.ended(
                &Ended {
                    code: crate::error::Code::Overloaded,
                    message: "the gateway stops; connect again".to_owned(),
                },
                request_id,
            ),
        }
    }
}

/// Data as one event's lines. JSON has no raw line breaks, unless a body was written with indentation.
fn data(out: &mut BytesMut, body: &[u8]) {
    for line in body.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.put_slice(b"data: ");
        out.put_slice(line);
        out.put_u8(b'\n');
    }
    out.put_u8(b'\n');
}

fn part(pieces: &[&[u8]]) -> Bytes {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    let fixed = PART.len().saturating_add(BOUNDARY.len());
    let mut out = BytesMut::with_capacity(length.saturating_add(fixed));
    out.put_slice(PART);
    for piece in pieces {
        out.put_slice(piece);
    }
    out.put_slice(BOUNDARY);
    out.freeze()
}
