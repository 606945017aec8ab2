//! Who looked at records and consents: on record, and on disk, before anything is shown.
//!
//! Owns what is kept of a reading: the user, the command with its conditions, whether whole numbers were asked for,
//! how many results left. Refuses a reading of whole numbers that cannot be recorded; one of masked numbers goes on,
//! for an inspection must not stand still because a disk is full, and says so. Driven by whoever answers questions.

use std::fmt::Write;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::evidence::EvidenceError;
use super::masking::{readable, without_mobiles};
use super::measures::{check_health, settle};
use super::record::{ACCESSES, Accessed, Record, accessed_key, entry_id, name, subscriber_key};
use crate::rules::Msisdn;
use crate::store::{EntryId, Index, Journal, Query};

/// What somebody is about to read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The command: `journal find`, `consent show` and so on.
    pub what: String,
    /// Its conditions, numbers masked.
    pub query: String,
    /// The key of the subscriber it is about, where it is about one.
    pub subscriber: Option<String>,
    /// Whether whole numbers are shown.
    pub whole: bool,
}

impl Reading {
    /// By this command.
    pub fn new(what: &str, whole: bool) -> Self {
        Self { what: what.to_owned(), whole, ..Self::default() }
    }

    /// A condition, where it is given.
    #[must_use]
    pub fn with(mut self, name: &str, value: Option<impl std::fmt::Display>) -> Self {
        if let Some(value) = value {
            let blank = if self.query.is_empty() { "" } else { " " };
            let separator = if name.is_empty() { "" } else { " " };
            // Writing to a text does not fail.
            let value = without_mobiles(&value.to_string());
            write!(self.query, "{blank}{name}{separator}{value}").ok();
        }
        self
    }

    /// The condition that names a subscriber, in any usual form, where it is given.
    #[must_use]
    pub fn about(self, name: &str, number: Option<&str>) -> Self {
        let Some(number) = number else { return self };
        let msisdn = Msisdn::parse(number).map(|msisdn| msisdn.0);
        let subscriber = Some(subscriber_key(msisdn, number).into_owned());
        Self { subscriber, ..self.with(name, Some(readable(number))) }
    }
}

/// How the beginning of a reading was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// On disk, under this name.
    Recorded(EntryId),
    /// Not on disk, because of this.
    Unrecorded(String),
}

/// Whole numbers are not shown to whom nobody would know of.
#[derive(Debug, thiserror::Error)]
#[error(
    "whole numbers are shown only where that can be recorded, and it cannot: {0}; without --whole the reading goes on"
)]
pub struct Refused(String);

/// Records that somebody is about to read: on disk when this returns. Blocks.
pub fn begin(journal: &Journal, who: &str, reading: &Reading, at_ms: i64) -> Result<Begun, Refused> {
    let begun = || encoded(who, reading, at_ms, 0, false, None);
    let health = check_health(journal);
    let is_well = health.is_ok();
    let recorded = health.and_then(|()| {
        let ticket = journal.append(begun())?;
        settle(journal, ticket).map(|()| ticket.id)
    });
    match recorded {
        Ok(id) => Ok(Begun::Recorded(id)),
        Err(error) if reading.whole => Err(Refused(error.to_string())),
        Err(error) => {
            tracing::error!(who, what = reading.what, %error, "a reading of records is not recorded on disk");
            // It may find its place in the spool, and get there later; what was not settled is there already.
            if !is_well {
                journal.append(begun()).ok();
            }
            Ok(Begun::Unrecorded(error.to_string()))
        }
    }
}

/// Records how many results it gave; returns at once.
pub fn end(journal: &Journal, who: &str, reading: &Reading, of: Option<EntryId>, results: u64, at_ms: i64) {
    if let Err(error) = journal.append(encoded(who, reading, at_ms, results, true, of)) {
        tracing::error!(who, what = reading.what, %error, "how a reading of records ended is not recorded");
    }
}

fn encoded(who: &str, reading: &Reading, at_ms: i64, results: u64, complete: bool, of: Option<EntryId>) -> Vec<u8> {
    let accessed = Accessed {
        at_ms,
        subscriber: reading.subscriber.as_deref().unwrap_or_default().into(),
        who: who.into(),
        what: reading.what.as_str().into(),
        query: reading.query.as_str().into(),
        whole: reading.whole,
        results,
        complete,
        of: of.map(name),
    };
    Record::Accessed(accessed).encode(Vec::new())
}

/// Which readings to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadingQuery {
    /// About this subscriber, in any usual form.
    pub to: Option<String>,
    /// By this user: its name, or a part of it.
    pub who: Option<String>,
    /// Not before this moment, UTC milliseconds.
    pub since_ms: Option<i64>,
    /// Before this moment, UTC milliseconds.
    pub until_ms: Option<i64>,
}

/// A reading, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundReading {
    /// The name of its record.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The user.
    pub who: String,
    /// The command.
    pub what: String,
    /// Its conditions, numbers masked.
    pub query: String,
    /// The subscriber it was about.
    pub subscriber: Option<String>,
    /// Whether whole numbers were shown.
    pub whole: bool,
    /// How many results left; unknown where the reader was cut off.
    pub results: Option<u64>,
}

/// Readings whose end is awaited while they are listed.
const AWAITED: usize = 10_000;

/// Hands over the readings that match, oldest first, each with how it ended; `emit` answering false stops.
pub fn list(
    journal: &Journal,
    query: &ReadingQuery,
    emit: &mut dyn FnMut(FoundReading) -> bool,
) -> Result<(), EvidenceError> {
    let key = match &query.to {
        Some(to) => accessed_key(&subscriber_key(Msisdn::parse(to).map(|msisdn| msisdn.0), to)),
        None => ACCESSES.to_vec(),
    };
    let entries = Query { key: Some((Index::Source, key)), since_ms: query.since_ms, ..Query::default() };
    let mut waiting: std::collections::VecDeque<FoundReading> = std::collections::VecDeque::new();
    for entry in journal.find(entries)? {
        let (id, payload) = entry?;
        let record = Record::decode(&payload).map_err(|error| EvidenceError::Record(id, error))?;
        let Record::Accessed(accessed) = record else { continue };
        if let Some(of) = accessed.of.and_then(entry_id).map(|of| of.to_string()) {
            if let Some(begun) = waiting.iter_mut().find(|reading| reading.id == of) {
                begun.results = Some(accessed.results);
            }
            continue;
        }
        let is_late = query.until_ms.is_some_and(|until| accessed.at_ms >= until);
        if is_late || query.who.as_ref().is_some_and(|who| !accessed.who.contains(who.as_str())) {
            continue;
        }
        waiting.push_back(FoundReading::new(id, &accessed));
        if waiting.len() > AWAITED && !waiting.pop_front().is_none_or(&mut *emit) {
            return Ok(());
        }
    }
    waiting.into_iter().all(emit);
    Ok(())
}

impl FoundReading {
    /// From its record.
    pub fn new(id: EntryId, accessed: &Accessed<'_>) -> Self {
        Self {
            id: id.to_string(),
            at: Timestamp::from_millisecond(accessed.at_ms).unwrap_or_default(),
            who: accessed.who.to_string(),
            what: accessed.what.to_string(),
            query: accessed.query.to_string(),
            subscriber: Some(accessed.subscriber.to_string()).filter(|subscriber| !subscriber.is_empty()),
            whole: accessed.whole,
            results: accessed.complete.then_some(accessed.results),
        }
    }
}
