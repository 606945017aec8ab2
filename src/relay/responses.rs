//! Responses: back to whoever asked.
//!
//! Owns the matching of answers to requests. Refuses to forward what answers nothing: a
//! late, repeated or unsolicited response is counted and dropped. The record of a request
//! that timed out stays as it is, for its peer was told so. Driven by `Relay::handle_event`.

use std::time::Instant;

use portcullis_protocol::{CommandId, CommandStatus, Frame};

use super::Relay;
use super::interface::{Leg, Outcome};
use super::state::State;

impl Relay {
    pub(super) fn handle_response(&mut self, leg: Leg, frame: Frame, now: Instant) {
        let sequence = frame.sequence_number();
        match frame.command_id() {
            CommandId::ENQUIRE_LINK_RESP => return self.handle_enquire_link_resp(leg, sequence),
            CommandId::UNBIND_RESP if self.links[leg.index()].unbinding.is_some() => {
                return self.handle_unbound(leg, now);
            }
            _ => self.active = now,
        }
        if self.state == State::Binding && leg == Leg::Carrier {
            return self.handle_bind_answer(frame, now);
        }
        match self.windows[leg.other().index()].find(sequence) {
            Some(_) => self.handle_answer(leg, frame),
            None => self.handle_unmatched(leg, &frame, now),
        }
        self.advance(now);
    }

    /// A response whose number is in flight.
    ///
    /// | `command_id` | status | what the asking leg gets |
    /// |---|---|---|
    /// | the request's | any | these bytes, its own sequence number |
    /// | `generic_nack` | any | its own response, a header with this status |
    /// | another | error | the same: some peers answer errors under another operation |
    /// | another | `ESME_ROK` | nothing yet: a success of something else is none of this request |
    fn handle_answer(&mut self, leg: Leg, mut frame: Frame) {
        let asking = leg.other();
        let Some(slot) = self.windows[asking.index()].find(frame.sequence_number()) else { return };
        let (ticket, original, expected) = (slot.ticket, slot.original, slot.command.response());
        let (command, status) = (frame.command_id(), frame.command_status());
        if command == expected {
            self.counts.answered += 1;
            frame.restamp(original.unwrap_or_default());
            return self.settle(ticket, Outcome::Answered(status), frame);
        }
        let status = match (command, status) {
            (CommandId::GENERIC_NACK, CommandStatus::ESME_ROK) => CommandStatus::ESME_RSYSERR,
            (_, CommandStatus::ESME_ROK) => {
                self.counts.unsolicited += 1;
                return;
            }
            _ => status,
        };
        self.counts.answered += 1;
        self.counts.nacked += 1;
        self.settle(ticket, Outcome::Nacked(status), Frame::new(expected, status, original.unwrap_or_default(), &[]));
    }

    fn handle_unmatched(&mut self, leg: Leg, frame: &Frame, now: Instant) {
        let sequence = frame.sequence_number();
        let link = &mut self.links[leg.index()];
        if frame.command_id() == CommandId::GENERIC_NACK {
            // A peer that knows no enquire_link is alive all the same.
            if link.enquired.is_some_and(|asked| asked.sequence == sequence) {
                link.enquired = None;
                return;
            }
            if link.unbinding.is_some_and(|asked| asked.sequence == sequence) {
                return self.handle_unbound(leg, now);
            }
        }
        if self.windows[leg.other().index()].was_used(sequence) {
            self.counts.late += 1;
        } else {
            self.counts.unsolicited += 1;
        }
    }

    fn handle_enquire_link_resp(&mut self, leg: Leg, sequence: u32) {
        let link = &mut self.links[leg.index()];
        if link.enquired.take_if(|asked| asked.sequence == sequence).is_none() {
            self.counts.unsolicited += 1;
        }
    }
}
