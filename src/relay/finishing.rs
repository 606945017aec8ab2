//! How a session comes to its end.
//!
//! Owns settling, unbinding and the named ending. Refuses to wait for ever: every wait here
//! has its deadline. Driven by `Relay::handle_event` and `handle_timeout`.
//!
//! Whatever the reason, a bound session first settles: no new request is taken, requests
//! under way get their answers (from a leg that is gone: its loss is recorded and the asking
//! leg answered as temporarily failed). Then each leg still there is asked to unbind, the
//! peer's own `unbind` is answered last, and both connections close.

use std::time::Instant;

use bytes::Bytes;
use portcullis_protocol::{CommandId, CommandStatus, Frame, FrameFault};

use super::ending::Ending;
use super::interface::{Action, Cause, Leg, Outcome, Ticket};
use super::link::Asked;
use super::state::{State, Step};
use super::window::Stage;
use super::{Relay, statuses};

impl Relay {
    pub(super) fn handle_unbind(&mut self, leg: Leg, sequence: u32, now: Instant) {
        if self.state != State::Bound && !self.state.is_finishing() {
            return self.answer_wrong_state(leg, CommandId::UNBIND, sequence);
        }
        let link = &mut self.links[leg.index()];
        link.leaving = true;
        let crossed = link.unbinding.take().is_some();
        if crossed || link.unbind_received.is_some() {
            // Both sides unbind at once, or the peer asks again: it need not wait.
            self.reply(leg, CommandId::UNBIND, sequence, CommandStatus::ESME_ROK);
        } else {
            link.unbind_received = Some(sequence);
        }
        let ending = match leg {
            Leg::Provider => Ending::ProviderUnbound,
            Leg::Carrier => Ending::CarrierUnbound,
        };
        self.finish(ending, now);
        self.advance(now);
    }

    pub(super) fn handle_unbound(&mut self, leg: Leg, now: Instant) {
        self.links[leg.index()].unbinding = None;
        self.advance(now);
    }

    pub(super) fn handle_closed(&mut self, leg: Leg, cause: Cause, now: Instant) {
        let ending = match leg {
            Leg::Provider if self.bind.is_none() => Ending::NeverBound(cause),
            Leg::Provider => Ending::ProviderLost(cause),
            Leg::Carrier => Ending::CarrierLost(cause),
        };
        self.lose(leg, ending, now);
    }

    /// Only a broken length ends a connection. A bound peer is told why; what never bound is
    /// most likely no SMPP at all and gets no answer.
    pub(super) fn handle_fault(&mut self, leg: Leg, fault: FrameFault, now: Instant) {
        if self.bind.is_some() {
            self.send(leg, Frame::new(CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDLEN, 0, &[]));
        }
        self.close(leg);
        let ending = match leg {
            Leg::Provider => Ending::ProviderFrameFault(fault),
            Leg::Carrier => Ending::CarrierFrameFault(fault),
        };
        self.lose(leg, ending, now);
    }

    pub(super) fn handle_drain(&mut self, now: Instant) {
        self.last_deadline = Some(now + self.config.drain_timeout);
        if self.state == State::Bound || self.state.is_finishing() {
            let settling = now + self.config.drain_timeout.saturating_sub(self.unbind_timeout());
            self.finish(Ending::Drained, now);
            if self.state == State::Settling {
                self.state_deadline = self.state_deadline.map(|deadline| deadline.min(settling));
            }
            return self.advance(now);
        }
        if let Some(binding) = self.binding.take() {
            self.refuse_for_drain(&binding);
        }
        self.end(Ending::Drained);
    }

    /// Ends a session whose leg is gone: at once where none is bound, settling otherwise.
    pub(super) fn lose(&mut self, leg: Leg, ending: Ending, now: Instant) {
        let link = &mut self.links[leg.index()];
        link.open = false;
        link.dialling = false;
        link.unbinding = None;
        link.unbind_received = None;
        match (self.state, leg) {
            (State::Open | State::Judging | State::Connecting | State::Binding, Leg::Provider) => self.end(ending),
            (State::Connecting | State::Binding, Leg::Carrier) => self.fail_bind(CommandStatus::ESME_RBINDFAIL, now),
            (State::Bound | State::Settling | State::Unbinding, _) => {
                self.finish(ending, now);
                let outcome = match leg {
                    Leg::Provider => Outcome::ProviderLost,
                    Leg::Carrier => Outcome::CarrierLost,
                };
                self.give_up_on(leg.other(), outcome);
                self.advance(now);
            }
            _ => {}
        }
    }

