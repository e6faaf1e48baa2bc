//! The HTTP surface in front of a small graph, on a port of its own.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{TimeDelta, Utc};
use futures_util::future::BoxFuture;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tributary::{
    app::settings,
    auth::{AuthError, Proofs, caller::Caller},
    cache::clock::Clock,
    config::Config,
    error::Code,
    http::{
        CallerCheck, Desk, Services,
        document::Documents,
        health::{Check, Readiness},
        limit::meter::Meter,
        routes, serve,
        settings::{GraphiqlSettings, ServerSettings},
    },
    telemetry,
};

use super::graph::Graph;

/// The only token that the surface takes.
pub const TOKEN: &str = "a-token-of-the-test";

/// A token that ends soon after it was shown.
pub const SHORT_TOKEN: &str = "a-token-that-ends-soon";
/// How soon.
pub const SHORT: TimeDelta = TimeDelta::milliseconds(700);

/// A running server; it stops with the drop.
pub struct Front {
    /// Where it listens.
    pub address: SocketAddr,
    /// The engine's double.
    pub graph: Arc<Graph>,
    /// What `/health/ready` says.
    pub is_ready: Arc<AtomicBool>,
    /// Tells the server to stop.
    pub shutdown: CancellationToken,
    /// Ends when the server has stopped.
    pub task: JoinHandle<()>,
}

impl Front {
    /// Starts a server with the default settings.
    pub async fn start() -> Self {
        Self::start_with(ServerSettings::default(), GraphiqlSettings::default()).await
    }

    /// Starts a server.
    pub async fn start_with(settings: ServerSettings, graphiql: GraphiqlSettings) -> Self {
        Self::start_for(Arc::new(OneToken), settings, graphiql).await
    }

    /// Starts a server that knows its callers by `auth`.
    pub async fn start_for(
        auth: Arc<dyn CallerCheck>,
        settings: ServerSettings,
        graphiql: GraphiqlSettings,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let graph = Arc::new(Graph::new());
        let is_ready = Arc::new(AtomicBool::new(true));
        let services = Services {
            engine: graph.clone(),
            auth,
            desk: Arc::new(desk()),
            readiness: readiness(Arc::clone(&is_ready)),
            metrics: telemetry::install().unwrap(),
            graphiql,
        };
        let shutdown = CancellationToken::new();
        let routes = routes(services, &settings);
        let task = tokio::spawn(serve::serve(
            listener,
            routes,
            settings,
            serve::Security::default(),
            shutdown.clone(),
        ));
        Self {
            address,
            graph,
            is_ready,
            shutdown,
            task,
        }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A bare connection, for what no client library would send.
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Callers may do what the configuration's defaults say.
fn desk() -> Desk {
    Desk {
        allowances: settings::allowances(&Config::default()),
        meter: Arc::new(Meter::new(None, Clock::system())),
        documents: Documents::new([], None),
    }
}

fn readiness(is_ready: Arc<AtomicBool>) -> Arc<dyn Fn() -> Readiness + Send + Sync> {
    Arc::new(move || {
        let is_ready = is_ready.load(Ordering::SeqCst);
        Readiness {
            is_ready,
            checks: vec![Check {
                name: "redis".into(),
                state: if is_ready { "up" } else { "down" }.into(),
                detail: "the shared cache".into(),
            }],
        }
    })
}

struct OneToken;

impl CallerCheck for OneToken {
    fn authenticate<'a>(
        &'a self,
        proofs: Proofs<'a>,
    ) -> BoxFuture<'a, Result<Arc<Caller>, AuthError>> {
        let answer = match proofs.authorization {
            None => Err((Code::Unauthenticated, "no token was sent")),
            Some(value) if value.strip_prefix("Bearer ") == Some(TOKEN) => Ok(TimeDelta::hours(1)),
            Some(value) if value.strip_prefix("Bearer ") == Some(SHORT_TOKEN) => Ok(SHORT),
            Some(_) => Err((Code::InvalidToken, "the token is not the test's")),
        };
        Box::pin(async move {
            let ttl = answer.map_err(|(code, message)| AuthError {
                code,
                message: message.into(),
            })?;
            Ok(Arc::new(Caller {
                issuer: "https://issuer.example".into(),
                subject: "ada".into(),
                tenant: None,
                scopes: BTreeSet::new(),
                roles: BTreeSet::new(),
                claims: serde_json::Map::new(),
                expires_at: Utc::now() + ttl,
            }))
        })
    }

    fn outlived<'a>(&'a self, caller: &'a Caller) -> BoxFuture<'a, AuthError> {
        Box::pin(caller.expired())
    }
}
