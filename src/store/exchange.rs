//! A database that takes another's place.
//!
//! Owns the names of the two, `NAME.new` and `NAME.old` beside it, and the order of steps that leaves one of them
//! whole whenever the power goes: what was cut short is undone or finished by the next opening. Refuses to judge
//! whether the new one is whole. Driven by the openings that bring an old layout up.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::lock::sync_dir;

/// Where the new database is made.
pub(super) fn fresh(path: &Path) -> PathBuf {
    beside(path).0
}

/// Where the new one is made, and where the old one goes.
pub(super) fn beside(path: &Path) -> (PathBuf, PathBuf) {
    (path.with_added_extension("new"), path.with_added_extension("old"))
}

/// The new one is whole and on disk, and both are closed: it takes the old one's place.
pub(super) fn take_place(path: &Path) -> Result<(), StoreError> {
    let (fresh, replaced) = beside(path);
    rename(path, &replaced)?;
    rename(&fresh, path)?;
    finish(path)
}

/// Finishes what was cut short, or removes the half of a new one.
pub(super) fn finish(path: &Path) -> Result<(), StoreError> {
    let (fresh, replaced) = beside(path);
    if !replaced.exists() {
        return remove(&fresh);
    }
    if !path.exists() {
        rename(&fresh, path)?;
    }
    remove(&replaced)
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|e| StoreError::io(from, "rename", e))?;
    from.parent().map_or(Ok(()), sync_dir)
}

fn remove(dir: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|e| StoreError::io(dir, "remove", e)),
    }
}
