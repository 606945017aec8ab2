//! Changes beside messages, on record: who did what, when, and what came of it.
//!
//! Owns how such a record is made and written. Refuses to make any change itself: whoever does tells it here,
//! before or after as its kind demands. Driven by the proxy (start, stop, configuration, register), the admin
//! socket (consents), and whatever purges, holds and keeps keys.
//!
//! | `what` | `about` | tells |
//! |---|---|---|
//! | `start`, `stop` | the data directory | version, process, profile and register in force |
//! | `configuration` | its file | the digests before and after, or why the gate did not start by it |
//! | `register` | its file | the versions before and after, or why it was refused |
//! | `list` | its file | why a do-not-disturb list was refused; one that is taken has a record of its own |
//! | `measure` | whom it is against | the operator's order; the step has a record of its own |
//! | `cancel` | the `message_id` | a provider's `cancel_sm` that went to the carrier, and its answer |
//! | `grant`, `refuse`, `recycle` | the sender | the event: category, time, method, evidence |
//! | `import`, `restore-import`, `recycle-import` | the file | its SHA-256 and what became of its rows |
//! | `key`, `purge`, `hold`, `hold-lifted`, `backup`, `restore` | the key, day or hold | as they see fit |

use std::sync::Arc;

use super::measures::{MeasureError, check_health, settle};
use super::record::{Change, Record};
use crate::store::{EntryId, Journal};

/// Who acts where nobody gave a command.
pub const GATE: &str = "gate";

/// The outcome of what was done.
pub const DONE: &str = "done";

/// Why a change is not on record.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The journal takes no entry.
    #[error("the journal takes no record of it: {0}")]
    Append(#[from] crate::store::journal::AppendError),
    /// It is down.
    #[error("the journal cannot write: {0}")]
    Down(Arc<str>),
    /// It is too slow.
    #[error("the record does not get to disk")]
    Unsettled,
}

impl<'a> Change<'a> {
    /// Something that was done to `about`.
    pub fn new(at_ms: i64, what: &'a str, who: &'a str, about: &'a str) -> Self {
        Self {
            at_ms,
            subscriber: "".into(),
            what: what.into(),
            who: who.into(),
            about: about.into(),
            outcome: DONE.into(),
            details: Vec::new(),
        }
    }

    /// The subscriber it concerns, by its key.
    #[must_use]
    pub fn of(self, subscriber: impl Into<std::borrow::Cow<'a, str>>) -> Self {
        Self { subscriber: subscriber.into(), ..self }
    }

    /// What came of it, where that is not simply that it was done.
    #[must_use]
    pub fn ending(self, outcome: impl Into<std::borrow::Cow<'a, str>>) -> Self {
        Self { outcome: outcome.into(), ..self }
    }

    /// A further fact; one without a value is left out.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: impl Into<std::borrow::Cow<'a, str>>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.details.push((name.into(), value));
        }
        self
    }
}

/// Hands a change to the journal, and says in the log where it takes none. Returns at once.
pub fn note(journal: &Journal, change: Change<'_>) {
    let (what, about) = (change.what.to_string(), change.about.to_string());
    if let Err(error) = journal.append(Record::Change(change).encode(Vec::new())) {
        tracing::error!(%error, what, about, "a change could not be recorded");
    }
}

/// The same, and on disk when it returns; an error where it is not. Blocks.
pub fn record(journal: &Journal, change: Change<'_>) -> Result<EntryId, ChangeError> {
    check_health(journal)?;
    let ticket = journal.append(Record::Change(change).encode(Vec::new()))?;
    settle(journal, ticket)?;
    Ok(ticket.id)
}

impl From<MeasureError> for ChangeError {
    fn from(error: MeasureError) -> Self {
        match error {
            MeasureError::Append(error) => Self::Append(error),
            MeasureError::Down(reason) => Self::Down(reason),
            _ => Self::Unsettled,
        }
    }
}
