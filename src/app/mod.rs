//! Wires everything from the configuration; the only module that knows all others.

pub mod load;
pub mod settings;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::load::Loaded;
use crate::auth::Authenticator;
use crate::auth::key_watch::KeyWatch;
use crate::auth::remote::key_set_client;
use crate::auth::shared_keys::SharedKeys;
use crate::cache::Cache;
use crate::cache::clock::Clock;
use crate::cache::redis::{RedisStatus, RedisTier};
use crate::config::Config;
use crate::engine::{Engine, EngineError};
use crate::fetch::Fetch;
use crate::http::document::Documents;
use crate::http::health::{Check, Readiness};
use crate::http::limit::meter::Meter;
use crate::http::serve::Security;
use crate::http::settings::ServerSettings;
use crate::http::{Desk, Routes, Services, routes, serve};
use crate::resolve::Resolver;
use crate::resolve::field::OfSources;
use crate::telemetry::{Metrics, TelemetryError};

/// The gateway could not be wired.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The engine refused the graph.
    #[error("the engine can't run this graph")]
    Engine(#[from] EngineError),
    /// The issuers' settings or keys can't be used.
    #[error("the callers' issuers can't be used")]
    Auth(#[source] crate::auth::BuildError),
    /// The HTTP client for key sets could not be made.
    #[error("the client for key sets can't be made")]
    KeySetClient(#[source] reqwest::Error),
    /// The Redis address is no address.
    #[error("the Redis address can't be used")]
    Redis(#[source] crate::cache::redis::RedisAddressError),
    /// The file of API keys can't be used.
    #[error("the API keys can't be used")]
    Keys(#[source] crate::auth::key_file::KeyFileError),
    /// The Redis address is no address for API keys.
    #[error("the API keys can't be shared")]
    SharedKeys(#[source] crate::auth::shared_keys::SharedKeysError),
    /// TLS of the listener can't be set up.
    #[error("TLS can't be set up")]
    Tls(#[source] crate::http::tls::TlsError),
    /// The metrics recorder could not be installed.
    #[error("metrics can't be recorded")]
    Telemetry(#[source] TelemetryError),
}

/// A gateway that is wired and has not begun to listen.
pub struct Gateway {
    routes: Routes,
    server: ServerSettings,
    engine: Arc<Engine>,
    fetch: Arc<Fetch>,
    metrics: Metrics,
    keys: KeyWatch,
    security: Security,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// How long a refresh behind an answer may take.
const REFRESH_DEADLINE: Duration = Duration::from_secs(20);

impl Gateway {
    /// Wires a gateway; connects to nothing yet.
    pub fn new(loaded: Loaded) -> Result<Self, AppError> {
        let Loaded {
            config,
            catalog,
            connectors,
            policy,
            documents,
        } = loaded;
        let clock = Clock::system();
        let cache_settings = settings::cache(&config);
        let redis = RedisTier::new(&cache_settings.redis, clock.clone());
        let redis = redis.map_err(AppError::Redis)?.map(Arc::new);
        let desk = desk(&config, documents, redis.clone(), clock.clone());
        let order = settings::identity(&config, &connectors);
        let mut connectors = connectors;
        for (connector, redis) in connectors.iter_mut().zip(redis.iter().cycle()) {
            connector.share_budget(redis.clone());
        }
        let cache = Cache::new(&cache_settings, redis, clock.clone());
        let sources = connectors.into_iter().map(Arc::new).collect();
        let fetch = Arc::new(Fetch::new(sources, cache, clock, REFRESH_DEADLINE));
        let resolver = Arc::new(Resolver {
            catalog: Arc::new(catalog),
            fetch: fetch.clone(),
            fields: Arc::new(OfSources),
            order,
            page_size_max: usize::try_from(config.limits.page_size_max).unwrap_or(100),
            policy,
            is_audited: config.log.audit,
        });
        let limits = settings::document_limits(&config);
        let engine = Arc::new(Engine::new(resolver, limits, config.limits.deadline.0)?);
        let auth = authenticator(&config)?;
        let keys = watch_keys(&config, &auth)?;
        let metrics = crate::telemetry::install().map_err(AppError::Telemetry)?;
        let server = settings::server(&config);
        let services = Services {
            engine: engine.clone(),
            auth: Arc::new(auth),
            desk,
            readiness: readiness(fetch.clone()),
            metrics: metrics.clone(),
            graphiql: settings::graphiql(&config),
        };
        Ok(Self {
            routes: routes(services, &server),
            server,
            engine,
            fetch,
            metrics,
            keys,
            security: settings::security(&config).map_err(AppError::Tls)?,
        })
    }

    /// The address to listen on.
    pub fn address(&self) -> std::net::SocketAddr {
        self.server.listen
    }

    /// The engine, for whoever asks it without HTTP.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The sources and their cache.
    pub fn fetch(&self) -> &Arc<Fetch> {
        &self.fetch
    }

    /// Serves until `shutdown`, then finishes what is in flight.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let upkeep = tokio::spawn(self.metrics.keep_up(shutdown.clone()));
        let keys = tokio::spawn(self.keys.run(shutdown.clone()));
        serve::serve(listener, self.routes, self.server, self.security, shutdown).await;
        self.fetch.close().await;
        upkeep.abort();
        keys.abort();
    }
}

fn authenticator(config: &Config) -> Result<Authenticator, AppError> {
    let client = key_set_client().map_err(AppError::KeySetClient)?;
    let now = Arc::new(chrono::Utc::now);
    Authenticator::new(settings::auth(config), &client, now).map_err(AppError::Auth)
}

/// Reads the API keys, and prepares to follow their changes.
fn watch_keys(config: &Config, auth: &Authenticator) -> Result<KeyWatch, AppError> {
    let file = config.auth.keys_file.clone();
    let shared = match (&config.redis.url, &file) {
        // Without a file no keys are in use, and nothing is asked of Redis.
        (Some(url), Some(_)) => {
            Some(SharedKeys::new(url, &config.redis.prefix).map_err(AppError::SharedKeys)?)
        }
        _ => None,
    };
    let mut keys = KeyWatch::new(auth.keys().clone(), file, shared);
    keys.read_file().map_err(AppError::Keys)?;
    Ok(keys)
}

fn desk(
    config: &Config,
    documents: Vec<(String, String)>,
    redis: Option<Arc<RedisTier>>,
    clock: Clock,
) -> Arc<Desk> {
    Arc::new(Desk {
        allowances: settings::allowances(config),
        meter: Arc::new(Meter::new(redis.clone(), clock)),
        documents: Documents::new(documents, settings::automatic(config, redis)),
    })
}

fn readiness(fetch: Arc<Fetch>) -> Arc<dyn Fn() -> Readiness + Send + Sync> {
    Arc::new(move || {
        let mut checks = vec![Check {
            name: "sources".to_owned(),
            state: "up".to_owned(),
            detail: format!("{} sources are configured", fetch.sources().len()),
        }];
        let mut sources = fetch.sources().iter();
        if sources.any(|source| source.is_budget_apart()) {
            checks.push(Check {
                name: "budgets".to_owned(),
                state: "suspended".to_owned(),
                detail: "Redis does not answer: this replica keeps to its share of the vendors' limits, by the number of replicas last known"
                    .to_owned(),
            });
        }
        if let Some(redis) = fetch.cache().redis() {
            let (state, detail) = match redis.status() {
                RedisStatus::Up => ("up", "the cache is shared with other replicas"),
                RedisStatus::Down { .. } => (
                    "suspended",
                    "Redis does not answer: this replica caches alone, and asks vendors more often",
                ),
            };
            if matches!(redis.status(), RedisStatus::Down { .. }) {
                checks.push(Check {
                    name: "callers".to_owned(),
                    state: "suspended".to_owned(),
                    detail: "Redis does not answer: this replica counts what callers ask alone, so that each may ask more in all"
                        .to_owned(),
                });
            }
            checks.push(Check {
                name: "redis".to_owned(),
                state: state.to_owned(),
                detail: detail.to_owned(),
            });
        }
        Readiness {
            is_ready: true,
            checks,
        }
    })
}
