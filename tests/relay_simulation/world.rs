//! The world of one simulation: time, two ordered streams a leg, and a gate that takes its time.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use portcullis::relay::{Action, BindGrant, Cause, Decision, Event, Leg, Outcome, Relay, RelayConfig, Ticket};
use portcullis::rules::Permit;
use portcullis_protocol::{CommandStatus, Frame, FrameFault};

use super::peers::{Deed, Deeds, Habits, Peer};
use super::random::Random;
use super::shadow::Shadow;

/// Something that will happen.
enum Due {
    Peer(Leg, Deed),
    /// The bytes reach the gate's socket, or the end of the stream does.
    Arrives(Leg, Option<Frame>),
    /// The bytes reach the peer.
    Reaches(Leg, Frame),
    Judged(Ticket, Frame, bool),
    Recorded(Ticket),
    BindJudged,
    Dialled(bool),
    Crash(Leg),
    Breaks(Leg),
    Drain,
}

pub(crate) struct World {
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
    refused: HashSet<Vec<u8>>,
    messages: HashMap<Ticket, Vec<u8>>,
    durable: HashMap<Vec<u8>, Outcome>,
    outcomes: HashMap<Ticket, Outcome>,
    seen: Vec<&'static str>,
    drained: Option<u64>,
    drain_timeout: Duration,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin of virtual time")]
    pub(crate) fn new(seed: u64) -> Self {
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
            Peer::new(habits, command, mark)
        });
        let origin = Instant::now();
        let mut world = Self {
            shadow: Shadow::new(&config),
            drain_timeout: config.drain_timeout,
            relay: Relay::new(config, origin),
            origin,
            now: 0,
            agenda: BTreeMap::new(),
            count: 0,
            peers,
            arrivals: [[0; 2]; 2],
            unread: [VecDeque::new(), VecDeque::new()],
            alive: [true, false],
            slow_gate: random.delay(2_000_000),
            slow_disk: random.delay(100_000),
            refuses: random.below(30),
            refused: HashSet::new(),
            messages: HashMap::new(),
            durable: HashMap::new(),
            outcomes: HashMap::new(),
            seen: Vec::new(),
            drained: None,
            random,
        };
        world.plan_accidents();
        world
    }

    fn plan_accidents(&mut self) {
        for leg in Leg::BOTH {
            let at = self.random.delay(60_000_000);
            match self.random.below(8) {
                0 => self.plan(at, Due::Crash(leg)),
                1 => self.plan(at, Due::Breaks(leg)),
                _ => {}
            }
        }
        let end = 5_000_000 + self.random.below(120_000_000);
        self.plan(end, Due::Drain);
    }

    fn plan(&mut self, after: u64, due: Due) {
        self.count += 1;
        self.agenda.insert((self.now + after, self.count), due);
    }

    /// Runs the session to its end; gives the names of what happened in it.
    pub(crate) fn run(mut self) -> Vec<&'static str> {
        let first = self.peers[0].bind();
        self.undertake(Leg::Provider, first);
        for _ in 0..2_000_000 {
            let timer = self.relay.poll_timeout().map(|at| u64::try_from((at - self.origin).as_micros()).unwrap_or(0));
            let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
            match (timer, next) {
                (Some(timer), next) if next.is_none_or(|next| timer <= next) => {
                    self.now = self.now.max(timer + 1);
                    let now = self.instant();
                    self.relay.handle_timeout(now);
                }
                (_, Some(_)) => {
                    let ((at, _), due) = self.agenda.pop_first().expect("there is one");
                    self.now = self.now.max(at);
                    self.happen(due);
                }
                _ => return self.verdict(),
            }
            self.pump();
            if let Some(ending) = self.shadow.ended {
                self.seen.push(ending.name());
                return self.verdict();
            }
            let drained = self.drained.map(|at| Duration::from_micros(self.now - at));
            let bound = self.drain_timeout + Duration::from_millis(1);
            assert!(drained.is_none_or(|since| since <= bound), "the drain has no end");
        }
        panic!("a session without end");
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
            Due::Judged(ticket, frame, forward) => self.judged(ticket, frame, forward),
            Due::Recorded(ticket) => self.recorded(ticket),
            Due::BindJudged => self.tell(Event::BindJudged { decision: Ok(BindGrant::default()) }),
            Due::Dialled(connected) if self.shadow.is_dialling() => {
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

    fn judge(&mut self, ticket: Ticket, frame: Frame) {
        self.messages.insert(ticket, frame.body().to_vec());
        let forward = !self.random.chance(self.refuses);
        if !forward {
            self.refused.insert(frame.body().to_vec());
        }
        let after = self.random.delay(self.slow_gate);
        self.plan(after, Due::Judged(ticket, frame, forward));
    }

    fn judged(&mut self, ticket: Ticket, frame: Frame, forward: bool) {
        self.shadow.judged(ticket, &frame, forward);
        let decision = match forward {
            true => Decision::Forward(Permit::unjudged("simulation")),
            false => Decision::Refuse { status: CommandStatus(0x483), body: Bytes::new() },
        };
        self.tell(Event::Judged { ticket, frame, decision });
    }

    fn recorded(&mut self, ticket: Ticket) {
        self.shadow.recorded(ticket);
        let body = self.messages[&ticket].clone();
        assert!(self.durable.insert(body, self.outcomes[&ticket]).is_none(), "two records of one message");
        self.tell(Event::Recorded { ticket, answer: None });
    }

    /// What the peers believe is what the records say.
    fn verdict(self) -> Vec<&'static str> {
        self.shadow.settled();
        let mut seen = self.seen;
        for (asking, across) in [(&self.peers[0], &self.peers[1]), (&self.peers[1], &self.peers[0])] {
            for body in &asking.confirmed {
                assert!(across.accepted.contains(body), "confirmed, and never accepted");
                let relayed = body.first() == Some(&b'P') && !self.durable.contains_key(body);
                assert!(
                    relayed || self.durable.get(body) == Some(&Outcome::Answered(CommandStatus::ESME_ROK)),
                    "confirmed, and not in the records"
                );
                seen.push("accepted");
            }
            for body in &asking.refused {
                assert!(self.refused.contains(body) && !across.was_reached_by(body), "refused, and forwarded");
            }
        }
        let leaked = self.refused.iter().any(|body| self.peers.iter().any(|peer| peer.was_reached_by(body)));
        assert!(!leaked, "forwarded against the verdict");
        seen
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
