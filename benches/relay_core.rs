//! What the session core costs: one request through it and its answer back.
//!
//! Making and freeing the PDUs is the codec's cost and left out where a peer would do it; a
//! judged message passes judge, forward, record and answer here, with a driver that does
//! each at once. `cargo bench --bench relay_core`; an item is a message with its answer.

use std::time::{Duration, Instant};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use portcullis::relay::{Action, BindGrant, Decision, Event, Leg, Relay, RelayConfig};
use portcullis::rules::Permit;
use portcullis_protocol::{CommandId, CommandStatus, Frame};

const MESSAGES: usize = 1000;

fn main() {
    divan::main();
}

#[expect(clippy::disallowed_methods, reason = "an arbitrary origin of virtual time")]
fn bound(now: &mut Option<Instant>) -> Relay {
    let now = *now.insert(Instant::now());
    let config = RelayConfig { provider_window: MESSAGES, ..RelayConfig::default() };
    let mut relay = Relay::new(config, now);
    let bind = Frame::new(CommandId::BIND_TRANSCEIVER, CommandStatus::ESME_ROK, 1, b"acme\0secret\0\0\x34\0\0\0");
    relay.handle_event(Event::Received { leg: Leg::Provider, frame: bind }, now);
    relay.handle_event(Event::BindJudged { decision: Ok(BindGrant::default()) }, now);
    relay.handle_event(Event::CarrierConnected, now);
    let accepted = Frame::new(CommandId::BIND_TRANSCEIVER.response(), CommandStatus::ESME_ROK, 1, b"smsc\0");
    relay.handle_event(Event::Received { leg: Leg::Carrier, frame: accepted }, now);
    while relay.poll_action().is_some() {}
    relay
}

/// What goes in and what comes out, made before the clock runs and freed after it.
struct Load {
    relay: Relay,
    now: Instant,
    requests: Vec<Frame>,
    answers: Vec<Frame>,
    sent: Vec<Frame>,
}

impl Load {
    fn new(command: CommandId) -> Self {
        let mut now = None;
        let relay = bound(&mut now);
        let frame = |command, number, body| Frame::new(command, CommandStatus::ESME_ROK, number, body);
        // The bind took the carrier's first number.
        let numbers = 1..=u32::try_from(MESSAGES).unwrap_or(0);
        Self {
            relay,
            now: now.unwrap_or_else(|| unreachable!("set by bound")),
            requests: numbers.clone().map(|n| frame(command, n, &[b'x'; 200])).collect(),
            answers: numbers.map(|n| frame(command.response(), n + 1, b"0123456789\0")).collect(),
            sent: Vec::with_capacity(2 * MESSAGES),
        }
    }

    fn tell(&mut self, event: Event) {
        self.relay.handle_event(event, self.now);
        while let Some(action) = self.relay.poll_action() {
            match action {
                Action::Send { frame, .. } => self.sent.push(frame),
                Action::Judge { ticket, frame, .. } => {
                    let decision = Decision::Forward(Permit::unjudged("bench"));
                    self.relay.handle_event(Event::Judged { ticket, frame, decision }, self.now);
                }
                Action::Record { ticket, .. } => {
                    self.relay.handle_event(Event::Recorded { ticket, answer: None }, self.now)
                }
                other => panic!("not expected here: {other:?}"),
            }
        }
        self.now += Duration::from_nanos(100);
        black_box(self.relay.wants_input(Leg::Provider));
        black_box(self.relay.poll_timeout());
    }

    /// All messages, `window` of them under way at a time.
    fn run(mut self, window: usize) -> Self {
        let (mut requests, mut answers) = (std::mem::take(&mut self.requests), std::mem::take(&mut self.answers));
        let (mut requests, mut answers) = (requests.drain(..), answers.drain(..));
        while !requests.as_slice().is_empty() {
            for frame in requests.by_ref().take(window) {
                self.tell(Event::Received { leg: Leg::Provider, frame });
            }
            for frame in answers.by_ref().take(window) {
                self.tell(Event::Received { leg: Leg::Carrier, frame });
            }
        }
        assert_eq!(self.sent.len(), 2 * MESSAGES);
        self
    }
}

#[divan::bench(args = [1, 50, 1000])]
fn submit_sm_judged_and_recorded(bencher: Bencher<'_, '_>, window: usize) {
    bencher
        .with_inputs(|| Load::new(CommandId::SUBMIT_SM))
        .input_counter(|_| ItemsCount::new(MESSAGES))
        .bench_values(|load| load.run(window));
}

#[divan::bench(args = [1, 50, 1000])]
fn query_sm_relayed(bencher: Bencher<'_, '_>, window: usize) {
    bencher
        .with_inputs(|| Load::new(CommandId(0x0000_0003)))
        .input_counter(|_| ItemsCount::new(MESSAGES))
        .bench_values(|load| load.run(window));
}
