//! Who calls us: verifies bearer tokens and says what their holder may see.

pub mod caller;

use std::sync::Arc;

use caller::Caller;

use crate::error::Code;

/// A refusal to accept a caller's proof; its text is safe to show to that caller.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct AuthError {
    /// `Unauthenticated` when no proof was sent, `InvalidToken` when it does not hold.
    pub code: Code,
    /// What is wrong with the proof, without repeating any of it.
    pub message: String,
}

/// Verifies the callers' proofs against the configured issuers.
#[derive(Debug)]
pub struct Authenticator {}

impl Authenticator {
    /// Turns the value of the `Authorization` header into a caller.
    pub async fn authenticate(
        &self,
        authorization: Option<&str>,
    ) -> Result<Arc<Caller>, AuthError> {
        let _ = authorization;
        Err(AuthError {
            code: Code::Unauthenticated,
            message: "no bearer token was sent".into(),
        })
    }
}
