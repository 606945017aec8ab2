//! What must hold of any session, whatever happens in it: a second, naive account of one.
//!
//! It is told what the relay is told and shown what the relay does, and panics when
//! - a request is answered twice, or an answer answers none;
//! - a request goes on without a permit, changed, or to where it came from;
//! - a judged request is answered before its record is durable, or recorded twice or never;
//! - an answer says other than its record does, or than what was put in its place;
//! - a request of the gate's own is answered to anybody, or sent without having been asked for;
//! - more is in flight or pending than the window allows, or a number in flight is reused;
//! - anything is sent to a leg that is not there, or done after the end.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use portcullis::relay::{Action, Decision, Ending, Leg, Outcome, Relay, RelayConfig, State, Ticket};
use portcullis::rules::Permit;
use portcullis_protocol::{CommandId, CommandStatus, Frame};

pub(crate) const JUDGED: [u32; 8] = [0x03, 0x04, 0x05, 0x07, 0x08, 0x21, 0x103, 0x111];
pub(crate) const RELAYED: [u32; 2] = [0x112, 0x113];
pub(crate) const BINDS: [u32; 3] = [0x01, 0x02, 0x09];
pub(crate) const ALERT_NOTIFICATION: u32 = 0x102;
pub(crate) const OUTBIND: u32 = 0x0B;
pub(crate) const ENQUIRE_LINK: u32 = 0x15;
pub(crate) const UNBIND: u32 = 0x06;

/// Which answer is owed to whom: leg, `command_id` and number.
pub(crate) type Key = (Leg, u32, u32);

/// What the gate decided, without what goes with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Forward,
    Acknowledge,
    Refuse,
}

