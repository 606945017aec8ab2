//! What a record is found by.
//!
//! Owns the keys of every kind, read out of its octets as far as they need to be read. Refuses to
//! know how the store keeps them. Driven by the journal, for every entry it takes.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Content, Finding, Name, Origin, Receipt, Record, Session, WireAddress, entry_id, is_known};
use crate::gate::message_id;
use crate::store::{Index, Schema};

/// The key a subscriber is found by: the canonical number where there is one, else the raw address.
pub fn subscriber_key(msisdn: Option<u64>, raw: &str) -> Cow<'_, str> {
    match msisdn {
        Some(number) => Cow::Owned(number.to_string()),
        None => Cow::Borrowed(raw),
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

/// The record's first fields, which are all that finding it needs: postcard writes fields in
/// order without frames, so the head of a record decodes by itself.
#[derive(Deserialize)]
enum Head<'a> {
    Submission(#[serde(borrow)] JudgedHead<'a>),
    Outcome(OutcomeHead<'a>),
    Delivery(#[serde(borrow)] MessageHead<'a>, Option<Receipt<'a>>),
    Session(Session<'a>),
    Long(JudgedHead<'a>),
    Part(PartHead<'a>),
    PartOutcome(OutcomeHead<'a>),
    Report(ReportHead<'a>),
    Taken(ReportHead<'a>),
    #[expect(dead_code, reason = "the time is stepped over on the way to the keys")]
    Measure(i64),
    Complaint(ReportHead<'a>),
    #[expect(dead_code, reason = "the time is stepped over on the way to the keys")]
    List(i64),
    Asked(ReportHead<'a>),
    Silence(ReportHead<'a>),
    Scheduled(OutcomeHead<'a>),
    Withdrawn(ReportHead<'a>),
    Change(ChangeHead<'a>),
    Accessed(AccessedHead<'a>),
    CaseStep(ReportHead<'a>),
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "the time is stepped over")]
struct ChangeHead<'a> {
    at_ms: i64,
    #[serde(borrow)]
    subscriber: Cow<'a, str>,
    what: Cow<'a, str>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "the time is stepped over")]
struct AccessedHead<'a> {
    at_ms: i64,
    #[serde(borrow)]
    subscriber: Cow<'a, str>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "the time is stepped over")]
struct ReportHead<'a> {
    at_ms: i64,
    #[serde(borrow)]
    subscriber: Cow<'a, str>,
    port: Cow<'a, str>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "the time is stepped over")]
struct MessageHead<'a> {
    at_ms: i64,
    #[serde(borrow)]
    source: WireAddress<'a>,
    destination: WireAddress<'a>,
    msisdn: Option<u64>,
}

#[derive(Deserialize)]
struct PartHead<'a> {
    #[serde(borrow)]
    message: MessageHead<'a>,
    origin: Origin<'a>,
}

/// A submission as far as its findings.
#[derive(Deserialize)]
#[expect(dead_code, reason = "what is between is stepped over")]
struct JudgedHead<'a> {
    #[serde(borrow)]
    message: MessageHead<'a>,
    origin: Origin<'a>,
    command_id: u32,
    sequence_number: u32,
    port: Option<(Cow<'a, str>, Cow<'a, str>)>,
    sender: Option<Cow<'a, str>>,
    class: Cow<'a, str>,
    service_type: Cow<'a, str>,
    flags: (u8, u8, u8),
    part: Option<(u16, u8, u8)>,
    content: Content<'a>,
    verdict: Cow<'a, str>,
    status: u32,
    findings: Vec<Finding<'a>>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "the time is stepped over")]
struct OutcomeHead<'a> {
    at_ms: i64,
    #[serde(borrow)]
    subscriber: Cow<'a, str>,
    port: Cow<'a, str>,
    message_id: Option<Cow<'a, str>>,
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

/// The parts a record tells of that were acknowledged: found by the names the provider has for them.
fn acknowledged(payload: &[u8], emit: &mut dyn FnMut(Index, &[u8])) {
    let names: Vec<Name> = match Record::decode(payload) {
        Ok(Record::Long(long)) => long.parts.iter().filter_map(|part| part.acknowledged).collect(),
        Ok(Record::PartOutcome(part)) => part.acknowledged.into_iter().collect(),
        Ok(Record::Report(report)) => vec![report.of],
        _ => return,
    };
    if !names.is_empty() {
        emit(Index::Source, ACKNOWLEDGED);
    }
    for id in names.into_iter().filter_map(entry_id) {
        emit(Index::MessageId, id.to_string().as_bytes());
    }
}

impl<'a> Head<'a> {
    fn decode(payload: &'a [u8]) -> Option<Self> {
        let (_, body) = payload.split_first().filter(|(version, _)| is_known(**version))?;
        postcard::take_from_bytes(body).ok().map(|(head, _)| head)
    }
}

/// Tells the store which keys find a record.
pub struct RecordSchema;

impl Schema for RecordSchema {
    fn at_ms(&self, payload: &[u8]) -> i64 {
        // The variant's number, then the time: every head begins with it.
        let body = payload.get(1..).unwrap_or_default();
        postcard::take_from_bytes::<(u32, i64)>(body).map_or(0, |((_, at_ms), _)| at_ms)
    }

    fn keys(&self, payload: &[u8], emit: &mut dyn FnMut(Index, &[u8])) {
        let Some(head) = Head::decode(payload) else { return };
        emit_kind(&head, payload, emit);
        emit_parties(head, emit);
    }
}

/// The kinds that are looked for as such.
fn emit_kind(head: &Head<'_>, payload: &[u8], emit: &mut dyn FnMut(Index, &[u8])) {
    match head {
        Head::Part(_) => emit(Index::Source, ACKNOWLEDGED),
        Head::Long(_) | Head::PartOutcome(_) | Head::Report(_) => acknowledged(payload, emit),
        Head::Measure(_) => emit(Index::Source, MEASURES),
        Head::Complaint(_) | Head::CaseStep(_) => emit(Index::Source, COMPLAINTS),
        Head::Asked(_) => emit(Index::Source, ASKED),
        Head::Silence(_) => emit(Index::Source, SILENCE),
        Head::Scheduled(_) | Head::Withdrawn(_) => emit(Index::Source, SCHEDULED),
        _ => {}
    }
}

/// Who is concerned, and what was decided.
fn emit_parties(head: Head<'_>, emit: &mut dyn FnMut(Index, &[u8])) {
    match head {
        Head::Submission(judged) | Head::Long(judged) => {
            emit_message(&judged.message, emit);
            emit_judgement(&judged, emit);
        }
        Head::Part(head) => {
            emit_message(&head.message, emit);
            emit(Index::Provider, head.origin.provider.as_bytes());
        }
        Head::Report(head)
        | Head::Taken(head)
        | Head::Complaint(head)
        | Head::Asked(head)
        | Head::Silence(head)
        | Head::Withdrawn(head)
        | Head::CaseStep(head) => {
            emit(Index::Destination, head.subscriber.as_bytes());
            emit(Index::Source, head.port.as_bytes());
        }
        Head::Outcome(head) | Head::PartOutcome(head) | Head::Scheduled(head) => {
            emit(Index::Destination, head.subscriber.as_bytes());
            emit(Index::Source, head.port.as_bytes());
            if let Some(message_id) = &head.message_id {
                emit_message_id(message_id, emit);
            }
        }
        Head::Delivery(head, receipt) => {
            emit(Index::Destination, subscriber_key(head.msisdn, &head.source.addr).as_bytes());
            emit(Index::Source, head.destination.addr.as_bytes());
            if let Some(message_id) = receipt.as_ref().and_then(|receipt| receipt.message_id.as_ref()) {
                emit_message_id(message_id, emit);
            }
        }
        Head::Session(session) => {
            emit(Index::Provider, session.origin.provider.as_bytes());
            if session.event.starts_with("reply route ") {
                emit(Index::Source, REPLY_ROUTE);
            }
        }
        Head::Change(head) => {
            emit(Index::Source, CHANGES);
            emit(Index::Source, &change_key(&head.what));
            if !head.subscriber.is_empty() {
                emit(Index::Destination, head.subscriber.as_bytes());
            }
        }
        Head::Accessed(head) => {
            emit(Index::Source, ACCESSES);
            if !head.subscriber.is_empty() {
                emit(Index::Source, &accessed_key(&head.subscriber));
            }
        }
        Head::Measure(_) | Head::List(_) => {}
    }
}

fn emit_message(head: &MessageHead<'_>, emit: &mut dyn FnMut(Index, &[u8])) {
    emit(Index::Destination, subscriber_key(head.msisdn, &head.destination.addr).as_bytes());
    emit(Index::Source, head.source.addr.as_bytes());
}

/// For whom it was sent, by whom, and what was decided on which grounds.
fn emit_judgement(head: &JudgedHead<'_>, emit: &mut dyn FnMut(Index, &[u8])) {
    emit(Index::Provider, head.origin.provider.as_bytes());
    if let Some(sender) = &head.sender {
        emit(Index::Sender, sender.as_bytes());
    }
    emit(Index::Verdict, head.verdict.as_bytes());
    for finding in &head.findings {
        emit(Index::Rule, finding.rule.as_bytes());
    }
}

/// As given, and in the spelling that case and leading zeros do not change.
fn emit_message_id(message_id: &str, emit: &mut dyn FnMut(Index, &[u8])) {
    emit(Index::MessageId, message_id.as_bytes());
    let loose = message_id::loose(message_id);
    if loose != message_id {
        emit(Index::MessageId, loose.as_bytes());
    }
}
