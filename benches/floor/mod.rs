//! The floors: what this machine does at best for a part of the work, by the same axum and the same crates.
//!
//! They are one program of their own, on the gateway's core while the gateway is idle.

mod token;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use clap::Args;
use redis::aio::ConnectionManager;
use tokio::net::TcpListener;

use crate::Outcome;
use crate::floor::token::Tokens;
use crate::plan::Query;

/// What precedes the address in the output of the floors.
pub const READY: &str = "the floors listen on ";

/// What the floors need.
#[derive(Debug, Args)]
pub struct Options {
    /// The folder with the answers' bytes, by query.
    #[arg(long)]
    folder: std::path::PathBuf,
    /// The Redis.
    #[arg(long)]
    redis: String,
}

#[derive(Clone)]
struct Floors {
    payloads: Arc<[(Query, Bytes)]>,
    tokens: Arc<Tokens>,
    redis: ConnectionManager,
    client: reqwest::Client,
    vendor: Arc<Vendor>,
}

/// The vendor of the pass-through floor.
struct Vendor {
    url: String,
    authorization: String,
}

/// Serves the floors until the process is ended.
pub async fn serve(options: Options) -> Outcome<()> {
    let mut payloads = Vec::new();
    let redis = redis::Client::open(options.redis)?;
    let mut redis = ConnectionManager::new(redis).await?;
    for query in Query::ALL {
        let payload = std::fs::read(options.folder.join(query.key()))?;
        let _: () = redis::AsyncCommands::set(&mut redis, query.key(), &payload).await?;
        payloads.push((query, Bytes::from(payload)));
    }
    let floors = Floors {
        payloads: payloads.into(),
        tokens: Arc::default(),
        redis,
        client: client()?,
        vendor: Arc::new(Vendor {
            url: std::env::var("CRM_URL")?,
            authorization: format!("Bearer {}", std::env::var("CRM_TOKEN")?),
        }),
    };
    let routes = Router::new()
        .route("/bytes/{query}", post(bytes))
        .route("/jwt/{query}", post(verified))
        .route("/remembered/{query}", post(remembered))
        .route("/redis/{query}", post(from_redis))
        .route("/pass/{query}", post(pass))
        .with_state(floors);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::print(&format!("{READY}{}\n", listener.local_addr()?))?;
    Ok(axum::serve(listener, routes).await?)
}

/// The client of all floors: reqwest, as in the gateway, without what the gateway adds to it.
fn client() -> Outcome<reqwest::Client> {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    Ok(client.build()?)
}

impl Floors {
    fn payload(&self, key: &str) -> Result<Bytes, StatusCode> {
        let mut payloads = self.payloads.iter();
        let found = payloads.find(|(query, _)| query.key() == key);
        found.map_or(Err(StatusCode::NOT_FOUND), |(_, payload)| {
            Ok(payload.clone())
        })
    }
}

fn json(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The bytes, and nothing else.
async fn bytes(
    State(floors): State<Floors>,
    Path(query): Path<String>,
    _body: Bytes,
) -> Result<Response, StatusCode> {
    Ok(json(floors.payload(&query)?))
}

/// The bytes for a token that is verified each time.
async fn verified(
    State(floors): State<Floors>,
    Path(query): Path<String>,
    headers: HeaderMap,
    _body: Bytes,
) -> Result<Response, StatusCode> {
    floors.tokens.verify(&headers)?;
    Ok(json(floors.payload(&query)?))
}

/// The bytes for a token that is verified once and remembered.
async fn remembered(
    State(floors): State<Floors>,
    Path(query): Path<String>,
    headers: HeaderMap,
    _body: Bytes,
) -> Result<Response, StatusCode> {
    floors.tokens.recall(&headers)?;
    Ok(json(floors.payload(&query)?))
}

/// The bytes from Redis.
async fn from_redis(
    State(floors): State<Floors>,
    Path(query): Path<String>,
    _body: Bytes,
) -> Result<Response, StatusCode> {
    let mut redis = floors.redis.clone();
    let found: Vec<u8> = redis::AsyncCommands::get(&mut redis, query)
        .await
        .map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(json(Bytes::from(found)))
}

/// What one vendor says to one call, undecoded.
async fn pass(
    State(floors): State<Floors>,
    Path(query): Path<String>,
    _body: Bytes,
) -> Result<Response, StatusCode> {
    let Vendor { url, authorization } = &*floors.vendor;
    let request = if query == Query::List.key() {
        let url = format!("{url}/v1/contacts?limit=100&sort=-updated_at");
        floors.client.get(url)
    } else {
        let body = r#"{"idProperty":"email","inputs":[{"id":"ana.silva@acme-industries.io"}]}"#;
        let url = format!("{url}/v1/contacts/batch/read");
        let request = floors.client.post(url).body(body);
        request.header(header::CONTENT_TYPE, "application/json")
    };
    let failed = |_| StatusCode::BAD_GATEWAY;
    let reply = request.header(header::AUTHORIZATION, authorization);
    let reply = reply.send().await.map_err(failed)?;
    let body = reply.bytes().await.map_err(failed)?;
    Ok(json(body))
}
