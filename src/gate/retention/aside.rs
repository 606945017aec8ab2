//! What else lies in the journal's folder and has a day: days that could not be read and were set aside.
//!
//! Owns their finding, their deletion and the measuring of folders. Refuses to touch anything whose name it does not
//! know. Driven by the retention.

use std::fs;
use std::io;
use std::path::Path;

use crate::store::StoreError;
use crate::store::journal::Day;

/// What stands between the day and the number in the name of a day set aside.
const BROKEN: &str = ".broken-";

/// The days set aside, with the names of their folders.
pub(super) fn list(folder: &Path) -> Result<Vec<(Day, String)>, StoreError> {
    let failed = |error| StoreError::io(folder, "list what was set aside", error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if let Some(day) = name.split_once(BROKEN).and_then(|(day, _)| day.parse().ok()) {
            found.push((day, name));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Deletes a day set aside.
pub(super) fn remove(folder: &Path, name: &str) -> Result<(), StoreError> {
    let path = folder.join(name);
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io(&path, "delete what was set aside", error))
        }
        _ => Ok(()),
    }
}

/// What a folder takes on disk, as far as it can be seen.
pub(super) fn octets(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let entries = entries.filter_map(Result::ok).map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => octets(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    entries.sum()
}
