//! One session's place at the gate: its messages are judged here and their ends recorded.
//!
//! Owns what is remembered of a message between its verdict and its end. Refuses to wait: it
//! says which record something must wait for, and the driver waits. Driven by the session.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use portcullis_protocol::address::Address;
use portcullis_protocol::pdu::Destination;
use portcullis_protocol::{BodyFault, CommandId, CommandStatus, Frame};
use tokio::sync::{mpsc, watch};

use super::mailbox::{self, Mail, Mailbox};
use super::reading::{DISTRIBUTION_LIST, Reading, Recipients, STRUCK_OFF};
use super::{Gate, facts};
use crate::config::Durability;
use crate::register::{Provider, Register};
use crate::relay::{self, Ending, Leg, Outcome, Ticket};
use crate::rules::{self, Facts, Permit, Submission};
use crate::store::{EntryId, Health, Progress};

mod bind;
mod delivery;
mod ruling;
mod write;

use ruling::{Judgement, Ruling};
use write::Written;

/// A temporary failure: the provider keeps the message and tries again.
const TRY_AGAIN: CommandStatus = CommandStatus::ESME_RX_T_APPN;

/// A place at the gate for one session.
pub struct Desk {
    gate: Arc<Gate>,
    session: u64,
    peer: SocketAddr,
    peer_text: String,
    /// The provider's `system_id`, once its bind was accepted.
    provider: Option<String>,
    open: HashMap<Ticket, Open>,
    progress: watch::Receiver<Progress>,
    mailbox: Mailbox,
}

/// A message between its verdict and its end.
struct Open {
    /// Its send records, one a recipient.
    records: Vec<Sent>,
    /// The last of them in the journal's order.
    sequence: Option<u64>,
    judged_at: Timestamp,
    /// A receipt or reply: its own record says it all.
    is_delivery: bool,
}

impl Open {
    fn of(records: Vec<Sent>, judged_at: Timestamp) -> Self {
        let sequence = records.last().map(|sent| sent.sequence);
        Self { records, sequence, judged_at, is_delivery: false }
    }

    fn delivery(records: Vec<Sent>, judged_at: Timestamp) -> Self {
        Self { is_delivery: true, ..Self::of(records, judged_at) }
    }

    fn unrecorded(judged_at: Timestamp) -> Self {
        Self::of(Vec::new(), judged_at)
    }
}

/// A record as later ones refer to it.
struct Sent {
    id: EntryId,
    sequence: u64,
    subscriber: String,
    port: String,
}

/// What is to become of a request, and which record that waits for.
#[derive(Debug)]
pub struct Judged {
    /// For the relay.
    pub decision: relay::Decision,
    /// When it may be told.
    pub settling: Settling,
    /// What goes on in the place of the frame that came; `None` where that one does.
    pub frame: Option<Frame>,
}

/// The record that must be settled first, if any.
#[derive(Clone, Copy, Debug)]
pub struct Settling(Option<u64>);

impl Settling {
    const NOW: Self = Self(None);

    /// Whether there is nothing to wait for.
    pub fn is_settled(self) -> bool {
        self.0.is_none()
    }

    /// Whether the journal has come far enough.
    pub fn is_settled_by(self, progress: &Progress) -> bool {
        self.0.is_none_or(|sequence| progress.settled(sequence))
    }
}

impl Desk {
    /// A place for the session of this number, and what reaches that session from elsewhere.
    pub fn new(gate: Arc<Gate>, session: u64, peer: SocketAddr) -> (Self, mpsc::Receiver<Mail>) {
        let progress = gate.journal.progress();
        let peer_text = peer.to_string();
        let (mailbox, mail) = mailbox::new();
        (Self { gate, session, peer, peer_text, provider: None, open: HashMap::new(), progress, mailbox }, mail)
    }

    /// Follows the journal.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Whether a record would find room now; while not, the provider is not read.
    pub fn has_room(&self) -> bool {
        self.gate.journal.has_room() || self.is_down()
    }

    /// Waits until there is room.
    pub async fn room(&self) {
        self.gate.journal.wait_for_room().await;
    }

    fn is_down(&self) -> bool {
        matches!(self.progress.borrow().health, Health::Down { .. })
    }

    /// Decides on a request that carries text, and records the verdict. `None` where that takes
    /// time: the decision then comes as [`Mail::Judged`].
    pub fn judge(&mut self, ticket: Ticket, leg: Leg, frame: &Frame, now: Timestamp) -> Option<Judged> {
        let gate = Arc::clone(&self.gate);
        let register = gate.register.load();
        match leg {
            Leg::Provider if matches!(frame.command_id(), CommandId::QUERY_SM | CommandId::CANCEL_SM) => {
                Some(self.pass_question(ticket, now))
            }
            Leg::Provider => Some(self.judge_message(&register, ticket, frame, now)),
            Leg::Carrier => Some(self.pass_delivery(&register, ticket, frame, now)),
        }
    }

