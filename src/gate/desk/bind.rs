//! Who may bind: known, from an allowed network, with its password, within its number of binds.

use jiff::Timestamp;
use portcullis_protocol::pdu::Bind;
use portcullis_protocol::{CommandStatus, Frame, Pdu};

use super::Desk;
use crate::register::Provider;
use crate::relay::{BindGrant, Credentials};

/// A refusal, with what is told to the log and the journal.
struct Refused {
    status: CommandStatus,
    why: &'static str,
}

impl Desk {
    /// Decides on a bind and records the decision.
    pub fn judge_bind(&mut self, frame: &Frame, now: Timestamp) -> Result<BindGrant, CommandStatus> {
        let bind = match Pdu::decode(frame) {
            Ok(Pdu::BindTransmitter(bind) | Pdu::BindReceiver(bind) | Pdu::BindTransceiver(bind)) => bind,
            Ok(_) => return Err(CommandStatus::ESME_RINVCMDID),
            Err(fault) => {
                tracing::info!(peer = %self.peer, %fault, "bind refused: its body cannot be read");
                return Err(fault.status);
            }
        };
        let system_id = bind.system_id.to_string();
        let granted = self.grant(&bind, &system_id);
        self.provider = Some(system_id.clone());
        match granted {
            Ok(grant) => {
                tracing::info!(peer = %self.peer, system_id, "bind accepted");
                self.pen().write_session("bind accepted", now);
                Ok(grant)
            }
            Err(refused) => {
                tracing::warn!(peer = %self.peer, system_id, status = ?refused.status, "bind refused: {}", refused.why);
                self.pen().write_session(&format!("bind refused: {}", refused.why), now);
                self.provider = None;
                Err(refused.status)
            }
        }
    }

    fn grant(&self, bind: &Bind<'_>, system_id: &str) -> Result<BindGrant, Refused> {
        let register = self.gate.register.load();
        let Some(provider) = register.provider(system_id) else {
            return Err(Refused { status: CommandStatus::ESME_RINVSYSID, why: "system_id is not in the register" });
        };
        let from = self.peer.ip().to_canonical();
        if !provider.allow.is_empty() && !provider.allow.iter().any(|network| network.contains(&from)) {
            return Err(Refused { status: CommandStatus::ESME_RBINDFAIL, why: "the peer's address is not allowed" });
        }
        if provider.password.as_ref().is_some_and(|password| !password.matches(bind.password.0)) {
            return Err(Refused { status: CommandStatus::ESME_RINVPASWD, why: "wrong password" });
        }
        // Not ESME_RALYBND: common clients take that for being bound.
        if !self.gate.sessions.take_bind(self.session, system_id, provider.max_binds) {
            return Err(Refused { status: CommandStatus::ESME_RBINDFAIL, why: "all of its binds are in use" });
        }
        Ok(BindGrant { credentials: self.credentials(provider, bind), window: provider.window })
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
