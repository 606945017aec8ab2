//! One session's place at the gate: its messages are judged here and their ends recorded.
//!
//! Owns what is remembered of a message between its verdict and its end. Refuses to wait: it
//! says which record something must wait for, and the driver waits. Driven by the session.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;
use portcullis_protocol::field::InterfaceVersion;
use portcullis_protocol::{CommandId, CommandStatus, Frame};
use smol_str::SmolStr;
use tokio::sync::{mpsc, watch};

use super::limits::Allowance;
use super::mailbox::{self, Mail, Mailbox};
use super::measures::Trails;
use super::owed::Owed;
use super::{Gate, Moment, Place};
use crate::config::Durability;
use crate::relay::{self, Ending, Leg, Outcome, Ticket};
use crate::store::{EntryId, Health, Progress};
use crate::tls::Secured;

mod awaiting;
mod bind;
mod cancelling;
mod counting;
mod delivery;
mod explain;
mod long;
mod message;
mod multi;
mod naming;
mod owing;
mod queueing;
mod rate;
mod recounting;
mod ruling;
mod weighing;
mod write;

pub(super) use awaiting::Schedule;
pub(super) use counting::{Counted, mark};
pub(super) use delivery::Waiting;
use long::Held;
pub(super) use long::key_of;
pub use naming::Looked;
pub(super) use recounting::catch_up;

/// A temporary failure: the provider keeps the message and tries again.
pub(super) const TRY_AGAIN: CommandStatus = CommandStatus::ESME_RX_T_APPN;

/// A place at the gate for one session.
pub struct Desk {
    gate: Arc<Gate>,
    session: u64,
    place: Place,
    peer_text: String,
    /// What the TLS handshake said, where there was one.
    secured: Option<Secured>,
    /// The same as records have it.
    tls_text: String,
    /// The version of SMPP that the provider says it speaks.
    interface_version: InterfaceVersion,
    /// The provider's `system_id`, once its bind was accepted.
    provider: Option<String>,
    /// What it may still send, shared by all of its binds.
    allowance: Option<Arc<Mutex<Allowance>>>,
    /// Where its binds go, where that is not as configured for all.
    carrier_addresses: Vec<String>,
    /// Who is counted for what it sends.
    trails: Trails,
    open: HashMap<Ticket, Open>,
    progress: watch::Receiver<Progress>,
    mailbox: Mailbox,
    /// Parts not answered, whose message is not whole.
    held: HashMap<Ticket, Held>,
    /// The peer waits for the answer to a part before it sends the next.
    waits_for_answers: bool,
    /// When the provider last asked for something.
    heard: Instant,
    /// When held parts are next to be looked at.
    look_at: Option<Instant>,
    /// What this session is to send for the gate, to the carrier and to the provider.
    owed: [VecDeque<Owed>; 2],
}

/// A message between its verdict and its end.
#[derive(Debug)]
pub(super) struct Open {
    /// Its send records, one a recipient.
    records: Vec<Sent>,
    /// The last of them in the journal's order.
    sequence: Option<u64>,
    judged_at: Timestamp,
    kind: Kind,
    /// Its number among the parts of a long message.
    part: Option<u8>,
    /// The record it was acknowledged under.
    acknowledged: Option<EntryId>,
    /// Whose refusal still stops it, where it waits for its record before it goes on.
    marketing: Option<(String, u64)>,
}

/// What its end asks for.
#[derive(Debug)]
enum Kind {
    /// A record of the outcome.
    Message,
    /// The same, and these `unsuccess_sme` entries and optional parameters added to the answer.
    Split { entries: Bytes, tlvs: Bytes },
    /// Nothing: its own record says it all.
    Recorded,
    /// A record of how a cancellation ended.
    Cancel(Box<cancelling::Cancel>),
    /// What was asked about goes by this `message_id` for the provider.
    Named(Vec<u8>),
    /// Whatever the gate owes on it.
    Owed(Box<Owed>),
}

