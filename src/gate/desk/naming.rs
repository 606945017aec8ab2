//! `query_sm`, `cancel_sm` and `replace_sm`: they name a message by its `message_id`.
//!
//! The provider knows an acknowledged part by the gate's own `message_id`, the carrier by
//! another; and a new text is judged for the subscriber and in the coding of the first. Both are
//! in the journal, which is read in a task of its own. What is still with the gate is answered here.

use std::sync::Arc;

use bytes::BytesMut;
use jiff::Timestamp;
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::field::{COctetString, DataCoding, EsmClass};
use portcullis_protocol::pdu::{CancelSm, QueryResult, QuerySm, QuerySmResp, ReplaceSm};
use portcullis_protocol::time::{Absolute, SmppTime};
use portcullis_protocol::tlv::MessageState;
use portcullis_protocol::{BodyFault, CommandId, CommandStatus, Frame, Pdu};

use super::owing::DELETED;
use super::{Desk, Judged, Kind, Open, Settling};
use crate::gate::mailbox::Mail;
use crate::gate::reading::{Reading, STRUCK_OFF};
use crate::gate::record::{self, Kept, Name, Record, entry_id};
use crate::gate::{Gate, Moment};
use crate::register::Register;
use crate::relay::{self, Ticket};
use crate::rules::{Class, Mode, Permit, Rule};
use crate::store::{EntryId, Index, Query, StoreError};

/// What the journal knows of a message somebody names.
#[derive(Debug)]
pub struct Looked {
    ticket: Ticket,
    found: Result<Found, StoreError>,
}

impl Looked {
    /// The request that names it.
    pub const fn ticket(&self) -> Ticket {
        self.ticket
    }
}

#[derive(Debug)]
enum Found {
    /// Not one the gate gave or has seen given to this provider.
    Nothing,
    /// A part the gate acknowledged and has not forwarded.
    Acknowledged(EntryId),
    /// A part the gate acknowledged; the carrier knows it by this name.
    Forwarded(String),
    /// A part the gate acknowledged; it ended in this state, at this time.
    Ended(MessageState, Timestamp),
    /// A message of this provider that the carrier named.
    Message(Original),
    /// The same, but only one part of it, or one of several recipients.
    Part,
}

/// What a replacement has in common with its message.
#[derive(Clone, Debug, Default)]
struct Original {
    source: Vec<u8>,
    destination: (u8, u8, Vec<u8>),
    service_type: Vec<u8>,
    esm_class: u8,
    data_coding: u8,
    /// When it is delivered, where that is still to come, and the record that says so.
    scheduled: Option<(EntryId, i64)>,
}

impl Desk {
    pub(super) fn judge_naming(
        &mut self,
        register: &Register,
        ticket: Ticket,
        frame: &Frame,
        now: Moment,
    ) -> Option<Judged> {
        let named = match Pdu::decode(frame) {
            Ok(Pdu::QuerySm(pdu)) => pdu.message_id,
            Ok(Pdu::CancelSm(pdu)) => pdu.message_id,
            Ok(Pdu::ReplaceSm(pdu)) if !self.is_registered(register) => {
                tracing::info!(message_id = %pdu.message_id, "replacement from a provider that was struck off");
                return Some(self.turn_away(ticket, frame, &STRUCK_OFF, now.wall));
            }
            Ok(Pdu::ReplaceSm(pdu)) => pdu.message_id,
            Ok(_) => return None,
            Err(fault) => return Some(self.turn_away(ticket, frame, &fault, now.wall)),
        };
        let Some(message_id) = named.as_str().filter(|id| !id.is_empty()) else {
            return Some(match frame.command_id() {
                // Its text must not pass for want of a name.
                CommandId::REPLACE_SM => self.turn_away(ticket, frame, &UNKNOWN, now.wall),
                // cancel_sm may name source and destination instead.
                _ => {
                    let judged = self.pass_question(ticket, None, now.wall);
                    self.note_cancel(ticket, frame);
                    judged
                }
            });
        };
        let (gate, provider) = (Arc::clone(&self.gate), self.provider.clone().unwrap_or_default());
        let (message_id, mailbox) = (message_id.to_owned(), self.mailbox.clone());
        tokio::task::spawn_blocking(move || {
            let found = look_up(&gate, &provider, &message_id);
            // A session that is gone reads no more.
            mailbox.try_send(Mail::Looked(Box::new(Looked { ticket, found }))).ok();
        });
        None
    }

    fn is_registered(&self, register: &Register) -> bool {
        self.provider.as_deref().is_some_and(|system_id| register.provider(system_id).is_some())
    }

