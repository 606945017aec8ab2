//! From the provider's bind to the carrier's answer.
//!
//! Owns the bind under way and the rewriting of its credentials. Refuses to decide on it:
//! `Action::JudgeBind` asks. Driven by `Relay::handle_event`.
//!
//! A bind that fails, whoever refused it, leaves the provider's connection open for another,
//! `bind_attempts` times; each attempt dials the carrier anew.

use std::time::Instant;

use portcullis_protocol::{CommandId, CommandStatus, Frame};

use super::Relay;
use super::commands::BindKind;
use super::ending::Ending;
use super::interface::{Action, BindGrant, Credentials, Leg};
use super::link::Link;
use super::state::{State, Step};

/// A bind under way.
#[derive(Debug)]
pub(super) struct Binding {
    /// As it came, or as it goes to the carrier once granted.
    frame: Frame,
    /// The provider's own sequence number.
    original: u32,
    /// The gate's, towards the carrier.
    own: u32,
}

impl Relay {
    pub(super) fn handle_bind(&mut self, leg: Leg, frame: Frame, now: Instant) {
        let (command, sequence) = (frame.command_id(), frame.sequence_number());
        if leg == Leg::Carrier {
            return self.answer_wrong_state(leg, command, sequence);
        }
        if self.state != State::Open {
            self.counts.wrong_state += 1;
            return self.reply(leg, command, sequence, CommandStatus::ESME_RALYBND);
        }
        self.step(Step::BindReceived);
        self.state_deadline = Some(now + self.config.connect_timeout);
        self.binding = Some(Binding { frame: frame.clone(), original: sequence, own: 0 });
        self.actions.push_back(Action::JudgeBind { frame });
    }

    pub(super) fn handle_bind_judged(&mut self, decision: Result<BindGrant, CommandStatus>, now: Instant) {
        let (State::Judging, Some(binding)) = (self.state, self.binding.as_mut()) else { return };
        let grant = match decision {
            Ok(grant) => grant,
            Err(status) => return self.fail_bind(status, now),
        };
        if let Some(credentials) = &grant.credentials {
            match with_credentials(&binding.frame, credentials) {
                Some(frame) => binding.frame = frame,
                None => return self.fail_bind(CommandStatus::ESME_RBINDFAIL, now),
            }
        }
        self.windows[Leg::Provider.index()].set_limit(grant.window.unwrap_or(self.config.provider_window));
        self.rejects_over_window = grant.reject_over_window.unwrap_or(self.config.reject_over_window);
        self.step(Step::BindGranted);
        self.links[Leg::Carrier.index()].dialling = true;
        self.actions.push_back(Action::Connect);
    }

    pub(super) fn handle_connected(&mut self, now: Instant) {
        if self.state != State::Connecting {
            return;
        }
        let own = self.next_sequence(Leg::Carrier);
        let Some(binding) = self.binding.as_mut() else { return };
        binding.own = own;
        let mut frame = binding.frame.clone();
        frame.restamp(own);
        self.links[Leg::Carrier.index()] = Link::new(true, now);
        self.step(Step::Connected);
        self.state_deadline = Some(now + self.config.response_timeout);
        self.send(Leg::Carrier, frame);
    }

    pub(super) fn handle_unreachable(&mut self, now: Instant) {
        if self.state == State::Connecting {
            self.links[Leg::Carrier.index()].dialling = false;
            self.fail_bind(CommandStatus::ESME_RBINDFAIL, now);
        }
    }

    /// The carrier's word on the bind. A nack without our number can only mean it: nothing
    /// else is under way.
    pub(super) fn handle_bind_answer(&mut self, mut frame: Frame, now: Instant) {
        let Some(binding) = &self.binding else { return };
        let (command, status) = (frame.command_id(), frame.command_status());
        let bind = binding.frame.command_id();
        let ours = frame.sequence_number() == binding.own;
        if command == CommandId::GENERIC_NACK && (ours || frame.sequence_number() == 0) {
            let status = if status == CommandStatus::ESME_ROK { CommandStatus::ESME_RBINDFAIL } else { status };
            return self.fail_bind(status, now);
        }
        if command != bind.response() || !ours {
            self.counts.unsolicited += 1;
            return;
        }
        frame.restamp(binding.original);
        // The provider decides what ESME_RALYBND means to it; many take it as bound, and
        // then its traffic must find the way open.
        if matches!(status, CommandStatus::ESME_ROK | CommandStatus::ESME_RALYBND) {
            self.step(Step::BindAccepted);
            self.bind = BindKind::of(bind);
            self.binding = None;
            self.state_deadline = None;
            return self.send(Leg::Provider, frame);
        }
        self.send(Leg::Provider, frame);
        self.reopen(status, now);
    }

    /// Answers the bind in the carrier's place.
    pub(super) fn fail_bind(&mut self, status: CommandStatus, now: Instant) {
        if let Some(binding) = &self.binding {
            let (bind, original) = (binding.frame.command_id(), binding.original);
            self.reply(Leg::Provider, bind, original, status);
        }
        self.reopen(status, now);
    }

    /// Back to an open connection, or to its end where binds are refused again and again.
    fn reopen(&mut self, status: CommandStatus, now: Instant) {
        self.close(Leg::Carrier);
        self.binding = None;
        self.step(Step::BindFailed);
        self.state_deadline = Some(now + self.config.session_init_timeout);
        self.bind_failures += 1;
        if self.bind_failures >= self.config.bind_attempts {
            self.end(Ending::BindRefused(status));
        }
    }

    /// The process stops before the bind is decided.
    pub(super) fn refuse_for_drain(&mut self, binding: &Binding) {
        self.reply(Leg::Provider, binding.frame.command_id(), binding.original, CommandStatus::ESME_RBINDFAIL);
    }
}

/// The same bind with other credentials: `system_id`, `password` and `system_type` are its first
/// three fields, C-octet strings all (SMPP 3.4 §4.1.1). `None` where it has none such.
fn with_credentials(bind: &Frame, credentials: &Credentials) -> Option<Frame> {
    let (_, rest) = c_octets(bind.body())?;
    let (_, rest) = c_octets(rest)?;
    let (system_type, rest) = c_octets(rest)?;
    let system_type = credentials.system_type.as_deref().unwrap_or(system_type);
    let mut body = Vec::with_capacity(bind.body().len());
    for field in [&credentials.system_id, &credentials.password, system_type] {
        body.extend_from_slice(field);
        body.push(0);
    }
    body.extend_from_slice(rest);
    Some(Frame::new(bind.command_id(), bind.command_status(), bind.sequence_number(), &body))
}

fn c_octets(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&octet| octet == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}
