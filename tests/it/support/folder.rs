//! A folder of a test's own.

use std::path::PathBuf;

/// A folder that goes with this value, and everything in it.
pub struct Folder(pub PathBuf);

impl Folder {
    /// An empty folder.
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tributary-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
