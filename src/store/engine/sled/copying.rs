//! Copying a sled database that is being written to.
//!
//! Owns the keys of rows that changed while somebody copies. Refuses to copy: whoever does reads rows as
//! anybody can. Driven by the backup.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::{Copying, EngineError, Key};
use super::Open;

/// What changed while somebody copies; nothing is remembered otherwise.
#[derive(Debug, Default)]
pub(super) struct Changes {
    watched: Mutex<Option<HashSet<Key>>>,
}

impl Changes {
    /// A row is about to change; the caller keeps everyone else from changing one meanwhile.
    pub(super) fn note(&self, key: &[u8]) {
        if let Some(watched) = &mut *self.watched() {
            watched.insert(key.into());
        }
    }

    fn watched(&self) -> MutexGuard<'_, Option<HashSet<Key>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Copying for Open {
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
