//! From what was decided to its records.
//!
//! Owns the shape of every record the gate writes on its own. Refuses to decide anything.
//! Driven by the desks, and by the gate where no session is at hand.

use std::borrow::Cow;
use std::cell::RefCell;

use jiff::Timestamp;
use portcullis_protocol::address::Address;
use portcullis_protocol::field::COctetString;
use portcullis_protocol::text::Text;
use portcullis_protocol::{BodyFault, CommandId, CommandStatus, Frame, Pdu};

use super::ruling::{Judgement, Ruling};
use super::{Desk, Open, Sent, TRY_AGAIN, multi};
use crate::gate::Gate;
use crate::gate::parts::Part;
use crate::gate::reading::{Reading, Recipients};
use crate::gate::record::{self, Content, Grounds, Origin, PartOf, Record, WireAddress, name, short_subscriber_key};
use crate::register::Register;
use crate::relay::Outcome;
use crate::rules::{Effect, Msisdn, Rule};
use crate::store::journal::{AppendError, Room};
use crate::store::{EntryId, Ticket};

/// What the scratch buffer may keep allocated.
const KEPT: usize = 64 * 1024;

thread_local! {
    /// Where records are encoded before the journal copies them.
    static SCRATCH: RefCell<[Vec<u8>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// The records written, or why none could be.
pub(in crate::gate) type Written = Result<Vec<Sent>, AppendError>;

/// What was judged.
#[derive(Clone, Copy)]
pub(super) struct Message<'a, 'm> {
    /// Its PDU; of a long message, the first.
    pub(super) frame: &'a Frame,
    pub(super) reading: &'a Reading<'m>,
    /// The parts of a long message.
    pub(super) parts: &'a [Part],
}

/// Writes in the name of one session.
#[derive(Clone, Copy)]
pub(in crate::gate) struct Pen<'a> {
    pub(in crate::gate) gate: &'a Gate,
    pub(in crate::gate) provider: &'a str,
    pub(in crate::gate) session: u64,
    pub(in crate::gate) peer: &'a str,
    /// What the TLS handshake said; empty for plain connections.
    pub(in crate::gate) tls: &'a str,
    /// Where several records are written, all of them or none: the room for them.
    pub(in crate::gate) room: Option<&'a Room<'a>>,
}

impl Desk {
    /// Writes in this session's name.
    pub(super) fn pen(&self) -> Pen<'_> {
        let provider = self.provider.as_deref().unwrap_or_default();
        let (peer, tls) = (&self.peer_text, &self.tls_text);
        Pen { gate: &self.gate, provider, session: self.session, peer, tls, room: None }
    }
}

impl<'a> Pen<'a> {
    /// Where no session is at hand.
    pub(in crate::gate) fn absent(gate: &'a Gate, provider: &'a str) -> Self {
        Self { gate, provider, session: 0, peer: "", tls: "", room: None }
    }

    /// The same within that room.
    pub(super) fn within(self, room: &'a Room<'a>) -> Self {
        Self { room: Some(room), ..self }
    }

    /// One record for each recipient, and all of them or none: what is refused for want of one must not stand as
    /// forwarded in another.
    pub(super) fn write_submissions(
        self,
        register: &Register,
        message: &Message<'_, '_>,
        judgements: &[Judgement<'_, '_>],
        ruling: &Ruling,
        now: Timestamp,
    ) -> Written {
        if judgements.len() < 2 || self.room.is_some() {
            return self.write_each(register, message, judgements, ruling, now);
        }
        let (gate, octets) = (self.gate, message.frame.as_bytes().len());
        let room = gate.journal.reserve(judgements.len(), octets.saturating_mul(judgements.len()))?;
        Pen::within(self, &room).write_each(register, message, judgements, ruling, now)
    }

    fn write_each(
        self,
        register: &Register,
        message: &Message<'_, '_>,
        judgements: &[Judgement<'_, '_>],
        ruling: &Ruling,
        now: Timestamp,
    ) -> Written {
        let Message { frame, reading, parts } = *message;
        let source = wire_address(&reading.source);
        let parts: Vec<PartOf> = parts.iter().map(part_of).collect();
        let provider = judgements.first().map(|judgement| judgement.facts.identity.provider);
        let handling = reading.handling(provider, now);
        let mut records = Vec::with_capacity(judgements.len());
        for judgement in judgements {
            let identity = &judgement.facts.identity;
            let msisdn = identity.msisdn.map(|msisdn| msisdn.0);
            let destination = wire_address(&judgement.to);
            let subscriber = short_subscriber_key(msisdn, &destination.addr);
            let (verdict, status, findings) = decision(judgement, ruling);
            let submission = record::Submission {
                destination,
                msisdn,
                port: identity.port.map(|port| (port.number.as_str().into(), port.class.name().into())),
                sender: identity.sender.map(|sender| sender.id.as_str().into()),
                class: judgement.verdict.class.name().into(),
                verdict: verdict.into(),
                status,
                findings,
                register: register.version().into(),
                ..self.unjudged(frame, reading, now)
            };
            let record = match parts.as_slice() {
                [] => Record::Submission(submission),
                parts => Record::Long(record::Long { submission, parts: parts.to_vec() }),
            };
            let grounds = Grounds::of(handling, &judgement.facts, self.gate.profile.digest());
            let ticket = self.append_grounded(record, Some(&grounds), None)?;
            let port = source.addr.as_ref().into();
            let goes_on = judgement.is_forwarded();
            let (counted, schedule) = (judgement.counted, self.schedule(frame, reading, judgement));
            records.push(Sent {
                id: ticket.id,
                sequence: ticket.sequence,
                subscriber,
                port,
                goes_on,
                counted,
                schedule,
            });
        }
        Ok(records)
    }

