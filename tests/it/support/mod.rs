//! What tests stand on: a real Redis, and vendors that misbehave on request.

pub mod caller;
pub mod client;
pub mod connector;
pub mod differential;
pub mod folder;
pub mod front;
pub mod gateway;
pub mod graph;
pub mod node;
pub mod process;
pub mod redis;
pub mod socket;
pub mod source;
pub mod vendor;
