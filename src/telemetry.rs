//! Logs and metrics: one installer for each, and the texts of every metric.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Counter of answered HTTP requests, by `route`, `method` and `status`.
pub const HTTP_REQUESTS: &str = "tributary_http_requests_total";
/// Histogram of the time from a request's head to its answer's head, by `route`.
pub const HTTP_SECONDS: &str = "tributary_http_request_seconds";
/// Counter of WebSockets and streamed answers that ended, by `reason`.
pub const STREAMS_ENDED: &str = "tributary_streams_ended_total";
/// Counter of calls to vendors, by `source`, `operation` and `outcome`.
pub const VENDOR_CALLS: &str = "tributary_vendor_calls_total";
/// Histogram of the time of one call to a vendor, by `source` and `operation`.
pub const VENDOR_SECONDS: &str = "tributary_vendor_call_seconds";
/// Histogram of the time a call to a vendor waited for its turn, by `source` and `operation`.
pub const VENDOR_WAIT: &str = "tributary_vendor_wait_seconds";
/// Gauge that is 1 while a source's limits are counted together with the other replicas, by `source`.
pub const VENDOR_BUDGET_SHARED: &str = "tributary_vendor_budget_shared";
/// Counter of cache look-ups, by `tier` and `state`.
pub const CACHE_LOOKUPS: &str = "tributary_cache_lookups_total";
/// Gauge that is 1 while Redis answers.
pub const CACHE_REDIS_UP: &str = "tributary_cache_redis_up";
/// Counter of what calls to vendors cost, by `source` and `currency`.
pub const VENDOR_COST: &str = "tributary_vendor_cost_total";
/// Counter of what requests made vendors charge, by `source`, `caller`, `operation` (of the document) and `currency`.
pub const CALLER_COST: &str = "tributary_caller_cost_total";

const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
const UPKEEP: Duration = Duration::from_secs(5);

// The metrics crate has one recorder per process; this remembers ours, so that installing twice is harmless.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// A failure to set up logs or metrics.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Something else in the process records metrics.
    #[error("another metrics recorder is installed in this process")]
    RecorderTaken,
    /// The text does not parse as a log filter.
    #[error("log filter `{filter}` is not valid")]
    Filter {
        /// The filter as given.
        filter: String,
        /// Why it is refused.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else in the process takes the logs.
    #[error("another log subscriber is installed in this process")]
    SubscriberTaken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The installed recorder, from which the metrics page is rendered.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// The metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds recorded samples into their histograms until told to stop, so that memory stays bounded when nobody scrapes.
    pub async fn keep_up(self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(UPKEEP);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            self.handle.run_upkeep();
        }
    }
}

/// Installs the process' metrics recorder, or returns the one that an earlier call installed.
pub fn install() -> Result<Metrics, TelemetryError> {
    RECORDER
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new()
                .set_buckets(BUCKETS)
                .ok()?
                .build_recorder();
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder).ok()?;
            describe();
            Some(handle)
        })
        .clone()
        .map(|handle| Metrics { handle })
        .ok_or(TelemetryError::RecorderTaken)
}

fn describe() {
    metrics::describe_counter!(HTTP_REQUESTS, "Answered HTTP requests.");
    metrics::describe_histogram!(HTTP_SECONDS, "Seconds from a request to its answer.");
    metrics::describe_counter!(VENDOR_CALLS, "Calls to vendors, by outcome.");
    metrics::describe_histogram!(VENDOR_SECONDS, "Seconds of one call to a vendor.");
    metrics::describe_histogram!(VENDOR_WAIT, "Seconds a call waited for its turn.");
    metrics::describe_gauge!(
        VENDOR_BUDGET_SHARED,
        "1 while replicas keep a source's limits together, 0 while each keeps to its share."
    );
    metrics::describe_counter!(
        CACHE_LOOKUPS,
        "Cache look-ups, by tier and by what was found."
    );
    metrics::describe_gauge!(
        CACHE_REDIS_UP,
        "1 while Redis answers, 0 while it does not."
    );
    metrics::describe_counter!(
        VENDOR_COST,
        "What calls to vendors cost by their declared price."
    );
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text for people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// The `log` section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// How a line is written.
    pub format: LogFormat,
    /// Which levels of which modules are written, as `info,tributary=debug`.
    pub filter: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".into(),
        }
    }
}

/// Sends the process' logs to standard error; called once, by the program's start.
pub fn install_logs(settings: &LogSettings) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|source| TelemetryError::Filter {
        filter: settings.filter.clone(),
        source,
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(TelemetryError::SubscriberTaken)
}
