//! Serving: connections, the call log, latency and faults. The vendors' own code sees requests and gives answers only.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::BoxBody};
use hyper::{body::Frame, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::form_urlencoded;

use crate::sandbox::{
    Credentials, Vendor,
    calls::{Call, Calls},
    company::Company,
    crm, erp,
    fault::{FaultKind, Faults, SECRET_HOST, SECRET_MARKER},
    helpdesk, mail, marketing,
    message::{Answer, Request},
    payments, shop, social,
};

const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
const HEADER_TIME_MAX: Duration = Duration::from_secs(10);
const DRIP: Duration = Duration::from_millis(50);

impl std::fmt::Debug for Shared {
    /// Leaves the data and the credentials out: the one is long, the others are nobody's business.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Shared").finish_non_exhaustive()
    }
}

type Body = BoxBody<Bytes, Infallible>;

/// What all vendors and the test have in common.
pub(crate) struct Shared {
    pub(crate) company: Arc<RwLock<Company>>,
    pub(crate) credentials: Credentials,
    pub(crate) calls: Calls,
    pub(crate) faults: Faults,
    pub(crate) window: helpdesk::Window,
    pub(crate) shop: OnceLock<shop::ShopSchema>,
    pub(crate) latency: BTreeMap<Vendor, Duration>,
}

/// Makes hyper close the connection.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox hangs up")]
struct HangUp;

/// Accepts connections of one vendor until it is told to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    vendor: Vendor,
    shared: Arc<Shared>,
    (stop, tasks): (CancellationToken, TaskTracker),
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(DRIP).await;
            continue;
        };
        let connection = serve_connection(stream, vendor, Arc::clone(&shared));
        let stop = stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection => {}
            }
        });
    }
}

async fn serve_connection(stream: TcpStream, vendor: Vendor, shared: Arc<Shared>) {
    // Without this a small answer waits for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| handle(request, vendor, Arc::clone(&shared)));
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX);
    // A connection that breaks is the client's business; the call log has what arrived.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn handle(
    request: http::Request<Incoming>,
    vendor: Vendor,
    shared: Arc<Shared>,
) -> Result<http::Response<Body>, HangUp> {
    let (parts, body) = request.into_parts();
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str())
        .to_owned();
    let query = parts.uri.query().unwrap_or_default();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Err(HangUp);
    };
    let request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers: parts.headers,
        body: body.to_bytes(),
    };
    let operation = operation(vendor, &request);
    shared.calls.record(Call {
        vendor,
        operation: operation.clone(),
        method: request.method.to_string(),
        target,
        body: String::from_utf8_lossy(&request.body).into_owned(),
    });
    if let Some(latency) = shared.latency.get(&vendor) {
        tokio::time::sleep(*latency).await;
    }
    let fault = shared.faults.take(vendor, &operation);
    match fault {
        Some(FaultKind::Down) => return Err(HangUp),
        Some(FaultKind::Hang) => std::future::pending::<()>().await,
        _ => {}
    }
    let answer = answer(vendor, &request, &shared).await;
    Ok(respond(spoil(answer, vendor, fault), fault))
}

fn operation(vendor: Vendor, request: &Request) -> String {
    match vendor {
        Vendor::Crm => crm::operation(request).to_owned(),
        Vendor::Erp => erp::operation(request),
        Vendor::Helpdesk => helpdesk::operation(request).to_owned(),
        Vendor::Shop => shop::operation(request),
        Vendor::Marketing => marketing::operation(request).to_owned(),
        Vendor::Payments => payments::operation(request).to_owned(),
        Vendor::Mail => mail::operation(request).to_owned(),
        Vendor::Social => social::operation(request).to_owned(),
    }
}

