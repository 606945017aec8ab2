//! One process owns a store folder.
//!
//! Owns an advisory lock on the file `lock` in it, given back by the system when the process
//! ends, however it ends. Driven by the openers of journal and consents.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::StoreError;

/// Held for as long as the store is open.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Creates the folder where needed and takes its lock.
    pub(crate) fn take(dir: &Path) -> Result<Self, StoreError> {
        create_private_dir(dir)?;
        let path = dir.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| StoreError::io(&path, "open the lock", e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { file, path }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Held { path: dir.to_owned() }),
            Err(e) => Err(StoreError::io(&path, "lock", e.into())),
        }
    }

    /// Takes the lock again where the folder was removed or replaced under it: what is held then guards nothing.
    pub(crate) fn renew(&mut self) -> Result<(), StoreError> {
        let place = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let held = self.file.metadata().map(place).ok();
        if held.is_some() && std::fs::metadata(&self.path).map(place).ok() == held {
            return Ok(());
        }
        if let Some(dir) = self.path.parent() {
            *self = Self::take(dir)?;
        }
        Ok(())
    }
}

/// Creates `dir` and its parents, readable by the gate's user alone; the names of new ones survive a power cut.
pub(crate) fn create_private_dir(dir: &Path) -> Result<(), StoreError> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
    let created = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    created.map_err(|e| StoreError::io(dir, "create the folder", e))?;
    let parents = missing.iter().filter_map(|dir| dir.parent());
    parents.map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir }).try_for_each(sync_dir)
}

/// Makes the names inside `dir` survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| StoreError::io(dir, "sync the folder", e))
}

/// A new file, readable by the gate's user alone; one that is there is an error.
pub(crate) fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
