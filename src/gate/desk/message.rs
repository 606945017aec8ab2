//! A message, from its PDU to its verdict.

use bytes::Bytes;
use jiff::Timestamp;
use portcullis_protocol::{BodyFault, CommandStatus, Frame};

use super::ruling::{Judgement, Ruling};
use super::weighing::Watch;
use super::write::{Message, Written};
use super::{Desk, Judged, Kind, Open, Settling, TRY_AGAIN, explain, multi};
use crate::config::Durability;
use crate::gate::Moment;
use crate::gate::reading::{Reading, STRUCK_OFF};
use crate::register::{Provider, Register};
use crate::relay::{self, Ticket};
use crate::rules::r26_evidence::Unrecorded;
use crate::rules::{self, Class, Decision};
use crate::store::journal::AppendError;

impl Desk {
    pub(super) fn judge_message(
        &mut self,
        register: &Register,
        ticket: Ticket,
        frame: &Frame,
        now: Moment,
    ) -> Option<Judged> {
        let provider = self.provider.as_deref().and_then(|system_id| register.provider(system_id));
        let Some(provider) = provider else {
            // Struck from the register while bound: what it still sends is nobody's.
            return Some(self.turn_away(ticket, frame, &STRUCK_OFF, now.wall));
        };
        let reading = match Reading::of(frame, &provider.text) {
            Ok(reading) => reading,
            Err(fault) => return Some(self.turn_away(ticket, frame, &fault, now.wall)),
        };
        if self.exceeds_rate(provider, &reading, now.monotonic) {
            return Some(self.throttle());
        }
        if reading.scheduled(now.wall).is_some_and(|at| at > now.wall)
            && !self.gate.scheduled.has_room()
            && !register.port(reading.source.addr.0).is_some_and(|port| port.class.is_sheltered())
        {
            // What could not be withdrawn is not taken; what no refusal withdraws goes on (R13).
            self.gate.counters.throttled();
            return Some(self.refuse(ticket, Open::unrecorded(now.wall), CommandStatus::ESME_RMSGQFUL));
        }
        if let Some(part) = reading.part.filter(|part| part.total > 1) {
            return self.gather(register, provider, ticket, frame, &reading, part, now);
        }
        Some(self.judge_reading(register, provider, ticket, frame, &reading, now.wall))
    }

    /// Judges a message that is there as a whole.
    pub(super) fn judge_reading(
        &mut self,
        register: &Register,
        provider: &Provider,
        ticket: Ticket,
        frame: &Frame,
        reading: &Reading<'_>,
        now: Timestamp,
    ) -> Judged {
        let judgements = match self.weigh(register, provider, reading, now) {
            Ok(judgements) => judgements,
            Err(fault) => return self.turn_away(ticket, frame, &fault, now),
        };
        let ruling = self.rule(&judgements, now);
        if let Some(until) = self.gate.queues_until(provider, reading.operation, &judgements, &ruling, now)
            && let Some(queued) =
                self.queue_message((register, ticket, frame), reading, &judgements, (&ruling, until), now)
        {
            return queued;
        }
        let written =
            self.pen().write_submissions(register, &Message { frame, reading, parts: &[] }, &judgements, &ruling, now);
        self.gate.settle_counts(&judgements, &ruling, written.is_ok());
        let explain = self.explains_to(provider);
        let (judged, open) = self.decide(ruling, frame, &judgements, written, (explain, now));
        self.open.insert(ticket, open);
        judged
    }

    /// The verdict for each recipient.
    pub(super) fn weigh<'r, 'm>(
        &mut self,
        register: &'r Register,
        provider: &'r Provider,
        reading: &Reading<'m>,
        now: Timestamp,
    ) -> Result<Vec<Judgement<'r, 'm>>, BodyFault> {
        let mut watch = Watch { down: self.is_down(), trails: &mut self.trails, at: self.heard };
        self.gate.judgements(register, provider, reading, &mut watch, now)
    }

    /// What the verdicts come to, counted.
    pub(super) fn rule(&self, judgements: &[Judgement<'_, '_>], now: Timestamp) -> Ruling {
        self.gate.count_verdicts(judgements, now);
        Ruling::of(judgements, &self.gate.profile.failure)
    }

