//! The whole test suite: one binary, one file per behaviour.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and describes itself by its name"
)]

mod auth;
mod cache;
mod check;
mod connector;
mod connector_language;
mod connectors;
mod customer;
mod protocol;
mod sandbox;
mod support;
mod transport;