    /// A long message that is given up before it was whole.
    pub(in crate::gate) fn write_given_up(
        self,
        reading: &Reading<'_>,
        parts: &[Part],
        why: &str,
        now: Timestamp,
    ) -> Written {
        let Some(first) = parts.first() else { return Ok(Vec::new()) };
        let to = match reading.recipients {
            Recipients::One(to) => to,
            Recipients::Many(_) => Address::default(),
        };
        let msisdn = Msisdn::from_address(&to).map(|msisdn| msisdn.0);
        let finding = record::Finding { rule: Rule::R16.id().into(), effect: "held".into(), why: why.into() };
        let submission = record::Submission {
            destination: wire_address(&to),
            msisdn,
            verdict: "incomplete".into(),
            status: TRY_AGAIN.0,
            findings: vec![finding],
            ..self.unjudged(&first.frame, reading, now)
        };
        let source = submission.source.addr.as_ref().into();
        let subscriber = short_subscriber_key(msisdn, &submission.destination.addr);
        let parts = parts.iter().map(part_of).collect();
        let ticket = self.append(Record::Long(record::Long { submission, parts }))?;
        Ok(vec![Sent { subscriber, port: source, ..Sent::nobody(ticket) }])
    }

    /// What a submission's record holds whatever is decided.
    fn unjudged<'r>(self, frame: &Frame, reading: &'r Reading<'_>, now: Timestamp) -> record::Submission<'r>
    where
        'a: 'r,
    {
        record::Submission {
            received_ms: now.as_millisecond(),
            source: wire_address(&reading.source),
            destination: wire_address(&Address::default()),
            msisdn: None,
            origin: self.origin(),
            command_id: frame.command_id().0,
            sequence_number: frame.sequence_number(),
            port: None,
            sender: None,
            class: "".into(),
            service_type: printable(&reading.service_type),
            flags: (reading.esm_class.0, reading.data_coding.0, reading.registered_delivery.0),
            part: reading.part.map(|part| (part.reference, part.total, part.number)),
            content: content(reading),
            verdict: "".into(),
            status: 0,
            findings: Vec::new(),
            profile: self.gate.profile.name.as_str().into(),
            register: "".into(),
        }
    }

    pub(super) fn write_turned_away(self, frame: &Frame, fault: &BodyFault, now: Timestamp) -> Written {
        let is_replacement = frame.command_id() == CommandId::REPLACE_SM;
        let findings = if is_replacement && fault.status == CommandStatus::ESME_RREPLACEFAIL {
            vec![record::Finding { rule: Rule::R22.id().into(), effect: "failed".into(), why: fault.fault.into() }]
        } else {
            Vec::new()
        };
        let nobody = || WireAddress { ton: 0, npi: 0, addr: "".into() };
        let record = Record::Submission(record::Submission {
            received_ms: now.as_millisecond(),
            origin: self.origin(),
            command_id: frame.command_id().0,
            sequence_number: frame.sequence_number(),
            source: nobody(),
            destination: nobody(),
            msisdn: None,
            port: None,
            sender: None,
            class: "".into(),
            service_type: "".into(),
            flags: (0, 0, 0),
            part: None,
            content: Content::Opaque(fault.to_string().into(), frame.body().into()),
            verdict: "reject".into(),
            status: fault.status.0,
            findings,
            profile: self.gate.profile.name.as_str().into(),
            register: self.gate.register.load().version().to_owned().into(),
        });
        let ticket = self.append(record)?;
        Ok(vec![Sent::nobody(ticket)])
    }

