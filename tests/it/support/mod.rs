//! What several tests need: fake vendors.

pub mod vendor;
