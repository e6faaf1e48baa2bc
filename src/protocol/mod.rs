//! Encodes calls and decodes replies of REST, SOAP and GraphQL vendors; does no IO.
//!
//! Every decoder takes [`limits::Limits`], answers a [`tree::Tree`] that keeps number text, and fails with a
//! [`error::DecodeError`] that says where and why but never repeats what the vendor sent.

pub mod error;
pub mod graphql;
pub mod json;
pub mod limits;
mod multipart;
pub mod soap;
pub mod tree;
pub mod url;
pub mod xml;
