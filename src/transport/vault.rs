//! Where tokens outlive a call and a process: sealed in Redis for the replicas, and in a file for the next start.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use serde::{Deserialize, Serialize};

use crate::cache::redis::RedisTier;
use crate::credential::session::Session;

/// How long a renewed refresh token is kept; those that vendors give live for months.
const REFRESH_LIFE: Duration = Duration::from_secs(400 * 24 * 3600);
/// How long a replica may take to renew a token before another tries.
const CLAIM_LIFE: Duration = Duration::from_secs(15);
/// How large a state file may be.
const STATE_BYTES_MAX: u64 = 64 << 10;
const NONCE_BYTES: usize = 12;

/// What is kept, with the time at which it came, in milliseconds since 1970.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) at: i64,
    pub(crate) text: String,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// What of a credential is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// The reply of the token endpoint.
    Reply,
    /// The newest refresh token.
    Refresh,
}

/// Keeps what must outlive a call.
#[derive(Debug, Default)]
pub(crate) struct Vault {
    redis: Option<Arc<RedisTier>>,
}

/// The right to renew, which ends by itself when it is not given back.
pub(crate) struct Claim {
    name: String,
    who: String,
}

impl Vault {
    pub(crate) fn share(&mut self, redis: Arc<RedisTier>) {
        self.redis = Some(redis);
    }

    /// Whether other replicas may have renewed it already.
    pub(crate) fn is_shared(&self, session: &Session) -> bool {
        session.is_shared && self.redis.is_some()
    }

    /// Takes the right to renew: `Err` while another replica has it, `Ok(None)` when nobody counts.
    pub(crate) async fn claim(&self, session: &Session) -> Result<Option<Claim>, ()> {
        let Some(redis) = self.redis.as_ref().filter(|_| session.is_shared) else {
            return Ok(None);
        };
        let claim = Claim {
            name: format!("{}:claim", session.fingerprint()),
            who: uuid::Uuid::new_v4().to_string(),
        };
        match redis.claim(&claim.name, &claim.who, CLAIM_LIFE).await {
            Some(true) => Ok(Some(claim)),
            Some(false) => Err(()),
            None => Ok(None),
        }
    }

    pub(crate) async fn release(&self, claim: Option<Claim>) {
        if let (Some(redis), Some(claim)) = (&self.redis, claim) {
            redis.release(&claim.name, &claim.who).await;
        }
    }

    /// The newest that is kept anywhere.
    pub(crate) async fn newest(&self, session: &Session, kind: Kind) -> Option<Kept> {
        let shared = match self.redis.as_ref().filter(|_| session.is_shared) {
            Some(redis) => redis.sealed(&name(session, kind)).await,
            None => None,
        };
        let shared = shared.and_then(|sealed| open(session, sealed));
        let filed = match (kind, session.state_file.clone()) {
            (Kind::Refresh, Some(path)) => {
                let read = tokio::task::spawn_blocking(move || read(&path))
                    .await
                    .ok()
                    .flatten();
                read.and_then(|sealed| open(session, sealed))
            }
            (Kind::Refresh, None) | (Kind::Reply, _) => None,
        };
        [shared, filed]
            .into_iter()
            .flatten()
            .max_by_key(|kept| kept.at)
    }

    /// Keeps something wherever it can be kept; false when a file that was asked for could not be written.
    pub(crate) async fn keep(
        &self,
        session: &Session,
        kind: Kind,
        kept: &Kept,
        life: Option<Duration>,
    ) -> bool {
        let Some(sealed) = seal(session, kept) else {
            return false;
        };
        let mut is_kept = true;
        if let (Kind::Refresh, Some(path)) = (kind, session.state_file.clone()) {
            let bytes = sealed.clone();
            let written = tokio::task::spawn_blocking(move || write(&path, &bytes)).await;
            is_kept = matches!(written, Ok(Ok(())));
            if let Ok(Err(error)) = written {
                tracing::error!(error = %error.kind(), "a renewed refresh token can't be written to its state file");
            }
        }
        if let Some(redis) = self.redis.as_ref().filter(|_| session.is_shared) {
            let life = life.unwrap_or(REFRESH_LIFE);
            redis.seal(&name(session, kind), &sealed, life).await;
        }
        is_kept
    }
}

fn name(session: &Session, kind: Kind) -> String {
    let kind = match kind {
        Kind::Reply => "reply",
        Kind::Refresh => "refresh",
    };
    format!("{}:{kind}", session.fingerprint())
}

fn key(session: &Session) -> Option<RandomizedNonceKey> {
    RandomizedNonceKey::new(&AES_256_GCM, &session.key()).ok()
}

fn seal(session: &Session, kept: &Kept) -> Option<Vec<u8>> {
    let mut bytes = serde_json::to_vec(kept).ok()?;
    let nonce = key(session)?
        .seal_in_place_append_tag(Aad::empty(), &mut bytes)
        .ok()?;
    let mut out = nonce.as_ref().to_vec();
    out.append(&mut bytes);
    Some(out)
}

/// Opens what was sealed; what another credential sealed stays shut and counts as nothing.
fn open(session: &Session, mut sealed: Vec<u8>) -> Option<Kept> {
    let (nonce, bytes) = sealed.split_at_mut_checked(NONCE_BYTES)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let bytes = key(session)?
        .open_in_place(nonce, Aad::empty(), bytes)
        .ok()?;
    serde_json::from_slice(bytes).ok()
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let file = std::fs::File::open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(STATE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Writes beside the file and renames, so that a crash leaves the old or the new one.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", uuid::Uuid::new_v4()));
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}
