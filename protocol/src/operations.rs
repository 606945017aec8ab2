//! Who may send what in which bind state (SMPP 3.4 §2.3, SMPP 5.0 §2.4).
//!
//! Owns that one table; SMPP 3.3 peers have a subset of it. Refuses to act on the answer
//! and to track a state. Driven by whoever is about to accept or to send a PDU.
//!
//! Where the two versions differ the wider one stands: `enquire_link` and `generic_nack`
//! are taken at any time the connection is open (5.0), `replace_sm` from transceivers too.
//! `data_sm` follows the direction it is bound for, as 5.0 has it.

use crate::command::CommandId;

/// Where a session stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BindState {
    /// Connected, not bound.
    Open,
    /// Connected by the carrier, which has sent `outbind`.
    Outbound,
    /// Bound to send.
    BoundTransmitter,
    /// Bound to receive.
    BoundReceiver,
    /// Bound for both.
    BoundTransceiver,
    /// `unbind` has been sent or received.
    Unbound,
    /// Not connected.
    Closed,
}

/// Which end of a session sends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// The one that binds.
    Esme,
    /// The one that is bound to; the message centre in 5.0.
    Smsc,
}

/// What the table says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Permission {
    /// This side may send it in this state.
    Allowed,
    /// Another side may, or this one in another state.
    WrongState,
    /// No specification knows the operation.
    Unknown,
}

/// A set of [`BindState`]s.
#[derive(Clone, Copy)]
struct States(u8);

impl States {
    const NONE: Self = Self(0);
    const OPEN: Self = Self::of(BindState::Open);
    const BEFORE_RECEIVING: Self = Self::OPEN.or(Self::of(BindState::Outbound));
    const SENDING: Self = Self::of(BindState::BoundTransmitter).or(Self::of(BindState::BoundTransceiver));
    const RECEIVING: Self = Self::of(BindState::BoundReceiver).or(Self::of(BindState::BoundTransceiver));
    const BOUND: Self = Self::SENDING.or(Self::RECEIVING);
    const ENDING: Self = Self::BOUND.or(Self::of(BindState::Unbound));
    const CONNECTED: Self = Self::BEFORE_RECEIVING.or(Self::ENDING);

    const fn of(state: BindState) -> Self {
        Self(1 << state as u8)
    }

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn contains(self, state: BindState) -> bool {
        self.0 & Self::of(state).0 != 0
    }
}

/// Whether `side` may send `command_id` while the session is in `state`.
pub const fn permitted(command_id: CommandId, side: Side, state: BindState) -> Permission {
    let Some((esme, smsc)) = row(command_id) else {
        return Permission::Unknown;
    };
    let states = match side {
        Side::Esme => esme,
        Side::Smsc => smsc,
    };
    if states.contains(state) { Permission::Allowed } else { Permission::WrongState }
}

/// The table: in which states the ESME and in which the SMSC sends an operation.
///
/// A response may be sent by the side that may receive the request, in the same states.
const fn row(command_id: CommandId) -> Option<(States, States)> {
    type Id = CommandId;
    Some(match command_id {
        Id::BIND_TRANSMITTER => (States::OPEN, States::NONE),
        Id::BIND_RECEIVER | Id::BIND_TRANSCEIVER => (States::BEFORE_RECEIVING, States::NONE),
        Id::OUTBIND => (States::NONE, States::OPEN),
        Id::UNBIND => (States::BOUND, States::BOUND),
        Id::UNBIND_RESP => (States::ENDING, States::ENDING),
        Id::ENQUIRE_LINK | Id::ENQUIRE_LINK_RESP | Id::GENERIC_NACK => (States::CONNECTED, States::CONNECTED),
        Id::SUBMIT_SM
        | Id::SUBMIT_MULTI
        | Id::QUERY_SM
        | Id::CANCEL_SM
        | Id::REPLACE_SM
        | Id::BROADCAST_SM
        | Id::QUERY_BROADCAST_SM
        | Id::CANCEL_BROADCAST_SM => (States::SENDING, States::NONE),
        Id::DELIVER_SM | Id::ALERT_NOTIFICATION => (States::NONE, States::RECEIVING),
        Id::DATA_SM => (States::SENDING, States::RECEIVING),
        _ if command_id.is_response() && command_id.request().wants_response() => {
            return match row(command_id.request()) {
                Some((esme, smsc)) => Some((smsc, esme)),
                None => None,
            };
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use BindState::{BoundReceiver, BoundTransceiver, BoundTransmitter, Closed, Open, Outbound, Unbound};

    const STATES: [BindState; 7] = [Open, Outbound, BoundTransmitter, BoundReceiver, BoundTransceiver, Unbound, Closed];

    fn states(command_id: CommandId, side: Side) -> Vec<BindState> {
        STATES.into_iter().filter(|&state| permitted(command_id, side, state) == Permission::Allowed).collect()
    }

    #[test]
    fn transmitters_submit_and_receivers_are_delivered_to() {
        assert_eq!(states(CommandId::SUBMIT_SM, Side::Esme), [BoundTransmitter, BoundTransceiver]);
        assert_eq!(states(CommandId::SUBMIT_SM, Side::Smsc), []);
        assert_eq!(states(CommandId::SUBMIT_SM_RESP, Side::Smsc), [BoundTransmitter, BoundTransceiver]);
        assert_eq!(states(CommandId::DELIVER_SM, Side::Smsc), [BoundReceiver, BoundTransceiver]);
        assert_eq!(states(CommandId::DELIVER_SM_RESP, Side::Esme), [BoundReceiver, BoundTransceiver]);
        assert_eq!(states(CommandId::DATA_SM, Side::Smsc), [BoundReceiver, BoundTransceiver]);
        assert_eq!(states(CommandId::DATA_SM_RESP, Side::Smsc), [BoundTransmitter, BoundTransceiver]);
    }

    #[test]
    fn binds_come_once_and_an_outbind_asks_for_a_receiver() {
        assert_eq!(states(CommandId::BIND_TRANSMITTER, Side::Esme), [Open]);
        assert_eq!(states(CommandId::BIND_RECEIVER, Side::Esme), [Open, Outbound]);
        assert_eq!(states(CommandId::BIND_TRANSCEIVER_RESP, Side::Smsc), [Open, Outbound]);
        assert_eq!(states(CommandId::OUTBIND, Side::Smsc), [Open]);
        assert_eq!(states(CommandId::OUTBIND, Side::Esme), []);
    }

    #[test]
    fn links_are_enquired_at_any_time_but_when_closed() {
        for side in [Side::Esme, Side::Smsc] {
            for id in [CommandId::ENQUIRE_LINK, CommandId::ENQUIRE_LINK_RESP, CommandId::GENERIC_NACK] {
                assert_eq!(states(id, side), STATES[..6]);
            }
            assert_eq!(states(CommandId::UNBIND_RESP, side), STATES[2..6]);
        }
    }

    #[test]
    fn every_named_operation_is_known_and_no_other() {
        for &id in CommandId::ALL {
            assert_ne!(permitted(id, Side::Esme, Open), Permission::Unknown, "{id}");
        }
        for id in [0, 0x0000_000A, 0x8000_000B, 0x8000_0102, 0x0100_0001, u32::MAX] {
            assert_eq!(permitted(CommandId(id), Side::Esme, BoundTransceiver), Permission::Unknown, "{id:#x}");
        }
    }
}
