//! The token of a source: one request for all that wait, replaced early, dropped when the vendor refuses it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use crate::credential::reply::Token;
use crate::credential::session::Session;
use crate::credential::{Credential, CredentialError};
use crate::record::secret::Secret;
use crate::transport::kit::Kit;
use crate::transport::retry::Surroundings;
use crate::transport::vault::{Kept, Kind, Vault};
use crate::transport::wire::Request;

/// How often another replica that renews the token is looked after, and how many times.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const LOOKS_MAX: u32 = 100;
/// How large the endpoint's reply may be.
const REPLY_BYTES_MAX: usize = 64 << 10;

/// A token, and which of all tokens it is.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) token: Token,
    pub(crate) number: u64,
    renew_at: Option<Instant>,
    /// When it came from the endpoint, in milliseconds since 1970.
    came_at: i64,
}

/// What asking for a token needs beside the kit.
#[derive(Debug, Clone)]
pub(crate) struct Office {
    pub(crate) vault: Arc<Vault>,
    pub(crate) surroundings: Surroundings,
    /// How long one request may take.
    pub(crate) timeout: Duration,
}

/// Holds the current token.
#[derive(Debug)]
pub(crate) struct TokenStore {
    /// The right to ask the endpoint. A permit and not a lock, so that a caller who hangs up passes it on.
    turn: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    issued: u64,
    /// The last refusal and when it came, for those who waited through it.
    failure: Option<(Instant, CredentialError)>,
    /// Tokens that came before are refused by the vendor, also those that replicas keep.
    refused_until: i64,
    /// The refresh token that came last, should nothing else have kept it.
    refresh: Option<Kept>,
}

impl TokenStore {
    /// Makes an empty one.
    pub(crate) fn new() -> Self {
        Self {
            turn: Arc::new(Semaphore::new(1)),
            state: Mutex::new(State::default()),
        }
    }

    /// The current token, asked for when there is none.
    pub(crate) async fn get(
        kit: &Arc<Kit>,
        office: &Office,
    ) -> Result<Option<Held>, CredentialError> {
        let Credential::Session(session) = &kit.credential else {
            return Ok(None);
        };
        let store = &kit.tokens;
        let arrived = Instant::now();
        if let Some(held) = store.current(arrived) {
            return Ok(Some(held));
        }
        let turn = Arc::clone(&store.turn).acquire_owned().await;
        let turn = turn.map_err(|_| CredentialError::Unreachable)?;
        if let Some(held) = store.current(Instant::now()) {
            return Ok(Some(held));
        }
        if let Some((at, failure)) = &store.lock().failure
            && *at >= arrived
        {
            return Err(failure.clone());
        }
        if session.refresh.is_none() {
            return renew(Arc::clone(kit), office.clone(), turn).await.map(Some);
        }
        // A caller who hangs up must not take along the refresh token that is just coming in.
        let renewing = tokio::spawn(renew(Arc::clone(kit), office.clone(), turn));
        let held = renewing.await.map_err(|_| CredentialError::Unreachable)?;
        held.map(Some)
    }

    /// Where the current token says the vendor is.
    pub(crate) fn is_moved_to(&self, url: &url::Url) -> bool {
        let held = self.current(Instant::now());
        let moved = held.and_then(|held| held.token.moved);
        moved.is_some_and(|moved| moved.is_origin_of(url))
    }

    /// Drops the token of that number, unless it was replaced already.
    pub(crate) fn drop_number(&self, number: u64) {
        let mut state = self.lock();
        if let Some(held) = state.held.take_if(|held| held.number == number) {
            state.refused_until = held.came_at;
        }
    }

