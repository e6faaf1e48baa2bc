//! On whose terms a call is made: until when, how urgently, and who pays.

use tokio::time::Instant;

use crate::transport::charge::Bill;

/// How urgent a call is when calls have to wait for a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Priority {
    /// Somebody waits for the answer.
    #[default]
    Interactive,
    /// Nobody does: a refresh behind an answer, a schedule.
    Background,
}

/// The terms of a call. The same terms may go with many calls.
#[derive(Debug, Clone)]
pub struct Terms {
    /// When the answer is of no use any more.
    pub deadline: Instant,
    /// How urgent it is.
    pub priority: Priority,
    /// Where its cost is written down; a clone of a bill is the same bill.
    pub bill: Bill,
}

impl From<Instant> for Terms {
    fn from(deadline: Instant) -> Self {
        Self {
            deadline,
            priority: Priority::Interactive,
            bill: Bill::default(),
        }
    }
}

impl From<std::time::Instant> for Terms {
    fn from(deadline: std::time::Instant) -> Self {
        Instant::from_std(deadline).into()
    }
}
