//! What the core needs to know of each operation.
//!
//! Owns the division into judged and merely relayed operations, and the reading of the
//! specification's table for a leg. Refuses to look at bodies. Driven by the relay.

use portcullis_protocol::CommandId;
use portcullis_protocol::operations::{self, BindState, Permission, Side};

use super::interface::Leg;

/// The three kinds of session a provider can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BindKind {
    /// The provider sends.
    Transmitter,
    /// The provider receives.
    Receiver,
    /// Both.
    Transceiver,
}

impl BindKind {
    pub(super) const fn of(command: CommandId) -> Option<Self> {
        match command {
            CommandId::BIND_TRANSMITTER => Some(Self::Transmitter),
            CommandId::BIND_RECEIVER => Some(Self::Receiver),
            CommandId::BIND_TRANSCEIVER => Some(Self::Transceiver),
            _ => None,
        }
    }
}

/// Whether `from` may ask this under this bind, by the specification.
pub(super) const fn permitted(command: CommandId, from: Leg, bind: Option<BindKind>) -> Permission {
    let state = match bind {
        None => BindState::Open,
        Some(BindKind::Transmitter) => BindState::BoundTransmitter,
        Some(BindKind::Receiver) => BindState::BoundReceiver,
        Some(BindKind::Transceiver) => BindState::BoundTransceiver,
    };
    let side = match from {
        Leg::Provider => Side::Esme,
        Leg::Carrier => Side::Smsc,
    };
    operations::permitted(command, side, state)
}

/// Whether the gate decides on this operation: it carries or changes text, or it names a message
/// that the gate may know under another `message_id` than the carrier does.
pub(super) const fn is_judged(command: CommandId) -> bool {
    matches!(
        command,
        CommandId::SUBMIT_SM
            | CommandId::DELIVER_SM
            | CommandId::DATA_SM
            | CommandId::SUBMIT_MULTI
            | CommandId::REPLACE_SM
            | CommandId::BROADCAST_SM
            | CommandId::QUERY_SM
            | CommandId::CANCEL_SM
    )
}