async fn answer(vendor: Vendor, request: &Request, shared: &Shared) -> Answer {
    if vendor == Vendor::Shop {
        return shop::answer(request, shared).await;
    }
    let company = shared
        .company
        .read()
        .unwrap_or_else(PoisonError::into_inner);
    match vendor {
        Vendor::Crm => crm::answer(request, &company, &shared.credentials),
        Vendor::Erp => erp::answer(request, &company, &shared.credentials),
        Vendor::Helpdesk | Vendor::Shop => helpdesk::answer(request, &company, shared),
        Vendor::Marketing => marketing::answer(request, &company, &shared.credentials),
        Vendor::Payments => payments::answer(request, &company, &shared.credentials),
        Vendor::Mail => mail::answer(request, &company, &shared.credentials),
        Vendor::Social => social::answer(request, &company, &shared.credentials),
    }
}

/// Turns the right answer into what the fault makes of it.
fn spoil(mut answer: Answer, vendor: Vendor, fault: Option<FaultKind>) -> Answer {
    let Some(fault) = fault else { return answer };
    match fault {
        FaultKind::Status(status) => failure(vendor, status),
        FaultKind::Throttled => throttled(vendor),
        FaultKind::SoapFault200 => failure(vendor, 200),
        FaultKind::SoapFault500 => failure(vendor, 500),
        FaultKind::Rubbish => {
            let page = "<!DOCTYPE html><html><body><h1>Welcome to nginx</h1></body></html>";
            Answer::new(200, "text/html", page.to_owned())
        }
        FaultKind::Truncated => {
            answer.body.truncate(answer.body.len() / 2);
            answer
        }
        FaultKind::WrongContentType => {
            answer.content_type = "application/octet-stream";
            answer
        }
        FaultKind::DripFeed | FaultKind::Down | FaultKind::Hang => answer,
    }
}

/// The vendor's way of saying that there are too many calls.
fn throttled(vendor: Vendor) -> Answer {
    if vendor == Vendor::Shop {
        let error = json!({ "message": "Throttled", "extensions": { "code": "THROTTLED" } });
        return Answer::json(200, &json!({ "data": null, "errors": [error] }));
    }
    failure(vendor, 429).with_header("retry-after", "1".to_owned())
}

/// The vendor's own form of an internal error, with words that must not reach our callers.
fn failure(vendor: Vendor, status: u16) -> Answer {
    let leak = format!("connection to {SECRET_HOST} failed, credential {SECRET_MARKER}");
    match vendor {
        Vendor::Crm => crm::error(status, "INTERNAL_ERROR", &leak),
        Vendor::Erp => {
            let mut answer = erp::fault("Server.Internal", "ERP-5000", &leak);
            answer.status = status;
            answer
        }
        Vendor::Helpdesk => helpdesk::error(status, "InternalError", &leak),
        Vendor::Shop => {
            let error =
                json!({ "message": leak, "extensions": { "code": "INTERNAL_SERVER_ERROR" } });
            Answer::json(status, &json!({ "data": null, "errors": [error] }))
        }
        Vendor::Marketing => marketing::problem(status, "Internal Server Error", &leak),
        Vendor::Payments => payments::error(status, "api_error", &leak),
        Vendor::Mail => mail::error(status, "internal", &leak),
        Vendor::Social => social::error(status, "Internal Error", &leak),
    }
}

fn respond(answer: Answer, fault: Option<FaultKind>) -> http::Response<Body> {
    let body = if fault == Some(FaultKind::DripFeed) {
        drip(answer.body)
    } else {
        Full::new(Bytes::from(answer.body)).boxed()
    };
    let mut response = http::Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(answer.content_type),
    );
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Sends a body one byte at a time.
fn drip(body: Vec<u8>) -> Body {
    let bytes = stream::unfold(body.into_iter(), |mut rest| async move {
        let byte = rest.next()?;
        tokio::time::sleep(DRIP).await;
        let frame = Frame::data(Bytes::copy_from_slice(&[byte]));
        Some((Ok::<_, Infallible>(frame), rest))
    });
    BodyExt::boxed(StreamBody::new(bytes))
}
