//! What operators and connector files write: its sections and the typed texts in them.

pub mod rate;
pub mod size;
pub mod span;
