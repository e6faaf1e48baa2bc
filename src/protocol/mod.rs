//! Encodes calls and decodes replies of REST, SOAP and GraphQL vendors; does no IO.

pub mod tree;