    fn judge_message(&mut self, register: &Register, ticket: Ticket, frame: &Frame, now: Timestamp) -> Judged {
        let provider = self.provider.as_deref().and_then(|system_id| register.provider(system_id));
        let Some(provider) = provider else {
            // Struck from the register while bound: what it still sends is nobody's.
            return self.turn_away(ticket, frame, &STRUCK_OFF, now);
        };
        let reading = match Reading::of(frame, &provider.text) {
            Ok(reading) => reading,
            Err(fault) => return self.turn_away(ticket, frame, &fault, now),
        };
        let mut judgements = Vec::with_capacity(1);
        match reading.recipients {
            Recipients::One(to) => judgements.push(self.weigh(register, provider, &reading, to, now)),
            Recipients::Many(list) => {
                for destination in list.iter() {
                    let Destination::Sme(to) = destination else {
                        return self.turn_away(ticket, frame, &DISTRIBUTION_LIST, now);
                    };
                    judgements.push(self.weigh(register, provider, &reading, to, now));
                }
            }
        }
        let ruling = Ruling::of(&judgements, self.is_down());
        for judgement in &judgements {
            self.gate.counters.judged(&judgement.verdict);
        }
        let written = self.write_submissions(register, frame, &reading, &judgements, &ruling, now);
        self.conclude(ticket, ruling, written, now)
    }

    /// One recipient's verdict. A store that cannot be asked is a fact of its own (R26).
    fn weigh<'r, 'm>(
        &self,
        register: &'r Register,
        provider: &'r Provider,
        reading: &Reading<'m>,
        to: Address<'m>,
        now: Timestamp,
    ) -> Judgement<'r, 'm> {
        let submission = Submission {
            operation: reading.operation,
            source: reading.source,
            destination: to,
            service_type: reading.service_type.0,
            sm_default_msg_id: reading.sm_default_msg_id,
            content: reading.text.clone(),
            part: reading.part,
            deliver_at: None,
        };
        let identity = register.identify(provider, &submission);
        let (facts, unanswered) = match facts::look_up(&self.gate.consents, identity, now) {
            Ok(facts) => (facts, None),
            Err(error) => {
                tracing::error!(%error, "the consents cannot be asked");
                (Facts::new(identity), Some(error.to_string()))
            }
        };
        let verdict = rules::judge(&submission, &facts, &self.gate.profile, now);
        Judgement { to, facts, verdict, unanswered }
    }

    fn conclude(&mut self, ticket: Ticket, ruling: Ruling, written: Written, now: Timestamp) -> Judged {
        let Ok(records) = written else {
            self.gate.counters.unrecorded();
            return self.refuse(ticket, Open::unrecorded(now), TRY_AGAIN);
        };
        let open = Open::of(records, now);
        match ruling {
            Ruling::Forward(permit) => {
                let settling = match self.gate.durability {
                    Durability::BeforeForward => Settling(open.sequence),
                    Durability::BeforeResponse | Durability::Interval => Settling::NOW,
                };
                self.open.insert(ticket, open);
                Judged { decision: relay::Decision::Forward(permit), settling, frame: None }
            }
            Ruling::Refuse { status, .. } => self.refuse(ticket, open, status),
        }
    }

    fn refuse(&mut self, ticket: Ticket, open: Open, status: CommandStatus) -> Judged {
        self.open.insert(ticket, open);
        let decision = relay::Decision::Refuse { status, body: bytes::Bytes::new() };
        Judged { decision, settling: Settling::NOW, frame: None }
    }

    /// A request whose body cannot be read, or that nobody may send: answered and recorded.
    fn turn_away(&mut self, ticket: Ticket, frame: &Frame, fault: &BodyFault, now: Timestamp) -> Judged {
        self.gate.counters.malformed();
        tracing::info!(command = ?frame.command_id(), %fault, "request turned away");
        let written = self.write_turned_away(frame, fault, now);
        let ruling = Ruling::Refuse { status: fault.status, down: false };
        self.conclude(ticket, ruling, written, now)
    }

    /// What only names a message goes on as it came.
    fn pass_question(&mut self, ticket: Ticket, now: Timestamp) -> Judged {
        self.open.insert(ticket, Open::delivery(Vec::new(), now));
        let permit = Permit::unjudged("carries no text");
        Judged { decision: relay::Decision::Forward(permit), settling: Settling::NOW, frame: None }
    }

    /// Records how a judged request ended; its answer waits for what this returns.
    pub fn record(&mut self, ticket: Ticket, outcome: Outcome, answer: Option<&Frame>, now: Timestamp) -> Settling {
        let Some(open) = self.open.remove(&ticket) else {
            return Settling::NOW;
        };
        let sequence = match outcome {
            // The verdict's own record says it all.
            Outcome::Refused(_) => open.sequence,
            _ if open.is_delivery => open.sequence,
            _ => self.write_outcome(&open, outcome, answer, now).or(open.sequence),
        };
        match self.gate.durability {
            Durability::Interval => Settling::NOW,
            Durability::BeforeForward | Durability::BeforeResponse => Settling(sequence),
        }
    }

    /// Records the session's ending.
    pub fn ended(&mut self, ending: Ending, now: Timestamp) {
        if self.provider.is_some() {
            self.write_session(&ending.to_string(), now);
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.gate.sessions.leave(self.session);
    }
}
