//! Performs any sequence of operations on a relay, however little sense it makes.
//!
//! Owns a driver that answers late, twice, unasked or never, peers that break every rule and a
//! clock that stands still or jumps. Refuses to know what should hold: the shadow does. Driven
//! by the property test with made-up operations and by the fuzzer with octets.

use std::time::{Duration, Instant};

use portcullis::relay::{Action, BindGrant, Cause, Event, Leg, Relay, RelayConfig, Ticket};
use portcullis::rules::Permit;
use portcullis_protocol::{CommandStatus, Frame, FrameFault};

use super::shadow::{self, Fate, Shadow, Verdict};

const REQUESTS: [u32; 20] = [
    0x04,
    0x04,
    0x04,
    0x05,
    0x05,
    0x05,
    0x103,
    0x103,
    0x21,
    0x07,
    0x03,
    0x08,
    0x112,
    0x102,
    0x0B,
    0x15,
    0x15,
    0x09,
    0x0100_0001,
    0x06,
];

/// What acknowledged requests are answered with.
const ACKNOWLEDGED: &[u8] = b"acknowledged\0";

/// One step: what happens, and two octets of detail.
pub(crate) type Operation = [u8; 3];

/// What a run starts from, and how it comes to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Setup {
    pub(crate) window: usize,
    pub(crate) keepalive: u64,
    /// Traffic flows from the start, so that sequences need not find the way there.
    pub(crate) bound: bool,
    /// The driver answers nothing any more after the last operation; otherwise it catches up.
    pub(crate) deserted: bool,
}

/// Performs all operations, then brings the session to rest; panics where something does not hold.
pub(crate) fn run(setup: Setup, operations: impl IntoIterator<Item = Operation>) {
    let mut world = World::new(config(setup.window, setup.keepalive));
    if setup.bound {
        world.bind();
    }
    for operation in operations {
        world.perform(operation);
    }
    if setup.deserted { world.desert() } else { world.finish() }
}

struct World {
    relay: Relay,
    shadow: Shadow,
    now: Instant,
    next: u32,
    /// Judged requests with the driver.
    waiting: Vec<(Ticket, Frame)>,
    /// Tickets it has dealt with, to be told of again.
    done: Vec<Ticket>,
    drained: Option<Instant>,
    drain_timeout: Duration,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin of virtual time")]
    fn new(config: RelayConfig) -> Self {
        let now = Instant::now() + Duration::from_secs(3600);
        let drain_timeout = config.drain_timeout;
        let shadow = Shadow::new(&config);
        let relay = Relay::new(config, now);
        Self { relay, shadow, now, next: 1, waiting: Vec::new(), done: Vec::new(), drained: None, drain_timeout }
    }

    fn tell(&mut self, event: Event) {
        self.relay.handle_event(event, self.now);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(action) = self.relay.poll_action() {
            self.shadow.acted(&action);
            if let Action::Judge { ticket, frame, .. } = action {
                self.waiting.push((ticket, frame));
            }
        }
        self.shadow.agrees(&self.relay);
    }

    fn receive(&mut self, leg: Leg, frame: Frame) {
        self.shadow.received(leg, &frame);
        self.tell(Event::Received { leg, frame });
    }

    /// A request of any kind; its number is new, so that its answer can be told from others.
    fn ask(&mut self, leg: Leg, command: u32) {
        self.next += 1;
        let (sequence, body) = (self.next, self.next.to_be_bytes());
        self.receive(leg, shadow::request(command, sequence, &body));
    }

    /// The relay's numbers in flight at a leg, with the `command_id` of the request.
    fn in_flight(&self, leg: Leg) -> Vec<(u32, u32)> {
        let numbers = self.shadow.in_flight[&leg].iter().map(|(own, (command, _))| (*own, *command));
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_unstable();
        numbers
    }

    /// Tickets whose record is asked for and not yet there.
    fn recording(&self) -> Vec<Ticket> {
        let tickets = self.shadow.tickets.iter();
        let mut tickets: Vec<_> =
            tickets.filter(|(_, (_, fate))| matches!(fate, Fate::Recording(_))).map(|(ticket, _)| *ticket).collect();
        tickets.sort();
        tickets
    }

