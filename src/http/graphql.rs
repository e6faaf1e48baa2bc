//! `/graphql` by POST and GET, after the GraphQL-over-HTTP specification, and by streams.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use axum::Extension;
use axum::body::{Body, HttpBody as _};
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::ext::Protocol;

use crate::engine::Answer;
use crate::engine::stream::Event;
use crate::error::Code;

use crate::http::GraphqlState;
use crate::http::around::RequestId;
use crate::http::limit;
use crate::http::media::{self, Media, Wanted};
use crate::http::operation::{Outcome, Prepared};
use crate::http::params::{self, Params};
use crate::http::proof::Brought;
use crate::http::refusal::Refusal;
use crate::http::stream::pump::Pump;
use crate::http::stream::socket;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const TRIBUTARY_COST: HeaderName = HeaderName::from_static("tributary-cost");
/// The longest cursor that a reader may come back with.
const CURSOR_BYTES_MAX: usize = 1024;

/// Answers one GraphQL request.
pub(crate) async fn handle(
    State(state): State<Arc<GraphqlState>>,
    Extension(id): Extension<RequestId>,
    request: axum::extract::Request,
) -> Response {
    let wanted = media::wanted(request.headers());
    let protocol = request.extensions().get::<Protocol>();
    let outcome = if socket::is_wanted(request.method(), request.headers(), protocol) {
        let (parts, _) = request.into_parts();
        socket::open(&state, parts, id.as_str()).await
    } else {
        run(&state, wanted, request, id.as_str()).await
    };
    outcome.unwrap_or_else(|refusal| refusal.answer(wanted.of_refusal(), id.as_str()))
}

async fn run(
    state: &Arc<GraphqlState>,
    wanted: Wanted,
    request: axum::extract::Request,
    request_id: &str,
) -> Result<Response, Refusal> {
    let is_get = request.method() == Method::GET;
    if !is_get && request.method() != Method::POST {
        return Err(Refusal::of_method(
            "only GET and POST are allowed",
            Some("GET, POST"),
        ));
    }
    if wanted.single.is_none() && wanted.stream.is_none() {
        return Err(Refusal::new(
            Code::NotAcceptable,
            "answers are `application/graphql-response+json`, `application/json`, and streams of them",
        ));
    }
    let brought = Brought::by(request.headers(), request.extensions());
    let caller = state
        .services
        .auth
        .authenticate(brought.proofs())
        .await
        .map_err(|error| Refusal::unverified(&error))?;
    let params = read_params(state, request).await?;
    let prepared = state.prepare(params, caller, request_id).await?;
    let wallet = Arc::clone(&prepared.wallet);
    let kind = || state.services.engine.kind(&prepared.request);
    if is_get && kind() == Some(OperationType::Mutation) {
        return Err(Refusal::of_method(
            "a mutation may not travel by GET",
            Some("POST"),
        ));
    }
    let outcome = match wanted {
        Wanted {
            single: Some(media),
            stream: None,
        } => {
            let answer = state.execute(prepared).await;
            answer.map(|answer| respond(answer, media))
        }
        _ => streamed(state, wanted, prepared).await,
    };
    let mut response =
        outcome.unwrap_or_else(|refusal| refusal.answer(wanted.of_refusal(), request_id));
    if let Some(paid) = wallet.paid() {
        limit::header::write(response.headers_mut(), wallet.allowance(), &paid);
    }
    Ok(response)
}

/// Answers a request whose sender takes a stream.
async fn streamed(
    state: &Arc<GraphqlState>,
    wanted: Wanted,
    prepared: Prepared,
) -> Result<Response, Refusal> {
    let permit = state.streams.admit()?;
    let request_id = prepared.request.request_id.clone();
    let caller = Arc::clone(&prepared.caller);
    let streams_max = prepared.wallet.allowance().streams_max;
    let outcome = state.run(prepared).await?;
    let events = match (outcome, wanted.single) {
        (Outcome::Answer(answer), Some(media)) => return Ok(respond(answer, media)),
        // What is wrong with a document is told in the stream too: a browser hides an answer that is none.
        (Outcome::Answer(answer), None) => stream::once(async {
            Ok(Event {
                body: answer.body,
                cursor: None,
            })
        })
        .boxed(),
        (Outcome::Events(events), _) => events,
    };
    let encoding = wanted.stream.unwrap_or_default();
    Ok(Pump {
        streams: Arc::clone(&state.streams),
        events,
        encoding,
        auth: Arc::clone(&state.services.auth),
        request_id,
        seat: state.services.desk.meter.seat(&caller, streams_max).await?,
        caller,
        permit,
    }
    .answer())
}

/// What the request asks for, by its headers and by its body or query string.
async fn read_params(
    state: &GraphqlState,
    request: axum::extract::Request,
) -> Result<Params, Refusal> {
    let after = last_event_id(&request)?;
    let word = request.headers().get(TRIBUTARY_COST);
    let by_header = params::asked_cost(word.map_or(b"", HeaderValue::as_bytes))?;
    let params = if request.method() == Method::GET {
        params::from_query(request.uri().query().unwrap_or_default())?
    } else {
        params::from_body(&read_body(state, request).await?)?
    };
    Ok(Params {
        after,
        tells_cost: by_header.or(params.tells_cost),
        ..params
    })
}

/// Where a reader that comes back stood.
fn last_event_id(request: &axum::extract::Request) -> Result<Option<String>, Refusal> {
    let Some(value) = request.headers().get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .ok()
        .filter(|id| id.len() <= CURSOR_BYTES_MAX);
    match text {
        Some("") => Ok(None),
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(Refusal::new(
            Code::BadRequest,
            "`Last-Event-ID` is not one of ours",
        )),
    }
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
