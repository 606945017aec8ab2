//! The keys that everything at rest is sealed with, each wrapped by one master key.
//!
//! Owns the folder `keys` of a data directory: one small file a key, named after what it opens
//! (`20261124-content`, `consents`, `signing`). Deleting a file makes what it opened unreadable for
//! good, on copies of the disk as well. Refuses to show a key, to make a second one of a name, and to
//! go on with another master than the files were wrapped with. Driven by the stores.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::lock::{create_private_dir, sync_dir};

mod key;
mod master;
mod signer;

pub use key::{Key, OVERHEAD, Sealer};
pub use master::{MASTER_VARIABLE, Master, MasterSource};
pub use signer::{Signer, verify};

/// The name of the key that signs.
const SIGNING: &str = "signing";

const ENDING: &str = "key";

/// The version of a wrapped key's file.
const VERSION: u8 = 1;

/// A key's file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    version: u8,
    /// The id of the master that wrapped it.
    master: String,
    /// The key, sealed under the master with its own name as what is bound, in hexadecimal.
    sealed: String,
}

/// The keys of a data directory; clones share them.
#[derive(Clone)]
pub struct Keys {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    master: RwLock<Master>,
}

impl Keys {
    /// The keys in `dir`, created where there is none, under the master that `source` names.
    pub fn open(dir: &Path, source: &MasterSource) -> Result<Self, StoreError> {
        create_private_dir(dir)?;
        let master = Master::obtain(source, dir)?;
        let keys = Self { inner: Arc::new(Inner { dir: dir.to_owned(), master: RwLock::new(master) }) };
        keys.remove_leftovers()?;
        // A wrong master is noticed here, not in the middle of the night.
        keys.make(SIGNING)?;
        Ok(keys)
    }

    /// The folder they lie in.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// What the master is known by; says nothing about it.
    pub fn master_id(&self) -> String {
        self.master().id()
    }

    /// The key of that name; `None` where there is none, or none any more.
    pub fn get(&self, name: &str) -> Result<Option<Key>, StoreError> {
        self.unwrap(name, &[&self.master()])
    }

