//! One attempt on the wire: builds the HTTP client, sends a request, reads the reply within its bounds.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Certificate, Client, Identity};
use url::Url;

use crate::transport::body;
use crate::transport::failure::{BuildError, Failure, TlsProblem};
use crate::transport::settings::{SourceSettings, TlsSettings};

/// How long an idle connection is kept: below the keep-alive of common servers, so that we close first.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// How many headers a reply may have.
const HEADERS_MAX: usize = 100;
/// How many bytes a reply's headers may have.
const HEADER_BYTES_MAX: u32 = 64 << 10;
/// How large a file of certificates or keys may be.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// A request with its credential.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A reply as read.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The HTTP client of one source.
#[derive(Debug)]
pub(crate) struct Wire {
    client: Client,
}

impl Wire {
    /// Sets the client up; reads the files that the settings name.
    pub(crate) fn new(settings: &SourceSettings) -> Result<Self, BuildError> {
        let name = settings.source.to_string();
        let builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .referer(false)
            .connect_timeout(settings.budget.connect.0)
            .pool_idle_timeout(IDLE_MAX)
            .http1_max_headers(HEADERS_MAX)
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")));
        let builder = with_tls(builder, settings, &name)?;
        let client = builder
            .build()
            .map_err(|cause| BuildError::Client { name, cause })?;
        Ok(Self { client })
    }

    /// Sends the request and reads the reply; the caller bounds the time.
    pub(crate) async fn send(&self, request: Request, limit: usize) -> Result<Response, Failure> {
        self.begin(request).await?.read(limit).await
    }

    /// Sends the request and waits for the head of the reply; the caller bounds the time.
    pub(crate) async fn begin(&self, request: Request) -> Result<Begun, Failure> {
        let Request {
            method,
            url,
            headers,
            body,
        } = request;
        let mut outward = reqwest::Request::new(method, url);
        *outward.headers_mut() = headers;
        outward
            .headers_mut()
            .entry(header::ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("gzip, br"));
        if !body.is_empty() {
            *outward.body_mut() = Some(body.into());
        }
        let response = self.client.execute(outward).await.map_err(failure)?;
        Ok(Begun(response))
    }
}

/// A reply of which the head has arrived.
#[derive(Debug)]
pub(crate) struct Begun(reqwest::Response);

impl Begun {
    /// Reads the rest of the reply within that many bytes; the caller bounds the time.
    pub(crate) async fn read(self, limit: usize) -> Result<Response, Failure> {
        let mut response = self.0;
        let status = response.status();
        let mut headers = std::mem::take(response.headers_mut());
        let bytes = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum::<usize>();
        let bytes_max = usize::try_from(HEADER_BYTES_MAX).unwrap_or(usize::MAX);
        if bytes > bytes_max {
            return Err(Failure::TooLarge { limit: bytes_max });
        }
        let raw = body::collect(response, limit).await?;
        let body = body::decode(&mut headers, raw, limit)?;
        Ok(Response {
            status,
            headers,
            body,
        })
    }
}

/// Sorts what reqwest tells; its texts would repeat the address, so that is taken out.
fn failure(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    if let Some(problem) = tls_problem(&error) {
        return Failure::Tls {
            problem,
            cause: error.into(),
        };
    }
    if error.is_connect() {
        return Failure::ConnectFailed(error.into());
    }
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<hyper::Error>() {
            if cause.is_parse_too_large() {
                return Failure::TooLarge {
                    limit: usize::try_from(HEADER_BYTES_MAX).unwrap_or(usize::MAX),
                };
            }
            if cause.is_parse() {
                return Failure::Malformed(error.into());
            }
        }
        source = cause.source();
    }
    Failure::Interrupted(error.into())
}

