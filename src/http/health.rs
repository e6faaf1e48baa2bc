//! `/health/live`, `/health/ready` and `/metrics`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::json;

use crate::telemetry::Metrics;

/// Whether the gateway can serve, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// Whether requests should be sent here.
    #[serde(skip)]
    pub is_ready: bool,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// One thing that readiness looks at.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was looked at, as `redis`.
    pub name: String,
    /// How it is, as `up`, `down` or `suspended`.
    pub state: String,
    /// What follows from it, for the operator.
    pub detail: String,
}

pub(crate) async fn live() -> Response {
    Json(json!({"status": "live"})).into_response()
}

pub(crate) async fn ready(readiness: Readiness) -> Response {
    let (status, text) = if readiness.is_ready {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    let body = json!({"status": text, "checks": readiness.checks});
    (status, Json(body)).into_response()
}

pub(crate) async fn metrics(metrics: Metrics) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.render()).into_response()
}
