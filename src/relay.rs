//! The session core: one provider's connection and the carrier's behind it.
//!
//! Owns the bind states of both legs, the window, sequence numbers, timers and the order
//! *judged, forwarded, recorded, answered*. Refuses I/O, clocks, randomness, reading texts
//! and deciding on them: judging and recording are questions to the driver.
//!
//! Driven by the proxy: after every `handle_event` and `handle_timeout` it takes all of
//! `poll_action()` in order, and calls `handle_timeout` when `poll_timeout()` has come.
//! Before reading a leg, **and before handing over each frame it has already read**, it asks
//! `wants_input(leg)`: `false` leaves the bytes where they are, and the peer feels it as TCP
//! back-pressure. So traffic in the same segment as a bind waits and is not lost.
//!
//! What the driver has to write to a leg is bounded by both windows and by the answers to
//! what that same leg asks (`enquire_link`, what it may not send). So a driver whose socket
//! takes no more pauses reading *that* leg, and needs no other rule against a slow peer.

mod binding;
mod commands;
mod config;
mod ending;
mod finishing;
mod interface;
mod link;
mod requests;
mod responses;
mod snapshot;
mod state;
mod statuses;
mod timers;
mod window;

use std::collections::VecDeque;
use std::time::Instant;

use portcullis_protocol::{CommandId, CommandStatus, Frame};

pub use commands::BindKind;
pub use config::RelayConfig;
pub use ending::Ending;
pub use interface::{Action, BindGrant, Cause, Credentials, Decision, Event, Leg, Outcome, Ticket};
pub use snapshot::{Counts, Snapshot};
pub use state::State;
pub use statuses::unanswerable;

use binding::Binding;
use link::Link;
use state::Step;
use window::Window;

/// One session. See the module's header for how it is driven.
#[derive(Debug)]
pub struct Relay {
    config: RelayConfig,
    state: State,
    bind: Option<BindKind>,
    binding: Option<Binding>,
    bind_failures: u32,
    /// By the leg whose connection it is.
    links: [Link; 2],
    /// By the leg that asks.
    windows: [Window; 2],
    /// When the present state has lasted long enough, where it has a limit.
    state_deadline: Option<Instant>,
    /// When the session must be over.
    last_deadline: Option<Instant>,
    active: Instant,
    /// The provider's requests beyond its window are refused, not left unread.
    rejects_over_window: bool,
    /// Settling took too long: nothing is forwarded any more, only records are waited for.
    abandoning: bool,
    ending: Option<Ending>,
    counts: Counts,
    actions: VecDeque<Action>,
}

impl Relay {
    /// A session whose provider has just connected.
    pub fn new(config: RelayConfig, now: Instant) -> Self {
        let config = config.clamped();
        Self {
            state: State::Open,
            bind: None,
            binding: None,
            bind_failures: 0,
            links: [Link::new(true, now), Link::new(false, now)],
            windows: [
                Window::new(Leg::Provider, config.provider_window),
                Window::new(Leg::Carrier, config.carrier_window),
            ],
            state_deadline: Some(now + config.session_init_timeout),
            last_deadline: None,
            active: now,
            rejects_over_window: config.reject_over_window,
            abandoning: false,
            ending: None,
            counts: Counts::default(),
            actions: VecDeque::new(),
            config,
        }
    }

    /// Takes in what happened. Nothing that comes after `Action::Ended` has an effect.
    pub fn handle_event(&mut self, event: Event, now: Instant) {
        if self.state == State::Ended {
            return;
        }
        self.dispatch(event, now);
        self.note_pauses(now);
    }

    fn dispatch(&mut self, event: Event, now: Instant) {
        match event {
            Event::Received { leg, frame } => self.handle_frame(leg, frame, now),
            Event::Judged { ticket, frame, decision } => self.handle_judged(ticket, frame, decision, now),
            Event::Recorded { ticket, answer } => self.handle_recorded(ticket, answer, now),
            Event::BindJudged { decision } => self.handle_bind_judged(decision, now),
            Event::CarrierConnected => self.handle_connected(now),
            Event::CarrierUnreachable => self.handle_unreachable(now),
            Event::Closed { leg, cause } => self.handle_closed(leg, cause, now),
            Event::Faulted { leg, fault } => self.handle_fault(leg, fault, now),
            Event::Drain => self.handle_drain(now),
        }
    }

    /// The next thing to do, in order; `None` when all is done.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether this leg's next frame may come.
    ///
    /// The carrier is read beyond its window while the provider's is full: the answers that
    /// free the provider's window come behind the carrier's requests, and both legs paused
    /// would wait for each other. What it asks then is answered as temporarily failed.
    pub fn wants_input(&self, leg: Leg) -> bool {
        let link = &self.links[leg.index()];
        let full = |leg: Leg| self.windows[leg.index()].is_full();
        link.open
            && match (self.state, leg) {
                (State::Ended, _) => false,
                (state, Leg::Provider) if state.is_binding() => false,
                (State::Bound, Leg::Provider) => !full(Leg::Provider) || self.rejects_over_window,
                (State::Bound, Leg::Carrier) => !full(Leg::Carrier) || full(Leg::Provider),
                _ => true,
            }
    }

    /// The answer that waits for this ticket's record.
    pub fn answer(&self, ticket: Ticket) -> Option<&Frame> {
        self.windows[Window::leg_of(ticket).index()].get(ticket)?.answer.as_ref()
    }

    /// Why the session is over, or is about to be.
    pub const fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// The session's figures.
    pub fn snapshot(&self) -> Snapshot {
        let [provider, carrier] = &self.windows;
        Snapshot {
            state: self.state,
            bind: self.bind,
            provider_pending: provider.len(),
            provider_window: provider.limit(),
            carrier_pending: carrier.len(),
            carrier_window: carrier.limit(),
            counts: self.counts,
        }
    }

    fn handle_frame(&mut self, leg: Leg, frame: Frame, now: Instant) {
        let link = &mut self.links[leg.index()];
        if !link.open {
            return;
        }
        link.heard = now;
        let command = frame.command_id();
        if command.is_response() {
            self.handle_response(leg, frame, now);
        } else {
            self.handle_request(leg, frame, now);
        }
    }

    /// A leg that is not read cannot be heard: its silence counts from when reading goes on.
    fn note_pauses(&mut self, now: Instant) {
        for leg in Leg::BOTH {
            let reading = self.wants_input(leg);
            let link = &mut self.links[leg.index()];
            if reading && !link.reading {
                link.heard = now;
            }
            link.reading = reading;
        }
    }

    fn step(&mut self, step: Step) {
        self.state = self.state.after(step);
    }

    fn send(&mut self, leg: Leg, frame: Frame) {
        if self.links[leg.index()].open {
            self.actions.push_back(Action::Send { leg, frame });
        }
    }

    /// Answers a request in the peer's place with a header alone.
    fn reply(&mut self, leg: Leg, command: CommandId, sequence: u32, status: CommandStatus) {
        self.send(leg, Frame::new(command.response(), status, sequence, &[]));
    }

    /// Closes the connection, or gives up the dial for it.
    fn close(&mut self, leg: Leg) {
        let link = &mut self.links[leg.index()];
        let (open, dialling) = (std::mem::take(&mut link.open), std::mem::take(&mut link.dialling));
        if open || dialling {
            self.actions.push_back(Action::Close { leg });
        }
    }

    /// The numbers the gate uses towards `leg` are kept with the requests it sends there.
    fn next_sequence(&mut self, leg: Leg) -> u32 {
        self.windows[leg.other().index()].next_sequence()
    }
}
