//! Who may bind: known, from an allowed network, with its certificate and its password, within
//! its number of binds. And how fast that may be tried: wrong passwords slow the next try.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use portcullis_protocol::pdu::Bind;
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use super::Desk;
use crate::gate::address_range::AddressRange;
use crate::gate::record;
use crate::register::{Provider, WindowOverflow};
use crate::relay::{BindGrant, Credentials};

/// A refusal, with what is told to the log and the journal.
struct Refused {
    status: CommandStatus,
    why: String,
}

impl Refused {
    fn new(status: CommandStatus, why: impl ToString) -> Self {
        Self { status, why: why.to_string() }
    }
}

impl Desk {
    /// How long a bind that has just come waits before it is judged.
    pub fn bind_delay(&self, now: Instant) -> Duration {
        self.gate.attempts.delay(self.place.peer().ip(), now)
    }

    /// Looks at what goes to the provider for the end of a bind, whoever decided on it.
    pub fn notice(&mut self, frame: &Frame, now: Instant) {
        let binds = [CommandId::BIND_TRANSMITTER_RESP, CommandId::BIND_RECEIVER_RESP, CommandId::BIND_TRANSCEIVER_RESP];
        if !binds.contains(&frame.command_id()) {
            return;
        }
        let address = self.place.peer().ip();
        match frame.command_status() {
            CommandStatus::ESME_ROK => self.gate.attempts.succeeded(address),
            // Common clients take it for being bound, and the relay lets them.
            CommandStatus::ESME_RALYBND => {}
            CommandStatus::ESME_RINVPASWD | CommandStatus::ESME_RINVSYSID => {
                self.gate.attempts.failed(address, now);
                self.place.give_back_bind();
            }
            _ => self.place.give_back_bind(),
        }
    }

    /// Who binds, and the carrier addresses it has of its own.
    pub fn destination(&self) -> (&str, &[String]) {
        (self.provider.as_deref().unwrap_or_default(), &self.carrier_addresses)
    }

    /// Decides on a bind and records the decision.
    pub fn judge_bind(&mut self, frame: &Frame, now: Timestamp) -> Result<BindGrant, CommandStatus> {
        let bind = match Pdu::decode(frame) {
            Ok(Pdu::BindTransmitter(bind) | Pdu::BindReceiver(bind) | Pdu::BindTransceiver(bind)) => bind,
            Ok(_) => return Err(CommandStatus::ESME_RINVCMDID),
            Err(fault) => {
                tracing::info!(peer = %self.peer_text, %fault, "bind refused: its body cannot be read");
                self.pen().write_session(&format!("bind refused: its body cannot be read: {fault}"), None, now);
                return Err(fault.status);
            }
        };
        let system_id = bind.system_id.to_string();
        let granted = self.grant(&bind, &system_id);
        self.provider = Some(system_id.clone());
        self.interface_version = bind.interface_version;
        self.address_range = AddressRange::new(bind.address_range.0);
        let said = record::Bind {
            command_id: frame.command_id().0,
            interface_version: bind.interface_version.0,
            system_type: bind.system_type.to_string().into(),
        };
        match granted {
            Ok(grant) => {
                let over = self.secured.as_ref().map(|secured| format!(", {secured}")).unwrap_or_default();
                tracing::info!(peer = %self.peer_text, system_id, "bind accepted{over}");
                self.pen().write_session(record::ACCEPTED, Some(said), now);
                Ok(grant)
            }
            Err(refused) => {
                tracing::warn!(peer = %self.peer_text, system_id, status = ?refused.status, "bind refused: {}", refused.why);
                self.pen().write_session(&format!("bind refused: {}", refused.why), Some(said), now);
                self.provider = None;
                Err(refused.status)
            }
        }
    }

    fn grant(&mut self, bind: &Bind<'_>, system_id: &str) -> Result<BindGrant, Refused> {
        let register = self.gate.register.load_full();
        let Some(provider) = register.provider(system_id) else {
            return Err(Refused::new(CommandStatus::ESME_RINVSYSID, "system_id is not in the register"));
        };
        self.check_origin(provider)?;
        if provider.password.as_ref().is_some_and(|password| !password.matches(bind.password.0)) {
            return Err(Refused::new(CommandStatus::ESME_RINVPASWD, "wrong password"));
        }
        // Not ESME_RALYBND: common clients take that for being bound.
        self.place
            .take_bind(system_id, provider.max_binds)
            .map_err(|full| Refused::new(CommandStatus::ESME_RBINDFAIL, full))?;
        self.allowance = Some(self.gate.allowances.of(system_id));
        self.carrier_addresses.clone_from(&provider.carrier_addresses);
        Ok(BindGrant {
            credentials: self.credentials(provider, bind),
            window: provider.window,
            reject_over_window: provider.window_overflow.map(|overflow| overflow == WindowOverflow::Reject),
        })
    }

    /// Before the password, so that nobody learns from elsewhere whether it was right.
    fn check_origin(&self, provider: &Provider) -> Result<(), Refused> {
        let from = self.place.peer().ip().to_canonical();
        if !provider.allow.is_empty() && !provider.allow.iter().any(|network| network.contains(&from)) {
            return Err(Refused::new(CommandStatus::ESME_RBINDFAIL, "the peer's address is not allowed"));
        }
        let Some(demanded) = &provider.certificate else { return Ok(()) };
        match self.secured.as_ref().and_then(|secured| secured.identity.as_ref()) {
            Some(identity) if identity.is(demanded) => Ok(()),
            Some(identity) => {
                let why = format!("the certificate is another's: {identity}");
                Err(Refused::new(CommandStatus::ESME_RBINDFAIL, why))
            }
            None => Err(Refused::new(CommandStatus::ESME_RBINDFAIL, "it must present its certificate, and did not")),
        }
    }

    /// The provider's own carrier account, else the configured one, else what it sent itself.
    fn credentials(&self, provider: &Provider, bind: &Bind<'_>) -> Option<Credentials> {
        let carrier = &self.gate.carrier_account;
        let system_id = provider.carrier_system_id.as_ref().or(carrier.system_id.as_ref());
        let password = provider.carrier_password.as_ref().or(carrier.password.as_ref());
        if system_id.is_none() && password.is_none() {
            return None;
        }
        Some(Credentials {
            system_id: system_id.map_or_else(|| bind.system_id.0.to_vec(), |own| own.clone().into_bytes()),
            password: password.map_or_else(|| bind.password.0.to_vec(), |own| own.expose().to_vec()),
            system_type: None,
        })
    }
}