    /// Takes no more requests, for the first reason there is.
    pub(super) fn finish(&mut self, ending: Ending, now: Instant) {
        if self.state != State::Bound {
            return;
        }
        self.step(Step::Finish);
        self.ending = Some(ending);
        self.state_deadline = Some(now + self.config.response_timeout);
    }

    /// Fixes the fate of every request of `asking` that is with the other leg.
    fn give_up_on(&mut self, asking: Leg, outcome: Outcome) {
        while let Some(ticket) = self.windows[asking.index()].oldest() {
            self.conclude_unanswered(ticket, outcome);
        }
    }

    /// Answers a request in flight that will get no answer.
    pub(super) fn conclude_unanswered(&mut self, ticket: Ticket, outcome: Outcome) {
        let asking = super::Window::leg_of(ticket);
        let Some(slot) = self.windows[asking.index()].get(ticket) else { return };
        let status = statuses::unanswered(asking, slot.command);
        self.conclude(ticket, outcome, status, &Bytes::new());
    }

    /// Moves a finishing session on as far as it can go now.
    pub(super) fn advance(&mut self, now: Instant) {
        if self.state == State::Settling && self.windows.iter().all(|window| window.is_empty()) {
            self.unbind_legs(now);
        }
        if self.state == State::Unbinding
            && self.windows.iter().all(|window| window.is_empty())
            && self.links.iter().all(|link| link.unbinding.is_none())
        {
            self.complete();
        }
    }

    /// Time is up for settling: what is in flight is recorded as such and answered, and a
    /// little later the legs unbind whether or not the records are there.
    pub(super) fn stop_settling(&mut self, now: Instant) {
        if std::mem::replace(&mut self.abandoning, true) || self.windows.iter().all(|window| window.oldest().is_none())
        {
            self.unbind_legs(now);
        } else {
            self.state_deadline = Some(now + self.unbind_timeout() / 2);
            for asking in Leg::BOTH {
                self.give_up_on(asking, Outcome::Abandoned);
            }
        }
        self.advance(now);
    }

    fn unbind_legs(&mut self, now: Instant) {
        self.step(Step::Settled);
        for leg in Leg::BOTH {
            if self.links[leg.index()].takes_requests() {
                let sequence = self.next_sequence(leg);
                self.links[leg.index()].unbinding = Some(Asked { sequence, since: now });
                self.send(leg, Frame::new(CommandId::UNBIND, CommandStatus::ESME_ROK, sequence, &[]));
            }
        }
        self.state_deadline = Some(now + self.unbind_timeout());
    }

    /// Half of the drain time at most, so that settling has its share.
    fn unbind_timeout(&self) -> std::time::Duration {
        match self.last_deadline {
            Some(_) => self.config.unbind_timeout.min(self.config.drain_timeout / 2),
            None => self.config.unbind_timeout,
        }
    }

    /// The end of a session that was bound.
    pub(super) fn complete(&mut self) {
        for leg in Leg::BOTH {
            if let Some(sequence) = self.links[leg.index()].unbind_received.take() {
                self.reply(leg, CommandId::UNBIND, sequence, CommandStatus::ESME_ROK);
            }
        }
        let ending = self.ending.unwrap_or(Ending::Drained);
        self.end(ending);
    }

    /// Over: every ticket has its record, every connection is closed.
    pub(super) fn end(&mut self, ending: Ending) {
        self.close(Leg::Carrier);
        self.close(Leg::Provider);
        for window in &mut self.windows {
            for slot in window.pending().filter(|slot| slot.judged) {
                let outcome = match slot.stage {
                    Stage::Judging => Outcome::NotForwarded,
                    Stage::InFlight => Outcome::Abandoned,
                    Stage::Recording | Stage::Free => continue,
                };
                self.actions.push_back(Action::Record { ticket: slot.ticket, outcome });
            }
            window.clear();
        }
        self.ending = Some(ending);
        self.state_deadline = None;
        self.last_deadline = None;
        self.step(Step::Done);
        self.actions.push_back(Action::Ended(ending));
    }
}
