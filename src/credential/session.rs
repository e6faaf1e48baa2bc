//! A credential that must be fetched: what is asked, how the reply is read, and what may be kept of it.

use std::path::PathBuf;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use sha2::{Digest, Sha256};
use url::Url;

use crate::credential::login::Login;
use crate::credential::oauth2::Client;
use crate::credential::reply::{Reading, Token};
use crate::credential::{CredentialError, Moment};
use crate::record::secret::Secret;

/// A request for a token.
#[derive(Debug)]
pub struct TokenRequest {
    /// The method.
    pub method: Method,
    /// The address.
    pub url: Url,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// How a token is asked for.
#[derive(Debug)]
pub(crate) enum Asking {
    Oauth2(Box<Client>),
    Login(Box<Login>),
}

/// A credential that must be fetched.
#[derive(Debug)]
pub struct Session {
    asking: Asking,
    pub(crate) reading: Reading,
    /// The refresh token to start with.
    pub(crate) refresh: Option<Secret>,
    /// Where the newest refresh token is kept.
    pub(crate) state_file: Option<PathBuf>,
    /// Whether replicas share what is fetched.
    pub(crate) is_shared: bool,
    key: Secret,
}

impl Session {
    pub(crate) fn new(
        reading: Reading,
        asking: Asking,
        secrets: &[&Secret],
        is_shared: bool,
    ) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"tributary sealed token 1");
        for text in std::iter::once(reading.url.as_str())
            .chain(secrets.iter().map(|secret| secret.expose()))
        {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        Self {
            asking,
            reading,
            refresh: None,
            state_file: None,
            is_shared,
            key: Secret::new(hex::encode(hash.finalize())),
        }
    }

    /// The token request; `refresh` is the refresh token of that grant.
    pub fn request(
        &self,
        moment: &Moment,
        refresh: Option<&Secret>,
    ) -> Result<TokenRequest, CredentialError> {
        match &self.asking {
            Asking::Oauth2(client) => client.request(moment, refresh),
            Asking::Login(login) => login.request(),
        }
    }

    /// Reads the endpoint's reply.
    pub fn read(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Token, CredentialError> {
        self.reading.read(status, headers, body)
    }

    /// The key that seals what is kept: nobody without the credential can open it, and a changed credential opens nothing old.
    pub(crate) fn key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        // The text is the hexadecimal form of exactly so many bytes.
        let _ = hex::decode_to_slice(self.key.expose(), &mut key);
        key
    }

    /// Names the credential without telling anything of it.
    pub(crate) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.key());
        hex::encode(digest.get(..8).unwrap_or_default())
    }
}

/// Reads the address of a token endpoint.
pub(crate) fn address(text: &str) -> Result<Url, CredentialError> {
    let url = Url::parse(text).map_err(|_| CredentialError::TokenUrl)?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    if !is_web || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some()
    {
        return Err(CredentialError::TokenUrl);
    }
    Ok(url)
}
