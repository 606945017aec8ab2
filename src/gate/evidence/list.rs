//! A refreshed do-not-disturb list, as it is shown.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::time;
use crate::gate::record;
use crate::store::EntryId;

/// A do-not-disturb list was read anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundList {
    /// The record's name.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The list's name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Whole numbers on it.
    pub numbers: u64,
    /// Prefixes on it.
    pub prefixes: u64,
    /// Entries that were new.
    pub added: u64,
    /// Entries that were there no longer.
    pub removed: u64,
}

impl FoundList {
    pub(super) fn new(id: EntryId, record: &record::List<'_>) -> Self {
        Self {
            id: id.to_string(),
            at: time(record.at_ms),
            name: record.name.to_string(),
            file: record.file.to_string(),
            numbers: record.numbers,
            prefixes: record.prefixes,
            added: record.added,
            removed: record.removed,
        }
    }
}
