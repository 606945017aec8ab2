//! What a record is found by.
//!
//! Owns the keys of every kind, told by the record as it is written, and read out of its octets again when a
//! day's index has to be made anew. Refuses to know how the store keeps them. Driven by the journal.

use std::borrow::Cow;

use smol_str::{SmolStr, format_smolstr};

use super::{Change, Delivery, Name, Outcome, Record, Submission, WireAddress, entry_id};
use crate::gate::message_id;
use crate::store::{Index, Schema};

/// The key a subscriber is found by: the canonical number where there is one, else the raw address.
pub fn subscriber_key(msisdn: Option<u64>, raw: &str) -> Cow<'_, str> {
    match msisdn {
        Some(number) => Cow::Owned(number.to_string()),
        None => Cow::Borrowed(raw),
    }
}

/// The same for whoever makes one for each message: no number needs an allocation.
pub fn short_subscriber_key(msisdn: Option<u64>, raw: &str) -> SmolStr {
    match msisdn {
        Some(number) => format_smolstr!("{number}"),
        None => raw.into(),
    }
}

/// The key a port is known by: its number without the country code that some carriers put before it.
pub fn port_key(port: &str) -> &str {
    let (digits, prefixed) = match port.strip_prefix('+').or_else(|| port.strip_prefix("00")) {
        Some(digits) => (digits, true),
        None => (port, false),
    };
    match digits.strip_prefix("86") {
        Some(rest) if rest.starts_with('1') => rest,
        _ if prefixed => digits,
        _ => port,
    }
}

/// The source under which everything about acknowledged parts is found again after a restart; no
/// address has a NUL.
pub const ACKNOWLEDGED: &[u8] = b"\0acknowledged";

/// The source under which every step of a measure is found.
pub const MEASURES: &[u8] = b"\0measures";

/// The source under which every complaint is found.
pub const COMPLAINTS: &[u8] = b"\0complaints";

/// The source under which what became of reply routes is found again.
pub const REPLY_ROUTE: &[u8] = b"\0reply route";

/// The same for consent requests that wait for an answer.
pub const ASKED: &[u8] = b"\0asked";

/// The same for those that got none.
pub const SILENCE: &[u8] = b"\0silence";

/// The same for scheduled messages, and those withdrawn.
pub const SCHEDULED: &[u8] = b"\0scheduled";

/// The source under which every change is found.
pub const CHANGES: &[u8] = b"\0changes";

/// The source under which every reading of records and consents is found.
pub const ACCESSES: &[u8] = b"\0accesses";

/// The source under which the changes of one kind are found.
pub fn change_key(what: &str) -> Vec<u8> {
    [CHANGES, b" ", what.as_bytes()].concat()
}

/// The source under which the readings about one subscriber are found: not the subscriber's own key, under
/// which are messages.
pub fn accessed_key(subscriber: &str) -> Vec<u8> {
    [ACCESSES, b" ", subscriber.as_bytes()].concat()
}

/// Tells the store which keys find a record.
pub struct RecordSchema;

impl Schema for RecordSchema {
    fn at_ms(&self, payload: &[u8]) -> i64 {
        // The variant's number, then the time: every record begins with it.
        let body = payload.get(1..).unwrap_or_default();
        postcard::take_from_bytes::<(u32, i64)>(body).map_or(0, |((_, at_ms), _)| at_ms)
    }

    fn keys(&self, payload: &[u8], emit: &mut dyn FnMut(Index, &[u8])) {
        if let Ok(record) = Record::decode(payload) {
            record.keys(emit);
        }
    }
}