fn with_tls(
    builder: reqwest::ClientBuilder,
    settings: &SourceSettings,
    name: &str,
) -> Result<reqwest::ClientBuilder, BuildError> {
    let TlsSettings {
        ca_file,
        certificate_file,
        key_file,
        pkcs12_file,
        pkcs12_password,
    } = &settings.tls;
    let mut builder = builder;
    if let Some(path) = ca_file {
        let refused = || BuildError::Pem {
            name: name.into(),
            path: path.clone(),
        };
        let authorities = Certificate::from_pem_bundle(&pem(path, name)?).map_err(|_| refused())?;
        if authorities.is_empty() {
            return Err(refused());
        }
        builder = builder.tls_certs_only(authorities);
    } else if settings.needs_no_tls() {
        // Spares reading the machine's list of authorities, which a small container may lack.
        builder = builder.tls_certs_only([]);
    }
    if let Some(path) = pkcs12_file {
        if certificate_file.is_some() || key_file.is_some() {
            return Err(BuildError::Setting {
                name: name.into(),
                problem: "`tls.pkcs12_file` takes the place of `tls.certificate_file` and `tls.key_file`",
            });
        }
        let identity = from_pkcs12(&pem(path, name)?, pkcs12_password.expose());
        let refused = || BuildError::Pkcs12 {
            name: name.into(),
            path: path.clone(),
        };
        return Ok(builder.identity(identity.ok_or_else(refused)?));
    }
    match (certificate_file, key_file) {
        (None, None) => Ok(builder),
        (Some(certificate), Some(key)) => {
            let mut both = pem(certificate, name)?;
            both.push(b'\n');
            both.extend(pem(key, name)?);
            let refused = |_| BuildError::Pem {
                name: name.into(),
                path: certificate.clone(),
            };
            Ok(builder.identity(Identity::from_pem(&both).map_err(refused)?))
        }
        (Some(_), None) | (None, Some(_)) => Err(BuildError::Setting {
            name: name.into(),
            problem: "`tls.certificate_file` and `tls.key_file` must be given together",
        }),
    }
}

/// The certificates and the key of a PKCS#12 file, which rustls can't read itself.
fn from_pkcs12(bytes: &[u8], password: &str) -> Option<Identity> {
    let store = p12_keystore::KeyStore::from_pkcs12(bytes, password).ok()?;
    let (_, chain) = store.private_key_chain()?;
    let mut text = armored("PRIVATE KEY", chain.key());
    for certificate in chain.chain() {
        text.push_str(&armored("CERTIFICATE", certificate.as_der()));
    }
    Identity::from_pem(text.as_bytes()).ok()
}

fn armored(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// What is wrong with the secure connection, when that is what failed.
fn tls_problem(error: &reqwest::Error) -> Option<TlsProblem> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref::<rustls::Error>() {
            return Some(sorted(found));
        }
        // An IO error's own source leaves out what it wraps.
        let wrapped = cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Some(sorted(found));
        }
        source = match wrapped {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    None
}

fn sorted(error: &rustls::Error) -> TlsProblem {
    use rustls::{AlertDescription as Alert, CertificateError as Fault, Error};

    match error {
        Error::InvalidCertificate(fault) => match fault {
            Fault::Expired | Fault::ExpiredContext { .. } => TlsProblem::Expired,
            Fault::NotValidYet | Fault::NotValidYetContext { .. } => TlsProblem::NotYetValid,
            Fault::NotValidForName | Fault::NotValidForNameContext { .. } => TlsProblem::WrongHost,
            Fault::UnknownIssuer => TlsProblem::UnknownAuthority,
            _ => TlsProblem::Invalid,
        },
        Error::AlertReceived(Alert::CertificateRequired) => TlsProblem::ClientCertificateMissing,
        Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::DecryptError
            | Alert::AccessDenied,
        ) => TlsProblem::ClientCertificateRefused,
        _ => TlsProblem::Handshake,
    }
}

fn pem(path: &Path, name: &str) -> Result<Vec<u8>, BuildError> {
    use std::io::Read;

    let refused = |cause| BuildError::File {
        name: name.into(),
        path: path.into(),
        cause,
    };
    let file = std::fs::File::open(path).map_err(refused)?;
    let mut text = Vec::new();
    file.take(PEM_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(refused)?;
    Ok(text)
}
