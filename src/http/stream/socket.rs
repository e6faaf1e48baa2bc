//! WebSockets on the GraphQL route: who may open one, and with which bounds.

use std::sync::Arc;

use axum::extract::FromRequestParts as _;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderMap, Method, header};
use hyper::ext::Protocol;

use crate::error::Code;

use crate::http::GraphqlState;
use crate::http::cors::Origins;
use crate::http::proof::Brought;
use crate::http::refusal::Refusal;
use crate::http::stream::connection::Connection;

const SUBPROTOCOL: &str = "graphql-transport-ws";

/// Whether the request asks for a WebSocket, by HTTP/1.1 or by HTTP/2 (RFC 8441).
pub(crate) fn is_wanted(method: &Method, headers: &HeaderMap, protocol: Option<&Protocol>) -> bool {
    let upgrade = headers.get(header::UPGRADE);
    *method == Method::GET
        && upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        || *method == Method::CONNECT
            && protocol.is_some_and(|protocol| protocol.as_str() == "websocket")
}

/// Opens a WebSocket.
pub(crate) async fn open(
    state: &Arc<GraphqlState>,
    mut parts: Parts,
    request_id: &str,
) -> Result<Response, Refusal> {
    check_origin(&state.origins, &parts)?;
    let permit = state.streams.admit()?;
    let settings = &state.streams.settings;
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let message = rejection.into_response().status().to_string();
            let message = format!("the WebSocket handshake is not right: {message}");
            return Err(Refusal::new(Code::BadRequest, message));
        }
    };
    let brought = Brought::by(&parts.headers, &parts.extensions);
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(settings.read_buffer_bytes)
        // Nothing is held back, so that an idle connection keeps no buffer for writing.
        .write_buffer_size(0)
        .max_message_size(settings.message_bytes_max)
        .max_frame_size(settings.message_bytes_max);
    let streams = Arc::clone(&state.streams);
    let connection = Connection::new(Arc::clone(state), request_id, brought, permit);
    Ok(upgrade.on_upgrade(move |socket| async move {
        streams.keep(connection.run(socket)).await;
    }))
}

/// A browser sends cookies and reaches private networks on behalf of any page, and its WebSockets know no preflight.
fn check_origin(origins: &Origins, parts: &Parts) -> Result<(), Refusal> {
    let Some(origin) = parts.headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let host = parts.headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).or(authority);
    let is_own = origin.to_str().ok().is_some_and(|origin| {
        let of_page = origin.split_once("://").map(|(_, host)| host);
        of_page.is_some() && of_page == host
    });
    if is_own || origins.has(origin) {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Forbidden,
        "pages of this origin may not open a WebSocket here",
    ))
}
