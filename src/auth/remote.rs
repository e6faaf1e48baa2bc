//! Key sets that an issuer publishes: fetched, kept, refreshed, and kept on while the issuer is away.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::auth::Clock;
use crate::auth::key::{KeyError, KeySet};
use crate::auth::settings::is_safe_url;

/// The longest a single fetch may take, connecting included.
const FETCH_SECONDS_MAX: u64 = 5;
/// The largest key set document that is read.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// How long keys are used without a successful fetch.
const STALE_HOURS_MAX: i64 = 24;
/// How soon a failed fetch is tried again while there are no keys at all.
const RETRY_SECONDS: i64 = 1;

/// Why a key set could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The endpoint could not be reached or broke off.
    #[error("the key set endpoint could not be read")]
    Http(#[source] reqwest::Error),
    /// The endpoint answered something other than 200.
    #[error("the key set endpoint answered with status {0}")]
    Status(u16),
    /// The document is longer than we read.
    #[error("the key set document is longer than {BODY_BYTES_MAX} bytes")]
    TooLong,
    /// The issuer's metadata does not say where the keys are.
    #[error("the issuer's metadata has no `issuer` and `jwks_uri`")]
    Metadata(#[source] serde_json::Error),
    /// The metadata is that of another issuer.
    #[error("the metadata names another issuer")]
    OtherIssuer,
    /// The metadata sends us to an address that keys must not come from.
    #[error("the metadata's `jwks_uri` is neither https nor on this machine")]
    UnsafeKeySet,
    /// The document is no usable key set.
    #[error("the key set document cannot be used")]
    Keys(#[source] KeyError),
}

/// Builds the client that fetches key sets: no redirects, no proxy, five seconds at most.
pub fn key_set_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(FETCH_SECONDS_MAX))
        .timeout(Duration::from_secs(FETCH_SECONDS_MAX))
        .build()
}

/// When a published key set is fetched again.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The age at which it is refreshed behind the callers.
    pub refresh: TimeDelta,
    /// The least time between two fetches that unknown key ids cause.
    pub unknown_kid: TimeDelta,
}

#[derive(Debug, Default)]
struct Published {
    keys: Option<(Arc<KeySet>, DateTime<Utc>)>,
}

#[derive(Debug)]
struct Flight {
    done: watch::Receiver<()>,
    task: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Attempts {
    flight: Option<Flight>,
    last: Option<DateTime<Utc>>,
    last_for_unknown_kid: Option<DateTime<Utc>>,
}

/// Where an issuer publishes its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// The key set itself.
    KeySet(String),
    /// The issuer, whose metadata names the key set.
    Issuer(String),
}

/// The published key set of one issuer. Its fetches run as tasks of their own, one at a time, that end with it.
pub struct RemoteKeys {
    location: Location,
    client: reqwest::Client,
    clock: Clock,
    pace: Pace,
    published: Arc<Mutex<Published>>,
    attempts: Mutex<Attempts>,
}

