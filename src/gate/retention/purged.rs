//! A purge as it is asked for, and what became of it.
//!
//! Owns what is kept and shown of a purge. Refuses to do any of it. Driven by the purge, the command line and the
//! admin socket.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::plan::Piece;
use super::subscribers::Said;
use crate::config::Fault;
use crate::gate::changes::{ChangeError, GATE};
use crate::store::StoreError;

/// Who wants a purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The user, or the gate itself.
    pub by: String,
    /// Whether the clock and the number of days are theirs to answer for.
    pub yes: bool,
}

impl Order {
    /// The gate's own, once a day.
    pub fn daily() -> Self {
        Self { by: GATE.to_owned(), yes: false }
    }
}

/// What became of a purge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// When it began.
    pub at: Timestamp,
    /// The day that it went by.
    pub as_of: Date,
    /// Who wanted it.
    pub by: String,
    /// What went, and what was kept of it.
    pub gone: Vec<Gone>,
    /// What went of what subscribers said.
    #[serde(default)]
    pub said: Said,
    /// Why not all was done, where an operator's word is asked for.
    pub doubt: Option<String>,
    /// Whether the clock was not believed: then it went by the time that has passed.
    #[serde(default)]
    pub clock_doubted: bool,
    /// What could not be done; it is tried again.
    pub faults: Vec<String>,
    /// Whether it came to its end.
    pub complete: bool,
}

/// What became of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// The day.
    pub day: Date,
    /// What of it.
    pub what: Piece,
    /// Octets given back to the disk.
    pub octets: u64,
    /// Entries that are held and stay.
    pub kept: u64,
    /// The holds that keep them.
    pub holds: Vec<String>,
}

impl Purged {
    /// Octets given back to the disk.
    pub fn octets(&self) -> u64 {
        self.gone.iter().map(|gone| gone.octets).sum()
    }
}

/// Why a purge did not take place.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// There is one already.
    #[error("a purge is under way")]
    UnderWay,
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Who is still there is not known.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: "))]
    Register(Vec<Fault>),
    /// The day is being written, as one may be that is the journal's last.
    #[error("{0} is being written")]
    Busy(String),
    /// It would not be on record.
    #[error("nothing more is purged: {0}")]
    Unrecorded(#[from] ChangeError),
}
