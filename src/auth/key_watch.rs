//! Keeps the book of API keys up to date with the keys file and with what replicas share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::auth::key_book::{KeyBook, Origin};
use crate::auth::key_file::{self, KeyFileError, Stamp};
use crate::auth::shared_keys::SharedKeys;

/// How often is looked for a change: a revoked key ends within two of these.
const INTERVAL: Duration = Duration::from_millis(400);

/// Where keys come from.
#[derive(Debug)]
pub struct KeyWatch {
    book: Arc<KeyBook>,
    file: Option<PathBuf>,
    shared: Option<SharedKeys>,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    stamp: Option<Stamp>,
    version: Option<u64>,
    is_file_bad: bool,
    is_shared_lost: bool,
}

impl KeyWatch {
    /// Watches for that book.
    pub fn new(book: Arc<KeyBook>, file: Option<PathBuf>, shared: Option<SharedKeys>) -> Self {
        Self {
            book,
            file,
            shared,
            seen: Seen::default(),
        }
    }

    /// Reads the file once; a file that can't be used keeps a gateway from starting.
    pub fn read_file(&mut self) -> Result<(), KeyFileError> {
        if let Some(path) = &self.file {
            let stamp = key_file::stamp(path);
            self.book.replace(Origin::File, key_file::read(path)?);
            self.seen.stamp = stamp;
        }
        Ok(())
    }

    /// Follows every change until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        if self.file.is_none() && self.shared.is_none() {
            return;
        }
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.look_at_file().await;
            if stop
                .run_until_cancelled(self.look_at_shared())
                .await
                .is_none()
            {
                return;
            }
        }
    }

    async fn look_at_file(&mut self) {
        let Some(path) = self.file.clone() else {
            return;
        };
        let seen = self.seen.stamp;
        let looked = tokio::task::spawn_blocking(move || {
            let stamp = key_file::stamp(&path);
            (stamp != seen).then(|| (stamp, key_file::read(&path)))
        });
        let Ok(Some((stamp, read))) = looked.await else {
            return;
        };
        match read {
            Ok(keys) => {
                self.book.replace(Origin::File, keys);
                self.seen.stamp = stamp;
                self.seen.is_file_bad = false;
                tracing::info!("the API keys file was read anew");
            }
            // The keys of before go on counting: a damaged file must not lock everybody out.
            Err(error) if !self.seen.is_file_bad => {
                self.seen.is_file_bad = true;
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the API keys file can't be used, the keys of before go on counting"
                );
            }
            Err(_) => {}
        }
    }

    async fn look_at_shared(&mut self) {
        let Some(shared) = &self.shared else { return };
        let looked = async {
            let version = shared.version().await?;
            if self.seen.version == Some(version) {
                return Ok(None);
            }
            Ok(Some((version, shared.read().await?)))
        };
        match looked.await {
            Ok(found) => {
                self.seen.is_shared_lost = false;
                if let Some((version, keys)) = found {
                    self.book.replace(Origin::Shared, keys);
                    self.seen.version = Some(version);
                }
            }
            Err(error) if !self.seen.is_shared_lost => {
                let error: crate::auth::shared_keys::SharedKeysError = error;
                self.seen.is_shared_lost = true;
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "redis can't be asked for API keys; a key that is revoked elsewhere goes on counting here"
                );
            }
            Err(_) => {}
        }
    }
}