    fn current(&self, now: Instant) -> Option<Held> {
        let state = self.lock();
        let is_current = |held: &&Held| held.renew_at.is_none_or(|at| now < at);
        state.held.as_ref().filter(is_current).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for a token and holds it; the turn ends with it.
async fn renew(
    kit: Arc<Kit>,
    office: Office,
    _turn: OwnedSemaphorePermit,
) -> Result<Held, CredentialError> {
    let Credential::Session(session) = &kit.credential else {
        return Err(CredentialError::Unreachable);
    };
    let outcome = obtain(&kit, session, &office).await;
    let mut state = kit.tokens.lock();
    match outcome {
        Ok((token, came_at)) => {
            state.issued += 1;
            let now_ms = (office.surroundings.now)().timestamp_millis();
            let age = Duration::from_millis(u64::try_from(now_ms - came_at).unwrap_or(0));
            let renew_at = token
                .renew_after
                .map(|after| Instant::now() + after.saturating_sub(age));
            let held = Held {
                token,
                number: state.issued,
                renew_at,
                came_at,
            };
            state.held = Some(held.clone());
            state.failure = None;
            Ok(held)
        }
        Err(failure) => {
            state.failure = Some((Instant::now(), failure.clone()));
            Err(failure)
        }
    }
}

/// A token of another replica, or a new one when this replica is the one to ask.
async fn obtain(
    kit: &Kit,
    session: &Session,
    office: &Office,
) -> Result<(Token, i64), CredentialError> {
    if !office.vault.is_shared(session) {
        return ask(kit, session, office).await;
    }
    for _ in 0..LOOKS_MAX {
        if let Some(found) = shared(kit, session, office).await {
            return Ok(found);
        }
        if let Ok(claim) = office.vault.claim(session).await {
            // Another may have finished between the look and the claim.
            let outcome = match shared(kit, session, office).await {
                Some(found) => Ok(found),
                None => ask(kit, session, office).await,
            };
            office.vault.release(claim).await;
            return outcome;
        }
        sleep(LOOK_AGAIN).await;
    }
    Err(CredentialError::Unreachable)
}

/// The token that another replica got, while it is good.
async fn shared(kit: &Kit, session: &Session, office: &Office) -> Option<(Token, i64)> {
    let kept = office.vault.newest(session, Kind::Reply).await?;
    if kept.at <= kit.tokens.lock().refused_until {
        return None;
    }
    let token = session
        .read(StatusCode::OK, &HeaderMap::new(), kept.text.as_bytes())
        .ok()?;
    let age = (office.surroundings.now)().timestamp_millis() - kept.at;
    let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
    let is_good = token.renew_after.is_none_or(|after| age < after);
    is_good.then_some((token, kept.at))
}

async fn ask(
    kit: &Kit,
    session: &Session,
    office: &Office,
) -> Result<(Token, i64), CredentialError> {
    let mut refresh = session.refresh.clone();
    if refresh.is_some() {
        let mut newest = office.vault.newest(session, Kind::Refresh).await;
        let state = kit.tokens.lock();
        let own = state.refresh.as_ref();
        if let Some(own) = own.filter(|own| newest.as_ref().is_none_or(|kept| kept.at < own.at)) {
            newest = Some(own.clone());
        }
        drop(state);
        refresh = newest.map(|kept| Secret::new(kept.text)).or(refresh);
    }
    let request = session.request(&office.surroundings.moment(), refresh.as_ref())?;
    let request = Request {
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: request.body,
    };
    let sent = tokio::time::timeout(office.timeout, kit.wire.send(request, REPLY_BYTES_MAX)).await;
    let reply = sent.map_err(|_| CredentialError::Unreachable)?;
    let reply = reply.map_err(|failure| {
        tracing::warn!(error = %failure, "the token endpoint did not answer");
        CredentialError::Unreachable
    })?;
    let token = session.read(reply.status, &reply.headers, &reply.body);
    let token = token.inspect_err(|error| {
        tracing::warn!(
            http.status = reply.status.as_u16(),
            error = %error,
            "the token endpoint gave no token"
        );
    })?;
    let at = (office.surroundings.now)().timestamp_millis();
    if let Some(renewed) = token.refresh.as_ref().filter(|_| session.refresh.is_some()) {
        let kept = Kept {
            at,
            text: renewed.expose().into(),
        };
        kit.tokens.lock().refresh = Some(kept.clone());
        office.vault.keep(session, Kind::Refresh, &kept, None).await;
    }
    if office.vault.is_shared(session)
        && let (Some(life), Ok(text)) = (token.renew_after, String::from_utf8(reply.body.to_vec()))
    {
        let kept = Kept { at, text };
        office
            .vault
            .keep(session, Kind::Reply, &kept, Some(life))
            .await;
    }
    Ok((token, at))
}
