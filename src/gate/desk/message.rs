//! A message, from its PDU to its verdict.

use bytes::Bytes;
use jiff::Timestamp;
use portcullis_protocol::address::Address;
use portcullis_protocol::pdu::Destination;
use portcullis_protocol::{BodyFault, CommandStatus, Frame};

use super::ruling::{Judgement, Ruling};
use super::write::{Message, Written};
use super::{Desk, Judged, Kind, Open, Settling, TRY_AGAIN, explain, multi};
use crate::config::Durability;
use crate::gate::reading::{DISTRIBUTION_LIST, Reading, Recipients, STRUCK_OFF};
use crate::gate::{Moment, facts};
use crate::register::{Provider, Register};
use crate::relay::{self, Ticket};
use crate::rules::r26_evidence::Unrecorded;
use crate::rules::{self, Class, Decision, Facts, Mode, Operation, Rule, Submission};
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
        let judgements = match self.judgements(register, provider, reading, now) {
            Ok(judgements) => judgements,
            Err(fault) => return self.turn_away(ticket, frame, &fault, now),
        };
        let ruling = self.rule(&judgements, now);
        let written =
            self.pen().write_submissions(register, &Message { frame, reading, parts: &[] }, &judgements, &ruling, now);
        let explain = self.explains_to(provider);
        let (judged, open) = self.decide(ruling, frame, &judgements, written, (explain, now));
        self.open.insert(ticket, open);
        judged
    }

    /// The verdict for each recipient.
    pub(super) fn judgements<'r, 'm>(
        &mut self,
        register: &'r Register,
        provider: &'r Provider,
        reading: &Reading<'m>,
        now: Timestamp,
    ) -> Result<Vec<Judgement<'r, 'm>>, BodyFault> {
        let mut judgements = Vec::with_capacity(1);
        match reading.recipients {
            Recipients::One(to) => {
                let vouched = reading.operation == Operation::BroadcastSm && provider.broadcasts;
                judgements.push(self.weigh(register, provider, reading, to, vouched, now));
            }
            Recipients::Many(list) => {
                for destination in list.iter() {
                    let (to, vouched) = match destination {
                        Destination::Sme(to) => (to, false),
                        Destination::DistributionList(name) if provider.distribution_lists => {
                            (Address { addr: name, ..Address::default() }, true)
                        }
                        Destination::DistributionList(_) => return Err(DISTRIBUTION_LIST),
                    };
                    judgements.push(self.weigh(register, provider, reading, to, vouched, now));
                }
            }
        }
        Ok(judgements)
    }

    /// What the verdicts come to, counted.
    pub(super) fn rule(&self, judgements: &[Judgement<'_, '_>], now: Timestamp) -> Ruling {
        for judgement in judgements {
            self.gate.counters.judged(&judgement.verdict);
            if let Some(trail) = &judgement.trail {
                let port_class = judgement.facts.identity.port_class();
                trail.note(&self.gate.measures, port_class, &judgement.verdict, now.as_millisecond());
            }
        }
        Ruling::of(judgements, &self.gate.profile.failure)
    }

    /// One recipient's verdict. A store that cannot be asked is a fact of its own (R26).
    fn weigh<'r, 'm>(
        &mut self,
        register: &'r Register,
        provider: &'r Provider,
        reading: &Reading<'m>,
        to: Address<'m>,
        vouched: bool,
        now: Timestamp,
    ) -> Judgement<'r, 'm> {
        let deliver_at = reading.deliver_at(now);
        let submission = Submission {
            operation: reading.operation,
            source: reading.source,
            destination: to,
            service_type: reading.service_type.0,
            class_tlv: provider.class_tlv.as_ref().and_then(|declared| reading.tlvs.get(declared.tag)),
            sm_default_msg_id: reading.sm_default_msg_id,
            content: reading.text.clone(),
            presentation: reading.presentation,
            part: reading.part,
            deliver_at,
            valid_until: reading.valid_until(now),
        };
        let identity = register.identify(provider, &submission);
        let port_class = identity.port_class();
        let watched = self.gate.profile.mode(Rule::R25, port_class, provider) != Mode::Off;
        let trail = watched.then(|| self.trails.of(&self.gate.measures, &identity));
        let measure = trail.as_ref().and_then(|t| t.in_force(&self.gate.measures, port_class, self.heard));
        let reply_route_lost = self.gate.lost_route(&provider.system_id, now);
        let (facts, outage) = match facts::look_up(&self.gate.consents, identity, deliver_at.unwrap_or(now)) {
            Ok(facts) => {
                let outage = self.is_down().then(|| "the journal cannot write".to_owned());
                (Facts { vouched, measure, reply_route_lost, ..facts }, outage)
            }
            Err(error) => {
                tracing::error!(%error, "the consents cannot be asked");
                let facts = Facts { vouched, measure, reply_route_lost, unasked: true, ..Facts::new(identity) };
                (facts, Some(format!("the consents cannot be asked: {error}")))
            }
        };
        let verdict = rules::judge(&submission, &facts, &self.gate.profile, now);
        Judgement { to, facts, verdict, outage, trail }
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
                None => refuse(TRY_AGAIN, Bytes::new(), open),
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
