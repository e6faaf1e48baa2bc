//! Long-lived answers: how many may be open, and how all of them end when the gateway stops.

pub mod connection;
pub mod encoding;
pub mod message;
pub mod pump;
pub mod socket;

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::refusal::Refusal;
use crate::http::settings::StreamSettings;

/// The streams of one gateway.
#[derive(Debug)]
pub struct Streams {
    pub(crate) settings: StreamSettings,
    room: Arc<Semaphore>,
    /// Streams say goodbye and end.
    stop: CancellationToken,
    /// Streams are cut off.
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl Streams {
    /// Streams within these bounds, of which none is open.
    pub fn new(settings: StreamSettings) -> Self {
        Self {
            room: Arc::new(Semaphore::new(settings.connections_max)),
            settings,
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Room for one more stream, until it is dropped.
    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.room)
            .try_acquire_owned()
            .map_err(|_| Refusal::overloaded("as many streams are open as the gateway can take"))
    }

    /// Told when streams must end.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Runs a stream's task until it ends or is cut off.
    pub(crate) async fn keep(&self, task: impl Future<Output = ()>) {
        self.tasks
            .track_future(self.cut.run_until_cancelled(task))
            .await;
    }

    /// How many streams' tasks run.
    pub fn running(&self) -> usize {
        self.tasks.len()
    }

    /// Lets all streams end, and waits until they have.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Cuts off the streams that have not ended.
    pub fn cut_off(&self) {
        self.cut.cancel();
    }
}
