//! Which status the gate answers with where it answers in a peer's place.
//!
//! Owns that choice. Refuses to touch a status a peer gave: those pass. Driven by the relay.
//!
//! A request whose fate is unknown (timed out, connection lost, session over) and one that
//! could not be forwarded are answered alike, as *temporary*: a provider that retries may
//! send a message twice, one that does not may lose it, and the direct connection the gate
//! stands in leaves it the same choice. The record tells the cases apart.

use portcullis_protocol::{CommandId, CommandStatus};

use super::commands;
use super::interface::Leg;

/// `ESME_RX_T_APPN`: a temporary failure at the receiver; the carrier keeps the message.
pub(super) const RX_T_APPN: CommandStatus = CommandStatus(0x0000_0064);
/// `ESME_RCANCELFAIL`
const RCANCELFAIL: CommandStatus = CommandStatus(0x0000_0011);
/// `ESME_RREPLACEFAIL`
const RREPLACEFAIL: CommandStatus = CommandStatus(0x0000_0013);
/// `ESME_RQUERYFAIL`
const RQUERYFAIL: CommandStatus = CommandStatus(0x0000_0067);
/// `ESME_RBCASTQUERYFAIL`
const RBCASTQUERYFAIL: CommandStatus = CommandStatus(0x0000_010E);
/// `ESME_RBCASTCANCELFAIL`
const RBCASTCANCELFAIL: CommandStatus = CommandStatus(0x0000_010F);

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
        (Leg::Carrier, _) => RX_T_APPN,
        (Leg::Provider, commands::CANCEL_SM) => RCANCELFAIL,
        (Leg::Provider, commands::REPLACE_SM) => RREPLACEFAIL,
        (Leg::Provider, commands::QUERY_SM) => RQUERYFAIL,
        (Leg::Provider, commands::QUERY_BROADCAST_SM) => RBCASTQUERYFAIL,
        (Leg::Provider, commands::CANCEL_BROADCAST_SM) => RBCASTCANCELFAIL,
        (Leg::Provider, _) => CommandStatus::ESME_RSYSERR,
    }
}

/// A request beyond the window, from a driver that read on: slow down.
pub(super) const fn over_window(asking: Leg) -> CommandStatus {
    match asking {
        Leg::Carrier => RX_T_APPN,
        Leg::Provider => CommandStatus::ESME_RTHROTTLED,
    }
}
