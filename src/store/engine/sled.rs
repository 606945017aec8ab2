//! sled 0.34 as the store's engine.
//!
//! Owns what makes it safe: its own `fdatasync` of the database file after each flush (sled's
//! reaches the kernel, not the disk), panics caught at every call, a look at whether the file is
//! still the one its path names. Between flushes a sync writes the changes to a file beside the
//! database ([`super::wal`]), and opening makes up for what the database has not got. Refuses values
//! that would leave the log for unsynced blob files. Driven by journal and consents.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::wal::{Read, Wal};
use super::{Copying, Engine, EngineError, Engines, Fault, Row, VALUE_BYTES};
use crate::store::lock::{create_private_dir, sync_dir};
use copying::Changes;

mod copying;

/// The tree that says which changes the database has: one log holds all trees, so a number in it
/// stands for every change made before.
const STAMPS: &[u8] = b"wal";

const STAMP: &[u8] = b"#";

/// The files of a database, in its folder.
const DATABASE: &str = "db";
const WAL: &str = "wal";
const CONFIGURATION: &str = "conf";

/// How often, and how long each time, a database that is still held is waited for.
const CLOSING_TURNS: u32 = 50;
const CLOSING_TURN: Duration = Duration::from_millis(10);

/// Opens sled databases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sled;

#[derive(Debug)]
struct Open {
    /// There until it is dropped.
    db: Option<::sled::Db>,
    stamps: Option<::sled::Tree>,
    wal: Mutex<Wal>,
    changes: Changes,
    /// After a failure of the disk nothing is certain, not even a sync that succeeds: all is read anew.
    has_failed: AtomicBool,
    file: File,
    inode: (u64, u64),
    path: PathBuf,
}

impl Engines for Sled {
    fn open(&self, dir: &Path, cache: u64, create: bool) -> Result<Arc<dyn Engine>, EngineError> {
        let path = dir.join(DATABASE);
        if create {
            create_private_dir(dir).map_err(|e| refused(&path, &e))?;
            if !self.holds(dir) {
                remove_unused_configuration(dir)?;
            }
        } else {
            std::fs::metadata(&path).map_err(|e| refused(&path, &e))?;
        }
        let open = || contained(&path, || ::sled::Config::new().path(dir).cache_capacity(cache).open());
        let db = match once_released(open) {
            Err(e) if e.fault == Fault::Broken && remove_unfinished_snapshots(dir) => open()?,
            other => other?,
        };
        let stamps = contained(&path, || db.open_tree(STAMPS))?;
        let wal = redo(dir, &path, &db, &stamps)?;
        let file = File::open(&path).map_err(|e| refused(&path, &e))?;
        let metadata = file.metadata().map_err(|e| refused(&path, &e))?;
        let inode = (metadata.dev(), metadata.ino());
        let opened = Open {
            db: Some(db),
            stamps: Some(stamps),
            wal: Mutex::new(wal),
            changes: Changes::default(),
            has_failed: AtomicBool::new(false),
            file,
            inode,
            path,
        };
        opened.settle(dir)?;
        Ok(Arc::new(opened))
    }

    /// sled makes its folder for blobs and its configuration before the file of the database, and nothing is put
    /// before that is there.
    fn holds(&self, dir: &Path) -> bool {
        dir.join(DATABASE).exists() || dir.join(WAL).exists()
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
        self.flush(&mut self.wal())?;
        for entry in std::fs::read_dir(dir).map_err(|e| refused(dir, &e))? {
            let path = entry.map_err(|e| refused(dir, &e))?.path();
            File::open(&path).and_then(|file| file.sync_all()).map_err(|e| refused(&path, &e))?;
        }
        for dir in [Some(dir), dir.parent()].into_iter().flatten() {
            sync_dir(dir).map_err(|e| refused(dir, &e))?;
        }
        Ok(())
    }

    fn wal(&self) -> MutexGuard<'_, Wal> {
        self.wal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a row, and notes it for the next sync.
    fn change(&self, key: &[u8], value: Option<&[u8]>) -> Result<(), EngineError> {
        let mut wal = self.wal();
        self.check_sound()?;
        wal.note(key, value);
        self.changes.note(key);
        self.sound(self.with(|db| change(db, key, value)))
    }

    fn check_sound(&self) -> Result<(), EngineError> {
        match self.has_failed.load(Ordering::SeqCst) {
            true => Err(refused(&self.path, &"it has failed before, and has to be opened anew")),
            false => Ok(()),
        }
    }

    /// Remembers a failure.
    fn sound<T>(&self, done: Result<T, EngineError>) -> Result<T, EngineError> {
        if done.is_err() {
            self.has_failed.store(true, Ordering::SeqCst);
        }
        done
    }

