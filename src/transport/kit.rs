//! What a source's calls need that comes from files: its credential, its certificates, its token. Changed files are taken in
//! at the next call.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::credential::Credential;
use crate::transport::failure::BuildError;
use crate::transport::settings::SourceSettings;
use crate::transport::token::TokenStore;
use crate::transport::wire::Wire;

/// A credential with the client that carries it and the token it got.
#[derive(Debug)]
pub(crate) struct Kit {
    pub(crate) credential: Credential,
    pub(crate) wire: Wire,
    pub(crate) tokens: TokenStore,
}

/// What tells one version of a file from another.
type Stamp = Option<(SystemTime, u64, u64)>;

/// Holds the kit of the files as they are.
#[derive(Debug)]
pub(crate) struct Rack {
    files: Vec<PathBuf>,
    held: Mutex<(Arc<Kit>, Vec<Stamp>)>,
}

impl Kit {
    fn new(settings: &SourceSettings) -> Result<Self, BuildError> {
        let credential = Credential::new(&settings.credential);
        Ok(Self {
            credential: credential.map_err(|cause| BuildError::Credential {
                name: settings.source.to_string(),
                cause,
            })?,
            wire: Wire::new(settings)?,
            tokens: TokenStore::new(),
        })
    }
}

impl Rack {
    /// Reads the files that the settings name.
    pub(crate) fn new(settings: &SourceSettings) -> Result<Self, BuildError> {
        let files = settings.files();
        let stamps = stamps(&files);
        let kit = Arc::new(Kit::new(settings)?);
        Ok(Self {
            files,
            held: Mutex::new((kit, stamps)),
        })
    }

    /// The kit of the files as they are; one that can't be used leaves the last one in place and is told once.
    pub(crate) fn current(&self, settings: &SourceSettings) -> Arc<Kit> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if self.files.is_empty() {
            return Arc::clone(&held.0);
        }
        let stamps = stamps(&self.files);
        if stamps == held.1 {
            return Arc::clone(&held.0);
        }
        held.1 = stamps;
        let mut changed = settings.clone();
        let mut is_readable = true;
        if let Some(reread) = &settings.reread {
            match (reread.read)() {
                Some(credential) => changed.credential = credential,
                None => is_readable = false,
            }
        }
        match Kit::new(&changed) {
            Ok(kit) if is_readable => {
                tracing::info!(source.name = %settings.source, "changed secrets are in use");
                held.0 = Arc::new(kit);
            }
            Ok(_) => {
                tracing::error!(source.name = %settings.source, "a changed secret can't be read, the last one stays in use");
            }
            Err(error) => {
                tracing::error!(source.name = %settings.source, error = %error, "a changed secret can't be used, the last one stays in use");
            }
        }
        Arc::clone(&held.0)
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len(), found.ino()))
    };
    files.iter().map(stamp).collect()
}
