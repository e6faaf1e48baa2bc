//! What a hand-written program does with a bearer token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, StatusCode, header};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::gateway::{ISSUER, SECRET};

/// The claims that decide anything.
#[derive(Debug, Deserialize)]
pub struct Claims {
    /// Who asks.
    pub sub: String,
    /// What they may do.
    pub scope: String,
}

/// Verifies tokens.
pub struct Tokens {
    key: DecodingKey,
    validation: Validation,
    known: Mutex<HashMap<String, Arc<Claims>>>,
}

impl Default for Tokens {
    fn default() -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&["tributary"]);
        validation.set_issuer(&[ISSUER]);
        Self {
            key: DecodingKey::from_secret(SECRET.as_bytes()),
            validation,
            known: Mutex::default(),
        }
    }
}

impl Tokens {
    /// Verifies the token of a request.
    pub fn verify(&self, headers: &HeaderMap) -> Result<Claims, StatusCode> {
        self.check(bearer(headers)?)
    }

    /// Verifies the token of a request, unless that was done before.
    pub fn recall(&self, headers: &HeaderMap) -> Result<Arc<Claims>, StatusCode> {
        let token = bearer(headers)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claims) = known.get(token) {
            return Ok(claims.clone());
        }
        let claims = Arc::new(self.check(token)?);
        known.insert(token.to_owned(), claims.clone());
        Ok(claims)
    }

    fn check(&self, token: &str) -> Result<Claims, StatusCode> {
        let data = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation)
            .map_err(|_| StatusCode::UNAUTHORIZED)?;
        let may_read = data
            .claims
            .scope
            .split(' ')
            .any(|one| one == "customer:read");
        if data.claims.sub.is_empty() || !may_read {
            return Err(StatusCode::FORBIDDEN);
        }
        Ok(data.claims)
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, StatusCode> {
    let value = headers.get(header::AUTHORIZATION);
    let value = value.and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer "));
    token.ok_or(StatusCode::UNAUTHORIZED)
}
