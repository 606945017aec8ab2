//! The world of one session: two ordered streams a leg, and a gate that takes its time.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use portcullis::relay::{Action, BindGrant, Cause, Event, Leg, Outcome, Relay, RelayConfig, Ticket};
use portcullis::rules::Permit;
use portcullis_protocol::{Frame, FrameFault};

use super::account::{Account, Mail, Owed};
use super::peers::{Deed, Deeds, Habits, Peer};
use super::random::Random;
use super::shadow::{Shadow, Verdict};

mod verdict;

/// Something that will happen.
enum Due {
    Peer(Leg, Deed),
    /// The bytes reach the gate's socket, or the end of the stream does.
    Arrives(Leg, Option<Frame>),
    /// The bytes reach the peer.
    Reaches(Leg, Frame),
    Judged(Ticket, Frame, Verdict),
    Recorded(Ticket),
    BindJudged,
    Dialled(bool),
    Crash(Leg),
    Breaks(Leg),
    Drain,
}

pub(crate) struct World {
    number: usize,
    account: Rc<RefCell<Account>>,
    /// Requests of the gate's own under way.
    owed: HashMap<Ticket, Owed>,
    random: Random,
    relay: Relay,
    shadow: Shadow,
    origin: Instant,
    now: u64,
    agenda: BTreeMap<(u64, u64), Due>,
    count: u64,
    peers: [Peer; 2],
    /// The streams keep their order: when the last bytes of each arrive, in and out.
    arrivals: [[u64; 2]; 2],
    unread: [VecDeque<Option<Frame>>; 2],
    /// Counts the carrier's connections, so that nothing of an old one comes over a new one.
    alive: [bool; 2],
    slow_gate: u64,
    slow_disk: u64,
    refuses: u64,
    /// How many of a hundred messages are parts of long ones.
    long: u64,
    refused: HashSet<Vec<u8>>,
    messages: HashMap<Ticket, Vec<u8>>,
    durable: HashMap<Vec<u8>, Outcome>,
    outcomes: HashMap<Ticket, Outcome>,
    seen: Vec<&'static str>,
    drained: Option<u64>,
    drain_timeout: Duration,
}

impl World {
    /// The session of this number, from `start` on and not much longer than to `end`.
    pub(crate) fn new(
        seed: u64,
        number: usize,
        origin: Instant,
        start: u64,
        end: u64,
        account: Rc<RefCell<Account>>,
    ) -> Self {
        let mut random = Random(seed);
        let config = RelayConfig {
            provider_window: 1 + usize::try_from(random.delay(120)).unwrap_or(0),
            carrier_window: 1 + usize::try_from(random.delay(300)).unwrap_or(0),
            response_timeout: Duration::from_secs(10),
            enquire_link_interval: Duration::from_secs(random.below(3) * 15),
            ..RelayConfig::default()
        };
        let peers = [(0x04, b'P'), (0x05, b'C')].map(|(command, mark)| {
            let habits = Habits::of(&mut random);
            Peer::new(habits, command, [mark, u8::try_from(number).unwrap_or(u8::MAX)])
        });
        let mut world = Self {
            number,
            account,
            owed: HashMap::new(),
            shadow: Shadow::new(&config),
            drain_timeout: config.drain_timeout,
            relay: Relay::new(config, origin + Duration::from_micros(start)),
            origin,
            now: start,
            agenda: BTreeMap::new(),
            count: 0,
            peers,
            arrivals: [[0; 2]; 2],
            unread: [VecDeque::new(), VecDeque::new()],
            alive: [true, false],
            slow_gate: random.delay(2_000_000),
            slow_disk: random.delay(100_000),
            refuses: random.below(30),
            long: random.below(50),
            refused: HashSet::new(),
            messages: HashMap::new(),
            durable: HashMap::new(),
            outcomes: HashMap::new(),
            seen: Vec::new(),
            drained: None,
            random,
        };
        world.plan_accidents(end);
        let first = world.peers[0].bind();
        world.undertake(Leg::Provider, first);
        world
    }

    fn plan_accidents(&mut self, end: u64) {
        for leg in Leg::BOTH {
            let at = self.random.delay(60_000_000);
            match self.random.below(8) {
                0 => self.plan(at, Due::Crash(leg)),
                1 => self.plan(at, Due::Breaks(leg)),
                _ => {}
            }
        }
        self.plan(end - self.now, Due::Drain);
    }

    fn plan(&mut self, after: u64, due: Due) {
        self.count += 1;
        self.agenda.insert((self.now + after, self.count), due);
    }

    /// When something happens next; `None` once the session is over.
    pub(crate) fn next_at(&self) -> Option<u64> {
        if self.shadow.ended.is_some() {
            return None;
        }
        let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
        [self.timer(), next].into_iter().flatten().min().map(|at| at.max(self.now))
    }

