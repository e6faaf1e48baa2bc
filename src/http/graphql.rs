//! `/graphql` by POST and GET, after the GraphQL-over-HTTP specification.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::engine::{Answer, Request};
use crate::error::Code;

use crate::http::GraphqlState;
use crate::http::around::RequestId;
use crate::http::media::{self, Media};
use crate::http::params;
use crate::http::refusal::Refusal;

/// Answers one GraphQL request.
pub(crate) async fn handle(
    State(state): State<GraphqlState>,
    Extension(id): Extension<RequestId>,
    request: axum::extract::Request,
) -> Response {
    let media = media::negotiate(request.headers());
    match run(&state, media, request).await {
        Ok(answer) => respond(answer, media.unwrap_or(Media::Json)),
        Err(refusal) => refusal.answer(media.unwrap_or(Media::Json), id.as_str()),
    }
}

async fn run(
    state: &GraphqlState,
    media: Option<Media>,
    request: axum::extract::Request,
) -> Result<Answer, Refusal> {
    let is_get = request.method() == Method::GET;
    if !is_get && request.method() != Method::POST {
        return Err(not_allowed("only POST and GET are allowed", "GET, POST"));
    }
    if media.is_none() {
        return Err(Refusal::new(
            Code::NotAcceptable,
            "answers are `application/graphql-response+json` or `application/json`",
        ));
    }
    let authorization = request.headers().get(header::AUTHORIZATION);
    let caller = state
        .services
        .auth
        .authenticate(authorization.map(|value| value.to_str().unwrap_or_default()))
        .await
        .map_err(|error| Refusal::new(error.code, error.message))?;
    let parsed = if is_get {
        params::from_query(request.uri().query().unwrap_or_default())?
    } else {
        read_post(state, request).await?
    };
    if is_get && !state.services.engine.is_query(&parsed) {
        return Err(not_allowed("only queries may travel by GET", "POST"));
    }
    Ok(state.services.engine.execute(parsed, caller).await)
}

fn not_allowed(message: &str, allow: &'static str) -> Refusal {
    Refusal {
        allow: Some(allow),
        ..Refusal::new(Code::MethodNotAllowed, message)
    }
}

async fn read_post(
    state: &GraphqlState,
    request: axum::extract::Request,
) -> Result<Request, Refusal> {
    if !media::is_json_body(request.headers()) {
        return Err(Refusal::new(
            Code::UnsupportedMediaType,
            "the body must be `application/json` in UTF-8",
        ));
    }
    let body = Limited::new(request.into_body(), state.body_bytes_max).collect();
    match tokio::time::timeout(state.body_timeout, body).await {
        Ok(Ok(body)) => params::from_body(&body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::new(
            Code::PayloadTooLarge,
            format!("the body is larger than {} bytes", state.body_bytes_max),
        )),
        Ok(Err(_)) => Err(Refusal::new(Code::BadRequest, "the body ended early")),
        Err(_) => Err(Refusal::new(
            Code::BadRequest,
            "the body did not arrive in time",
        )),
    }
}

fn respond(answer: Answer, media: Media) -> Response {
    let status = answer.refused.map_or(StatusCode::OK, |code| {
        let status =
            StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Older clients read a status of 4xx as a broken transport and never look at the errors.
        if media == Media::Json && status.is_client_error() {
            StatusCode::OK
        } else {
            status
        }
    });
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
