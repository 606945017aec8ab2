//! The ordered key-value engine behind the store, as a trait small enough for a second one.
//!
//! Owns the contract: changes survive a crash in the order they were made, all of them up to the
//! last sync survive a power cut, and nothing panics. There are no batches on purpose: the
//! layouts above need only that order, and sled's batches stop every reader of every database.
//! Driven by journal and consents.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

mod sled;
mod table;
mod wal;

pub use self::sled::Sled;
pub use self::table::{TableWriter, open_table};

/// Longest value: sixteen of them in one leaf stay below sled's blob limit, and no sync covers blobs.
pub const VALUE_BYTES: usize = 7 * 1024;

/// What kind of failure it was, which decides what can be done about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Another handle has the database open.
    Held,
    /// The system refused: disk full, folder gone, not permitted. Trying again can help.
    System,
    /// What is on disk cannot be used. Trying again cannot help.
    Broken,
}

/// What an engine said when it failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}")]
pub struct EngineError {
    /// Its kind.
    pub fault: Fault,
    /// Its words.
    pub what: String,
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// One open database.
pub trait Engine: Send + Sync + Debug {
    /// Puts `value`, at most [`VALUE_BYTES`] long, under `key`.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), EngineError>;
    /// Removes `key`.
    fn remove(&self, key: &[u8]) -> Result<(), EngineError>;
    /// Everything changed so far is on disk when this returns.
    fn sync(&self) -> Result<(), EngineError>;
    /// The value under `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;
    /// Shows the value under `key` where it lies, without a copy of its own; `false` if there is none.
    fn look(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool, EngineError> {
        Ok(self.get(key)?.map(|value| see(&value)).is_some())
    }
    /// The first row with `from <= key < until`.
    fn first(&self, from: &[u8], until: &[u8]) -> Result<Option<Row>, EngineError>;
    /// The last row with `from <= key < until`.
    fn last(&self, from: &[u8], until: &[u8]) -> Result<Option<Row>, EngineError>;
    /// Shows the rows with `from <= key < until` in order, until `see` returns false.
    fn scan(&self, from: &[u8], until: &[u8], see: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), EngineError>;
    /// How it is copied while it is written to; `None` where it cannot be.
    fn copying(&self) -> Option<&dyn Copying> {
        None
    }
}

/// A row's key.
pub type Key = Box<[u8]>;

/// Copying a database that goes on being written to: whoever reads all rows, and then again those that changed
/// meanwhile, has it as it is at the last look. Its rows are given as they lie on disk, whatever seals them above.
pub trait Copying: Engine {
    /// From now on the keys of changed rows are remembered; false where they are for somebody else.
    fn watch(&self) -> bool;
    /// Nobody asks for changed rows any more.
    fn unwatch(&self);
    /// How many changed rows are remembered.
    fn changed_rows(&self) -> usize;
    /// The rows that changed since this was asked last; an error once the database has failed.
    fn changed(&self) -> Result<Vec<Key>, EngineError>;
    /// Does something while no row changes: whoever wants to change one waits.
    fn still(&self, act: &mut dyn FnMut());
}

/// Opens databases.
pub trait Engines: Send + Sync + Debug {
    /// Opens the database in `dir`; `cache` bounds its memory, in octets. Without `create`, one that
    /// is not there is an error of the system.
    fn open(&self, dir: &Path, cache: u64, create: bool) -> Result<Arc<dyn Engine>, EngineError>;
    /// Whether `dir` holds a database or what is left of one; one that was only about to be made is none.
    fn holds(&self, dir: &Path) -> bool;
}