    /// What becomes of one PDU under a ruling, and what is to be remembered of it.
    pub(super) fn decide(
        &self,
        ruling: Ruling,
        frame: &Frame,
        judgements: &[Judgement<'_, '_>],
        written: Written,
        (explain, now): (bool, Timestamp),
    ) -> (Judged, Open) {
        let records = match written {
            Ok(records) => records,
            Err(error) => {
                self.gate.counters.unrecorded();
                return match ruling {
                    Ruling::Forward(permit) if self.goes_unrecorded(error, judgements) => {
                        self.forward(permit, None, Open::unrecorded(now))
                    }
                    _ => refuse(unrecordable(error), Bytes::new(), Open::unrecorded(now)),
                };
            }
        };
        let open = Open::of(records, now);
        match ruling {
            Ruling::Forward(permit) => self.forward(permit, None, self.revisable(open, judgements)),
            Ruling::Split(permit) => match multi::without_refused(frame, judgements) {
                Some(rest) => {
                    let refused = |judgement: &&Judgement<'_, '_>| !judgement.is_forwarded();
                    let decision = judgements.iter().find(refused).map(|judgement| judgement.verdict.decision);
                    let said = decision.filter(|_| explain).map(|decision| explain::refusal(judgements, decision));
                    let tlvs = said.map(|said| explain::text(&said)).unwrap_or_default();
                    let kind = Kind::Split { entries: multi::refused(frame, judgements), tlvs };
                    self.forward(permit, Some(rest), Open { kind, ..open })
                }
                None => {
                    self.gate.give_back(judgements);
                    refuse(TRY_AGAIN, Bytes::new(), open)
                }
            },
            Ruling::Refuse { status, down } => {
                let entries = if down { Bytes::new() } else { multi::refused(frame, judgements) };
                let said = explain.then(|| why_refused(judgements, down));
                refuse(status, explain::body(frame.command_id(), &entries, said.as_deref()), open)
            }
        }
    }

    /// Whether a message goes on of which no record can be kept: not one that is commercial.
    fn goes_unrecorded(&self, error: AppendError, judgements: &[Judgement<'_, '_>]) -> bool {
        let goes = error == AppendError::Full
            && self.gate.profile.failure.spool_full == Unrecorded::Forward
            && judgements.iter().all(|judgement| judgement.verdict.class != Class::Commercial);
        if goes {
            tracing::error!("a message goes on without a record: the journal cannot write and its spool is full");
        }
        goes
    }

    /// What waits for its record before it goes on can be overtaken by a refusal.
    fn revisable(&self, open: Open, judgements: &[Judgement<'_, '_>]) -> Open {
        match self.gate.durability {
            Durability::BeforeForward => Open { marketing: self.gate.marketing(judgements), ..open },
            Durability::BeforeResponse | Durability::Interval => open,
        }
    }

    fn forward(&self, permit: rules::Permit, frame: Option<Frame>, open: Open) -> (Judged, Open) {
        let settling = match self.gate.durability {
            Durability::BeforeForward => Settling::of(open.sequence),
            Durability::BeforeResponse | Durability::Interval => Settling::Now,
        };
        (Judged { decision: relay::Decision::Forward(permit), settling, frame }, open)
    }

    /// A request whose body cannot be read, or that nobody may send: answered and recorded.
    pub(super) fn turn_away(&mut self, ticket: Ticket, frame: &Frame, fault: &BodyFault, now: Timestamp) -> Judged {
        let (judged, open) = self.turned_away(frame, fault, now);
        self.open.insert(ticket, open);
        judged
    }

    pub(super) fn turned_away(&self, frame: &Frame, fault: &BodyFault, now: Timestamp) -> (Judged, Open) {
        self.gate.counters.malformed();
        tracing::info!(command = ?frame.command_id(), %fault, "request turned away");
        match self.pen().write_turned_away(frame, fault, now) {
            Ok(records) => {
                let said = self.explains().then(|| fault.to_string());
                let body = explain::body(frame.command_id(), &[], said.as_deref());
                refuse(fault.status, body, Open::of(records, now))
            }
            Err(error) => {
                self.gate.counters.unrecorded();
                refuse(unrecordable(error), Bytes::new(), Open::unrecorded(now))
            }
        }
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, open: Open, status: CommandStatus) -> Judged {
        let (judged, open) = refuse(status, Bytes::new(), open);
        self.open.insert(ticket, open);
        judged
    }
}

fn refuse(status: CommandStatus, body: Bytes, open: Open) -> (Judged, Open) {
    let decision = relay::Decision::Refuse { status, body };
    (Judged { decision, settling: Settling::Now, frame: None }, open)
}

fn why_refused(judgements: &[Judgement<'_, '_>], down: bool) -> String {
    if down {
        let unasked = judgements.iter().any(|judgement| judgement.facts.unasked);
        return explain::outage(if unasked { "the consents cannot be asked" } else { "the journal cannot write" });
    }
    let rejected = judgements.iter().any(|judgement| judgement.verdict.decision == Decision::Reject);
    explain::refusal(judgements, if rejected { Decision::Reject } else { Decision::Hold })
}

/// What is too long for the journal stays so; what finds no room now may find it later.
fn unrecordable(error: AppendError) -> CommandStatus {
    match error {
        AppendError::TooLong { .. } => CommandStatus::ESME_RINVMSGLEN,
        AppendError::Full | AppendError::Closed => TRY_AGAIN,
    }
}
