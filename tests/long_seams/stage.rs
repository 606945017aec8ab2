//! Sessions of one gate without sockets: real relays and real desks over a store in a folder.
//!
//! Owns the time they share and a carrier that accepts everything. Refuses to know what should
//! become of a message. Driven by the tests, frame by frame.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis::clock;
use portcullis::gate::{Desk, Gate, Judged, Mail, Moment, Settling};
use portcullis::register::Register;
use portcullis::relay::{Action, BindKind, Event, Leg, Relay, RelayConfig, Ticket};
use portcullis::store::consents::{Event as Said, Status};
use portcullis_protocol::{CommandId, CommandStatus, Frame};
use tokio::sync::mpsc;

use crate::gate::{Folder, PATIENCE};
use crate::provider::{OK, bind};

/// A gate and the binds of one account.
pub(crate) struct Stage {
    gate: Arc<Gate>,
    binds: Vec<Bind>,
    now: Moment,
    /// What the carrier has got, in order.
    carried: Vec<Frame>,
    next: u32,
    _folder: Folder,
}

/// One bound session.
struct Bind {
    relay: Relay,
    desk: Desk,
    mail: mpsc::Receiver<Mail>,
    waiting: HashMap<Ticket, Frame>,
    deferred: VecDeque<(Settling, Event)>,
    /// What the provider was answered, by its sequence number.
    answers: HashMap<u32, CommandStatus>,
    ids: u32,
}

/// A PDU that was sent: over which bind, and its number there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Sent(usize, u32);

impl Stage {
    /// So many binds of the account `system_id` at a gate with this register.
    pub(crate) fn new(register: &str, system_id: &str, binds: usize, willing: u64) -> Self {
        let said = Said {
            msisdn: willing,
            sender: "bakery",
            category: "marketing",
            status: Status::Consent,
            at_ms: 1,
            method: "web",
            evidence: "form 12",
            expires_at_ms: None,
            ..Said::default()
        };
        Self::open(register, system_id, binds, "", &[said], clock::wall())
    }

    /// The same at a moment of the wall clock, with settings of the profile and what subscribers have said.
    pub(crate) fn open(
        register: &str,
        system_id: &str,
        binds: usize,
        settings: &str,
        said: &[Said<'_>],
        wall: Timestamp,
    ) -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        let folder = Folder::new(register, nowhere);
        let journal = "[journal]\ndurability = \"interval\"\ninterval = \"1ms\"";
        folder.configure("", nowhere, &format!("{journal}\n[profile]\n{settings}"));
        let config = folder.config();
        let register = Register::load(&config.register).unwrap_or_else(|faults| panic!("{}", faults[0]));
        let now = Moment { wall, monotonic: clock::monotonic() };
        let gate = Arc::new(Gate::open(&config, register, now).expect("a fresh store"));
        gate.consents.apply(said).expect("what they said");
        let mut stage = Self { gate, binds: Vec::new(), now, carried: Vec::new(), next: 1, _folder: folder };
        for _ in 0..binds {
            let bind = Bind::open(&stage.gate, system_id, now);
            stage.binds.push(bind);
        }
        stage
    }

    /// Sends a PDU over a bind.
    pub(crate) fn send(&mut self, over: usize, frame: &Frame) -> Sent {
        self.next += 1;
        let mut frame = frame.clone();
        frame.restamp(self.next);
        let bind = &mut self.binds[over];
        assert!(bind.relay.wants_input(Leg::Provider), "the window is full");
        bind.relay.handle_event(Event::Received { leg: Leg::Provider, frame }, self.now.monotonic);
        self.settle();
        Sent(over, self.next)
    }

    /// The answer, once there is one.
    pub(crate) fn answer(&self, Sent(over, number): Sent) -> Option<CommandStatus> {
        self.binds[over].answers.get(&number).copied()
    }

    /// Takes what the carrier has got since the last call.
    pub(crate) fn carried(&mut self) -> Vec<Frame> {
        std::mem::take(&mut self.carried)
    }

    /// Parts kept, those of whole messages included.
    pub(crate) fn kept(&self) -> usize {
        self.gate.held_parts().0
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = Moment { wall: self.now.wall + time, monotonic: self.now.monotonic + time };
        for bind in self.binds.iter_mut().filter(|bind| bind.desk.held() > 0) {
            for (ticket, judged) in bind.desk.handle_timeout(false, self.now) {
                bind.judged_late(ticket, judged, self.now);
            }
        }
        self.gate.sweep(self.now);
        self.settle();
    }

