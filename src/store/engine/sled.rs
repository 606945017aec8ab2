//! sled 0.34 as the store's engine.
//!
//! Owns what makes it safe: its own `fdatasync` of the database file after each flush (sled's
//! reaches the kernel, not the disk), panics caught at every call. Driven by journal and consents.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Batch, Engine, EngineError, Engines, Rows};
use crate::store::lock::{create_private_dir, sync_dir};

/// Opens sled databases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sled;

#[derive(Debug)]
struct Open {
    db: ::sled::Db,
    file: File,
    dir: PathBuf,
}

impl Engines for Sled {
    fn open(&self, dir: &Path, cache: u64) -> Result<Arc<dyn Engine>, EngineError> {
        let failed = |e: &dyn std::fmt::Display| EngineError(e.to_string());
        create_private_dir(dir).map_err(|e| failed(&e))?;
        let db = contained(|| ::sled::Config::new().path(dir).cache_capacity(cache).open())?;
        let file = File::open(dir.join("db")).map_err(|e| failed(&e))?;
        let open = Open { db, file, dir: dir.to_owned() };
        open.sync()?;
        for dir in [Some(dir), dir.parent()].into_iter().flatten() {
            sync_dir(dir).map_err(|e| failed(&e))?;
        }
        Ok(Arc::new(open))
    }
}

impl Engine for Open {
    fn apply(&self, batch: &Batch, durable: bool) -> Result<(), EngineError> {
        batch.check()?;
        let mut changes = ::sled::Batch::default();
        for (key, value) in batch.changes() {
            match value {
                Some(value) => changes.insert(key.as_slice(), value.as_slice()),
                None => changes.remove(key.as_slice()),
            }
        }
        contained(|| self.db.apply_batch(changes))?;
        if durable { self.sync() } else { Ok(()) }
    }

    fn sync(&self) -> Result<(), EngineError> {
        contained(|| self.db.flush())?;
        self.file.sync_data().map_err(|e| EngineError(format!("{}: fdatasync: {e}", self.dir.display())))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(contained(|| self.db.get(key))?.map(|value| value.to_vec()))
    }

    fn range(&self, from: &[u8], until: &[u8]) -> Rows<'_> {
        Box::new(
            self.db.range(from..until).map(|row| {
                row.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(|e| EngineError(e.to_string()))
            }),
        )
    }
}

/// Runs a call into sled; what it says and what it panics with come back as the same kind of error.
fn contained<T>(call: impl FnOnce() -> ::sled::Result<T>) -> Result<T, EngineError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(EngineError(e.to_string())),
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
            Err(EngineError(format!("sled panicked: {}", said.unwrap_or("without a word"))))
        }
    }
}
