//! A request that is refused before GraphQL sees it, as a typed answer.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::auth::{self, AuthError};
use crate::error::Code;

use crate::http::media::Media;

/// How long a caller is asked to wait before it sends a shed request again.
const SHED_WAIT: Duration = Duration::from_secs(1);

/// Why a request is refused.
#[derive(Debug)]
pub struct Refusal {
    /// The code, which fixes the status.
    pub code: Code,
    /// What is wrong, for the caller.
    pub message: String,
    /// The methods to name in `Allow`.
    pub allow: Option<&'static str>,
    /// How to prove oneself, for `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// When to try again, for `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal with that code and message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            allow: None,
            challenge: None,
            retry_after: None,
        }
    }

    /// The refusal of a caller who could not be verified.
    pub fn unverified(error: &AuthError) -> Self {
        let needs_proof = error.code.http_status() == 401;
        Self {
            challenge: needs_proof.then(|| auth::challenge(error)),
            ..Self::new(error.code, error.message.as_str())
        }
    }

    /// The refusal of a method that the route does not have.
    pub fn of_method(message: &str, allow: Option<&'static str>) -> Self {
        Self {
            allow,
            ..Self::new(Code::MethodNotAllowed, message)
        }
    }

    /// The refusal of work that the gateway has no room for.
    pub fn overloaded(message: &str) -> Self {
        Self {
            retry_after: Some(SHED_WAIT),
            ..Self::new(Code::Overloaded, message)
        }
    }

    /// The refusal as a GraphQL error.
    pub fn error(&self, request_id: &str) -> Value {
        let mut extensions = json!({"code": self.code.as_str(), "requestId": request_id});
        if let (Some(wait), Some(members)) = (self.retry_after, extensions.as_object_mut()) {
            members.insert("retryAfterSeconds".to_owned(), whole_seconds(wait).into());
        }
        json!({"message": self.message, "extensions": extensions})
    }

    /// The answer, in the form of a GraphQL error.
    pub fn answer(self, media: Media, request_id: &str) -> Response {
        let body = json!({"errors": [self.error(request_id)]});
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = StatusCode::from_u16(self.code.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, media.content_type());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, whole_seconds(wait).into());
        }
        let challenge = self.challenge.map(HeaderValue::try_from);
        if let Some(Ok(challenge)) = challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Seconds, rounded up, so that whoever waits that long does not come early.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    millis.div_ceil(1000).max(1)
}
