//! What each source answered during one fan-out, reported beside the data.

use std::sync::Arc;

use crate::connector::failure::FailureClass;
use crate::error::Code;
use crate::fetch::{Failure, Outcome, Reading};
use crate::record::Age;

/// The state of one source in one fan-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// Key of the source.
    pub source: Arc<str>,
    /// `SourceResultState` of the graph.
    pub state: &'static str,
    /// Detail for people, without secrets.
    pub message: Option<String>,
    /// How long the vendor took.
    pub latency_ms: Option<u32>,
    /// When to try again.
    pub retry_after_seconds: Option<u64>,
    /// Filters that the gateway applied itself.
    pub filtered_locally: Vec<Arc<str>>,
    /// Whether reading stopped at a limit.
    pub truncated: bool,
}

impl SourceStatus {
    /// A status without detail.
    pub fn new(source: Arc<str>, state: &'static str) -> Self {
        Self {
            source,
            state,
            message: None,
            latency_ms: None,
            retry_after_seconds: None,
            filtered_locally: Vec::new(),
            truncated: false,
        }
    }

    /// The status that one outcome stands for.
    pub fn of(source: &Arc<str>, outcome: &Outcome) -> Self {
        match outcome {
            Ok(reading) => Self::of_reading(source, reading),
            Err(failure) => Self::of_failure(failure),
        }
    }

    fn of_reading(source: &Arc<str>, reading: &Reading) -> Self {
        let mut status = Self::new(
            source.clone(),
            match reading.age {
                Age::Live => "OK",
                Age::Cached => "CACHED",
                Age::Stale => "STALE",
            },
        );
        status.latency_ms = reading.latency_ms;
        status.truncated = reading.group.truncated;
        if reading.group.refused > 0 {
            status.state = "INVALID_RESPONSE";
            status.message = Some(format!(
                "{} refused: {}",
                count(reading.group.refused, "record"),
                reading.group.reasons.join("; ")
            ));
        } else if !reading.group.reasons.is_empty() {
            status.message = Some(reading.group.reasons.join("; "));
        }
        status
    }

    /// The status of a failed question.
    pub fn of_failure(failure: &Failure) -> Self {
        let mut status = Self::new(failure.source.clone(), state_of(failure.class));
        status.message = Some(message_of(failure));
        status.retry_after_seconds = failure.retry_after_seconds;
        status
    }

    /// The error code that a failure's state stands for.
    pub fn code(&self) -> Code {
        match self.state {
            "UNAUTHORIZED" => Code::SourceUnauthorized,
            "FORBIDDEN" => Code::SourceForbidden,
            "RATE_LIMITED" => Code::SourceRateLimited,
            "TIMEOUT" => Code::SourceTimeout,
            "INVALID_RESPONSE" => Code::SourceInvalidResponse,
            "REJECTED" => Code::SourceRejected,
            "UNSUPPORTED" => Code::SourceUnsupported,
            _ => Code::SourceUnavailable,
        }
    }

    /// Whether the source's part is missing.
    pub fn is_failure(&self) -> bool {
        !matches!(self.state, "OK" | "CACHED" | "STALE" | "SKIPPED")
    }

    /// Adds another answer of the same source: the worse state wins, the slower time and any truncation are kept.
    pub fn absorb(&mut self, other: Self) {
        if severity(other.state) > severity(self.state) {
            self.state = other.state;
            self.message = other.message;
            self.retry_after_seconds = other.retry_after_seconds;
        }
        self.latency_ms = self.latency_ms.max(other.latency_ms);
        self.truncated |= other.truncated;
        for filter in other.filtered_locally {
            if !self.filtered_locally.contains(&filter) {
                self.filtered_locally.push(filter);
            }
        }
    }
}

/// Adds a status to a list that has one entry for each source.
pub fn add(statuses: &mut Vec<SourceStatus>, status: SourceStatus) {
    match statuses
        .iter_mut()
        .find(|known| known.source == status.source)
    {
        Some(known) => known.absorb(status),
        None => statuses.push(status),
    }
}

fn severity(state: &str) -> u8 {
    match state {
        "SKIPPED" => 0,
        "CACHED" => 1,
        "OK" => 2,
        "STALE" => 3,
        _ => 4,
    }
}

fn count(number: u32, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// The graph's name for a class of failure.
pub fn state_of(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Unauthorized => "UNAUTHORIZED",
        FailureClass::Forbidden => "FORBIDDEN",
        FailureClass::RateLimited => "RATE_LIMITED",
        FailureClass::Timeout => "TIMEOUT",
        FailureClass::Unavailable => "UNAVAILABLE",
        FailureClass::InvalidResponse => "INVALID_RESPONSE",
        FailureClass::Rejected | FailureClass::NotFound => "REJECTED",
        FailureClass::Unsupported => "UNSUPPORTED",
        FailureClass::Skipped => "SKIPPED",
    }
}

/// The error code for a class of failure.
pub fn code_of(class: FailureClass) -> Code {
    match class {
        FailureClass::Unauthorized => Code::SourceUnauthorized,
        FailureClass::Forbidden => Code::SourceForbidden,
        FailureClass::RateLimited => Code::SourceRateLimited,
        FailureClass::Timeout => Code::SourceTimeout,
        FailureClass::Unavailable | FailureClass::Skipped => Code::SourceUnavailable,
        FailureClass::InvalidResponse => Code::SourceInvalidResponse,
        FailureClass::Rejected | FailureClass::NotFound => Code::SourceRejected,
        FailureClass::Unsupported => Code::SourceUnsupported,
    }
}

/// What callers are told about a failed question.
pub fn message_of(failure: &Failure) -> String {
    let what = match failure.class {
        FailureClass::Unauthorized => "rejected the gateway's credentials",
        FailureClass::Forbidden => "does not allow the operation",
        FailureClass::RateLimited => "is at its rate limit",
        FailureClass::Timeout => "did not answer in time",
        FailureClass::Unavailable => "could not be reached or failed",
        FailureClass::InvalidResponse => {
            "answered in a way that its connector file does not describe"
        }
        FailureClass::Rejected | FailureClass::NotFound => "rejected the request",
        FailureClass::Unsupported => "does not offer the operation",
        FailureClass::Skipped => "was not asked",
    };
    format!(
        "source `{}` {what} (operation `{}`)",
        failure.source, failure.operation
    )
}
