//! The client of one source, and calls for it.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::time::Instant;
use tributary::credential::CredentialSettings;
use tributary::transport::Call;
use tributary::transport::client::SourceClient;
use tributary::transport::retry::Surroundings;
use tributary::transport::settings::{BudgetSettings, SourceSettings, TlsSettings};

use crate::support::vendor::Vendor;

/// Settings of a source at that address, with defaults for the rest.
pub fn settings(url: &str) -> SourceSettings {
    SourceSettings {
        source: "helpdesk".into(),
        url: url.parse().unwrap(),
        credential: CredentialSettings::default(),
        budget: BudgetSettings::default(),
        tls: TlsSettings::default(),
        price: None,
        reread: None,
    }
}

/// Settings of a vendor with the block `budget` in JSON.
pub fn budgeted(vendor: &Vendor, budget: &str) -> SourceSettings {
    SourceSettings {
        budget: serde_json::from_str(budget).unwrap(),
        ..settings(&vendor.url())
    }
}

/// A client that never pauses longer than it must.
pub fn client(settings: SourceSettings) -> SourceClient {
    let surroundings = Surroundings {
        jitter: |_| Duration::ZERO,
        ..Surroundings::real()
    };
    SourceClient::new(settings, surroundings).unwrap()
}

/// A call that reads.
pub fn get(vendor: &Vendor, path: &str) -> Call {
    Call {
        operation: "Ticket.get".into(),
        method: Method::GET,
        url: format!("{}{path}", vendor.url()).parse().unwrap(),
        headers: Vec::new(),
        body: Bytes::new(),
        safe: true,
        idempotency: None,
        inner: 1,
        block_at: None,
    }
}

/// A call that writes.
pub fn unsafe_post(vendor: &Vendor) -> Call {
    Call {
        method: Method::POST,
        body: "{}".into(),
        safe: false,
        ..get(vendor, "/create")
    }
}

/// A deadline that is far enough.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}
