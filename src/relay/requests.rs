//! Requests: from a leg to the gate, on to the other leg, and their records.
//!
//! Owns the invariants: nothing goes on without a permit, no answer before its record, one
//! answer each. Refuses to decide: `Action::Judge` asks. Driven by `Relay::handle_event`.

use std::time::Instant;

use bytes::Bytes;
use portcullis_protocol::operations::Permission;
use portcullis_protocol::{CommandId, CommandStatus, Frame};

use super::commands::{self, BindKind};
use super::interface::{Action, Decision, Leg, Outcome, Ticket};
use super::state::State;
use super::window::{Stage, Window};
use super::{Relay, statuses};
use crate::rules::Permit;

impl Relay {
    pub(super) fn handle_request(&mut self, leg: Leg, frame: Frame, now: Instant) {
        let command = frame.command_id();
        let sequence = frame.sequence_number();
        match command {
            // Answered in every state, whatever its body holds.
            CommandId::ENQUIRE_LINK => return self.reply(leg, command, sequence, CommandStatus::ESME_ROK),
            CommandId::UNBIND => return self.handle_unbind(leg, sequence, now),
            _ => self.active = now,
        }
        if BindKind::of(command).is_some() {
            return self.handle_bind(leg, frame, now);
        }
        match commands::permitted(command, leg, self.bind) {
            Permission::Unknown => {
                self.counts.unknown += 1;
                let nack = Frame::new(CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDID, sequence, &[]);
                self.send(leg, nack);
            }
            Permission::WrongState => self.answer_wrong_state(leg, command, sequence),
            Permission::Allowed if self.state != State::Bound => self.turn_away(leg, command, sequence),
            Permission::Allowed => self.take(leg, frame, now),
        }
    }

    pub(super) fn answer_wrong_state(&mut self, leg: Leg, command: CommandId, sequence: u32) {
        self.counts.wrong_state += 1;
        if command.wants_response() {
            self.reply(leg, command, sequence, CommandStatus::ESME_RINVBNDSTS);
        }
    }

    /// The session settles: the peer may try again over its next bind.
    fn turn_away(&mut self, leg: Leg, command: CommandId, sequence: u32) {
        if self.links[leg.index()].leaving {
            return self.answer_wrong_state(leg, command, sequence);
        }
        self.counts.turned_away += 1;
        if command.wants_response() {
            self.reply(leg, command, sequence, statuses::unanswered(leg, command));
        }
    }

    fn take(&mut self, leg: Leg, mut frame: Frame, now: Instant) {
        let command = frame.command_id();
        let sequence = frame.sequence_number();
        if !command.wants_response() {
            let own = self.next_sequence(leg.other());
            frame.restamp(own);
            self.counts.forwarded += 1;
            return self.send(leg.other(), frame);
        }
        let judged = commands::is_judged(command);
        let Some(ticket) = self.windows[leg.index()].admit(command, Some(sequence), judged) else {
            self.counts.over_window += 1;
            return self.reply(leg, command, sequence, statuses::over_window(leg));
        };
        if judged {
            self.actions.push_back(Action::Judge { ticket, leg, frame });
        } else {
            self.forward(ticket, frame, Permit::unjudged("carries no text"), now);
        }
    }

    pub(super) fn handle_judged(&mut self, ticket: Ticket, frame: Frame, decision: Decision, now: Instant) {
        let asking = Window::leg_of(ticket);
        let Some(slot) = self.windows[asking.index()].get(ticket) else { return };
        if slot.stage != Stage::Judging {
            return;
        }
        match decision {
            Decision::Forward(permit) if self.can_forward(asking) => self.forward(ticket, frame, permit, now),
            Decision::Forward(_) => {
                let status = statuses::unanswered(asking, slot.command);
                self.conclude(ticket, Outcome::NotForwarded, status, &Bytes::new());
            }
            Decision::Acknowledge { body } => {
                self.counts.acknowledged += 1;
                self.conclude(ticket, Outcome::Acknowledged, CommandStatus::ESME_ROK, &body);
            }
            Decision::Refuse { status, body } => {
                self.counts.refused += 1;
                self.conclude(ticket, Outcome::Refused(status), status, &body);
            }
        }
    }

    /// Sends a request of the gate's own to the leg across from `asking`, within that leg's window.
    ///
    /// Its outcome is asked to be recorded like any other; its answer goes to nobody. `None` when
    /// it cannot be sent now: the window is full, the leg is gone or takes no more.
    pub fn originate(&mut self, asking: Leg, frame: Frame, permit: Permit, now: Instant) -> Option<Ticket> {
        if !self.can_send(asking.other()) {
            return None;
        }
        let ticket = self.windows[asking.index()].admit(frame.command_id(), None, true)?;
        self.counts.originated += 1;
        self.forward(ticket, frame, permit, now);
        Some(ticket)
    }

    fn can_forward(&self, asking: Leg) -> bool {
        self.can_send(asking.other()) && self.links[asking.index()].open
    }

    fn can_send(&self, leg: Leg) -> bool {
        matches!(self.state, State::Bound | State::Settling)
            && !self.abandoning
            && self.links[leg.index()].takes_requests()
    }

    /// The one place where a request goes on.
    fn forward(&mut self, ticket: Ticket, mut frame: Frame, _permit: Permit, now: Instant) {
        let asking = Window::leg_of(ticket);
        let deadline = now + self.config.response_timeout;
        let Some(own) = self.windows[asking.index()].launch(ticket, deadline) else { return };
        frame.restamp(own);
        self.counts.forwarded += 1;
        self.send(asking.other(), frame);
    }

    /// Ends a request with an answer of the gate's own.
    pub(super) fn conclude(&mut self, ticket: Ticket, outcome: Outcome, status: CommandStatus, body: &Bytes) {
        let asking = Window::leg_of(ticket);
        let Some(slot) = self.windows[asking.index()].get(ticket) else { return };
        let answer = Frame::new(slot.command.response(), status, slot.original.unwrap_or_default(), body);
        self.settle(ticket, outcome, answer);
    }

    /// The one place where a request's fate is fixed: to the record, then to the asking leg.
    pub(super) fn settle(&mut self, ticket: Ticket, outcome: Outcome, answer: Frame) {
        let asking = Window::leg_of(ticket);
        let window = &mut self.windows[asking.index()];
        let Some(slot) = window.get(ticket) else { return };
        if slot.judged {
            window.land(ticket, answer);
            self.actions.push_back(Action::Record { ticket, outcome });
        } else {
            window.release(ticket);
            self.send(asking, answer);
        }
    }

    pub(super) fn handle_recorded(&mut self, ticket: Ticket, instead: Option<Frame>, now: Instant) {
        let asking = Window::leg_of(ticket);
        let window = &mut self.windows[asking.index()];
        let Some(slot) = window.get(ticket).filter(|slot| slot.stage == Stage::Recording) else { return };
        let original = slot.original;
        let answer = window.release(ticket);
        // A request of the gate's own has nobody to answer.
        if let (Some(mut answer), Some(original)) = (instead.or(answer), original) {
            answer.restamp(original);
            self.send(asking, answer);
        }
        self.advance(now);
    }
}
