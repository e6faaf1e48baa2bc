//! Why a call has no reply, and why a client can't be built.

use std::path::PathBuf;
use std::time::Duration;

use crate::credential::CredentialError;
use crate::error::Code;

/// The cause as the library tells it; for the log only, since it may name hosts.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsProblem {
    /// The vendor's certificate has expired.
    #[error("the source's certificate has expired")]
    Expired,
    /// The vendor's certificate does not hold yet.
    #[error("the source's certificate is not valid yet")]
    NotYetValid,
    /// The vendor's certificate is for other hosts.
    #[error("the source's certificate is for another host")]
    WrongHost,
    /// Nobody we trust vouches for the vendor.
    #[error("the source's certificate is from an unknown authority")]
    UnknownAuthority,
    /// The vendor's certificate or proof has another fault.
    #[error("the source's certificate is not valid")]
    Invalid,
    /// The vendor wants a certificate of ours and got none.
    #[error("the source wants a client certificate")]
    ClientCertificateMissing,
    /// The vendor does not take the certificate it got.
    #[error("the source refuses the client certificate")]
    ClientCertificateRefused,
    /// Both sides have no version or method in common, or one breaks the rules.
    #[error("no secure connection could be agreed on")]
    Handshake,
}

impl TlsProblem {
    /// Whether our own certificate is what is wrong.
    pub fn is_ours(self) -> bool {
        matches!(
            self,
            Self::ClientCertificateMissing | Self::ClientCertificateRefused
        )
    }
}

/// Why a call has no reply. The texts name neither host nor content; the chain of sources is for the log.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The vendor did not finish within the source's timeout.
    #[error("the source did not answer in time")]
    Timeout,
    /// No connection came about.
    #[error("the source could not be reached")]
    ConnectFailed(#[source] Cause),
    /// No secure connection came about, because one side refused the other's certificate.
    #[error("the source and the gateway do not trust each other: {problem}")]
    Tls {
        /// What is wrong.
        problem: TlsProblem,
        /// What the library tells.
        #[source]
        cause: Cause,
    },
    /// The connection ended before the reply did.
    #[error("the source broke off its reply")]
    Interrupted(#[source] Cause),
    /// The headers or the body exceed their limit.
    #[error("the source's reply is larger than {limit} bytes")]
    TooLarge {
        /// The limit that was exceeded.
        limit: usize,
    },
    /// The reply is not HTTP, or is compressed in a way that can't be read.
    #[error("the source's reply is not valid HTTP")]
    Malformed(#[source] Cause),
    /// The breaker is open: the source failed too often of late.
    #[error("the source is left alone after repeated failures")]
    CircuitOpen {
        /// When it is tried again.
        retry_after: Duration,
    },
    /// Too many calls wait for the source already.
    #[error("too many calls wait for the source")]
    Overloaded,
    /// The source's rate leaves no room before the deadline.
    #[error("the source's rate limit leaves no room before the deadline")]
    RateLimited {
        /// When there is room again.
        retry_after: Duration,
    },
    /// No token could be had.
    #[error("no credential for the source could be obtained")]
    CredentialUnavailable {
        /// Why.
        #[source]
        cause: CredentialError,
    },
    /// The request's own deadline passed.
    #[error("the request's deadline passed")]
    DeadlineExceeded,
    /// The answer to a write was lost after the write was sent: it may have been done, or not.
    #[error("the source may have done it or not, since its answer was lost")]
    Indeterminate(#[source] Box<Failure>),
    /// The address is not of the source's origin, so that no credential may be sent there.
    #[error("the call's address is not of the source's origin")]
    ForeignOrigin,
}

impl Failure {
    /// Whether a call that was sent may have been done all the same.
    pub(crate) fn loses_answer(&self) -> bool {
        match self {
            Self::Timeout
            | Self::Interrupted(_)
            | Self::TooLarge { .. }
            | Self::Malformed(_)
            | Self::DeadlineExceeded
            | Self::Indeterminate(_) => true,
            Self::ConnectFailed(_)
            | Self::Tls { .. }
            | Self::CircuitOpen { .. }
            | Self::Overloaded
            | Self::RateLimited { .. }
            | Self::CredentialUnavailable { .. }
            | Self::ForeignOrigin => false,
        }
    }

    /// The public code.
    pub fn code(&self) -> Code {
        match self {
            Self::Timeout => Code::SourceTimeout,
            Self::ConnectFailed(_) | Self::Interrupted(_) | Self::CircuitOpen { .. } => {
                Code::SourceUnavailable
            }
            Self::Tls { problem, .. } if problem.is_ours() => Code::SourceUnauthorized,
            Self::Tls { .. } => Code::SourceUnavailable,
            Self::TooLarge { .. } | Self::Malformed(_) | Self::ForeignOrigin => {
                Code::SourceInvalidResponse
            }
            Self::Overloaded => Code::Overloaded,
            Self::RateLimited { .. } => Code::SourceRateLimited,
            Self::CredentialUnavailable { cause } if cause.is_refusal() => Code::SourceUnauthorized,
            Self::CredentialUnavailable { .. } => Code::SourceUnavailable,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Indeterminate(cause) => cause.code(),
        }
    }
}

/// Why a client can't be built from its settings.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A setting is out of its bounds.
    #[error("source `{name}`: {problem}")]
    Setting {
        /// The source.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A file of certificates or keys can't be read.
    #[error("source `{name}`: `{}` can't be read", path.display())]
    File {
        /// The source.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A file of certificates or keys holds none.
    #[error("source `{name}`: `{}` holds no usable certificate or key in PEM form", path.display())]
    Pem {
        /// The source.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// A PKCS#12 file can't be opened.
    #[error("source `{name}`: `{}` is not a PKCS#12 file with a key and its certificate, or `tls.pkcs12_password` is wrong", path.display())]
    Pkcs12 {
        /// The source.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// The credential can't be used.
    #[error("source `{name}`: the credential can't be used")]
    Credential {
        /// The source.
        name: String,
        /// Why.
        #[source]
        cause: CredentialError,
    },
    /// The HTTP client can't be set up, for example because the machine lists no authorities.
    #[error("source `{name}`: the HTTP client can't be set up")]
    Client {
        /// The source.
        name: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
}
