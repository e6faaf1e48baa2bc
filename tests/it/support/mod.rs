//! What several test files need.

pub mod front;
pub mod graph;
pub mod node;
pub mod redis;
