//! Records, their shapes and the value types they are made of.

pub mod secret;