    /// Everything changed so far is on disk when this returns: in the database's log, or in the database.
    fn settle_changes(&self) -> Result<(), EngineError> {
        let mut wal = self.wal();
        self.check_sound()?;
        if !wal.has_room() {
            self.flush(&mut wal)?;
        } else if !wal.is_empty() {
            let number = wal.number();
            wal.write().map_err(|e| refused(&self.path, &e))?;
            self.stamp(number)?;
        }
        let file = wal.file();
        drop(wal);
        // Also where nothing was gathered: another's sync may have taken it and be under way.
        let Some(file) = file else { return Ok(()) };
        file.sync_data().map_err(|e| refused(&self.path, &e))?;
        match file.metadata().map_err(|e| refused(&self.path, &e))?.nlink() {
            0 => Err(refused(&self.path, &"its log was deleted")),
            _ => Ok(()),
        }
    }

    /// Has the database itself on disk.
    fn flush(&self, wal: &mut Wal) -> Result<(), EngineError> {
        self.stamp(wal.number())?;
        self.with(|db| db.flush())?;
        self.file.sync_data().map_err(|e| refused(&self.path, &e))?;
        wal.restart();
        Ok(())
    }

    /// The database has the changes up to this number; nothing of later ones.
    fn stamp(&self, number: u64) -> Result<(), EngineError> {
        match &self.stamps {
            Some(stamps) => contained(&self.path, || stamps.insert(STAMP, &number.to_be_bytes()).map(drop)),
            None => Err(refused(&self.path, &"closed")),
        }
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
        self.change(key, Some(value))
    }

    fn remove(&self, key: &[u8]) -> Result<(), EngineError> {
        self.change(key, None)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.sound(self.settle_changes())?;
        self.check_in_place()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.with(|db| db.get(key))?.map(|value| value.to_vec()))
    }

    fn look(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool, EngineError> {
        Ok(self.with(|db| db.get(key))?.map(|value| see(&value)).is_some())
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

    fn copying(&self) -> Option<&dyn Copying> {
        Some(self)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let flushed = self.check_sound().and_then(|()| self.flush(&mut self.wal()));
        let (db, stamps) = (self.db.take(), self.stamps.take());
        let closed = contained(&self.path, || {
            drop((stamps, db));
            Ok(())
        });
        // The log goes only when the database is known to have all of it.
        let removed = flushed.and(closed).and_then(|()| self.wal().remove().map_err(|e| refused(&self.path, &e)));
        if let Err(e) = removed {
            tracing::error!(error = %e, "closing the database");
        }
    }
}

fn refused(path: &Path, why: &dyn std::fmt::Display) -> EngineError {
    EngineError { fault: Fault::System, what: format!("{}: {why}", path.display()) }
}

/// Opens what this process may have closed just now: one of sled's threads can hold it a little longer.
fn once_released(open: impl Fn() -> Result<::sled::Db, EngineError>) -> Result<::sled::Db, EngineError> {
    for _ in 0..CLOSING_TURNS {
        match open() {
            Err(e) if e.fault == Fault::Held => std::thread::sleep(CLOSING_TURN),
            other => return other,
        }
    }
    open()
}

/// Makes up for the changes that the database has not got.
fn redo(dir: &Path, path: &Path, db: &::sled::Db, stamps: &::sled::Tree) -> Result<Wal, EngineError> {
    let stamp = contained(path, || stamps.get(STAMP))?;
    let since = match stamp.as_deref() {
        Some(stamp) => stamp.try_into().map(u64::from_be_bytes).map_err(|_| broken(path, "stamp of the database"))?,
        None => 0,
    };
    let mut failed = None;
    let read = Wal::open(dir.join(WAL), since, &mut |key, value| {
        contained(path, || change(db, key, value)).map_err(|e| {
            let said = io::Error::other(e.to_string());
            failed = Some(e);
            said
        })
    });
    match (read, failed) {
        (_, Some(error)) => Err(error),
        (Ok((_, Read::Gap)), _) => Err(broken(path, "changes between the database and its log are missing")),
        (Ok((wal, _)), _) => Ok(wal),
        (Err(e), _) if e.kind() == io::ErrorKind::InvalidData => Err(broken(path, &e.to_string())),
        (Err(e), _) => Err(refused(path, &e)),
    }
}

fn change(db: &::sled::Db, key: &[u8], value: Option<&[u8]>) -> ::sled::Result<()> {
    match value {
        Some(value) => db.insert(key, value).map(drop),
        None => db.remove(key).map(drop),
    }
}

fn broken(path: &Path, what: &str) -> EngineError {
    EngineError { fault: Fault::Broken, what: format!("{}: {what}", path.display()) }
}

/// Removes the configuration of a database that was only about to be made: cut off in its middle, it would be taken
/// for damage.
fn remove_unused_configuration(dir: &Path) -> Result<(), EngineError> {
    let path = dir.join(CONFIGURATION);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(refused(&path, &e)),
        _ => Ok(()),
    }
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
