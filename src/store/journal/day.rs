//! One day's entries in one database.
//!
//! Owns its layout. Driven by the writer, read by queries.

use std::path::PathBuf;
use std::sync::Arc;

use super::front::Entry;
use super::id::Day;
use crate::store::StoreError;
use crate::store::engine::{BATCH_KEYS, Batch, Engine, EngineError};

#[derive(Debug)]
pub(super) struct DayStore {
    pub(super) day: Day,
    path: PathBuf,
    engine: Arc<dyn Engine>,
}

fn key(number: u64) -> [u8; 9] {
    let mut key = [b'R'; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

fn number(key: &[u8]) -> Option<u64> {
    key.get(1..)?.try_into().ok().map(u64::from_be_bytes)
}

impl DayStore {
    pub(super) fn open(day: Day, path: PathBuf, engine: Arc<dyn Engine>) -> Result<Self, StoreError> {
        Ok(Self { day, path, engine })
    }

    pub(super) fn next_number(&self) -> u64 {
        let last = self.engine.range(b"R", b"S").next_back();
        last.and_then(Result::ok).and_then(|(key, _)| number(&key)).map_or(0, |last| last + 1)
    }

    pub(super) fn write<'a>(&self, entries: impl Iterator<Item = Entry<'a>>) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for entry in entries {
            batch.put(key(entry.id.number), entry.payload);
            if batch.len() == BATCH_KEYS {
                self.engine.apply(&std::mem::take(&mut batch), false).map_err(|e| self.failed(&e))?;
            }
        }
        self.engine.apply(&batch, true).map_err(|e| self.failed(&e))
    }

    pub(super) fn get(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.get(&key(number)).map_err(|e| self.failed(&e))
    }

    /// All entries from `from` on, in order.
    pub(super) fn from(&self, from: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let rows = self.engine.range(&key(from), b"S").take(256);
        rows.map(|row| {
            let (key, payload) = row.map_err(|e| self.failed(&e))?;
            let number = number(&key).ok_or_else(|| StoreError::damaged(&self.path, "key of an entry"))?;
            Ok((number, payload))
        })
        .collect()
    }

    fn failed(&self, e: &EngineError) -> StoreError {
        StoreError::Engine { path: self.path.clone(), what: e.to_string() }
    }
}
