//! Connector files: what they say, checked and compiled.

pub mod language;
