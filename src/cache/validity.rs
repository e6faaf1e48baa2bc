//! Whether a cached value still stands, for whoever keeps something made of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends when another value takes the place of the one it belongs to, or when that is forgotten on purpose. That a value
/// was dropped for want of memory does not end it: it is still true.
#[derive(Debug, Clone, Default)]
pub struct Validity(Arc<AtomicBool>);

impl Validity {
    /// Whether the value was replaced or forgotten.
    pub fn has_ended(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.0.store(true, Ordering::Release);
    }
}
