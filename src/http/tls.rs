//! TLS on the gateway's own listener, and who the client of a connection has proven to be.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::auth::key_file::{Stamp, stamp};
use crate::config::net::Net;
use crate::http::proof::ClientCertificate;

/// The largest certificate that a proxy's header may carry.
const HEADER_BYTES_MAX: usize = 24 * 1024;
/// How often is looked whether the files have changed.
const INTERVAL: Duration = Duration::from_secs(1);

/// The files of the listener's TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain that the gateway shows, its own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities whose client certificates are accepted; without them none is asked for.
    pub client_authorities: Option<PathBuf>,
    /// Whether a client without a certificate is turned away.
    pub is_client_required: bool,
}

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read or is no PEM.
    #[error("`{file}` can't be read as PEM")]
    File {
        /// Which file.
        file: String,
        /// The cause.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate and key don't go together.
    #[error("the certificate and its key can't be used")]
    Certificate(#[source] rustls::Error),
    /// The authorities can't be used.
    #[error("the authorities of client certificates can't be used")]
    Authorities(#[source] VerifierBuilderError),
}

impl TlsFiles {
    /// What tells this state of the files from another.
    fn stamps(&self) -> [Option<Stamp>; 3] {
        let authorities = self.client_authorities.as_deref();
        [
            stamp(&self.certificate),
            stamp(&self.key),
            authorities.and_then(stamp),
        ]
    }
}

/// TLS of the listener; it follows its files, so that a renewed certificate needs no restart.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    seen: [Option<Stamp>; 3],
    current: Arc<RwLock<TlsAcceptor>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files; what can't be used keeps a gateway from starting.
    pub fn new(files: TlsFiles) -> Result<Self, TlsError> {
        let seen = files.stamps();
        let current = Arc::new(RwLock::new(acceptor(&files)?));
        Ok(Self {
            files,
            seen,
            current,
        })
    }

    /// What accepts connections now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// Takes renewed files until told to stop; connections that stand keep what they were made with.
    pub(crate) async fn follow(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let (files, seen) = (self.files.clone(), self.seen);
            let looked = tokio::task::spawn_blocking(move || {
                let stamps = files.stamps();
                (stamps != seen).then(|| (stamps, acceptor(&files)))
            });
            let Ok(Some((stamps, read))) = looked.await else {
                continue;
            };
            // A pair of which only one file is written yet is tried again with the other's change.
            self.seen = stamps;
            match read {
                Ok(renewed) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = renewed;
                    tracing::info!("the listener's certificate was read anew");
                }
                Err(error) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the listener's changed certificate can't be used, that of before stays"
                ),
            }
        }
    }
}

/// Reads the files and makes what accepts connections.
fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::File {
        file: files.key.display().to_string(),
        source,
    })?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Certificate)?;
    let builder = match &files.client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority).map_err(TlsError::Certificate)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if files.is_client_required {
                verifier
            } else {
                verifier.allow_unauthenticated()
            };
            builder.with_client_cert_verifier(verifier.build().map_err(TlsError::Authorities)?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(TlsError::Certificate)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refuse = |source| TlsError::File {
        file: path.display().to_string(),
        source,
    };
    CertificateDer::pem_file_iter(path)
        .map_err(refuse)?
        .collect::<Result<_, _>>()
        .map_err(refuse)
}

/// The certificate that the client of a connection has proven to hold.
pub(crate) fn certificate_of(stream: &TlsStream<TcpStream>) -> Option<ClientCertificate> {
    let (_, connection) = stream.get_ref();
    let leaf = connection.peer_certificates()?.first()?;
    Some(ClientCertificate(leaf.as_ref().into()))
}

/// A proxy that ends TLS and tells who its client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarding {
    /// The header that carries the certificate, as RFC 9440 writes it.
    pub header: String,
    /// The proxies that are believed.
    pub peers: Vec<Net>,
}

impl Forwarding {
    /// The certificate that a request carries, when the peer is one that is believed. From anybody else the header means
    /// nothing.
    pub(crate) fn certificate(
        &self,
        peer: SocketAddr,
        headers: &HeaderMap,
    ) -> Option<ClientCertificate> {
        let address: IpAddr = peer.ip().to_canonical();
        if !self.peers.iter().any(|net| net.contains(address)) {
            return None;
        }
        let mut values = headers.get_all(&self.header).iter();
        let value = values.next()?;
        // Two of them would let a client slip its own beside the proxy's.
        if values.next().is_some() || value.len() > HEADER_BYTES_MAX {
            return None;
        }
        let text = value.to_str().ok()?.trim();
        let encoded = text.strip_prefix(':')?.strip_suffix(':')?;
        STANDARD
            .decode(encoded)
            .ok()
            .map(|der| ClientCertificate(der.into()))
    }
}
