//! What tests stand on: a real Redis, and vendors that misbehave on request.

pub mod gateway;
pub mod redis;
pub mod source;
pub mod vendor;
