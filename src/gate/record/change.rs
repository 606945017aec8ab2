//! What changed at the gate beside messages, and who looked at its records.
//!
//! Owns the fields of both: one shape for every kind of change, so that a new kind needs no new schema.
//! Refuses to say which changes there are: [`crate::gate::changes`] does. Each begins with time and subscriber,
//! so that its head alone tells where it is found.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Name;

/// Something changed, or was refused to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change<'a> {
    /// UTC milliseconds.
    pub at_ms: i64,
    /// The key of the subscriber it concerns; empty where it concerns none.
    #[serde(borrow)]
    pub subscriber: Cow<'a, str>,
    /// Its kind: `start`, `configuration`, `register`, `grant`, `hold` and so on.
    pub what: Cow<'a, str>,
    /// `gate`, or the user who gave the command.
    pub who: Cow<'a, str>,
    /// What it happened to: a file, a day, a key's name, a sender.
    pub about: Cow<'a, str>,
    /// `done`, or what is in its way.
    pub outcome: Cow<'a, str>,
    /// What else is to be known of it: a name and a value each.
    pub details: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Somebody read records or consents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accessed<'a> {
    /// UTC milliseconds.
    pub at_ms: i64,
    /// The key of the subscriber asked about; empty where the question named none.
    #[serde(borrow)]
    pub subscriber: Cow<'a, str>,
    /// The user who asked.
    pub who: Cow<'a, str>,
    /// The command: `journal find`, `consent show` and so on.
    pub what: Cow<'a, str>,
    /// The conditions, their numbers masked.
    pub query: Cow<'a, str>,
    /// Whether whole numbers were asked for.
    pub whole: bool,
    /// Results handed over; of a long answer, those by the time this was written.
    pub results: u64,
    /// Whether that was all of them.
    pub complete: bool,
    /// The record of the same reading's beginning, where this one tells its end.
    pub of: Option<Name>,
}