    fn timer(&self) -> Option<u64> {
        let due = self.relay.poll_timeout()?;
        Some(u64::try_from((due - self.origin).as_micros()).unwrap_or(0))
    }

    /// Lets the next thing happen; names the ending when that was the last.
    pub(crate) fn step(&mut self, at: u64) -> Option<&'static str> {
        self.now = self.now.max(at);
        let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
        if self.timer().is_some_and(|timer| next.is_none_or(|next| timer <= next)) {
            self.now += 1;
            let now = self.instant();
            self.relay.handle_timeout(now);
        } else if let Some((_, due)) = self.agenda.pop_first() {
            self.happen(due);
        }
        self.pump();
        let drained = self.drained.map(|at| Duration::from_micros(self.now - at));
        let bound = self.drain_timeout + Duration::from_millis(1);
        assert!(drained.is_none_or(|since| since <= bound), "the drain has no end");
        Some(self.shadow.ended?.name())
    }

    /// The carrier has gone down.
    pub(crate) fn lose_carrier(&mut self, at: u64) {
        if self.shadow.ended.is_none() && self.alive[Leg::Carrier as usize] {
            self.now = self.now.max(at);
            self.put_in(Leg::Carrier, None);
        }
    }

    /// The decision on a part has come, through another session or none.
    pub(crate) fn take_in(&mut self, at: u64, mail: Mail) {
        self.now = self.now.max(at);
        let after = self.random.delay(self.slow_gate);
        self.plan(after, Due::Judged(mail.ticket, mail.frame, mail.verdict));
    }

    fn instant(&self) -> Instant {
        self.origin + Duration::from_micros(self.now)
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Peer(leg, _) | Due::Reaches(leg, _) if !self.alive[leg as usize] => {}
            Due::Peer(leg, Deed::Tick) => {
                let deeds = self.peers[leg as usize].tick(&mut self.random);
                self.undertake(leg, deeds);
            }
            Due::Peer(leg, Deed::Say(frame)) => self.put_in(leg, Some(frame)),
            Due::Peer(leg, Deed::Close) => self.put_in(leg, None),
            Due::Arrives(leg, frame) => self.unread[leg as usize].push_back(frame),
            Due::Reaches(leg, frame) => {
                let deeds = self.peers[leg as usize].hear(&frame, &mut self.random);
                self.undertake(leg, deeds);
            }
            Due::Judged(ticket, frame, verdict) => self.judged(ticket, frame, verdict),
            Due::Recorded(ticket) => self.recorded(ticket),
            Due::BindJudged => self.tell(Event::BindJudged { decision: Ok(BindGrant::default()) }),
            Due::Dialled(connected) if self.shadow.is_dialling() => {
                let connected = connected && self.account.borrow().carrier_is_up;
                self.shadow.dialled(connected);
                self.alive[1] = connected;
                self.tell(if connected { Event::CarrierConnected } else { Event::CarrierUnreachable });
            }
            Due::Crash(leg) if self.alive[leg as usize] => self.put_in(leg, None),
            Due::Breaks(leg) if self.shadow.is_open(leg) => {
                self.alive[leg as usize] = false;
                self.shadow.faulted(leg);
                self.tell(Event::Faulted { leg, fault: FrameFault::TooShort { command_length: 3 } });
            }
            Due::Drain => {
                self.drained = Some(self.now);
                self.tell(Event::Drain);
            }
            Due::Dialled(_) | Due::Crash(_) | Due::Breaks(_) => {}
        }
    }

    fn undertake(&mut self, leg: Leg, deeds: Deeds) {
        for (after, deed) in deeds {
            self.plan(after, Due::Peer(leg, deed));
        }
    }

    /// Onto the wire to the gate, behind what is on it; after a close nothing follows.
    fn put_in(&mut self, leg: Leg, frame: Option<Frame>) {
        self.alive[leg as usize] = frame.is_some();
        let at = (self.now + self.random.delay(50_000)).max(self.arrivals[leg as usize][0]);
        self.arrivals[leg as usize][0] = at;
        self.plan(at - self.now, Due::Arrives(leg, frame));
    }

    fn put_out(&mut self, leg: Leg, frame: Frame) {
        let at = (self.now + self.random.delay(50_000)).max(self.arrivals[leg as usize][1]);
        self.arrivals[leg as usize][1] = at;
        self.plan(at - self.now, Due::Reaches(leg, frame));
    }

    fn tell(&mut self, event: Event) {
        let now = self.instant();
        self.relay.handle_event(event, now);
        self.collect();
    }

    /// The driver's loop: does what the relay asks, reads what it wants.
    fn pump(&mut self) {
        self.collect();
        self.send_owed();
        for leg in Leg::BOTH {
            while self.relay.wants_input(leg) {
                let Some(next) = self.unread[leg as usize].pop_front() else { break };
                match next {
                    Some(frame) => {
                        self.shadow.received(leg, &frame);
                        self.tell(Event::Received { leg, frame });
                    }
                    None => {
                        self.shadow.closed(leg);
                        self.tell(Event::Closed { leg, cause: Cause::Eof });
                    }
                }
            }
        }
    }

    fn collect(&mut self) {
        while let Some(action) = self.relay.poll_action() {
            self.shadow.acted(&action);
            match action {
                Action::JudgeBind { .. } => {
                    let after = self.random.delay(self.slow_gate);
                    self.plan(after, Due::BindJudged);
                }
                Action::Connect => {
                    let connected = !self.random.chance(5);
                    let after = self.random.delay(500_000);
                    self.plan(after, Due::Dialled(connected));
                }
                Action::Send { leg, frame } => self.put_out(leg, frame),
                Action::Judge { ticket, frame, .. } => self.judge(ticket, frame),
                Action::Record { ticket, outcome } => {
                    self.outcomes.insert(ticket, outcome);
                    self.seen.push(name(outcome));
                    self.account.borrow_mut().withdraw(self.number, ticket);
                    if let Some(owed) = self.owed.remove(&ticket) {
                        self.account.borrow_mut().conclude(owed, outcome);
                    }
                    let after = self.random.delay(self.slow_disk);
                    self.plan(after, Due::Recorded(ticket));
                }
                Action::Close { leg } => {
                    // A new connection has nothing of the old one in it.
                    self.alive[leg as usize] = false;
                    self.unread[leg as usize].clear();
                    self.agenda.retain(|_, due| !matches!(due, Due::Arrives(of, _) | Due::Peer(of, _) if *of == leg));
                    self.peers[leg as usize].bound = false;
                }
                Action::Ended(_) => {}
            }
        }
        self.shadow.agrees(&self.relay);
    }

    /// Sends what the gate owes the account, as far as there is room.
    fn send_owed(&mut self) {
        for asking in Leg::BOTH {
            loop {
                let Some(owed) = self.account.borrow_mut().next_owed(asking) else { break };
                self.shadow.originating(asking, &owed.frame);
                let (now, permit) = (self.instant(), Permit::unjudged("simulation"));
                let ticket = self.relay.originate(asking, owed.frame.clone(), permit, now);
                self.shadow.originated(&self.relay, &owed.frame, ticket);
                let Some(ticket) = ticket else {
                    self.account.borrow_mut().take_back(owed);
                    break;
                };
                self.seen.push("originated");
                self.messages.insert(ticket, owed.frame.body().to_vec());
                self.owed.insert(ticket, owed);
                self.collect();
            }
        }
    }

    fn judge(&mut self, ticket: Ticket, frame: Frame) {
        self.messages.insert(ticket, frame.body().to_vec());
        let after = self.random.delay(self.slow_gate);
        if frame.command_id().0 == 0x04 && self.random.chance(self.long) {
            if self.account.borrow_mut().take_part(self.number, ticket, &frame, self.now) {
                self.plan(after, Due::Judged(ticket, frame, Verdict::Acknowledge));
            }
            return;
        }
        let verdict = if self.random.chance(self.refuses) { Verdict::Refuse } else { Verdict::Forward };
        self.plan(after, Due::Judged(ticket, frame, verdict));
    }

    fn judged(&mut self, ticket: Ticket, frame: Frame, verdict: Verdict) {
        if verdict == Verdict::Refuse {
            self.refused.insert(frame.body().to_vec());
        }
        let answer = [b"A", frame.body()].concat();
        self.shadow.judged(ticket, &frame, verdict, &answer);
        self.tell(Event::Judged { ticket, frame, decision: verdict.decision(&answer) });
    }

    fn recorded(&mut self, ticket: Ticket) {
        self.shadow.recorded(ticket, None);
        let body = self.messages[&ticket].clone();
        assert!(self.durable.insert(body, self.outcomes[&ticket]).is_none(), "two records of one message");
        self.tell(Event::Recorded { ticket, answer: None });
    }
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Refused(_) => "Refused",
        Outcome::Acknowledged => "Acknowledged",
        Outcome::NotForwarded => "NotForwarded",
        Outcome::Answered(_) => "Answered",
        Outcome::Nacked(_) => "Nacked",
        Outcome::TimedOut => "TimedOut",
        Outcome::CarrierLost => "CarrierLost",
        Outcome::ProviderLost => "ProviderLost",
        Outcome::Abandoned => "Abandoned",
    }
}