    /// A part that is answered before its message is whole.
    pub(super) fn write_part(self, part: &Part, reading: &Reading<'_>) -> Result<Ticket, AppendError> {
        let to = match reading.recipients {
            Recipients::One(to) => to,
            Recipients::Many(_) => Address::default(),
        };
        self.append(Record::Part(record::Part {
            received_ms: part.received.as_millisecond(),
            source: wire_address(&reading.source),
            destination: wire_address(&to),
            msisdn: Msisdn::from_address(&to).map(|msisdn| msisdn.0),
            origin: self.origin(),
            frame: part.frame.as_bytes().into(),
        }))
    }

    pub(super) fn write_outcome(
        self,
        open: &Open,
        outcome: Outcome,
        answer: Option<&Frame>,
        now: Timestamp,
    ) -> Option<u64> {
        self.gate.counters.outcome();
        let (word, status) = named(outcome);
        let message_id = answer.and_then(message_id);
        let unserved = answer.map(multi::unserved).unwrap_or_default();
        let mut last = None;
        for sent in open.records.iter().filter(|sent| sent.goes_on) {
            let status = unserved.get(sent.subscriber.as_str()).map_or(status, |own| own.0);
            self.gate.tell_count(sent.counted.as_ref(), outcome, status);
            let ended = record::Outcome {
                of: name(sent.id),
                forwarded_ms: open.judged_at.as_millisecond(),
                at_ms: now.as_millisecond(),
                subscriber: sent.subscriber.as_str().into(),
                port: sent.port.as_str().into(),
                outcome: word.into(),
                status,
                message_id: message_id.as_deref().map(Cow::Borrowed),
            };
            let record = match open.part {
                None => Record::Outcome(ended),
                Some(number) => Record::PartOutcome(record::PartOutcome {
                    outcome: ended,
                    number,
                    acknowledged: open.acknowledged.map(name),
                }),
            };
            match self.append(record) {
                Ok(ticket) => last = Some(ticket.sequence),
                // The message is with the carrier whatever is written: say it loudly.
                Err(error) => tracing::error!(%error, record = %sent.id, "an outcome could not be recorded"),
            }
            match outcome {
                // Of a long message, one part speaks for the request; each is scheduled by itself.
                Outcome::Answered(_) if status == 0 => {
                    self.write_awaited(sent, open.part.is_none_or(|number| number == 1), message_id.as_deref(), now);
                }
                Outcome::TimedOut | Outcome::CarrierLost | Outcome::ProviderLost | Outcome::Abandoned => {
                    self.write_uncertain(sent, now);
                }
                _ => {}
            }
        }
        last
    }

    /// That the provider was told of an acknowledged part's end, or would have been had it asked.
    pub(in crate::gate) fn write_report(
        self,
        of: EntryId,
        (subscriber, port): (&str, &str),
        state: &str,
        sent: bool,
        now: Timestamp,
    ) -> Option<u64> {
        let record = Record::Report(record::Report {
            at_ms: now.as_millisecond(),
            subscriber: subscriber.into(),
            port: port.into(),
            of: name(of),
            state: state.into(),
            sent,
        });
        match self.append(record) {
            Ok(ticket) => Some(ticket.sequence),
            Err(error) => {
                tracing::error!(%error, %of, state, "a report could not be recorded");
                None
            }
        }
    }

    pub(super) fn write_session(self, event: &str, bind: Option<record::Bind<'_>>, now: Timestamp) {
        let record = Record::Session(record::Session {
            at_ms: now.as_millisecond(),
            origin: self.origin(),
            event: event.into(),
        });
        if let Err(error) = self.append_grounded(record, None, bind) {
            tracing::error!(%error, event, "a session event could not be recorded");
        }
    }

    pub(in crate::gate) fn append(self, record: Record<'_>) -> Result<Ticket, AppendError> {
        self.append_grounded(record, None, None)
    }

    /// Content and signalling each by itself: the one is to be read when the other has expired.
    fn append_grounded<'r>(
        self,
        mut record: Record<'r>,
        grounds: Option<&Grounds<'_>>,
        bind: Option<record::Bind<'r>>,
    ) -> Result<Ticket, AppendError>
    where
        'a: 'r,
    {
        let signalling =
            record.take_signalling().map(|taken| record::Signalling { tls: self.tls.into(), bind, ..taken });
        SCRATCH.with_borrow_mut(|scratch| {
            let [mut content, mut beside] = std::mem::take(scratch);
            content.clear();
            beside.clear();
            content = if signalling.is_some() { record.encode_split(content) } else { record.encode(content) };
            if let Some(grounds) = grounds {
                content = grounds.encode(content);
            }
            if let Some(signalling) = &signalling {
                beside = signalling.encode(beside);
            }
            let journal = &self.gate.journal;
            let appended = match self.room {
                Some(room) => room.append_parts(&content, &beside),
                None => journal.append_keyed(&content, &beside, record.at_ms(), |emit| record.keys(emit)),
            };
            if content.capacity() + beside.capacity() <= KEPT {
                *scratch = [content, beside];
            }
            appended
        })
    }

    pub(super) fn origin(self) -> Origin<'a> {
        Origin { provider: self.provider.into(), session: self.session, peer: self.peer.into() }
    }
}

