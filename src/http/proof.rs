//! What a request brings to prove who calls: its headers, and the certificate of its connection.

use std::sync::Arc;

use http::{Extensions, HeaderMap, header};

use crate::auth::Proofs;

/// The header that carries an API key.
pub const API_KEY: &str = "x-api-key";

/// The certificate that the client of a connection has proven to hold, in DER; an extension of its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate(pub Arc<[u8]>);

/// The proofs of one request, kept for a connection that outlives its head.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    authorization: Option<String>,
    api_key: Option<String>,
    certificate: Option<ClientCertificate>,
}

impl Brought {
    /// What a request's headers and its connection bring. A header that is no text counts as one that holds nothing valid.
    pub fn by(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let text = |name: &str| {
            let value = headers.get(name)?;
            Some(value.to_str().unwrap_or("-").to_owned())
        };
        Self {
            authorization: text(header::AUTHORIZATION.as_str()),
            api_key: text(API_KEY),
            certificate: extensions.get::<ClientCertificate>().cloned(),
        }
    }

    /// The same with a proof that was sent later, which takes the place of all others.
    #[must_use]
    pub fn or_later(self, authorization: Option<String>) -> Self {
        match authorization {
            Some(later) => Self {
                authorization: Some(later),
                ..Self::default()
            },
            None => self,
        }
    }

    /// As `auth` takes them.
    pub fn proofs(&self) -> Proofs<'_> {
        Proofs {
            authorization: self.authorization.as_deref(),
            api_key: self.api_key.as_deref(),
            certificate: self.certificate.as_ref().map(|certificate| &*certificate.0),
        }
    }
}
