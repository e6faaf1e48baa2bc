//! The messages of the `graphql-transport-ws` protocol, as text.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The longest id of an operation.
const ID_BYTES_MAX: usize = 128;

/// What a client says.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Opens the connection, with whatever proof the client has.
    Init(Map<String, Value>),
    /// Asks for a sign of life.
    Ping(Option<Value>),
    /// Gives a sign of life.
    Pong,
    /// Starts an operation.
    Subscribe {
        /// The client's name for the operation.
        id: String,
        /// The parameters, as in the body of a POST.
        payload: Map<String, Value>,
    },
    /// Ends an operation.
    Complete {
        /// The client's name for the operation.
        id: String,
    },
}

#[derive(Deserialize)]
struct Written {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    payload: Option<Value>,
}

/// Reads a message; the error is the reason to close with.
pub(crate) fn read(text: &str) -> Result<Incoming, &'static str> {
    let written: Written = serde_json::from_str(text)
        .map_err(|_| "Invalid message: it is not what the protocol says")?;
    let id = |id: Option<String>| {
        id.filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX)
            .ok_or("Invalid message: `id` must have 1 to 128 bytes")
    };
    match (&*written.kind, written.payload) {
        ("connection_init", None | Some(Value::Null)) => Ok(Incoming::Init(Map::new())),
        ("connection_init", Some(Value::Object(payload))) => Ok(Incoming::Init(payload)),
        ("ping", payload @ (None | Some(Value::Object(_)))) => Ok(Incoming::Ping(payload)),
        ("ping", Some(Value::Null)) => Ok(Incoming::Ping(None)),
        ("pong", None | Some(Value::Null | Value::Object(_))) => Ok(Incoming::Pong),
        ("subscribe", Some(Value::Object(payload))) => Ok(Incoming::Subscribe {
            id: id(written.id)?,
            payload,
        }),
        ("complete", None | Some(Value::Null)) => Ok(Incoming::Complete {
            id: id(written.id)?,
        }),
        ("connection_init" | "ping" | "pong" | "subscribe" | "complete", _) => {
            Err("Invalid message: `payload` is not what the protocol says")
        }
        _ => Err("Invalid message: its `type` is unknown"),
    }
}

/// `connection_ack`.
pub(crate) const ACK: &str = r#"{"type":"connection_ack"}"#;

/// `pong`, with what the ping brought.
pub(crate) fn pong(payload: Option<Value>) -> String {
    payload.map_or_else(
        || r#"{"type":"pong"}"#.to_owned(),
        |payload| format!(r#"{{"type":"pong","payload":{payload}}}"#),
    )
}

/// `next`, with an answer that is JSON already.
pub(crate) fn next(id: &str, body: &Bytes) -> String {
    with_payload("next", id, &String::from_utf8_lossy(body))
}

/// `error`, with the errors of an answer that has no data.
pub(crate) fn error(id: &str, body: &Bytes) -> String {
    #[derive(Deserialize)]
    struct Refused<'a> {
        #[serde(borrow)]
        errors: &'a RawValue,
    }
    let errors = serde_json::from_slice::<Refused<'_>>(body);
    with_payload(
        "error",
        id,
        errors.map_or("[]", |refused| refused.errors.get()),
    )
}

/// `error`, with one error.
pub(crate) fn refusal(id: &str, error: &Value) -> String {
    with_payload("error", id, &format!("[{error}]"))
}

/// `complete`.
pub(crate) fn complete(id: &str) -> String {
    format!(r#"{{"id":{},"type":"complete"}}"#, Value::from(id))
}

fn with_payload(kind: &str, id: &str, payload: &str) -> String {
    format!(
        r#"{{"id":{},"type":"{kind}","payload":{payload}}}"#,
        Value::from(id)
    )
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod tests {
    use super::*;

    #[test]
    fn what_the_protocol_does_not_have_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"type":"start"}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":"","payload":{}}"#,
            r#"{"type":"subscribe","id":1,"payload":{}}"#,
            r#"{"type":"complete"}"#,
            r#"{"type":"connection_init","payload":[]}"#,
            r#"{"type":"ping","payload":1}"#,
        ] {
            assert!(
                read(text).unwrap_err().starts_with("Invalid message"),
                "{text}"
            );
        }
        let long = format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(129));
        assert!(read(&long).is_err());
    }

    #[test]
    fn an_id_cannot_break_out_of_its_message() {
        let text = complete("a\",\"type\":\"next");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["type"], "complete");
        assert_eq!(value["id"], "a\",\"type\":\"next");
    }

    #[test]
    fn errors_are_taken_out_of_an_answer() {
        let body = Bytes::from_static(br#"{"errors":[{"message":"no"}]}"#);
        assert_eq!(
            error("1", &body),
            r#"{"id":"1","type":"error","payload":[{"message":"no"}]}"#
        );
    }
}
