//! The HTTP surface: GraphQL, the GraphiQL page, health and metrics.

pub mod around;
pub mod graphiql;
pub mod graphql;
pub mod health;
pub mod media;
pub mod params;
pub mod proof;
pub mod refusal;
pub mod serve;
pub mod settings;

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use axum::routing::{any, get};
use axum::{Extension, Router};
use futures_util::future::BoxFuture;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use crate::auth::caller::Caller;
use crate::auth::{AuthError, Authenticator, Proofs};
use crate::engine::{Answer, Engine, Request};
use crate::error::Code;
use crate::telemetry::Metrics;

use around::RequestId;
use health::Readiness;
use media::Media;
use refusal::Refusal;
use settings::{GraphiqlSettings, ServerSettings};

/// What the GraphQL route asks of the engine.
pub trait GraphqlService: Send + Sync {
    /// Runs one request for one caller.
    fn execute(&self, request: Request, caller: Arc<Caller>) -> BoxFuture<'_, Answer>;
    /// Whether the request may travel by GET.
    fn is_query(&self, request: &Request) -> bool;
}

impl GraphqlService for Engine {
    fn execute(&self, request: Request, caller: Arc<Caller>) -> BoxFuture<'_, Answer> {
        Box::pin(Self::execute(self, request, caller))
    }

    fn is_query(&self, request: &Request) -> bool {
        Self::is_query(self, request)
    }
}

/// What the GraphQL route asks of `auth`.
pub trait CallerCheck: Send + Sync {
    /// Turns what a request brings into a caller.
    fn authenticate<'a>(
        &'a self,
        proofs: Proofs<'a>,
    ) -> BoxFuture<'a, Result<Arc<Caller>, AuthError>>;
}

impl CallerCheck for Authenticator {
    fn authenticate<'a>(
        &'a self,
        proofs: Proofs<'a>,
    ) -> BoxFuture<'a, Result<Arc<Caller>, AuthError>> {
        Box::pin(Self::authenticate(self, proofs))
    }
}

/// What the routes work with.
#[derive(Clone)]
pub struct Services {
    /// Runs GraphQL requests.
    pub engine: Arc<dyn GraphqlService>,
    /// Verifies callers.
    pub auth: Arc<dyn CallerCheck>,
    /// Says whether the gateway can serve.
    pub readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
    /// Renders the metrics page.
    pub metrics: Metrics,
    /// The GraphiQL page.
    pub graphiql: GraphiqlSettings,
}

/// The state of the GraphQL route.
#[derive(Clone)]
pub(crate) struct GraphqlState {
    pub(crate) services: Services,
    pub(crate) body_bytes_max: usize,
    pub(crate) body_timeout: Duration,
}

/// Builds the routes; nothing runs until `serve::serve` is given them.
pub fn router(services: Services, settings: &ServerSettings) -> Router {
    let metrics = services.metrics.clone();
    let readiness = Arc::clone(&services.readiness);
    let mut routes = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(move || health::ready(readiness())))
        .route("/metrics", get(move || health::metrics(metrics)));
    if services.graphiql.enabled {
        routes = routes.merge(graphiql::routes(&services.graphiql));
    }
    let graphql = Router::new()
        .route("/graphql", any(graphql::handle))
        .with_state(GraphqlState {
            services,
            body_bytes_max: settings.body_bytes_max,
            body_timeout: Duration::from_secs(settings.body_timeout_seconds),
        });
    routes
        .merge(graphql)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(1024)))
        .layer(axum::middleware::from_fn(around::around))
}

async fn not_found(Extension(id): Extension<RequestId>) -> Response {
    Refusal::new(Code::NotFound, "there is nothing at this path").answer(Media::Json, id.as_str())
}

/// The routes know their methods, and axum names them in `Allow`.
async fn method_not_allowed(Extension(id): Extension<RequestId>) -> Response {
    Refusal::of_method("this path does not take that method", None).answer(Media::Json, id.as_str())
}
