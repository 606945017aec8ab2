//! Copying a sled database that is being written to.
//!
//! Owns the count of changes, the database's lasting name, and the keys that changed while somebody
//! copies. Refuses to copy: whoever does reads rows as anybody can. Driven by the backup.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ring::rand::{SecureRandom, SystemRandom};

use super::super::{Copying, EngineError, Key, Version};
use super::{Open, broken, contained, refused};

/// Where the database's name lies among the stamps.
const IDENTITY: &[u8] = b"@";

/// What changed.
#[derive(Debug)]
pub(super) struct Changes {
    identity: u128,
    count: AtomicU64,
    /// While somebody copies: the keys of rows that changed.
    watched: Mutex<Option<HashSet<Key>>>,
}

impl Changes {
    /// Of a database that had so many changes; one without a name gets it.
    pub(super) fn new(path: &Path, stamps: &::sled::Tree, count: u64) -> Result<Self, EngineError> {
        let identity = match contained(path, || stamps.get(IDENTITY))? {
            Some(name) => name.as_ref().try_into().map_err(|_| broken(path, "name of the database"))?,
            None => {
                let mut name = [0; 16];
                SystemRandom::new().fill(&mut name).map_err(|_| refused(path, &"no random octets to be had"))?;
                contained(path, || stamps.insert(IDENTITY, &name).map(drop))?;
                name
            }
        };
        Ok(Self { identity: u128::from_be_bytes(identity), count: AtomicU64::new(count), watched: Mutex::new(None) })
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// A row is about to change; the caller keeps everyone else from changing one meanwhile.
    pub(super) fn note(&self, key: &[u8]) {
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(watched) = &mut *self.watched() {
            watched.insert(key.into());
        }
    }

    fn watched(&self) -> MutexGuard<'_, Option<HashSet<Key>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Copying for Open {
    fn version(&self) -> Version {
        Version { identity: self.changes.identity, changes: self.changes.count() }
    }

    fn watch(&self) -> bool {
        // A change under way was not noted, and must be over before the first row is read.
        let _nobody_changes = self.wal();
        let mut watched = self.changes.watched();
        let is_free = watched.is_none();
        watched.get_or_insert_default();
        is_free
    }

    fn unwatch(&self) {
        *self.changes.watched() = None;
    }

    fn changed_rows(&self) -> usize {
        self.changes.watched().as_ref().map_or(0, HashSet::len)
    }

    fn changed(&self) -> Result<Vec<Key>, EngineError> {
        self.check_sound()?;
        Ok(self.changes.watched().as_mut().map(std::mem::take).unwrap_or_default().into_iter().collect())
    }

    fn still(&self, act: &mut dyn FnMut()) {
        let _nobody_changes = self.wal();
        act();
    }
}
