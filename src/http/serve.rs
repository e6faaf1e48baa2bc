//! Accepts connections and serves them within bounds; `axum::serve` has no timer for half-sent requests.

use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::http::Routes;
use crate::http::proof::ClientCertificate;
use crate::http::settings::ServerSettings;
use crate::http::stall::StallLimit;
use crate::http::tls::{self, Forwarding, Tls};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until told to stop, then lets requests in flight finish within the drain time and closes the rest.
pub async fn serve(
    listener: TcpListener,
    routes: Routes,
    settings: ServerSettings,
    security: Security,
    shutdown: CancellationToken,
) {
    let security = Arc::new(security);
    let builder = Arc::new(builder(&settings));
    let permits = Arc::new(Semaphore::new(settings.connections_max));
    let head_timeout = settings.header_timeout;
    let write_timeout = settings.write_timeout;
    let graceful = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    if let Some(tls) = security.tls.clone() {
        tasks.spawn(tls.follow(shutdown.clone()));
    }
    while let Some((stream, peer, permit)) = shutdown
        .run_until_cancelled(accept(&listener, &permits))
        .await
    {
        while tasks.try_join_next().is_some() {}
        let connection = Connection {
            peer,
            security: Arc::clone(&security),
            builder: Arc::clone(&builder),
            router: routes.router.clone(),
            watcher: graceful.watcher(),
            head_timeout,
            write_timeout,
        };
        let shutdown = shutdown.clone();
        tasks.spawn(async move {
            connection.run(stream, shutdown).await;
            drop(permit);
        });
    }
    drop(listener);
    let drain = settings.drain;
    // Streams end by themselves, and then the connections that carry them do.
    let drained = async {
        tokio::join!(routes.streams.close(), graceful.shutdown());
    };
    if tokio::time::timeout(drain, drained).await.is_err() {
        tracing::warn!(
            open = tasks.len(),
            "requests were cut off at the end of the drain time"
        );
    }
    routes.streams.cut_off();
    tasks.shutdown().await;
}

fn builder(settings: &ServerSettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_headers(settings.headers_max)
        .max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.streams_max)
        .enable_connect_protocol()
        .max_header_list_size(32 * 1024)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// Waits for room, then for a connection; a failed accept (no file handles left) is waited out.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Who may listen in on connections, and who may speak for their clients.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// TLS of the listener.
    pub tls: Option<Tls>,
    /// Proxies that forward their clients' certificates.
    pub forwarding: Option<Forwarding>,
}

struct Connection {
    peer: SocketAddr,
    security: Arc<Security>,
    builder: Arc<Builder<TokioExecutor>>,
    router: Router,
    watcher: Watcher,
    head_timeout: Duration,
    write_timeout: Duration,
}

impl Connection {
    async fn run(self, stream: TcpStream, shutdown: CancellationToken) {
        let _ = stream.set_nodelay(true);
        let Some(acceptor) = self.security.tls.as_ref().map(Tls::acceptor) else {
            let (reader, writer) = stream.into_split();
            return self.carry(reader, writer, None, shutdown).await;
        };
        let handshake = tokio::time::timeout(self.head_timeout, acceptor.accept(stream));
        match shutdown.run_until_cancelled(handshake).await {
            Some(Ok(Ok(stream))) => {
                let certificate = tls::certificate_of(&stream);
                let (reader, writer) = tokio::io::split(stream);
                self.carry(reader, writer, certificate, shutdown).await;
            }
            Some(Ok(Err(error))) => tracing::debug!(error = %error, "a TLS handshake failed"),
            Some(Err(_)) | None => {}
        }
    }

    async fn carry<R, W>(
        self,
        mut reader: R,
        writer: W,
        certificate: Option<ClientCertificate>,
        shutdown: CancellationToken,
    ) where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        // The builder reads until it can tell HTTP/1.1 from HTTP/2 and has no timer for that, so it is done before.
        let first = tokio::time::timeout(self.head_timeout, first_bytes(&mut reader));
        let Some(Ok(Ok(first))) = shutdown.run_until_cancelled(first).await else {
            return;
        };
        let writer = StallLimit::new(writer, self.write_timeout);
        let io = tokio::io::join(Cursor::new(first).chain(reader), writer);
        let (security, peer) = (self.security, self.peer);
        let router = self
            .router
            .map_request(move |mut request: Request<Incoming>| {
                let forwarded = || {
                    let forwarding = security.forwarding.as_ref()?;
                    forwarding.certificate(peer, request.headers())
                };
                if let Some(certificate) = certificate.clone().or_else(forwarded) {
                    request.extensions_mut().insert(certificate);
                }
                request
            });
        let service = TowerToHyperService::new(router);
        let connection = self
            .builder
            .serve_connection_with_upgrades(TokioIo::new(io), service);
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!(error = %error, "a connection ended early");
        }
    }
}

/// Reads until the bytes are the HTTP/2 preface or cannot become it.
async fn first_bytes<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Vec<u8>> {
    let mut first = Vec::with_capacity(PREFACE.len());
    while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
        let room = (PREFACE.len() - first.len()) as u64;
        if (&mut *stream).take(room).read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(first)
}