impl std::fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteKeys")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl RemoteKeys {
    /// Prepares the look-up; nothing is fetched before the first token needs it.
    pub fn new(location: Location, client: reqwest::Client, clock: Clock, pace: Pace) -> Self {
        Self {
            location,
            client,
            clock,
            pace,
            published: Arc::default(),
            attempts: Mutex::default(),
        }
    }

    /// The keys to use now, fetched when there are none; nothing when there are none to be had.
    pub async fn current(&self) -> Option<Arc<KeySet>> {
        let now = (self.clock)();
        match self.kept(now) {
            Some((keys, age)) => {
                if age >= self.pace.refresh {
                    // Refresh behind: the caller is served by the keys at hand.
                    let _ = self
                        .fetch_unless_tried_within(self.pace.unknown_kid.min(self.pace.refresh));
                }
                Some(keys)
            }
            None => {
                let done = self.fetch_unless_tried_within(TimeDelta::seconds(RETRY_SECONDS));
                wait(done).await;
                self.kept((self.clock)()).map(|(keys, _)| keys)
            }
        }
    }

    /// The keys after one more fetch because a token names an unknown key, or nothing when the limit forbids it.
    pub async fn refetched(&self) -> Option<Arc<KeySet>> {
        let now = (self.clock)();
        let done = {
            let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            match running(&attempts) {
                Some(done) => Some(done),
                None if is_within(attempts.last_for_unknown_kid, now, self.pace.unknown_kid) => {
                    None
                }
                None => {
                    attempts.last_for_unknown_kid = Some(now);
                    Some(self.start(&mut attempts, now))
                }
            }
        };
        done.as_ref()?;
        wait(done).await;
        self.kept((self.clock)()).map(|(keys, _)| keys)
    }

    fn kept(&self, now: DateTime<Utc>) -> Option<(Arc<KeySet>, TimeDelta)> {
        let published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (keys, fetched_at) = published.keys.as_ref()?;
        let age = now - *fetched_at;
        (age < TimeDelta::hours(STALE_HOURS_MAX)).then(|| (Arc::clone(keys), age))
    }

    /// Joins the running fetch, or starts one unless the last one is too recent.
    fn fetch_unless_tried_within(&self, interval: TimeDelta) -> Option<watch::Receiver<()>> {
        let now = (self.clock)();
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        match running(&attempts) {
            Some(done) => Some(done),
            None if is_within(attempts.last, now, interval) => None,
            None => Some(self.start(&mut attempts, now)),
        }
    }

    fn start(&self, attempts: &mut Attempts, now: DateTime<Utc>) -> watch::Receiver<()> {
        let (finished, done) = watch::channel(());
        let (client, location) = (self.client.clone(), self.location.clone());
        let (published, clock) = (Arc::clone(&self.published), Arc::clone(&self.clock));
        let task = tokio::spawn(async move {
            match fetch(&client, &location).await {
                Ok(keys) => {
                    let mut published = published.lock().unwrap_or_else(PoisonError::into_inner);
                    published.keys = Some((Arc::new(keys), clock()));
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "key set not fetched"
                    );
                }
            }
            // Dropping it tells the waiters, even when the fetch panics or is aborted.
            drop(finished);
        });
        attempts.last = Some(now);
        attempts.flight = Some(Flight {
            done: done.clone(),
            task: AbortOnDropHandle::new(task),
        });
        done
    }
}

fn running(attempts: &Attempts) -> Option<watch::Receiver<()>> {
    let flight = attempts.flight.as_ref()?;
    // The channel tells sooner than the task: it closes once the keys are in place.
    let is_running = flight.done.has_changed().is_ok() && !flight.task.is_finished();
    is_running.then(|| flight.done.clone())
}

fn is_within(last: Option<DateTime<Utc>>, now: DateTime<Utc>, interval: TimeDelta) -> bool {
    last.is_some_and(|last| now - last < interval)
}

async fn wait(done: Option<watch::Receiver<()>>) {
    if let Some(mut done) = done {
        // Nothing is ever sent: this returns when the sender is gone, which the fetch's own time limit bounds.
        let _ = done.changed().await;
    }
}

async fn fetch(client: &reqwest::Client, location: &Location) -> Result<KeySet, FetchError> {
    let url = match location {
        Location::KeySet(url) => url.clone(),
        Location::Issuer(issuer) => discover(client, issuer).await?,
    };
    let body = read(client, &url).await?;
    KeySet::from_jwks(&body).map_err(FetchError::Keys)
}

/// Asks the issuer's metadata where its keys are (OpenID Connect Discovery, section 4).
async fn discover(client: &reqwest::Client, issuer: &str) -> Result<String, FetchError> {
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        jwks_uri: String,
    }
    let url = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let body = read(client, &url).await?;
    let metadata: Metadata = serde_json::from_slice(&body).map_err(FetchError::Metadata)?;
    // Section 4.3: another issuer's metadata must not lend its keys to this one.
    if metadata.issuer != issuer {
        return Err(FetchError::OtherIssuer);
    }
    if !is_safe_url(&metadata.jwks_uri) {
        return Err(FetchError::UnsafeKeySet);
    }
    Ok(metadata.jwks_uri)
}

async fn read(client: &reqwest::Client, url: &str) -> Result<Vec<u8>, FetchError> {
    let http = |error: reqwest::Error| FetchError::Http(error.without_url());
    let mut response = client
        .get(url)
        .header("accept", "application/json")
        .send()
        .await
        .map_err(http)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(http)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(FetchError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
