//! The bounds a reply is decoded within.

/// What one reply may hold at most; a decoder stops at the first bound it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the reply, after decompression.
    pub bytes: usize,
    /// Levels of objects, lists or elements; at most [`Limits::DEPTH_MAX`] counts, as decoders recurse.
    pub depth: usize,
    /// Values or elements in all, with what multi-reference expansion adds.
    pub nodes: usize,
    /// Bytes of one text, key or attribute value.
    pub text: usize,
}

impl Limits {
    /// The deepest nesting any setting allows, so that a reply cannot exhaust a worker's stack.
    pub const DEPTH_MAX: usize = 256;

    /// The depth that applies: what is set, within [`Limits::DEPTH_MAX`].
    pub fn depth_effective(&self) -> usize {
        self.depth.min(Self::DEPTH_MAX)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 8 * 1024 * 1024,
            depth: 64,
            nodes: 1_000_000,
            text: 4 * 1024 * 1024,
        }
    }
}
