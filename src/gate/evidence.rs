//! Finding what the journal knows of a message, a number or a port.
//!
//! Owns the joining of a send record with its outcome and receipts. Refuses to change
//! anything. Driven by `portcullis journal find`, through the socket or on the store itself.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::message_id::spellings;
use super::record::{Content, Kept, PartOutcome, Record, RecordError, entry_id, subscriber_key};
use crate::config::MessageIdForm;
use crate::store::journal::Parts;
use crate::store::{EntryId, Index, Journal, Query as Entries, StoreError};

mod change;
mod conditions;
mod found;
mod joining;
mod list;
mod pages;
mod walk;

pub use change::FoundChange;
pub use found::{
    Found, FoundBasis, FoundDelivery, FoundFacts, FoundMessage, FoundOutcome, FoundPart, FoundReceipt, FoundReply,
    FoundSession, FoundTaken, hide_octets,
};
pub use list::FoundList;

use conditions::{Conditions, canonical};
use walk::Walk;

/// What to look for; every condition given must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The subscriber's number, in any usual form.
    pub to: Option<String>,
    /// The number it came from, or a reply went to, as it stood on the wire.
    pub from: Option<String>,
    /// The provider's `system_id`.
    pub provider: Option<String>,
    /// The carrier's name for the message.
    pub message_id: Option<String>,
    /// The sender's id; of a reply, one that it was taken to speak to.
    #[serde(default)]
    pub sender: Option<String>,
    /// The registered port, whatever extension of it was used.
    #[serde(default)]
    pub port: Option<String>,
    /// A rule that spoke, as in `R09`; of a reply, the one it was taken for.
    #[serde(default)]
    pub rule: Option<String>,
    /// `forward`, `reject`, `hold` or `incomplete`.
    #[serde(default)]
    pub verdict: Option<String>,
    /// The message's class.
    #[serde(default)]
    pub class: Option<String>,
    /// Only things of this kind.
    #[serde(default)]
    pub kind: Option<Kind>,
    /// Part of the text: as it stands, or with the forms of letters and their case set aside.
    #[serde(default)]
    pub text: Option<String>,
    /// Not before this moment, UTC milliseconds.
    pub since_ms: Option<i64>,
    /// Before this moment, UTC milliseconds.
    pub until_ms: Option<i64>,
    /// Session events, refreshed lists and other changes too.
    pub sessions: bool,
    /// At most this many.
    pub limit: usize,
    /// Behind this entry in the order asked for: what the page before ended with.
    #[serde(default)]
    pub after: Option<String>,
    /// From the newest to the oldest.
    #[serde(default)]
    pub newest_first: bool,
    /// How the carrier writes message ids.
    pub message_id_form: MessageIdForm,
}

/// What kinds of things there are to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A message.
    Message,
    /// A subscriber's reply.
    Reply,
    /// A receipt of no message that is found.
    Receipt,
    /// A bind's begin or end.
    Session,
    /// A refreshed do-not-disturb list.
    List,
    /// Another change beside messages.
    Change,
}

impl Kind {
    /// The words for them.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("message", Self::Message),
        ("reply", Self::Reply),
        ("receipt", Self::Receipt),
        ("session", Self::Session),
        ("list", Self::List),
        ("change", Self::Change),
    ];
}

impl Default for Query {
    fn default() -> Self {
        Self {
            to: None,
            from: None,
            provider: None,
            message_id: None,
            sender: None,
            port: None,
            rule: None,
            verdict: None,
            class: None,
            kind: None,
            text: None,
            since_ms: None,
            until_ms: None,
            sessions: false,
            limit: usize::MAX,
            after: None,
            newest_first: false,
            message_id_form: MessageIdForm::Auto,
        }
    }
}

impl Query {
    /// Whether no index leads to what is asked for, so that every entry has to be looked at.
    pub fn is_walk(&self) -> bool {
        self.to.is_none() && self.from.is_none() && self.message_id.is_none()
    }

    /// Whether only a part of what matches is asked for, or in another order than it happened.
    fn is_paged(&self) -> bool {
        self.limit != usize::MAX || self.after.is_some() || self.newest_first
    }
}

/// Why a search failed.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry could not be read.
    #[error("journal entry {0}: {1}")]
    Record(EntryId, RecordError),
    /// The end of the page before is no entry's name.
    #[error(transparent)]
    After(#[from] crate::store::journal::InvalidEntryId),
    /// What came back could not be told from what came to others.
    #[error("more messages are found than can be joined with what came back: ask for a shorter time")]
    TooMany,
}

/// Who takes what a search finds; an answer of false stops it.
pub trait Finder {
    /// One thing found, with what became of it.
    fn found(&mut self, found: Found) -> bool;

    /// So many entries have been read by now, the last of them of this moment: told from time to time.
    fn walked(&mut self, _entries: u64, _at_ms: i64) -> bool {
        true
    }

    /// Something that cannot be looked at, in words.
    fn wanting(&mut self, _what: String) {}

    /// Whether it takes entries as they are kept.
    fn wants_entries(&self) -> bool {
        false
    }

    /// An entry of what is found, or of what became of it, as it is kept; not told of pages.
    fn entry(&mut self, _id: EntryId, _parts: &Parts) -> bool {
        true
    }
}

