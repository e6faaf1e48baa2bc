//! What surrounds every route: request id, log span, metrics, caught panics, security headers.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, header};
use tracing::Instrument as _;

use crate::error::Code;
use crate::telemetry::{HTTP_REQUESTS, HTTP_SECONDS};

use crate::http::media::Media;
use crate::http::refusal::Refusal;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_LENGTH_MAX: usize = 64;

/// The id under which a request is found in the log.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// Takes the caller's id when it is short and visible ASCII, else makes one.
    fn of(request: &Request) -> Self {
        let sent = request.headers().get(REQUEST_ID).filter(|value| {
            let bytes = value.as_bytes();
            !bytes.is_empty()
                && bytes.len() <= REQUEST_ID_LENGTH_MAX
                && bytes.iter().all(u8::is_ascii_graphic)
        });
        Self(sent.cloned().unwrap_or_else(|| {
            HeaderValue::from_str(&uuid::Uuid::now_v7().to_string())
                .unwrap_or(HeaderValue::from_static("none"))
        }))
    }
}

/// Runs a route within its span, and finishes its answer.
pub(crate) async fn around(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of(&request);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let method = match request.method().as_str() {
        known @ ("GET" | "POST" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "PATCH") => {
            known.to_owned()
        }
        _ => "other".to_owned(),
    };
    let span = tracing::info_span!("request", request_id = id.as_str(), http.route = route);
    request.extensions_mut().insert(id.clone());
    let mut response = AssertUnwindSafe(next.run(request).instrument(span.clone()))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            span.in_scope(|| tracing::error!("a request panicked"));
            Refusal::new(Code::Internal, "the gateway failed; its log has the cause")
                .answer(Media::Json, id.as_str())
        });
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.0);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    let status = response.status().as_str().to_owned();
    metrics::counter!(HTTP_REQUESTS, "route" => route.clone(), "method" => method, "status" => status)
        .increment(1);
    metrics::histogram!(HTTP_SECONDS, "route" => route).record(started.elapsed());
    response
}
