//! What the differential test stands on: data, operations over it, and the reference implementation.

pub mod bench;
pub mod generate;
pub mod operation;
pub mod random;
pub mod reference;
pub mod value;
pub mod world;
