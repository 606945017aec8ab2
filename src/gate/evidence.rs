//! Finding what the journal knows of a message, a number or a port.
//!
//! Owns the joining of a send record with its outcome and receipts. Refuses to change
//! anything. Driven by `portcullis journal find`, through the socket or on the store itself.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::message_id::spellings;
use super::record::{Content, Kept, PartOutcome, Record, RecordError, WireAddress, entry_id, subscriber_key};
use crate::config::MessageIdForm;
use crate::rules::Msisdn;
use crate::store::{EntryId, Index, Journal, Query as Entries, StoreError};

mod change;
mod found;
mod joining;
mod list;

pub use change::FoundChange;
pub use found::{
    Found, FoundBasis, FoundDelivery, FoundFacts, FoundMessage, FoundOutcome, FoundPart, FoundReceipt, FoundSession,
    FoundTaken, hide_octets,
};
use joining::Joining;
pub use list::FoundList;

/// What to look for; every condition given must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The subscriber's number, in any usual form.
    pub to: Option<String>,
    /// The port.
    pub from: Option<String>,
    /// The provider's `system_id`.
    pub provider: Option<String>,
    /// The carrier's name for the message.
    pub message_id: Option<String>,
    /// Not before this moment, UTC milliseconds.
    pub since_ms: Option<i64>,
    /// Before this moment, UTC milliseconds.
    pub until_ms: Option<i64>,
    /// Session events, refreshed lists and other changes too.
    pub sessions: bool,
    /// At most this many, oldest first.
    pub limit: usize,
    /// How the carrier writes message ids.
    pub message_id_form: MessageIdForm,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            to: None,
            from: None,
            provider: None,
            message_id: None,
            since_ms: None,
            until_ms: None,
            sessions: false,
            limit: usize::MAX,
            message_id_form: MessageIdForm::Auto,
        }
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
}

/// Hands over everything that matches, in the order it happened, each message with what became
/// of it; `emit` answering false stops the search.
pub fn find(journal: &Journal, query: &Query, emit: &mut dyn FnMut(Found) -> bool) -> Result<(), EvidenceError> {
    match &query.message_id {
        Some(message_id) => by_message_id(journal, query, message_id, emit),
        None => gather(journal, &keyed(query), query, None, emit),
    }
}

/// The carrier's id leads to outcomes and receipts, these to their subscriber, the subscriber to the
/// message. Only where nothing has the id as it was asked for, its other spellings are tried.
fn by_message_id(
    journal: &Journal,
    query: &Query,
    message_id: &str,
    emit: &mut dyn FnMut(Found) -> bool,
) -> Result<(), EvidenceError> {
    let (mut wanted, mut subscribers) = (HashSet::new(), BTreeSet::new());
    named(journal, message_id, &mut wanted, &mut subscribers)?;
    if wanted.is_empty() {
        for spelling in spellings(message_id) {
            named(journal, &spelling, &mut wanted, &mut subscribers)?;
        }
    }
    for subscriber in subscribers {
        let key = Some((Index::Destination, subscriber.into_bytes()));
        gather(journal, &Entries { key, ..Entries::default() }, query, Some(&wanted), emit)?;
    }
    Ok(())
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
fn keyed(query: &Query) -> Entries {
    let key = match (&query.to, &query.from) {
        (Some(to), _) => Some((Index::Destination, canonical(to).into_bytes())),
        (None, Some(from)) => Some((Index::Source, from.clone().into_bytes())),
        (None, None) => None,
    };
    // Outcomes follow their messages: the end is applied to the messages only.
    Entries { key, since_ms: query.since_ms, ..Entries::default() }
}

fn canonical(number: &str) -> String {
    Msisdn::parse(number).map_or_else(|| number.to_owned(), |msisdn| msisdn.0.to_string())
}

/// Reads entries in order, keeps what matches, and joins later entries to the messages kept.
fn gather(
    journal: &Journal,
    entries: &Entries,
    query: &Query,
    wanted: Option<&HashSet<EntryId>>,
    emit: &mut dyn FnMut(Found) -> bool,
) -> Result<(), EvidenceError> {
    let mut joining = Joining::new(query.message_id_form);
    let mut taken = 0_usize;
    for entry in journal.find_parts(entries.clone())? {
        let (id, parts) = entry?;
        let kept = Kept::decode(&parts.content, parts.signalling.as_deref())
            .map_err(|error| EvidenceError::Record(id, error))?;
        let record = &kept.record;
        let is_wanted = wanted.is_none_or(|wanted| wanted.contains(&id));
        if joining.join(record, is_wanted) {
            continue;
        }
        if query.until_ms.is_some_and(|until| record.at_ms() >= until) || taken >= query.limit {
            continue;
        }
        if let Some(found) = matching(query, id, &kept) {
            taken += usize::from(is_wanted);
            if !joining.hold(id, found, record, is_wanted).is_none_or(&mut *emit) {
                return Ok(());
            }
        }
    }
    joining.rest().all(emit);
    Ok(())
}

fn matching(query: &Query, id: EntryId, kept: &Kept<'_>) -> Option<Found> {
    match &kept.record {
        Record::Submission(record) => matches(query, &record.origin.provider, &record.source)
            .then(|| Found::Message(Box::new(FoundMessage::new(id, record).with(kept)))),
        Record::Delivery(record) => matches(query, &record.origin.provider, &record.destination)
            .then(|| Found::Delivery(FoundDelivery::new(id, record))),
        Record::Session(record) => {
            let of_provider = query.provider.as_ref().is_none_or(|provider| *provider == record.origin.provider);
            (query.sessions && of_provider).then(|| Found::Session(FoundSession::new(id, record).with(kept)))
        }
        Record::Long(record) => matches(query, &record.submission.origin.provider, &record.submission.source)
            .then(|| Found::Message(Box::new(FoundMessage::of_parts(id, record).with(kept)))),
        Record::List(record) => {
            let of_gate = query.sessions && query.provider.is_none() && query.from.is_none();
            of_gate.then(|| Found::List(FoundList::new(id, record)))
        }
        Record::Change(record) => {
            let of_gate = query.sessions && query.provider.is_none() && query.from.is_none();
            of_gate.then(|| Found::Change(FoundChange::new(id, record)))
        }
        // The others tell what became of these.
        _ => None,
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

fn matches(query: &Query, provider: &str, port: &WireAddress<'_>) -> bool {
    query.provider.as_ref().is_none_or(|wanted| wanted == provider)
        && query.from.as_ref().is_none_or(|wanted| *wanted == port.addr)
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