impl Verdict {
    /// The decision for the relay: acknowledged under this body, refused with 0x483.
    pub(crate) fn decision(self, body: &[u8]) -> Decision {
        match self {
            Self::Forward => Decision::Forward(Permit::unjudged("test")),
            Self::Acknowledge => Decision::Acknowledge { body: Bytes::copy_from_slice(body) },
            Self::Refuse => Decision::Refuse { status: CommandStatus(0x483), body: Bytes::new() },
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Asked,
    Judged(Verdict),
    Recording(Outcome),
    Recorded(Outcome),
}

pub(crate) struct Shadow {
    config: RelayConfig,
    open: HashMap<Leg, bool>,
    dialling: bool,
    faulted: HashMap<Leg, bool>,
    owed: HashMap<Key, usize>,
    /// What came in, by body; every test body is its own.
    received: HashMap<Vec<u8>, Key>,
    permitted: HashSet<Vec<u8>>,
    pub(crate) tickets: HashMap<Ticket, (Key, Fate)>,
    by_key: HashMap<Key, Ticket>,
    /// Requests with a leg, by the relay's number.
    pub(crate) in_flight: HashMap<Leg, HashMap<u32, (u32, Key)>>,
    /// The bodies of requests of the gate's own that it may send.
    own: HashSet<Vec<u8>>,
    last_own: u32,
    /// Bodies that answers must have: the gate's own, or those put in the place of another.
    bodies: HashMap<Key, Vec<u8>>,
    pub(crate) ended: Option<Ending>,
}

impl Shadow {
    pub(crate) fn new(config: &RelayConfig) -> Self {
        Self {
            config: config.clone(),
            open: HashMap::from([(Leg::Provider, true), (Leg::Carrier, false)]),
            dialling: false,
            faulted: HashMap::new(),
            owed: HashMap::new(),
            received: HashMap::new(),
            permitted: HashSet::new(),
            tickets: HashMap::new(),
            by_key: HashMap::new(),
            in_flight: HashMap::from([(Leg::Provider, HashMap::new()), (Leg::Carrier, HashMap::new())]),
            own: HashSet::new(),
            last_own: 0,
            bodies: HashMap::new(),
            ended: None,
        }
    }

    pub(crate) fn is_open(&self, leg: Leg) -> bool {
        self.ended.is_none() && self.open[&leg]
    }

    /// Whether a dial is under way, so that its result may be told.
    pub(crate) fn is_dialling(&self) -> bool {
        self.dialling
    }

    pub(crate) fn dialled(&mut self, connected: bool) {
        self.dialling = false;
        self.open.insert(Leg::Carrier, connected);
    }

    pub(crate) fn closed(&mut self, leg: Leg) {
        self.open.insert(leg, false);
        if leg == Leg::Carrier {
            self.dialling = false;
        }
    }

    pub(crate) fn faulted(&mut self, leg: Leg) {
        self.faulted.insert(leg, true);
    }

    pub(crate) fn received(&mut self, leg: Leg, frame: &Frame) {
        let command = frame.command_id();
        if !self.is_open(leg) || command.is_response() || [ALERT_NOTIFICATION, OUTBIND].contains(&command.0) {
            self.received.insert(frame.body().to_vec(), (leg, 0, 0));
            return;
        }
        let known = [ENQUIRE_LINK, UNBIND].iter().chain(&JUDGED).chain(&RELAYED).chain(&BINDS);
        let answer = if known.into_iter().any(|id| *id == command.0) { command.response().0 } else { 0x8000_0000 };
        let key = (leg, answer, frame.sequence_number());
        *self.owed.entry(key).or_default() += 1;
        self.received.insert(frame.body().to_vec(), key);
    }

    pub(crate) fn judged(&mut self, ticket: Ticket, frame: &Frame, verdict: Verdict, answer: &[u8]) {
        let Some((key, fate)) = self.tickets.get_mut(&ticket) else { return };
        if *fate != Fate::Asked {
            return;
        }
        *fate = Fate::Judged(verdict);
        match verdict {
            Verdict::Forward => drop(self.permitted.insert(frame.body().to_vec())),
            Verdict::Acknowledge => drop(self.bodies.insert(*key, answer.to_vec())),
            Verdict::Refuse => drop(self.bodies.insert(*key, Vec::new())),
        }
    }

    /// The record is durable; `instead` is the answer put in the place of the one that came.
    pub(crate) fn recorded(&mut self, ticket: Ticket, instead: Option<&Frame>) {
        let Some((key, fate)) = self.tickets.get_mut(&ticket) else { return };
        let Fate::Recording(outcome) = *fate else { return };
        *fate = Fate::Recorded(outcome);
        if let Some(instead) = instead {
            self.bodies.insert(*key, instead.body().to_vec());
        }
    }

    /// The gate is about to send a request of its own, in the place of this leg.
    pub(crate) fn originating(&mut self, asking: Leg, frame: &Frame) {
        self.last_own += 1;
        // No answer has this command_id: whatever goes to the asking leg is owed to nobody.
        self.received.insert(frame.body().to_vec(), (asking, 0, self.last_own));
        self.own.insert(frame.body().to_vec());
        self.permitted.insert(frame.body().to_vec());
    }

    /// What came of it.
    pub(crate) fn originated(&mut self, relay: &Relay, frame: &Frame, ticket: Option<Ticket>) {
        let key = self.received[frame.body()];
        let Some(ticket) = ticket else {
            self.permitted.remove(frame.body());
            return;
        };
        assert!(matches!(relay.snapshot().state, State::Bound | State::Settling), "sent in no state for it");
        let forwarded = Fate::Judged(Verdict::Forward);
        assert!(self.tickets.insert(ticket, (key, forwarded)).is_none(), "a ticket used twice");
    }

    pub(crate) fn acted(&mut self, action: &Action) {
        assert_eq!(self.ended, None, "an action after the end: {action:?}");
        match action {
            Action::JudgeBind { .. } => {}
            Action::Connect => self.dialling = true,
            Action::Send { leg, frame } => self.sent(*leg, frame),
            Action::Judge { ticket, leg, frame } => {
                let key = *self.received.get(frame.body()).expect("a question about nothing that came in");
                assert_eq!(key.0, *leg);
                assert!(self.tickets.insert(*ticket, (key, Fate::Asked)).is_none(), "a ticket used twice");
                self.by_key.insert(key, *ticket);
            }
            Action::Record { ticket, outcome } => self.record(*ticket, *outcome),
            Action::Close { leg } => {
                let dialling = *leg == Leg::Carrier && self.dialling;
                assert!(self.open[leg] || dialling, "{leg:?} is closed twice");
                self.closed(*leg);
            }
            Action::Ended(ending) => {
                self.ended = Some(*ending);
                for (ticket, (_, fate)) in &self.tickets {
                    let recorded = matches!(fate, Fate::Recording(_) | Fate::Recorded(_));
                    assert!(recorded, "{ticket:?} ends without a record: {fate:?}");
                }
                assert!(!self.open.values().any(|open| *open), "a connection outlives its session");
            }
        }
    }

    fn record(&mut self, ticket: Ticket, outcome: Outcome) {
        let (key, fate) = self.tickets.get_mut(&ticket).expect("a record of no question");
        let forwarded = self.in_flight.get_mut(&key.0.other()).is_some_and(|numbers| {
            let before = numbers.len();
            numbers.retain(|_, (_, other)| other != key);
            numbers.len() < before
        });
        let expected = !matches!(outcome, Outcome::Refused(_) | Outcome::Acknowledged | Outcome::NotForwarded);
        assert_eq!(forwarded, expected, "{outcome:?} of a message that was forwarded: {forwarded}");
        let follows = match outcome {
            Outcome::Refused(_) => *fate == Fate::Judged(Verdict::Refuse),
            Outcome::Acknowledged => *fate == Fate::Judged(Verdict::Acknowledge),
            Outcome::NotForwarded => matches!(fate, Fate::Asked | Fate::Judged(Verdict::Forward)),
            _ => *fate == Fate::Judged(Verdict::Forward),
        };
        assert!(follows, "{outcome:?} after {fate:?}");
        *fate = Fate::Recording(outcome);
    }

    fn sent(&mut self, leg: Leg, frame: &Frame) {
        assert!(self.open[&leg], "sent to a leg that is not there: {frame:?}");
        if frame.command_id().is_response() {
            self.answered(leg, frame);
        } else {
            self.forwarded(leg, frame);
        }
    }

    fn answered(&mut self, leg: Leg, frame: &Frame) {
        let key = (leg, frame.command_id().0, frame.sequence_number());
        let broken = frame.command_status() == CommandStatus::ESME_RINVCMDLEN && key.1 == 0x8000_0000 && key.2 == 0;
        if broken && self.faulted.remove(&leg).is_some() {
            return;
        }
        let owed = self.owed.get_mut(&key).filter(|owed| **owed > 0).expect("an answer nobody is owed");
        *owed -= 1;
        if let Some(ticket) = self.by_key.get(&key) {
            let Fate::Recorded(outcome) = self.tickets[ticket].1 else {
                panic!("answered before its record is durable")
            };
            assert!(is_told(outcome, frame.command_status()), "{:?} of {outcome:?}", frame.command_status());
        }
        if let Some(body) = self.bodies.remove(&key) {
            assert_eq!(frame.body(), body, "another answer than was given");
        }
        self.in_flight.get_mut(&leg.other()).expect("both legs").retain(|_, (_, other)| *other != key);
    }

    fn forwarded(&mut self, leg: Leg, frame: &Frame) {
        let (command, own) = (frame.command_id().0, frame.sequence_number());
        assert!((1..=0x7FFF_FFFF).contains(&own), "{own} is no number of the gate's");
        assert!(!self.in_flight[&leg].contains_key(&own), "{own} is in flight already");
        if [ENQUIRE_LINK, UNBIND].contains(&command) {
            assert!(frame.body().is_empty());
            return;
        }
        let key = *self.received.get(frame.body()).expect("a request nobody sent, or changed on its way");
        assert_eq!(key.0, leg.other(), "a request sent back");
        let is_own = self.own.contains(frame.body());
        assert!(is_own || self.open[&key.0], "forwarded for a peer that is gone");
        if BINDS.contains(&command) || command == ALERT_NOTIFICATION {
            return;
        }
        if is_own || JUDGED.contains(&command) {
            assert!(self.permitted.remove(frame.body()), "forwarded without a permit, or twice");
        }
        self.in_flight.get_mut(&leg).expect("both legs").insert(own, (command, key));
        let count = self.in_flight[&leg].values().filter(|(command, key)| self.is_tracked(*command, key)).count();
        let window = if leg == Leg::Carrier { self.config.provider_window } else { self.config.carrier_window };
        assert!(count <= window, "{count} in flight, window {window}");
    }

    /// Whether the end of a request in flight can be seen: of what is not judged, and has nobody left
    /// to answer, it cannot.
    fn is_tracked(&self, command: u32, key: &Key) -> bool {
        JUDGED.contains(&command) || self.open[&key.0]
    }

    /// What the relay says of itself.
    pub(crate) fn agrees(&self, relay: &Relay) {
        let snapshot = relay.snapshot();
        assert!(snapshot.provider_pending <= self.config.provider_window);
        assert!(snapshot.carrier_pending <= self.config.carrier_window);
        assert_eq!(self.ended.is_some(), snapshot.state == State::Ended);
        for leg in Leg::BOTH {
            assert!(!relay.wants_input(leg) || self.is_open(leg), "wants input of a leg that is not there");
        }
    }

    /// Nothing is under way and no timer runs: then every request has had its answer.
    pub(crate) fn settled(&self) {
        if self.ended.is_none() {
            let owed: Vec<_> = self.owed.iter().filter(|(_, owed)| **owed > 0).collect();
            assert!(owed.is_empty(), "never answered: {owed:?}");
            assert!(self.in_flight.values().all(HashMap::is_empty));
        }
    }
}

/// Whether an answer of this status is what the record says was told.
fn is_told(outcome: Outcome, status: CommandStatus) -> bool {
    match outcome {
        Outcome::Refused(told) | Outcome::Answered(told) | Outcome::Nacked(told) => status == told,
        Outcome::Acknowledged => status == CommandStatus::ESME_ROK,
        _ => status != CommandStatus::ESME_ROK,
    }
}

pub(crate) fn request(command: u32, sequence: u32, body: &[u8]) -> Frame {
    Frame::new(CommandId(command), CommandStatus::ESME_ROK, sequence, body)
}

pub(crate) fn response(command: u32, status: u32, sequence: u32, body: &[u8]) -> Frame {
    Frame::new(CommandId(command).response(), CommandStatus(status), sequence, body)
}
