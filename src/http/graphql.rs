//! `/graphql` by POST and GET, after the GraphQL-over-HTTP specification.

use axum::Extension;
use axum::body::{Body, HttpBody as _};
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::engine::Answer;
use crate::error::Code;

use crate::http::GraphqlState;
use crate::http::around::RequestId;
use crate::http::media::{self, Media};
use crate::http::params;
use crate::http::proof::{ClientCertificate, proofs};
use crate::http::refusal::Refusal;

/// Answers one GraphQL request.
pub(crate) async fn handle(
    State(state): State<GraphqlState>,
    Extension(id): Extension<RequestId>,
    request: axum::extract::Request,
) -> Response {
    let media = media::negotiate(request.headers());
    match run(&state, media, request, id.as_str()).await {
        Ok(answer) => respond(answer, media.unwrap_or(Media::Json)),
        Err(refusal) => refusal.answer(media.unwrap_or(Media::Json), id.as_str()),
    }
}

async fn run(
    state: &GraphqlState,
    media: Option<Media>,
    request: axum::extract::Request,
    request_id: &str,
) -> Result<Answer, Refusal> {
    let is_get = request.method() == Method::GET;
    if !is_get && request.method() != Method::POST {
        return Err(Refusal::of_method(
            "only GET and POST are allowed",
            Some("GET, POST"),
        ));
    }
    if media.is_none() {
        return Err(Refusal::new(
            Code::NotAcceptable,
            "answers are `application/graphql-response+json` or `application/json`",
        ));
    }
    let certificate = request.extensions().get::<ClientCertificate>().cloned();
    let caller = state
        .services
        .auth
        .authenticate(proofs(request.headers(), certificate.as_ref()))
        .await
        .map_err(|error| Refusal::unverified(&error))?;
    let parsed = if is_get {
        params::from_query(request.uri().query().unwrap_or_default(), request_id)?
    } else {
        params::from_body(&read_body(state, request).await?, request_id)?
    };
    if is_get && !state.services.engine.is_query(&parsed) {
        return Err(Refusal::of_method(
            "only queries may travel by GET",
            Some("POST"),
        ));
    }
    Ok(state.services.engine.execute(parsed, caller).await)
}

async fn read_body(
    state: &GraphqlState,
    request: axum::extract::Request,
) -> Result<Bytes, Refusal> {
    if !media::is_json_body(request.headers()) {
        return Err(Refusal::new(
            Code::UnsupportedMediaType,
            "the body must be `application/json` in UTF-8",
        ));
    }
    let too_large = || {
        let message = format!("the body is larger than {} bytes", state.body_bytes_max);
        Refusal::new(Code::PayloadTooLarge, message)
    };
    // A declared length is believed, so that a client which waits for `100 Continue` never sends the body.
    if request.body().size_hint().lower() > state.body_bytes_max as u64 {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), state.body_bytes_max).collect();
    match tokio::time::timeout(state.body_timeout, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::new(Code::BadRequest, "the body ended early")),
        Err(_) => Err(Refusal::new(
            Code::RequestTimeout,
            "the body did not arrive in time",
        )),
    }
}

fn respond(answer: Answer, media: Media) -> Response {
    let status = answer
        .refused
        .map_or(StatusCode::OK, |code| status(code, media));
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The status of a request that was refused before its execution.
fn status(code: Code, media: Media) -> StatusCode {
    let is_of_document = matches!(
        code,
        Code::GraphqlParseFailed | Code::GraphqlValidationFailed | Code::InvalidArgument
    );
    // Clients that ask for plain JSON take a status of 4xx for a broken transport and don't look at the errors,
    // so GraphQL over HTTP (section 6.4.1) keeps 200 for what is wrong with the document or its variables.
    if media == Media::Json && is_of_document {
        return StatusCode::OK;
    }
    StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