    /// Everything that follows of itself, the journal's part included.
    fn settle(&mut self) {
        let end = clock::monotonic() + PATIENCE;
        loop {
            let mut moved = false;
            for bind in &mut self.binds {
                moved |= bind.pump(self.now, &mut self.carried);
            }
            if !moved && self.binds.iter().all(Bind::is_quiet) {
                return;
            }
            assert!(clock::monotonic() < end, "the sessions do not come to rest");
            if !moved {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

impl Bind {
    fn open(gate: &Arc<Gate>, system_id: &str, now: Moment) -> Self {
        let place = gate.sessions.enter(SocketAddr::from(([127, 0, 0, 1], 1)), now.wall).expect("room");
        let (desk, mail) = Desk::new(Arc::clone(gate), place, None, now.monotonic);
        let config = RelayConfig { enquire_link_interval: Duration::ZERO, ..RelayConfig::default() };
        let mut bound = Self {
            relay: Relay::new(config, now.monotonic),
            desk,
            mail,
            waiting: HashMap::new(),
            deferred: VecDeque::new(),
            answers: HashMap::new(),
            ids: 0,
        };
        let frame = bind(CommandId::BIND_TRANSCEIVER, system_id, "s3cret");
        bound.relay.handle_event(Event::Received { leg: Leg::Provider, frame }, now.monotonic);
        bound.pump(now, &mut Vec::new());
        assert_eq!(bound.answers.get(&1), Some(&OK), "bind");
        bound.desk.join(BindKind::Transceiver, now.wall);
        bound
    }

    /// Does all there is to do; whether there was anything.
    fn pump(&mut self, now: Moment, carried: &mut Vec<Frame>) -> bool {
        let mut moved = false;
        while let Ok(mail) = self.mail.try_recv() {
            moved = true;
            match mail {
                Mail::Judged(late) => {
                    let (ticket, judged) = self.desk.take(*late);
                    self.judged_late(ticket, judged, now);
                }
                Mail::Owed(owed) => self.desk.owe(*owed),
                Mail::Looked(_) => unreachable!("nothing asks the journal here"),
            }
        }
        moved |= self.release(now);
        moved |= self.send_owed(now);
        while let Some(action) = self.relay.poll_action() {
            moved = true;
            self.perform(action, now, carried);
        }
        moved
    }

    fn perform(&mut self, action: Action, now: Moment, carried: &mut Vec<Frame>) {
        match action {
            Action::JudgeBind { frame } => {
                let decision = self.desk.judge_bind(&frame, now.wall);
                self.relay.handle_event(Event::BindJudged { decision }, now.monotonic);
            }
            Action::Connect => self.relay.handle_event(Event::CarrierConnected, now.monotonic),
            Action::Send { leg: Leg::Provider, frame } if frame.command_id().is_response() => {
                let before = self.answers.insert(frame.sequence_number(), frame.command_status());
                assert_eq!(before, None, "two answers to one request");
            }
            Action::Send { leg: Leg::Provider, frame } => self.accept(Leg::Provider, &frame, now),
            Action::Send { leg: Leg::Carrier, frame } => {
                self.accept(Leg::Carrier, &frame, now);
                if frame.command_id() != CommandId::BIND_TRANSCEIVER {
                    carried.push(frame);
                }
            }
            Action::Judge { ticket, leg, frame } => match self.desk.judge(ticket, leg, &frame, now) {
                Some(judged) => self.judged(ticket, frame, judged, now),
                None => drop(self.waiting.insert(ticket, frame)),
            },
            Action::Record { ticket, outcome } => {
                let recorded = self.desk.record(ticket, outcome, self.relay.answer(ticket), now);
                self.waiting.remove(&ticket);
                self.defer(recorded.settling, Event::Recorded { ticket, answer: recorded.answer }, now);
            }
            Action::Close { .. } | Action::Ended(_) => panic!("the session ends: {action:?}"),
        }
    }

    /// The peer's answer to a request, a success.
    fn accept(&mut self, leg: Leg, frame: &Frame, now: Moment) {
        self.ids += 1;
        let body = format!("{}\0", self.ids);
        let answer = Frame::new(frame.command_id().response(), OK, frame.sequence_number(), body.as_bytes());
        self.relay.handle_event(Event::Received { leg, frame: answer }, now.monotonic);
    }

    fn judged_late(&mut self, ticket: Ticket, judged: Judged, now: Moment) {
        if let Some(frame) = self.waiting.remove(&ticket) {
            self.judged(ticket, frame, judged, now);
        }
    }

    fn judged(&mut self, ticket: Ticket, frame: Frame, judged: Judged, now: Moment) {
        let frame = judged.frame.unwrap_or(frame);
        self.defer(judged.settling, Event::Judged { ticket, frame, decision: judged.decision }, now);
    }

    fn defer(&mut self, settling: Settling, event: Event, now: Moment) {
        if self.deferred.is_empty() && settling.is_settled() {
            self.relay.handle_event(event, now.monotonic);
        } else {
            self.deferred.push_back((settling, event));
        }
    }

    fn release(&mut self, now: Moment) -> bool {
        let progress = self.desk.progress().borrow().clone();
        let mut moved = false;
        while let Some((_, event)) = self.deferred.pop_front_if(|(settling, _)| settling.is_settled_by(&progress)) {
            self.relay.handle_event(event, now.monotonic);
            moved = true;
        }
        moved
    }

    fn send_owed(&mut self, now: Moment) -> bool {
        let (progress, mut moved) = (self.desk.progress(), false);
        for asking in Leg::BOTH {
            loop {
                let Some((frame, permit)) = self.desk.next_owed(asking, &progress.borrow(), now) else { break };
                let Some(ticket) = self.relay.originate(asking, frame, permit, now.monotonic) else { break };
                self.desk.owed_sent(asking, ticket, now.wall);
                moved = true;
            }
        }
        moved
    }

    fn is_quiet(&self) -> bool {
        self.deferred.is_empty() && !Leg::BOTH.into_iter().any(|leg| self.desk.owes(leg))
    }
}