    /// The key of that name, made where there is none; it is on disk when this returns.
    pub fn make(&self, name: &str) -> Result<Key, StoreError> {
        // Held to the end: a rotation meanwhile would pass over a file that its old master is about to wrap.
        let master = self.master();
        if let Some(key) = self.unwrap(name, &[&master])? {
            return Ok(key);
        }
        let key = Key::random().map_err(|what| self.fault(name, what))?;
        match self.write(name, &key, &master, false) {
            // Made meanwhile, by another thread: theirs is the one.
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                self.unwrap(name, &[&master])?.ok_or_else(|| self.fault(name, "came and went"))
            }
            other => other.map(|()| key),
        }
    }

    /// Deletes a key for good; false where there was none.
    pub fn forget(&self, name: &str) -> Result<bool, StoreError> {
        // A rotation that has read it would write it again.
        let _unturned = self.master();
        let path = self.path(name);
        // Where the file system writes in place, its octets go first.
        let octets = match OpenOptions::new().write(true).open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened.and_then(|mut file| {
                let length = usize::try_from(file.metadata()?.len()).unwrap_or(0).min(4096);
                file.write_all(&vec![0; length])?;
                file.sync_all()
            }),
        };
        octets.and_then(|()| fs::remove_file(&path)).map_err(|e| StoreError::io(&path, "delete the key", e))?;
        sync_dir(self.dir())?;
        Ok(true)
    }

    /// The names of all keys, in order.
    pub fn names(&self) -> Result<Vec<String>, StoreError> {
        let failed = |e| StoreError::io(self.dir(), "list the keys", e);
        let mut names = Vec::new();
        for entry in fs::read_dir(self.dir()).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What signs in the name of this data directory.
    pub fn signer(&self) -> Result<Signer, StoreError> {
        let key = self.make(SIGNING)?;
        Signer::new(&key).map_err(|what| self.fault(SIGNING, what))
    }

    /// Wraps every key anew, under another master. One that was cut short goes on where it ended: a key that
    /// the new master opens already is left as it is. Says how many were wrapped.
    pub fn rotate(&self, to: Master) -> Result<usize, StoreError> {
        let mut master = self.inner.master.write().unwrap_or_else(PoisonError::into_inner);
        let mut wrapped = 0;
        // The one that opening asks for comes last: until then the old master opens the folder.
        let mut names = self.names()?;
        names.sort_by_key(|name| name == SIGNING);
        for name in names {
            let old = self.read(&name)?.is_some_and(|file| file.master != to.id());
            if let Some(key) = self.unwrap(&name, &[&master, &to])?.filter(|_| old) {
                self.write(&name, &key, &to, true)?;
                wrapped += 1;
            }
        }
        to.replace_beside(self.dir())?;
        *master = to;
        Ok(wrapped)
    }

    /// The master; none takes its place while it is held.
    fn master(&self) -> RwLockReadGuard<'_, Master> {
        self.inner.master.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the key of that name lies, or would.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name).with_added_extension(ENDING)
    }

    fn read(&self, name: &str) -> Result<Option<Wrapped>, StoreError> {
        let path = self.path(name);
        let text = match fs::read_to_string(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| StoreError::io(&path, "read the key", e))?,
        };
        let file: Wrapped = serde_json::from_str(&text).map_err(|e| self.fault(name, format!("is damaged: {e}")))?;
        match file.version {
            VERSION => Ok(Some(file)),
            other => Err(self.fault(name, format!("is of version {other}: this portcullis reads {VERSION}"))),
        }
    }

    fn unwrap(&self, name: &str, masters: &[&Master]) -> Result<Option<Key>, StoreError> {
        let Some(file) = self.read(name)? else { return Ok(None) };
        let Some(master) = masters.iter().find(|master| master.id() == file.master) else {
            let given: Vec<_> = masters.iter().map(|master| master.id()).collect();
            let what = format!("was wrapped by the master key {}; given is {}", file.master, given.join(", "));
            return Err(self.fault(name, what));
        };
        let mut sealed = HEXLOWER.decode(file.sealed.as_bytes()).map_err(|_| self.fault(name, "is damaged"))?;
        let key = master.sealer().open(name.as_bytes(), &mut sealed).and_then(|octets| Key::read(octets));
        key.map(Some).ok_or_else(|| self.fault(name, "does not open: damaged, or another key's file under its name"))
    }

    /// Writes a key's file: whole and on disk before it has its name.
    fn write(&self, name: &str, key: &Key, master: &Master, replace: bool) -> Result<(), StoreError> {
        let path = self.path(name);
        let sealed = master.sealer().seal(name.as_bytes(), key.octets());
        let file = Wrapped { version: VERSION, master: master.id(), sealed: HEXLOWER.encode(&sealed) };
        let text = serde_json::to_string(&file).map_err(io::Error::other);
        let written = text.and_then(|text| write_whole(self.dir(), &path, text.as_bytes(), replace));
        written.map_err(|e| StoreError::io(&path, "write the key", e))
    }

    /// Files that a crash left without a name, and those of keys whose deletion it cut short: a day whose key is
    /// there and opens nothing would count as damaged, not as expired.
    fn remove_leftovers(&self) -> Result<(), StoreError> {
        let failed = |e| StoreError::io(self.dir(), "list the keys", e);
        for entry in fs::read_dir(self.dir()).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let has = |wanted: &str| path.extension().is_some_and(|ending| ending == wanted);
            if has(LEFTOVER) || (has(ENDING) && is_emptied(&path)?) {
                fs::remove_file(&path).map_err(|e| StoreError::io(&path, "remove what a crash left", e))?;
            }
        }
        Ok(())
    }

    fn fault(&self, name: &str, what: impl Into<String>) -> StoreError {
        StoreError::Key { path: self.path(name), what: what.into() }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("dir", &self.inner.dir).finish_non_exhaustive()
    }
}

/// The ending of a file that is being written.
const LEFTOVER: &str = "new";

/// Whether a file's octets were all overwritten.
fn is_emptied(path: &Path) -> Result<bool, StoreError> {
    let octets = fs::read(path).map_err(|e| StoreError::io(path, "read the key", e))?;
    Ok(!octets.is_empty() && octets.iter().all(|octet| *octet == 0))
}

/// Writes a file that is whole and on disk before it has its name; without `replace`, one that is there is an error.
fn write_whole(dir: &Path, path: &Path, octets: &[u8], replace: bool) -> io::Result<()> {
    let fresh = tempfile::Builder::new().suffix(&format!(".{LEFTOVER}")).tempfile_in(dir)?;
    let mut file = OpenOptions::new().write(true).mode(0o600).open(fresh.path())?;
    file.write_all(octets)?;
    file.sync_all()?;
    let named = if replace { fresh.persist(path) } else { fresh.persist_noclobber(path) };
    named.map_err(|e| e.error)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
