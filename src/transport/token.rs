//! The token of a source: one request for all that wait, replaced early, dropped when the vendor refuses it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::credential::oauth2::ClientCredentials;
use crate::credential::{CredentialError, Token};
use crate::transport::wire::{Request, Wire};

/// How large the endpoint's reply may be.
const REPLY_BYTES_MAX: usize = 64 << 10;

/// A token, and which of all tokens it is.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) token: Token,
    number: u64,
    renew_at: Option<Instant>,
}

impl Held {
    /// Which of all tokens it is, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

/// Holds the current token.
#[derive(Debug)]
pub(crate) struct TokenStore {
    /// The right to ask the endpoint. A permit and not a lock, so that a caller who hangs up passes it on.
    turn: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    issued: u64,
    /// The last refusal and when it came, for those who waited through it.
    failure: Option<(Instant, CredentialError)>,
}

impl TokenStore {
    /// Makes an empty one.
    pub(crate) fn new() -> Self {
        Self {
            turn: Semaphore::new(1),
            state: Mutex::new(State::default()),
        }
    }

    /// The current token, asked for when there is none.
    pub(crate) async fn get(
        &self,
        client: &ClientCredentials,
        wire: &Wire,
    ) -> Result<Held, CredentialError> {
        let arrived = Instant::now();
        if let Some(held) = self.current(arrived) {
            return Ok(held);
        }
        let _turn = self
            .turn
            .acquire()
            .await
            .map_err(|_| CredentialError::Unreachable)?;
        if let Some(held) = self.current(Instant::now()) {
            return Ok(held);
        }
        if let Some((at, failure)) = &self.lock().failure
            && *at >= arrived
        {
            return Err(failure.clone());
        }
        let outcome = ask(client, wire).await;
        let mut state = self.lock();
        match outcome {
            Ok(token) => {
                state.issued += 1;
                let renew_at = token.renew_after.map(|after| Instant::now() + after);
                let held = Held {
                    token,
                    number: state.issued,
                    renew_at,
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

    /// Drops a token that the vendor refused, unless it was replaced already.
    pub(crate) fn drop_refused(&self, refused: &Held) {
        self.drop_number(refused.number);
    }

    /// Drops the token of that number, unless it was replaced already.
    pub(crate) fn drop_number(&self, number: u64) {
        let mut state = self.lock();
        if state
            .held
            .as_ref()
            .is_some_and(|held| held.number == number)
        {
            state.held = None;
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

async fn ask(client: &ClientCredentials, wire: &Wire) -> Result<Token, CredentialError> {
    let (url, headers, body) = client.request();
    let request = Request {
        method: Method::POST,
        url,
        headers,
        body,
    };
    let reply = wire.send(request, REPLY_BYTES_MAX).await;
    let reply = reply.map_err(|failure| {
        tracing::warn!(error = %failure, "the token endpoint did not answer");
        CredentialError::Unreachable
    })?;
    let token = client.read(reply.status, &reply.body);
    if token.is_err() && reply.status != StatusCode::OK {
        tracing::warn!(
            http.status = reply.status.as_u16(),
            "the token endpoint refused the client"
        );
    }
    token
}
