//! sled 0.34 as the store's engine.
//!
//! Owns what makes it safe: its own `fdatasync` of the database file after each flush (sled's
//! reaches the kernel, not the disk), panics caught at every call, a look at whether the file is
//! still the one its path names. Refuses values that would leave the log for unsynced blob files.
//! Driven by journal and consents.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Engine, EngineError, Engines, Fault, Row, VALUE_BYTES};
use crate::store::lock::{create_private_dir, sync_dir};

/// Opens sled databases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sled;

#[derive(Debug)]
struct Open {
    /// There until it is dropped.
    db: Option<::sled::Db>,
    file: File,
    inode: (u64, u64),
    path: PathBuf,
}

impl Engines for Sled {
    fn open(&self, dir: &Path, cache: u64, create: bool) -> Result<Arc<dyn Engine>, EngineError> {
        let path = dir.join("db");
        if create {
            create_private_dir(dir).map_err(|e| refused(&path, &e))?;
        } else {
            std::fs::metadata(&path).map_err(|e| refused(&path, &e))?;
        }
        let open = || contained(&path, || ::sled::Config::new().path(dir).cache_capacity(cache).open());
        let db = match open() {
            Err(e) if e.fault == Fault::Broken && remove_unfinished_snapshots(dir) => open()?,
            other => other?,
        };
        let file = File::open(&path).map_err(|e| refused(&path, &e))?;
        let metadata = file.metadata().map_err(|e| refused(&path, &e))?;
        let opened = Open { db: Some(db), file, inode: (metadata.dev(), metadata.ino()), path };
        opened.settle(dir)?;
        Ok(Arc::new(opened))
    }
}

impl Open {
    fn with<T>(&self, call: impl FnOnce(&::sled::Db) -> ::sled::Result<T>) -> Result<T, EngineError> {
        match &self.db {
            Some(db) => contained(&self.path, || call(db)),
            None => Err(refused(&self.path, &"closed")),
        }
    }

    /// Makes the names and contents of a database just opened survive a power cut: sled syncs neither
    /// the folder nor its configuration file.
    fn settle(&self, dir: &Path) -> Result<(), EngineError> {
        self.sync()?;
        for entry in std::fs::read_dir(dir).map_err(|e| refused(dir, &e))? {
            let path = entry.map_err(|e| refused(dir, &e))?.path();
            File::open(&path).and_then(|file| file.sync_all()).map_err(|e| refused(&path, &e))?;
        }
        for dir in [Some(dir), dir.parent()].into_iter().flatten() {
            sync_dir(dir).map_err(|e| refused(dir, &e))?;
        }
        Ok(())
    }

    /// A file that was deleted or moved away takes writes and syncs without a word.
    fn check_in_place(&self) -> Result<(), EngineError> {
        match std::fs::metadata(&self.path) {
            Ok(metadata) if (metadata.dev(), metadata.ino()) == self.inode => Ok(()),
            Ok(_) => Err(refused(&self.path, &"replaced by another file")),
            Err(e) => Err(refused(&self.path, &e)),
        }
    }
}

impl Engine for Open {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        if value.len() > VALUE_BYTES {
            let what = format!("value of {} octets: at most {VALUE_BYTES}", value.len());
            return Err(EngineError { fault: Fault::System, what });
        }
        self.with(|db| db.insert(key, value).map(drop))
    }

    fn remove(&self, key: &[u8]) -> Result<(), EngineError> {
        self.with(|db| db.remove(key).map(drop))
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.with(|db| db.flush())?;
        self.file.sync_data().map_err(|e| refused(&self.path, &e))?;
        self.check_in_place()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.with(|db| db.get(key))?.map(|value| value.to_vec()))
    }

    fn first(&self, from: &[u8], until: &[u8]) -> Result<Option<Row>, EngineError> {
        let row = self.with(|db| db.range(from..until).next().transpose())?;
        Ok(row.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    fn last(&self, from: &[u8], until: &[u8]) -> Result<Option<Row>, EngineError> {
        let row = self.with(|db| db.range(from..until).next_back().transpose())?;
        Ok(row.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    fn scan(&self, from: &[u8], until: &[u8], see: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), EngineError> {
        self.with(|db| {
            for row in db.range(from..until) {
                let (key, value) = row?;
                if !see(&key, &value) {
                    break;
                }
            }
            Ok(())
        })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let db = self.db.take();
        let closed = contained(&self.path, || {
            drop(db);
            Ok(())
        });
        if let Err(e) = closed {
            tracing::error!(error = %e, "closing the database");
        }
    }
}

fn refused(path: &Path, why: &dyn std::fmt::Display) -> EngineError {
    EngineError { fault: Fault::System, what: format!("{}: {why}", path.display()) }
}

/// Removes what an interrupted snapshot left, which sled can stumble over; whether there was any.
fn remove_unfinished_snapshots(dir: &Path) -> bool {
    let unfinished = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "generating");
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    let paths = entries.flatten().map(|entry| entry.path()).filter(unfinished);
    paths.map(|path| std::fs::remove_file(path).is_ok()).fold(false, |any, removed| any | removed)
}

/// Runs a call into sled; what it says and what it panics with come back as the same kind of error.
fn contained<T>(path: &Path, call: impl FnOnce() -> ::sled::Result<T>) -> Result<T, EngineError> {
    let (fault, what) = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(e)) => (fault_of(&e), e.to_string()),
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
            (Fault::Broken, format!("panicked: {}", said.unwrap_or("without a word")))
        }
    };
    Err(EngineError { fault, what: format!("{}: {what}", path.display()) })
}

fn fault_of(error: &::sled::Error) -> Fault {
    match error {
        // sled words this one itself; clones of its errors carry no code of the system.
        ::sled::Error::Io(e) if e.to_string().contains("could not acquire lock") => Fault::Held,
        ::sled::Error::Io(e) if !matches!(e.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) => {
            Fault::System
        }
        _ => Fault::Broken,
    }
}
