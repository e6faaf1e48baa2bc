//! One GraphQL graph over every system that knows your customer.
//!
//! The modules form layers, lowest first; a module uses lower layers only. `ARCHITECTURE.md` names them.

pub mod app;
pub mod auth;
pub mod cache;
pub mod cli;
pub mod config;
pub mod connector;
pub mod credential;
pub mod engine;
pub mod error;
pub mod fetch;
pub mod http;
pub mod protocol;
pub mod record;
pub mod resolve;
pub mod sandbox;
pub mod schema;
pub mod telemetry;
pub mod transport;