impl Record<'_> {
    /// Emits all that it is to be found by: its kind, where that is looked for as such, who is concerned, and what
    /// was decided.
    pub fn keys(&self, emit: &mut dyn FnMut(Index, &[u8])) {
        match self {
            Self::Submission(submission) => judged(submission, emit),
            Self::Long(long) => {
                acknowledged(long.parts.iter().filter_map(|part| part.acknowledged), emit);
                judged(&long.submission, emit);
            }
            Self::Part(part) => {
                emit(Index::Source, ACKNOWLEDGED);
                message(part.msisdn, &part.destination, &part.source, emit);
                emit(Index::Provider, part.origin.provider.as_bytes());
            }
            Self::Outcome(outcome) => ended(outcome, emit),
            Self::PartOutcome(part) => {
                acknowledged(part.acknowledged.into_iter(), emit);
                ended(&part.outcome, emit);
            }
            Self::Report(report) => {
                acknowledged(std::iter::once(report.of), emit);
                parties(&report.subscriber, &report.port, emit);
            }
            Self::Delivery(delivery) => delivered(delivery, emit),
            Self::Taken(taken) => parties(&taken.subscriber, &taken.port, emit),
            Self::Complaint(complaint) => of_kind(COMPLAINTS, &complaint.subscriber, &complaint.port, emit),
            Self::CaseStep(step) => of_kind(COMPLAINTS, &step.subscriber, &step.port, emit),
            Self::Asked(asked) => of_kind(ASKED, &asked.subscriber, &asked.port, emit),
            Self::Silence(silence) => of_kind(SILENCE, &silence.subscriber, &silence.port, emit),
            Self::Scheduled(scheduled) => {
                of_kind(SCHEDULED, &scheduled.subscriber, &scheduled.port, emit);
                with_message_id(scheduled.message_id.as_deref(), emit);
            }
            Self::Withdrawn(withdrawn) => of_kind(SCHEDULED, &withdrawn.subscriber, &withdrawn.port, emit),
            Self::Session(session) => {
                emit(Index::Provider, session.origin.provider.as_bytes());
                if session.event.starts_with("reply route ") {
                    emit(Index::Source, REPLY_ROUTE);
                }
            }
            Self::Change(change) => changed(change, emit),
            Self::Accessed(accessed) => {
                emit(Index::Source, ACCESSES);
                if !accessed.subscriber.is_empty() {
                    emit(Index::Source, &accessed_key(&accessed.subscriber));
                }
            }
            Self::Measure(_) => emit(Index::Source, MEASURES),
            Self::List(_) => {}
        }
    }
}

/// For whom it was sent, by whom, and what was decided on which grounds.
fn judged(submission: &Submission<'_>, emit: &mut dyn FnMut(Index, &[u8])) {
    message(submission.msisdn, &submission.destination, &submission.source, emit);
    emit(Index::Provider, submission.origin.provider.as_bytes());
    if let Some(sender) = &submission.sender {
        emit(Index::Sender, sender.as_bytes());
    }
    emit(Index::Verdict, submission.verdict.as_bytes());
    for finding in &submission.findings {
        emit(Index::Rule, finding.rule.as_bytes());
    }
}

fn ended(outcome: &Outcome<'_>, emit: &mut dyn FnMut(Index, &[u8])) {
    parties(&outcome.subscriber, &outcome.port, emit);
    with_message_id(outcome.message_id.as_deref(), emit);
}

fn delivered(delivery: &Delivery<'_>, emit: &mut dyn FnMut(Index, &[u8])) {
    message(delivery.msisdn, &delivery.source, &delivery.destination, emit);
    with_message_id(delivery.receipt.as_ref().and_then(|receipt| receipt.message_id.as_deref()), emit);
}

fn changed(change: &Change<'_>, emit: &mut dyn FnMut(Index, &[u8])) {
    emit(Index::Source, CHANGES);
    emit(Index::Source, &change_key(&change.what));
    if !change.subscriber.is_empty() {
        emit(Index::Destination, change.subscriber.as_bytes());
    }
}

/// Of a message either way: its subscriber, and its port.
fn message(
    msisdn: Option<u64>,
    subscriber: &WireAddress<'_>,
    port: &WireAddress<'_>,
    emit: &mut dyn FnMut(Index, &[u8]),
) {
    parties(&short_subscriber_key(msisdn, &subscriber.addr), &port.addr, emit);
}

/// Of a kind that is looked for as such.
fn of_kind(kind: &[u8], subscriber: &str, port: &str, emit: &mut dyn FnMut(Index, &[u8])) {
    emit(Index::Source, kind);
    parties(subscriber, port, emit);
}

fn parties(subscriber: &str, port: &str, emit: &mut dyn FnMut(Index, &[u8])) {
    emit(Index::Destination, subscriber.as_bytes());
    emit(Index::Source, port.as_bytes());
}

/// The parts a record tells of that were acknowledged: found by the names the provider has for them.
fn acknowledged(names: impl Iterator<Item = Name>, emit: &mut dyn FnMut(Index, &[u8])) {
    for (at, id) in names.filter_map(entry_id).enumerate() {
        if at == 0 {
            emit(Index::Source, ACKNOWLEDGED);
        }
        emit(Index::MessageId, id.to_string().as_bytes());
    }
}

/// As given, and in the spelling that case and leading zeros do not change.
fn with_message_id(message_id: Option<&str>, emit: &mut dyn FnMut(Index, &[u8])) {
    let Some(message_id) = message_id else { return };
    emit(Index::MessageId, message_id.as_bytes());
    let loose = message_id::loose(message_id);
    if loose != message_id {
        emit(Index::MessageId, loose.as_bytes());
    }
}
