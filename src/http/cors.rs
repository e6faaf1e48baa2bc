//! Which pages of other origins may call the GraphQL route (the Fetch standard's CORS protocol).

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

/// Headers that a page may send. Without `content-type: application/json` no page can ask anything, so a preflight decides.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, x-api-key, x-request-id, last-event-id, tributary-cost, \
     apollo-require-preflight, apollographql-client-name, apollographql-client-version, x-apollo-operation-name",
);
/// Headers of an answer that a page may read.
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static(
    "x-request-id, retry-after, ratelimit, ratelimit-policy, www-authenticate",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins whose pages may call. There is no wildcard: whoever may call is named.
#[derive(Debug, Clone, Default)]
pub struct Origins(Arc<HashSet<HeaderValue>>);

impl Origins {
    /// The origins of a configuration, such as `https://app.acme.example`.
    pub fn new<'a>(origins: impl IntoIterator<Item = &'a str>) -> Self {
        let values = origins.into_iter().filter_map(|text| text.parse().ok());
        Self(Arc::new(values.collect()))
    }

    /// Whether pages of the origin may call.
    pub fn has(&self, origin: &HeaderValue) -> bool {
        self.0.contains(origin)
    }
}

/// Answers preflights, and opens answers to the pages that may read them.
pub(crate) async fn cross(
    State(origins): State<Origins>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request.headers().get(header::ORIGIN);
    let origin = origin.filter(|origin| origins.has(origin)).cloned();
    let is_preflight = *request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight && origin.is_some() {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        vary(headers, &header::ACCESS_CONTROL_REQUEST_METHOD);
        vary(headers, &header::ACCESS_CONTROL_REQUEST_HEADERS);
        response
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    vary(headers, &header::ORIGIN);
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
    }
    response
}

fn vary(headers: &mut HeaderMap, name: &HeaderName) {
    headers.append(header::VARY, HeaderValue::from(name.clone()));
}
