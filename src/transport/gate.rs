//! How many calls of a source run at once, and how many may wait.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::transport::failure::Failure;

/// Bounds the calls that run and those that wait; waiting is first come, first served.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Semaphore,
    waiting: AtomicUsize,
    queue: usize,
}

/// Counts one waiting call for as long as it waits, also when it is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    /// Makes one with that many places to run and to wait.
    pub(crate) fn new(concurrency: u32, queue: u32) -> Self {
        let places = usize::try_from(concurrency)
            .unwrap_or(1)
            .clamp(1, Semaphore::MAX_PERMITS);
        Self {
            places: Semaphore::new(places),
            waiting: AtomicUsize::new(0),
            queue: usize::try_from(queue).unwrap_or(usize::MAX),
        }
    }

    /// Waits for a place until the deadline, or refuses when the queue is full.
    pub(crate) async fn enter(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= self.queue {
            return Err(Failure::Overloaded);
        }
        match timeout_at(deadline, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            // The semaphore is never closed; were it, nothing could run.
            Ok(Err(_)) => Err(Failure::Overloaded),
            Err(_) => Err(Failure::DeadlineExceeded),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_and_a_passed_deadline_gives_up() {
        let gate = Gate::new(1, 1);
        let deadline = Instant::now() + Duration::from_secs(1);
        let place = gate.enter(deadline).await.unwrap();
        let (waited, refused) = tokio::join!(gate.enter(deadline), gate.enter(deadline));
        assert!(matches!(waited, Err(Failure::DeadlineExceeded)));
        assert!(matches!(refused, Err(Failure::Overloaded)));
        drop(place);
        assert!(gate.enter(deadline).await.is_ok());
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 0);
    }
}