impl Open {
    fn of(records: Vec<Sent>, judged_at: Timestamp) -> Self {
        let sequence = records.last().map(|sent| sent.sequence);
        Self { records, sequence, judged_at, kind: Kind::Message, part: None, acknowledged: None, marketing: None }
    }

    fn recorded(records: Vec<Sent>, judged_at: Timestamp) -> Self {
        Self { kind: Kind::Recorded, ..Self::of(records, judged_at) }
    }

    fn unrecorded(judged_at: Timestamp) -> Self {
        Self::of(Vec::new(), judged_at)
    }
}

/// A record as later ones refer to it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) id: EntryId,
    pub(super) sequence: u64,
    pub(super) subscriber: SmolStr,
    pub(super) port: SmolStr,
    /// Whether its verdict lets it go on: others of the same PDU may not.
    pub(super) goes_on: bool,
    /// Its place among the messages that count.
    pub(super) counted: Option<Counted>,
    /// When it is to be delivered, where that is later.
    pub(super) schedule: Option<Box<Schedule>>,
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

/// A decision that comes from elsewhere, with what the desk has to remember of it.
#[derive(Debug)]
pub struct Late {
    ticket: Ticket,
    judged: Judged,
    open: Open,
}

/// What a request's record comes to.
#[derive(Debug)]
pub struct Recorded {
    /// When the asking leg may be answered.
    pub settling: Settling,
    /// What it gets in place of the answer that came.
    pub answer: Option<Frame>,
}

/// The record that must be settled first, if any.
#[derive(Clone, Copy, Debug)]
pub enum Settling {
    /// None.
    Now,
    /// This one: on disk or, while the journal cannot write, in its spool (R26).
    Settled(u64),
    /// This one, and on disk: what the gate has taken over, it must not lose.
    Durable(u64),
}

impl Settling {
    fn of(sequence: Option<u64>) -> Self {
        sequence.map_or(Self::Now, Self::Settled)
    }

    /// Whether there is nothing to wait for.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Now)
    }

    /// Whether the journal has come far enough.
    pub fn is_settled_by(self, progress: &Progress) -> bool {
        match self {
            Self::Now => true,
            Self::Settled(sequence) => progress.settled(sequence),
            Self::Durable(sequence) => sequence <= progress.durable,
        }
    }
}

