//! What a request brings to prove who calls: its headers, and the certificate of its connection.

use std::sync::Arc;

use http::{HeaderMap, header};

use crate::auth::Proofs;

/// The header that carries an API key.
pub const API_KEY: &str = "x-api-key";

/// The certificate that the client of a connection has proven to hold, in DER; an extension of its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate(pub Arc<[u8]>);

/// The proofs of one request. A header that is no text counts as one that holds nothing valid.
pub fn proofs<'a>(
    headers: &'a HeaderMap,
    certificate: Option<&'a ClientCertificate>,
) -> Proofs<'a> {
    let text = |name| {
        headers
            .get(name)
            .map(|value: &http::HeaderValue| value.to_str().unwrap_or("-"))
    };
    Proofs {
        authorization: text(header::AUTHORIZATION.as_str()),
        api_key: text(API_KEY),
        certificate: certificate.map(|certificate| &*certificate.0),
    }
}
