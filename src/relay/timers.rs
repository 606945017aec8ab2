//! What time alone brings about.
//!
//! Owns the timers: session-init, bind, response, enquire-link, inactivity, unbind, drain.
//! Refuses to read a clock: `now` is given. Driven by `Relay::handle_timeout`.

use std::time::{Duration, Instant};

use portcullis_protocol::{CommandId, CommandStatus, Frame};

use super::Relay;
use super::ending::Ending;
use super::interface::{Leg, Outcome};
use super::link::Asked;
use super::state::State;

impl Relay {
    /// When `handle_timeout` is to be called next, events aside.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let mut next = earlier(self.state_deadline, self.last_deadline);
        for leg in Leg::BOTH {
            next = earlier(next, self.windows[leg.index()].oldest_deadline());
            next = earlier(next, self.silence_deadline(leg));
        }
        earlier(next, self.inactivity_deadline())
    }

    /// Does what is due. Calling it early or late does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state == State::Ended {
            return;
        }
        self.expire(now);
        self.note_pauses(now);
    }

    fn expire(&mut self, now: Instant) {
        for leg in Leg::BOTH {
            self.expire_requests(leg, now);
        }
        if self.state_deadline.is_some_and(|deadline| deadline <= now) {
            return self.expire_state(now);
        }
        if self.last_deadline.is_some_and(|deadline| deadline <= now) {
            return self.complete();
        }
        if self.inactivity_deadline().is_some_and(|deadline| deadline <= now) {
            self.finish(Ending::Inactive, now);
        }
        for leg in Leg::BOTH {
            if self.silence_deadline(leg).is_some_and(|deadline| deadline <= now) {
                self.handle_silence(leg, now);
            }
        }
        self.advance(now);
    }

    fn expire_requests(&mut self, asking: Leg, now: Instant) {
        while self.windows[asking.index()].oldest_deadline().is_some_and(|deadline| deadline <= now) {
            let Some(ticket) = self.windows[asking.index()].oldest() else { return };
            self.counts.timed_out += 1;
            self.conclude_unanswered(ticket, Outcome::TimedOut);
        }
    }

    fn expire_state(&mut self, now: Instant) {
        match self.state {
            State::Open => self.end(Ending::SessionInitTimeout),
            State::Judging | State::Connecting | State::Binding => self.fail_bind(CommandStatus::ESME_RBINDFAIL, now),
            State::Settling => self.stop_settling(now),
            State::Unbinding => self.complete(),
            State::Bound | State::Ended => self.state_deadline = None,
        }
    }

    /// When a leg has been silent for too long: to be asked, or not to be waited for any more.
    /// A leg that is not read is not silent.
    fn silence_deadline(&self, leg: Leg) -> Option<Instant> {
        let interval = self.config.enquire_link_interval;
        if self.state != State::Bound || interval == Duration::ZERO || !self.wants_input(leg) {
            return None;
        }
        let link = &self.links[leg.index()];
        match link.enquired {
            Some(asked) if asked.since >= link.heard => Some(asked.since + self.config.response_timeout),
            _ => Some(link.heard + interval),
        }
    }

    fn handle_silence(&mut self, leg: Leg, now: Instant) {
        let link = &self.links[leg.index()];
        if link.enquired.is_some_and(|asked| asked.since >= link.heard) {
            let ending = match leg {
                Leg::Provider => Ending::ProviderSilent,
                Leg::Carrier => Ending::CarrierSilent,
            };
            self.close(leg);
            return self.lose(leg, ending, now);
        }
        let sequence = self.next_sequence(leg);
        self.links[leg.index()].enquired = Some(Asked { sequence, since: now });
        self.send(leg, Frame::new(CommandId::ENQUIRE_LINK, CommandStatus::ESME_ROK, sequence, &[]));
    }

    fn inactivity_deadline(&self) -> Option<Instant> {
        let timeout = self.config.inactivity_timeout;
        (self.state == State::Bound && timeout != Duration::ZERO).then(|| self.active + timeout)
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
