//! Finding what the journal knows of a message, a number or a port.
//!
//! Owns the joining of a send record with its outcome and receipts. Refuses to change
//! anything. Driven by `portcullis journal find`, through the socket or on the store itself.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::{Content, Record, RecordError, WireAddress, subscriber_key};
use crate::rules::Msisdn;
use crate::store::{EntryId, Index, Journal, Query as Entries, StoreError};

mod found;

pub use found::{Found, FoundDelivery, FoundMessage, FoundOutcome, FoundReceipt, FoundSession};

/// What to look for; every condition given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// At most this many messages, oldest first.
    pub limit: usize,
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

/// Everything that matches, in the order it happened, each message with what became of it.
pub fn find(journal: &Journal, query: &Query) -> Result<Vec<Found>, EvidenceError> {
    match &query.message_id {
        Some(message_id) => by_message_id(journal, query, message_id),
        None => gather(journal, &keyed(query), query, None),
    }
}

/// The carrier's id leads to outcomes and receipts, these to their subscriber, the subscriber to the message.
fn by_message_id(journal: &Journal, query: &Query, message_id: &str) -> Result<Vec<Found>, EvidenceError> {
    let key = Some((Index::MessageId, message_id.as_bytes().to_vec()));
    let (mut wanted, mut subscribers) = (HashSet::new(), HashSet::new());
    for entry in journal.find(Entries { key, ..Entries::default() })? {
        let (id, payload) = entry?;
        match Record::decode(&payload).map_err(|error| EvidenceError::Record(id, error))? {
            Record::Outcome(outcome) => {
                wanted.extend(outcome.of());
                subscribers.insert(outcome.subscriber.into_owned());
            }
            Record::Delivery(delivery) => {
                wanted.insert(id);
                subscribers.insert(subscriber_key(delivery.msisdn, &delivery.source.addr).into_owned());
            }
            Record::Submission(_) | Record::Session(_) => {}
        }
    }
    let mut all = Vec::new();
    for subscriber in subscribers {
        let key = Some((Index::Destination, subscriber.into_bytes()));
        all.extend(gather(journal, &Entries { key, ..Entries::default() }, query, Some(&wanted))?);
    }
    all.sort_by_key(Found::at);
    all.truncate(query.limit);
    Ok(all)
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
) -> Result<Vec<Found>, EvidenceError> {
    let mut found = Vec::new();
    let mut messages: HashMap<EntryId, usize> = HashMap::new();
    let mut by_message_id: HashMap<String, usize> = HashMap::new();
    for entry in journal.find(entries.clone())? {
        let (id, payload) = entry?;
        let record = Record::decode(&payload).map_err(|error| EvidenceError::Record(id, error))?;
        let is_wanted = wanted.is_none_or(|wanted| wanted.contains(&id));
        let in_time = query.until_ms.is_none_or(|until| record.at_ms() < until);
        match record {
            Record::Submission(record) => {
                let matches = is_wanted && in_time && matches(query, &record.origin.provider, &record.source);
                if matches && found.len() < query.limit {
                    messages.insert(id, found.len());
                    found.push(Found::Message(Box::new(FoundMessage::new(id, &record))));
                }
            }
            Record::Outcome(outcome) => {
                let Some(&at) = outcome.of().and_then(|of| messages.get(&of)) else { continue };
                if let Some(message_id) = &outcome.message_id {
                    by_message_id.insert(message_id.clone().into_owned(), at);
                }
                if let Found::Message(message) = &mut found[at] {
                    message.outcome = Some(FoundOutcome::new(&outcome));
                }
            }
            Record::Delivery(delivery) => {
                let receipted = delivery.receipt.as_ref().and_then(|receipt| receipt.message_id.as_deref());
                if let Some(&at) = receipted.and_then(|message_id| by_message_id.get(message_id)) {
                    if let Found::Message(message) = &mut found[at] {
                        message.receipts.push(FoundReceipt::new(&delivery));
                    }
                    continue;
                }
                let matches = is_wanted && in_time && matches(query, &delivery.origin.provider, &delivery.destination);
                if matches && found.len() < query.limit {
                    found.push(Found::Delivery(FoundDelivery::new(id, &delivery)));
                }
            }
            Record::Session(session) => {
                let anything = query.to.is_none() && query.from.is_none() && wanted.is_none();
                let of_provider = query.provider.as_ref().is_none_or(|provider| *provider == session.origin.provider);
                if anything && of_provider && in_time && found.len() < query.limit {
                    found.push(Found::Session(FoundSession::new(id, &session)));
                }
            }
        }
    }
    Ok(found)
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
