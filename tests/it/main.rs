//! The whole test suite: one binary, one file per behaviour.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    reason = "a test fails by panicking, and describes itself by its name"
)]

mod api_key;
mod architecture;
mod audit;
mod auth;
mod budget;
mod cache;
mod callers;
mod certificate;
mod check;
mod cli;
mod connector;
mod connector_language;
mod connectors;
mod consent;
mod cost;
mod credential;
mod customer;
mod dialect;
mod differential;
mod engine;
mod fault;
mod fidelity;
mod forgery;
mod generated;
mod graphiql;
mod graphql_http;
mod hostile;
mod house;
mod http;
mod identity_provider;
mod isolation;
mod list;
mod manual;
mod matrix;
mod merged;
mod payment;
mod policy;
mod price;
mod protocol;
mod readme;
mod replicas;
mod sandbox;
mod search;
mod source_tls;
mod stats;
mod streams;
mod support;
mod timeline;
mod tls;
mod transport;