    /// Goes on where [`Desk::judge`] had to look into the journal.
    pub fn judge_looked(&mut self, looked: Looked, frame: &Frame, now: Moment) -> (Ticket, Judged) {
        let ticket = looked.ticket;
        let judged = match (looked.found, Pdu::decode(frame)) {
            (Err(error), _) => {
                tracing::error!(%error, "the journal cannot be asked for a message");
                self.answer_here(ticket, relay::unanswerable(frame.command_id()), now.wall)
            }
            (Ok(found), Ok(Pdu::ReplaceSm(pdu))) => self.judge_replacement(ticket, frame, &pdu, found, now),
            (Ok(found), Ok(Pdu::QuerySm(pdu))) => self.judge_query(ticket, &pdu, found, now),
            (Ok(found), Ok(Pdu::CancelSm(pdu))) => {
                let judged = self.judge_cancel(ticket, &pdu, found, now);
                if matches!(judged.decision, relay::Decision::Forward(_)) {
                    self.note_cancel(ticket, frame);
                }
                judged
            }
            (Ok(_), _) => self.pass_question(ticket, None, now.wall),
        };
        (ticket, judged)
    }

    fn judge_query(&mut self, ticket: Ticket, pdu: &QuerySm<'_>, found: Found, now: Moment) -> Judged {
        match found {
            Found::Forwarded(carriers) => {
                let renamed = QuerySm { message_id: COctetString(carriers.as_bytes()), ..*pdu };
                let frame = Pdu::QuerySm(renamed).to_frame(CommandStatus::ESME_ROK, 0);
                let judged = self.pass_question(ticket, Some(frame), now.wall);
                self.named(ticket, pdu.message_id);
                judged
            }
            Found::Acknowledged(_) => self.tell_state(ticket, pdu.message_id, MessageState::ENROUTE, None, now.wall),
            Found::Ended(state, at) => self.tell_state(ticket, pdu.message_id, state, Some(at), now.wall),
            Found::Nothing | Found::Message(_) | Found::Part => self.pass_question(ticket, None, now.wall),
        }
    }

    fn judge_cancel(&mut self, ticket: Ticket, pdu: &CancelSm<'_>, found: Found, now: Moment) -> Judged {
        match found {
            Found::Forwarded(carriers) => {
                let renamed = CancelSm { message_id: COctetString(carriers.as_bytes()), ..*pdu };
                let frame = Pdu::CancelSm(renamed).to_frame(CommandStatus::ESME_ROK, 0);
                self.pass_question(ticket, Some(frame), now.wall)
            }
            Found::Acknowledged(id) => match self.gate.parts.cancel(id) {
                Some(part) => {
                    let (subscriber, port) = super::long::parties(&part.frame);
                    let sequence = self.pen().write_report(id, (&subscriber, &port), DELETED, false, now.wall);
                    let open = Open { sequence, ..Open::recorded(Vec::new(), now.wall) };
                    self.refuse(ticket, open, CommandStatus::ESME_ROK)
                }
                None => self.cancel_queued(ticket, id, now.wall),
            },
            Found::Ended(..) => self.answer_here(ticket, CommandStatus::ESME_RCANCELFAIL, now.wall),
            Found::Nothing | Found::Message(_) | Found::Part => self.pass_question(ticket, None, now.wall),
        }
    }

    /// What waits for the end of quiet hours is with the gate; what does not is on its way.
    fn cancel_queued(&mut self, ticket: Ticket, id: EntryId, now: Timestamp) -> Judged {
        let provider = self.provider.clone().unwrap_or_default();
        let Some(queued) = self.gate.queue.take(&provider, id) else {
            return self.answer_here(ticket, CommandStatus::ESME_RCANCELFAIL, now);
        };
        let mut sequence = None;
        for part in queued.parts {
            let parties = (queued.subscriber.as_str(), queued.port.as_str());
            sequence = self.pen().write_report(part, parties, DELETED, false, now).or(sequence);
        }
        let open = Open { sequence, ..Open::recorded(Vec::new(), now) };
        self.refuse(ticket, open, CommandStatus::ESME_ROK)
    }

