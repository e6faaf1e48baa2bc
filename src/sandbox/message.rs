//! A request as the vendors' code sees it, and an answer before it goes on the wire.

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use serde_json::Value;

/// A request, read completely.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    /// The header's text; empty when it is absent or not text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The content type without its parameters, in lower case.
    pub(crate) fn content_type(&self) -> String {
        let whole = self.header(header::CONTENT_TYPE.as_str());
        let essence = whole.split(';').next().unwrap_or_default();
        essence.trim().to_ascii_lowercase()
    }

    /// The first query parameter of that name.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let pair = self.query.iter().find(|(key, _)| key == name)?;
        Some(&pair.1)
    }

    /// The first query parameter that is not among the known ones.
    pub(crate) fn unknown_param(&self, known: &[&str]) -> Option<&str> {
        let mut names = self.query.iter().map(|(key, _)| key.as_str());
        names.find(|name| !known.contains(name))
    }

    /// A whole number from the query between the bounds, or the default when it is absent.
    pub(crate) fn number(&self, name: &str, default: usize, max: usize) -> Result<usize, String> {
        let Some(text) = self.param(name) else {
            return Ok(default);
        };
        match text.parse::<usize>() {
            Ok(number) if number <= max => Ok(number),
            Ok(_) => Err(format!("{name} must not exceed {max}")),
            Err(_) => Err(format!("{name} is not a number")),
        }
    }

    /// The body as JSON when its content type says so.
    pub(crate) fn json(&self) -> Option<Value> {
        if self.content_type() != "application/json" {
            return None;
        }
        serde_json::from_slice(&self.body).ok()
    }

    /// Name and password of HTTP Basic.
    pub(crate) fn basic(&self) -> Option<(String, String)> {
        let value = self.header(header::AUTHORIZATION.as_str());
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let bytes = BASE64_STANDARD.decode(encoded.trim()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A JSON answer.
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// An answer of any type.
    pub(crate) fn new(status: u16, content_type: &'static str, body: String) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            body: body.into_bytes(),
        }
    }

    /// The same answer with one more header.
    #[must_use]
    pub(crate) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// Makes an opaque cursor of a place in a list.
pub(crate) fn cursor(place: usize) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("after:{place}"))
}

/// Reads a cursor back; a text that is not one of ours gives nothing.
pub(crate) fn place(cursor: &str) -> Option<usize> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.strip_prefix("after:")?.parse().ok()
}
