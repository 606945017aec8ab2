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
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

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

/// The name of the master that keys are being wrapped by, kept under the one before while that lasts.
const ROTATING: &str = "rotating";

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
    masters: RwLock<Masters>,
}

/// The master, and the one that a rotation goes to until it has come to its end.
struct Masters {
    given: Master,
    next: Option<Master>,
    /// Whether what is made is wrapped by the next one already.
    over: bool,
}

impl Masters {
    fn of(given: Master) -> Self {
        Self { given, next: None, over: false }
    }

    /// Wraps what is made.
    fn current(&self) -> &Master {
        self.next.as_ref().filter(|_| self.over).unwrap_or(&self.given)
    }

    fn all(&self) -> Vec<&Master> {
        [&self.given].into_iter().chain(&self.next).collect()
    }
}

impl Keys {
    /// The keys in `dir`, created where there is none, under the master that `source` names.
    pub fn open(dir: &Path, source: &MasterSource) -> Result<Self, StoreError> {
        create_private_dir(dir)?;
        let master = Master::obtain(source, dir)?;
        let masters = RwLock::new(Masters::of(master));
        let keys = Self { inner: Arc::new(Inner { dir: dir.to_owned(), masters }) };
        keys.remove_leftovers()?;
        keys.take_up_rotation(*source == MasterSource::Beside)?;
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
        self.masters().current().id()
    }

    /// The key of that name; `None` where there is none, or none any more.
    pub fn get(&self, name: &str) -> Result<Option<Key>, StoreError> {
        self.unwrap(name, &self.masters().all())
    }

    /// The key of that name, made where there is none; it is on disk when this returns.
    pub fn make(&self, name: &str) -> Result<Key, StoreError> {
        // Held to the end: a rotation meanwhile would pass over a file that its old master is about to wrap.
        let masters = self.masters();
        if let Some(key) = self.unwrap(name, &masters.all())? {
            return Ok(key);
        }
        let key = Key::random().map_err(|what| self.fault(name, what))?;
        match self.write(name, &key, masters.current(), false) {
            // Made meanwhile, by another thread: theirs is the one.
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                self.unwrap(name, &masters.all())?.ok_or_else(|| self.fault(name, "came and went"))
            }
            other => other.map(|()| key),
        }
    }

    /// Deletes a key for good; false where there was none.
    pub fn forget(&self, name: &str) -> Result<bool, StoreError> {
        // A rotation that has read it would write it again.
        let _unturned = self.masters();
        self.delete(name)
    }

    fn delete(&self, name: &str) -> Result<bool, StoreError> {
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
        names.retain(|name| name != ROTATING);
        names.sort_unstable();
        Ok(names)
    }

    /// What signs in the name of this data directory.
    pub fn signer(&self) -> Result<Signer, StoreError> {
        let key = self.make(SIGNING)?;
        Signer::new(&key).map_err(|what| self.fault(SIGNING, what))
    }

    /// Wraps every key anew, under another master. One that was cut short leaves keys under both; the old one opens
    /// all of them until it is given again, and goes on where it ended. Says how many were wrapped.
    pub fn rotate(&self, to: Master) -> Result<usize, StoreError> {
        let mut masters = self.masters_mut();
        match &masters.next {
            Some(next) if next.id() != to.id() => {
                let what = format!("a rotation to the master key {} was cut short: give that one first", next.id());
                return Err(self.fault(ROTATING, what));
            }
            None if masters.given.id() != to.id() => {
                self.write(ROTATING, to.key(), &masters.given, true)?;
                masters.next = Some(to.clone());
            }
            _ => {}
        }
        // From here on, what is made is the new one's: whatever fails, no key is left to a master that goes.
        masters.over = masters.next.is_some();
        let mut wrapped = 0;
        // The one that opening asks for comes last: until then the old master opens the folder.
        let mut names = self.names()?;
        names.sort_by_key(|name| name == SIGNING);
        for name in names {
            let old = self.read(&name)?.is_some_and(|file| file.master != to.id());
            if let Some(key) = self.unwrap(&name, &masters.all())?.filter(|_| old) {
                self.write(&name, &key, &to, true)?;
                wrapped += 1;
            }
        }
        to.replace_beside(self.dir())?;
        *masters = Masters::of(to);
        self.delete(ROTATING)?;
        Ok(wrapped)
    }

    /// Takes up a rotation that was cut short, so that the keys under both masters open.
    fn take_up_rotation(&self, beside: bool) -> Result<(), StoreError> {
        let (Some(rotating), Some(signing)) = (self.read(ROTATING)?, self.read(SIGNING)?) else { return Ok(()) };
        let mut masters = self.masters_mut();
        if rotating.master != masters.given.id() {
            // Given is the new one: where the last key to be wrapped is its own, all are.
            let over = signing.master == masters.given.id();
            return if over { self.delete(ROTATING).map(drop) } else { Ok(()) };
        }
        let Some(next) = self.unwrap(ROTATING, &[&masters.given])?.map(Master::of) else { return Ok(()) };
        let over = signing.master == next.id();
        if over && beside {
            next.replace_beside(self.dir())?;
            *masters = Masters::of(next);
            return self.delete(ROTATING).map(drop);
        }
        tracing::warn!(to = next.id(), "a rotation of the master key was cut short: give it again");
        (masters.next, masters.over) = (Some(next), over);
        Ok(())
    }

    /// The masters; none takes another's place while they are held.
    fn masters(&self) -> RwLockReadGuard<'_, Masters> {
        self.inner.masters.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn masters_mut(&self) -> RwLockWriteGuard<'_, Masters> {
        self.inner.masters.write().unwrap_or_else(PoisonError::into_inner)
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
