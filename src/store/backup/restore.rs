//! From a backup back to a data directory.
//!
//! Owns the check of every octet before anything is written, and the folder's name: it has it only once
//! all is in it and on disk. Refuses to write into a folder that holds something. Driven by the command line.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use super::{BackupError, Database, Step, folder, rows, sync_all};
use crate::store::engine::{Engines, Sled};
use crate::store::lock::{create_private_dir, private_file, sync_dir};

/// Memory for the cache of a database that is being filled, in octets.
const CACHE: u64 = 64 << 20;

/// Rows put between two syncs.
const TOGETHER: usize = 1024;

/// Checks every file of the backup in `dir` against its manifest; tells what is wrong, or gives the manifest.
pub fn verify(dir: &Path, tell: &mut dyn FnMut(&Step)) -> Result<Manifest, BackupError> {
    let Some(manifest) = Manifest::load(dir)? else {
        return Err(folder(dir, "holds no whole backup: there is no manifest.json"));
    };
    let mut faults = Vec::new();
    for copy in manifest.copies() {
        faults.extend(copy.fault(dir));
        tell(&Step { name: copy.path.clone(), octets: copy.octets, reused: false });
    }
    if faults.is_empty() {
        faults.extend(manifest.databases.iter().filter_map(|database| fault_in_rows(dir, database)));
    }
    match faults.is_empty() {
        true => Ok(manifest),
        false => Err(BackupError::Damaged { path: dir.to_owned(), what: faults.join("; ") }),
    }
}

fn fault_in_rows(dir: &Path, database: &Database) -> Option<String> {
    let Database { copy, rows: expected, .. } = database;
    let mut rows = 0;
    let read = rows::read(&dir.join(&copy.path), &mut |_, _| {
        rows += 1;
        Ok(())
    });
    match read {
        Err(error) => Some(format!("{}: {error}", copy.path)),
        Ok(()) if rows != *expected => Some(format!("{}: {rows} rows, the manifest says {expected}", copy.path)),
        Ok(()) => None,
    }
}

/// Makes a data directory at `data` of the backup in `dir`, once all of it has been checked.
pub fn restore(dir: &Path, data: &Path, tell: &mut dyn FnMut(&Step)) -> Result<Manifest, BackupError> {
    if fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(folder(data, "is not empty: a backup is restored into a new folder"));
    }
    let manifest = verify(dir, &mut |_| {})?;
    let fresh = beside(data)?;
    let restored = fill(dir, &fresh, &manifest, tell).and_then(|()| {
        // A folder that is there is empty.
        fs::rename(&fresh, data).map_err(|e| BackupError::io(data, "give the restored folder its name", e))?;
        Ok(sync_dir(&parent(data))?)
    });
    if restored.is_err() {
        let _leftover = fs::remove_dir_all(&fresh);
    }
    restored.map(|()| manifest)
}

fn fill(dir: &Path, fresh: &Path, manifest: &Manifest, tell: &mut dyn FnMut(&Step)) -> Result<(), BackupError> {
    create_private_dir(fresh)?;
    for file in &manifest.files {
        let target = fresh.join(&file.name);
        create_private_dir(&parent(&target))?;
        copy(&dir.join(&file.copy.path), &target).map_err(|e| BackupError::io(&target, "restore", e))?;
        tell(&Step { name: file.name.clone(), octets: file.copy.octets, reused: false });
    }
    for database in &manifest.databases {
        load(dir, fresh, database)?;
        tell(&Step { name: database.name.clone(), octets: database.copy.octets, reused: false });
    }
    sync_all(fresh)
}

/// Puts the rows of a database where it was.
fn load(dir: &Path, fresh: &Path, database: &Database) -> Result<(), BackupError> {
    let failed = |what: &dyn std::fmt::Display| BackupError::database(&database.name, what.to_string());
    let engine = Sled.open(&fresh.join(&database.name), CACHE, true).map_err(|e| failed(&e))?;
    let mut put = 0;
    let read = rows::read(&dir.join(&database.copy.path), &mut |key, value| {
        let done = match value {
            Some(value) => engine.put(key, value),
            None => engine.remove(key),
        };
        put += 1;
        let synced = if put % TOGETHER == 0 { engine.sync() } else { Ok(()) };
        done.and(synced).map_err(io::Error::other)
    });
    read.map_err(|e| failed(&e))?;
    engine.sync().map_err(|e| failed(&e))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = private_file(to)?;
    io::copy(&mut File::open(from)?, &mut file)?;
    file.sync_all()
}

/// Where it is filled before it has its name.
fn beside(data: &Path) -> Result<PathBuf, BackupError> {
    let fresh = data.with_added_extension("restoring");
    if data.file_name().is_none() {
        return Err(folder(data, "has no name of its own"));
    }
    // What a restore that was cut short left is no use to anybody.
    match fs::remove_dir_all(&fresh) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(BackupError::io(&fresh, "remove what is left", e)),
        _ => Ok(fresh),
    }
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