impl<F: FnMut(Found) -> bool> Finder for F {
    fn found(&mut self, found: Found) -> bool {
        self(found)
    }
}

/// Hands over everything that matches, in the order it happened, each message with what became
/// of it; `emit` answering false stops the search.
pub fn find(journal: &Journal, query: &Query, mut emit: &mut dyn FnMut(Found) -> bool) -> Result<(), EvidenceError> {
    search(journal, query, &mut emit).map(|_| ())
}

/// The same for any finder. Where it ended because there is enough, it gives where the next page goes on.
pub fn search(journal: &Journal, query: &Query, finder: &mut dyn Finder) -> Result<Option<EntryId>, EvidenceError> {
    let asked = Entries { since_ms: query.since_ms, until_ms: query.until_ms, ..Entries::default() };
    let before = journal.days_of(&asked)?;
    let more = look(journal, query, finder)?;
    let after = journal.days_of(&asked)?;
    for day in before.iter().filter(|day| !after.contains(day)) {
        finder.wanting(format!("the day {day} went while it was asked for: not all of it may be here"));
    }
    for folder in journal.set_aside_of(&asked)? {
        finder.wanting(format!("what is in {folder}: it cannot be read and was set aside"));
    }
    Ok(more)
}

fn look(journal: &Journal, query: &Query, finder: &mut dyn Finder) -> Result<Option<EntryId>, EvidenceError> {
    let conditions = Conditions::of(query);
    if let Some(message_id) = &query.message_id {
        return by_message_id(journal, query, &conditions, message_id, finder);
    }
    if query.is_paged() {
        return pages::page(journal, query, &conditions, finder);
    }
    // Outcomes follow their messages: the end is applied to the messages only.
    let entries = Entries { key: keyed(query), since_ms: query.since_ms, ..Entries::default() };
    Walk::new(journal, query, &conditions).run(entries, None, finder).map(|()| None)
}

/// The carrier's id leads to outcomes and receipts, these to their subscriber, the subscriber to the
/// message. Only where nothing has the id as it was asked for, its other spellings are tried.
fn by_message_id(
    journal: &Journal,
    query: &Query,
    conditions: &Conditions,
    message_id: &str,
    finder: &mut dyn Finder,
) -> Result<Option<EntryId>, EvidenceError> {
    let (mut wanted, mut subscribers) = (HashSet::new(), BTreeSet::new());
    named(journal, message_id, &mut wanted, &mut subscribers)?;
    if wanted.is_empty() {
        for spelling in spellings(message_id) {
            named(journal, &spelling, &mut wanted, &mut subscribers)?;
        }
    }
    if query.is_paged() {
        return pages::page_of(journal, query, conditions, (&wanted, subscribers), finder);
    }
    let walk = Walk::new(journal, query, conditions);
    for subscriber in subscribers {
        let key = Some((Index::Destination, subscriber.into_bytes()));
        // Carriers use their ids again.
        walk.run(Entries { key, since_ms: query.since_ms, ..Entries::default() }, Some(&wanted), finder)?;
    }
    Ok(None)
}

/// The messages and receipts with exactly this id, and their subscribers.
fn named(
    journal: &Journal,
    message_id: &str,
    wanted: &mut HashSet<EntryId>,
    subscribers: &mut BTreeSet<String>,
) -> Result<(), EvidenceError> {
    let key = Some((Index::MessageId, message_id.as_bytes().to_vec()));
    for entry in journal.find(Entries { key, ..Entries::default() })? {
        let (id, payload) = entry?;
        match Record::decode(&payload).map_err(|error| EvidenceError::Record(id, error))? {
            Record::Outcome(outcome) | Record::PartOutcome(PartOutcome { outcome, .. }) => {
                wanted.extend(entry_id(outcome.of));
                subscribers.insert(outcome.subscriber.into_owned());
            }
            Record::Delivery(delivery) => {
                wanted.insert(id);
                subscribers.insert(subscriber_key(delivery.msisdn, &delivery.source.addr).into_owned());
            }
            Record::Long(long) => {
                wanted.insert(id);
                let submission = &long.submission;
                subscribers.insert(subscriber_key(submission.msisdn, &submission.destination.addr).into_owned());
            }
            // Nothing else bears an id that does not stand in one of these.
            _ => {}
        }
    }
    Ok(())
}

/// The narrowest index for the conditions.
fn keyed(query: &Query) -> Option<(Index, Vec<u8>)> {
    match (&query.to, &query.from) {
        (Some(to), _) => Some((Index::Destination, canonical(to).into_bytes())),
        (None, Some(from)) => Some((Index::Source, from.clone().into_bytes())),
        (None, None) => None,
    }
}

/// A message's record by itself, without what became of it; none of another kind.
pub fn message(id: EntryId, kept: &Kept<'_>) -> Option<FoundMessage> {
    match &kept.record {
        Record::Submission(record) => Some(FoundMessage::new(id, record).with(kept)),
        Record::Long(record) => Some(FoundMessage::of_parts(id, record).with(kept)),
        _ => None,
    }
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

fn text(content: &Content<'_>) -> (Option<String>, Option<String>) {
    match content {
        Content::Text(text) => (Some(text.clone().into_owned()), None),
        Content::Opaque(reason, octets) => {
            let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            (None, Some(format!("{reason}: {hex}")))
        }
    }
}
