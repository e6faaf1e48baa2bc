//! The file in which API keys are kept, read by the gateway and written by `tributary key`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::auth::api_key::ApiKey;
use crate::auth::key_book::KEYS_MAX;

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why the file can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file can't be read.
    #[error("the keys file can't be read, or is larger than {FILE_BYTES_MAX} bytes")]
    Read(#[source] io::Error),
    /// The file does not hold keys.
    #[error("the keys file is not what `tributary key` writes")]
    Form(#[source] serde_json::Error),
    /// The file has more keys than are kept.
    #[error("the keys file has more than {KEYS_MAX} keys")]
    TooMany,
    /// The file can't be written.
    #[error("the keys file can't be written")]
    Write(#[source] io::Error),
    /// Another command writes the file.
    #[error("another `tributary key` is at work on the keys file; `{0}` is its mark")]
    Busy(String),
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    keys: Vec<ApiKey>,
}

/// What tells one version of the file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

/// The version of the file that is there now; nothing when there is none.
pub fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some(Stamp {
        inode: found.ino(),
        bytes: found.len(),
        modified: (found.mtime(), found.mtime_nsec()),
    })
}

/// The keys of the file; none when there is no file yet.
pub fn read(path: &Path) -> Result<Vec<ApiKey>, KeyFileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(KeyFileError::Read(error)),
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(KeyFileError::Read)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(KeyFileError::Read(io::ErrorKind::FileTooLarge.into()));
    }
    let document: Document = serde_json::from_str(&text).map_err(KeyFileError::Form)?;
    if document.keys.len() > KEYS_MAX {
        return Err(KeyFileError::TooMany);
    }
    Ok(document.keys)
}

/// Changes the file in one step, so that a reader never sees half of it. Only its owner may read it.
pub fn change<T>(
    path: &Path,
    change: impl FnOnce(&mut Vec<ApiKey>) -> T,
) -> Result<T, KeyFileError> {
    let lock = Lock::take(path)?;
    let mut keys = read(path)?;
    let result = change(&mut keys);
    let text = serde_json::to_string_pretty(&Document { keys }).map_err(KeyFileError::Form)?;
    let mut file = &lock.file;
    file.write_all(text.as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&lock.path, path))
        .map_err(KeyFileError::Write)?;
    Ok(result)
}

/// The new file beside the old one; that it is there keeps a second writer out.
struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    fn take(path: &Path) -> Result<Self, KeyFileError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new);
        match opened {
            Ok(file) => Ok(Self { path: new, file }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(KeyFileError::Busy(new.display().to_string()))
            }
            Err(error) => Err(KeyFileError::Write(error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
    }
}
