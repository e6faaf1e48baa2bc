//! `/graphiql`: the page, its files, and the settings it asks for.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::json;

use crate::error::Code;

use crate::http::around::RequestId;
use crate::http::media::Media;
use crate::http::refusal::Refusal;
use crate::http::settings::{GraphiqlSettings, LoginSettings};

/// The page's files, gzipped, by path; empty when the binary was built without npm.
static ASSETS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/graphiql_assets.rs"));
/// The page of a binary that was built without npm.
const FALLBACK: &str = include_str!("../../web/fallback.html");
const PAGE: &str = "index.html";
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; \
     font-src 'self' data:; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const FALLBACK_POLICY: &str = "default-src 'none'; script-src https://esm.sh 'unsafe-inline'; worker-src blob: https://esm.sh; \
     style-src https://esm.sh 'unsafe-inline'; font-src https://esm.sh data:; img-src data:; connect-src 'self' https://esm.sh; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether the page is in the binary, so that it needs no other origin.
pub fn is_bundled() -> bool {
    asset(PAGE).is_some()
}

pub(crate) fn routes(settings: &GraphiqlSettings) -> Router {
    let mut headers = serde_json::Map::new();
    if let Some(token) = &settings.token {
        headers.insert("Authorization".into(), format!("Bearer {token}").into());
    }
    let login = settings.login.as_ref();
    let body = json!({
        "url": "/graphql",
        "headers": headers,
        "examples": settings.examples,
        "login": login,
    });
    let body: Arc<str> = body.to_string().into();
    let policy = policy(login);
    Router::new()
        .route("/graphiql", get(move || page(policy)))
        .route("/graphiql/settings.json", get(move || settings_json(body)))
        .route("/graphiql/assets/{*path}", get(file))
}

async fn settings_json(body: Arc<str>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body.to_string()).into_response()
}

/// What the page may reach: the gateway, and the issuer where people log in.
fn policy(login: Option<&LoginSettings>) -> HeaderValue {
    let origins = login.map_or("", |_| " ").to_owned()
        + &login.map_or_else(String::new, |login| login.origins.join(" "));
    let policy = POLICY.replace(
        "connect-src 'self'",
        &format!("connect-src 'self'{origins}"),
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(POLICY))
}

async fn page(policy: HeaderValue) -> Response {
    let (mut response, policy) = asset(PAGE).map_or_else(
        || {
            let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
            let policy = HeaderValue::from_static(FALLBACK_POLICY);
            ((kind, FALLBACK).into_response(), policy)
        },
        |bytes| (gzipped(PAGE, bytes), policy.clone()),
    );
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// A file whose name holds its digest, so that it never changes.
async fn file(Extension(id): Extension<RequestId>, Path(path): Path<String>) -> Response {
    let path = format!("assets/{path}");
    asset(&path).map_or_else(
        || {
            Refusal::new(Code::NotFound, "the page has no such file")
                .answer(Media::Json, id.as_str())
        },
        |bytes| {
            let mut response = gzipped(&path, bytes);
            response.headers_mut().insert(
                header::CACHE_CONTROL,
                HeaderValue::from_static("public, max-age=31536000, immutable"),
            );
            response
        },
    )
}

fn asset(path: &str) -> Option<&'static [u8]> {
    let place = ASSETS.iter().find(|(name, _)| *name == path)?;
    Some(place.1)
}

/// The file as it is stored: every browser that can run the page takes gzip.
fn gzipped(path: &str, bytes: &'static [u8]) -> Response {
    let kind = match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("ttf") => "font/ttf",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_ENCODING, "gzip"),
    ];
    (headers, Body::from(Bytes::from_static(bytes))).into_response()
}
