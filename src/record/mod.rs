//! What records are made of: shapes, value types and the values that must not be shown.

pub mod secret;
