//! Why a source gave no answer, and why a record of an answer was refused.

use std::time::Duration;

use http::StatusCode;

use crate::connector::spec::ClassSpec;
use crate::error::Code;
use crate::transport::failure::Failure;

/// Class of a failed call; the failure states of the graph's `SourceResultState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureClass {
    /// The source rejected our credential.
    Unauthorized,
    /// The source accepted the credential and refused the operation.
    Forbidden,
    /// The source's rate limit or quota is used up.
    RateLimited,
    /// The source did not answer in time.
    Timeout,
    /// The source could not be reached or is broken.
    Unavailable,
    /// The answer does not fit the connector file.
    InvalidResponse,
    /// The source rejected the request as wrong.
    Rejected,
    /// The source says that there is no such thing, where that is a failure.
    NotFound,
    /// The connector file does not offer this.
    Unsupported,
    /// The source was not asked.
    Skipped,
}

impl FailureClass {
    /// The public code of a failure of this class.
    pub const fn code(self) -> Code {
        match self {
            Self::Unauthorized => Code::SourceUnauthorized,
            Self::Forbidden => Code::SourceForbidden,
            Self::RateLimited => Code::SourceRateLimited,
            Self::Timeout => Code::SourceTimeout,
            Self::Unavailable | Self::Skipped => Code::SourceUnavailable,
            Self::InvalidResponse => Code::SourceInvalidResponse,
            Self::Rejected | Self::NotFound => Code::SourceRejected,
            Self::Unsupported => Code::SourceUnsupported,
        }
    }

    /// What a status means when nothing else is said.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 | 410 => Self::NotFound,
            408 | 504 => Self::Timeout,
            429 => Self::RateLimited,
            400..=499 => Self::Rejected,
            500..=599 => Self::Unavailable,
            _ => Self::InvalidResponse,
        }
    }
}

impl From<ClassSpec> for FailureClass {
    fn from(class: ClassSpec) -> Self {
        match class {
            ClassSpec::Unauthorized | ClassSpec::AuthExpired => Self::Unauthorized,
            ClassSpec::Forbidden => Self::Forbidden,
            ClassSpec::RateLimited | ClassSpec::Quota => Self::RateLimited,
            ClassSpec::Timeout => Self::Timeout,
            ClassSpec::Unavailable | ClassSpec::Transient => Self::Unavailable,
            ClassSpec::InvalidResponse => Self::InvalidResponse,
            ClassSpec::Rejected | ClassSpec::Invalid | ClassSpec::Permanent => Self::Rejected,
            ClassSpec::NotFound => Self::NotFound,
        }
    }
}

/// What helps against a failure, beyond its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing that the gateway could do.
    None,
    /// A new token or session.
    Renew,
    /// The next day of the quota.
    AwaitQuota,
    /// The same call once more.
    Repeat,
}

impl From<ClassSpec> for Remedy {
    fn from(class: ClassSpec) -> Self {
        match class {
            ClassSpec::AuthExpired => Self::Renew,
            ClassSpec::Quota => Self::AwaitQuota,
            ClassSpec::Transient => Self::Repeat,
            ClassSpec::Unauthorized
            | ClassSpec::Forbidden
            | ClassSpec::RateLimited
            | ClassSpec::Timeout
            | ClassSpec::Unavailable
            | ClassSpec::InvalidResponse
            | ClassSpec::Rejected
            | ClassSpec::NotFound
            | ClassSpec::Invalid
            | ClassSpec::Permanent => Self::None,
        }
    }
}

/// A failed call. Its text is for the log: it names neither hosts nor content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct CallFailure {
    /// What callers are told.
    pub class: FailureClass,
    /// When to try again, when the source says so.
    pub retry_after: Option<Duration>,
    /// The vendor's own code.
    pub vendor_code: Option<String>,
    /// What helps.
    pub remedy: Remedy,
    /// What happened.
    pub detail: String,
}

impl CallFailure {
    /// A failure without more to tell.
    pub(crate) fn new(class: FailureClass, detail: impl Into<String>) -> Self {
        Self {
            class,
            retry_after: None,
            vendor_code: None,
            remedy: Remedy::None,
            detail: detail.into(),
        }
    }

    /// A reply that does not fit the connector file.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(FailureClass::InvalidResponse, detail)
    }
}

impl From<Failure> for CallFailure {
    fn from(failure: Failure) -> Self {
        let (class, retry_after) = match &failure {
            Failure::Timeout | Failure::DeadlineExceeded => (FailureClass::Timeout, None),
            Failure::Tls { problem, .. } if problem.is_ours() => (FailureClass::Unauthorized, None),
            Failure::ConnectFailed(_) | Failure::Tls { .. } | Failure::Interrupted(_) => {
                (FailureClass::Unavailable, None)
            }
            Failure::TooLarge { .. } | Failure::Malformed(_) | Failure::ForeignOrigin => {
                (FailureClass::InvalidResponse, None)
            }
            Failure::CircuitOpen { retry_after } => (FailureClass::Skipped, Some(*retry_after)),
            Failure::Overloaded => (FailureClass::RateLimited, None),
            Failure::RateLimited { retry_after } => (FailureClass::RateLimited, Some(*retry_after)),
            Failure::CredentialUnavailable { cause } if cause.is_refusal() => {
                (FailureClass::Unauthorized, None)
            }
            Failure::CredentialUnavailable { .. } => (FailureClass::Unavailable, None),
            // Operations that read are lost when their answer is.
            Failure::Indeterminate(_) => (FailureClass::Unavailable, None),
        };
        Self {
            retry_after,
            ..Self::new(class, failure.to_string())
        }
    }
}

/// A record that was left out because it does not hold what the graph or the connector file promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which source, operation and field, and what is wrong; never the value itself.
    pub reason: String,
}
