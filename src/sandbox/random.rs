//! A small deterministic random source, so that one seed always gives the same company without another dependency.

/// A splitmix64 generator.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// Starts a stream that depends on the seed, on what is being made and on which one of them.
    pub(crate) fn new(seed: u64, stream: u64, index: u64) -> Self {
        let mut random = Self {
            state: seed
                ^ stream.wrapping_mul(0xD6E8_FEB8_6659_FD93)
                ^ index.wrapping_mul(0xA076_1D64_78BD_642F),
        };
        random.next();
        random
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; zero when the bound is zero. The tiny bias does not matter for made-up data.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// A small number below `bound`.
    pub(crate) fn small(&mut self, bound: u8) -> u8 {
        u8::try_from(self.below(u64::from(bound))).unwrap_or(0)
    }

    /// Whether an event of so many in a thousand happens.
    pub(crate) fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// One of the items; the type's default when there are none.
    pub(crate) fn pick<T: Copy + Default>(&mut self, items: &[T]) -> T {
        let place = usize::try_from(self.below(items.len() as u64)).unwrap_or(0);
        items.get(place).copied().unwrap_or_default()
    }
}
