//! The HTTP surface: GraphQL, the GraphiQL page, health and metrics.

pub mod around;
pub mod cors;
pub mod document;
pub mod graphiql;
pub mod graphql;
pub mod health;
pub mod limit;
pub mod media;
pub mod operation;
pub mod params;
pub mod proof;
pub mod refusal;
pub mod serve;
pub mod settings;
pub mod stall;
pub mod stream;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Extension, Router};
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};

use crate::auth::caller::Caller;
use crate::auth::{AuthError, Authenticator, Proofs};
use crate::engine::stream::Events;
use crate::engine::{Answer, Engine, Request};
use crate::error::Code;
use crate::telemetry::Metrics;

use around::RequestId;
use cors::Origins;
use document::Documents;
use health::Readiness;
use limit::Allowances;
use limit::meter::Meter;
use media::Media;
use refusal::Refusal;
use settings::{GraphiqlSettings, ServerSettings};
use stream::Streams;

/// What the GraphQL route asks of the engine.
pub trait GraphqlService: Send + Sync {
    /// Runs one request for one caller; a subscription is refused, since it does not have one answer.
    fn execute(&self, request: Request, caller: Arc<Caller>) -> BoxFuture<'_, Answer>;
    /// What the request's operation is; nothing when it can't be told, which `execute` then refuses with the reason.
    fn kind(&self, request: &Request) -> Option<OperationType>;
    /// Begins a subscription; the answer that comes back instead says why it does not begin.
    fn subscribe(
        &self,
        request: Request,
        caller: Arc<Caller>,
    ) -> BoxFuture<'_, Result<Events, Answer>>;
}

impl GraphqlService for Engine {
    fn execute(&self, request: Request, caller: Arc<Caller>) -> BoxFuture<'_, Answer> {
        Box::pin(Self::execute(self, request, caller))
    }

    fn kind(&self, request: &Request) -> Option<OperationType> {
        Self::kind(self, request)
    }

    // The graph has no subscription yet, so that its validation says why there is none.
    fn subscribe(
        &self,
        request: Request,
        caller: Arc<Caller>,
    ) -> BoxFuture<'_, Result<Events, Answer>> {
        Box::pin(async move { Err(Self::execute(self, request, caller).await) })
    }
}

/// What the GraphQL route asks of `auth`.
pub trait CallerCheck: Send + Sync {
    /// Turns what a request brings into a caller.
    fn authenticate<'a>(
        &'a self,
        proofs: Proofs<'a>,
    ) -> BoxFuture<'a, Result<Arc<Caller>, AuthError>>;

    /// Waits until the proof of a caller no longer counts, and says why.
    fn outlived<'a>(&'a self, caller: &'a Caller) -> BoxFuture<'a, AuthError>;
}

impl CallerCheck for Authenticator {
    fn authenticate<'a>(
        &'a self,
        proofs: Proofs<'a>,
    ) -> BoxFuture<'a, Result<Arc<Caller>, AuthError>> {
        Box::pin(Self::authenticate(self, proofs))
    }

    fn outlived<'a>(&'a self, caller: &'a Caller) -> BoxFuture<'a, AuthError> {
        Box::pin(Self::outlived(self, caller))
    }
}

/// What callers may do, and what they have done.
#[derive(Debug)]
pub struct Desk {
    /// What each caller may do.
    pub allowances: Allowances,
    /// What each caller has used.
    pub meter: Arc<Meter>,
    /// The documents that callers may name.
    pub documents: Documents,
}

/// What the routes work with.
#[derive(Clone)]
pub struct Services {
    /// Runs GraphQL requests.
    pub engine: Arc<dyn GraphqlService>,
    /// Verifies callers.
    pub auth: Arc<dyn CallerCheck>,
    /// What callers may do.
    pub desk: Arc<Desk>,
    /// Says whether the gateway can serve.
    pub readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
    /// Renders the metrics page.
    pub metrics: Metrics,
    /// The GraphiQL page.
    pub graphiql: GraphiqlSettings,
}

/// The state of the GraphQL route.
pub(crate) struct GraphqlState {
    pub(crate) services: Services,
    pub(crate) body_bytes_max: usize,
    pub(crate) body_timeout: Duration,
    /// Room for queries and mutations that run.
    pub(crate) room: Semaphore,
    pub(crate) origins: Origins,
    pub(crate) streams: Arc<Streams>,
}

/// What is served: the routes, and the streams that outlive a request.
#[derive(Debug, Clone)]
pub struct Routes {
    /// The routes.
    pub router: Router,
    /// The streams that the routes open.
    pub streams: Arc<Streams>,
}

/// Builds the routes; nothing runs until `serve::serve` is given them.
pub fn routes(services: Services, settings: &ServerSettings) -> Routes {
    let metrics = services.metrics.clone();
    let readiness = Arc::clone(&services.readiness);
    let mut router = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(move || health::ready(readiness())))
        .route("/metrics", get(move || health::metrics(metrics)));
    if services.graphiql.enabled {
        router = router.merge(graphiql::routes(&services.graphiql));
    }
    let origins = Origins::new(settings.origins.iter().map(String::as_str));
    let streams = Arc::new(Streams::new(settings.streams.clone()));
    let state = GraphqlState {
        services,
        body_bytes_max: settings.body_bytes_max,
        body_timeout: settings.body_timeout,
        room: Semaphore::new(settings.requests_max),
        origins: origins.clone(),
        streams: Arc::clone(&streams),
    };
    let graphql = Router::new()
        .route("/graphql", any(graphql::handle))
        .with_state(Arc::new(state))
        .layer(axum::middleware::from_fn_with_state(origins, cors::cross));
    // A stream that is compressed arrives when the compressor has enough of it, and not when it is sent.
    let is_compressed = SizeAbove::new(1024)
        .and(NotForContentType::SSE)
        .and(NotForContentType::const_new("multipart/mixed"));
    let router = router
        .merge(graphql)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CompressionLayer::new().compress_when(is_compressed))
        .layer(axum::middleware::from_fn(around::around));
    Routes { router, streams }
}

async fn not_found(Extension(id): Extension<RequestId>) -> Response {
    Refusal::new(Code::NotFound, "there is nothing at this path").answer(Media::Json, id.as_str())
}

/// The routes know their methods, and axum names them in `Allow`.
async fn method_not_allowed(Extension(id): Extension<RequestId>) -> Response {
    Refusal::of_method("this path does not take that method", None).answer(Media::Json, id.as_str())
}
