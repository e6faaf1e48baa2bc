//! One issuer of tokens: its keys, and whether they signed a token.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use chrono::TimeDelta;

use crate::auth::key::{Found, KeySet};
use crate::auth::remote::{Location, Pace, RemoteKeys};
use crate::auth::settings::IssuerSettings;
use crate::auth::token::{self, Unverified, bare_type};
use crate::auth::{AuthError, BuildError, Clock, FILE_BYTES_MAX};
use crate::error::Code;

#[derive(Debug)]
enum Keys {
    Fixed(Arc<KeySet>),
    Published(RemoteKeys),
}

/// One issuer with its rules.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) settings: IssuerSettings,
    keys: Keys,
}

impl Issuer {
    /// Makes an issuer of its settings; reads the key file that they name.
    pub(crate) fn new(
        settings: &IssuerSettings,
        client: &reqwest::Client,
        clock: &Clock,
    ) -> Result<Self, BuildError> {
        Ok(Self {
            keys: keys_of(settings, client, clock)?,
            settings: settings.clone(),
        })
    }

    /// Holds a token to the types and algorithms of its issuer, and its signature to the issuer's keys.
    pub(crate) async fn check(&self, token: &Unverified<'_>) -> Result<(), AuthError> {
        if !self
            .settings
            .types
            .iter()
            .any(|typ| bare_type(typ) == token.typ)
        {
            return Err(AuthError::new(
                Code::TokenTypeRefused,
                "the token's type is not accepted here",
            ));
        }
        if !self.settings.algorithms.contains(&token.algorithm) {
            return Err(AuthError::new(
                Code::TokenAlgorithmRefused,
                token::ALGORITHM_REFUSED,
            ));
        }
        self.check_signature(token).await
    }

    async fn check_signature(&self, token: &Unverified<'_>) -> Result<(), AuthError> {
        let kid = token.kid.as_deref();
        let mut keys = match &self.keys {
            Keys::Fixed(keys) => Arc::clone(keys),
            Keys::Published(remote) => remote.current().await.ok_or_else(|| AuthError {
                code: Code::Internal,
                message: "the keys of the token's issuer cannot be read at the moment".into(),
            })?,
        };
        if let (Found::None, Keys::Published(remote)) =
            (keys.find(kid, token.algorithm), &self.keys)
            && let Some(newer) = remote.refetched().await
        {
            keys = newer;
        }
        match keys.find(kid, token.algorithm) {
            Found::One(key) => token.verify(key),
            Found::None => Err(AuthError::new(
                Code::TokenKeyUnknown,
                "the token is signed with a key that its issuer does not offer",
            )),
            Found::Several => Err(AuthError::new(
                Code::TokenKeyUnknown,
                "the token does not say which of its issuer's keys signed it",
            )),
        }
    }
}

fn keys_of(
    issuer: &IssuerSettings,
    client: &reqwest::Client,
    clock: &Clock,
) -> Result<Keys, BuildError> {
    let unusable = |source| BuildError::Key {
        issuer: issuer.issuer.clone(),
        source,
    };
    let read = |path: &Path| {
        read_file(path).map_err(|source| BuildError::File {
            issuer: issuer.issuer.clone(),
            source,
        })
    };
    let keys = if let Some(secret) = &issuer.secret {
        KeySet::from_secret(secret)
    } else if let Some(pem) = &issuer.public_key_pem {
        KeySet::from_pem(pem).map_err(unusable)?
    } else if let Some(path) = &issuer.public_key_file {
        KeySet::from_pem(&read(path)?).map_err(unusable)?
    } else if let Some(path) = &issuer.jwks_file {
        KeySet::from_jwks(read(path)?.as_bytes()).map_err(unusable)?
    } else {
        let seconds =
            |count: u64| TimeDelta::seconds(i64::try_from(count).unwrap_or(i64::from(i32::MAX)));
        let pace = Pace {
            refresh: seconds(issuer.jwks_refresh_seconds),
            unknown_kid: seconds(issuer.jwks_unknown_kid_seconds),
        };
        let location = match &issuer.jwks_url {
            Some(url) => Location::KeySet(url.clone()),
            None => Location::Issuer(issuer.issuer.clone()),
        };
        return Ok(Keys::Published(RemoteKeys::new(
            location,
            client.clone(),
            Arc::clone(clock),
            pace,
        )));
    };
    Ok(Keys::Fixed(Arc::new(keys)))
}

fn read_file(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
    }
    Ok(text)
}