impl Sent {
    /// Of a record that nothing later refers to.
    pub(super) fn nobody(ticket: Ticket) -> Self {
        let (subscriber, port) = Default::default();
        Self {
            id: ticket.id,
            sequence: ticket.sequence,
            subscriber,
            port,
            goes_on: false,
            counted: None,
            schedule: None,
        }
    }
}

fn part_of(part: &Part) -> PartOf {
    PartOf {
        received_ms: part.received.as_millisecond(),
        number: part.number,
        session: part.session,
        sequence_number: part.frame.sequence_number(),
        acknowledged: part.acknowledged_as().map(name),
    }
}

/// What the record says was decided for one recipient, given what became of the whole PDU.
fn decision<'j>(judgement: &'j Judgement<'_, '_>, ruling: &Ruling) -> (&'static str, u32, Vec<record::Finding<'j>>) {
    let mut findings: Vec<_> = judgement.verdict.findings.iter().map(finding).collect();
    let refused = match ruling {
        Ruling::Refuse { status: TRY_AGAIN, down: true } => Some(("hold", "held", TRY_AGAIN)),
        Ruling::Refuse { status, down: true } => Some(("reject", "failed", *status)),
        _ => None,
    };
    if refused.is_some() || judgement.outage.is_some() {
        // What goes on in spite of it says so.
        let effect = refused.map_or("alert", |(_, effect, _)| effect);
        let why = judgement.outage.as_deref().unwrap_or("another recipient's message waits for the store");
        findings.push(record::Finding { rule: Rule::R26.id().into(), effect: effect.into(), why: why.into() });
    }
    if let Some((verdict, _, status)) = refused {
        return (verdict, status.0, findings);
    }
    let verdict = &judgement.verdict;
    match verdict.decision {
        crate::rules::Decision::Forward => ("forward", 0, findings),
        crate::rules::Decision::Reject => ("reject", verdict.status.0, findings),
        crate::rules::Decision::Hold => ("hold", verdict.status.0, findings),
    }
}

fn finding(finding: &crate::rules::Finding) -> record::Finding<'_> {
    let effect = match finding.effect {
        Effect::Failed => "failed",
        Effect::Held => "held",
        Effect::Alert => "alert",
        Effect::Observed => "observed",
    };
    record::Finding { rule: finding.rule.id().into(), effect: effect.into(), why: finding.why.as_ref().into() }
}

/// The outcome's name in the journal, and the status that goes with it.
pub(super) fn named(outcome: Outcome) -> (&'static str, u32) {
    match outcome {
        Outcome::Refused(status) => ("refused", status.0),
        Outcome::Acknowledged => ("acknowledged", 0),
        Outcome::Answered(status) => ("answered", status.0),
        Outcome::Nacked(status) => ("nacked", status.0),
        Outcome::NotForwarded => ("not-forwarded", 0),
        Outcome::TimedOut => ("timed-out", 0),
        Outcome::CarrierLost => ("carrier-lost", 0),
        Outcome::ProviderLost => ("provider-lost", 0),
        Outcome::Abandoned => ("abandoned", 0),
    }
}

/// The `message_id` a carrier's answer gives, where it gives one.
pub(super) fn message_id(answer: &Frame) -> Option<String> {
    let message_id = match Pdu::decode(answer).ok()? {
        Pdu::SubmitSmResp(pdu) => pdu.message_id,
        Pdu::SubmitMultiResp(pdu) => pdu.accepted.map(|accepted| accepted.message_id),
        Pdu::DataSmResp(pdu) => pdu.message_id,
        Pdu::BroadcastSmResp(pdu) => pdu.message_id,
        _ => return None,
    };
    Some(printable(&message_id?).into_owned()).filter(|id| !id.is_empty())
}

pub(super) fn content<'a>(reading: &'a Reading<'_>) -> Content<'a> {
    match &reading.text {
        Text::Readable(text) => Content::Text(text.as_ref().into()),
        Text::Opaque(reason) => Content::Opaque(reason.to_string().into(), reading.octets.as_ref().into()),
    }
}

pub(super) fn wire_address<'a>(address: &Address<'a>) -> WireAddress<'a> {
    WireAddress { ton: address.ton.0, npi: address.npi.0, addr: printable(&address.addr) }
}

/// The octets as text; those that are none are escaped.
fn printable<'a>(octets: &COctetString<'a>) -> Cow<'a, str> {
    octets.as_str().map_or_else(|| Cow::Owned(octets.to_string()), Cow::Borrowed)
}