    /// A new text is judged like a new message to the same subscriber (R22).
    fn judge_replacement(
        &mut self,
        ticket: Ticket,
        frame: &Frame,
        pdu: &ReplaceSm<'_>,
        found: Found,
        now: Moment,
    ) -> Judged {
        let gate = Arc::clone(&self.gate);
        let register = gate.register.load();
        let Some(provider) = self.provider.as_deref().and_then(|system_id| register.provider(system_id)) else {
            return self.turn_away(ticket, frame, &STRUCK_OFF, now.wall);
        };
        let port_class = register.port(pdu.source.addr.0).map_or(Class::Commercial, |port| port.class);
        let enforced = gate.profile.mode(Rule::R22, port_class, provider) == Mode::Enforce;
        let (original, is_unknown) = match found {
            Found::Message(original) if original.source == pdu.source.addr.0 => (original, false),
            Found::Message(_) | Found::Nothing if enforced => {
                return self.turn_away(ticket, frame, &UNKNOWN, now.wall);
            }
            _ if enforced => return self.turn_away(ticket, frame, &ONE_OF_SEVERAL, now.wall),
            _ => (Original::default(), true),
        };
        let (ton, npi, addr) = &original.destination;
        let destination = Address::new(Ton(*ton), Npi(*npi), addr);
        let class = (EsmClass(original.esm_class), DataCoding(original.data_coding));
        let service_type = COctetString(&original.service_type);
        let mut reading = match Reading::of_replacement(pdu, destination, service_type, class, &provider.text) {
            Ok(reading) => reading,
            Err(fault) => return self.turn_away(ticket, frame, &fault, now.wall),
        };
        reading.replaces_unknown = is_unknown;
        if let Some((_, at_ms)) = original.scheduled.filter(|(_, at_ms)| *at_ms > now.wall.as_millisecond()) {
            reading.keep_schedule(Timestamp::from_millisecond(at_ms).unwrap_or_default());
        }
        let judged = self.judge_reading(&register, provider, ticket, frame, &reading, now.wall);
        let records = self.open.get_mut(&ticket).map(|open| &mut open.records);
        for schedule in records.into_iter().flatten().filter_map(|sent| sent.schedule.as_mut()) {
            schedule.take_place_of(original.scheduled);
        }
        judged
    }

    /// What only names a message goes on, under the carrier's name for it.
    fn pass_question(&mut self, ticket: Ticket, frame: Option<Frame>, now: Timestamp) -> Judged {
        self.open.insert(ticket, Open::recorded(Vec::new(), now));
        let permit = Permit::unjudged("carries no text");
        Judged { decision: relay::Decision::Forward(permit), settling: Settling::Now, frame }
    }

    fn named(&mut self, ticket: Ticket, message_id: COctetString<'_>) {
        if let Some(open) = self.open.get_mut(&ticket) {
            open.kind = Kind::Named(message_id.0.to_vec());
        }
    }

    fn answer_here(&mut self, ticket: Ticket, status: CommandStatus, now: Timestamp) -> Judged {
        self.refuse(ticket, Open::recorded(Vec::new(), now), status)
    }

    fn tell_state(
        &mut self,
        ticket: Ticket,
        message_id: COctetString<'_>,
        message_state: MessageState,
        at: Option<Timestamp>,
        now: Timestamp,
    ) -> Judged {
        let final_date = at.map(|at| SmppTime::Absolute(Absolute::from_unix_ms(at.as_millisecond())).to_string());
        let final_date = COctetString(final_date.as_deref().unwrap_or_default().as_bytes());
        let found = Some(QueryResult { message_id, final_date, message_state, error_code: 0 });
        let mut body = BytesMut::new();
        QuerySmResp { found, ..QuerySmResp::default() }.encode(&mut body);
        self.open.insert(ticket, Open::recorded(Vec::new(), now));
        let decision = relay::Decision::Acknowledge { body: body.freeze() };
        Judged { decision, settling: Settling::Now, frame: None }
    }
}

/// The carrier's answer to a question, under the `message_id` the provider asked by.
pub(super) fn under(answer: &Frame, message_id: &[u8]) -> Option<Frame> {
    let Ok(Pdu::QuerySmResp(pdu)) = Pdu::decode(answer) else { return None };
    let found = QueryResult { message_id: COctetString(message_id), ..pdu.found? };
    let pdu = QuerySmResp { found: Some(found), ..pdu };
    Some(Pdu::QuerySmResp(pdu).to_frame(answer.command_status(), answer.sequence_number()))
}

