//! What the gate keeps: the journal of every verdict, the consents of every subscriber, and what was sent to whom.
//!
//! Owns the files, their layout and their durability. It knows neither SMPP nor the rulebook:
//! journal entries are opaque octets with keys that a [`journal::Schema`] reads out of them.
//! Refuses to lose what it acknowledged, to grow without bound and to panic on a broken disk.
//! Driven by the gate, and by the command line when no gate runs.

pub mod backup;
pub mod consents;
pub mod engine;
mod error;
pub mod evidence_files;
mod exchange;
pub mod journal;
pub mod keys;
mod lock;
mod sealed;
pub mod sends;
mod varint;

pub use consents::{Applied, Consents, Event, Standing};
pub use error::StoreError;
pub use evidence_files::{EvidenceFiles, Sha256};
pub use journal::{Entries, EntryId, Health, Index, Journal, JournalOptions, Parts, Progress, Query, Schema, Ticket};
pub use keys::{Keys, MasterSource};
pub use sends::Sends;
