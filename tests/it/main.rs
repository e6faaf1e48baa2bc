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

mod architecture;
mod auth;
mod budget;
mod cache;
mod check;
mod cli;
mod connector;
mod connector_language;
mod connectors;
mod credential;
mod customer;
mod engine;
mod fault;
mod generated;
mod graphiql;
mod graphql_http;
mod house;
mod http;
mod list;
mod price;
mod protocol;
mod readme;
mod replicas;
mod sandbox;
mod streams;
mod support;
mod tls;
mod transport;
