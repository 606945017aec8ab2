//! The ordered key-value engine behind the store, as a trait small enough for a second one.
//!
//! Owns the contract: a batch is atomic, a durable one survives a power cut, nothing panics.
//! Refuses batches and values that the engine measured badly with. Driven by journal and consents.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

mod sled;

pub use self::sled::Sled;

/// Most keys in one batch: larger ones pin sled's epochs and its memory grows without bound.
pub const BATCH_KEYS: usize = 128;

/// Longest value: sixteen of them in one leaf stay below sled's blob limit, and no sync covers blobs.
pub const VALUE_BYTES: usize = 7 * 1024;

/// What an engine said when it failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct EngineError(pub String);

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Rows in key order, from either end.
pub type Rows<'a> = Box<dyn DoubleEndedIterator<Item = Result<Row, EngineError>> + 'a>;

/// Changes that become visible, and survive, together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Puts `value` under `key`.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.push((key.into(), Some(value.into())));
    }

    /// Removes `key`.
    pub fn remove(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.push((key.into(), None));
    }

    /// How many keys it touches.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether it touches none.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes in order; `None` removes.
    pub fn changes(&self) -> &[(Vec<u8>, Option<Vec<u8>>)] {
        &self.changes
    }

    fn check(&self) -> Result<(), EngineError> {
        if self.changes.len() > BATCH_KEYS {
            return Err(EngineError(format!("batch of {} keys: at most {BATCH_KEYS}", self.changes.len())));
        }
        match self.changes.iter().filter_map(|(_, value)| value.as_ref()).find(|value| value.len() > VALUE_BYTES) {
            Some(value) => Err(EngineError(format!("value of {} octets: at most {VALUE_BYTES}", value.len()))),
            None => Ok(()),
        }
    }
}

/// One open database.
pub trait Engine: Send + Sync + Debug {
    /// Applies a batch; with `durable`, it and all before it are on disk when this returns.
    fn apply(&self, batch: &Batch, durable: bool) -> Result<(), EngineError>;
    /// Everything applied so far is on disk when this returns.
    fn sync(&self) -> Result<(), EngineError>;
    /// The value under `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;
    /// The rows with `from <= key < until`.
    fn range(&self, from: &[u8], until: &[u8]) -> Rows<'_>;
}

/// Opens databases.
pub trait Engines: Send + Sync + Debug {
    /// Opens the database in `dir`, creating it where there is none; `cache` bounds its memory, in octets.
    fn open(&self, dir: &Path, cache: u64) -> Result<Arc<dyn Engine>, EngineError>;
}