    /// An answer to something in flight: right, wrong, nacked or of another operation.
    fn answer(&mut self, leg: Leg, which: u8, how: u8) {
        let numbers = self.in_flight(leg);
        if numbers.is_empty() {
            return self.receive(leg, shadow::response(0x04, 0, u32::from(which), b"stray\0"));
        }
        let (own, command) = numbers[usize::from(which) % numbers.len()];
        let frame = match how % 8 {
            0 => shadow::response(0, 3, own, &[]),
            1 => shadow::response(command, 0, own ^ (1 << (which % 32)), &[]),
            2 => shadow::response(0x103, u32::from(how), own, &[]),
            3 => shadow::response(command, u32::from(how), own, &[]),
            _ => shadow::response(command, 0, own, b"id\0"),
        };
        self.receive(leg, frame);
    }

    fn judge(&mut self, which: u8, how: u8) {
        if self.waiting.is_empty() {
            return self.judge_again(which, how);
        }
        let (ticket, frame) = self.waiting.swap_remove(usize::from(which) % self.waiting.len());
        let verdict = verdict(how);
        self.shadow.judged(ticket, &frame, verdict, ACKNOWLEDGED);
        self.done.push(ticket);
        self.tell(Event::Judged { ticket, frame, decision: verdict.decision(ACKNOWLEDGED) });
    }

    /// A driver that answers a question twice, and with another frame.
    fn judge_again(&mut self, which: u8, how: u8) {
        let Some(&ticket) = self.done.get(usize::from(which) % self.done.len().max(1)) else { return };
        let decision = verdict(how).decision(b"another");
        self.tell(Event::Judged { ticket, frame: shadow::request(0x04, 1, b"none of these"), decision });
    }

    fn record(&mut self, which: u8, how: u8) {
        let recording = if how.is_multiple_of(8) { self.done.clone() } else { self.recording() };
        if recording.is_empty() {
            return;
        }
        let ticket = recording[usize::from(which) % recording.len()];
        let replaced = |answer: &Frame| {
            Frame::new(answer.command_id(), answer.command_status(), answer.sequence_number(), b"instead\0")
        };
        let answer = self.relay.answer(ticket).filter(|_| how % 3 == 1).map(replaced);
        self.shadow.recorded(ticket, answer.as_ref());
        self.tell(Event::Recorded { ticket, answer });
    }

    /// The gate sends something of its own, or finds that it cannot.
    fn originate(&mut self, asking: Leg) {
        self.next += 1;
        let command = if asking == Leg::Provider { 0x04 } else { 0x05 };
        let frame = shadow::request(command, 0, &self.next.to_be_bytes());
        let snapshot = self.relay.snapshot();
        let full = match asking {
            Leg::Provider => snapshot.provider_pending >= snapshot.provider_window,
            Leg::Carrier => snapshot.carrier_pending >= snapshot.carrier_window,
        };
        self.shadow.originating(asking, &frame);
        let ticket = self.relay.originate(asking, frame.clone(), Permit::unjudged("test"), self.now);
        assert!(ticket.is_none() || !full, "sent beyond the window");
        self.shadow.originated(&self.relay, &frame, ticket);
        self.collect();
    }

    fn decide_bind(&mut self, how: u8) {
        let decision = if how.is_multiple_of(5) { Err(CommandStatus(0xE)) } else { Ok(BindGrant::default()) };
        self.tell(Event::BindJudged { decision });
    }

    fn dial(&mut self, how: u8) {
        if !self.shadow.is_dialling() {
            return;
        }
        let connected = !how.is_multiple_of(5);
        self.shadow.dialled(connected);
        self.tell(if connected { Event::CarrierConnected } else { Event::CarrierUnreachable });
    }

    fn answer_bind(&mut self, which: u8, how: u8) {
        let status = if how.is_multiple_of(5) { 0xE } else { 0 };
        self.receive(Leg::Carrier, shadow::response(0x09, status, u32::from(which % 4), b"smsc\0"));
    }

    fn lose(&mut self, leg: Leg, how: u8) {
        if !self.shadow.is_open(leg) {
            return;
        }
        if how.is_multiple_of(2) {
            self.shadow.closed(leg);
            return self.tell(Event::Closed { leg, cause: Cause::Reset });
        }
        self.shadow.faulted(leg);
        let was_open = self.shadow.is_open(leg);
        self.tell(Event::Faulted { leg, fault: FrameFault::TooShort { command_length: 1 } });
        assert!(!was_open || !self.shadow.is_open(leg), "a leg nobody can read stays open");
    }

