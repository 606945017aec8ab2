//! How far an import has come, so that one that was interrupted goes on where it was durable.
//!
//! Owns a small file under `imports` in the data directory, one for each file that is being imported.
//! It is written after the rows it speaks of are on disk, so that it never promises too much; lost,
//! it costs time alone, since importing again changes nothing. Driven by the import.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::store::evidence_files::sha256_of;

/// How far it is, and what became of the rows so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// What tells the file from another one: size, time of change, inode.
    file: (u64, i64, i64, u64),
    /// Where the next row begins, and on which line.
    pub(super) offset: u64,
    pub(super) line: u64,
    pub(super) read: u64,
    pub(super) changed: u64,
    pub(super) unchanged: u64,
    pub(super) stale: u64,
    pub(super) faulty: u64,
    /// Octets of the file of errors.
    pub(super) errors: u64,
}

pub(super) struct Resume {
    /// None where the input cannot be gone back to.
    path: Option<PathBuf>,
    mark: Mark,
}

impl Resume {
    /// Of an import that begins at its first row whatever was before.
    pub(super) fn never() -> Self {
        Self { path: None, mark: Mark::default() }
    }

    /// Of the import of a file; what is not the same file as then begins at its first row.
    pub(super) fn of(data: &Path, file: &Path, from_start: bool) -> Self {
        let Ok(metadata) = fs::metadata(file) else { return Self::never() };
        if !metadata.is_file() {
            return Self::never();
        }
        let place = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let name = sha256_of(place.as_os_str().as_encoded_bytes()).to_string();
        let path = data.join("imports").join(format!("{}.json", &name[..16]));
        let file = (metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino());
        let read = || serde_json::from_slice::<Mark>(&fs::read(&path).ok()?).ok();
        let known = if from_start { None } else { read().filter(|mark| mark.file == file) };
        let mark = known.unwrap_or(Mark { file, ..Mark::default() });
        Self { path: Some(path), mark }
    }

    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Remembers how far it is: what came before is durable.
    pub(super) fn save(&mut self, mark: &Mark) -> io::Result<()> {
        self.mark = mark.clone();
        let Some(path) = &self.path else { return Ok(()) };
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut fresh, mark)?;
        fresh.flush()?;
        fresh.persist(path).map(drop).map_err(|error| error.error)
    }

    /// It is done: the next import of the file begins at its first row.
    pub(super) fn end(&self) {
        if let Some(path) = &self.path {
            // There is none unless it was long.
            let _gone = fs::remove_file(path);
        }
    }
}
