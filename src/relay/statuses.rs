//! Which status the gate answers with where it answers in a peer's place.
//!
//! Owns that choice. Refuses to touch a status a peer gave: those pass. Driven by the relay.
//!
//! A request whose fate is unknown (timed out, connection lost, session over) and one that
//! could not be forwarded are answered alike, as *temporary*: a provider that retries may
//! send a message twice, one that does not may lose it, and the direct connection the gate
//! stands in leaves it the same choice. The record tells the cases apart.

use portcullis_protocol::{CommandId, CommandStatus};

use super::interface::Leg;

/// | asked by | operation | status |
/// |---|---|---|
/// | carrier | any | `ESME_RX_T_APPN`: it redelivers |
/// | provider | `cancel_sm` | `ESME_RCANCELFAIL` |
/// | provider | `replace_sm` | `ESME_RREPLACEFAIL` |
/// | provider | `query_sm` | `ESME_RQUERYFAIL` |
/// | provider | `query_broadcast_sm` | `ESME_RBCASTQUERYFAIL` |
/// | provider | `cancel_broadcast_sm` | `ESME_RBCASTCANCELFAIL` |
/// | provider | any other | `ESME_RSYSERR`: common clients take it as temporary |
pub(super) const fn unanswered(asking: Leg, command: CommandId) -> CommandStatus {
    match (asking, command) {
        (Leg::Carrier, _) => CommandStatus::ESME_RX_T_APPN,
        (Leg::Provider, CommandId::CANCEL_SM) => CommandStatus::ESME_RCANCELFAIL,
        (Leg::Provider, CommandId::REPLACE_SM) => CommandStatus::ESME_RREPLACEFAIL,
        (Leg::Provider, CommandId::QUERY_SM) => CommandStatus::ESME_RQUERYFAIL,
        (Leg::Provider, CommandId::QUERY_BROADCAST_SM) => CommandStatus::ESME_RBCASTQUERYFAIL,
        (Leg::Provider, CommandId::CANCEL_BROADCAST_SM) => CommandStatus::ESME_RBCASTCANCELFAIL,
        (Leg::Provider, _) => CommandStatus::ESME_RSYSERR,
    }
}

/// The same for a request of the provider that the gate itself cannot answer.
pub const fn unanswerable(command: CommandId) -> CommandStatus {
    unanswered(Leg::Provider, command)
}

/// A request beyond the window: slow down.
pub(super) const fn over_window(asking: Leg) -> CommandStatus {
    match asking {
        Leg::Carrier => CommandStatus::ESME_RX_T_APPN,
        Leg::Provider => CommandStatus::ESME_RMSGQFUL,
    }
}
