//! What a source's client does with certificates, good and bad.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tributary::error::Code;
use tributary::transport::Call;
use tributary::transport::client::SourceClient;
use tributary::transport::failure::{BuildError, Failure, TlsProblem};
use tributary::transport::retry::Surroundings;
use tributary::transport::settings::{SourceSettings, TlsSettings};

use crate::support::client::{client, settings, soon};

/// An authority, and what it signed.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

struct Signed {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = uuid::Uuid::new_v4().to_string();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    fn sign(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> Signed {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Signed { certificate, key }
    }
}

/// A vendor that speaks TLS and says `ok` to everything; it ends with this value.
struct Server {
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(own: &Signed, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.der().clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(own.key.serialize_der()).unwrap();
        let config = builder
            .with_single_cert(vec![own.certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut buffer = [0; 4096];
                    if stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                        let reply =
                            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                        let _ = stream.write_all(reply).await;
                        let _ = stream.shutdown().await;
                    }
                });
            }
        });
        Self { port, task }
    }

    fn settings(&self, tls: TlsSettings) -> SourceSettings {
        SourceSettings {
            tls,
            ..settings(&format!("https://127.0.0.1:{}", self.port))
        }
    }

    async fn ask(&self, tls: TlsSettings) -> Result<(), Failure> {
        let settings = self.settings(tls);
        let call = Call {
            operation: "Ticket.get".into(),
            method: http::Method::GET,
            url: settings.url.clone(),
            headers: Vec::new(),
            body: bytes::Bytes::new(),
            safe: true,
            idempotency: None,
            inner: 1,
            block_at: None,
        };
        client(settings)
            .send(call, soon())
            .await
            .map(|reply| assert_eq!(reply.status, 200))
    }
}

/// Files that go with this value.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tributary-tls-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> Option<PathBuf> {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        Some(path)
    }

    fn trusting(&self, authority: &Authority) -> TlsSettings {
        TlsSettings {
            ca_file: self.put("ca.pem", authority.certificate.pem()),
            ..TlsSettings::default()
        }
    }

    fn showing(&self, authority: &Authority, own: &Signed) -> TlsSettings {
        TlsSettings {
            certificate_file: self.put("own.pem", own.certificate.pem()),
            key_file: self.put("own.key", own.key.serialize_pem()),
            ..self.trusting(authority)
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn is_refused(outcome: Result<(), Failure>, expected: TlsProblem, code: Code) {
    let failure = outcome.unwrap_err();
    assert_eq!(failure.code(), code);
    match failure {
        Failure::Tls { problem, .. } => assert_eq!(problem, expected),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_vendors_certificate_is_told() {
    let (authority, files) = (Authority::new(), Files::new());
    let good = Server::start(&authority.sign("127.0.0.1", |_| {}), None).await;
    good.ask(files.trusting(&authority)).await.unwrap();
    let expired = authority.sign("127.0.0.1", |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let early = authority.sign("127.0.0.1", |params| {
        params.not_before = date_time_ymd(2900, 1, 1)
    });
    let foreign = authority.sign("vendor.example", |_| {});
    let unknown = Authority::new().sign("127.0.0.1", |_| {});
    for (own, problem) in [
        (expired, TlsProblem::Expired),
        (early, TlsProblem::NotYetValid),
        (foreign, TlsProblem::WrongHost),
        (unknown, TlsProblem::UnknownAuthority),
    ] {
        let server = Server::start(&own, None).await;
        let outcome = server.ask(files.trusting(&authority)).await;
        is_refused(outcome, problem, Code::SourceUnavailable);
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_its_lack_is_told() {
    let (authority, other, files) = (Authority::new(), Authority::new(), Files::new());
    let server = Server::start(&authority.sign("127.0.0.1", |_| {}), Some(&authority)).await;
    let own = authority.sign("gateway", |_| {});
    server.ask(files.showing(&authority, &own)).await.unwrap();
    let outcome = server.ask(files.trusting(&authority)).await;
    is_refused(
        outcome,
        TlsProblem::ClientCertificateMissing,
        Code::SourceUnauthorized,
    );
    let wrong = other.sign("gateway", |_| {});
    let outcome = server.ask(files.showing(&authority, &wrong)).await;
    is_refused(
        outcome,
        TlsProblem::ClientCertificateRefused,
        Code::SourceUnauthorized,
    );
}

#[tokio::test]
async fn a_client_certificate_in_pkcs12_is_as_good() {
    use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKeyChain};

    let (authority, files) = (Authority::new(), Files::new());
    let server = Server::start(&authority.sign("127.0.0.1", |_| {}), Some(&authority)).await;
    let own = authority.sign("gateway", |_| {});
    let certificate = Certificate::from_der(own.certificate.der()).unwrap();
    let chain = PrivateKeyChain::new(own.key.serialize_der(), [1, 2, 3], [certificate]);
    let mut store = KeyStore::new();
    store.add_entry("gateway", KeyStoreEntry::PrivateKeyChain(chain));
    let file = files.put("own.p12", store.writer("canary").write().unwrap());
    let tls = |password: &str| TlsSettings {
        pkcs12_file: file.clone(),
        pkcs12_password: tributary::record::secret::Secret::new(password),
        ..files.trusting(&authority)
    };
    server.ask(tls("canary")).await.unwrap();
    let refused =
        SourceClient::new(server.settings(tls("wrong")), Surroundings::real()).unwrap_err();
    assert!(matches!(refused, BuildError::Pkcs12 { .. }), "{refused:?}");
    assert!(!format!("{refused} {refused:?}").contains("wrong\""));
}

#[tokio::test]
async fn a_renewed_client_certificate_needs_no_restart() {
    let (authority, other, files) = (Authority::new(), Authority::new(), Files::new());
    let server = Server::start(&authority.sign("127.0.0.1", |_| {}), Some(&authority)).await;
    let settings = server.settings(files.showing(&authority, &other.sign("gateway", |_| {})));
    let url = settings.url.clone();
    let client = client(settings);
    let call = || Call {
        operation: "Ticket.get".into(),
        method: http::Method::GET,
        url: url.clone(),
        headers: Vec::new(),
        body: bytes::Bytes::new(),
        safe: true,
        idempotency: None,
        inner: 1,
        block_at: None,
    };
    assert!(client.send(call(), soon()).await.is_err());
    files.showing(&authority, &authority.sign("gateway", |_| {}));
    assert_eq!(client.send(call(), soon()).await.unwrap().status, 200);
}