    /// Time passes, each timer at its instant; sometimes it is looked at late, or runs backwards.
    fn wait(&mut self, milliseconds: u64, late: bool) {
        let until = self.now + Duration::from_millis(milliseconds);
        let mut idle = 0;
        while let Some(due) = self.relay.poll_timeout().filter(|due| *due <= until) {
            idle = if due > self.now { 0 } else { idle + 1 };
            assert!(idle < 20, "a timer that is due does nothing");
            self.now = if late { until } else { self.now.max(due) };
            self.relay.handle_timeout(self.now);
            self.collect();
        }
        self.now = until;
        self.relay.handle_timeout(self.now);
        self.collect();
        if let Some(drained) = self.drained {
            let overdue = self.now >= drained + self.drain_timeout;
            assert!(!overdue || self.shadow.ended.is_some(), "the drain has no end");
        }
    }

    fn perform(&mut self, [what, a, b]: Operation) {
        let leg = if a.is_multiple_of(2) { Leg::Provider } else { Leg::Carrier };
        match what % 35 {
            0..=9 => {
                // Unbind comes last in the table, so that sessions live a while.
                let command = REQUESTS[usize::from(b) % (REQUESTS.len() - usize::from(!a.is_multiple_of(16)))];
                if self.relay.wants_input(leg) || b > 200 {
                    self.ask(leg, command);
                }
            }
            10..=14 => self.answer(leg, b, a / 2),
            15..=19 => self.judge(a, b),
            20..=24 => self.record(a, b),
            25 => self.wait(u64::from(a) * u64::from(b), false),
            26 => self.wait(u64::from(a), true),
            27 => self.decide_bind(a),
            28 => self.dial(a),
            29 => self.answer_bind(a, b),
            32..=34 => self.originate(leg),
            30 if b > 200 => self.lose(leg, a),
            31 if b > 240 => {
                self.drained = Some(self.now);
                self.tell(Event::Drain);
            }
            30 => self.receive(leg, shadow::response(0x15, 0, u32::from(b), &[])),
            _ => {
                self.now = self.now.checked_sub(Duration::from_millis(u64::from(a))).unwrap_or(self.now);
                self.receive(leg, shadow::response(0x06, 0, u32::from(b), &[]));
            }
        }
    }

    /// Brings the session into traffic, so that sequences need not find the way there.
    fn bind(&mut self) {
        self.ask(Leg::Provider, 0x09);
        self.decide_bind(1);
        self.dial(1);
        self.answer_bind(1, 1);
    }

    /// The driver is never heard of again: a drain still ends the session, with all its records asked for.
    fn desert(mut self) {
        self.drained = Some(self.now);
        self.tell(Event::Drain);
        self.wait(u64::try_from(self.drain_timeout.as_millis()).unwrap_or(u64::MAX), false);
        assert!(self.shadow.ended.is_some(), "no end without the driver");
    }

    /// The driver catches up and every timer runs out.
    fn finish(mut self) {
        for _ in 0..10_000 {
            while !self.waiting.is_empty() {
                self.judge(0, 2);
            }
            while !self.recording().is_empty() && self.shadow.ended.is_none() {
                self.record(0, 1);
            }
            let Some(due) = self.relay.poll_timeout() else {
                return self.shadow.settled();
            };
            self.wait(u64::try_from(due.saturating_duration_since(self.now).as_millis()).unwrap_or(0) + 1, false);
        }
        assert!(!self.shadow.is_open(Leg::Provider) || self.relay.poll_timeout().is_none(), "timers without end");
    }
}

fn verdict(how: u8) -> Verdict {
    match how % 6 {
        0 => Verdict::Refuse,
        1 => Verdict::Acknowledge,
        _ => Verdict::Forward,
    }
}

fn config(window: usize, keepalive: u64) -> RelayConfig {
    RelayConfig {
        provider_window: window,
        carrier_window: window.div_ceil(2),
        enquire_link_interval: Duration::from_secs(keepalive),
        inactivity_timeout: Duration::from_secs(keepalive * 3),
        ..RelayConfig::default()
    }
}
