//! What our filters do, by subject.

pub(super) mod contact;
pub(super) mod list;
pub(super) mod number;
pub(super) mod place;
pub(super) mod text;
pub(super) mod time;