impl Desk {
    /// A desk for the session that has this place, and what reaches that session from elsewhere.
    pub fn new(gate: Arc<Gate>, place: Place, secured: Option<Secured>, now: Instant) -> (Self, mpsc::Receiver<Mail>) {
        let (mailbox, mail) = mailbox::new();
        let desk = Self {
            progress: gate.journal.progress(),
            peer_text: place.peer().to_string(),
            gate,
            session: place.session(),
            place,
            tls_text: secured.as_ref().map(ToString::to_string).unwrap_or_default(),
            secured,
            interface_version: InterfaceVersion::V3_4,
            provider: None,
            allowance: None,
            carrier_addresses: Vec::new(),
            trails: Trails::default(),
            open: HashMap::new(),
            mailbox,
            held: HashMap::new(),
            waits_for_answers: false,
            heard: now,
            look_at: None,
            owed: [VecDeque::new(), VecDeque::new()],
        };
        (desk, mail)
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

    /// Decides on a request that carries text or names a message, and records the verdict. `None`
    /// where that takes time: the decision then comes as [`Mail::Judged`].
    pub fn judge(&mut self, ticket: Ticket, leg: Leg, frame: &Frame, now: Moment) -> Option<Judged> {
        let gate = Arc::clone(&self.gate);
        let register = gate.register.load();
        if leg == Leg::Carrier {
            return self.pass_delivery(&register, ticket, frame, now.wall);
        }
        self.heard = now.monotonic;
        match frame.command_id() {
            CommandId::QUERY_SM | CommandId::CANCEL_SM | CommandId::REPLACE_SM => {
                self.judge_naming(&register, ticket, frame, now)
            }
            _ => self.judge_message(&register, ticket, frame, now),
        }
    }

    /// Takes in a decision that came from elsewhere.
    pub fn take(&mut self, late: Late) -> (Ticket, Judged) {
        self.held.remove(&late.ticket);
        self.open.insert(late.ticket, late.open);
        (late.ticket, late.judged)
    }

    /// The last word on what waited for its record: a refusal that came meanwhile stops it.
    pub fn revise(&mut self, ticket: Ticket, decision: relay::Decision, now: Timestamp) -> relay::Decision {
        let provider = self.provider.as_deref().unwrap_or_default();
        let refused = |who: &(String, u64)| self.gate.has_refused(who, provider, now);
        let waits = |open: &Open| open.marketing.as_ref().is_some_and(refused);
        if !matches!(decision, relay::Decision::Forward(_)) || !self.open.get(&ticket).is_some_and(waits) {
            return decision;
        }
        let status = self.gate.refusal_status(provider);
        if let Some(mut open) = self.open.remove(&ticket) {
            open.sequence = self.pen().write_outcome(&open, Outcome::Refused(status), None, now).or(open.sequence);
            self.open.insert(ticket, open);
        }
        relay::Decision::Refuse { status, body: Bytes::new() }
    }

    /// Records how a judged request ended; its answer waits for what this returns.
    pub fn record(&mut self, ticket: Ticket, outcome: Outcome, answer: Option<&Frame>, now: Moment) -> Recorded {
        if self.held.contains_key(&ticket) {
            self.withdraw(ticket, now);
        }
        let Some(mut open) = self.open.remove(&ticket) else {
            return Recorded { settling: Settling::Now, answer: None };
        };
        if let Kind::Owed(owed) = open.kind {
            open.kind = Kind::Message;
            self.conclude_owed(*owed, &open, outcome, answer, now);
            return Recorded { settling: Settling::Now, answer: None };
        }
        let sequence = match (&open.kind, outcome) {
            (Kind::Cancel(cancel), _) => self.pen().write_cancel(cancel, outcome, now.wall),
            // The verdict's own record says it all.
            (_, Outcome::Refused(_) | Outcome::Acknowledged) | (Kind::Recorded | Kind::Named(_), _) => open.sequence,
            _ => self.pen().write_outcome(&open, outcome, answer, now.wall).or(open.sequence),
        };
        let settling = match (self.gate.durability, outcome) {
            (_, Outcome::Acknowledged) => sequence.map_or(Settling::Now, Settling::Durable),
            (Durability::Interval, _) => Settling::Now,
            (Durability::BeforeForward | Durability::BeforeResponse, _) => Settling::of(sequence),
        };
        Recorded { settling, answer: open.answer_instead(answer) }
    }

    /// Records the session's ending, and hands on what it would still have sent for the gate.
    pub fn ended(&mut self, ending: Ending, mail: &mut mpsc::Receiver<Mail>, now: Timestamp) {
        if self.provider.is_some() {
            self.pen().write_session(&ending.to_string(), None, now);
            self.gate.route_closed(self.pen().origin(), Some(now));
        }
        self.gate.accounts.leave(self.session);
        // Whoever decides from now on learns that nobody is here.
        mail.close();
        while let Ok(mail) = mail.try_recv() {
            match mail {
                Mail::Owed(owed) => self.owe(*owed),
                // The decision came too late for this session: its message went without this part.
                Mail::Judged(late) => drop(self.pen().write_outcome(&late.open, Outcome::NotForwarded, None, now)),
                Mail::Looked(_) => {}
            }
        }
        for owed in self.owed.iter_mut().flat_map(std::mem::take) {
            self.gate.post(owed, now);
        }
    }
}

impl Open {
    fn answer_instead(&self, answer: Option<&Frame>) -> Option<Frame> {
        match &self.kind {
            Kind::Split { entries, tlvs } => multi::with_refused(answer?, entries, tlvs),
            Kind::Named(message_id) => naming::under(answer?, message_id),
            Kind::Message | Kind::Recorded | Kind::Cancel(_) | Kind::Owed(_) => None,
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.gate.route_closed(self.pen().origin(), None);
        self.gate.accounts.leave(self.session);
    }
}