/// Reads the journal for a `message_id`, the gate's own or the carrier's.
fn look_up(gate: &Gate, provider: &str, message_id: &str) -> Result<Found, StoreError> {
    if let Ok(id) = message_id.parse::<EntryId>()
        && let Some(payload) = gate.journal.get(id)?
        && let Ok(Record::Part(part)) = Record::decode(&payload)
        && part.origin.provider == provider
    {
        return look_up_part(gate, id, message_id);
    }
    let key = Some((Index::MessageId, message_id.as_bytes().to_vec()));
    let mut scheduled = None;
    for entry in gate.journal.find(Query { key, newest_first: true, limit: 100, ..Query::default() })? {
        let (id, payload) = entry?;
        let found = match Record::decode(&payload) {
            // The index has looser spellings, too.
            Ok(Record::Outcome(outcome)) if outcome.message_id.as_deref() == Some(message_id) => {
                original(gate, provider, outcome.of, scheduled)?
            }
            Ok(Record::PartOutcome(part)) if part.outcome.message_id.as_deref() == Some(message_id) => {
                original(gate, provider, part.outcome.of, None)?.map(|_| Found::Part)
            }
            // The last one stands, and comes first.
            Ok(Record::Scheduled(last)) if last.message_id.as_deref() == Some(message_id) => {
                let is_own = last.provider == provider;
                scheduled = scheduled.or_else(|| is_own.then_some((id, last.deliver_ms)));
                None
            }
            _ => None,
        };
        if let Some(found) = found {
            return Ok(found);
        }
    }
    Ok(Found::Nothing)
}

/// What became of a part the gate acknowledged.
fn look_up_part(gate: &Gate, id: EntryId, message_id: &str) -> Result<Found, StoreError> {
    let key = Some((Index::MessageId, message_id.as_bytes().to_vec()));
    let mut found = Found::Acknowledged(id);
    for entry in gate.journal.find(Query { key, limit: 100, ..Query::default() })? {
        let (_, payload) = entry?;
        match Record::decode(&payload) {
            Ok(Record::PartOutcome(record::PartOutcome { outcome, .. })) => {
                if let (Some(carriers), 0) = (&outcome.message_id, outcome.status) {
                    return Ok(Found::Forwarded(carriers.clone().into_owned()));
                }
            }
            Ok(Record::Report(report)) => {
                let at = Timestamp::from_millisecond(report.at_ms).unwrap_or_default();
                found = Found::Ended(state(&report.state), at);
            }
            Ok(Record::Long(long)) if matches!(&*long.submission.verdict, "reject" | "incomplete") => {
                let at = Timestamp::from_millisecond(long.submission.received_ms).unwrap_or_default();
                let state = if long.submission.verdict == "reject" { "REJECTD" } else { "UNDELIV" };
                found = Found::Ended(self::state(state), at);
            }
            _ => {}
        }
    }
    Ok(found)
}

fn state(word: &str) -> MessageState {
    match word {
        "REJECTD" => MessageState::REJECTED,
        "UNDELIV" => MessageState::UNDELIVERABLE,
        DELETED => MessageState::DELETED,
        _ => MessageState::UNKNOWN,
    }
}

/// The message itself, where one text to one subscriber can take its place.
fn original(
    gate: &Gate,
    provider: &str,
    of: Name,
    scheduled: Option<(EntryId, i64)>,
) -> Result<Option<Found>, StoreError> {
    let Some(kept) = entry_id(of).map(|id| gate.journal.get_parts(id)).transpose()?.flatten() else { return Ok(None) };
    // Without its signalling nobody knows the coding any more: it is as unknown as a message that is gone.
    let submission = match Kept::decode(&kept.content, kept.signalling.as_deref()) {
        Ok(Kept { record: Record::Submission(submission), is_expired: false, .. }) => submission,
        Ok(Kept { record: Record::Long(long), is_expired: false, .. }) => long.submission,
        _ => return Ok(None),
    };
    if submission.origin.provider != provider {
        return Ok(None);
    }
    let octets = |text: &str| text.as_bytes().to_vec();
    let to = &submission.destination;
    if submission.command_id == CommandId::SUBMIT_MULTI.0 {
        return Ok(Some(Found::Part));
    }
    Ok(Some(Found::Message(Original {
        source: octets(&submission.source.addr),
        destination: (to.ton, to.npi, octets(&to.addr)),
        service_type: octets(&submission.service_type),
        esm_class: submission.flags.0,
        data_coding: submission.flags.1,
        scheduled,
    })))
}

/// Its text cannot be judged without recipient and coding (R22).
const UNKNOWN: BodyFault = BodyFault {
    field: "message_id",
    fault: "expected a message of this provider and source that the gate has forwarded",
    status: CommandStatus::ESME_RREPLACEFAIL,
};

const ONE_OF_SEVERAL: BodyFault = BodyFault {
    field: "message_id",
    fault: "expected a message in one part to one recipient: cancel any other and submit it anew",
    status: CommandStatus::ESME_RREPLACEFAIL,
};
