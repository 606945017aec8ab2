//! What the core needs to know of each operation.
//!
//! Owns the division into judged and merely relayed operations. Refuses to look at bodies.
//! Driven by the relay.

use portcullis_protocol::CommandId;

use super::interface::Leg;

pub(super) const QUERY_SM: CommandId = CommandId(0x0000_0003);
pub(super) const REPLACE_SM: CommandId = CommandId(0x0000_0007);
pub(super) const CANCEL_SM: CommandId = CommandId(0x0000_0008);
pub(super) const OUTBIND: CommandId = CommandId(0x0000_000B);
pub(super) const SUBMIT_MULTI: CommandId = CommandId(0x0000_0021);
pub(super) const ALERT_NOTIFICATION: CommandId = CommandId(0x0000_0102);
pub(super) const DATA_SM: CommandId = CommandId(0x0000_0103);
pub(super) const BROADCAST_SM: CommandId = CommandId(0x0000_0111);
pub(super) const QUERY_BROADCAST_SM: CommandId = CommandId(0x0000_0112);
pub(super) const CANCEL_BROADCAST_SM: CommandId = CommandId(0x0000_0113);

/// Whether this operation carries or changes text, so that the gate decides on it.
pub(super) const fn is_judged(command: CommandId) -> bool {
    matches!(command, CommandId::SUBMIT_SM | CommandId::DELIVER_SM | DATA_SM | SUBMIT_MULTI | REPLACE_SM | BROADCAST_SM)
}

/// Whether this is one of the three binds.
pub(super) const fn is_bind(command: CommandId) -> bool {
    matches!(command, CommandId::BIND_TRANSMITTER | CommandId::BIND_RECEIVER | CommandId::BIND_TRANSCEIVER)
}

/// Whether the specification has no response for this request.
pub(super) const fn is_unanswered(command: CommandId) -> bool {
    matches!(command, ALERT_NOTIFICATION | OUTBIND)
}

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

/// What the specification's table says of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Permission {
    Allowed,
    WrongState,
    Unknown,
}

/// Who may send what in which bind (SMPP 3.4 §2.3, SMPP 5.0 §2.4).
pub(super) const fn permitted(command: CommandId, from: Leg, bind: Option<BindKind>) -> Permission {
    let allowed = match command {
        CommandId::SUBMIT_SM
        | SUBMIT_MULTI
        | REPLACE_SM
        | QUERY_SM
        | CANCEL_SM
        | BROADCAST_SM
        | QUERY_BROADCAST_SM
        | CANCEL_BROADCAST_SM => matches!(from, Leg::Provider) && sends(bind),
        CommandId::DELIVER_SM | ALERT_NOTIFICATION => matches!(from, Leg::Carrier) && receives(bind),
        DATA_SM => match from {
            Leg::Provider => sends(bind),
            Leg::Carrier => receives(bind),
        },
        OUTBIND => false,
        _ => return Permission::Unknown,
    };
    if allowed { Permission::Allowed } else { Permission::WrongState }
}

const fn sends(bind: Option<BindKind>) -> bool {
    matches!(bind, Some(BindKind::Transmitter | BindKind::Transceiver))
}

const fn receives(bind: Option<BindKind>) -> bool {
    matches!(bind, Some(BindKind::Receiver | BindKind::Transceiver))
}
