//! What the session core hears and what it asks for.
//!
//! Owns the words between the core and its driver: events in, actions out. Refuses any
//! behaviour beyond naming. Driven by `Relay` on one side and the proxy's driver on the other.

use bytes::Bytes;
use portcullis_protocol::{CommandStatus, Frame, FrameFault};

use super::ending::Ending;
use crate::rules::Permit;

/// One of a session's two connections.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Leg {
    /// The connection the provider opened to the gate.
    Provider,
    /// The connection the gate opened to the carrier.
    Carrier,
}

impl Leg {
    /// Provider and carrier, in that order.
    pub const BOTH: [Self; 2] = [Self::Provider, Self::Carrier];

    /// The leg across the gate.
    pub const fn other(self) -> Self {
        match self {
            Self::Provider => Self::Carrier,
            Self::Carrier => Self::Provider,
        }
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Provider => 0,
            Self::Carrier => 1,
        }
    }
}

/// Names one judged request within its session, from [`Action::Judge`] to the one
/// [`Action::Record`] that closes it. Never reused within a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Ticket(pub(super) u64);

impl Ticket {
    /// Any ticket, for tests of what is done with them.
    #[cfg(test)]
    pub(crate) const fn of(number: u64) -> Self {
        Self(number)
    }

    /// A number for logs, unique within the session.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// How a connection went away.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// The peer closed its side in order.
    Eof,
    /// The peer reset the connection.
    Reset,
    /// Reading or writing failed otherwise (time-out, TLS, host unreachable).
    Io,
}

/// What happened; one call of `Relay::handle_event` each.
#[derive(Debug)]
pub enum Event {
    /// A complete PDU came in. Hand frames over one at a time and ask `wants_input(leg)` before each.
    Received {
        /// Where it came in.
        leg: Leg,
        /// The PDU as it stood on the wire.
        frame: Frame,
    },
    /// The stream of this leg can no longer be read; nothing more comes from it.
    Faulted {
        /// Whose stream.
        leg: Leg,
        /// Why.
        fault: FrameFault,
    },
    /// The connection of this leg is gone. Not needed after [`Action::Close`].
    Closed {
        /// Which one.
        leg: Leg,
        /// How.
        cause: Cause,
    },
    /// The answer to [`Action::JudgeBind`].
    BindJudged {
        /// What to bind with at the carrier, or the status the provider gets.
        decision: Result<BindGrant, CommandStatus>,
    },
    /// The dial asked for with [`Action::Connect`] succeeded.
    CarrierConnected,
    /// No carrier address could be reached.
    CarrierUnreachable,
    /// The answer to [`Action::Judge`]. The frame comes back: it is what will be forwarded.
    Judged {
        /// The ticket of the question.
        ticket: Ticket,
        /// The frame that was judged.
        frame: Frame,
        /// What shall become of it.
        decision: Decision,
    },
    /// The record asked for with [`Action::Record`] is as durable as configuration asks.
    Recorded {
        /// The ticket of the record.
        ticket: Ticket,
        /// What the asking leg gets in place of the answer as it came; `None` leaves that one.
        answer: Option<Frame>,
    },
    /// The process stops: settle, unbind both legs, end.
    Drain,
}

/// What becomes of a judged request.
#[derive(Debug)]
pub enum Decision {
    /// It goes on to the other leg, byte for byte but for its sequence number.
    Forward(Permit),
    /// The gate takes it over: answered as a success here, with this body, and forwarded or reported later.
    Acknowledge {
        /// The answer's body: the `message_id` the provider will know it by.
        body: Bytes,
    },
    /// It is answered here.
    Refuse {
        /// The status of the answer.
        status: CommandStatus,
        /// The answer's body; empty (the usual case) for a header alone.
        body: Bytes,
    },
}

/// What the gate found out about an acceptable bind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BindGrant {
    /// What replaces the provider's credentials at the carrier; `None` passes them through.
    pub credentials: Option<Credentials>,
    /// Unanswered requests this provider may have, where its register entry says so.
    pub window: Option<usize>,
    /// Whether what exceeds them is refused rather than held back, where it says so.
    pub reject_over_window: Option<bool>,
}

/// What the gate itself presents to the carrier.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Replaces `system_id`.
    pub system_id: Vec<u8>,
    /// Replaces `password`.
    pub password: Vec<u8>,
    /// Replaces `system_type`, which some carriers take as a credential.
    pub system_type: Option<Vec<u8>>,
}

impl std::fmt::Debug for Credentials {
    /// Never prints the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials {{ system_id: {:?}, .. }}", String::from_utf8_lossy(&self.system_id))
    }
}

/// What the driver is asked to do, in this order.
#[derive(Debug)]
pub enum Action {
    /// Decide on this bind; answer with [`Event::BindJudged`].
    JudgeBind {
        /// The bind as it came.
        frame: Frame,
    },
    /// Dial the carrier; answer with [`Event::CarrierConnected`] or [`Event::CarrierUnreachable`].
    Connect,
    /// Write this PDU.
    Send {
        /// Where to.
        leg: Leg,
        /// What.
        frame: Frame,
    },
    /// Decide on this request; answer with [`Event::Judged`], the frame included.
    Judge {
        /// To be named in the answer.
        ticket: Ticket,
        /// Who sent it.
        leg: Leg,
        /// The request as it came.
        frame: Frame,
    },
    /// Write down how a judged request ended; answer with [`Event::Recorded`]. Comes exactly once
    /// for every ticket. The answer itself can be read with `Relay::answer(ticket)` until then.
    Record {
        /// Which request.
        ticket: Ticket,
        /// How it ended.
        outcome: Outcome,
    },
    /// Close this connection once everything sent before is flushed (or give up the dial under
    /// way). No event is expected of it afterwards.
    Close {
        /// Which one.
        leg: Leg,
    },
    /// The session is over; the last action there is.
    Ended(Ending),
}

/// How a judged request ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// Judged not fit to go on; the asking leg gets this status.
    Refused(CommandStatus),
    /// Taken over by the gate; the asking leg was told of success.
    Acknowledged,
    /// Permitted, but the other leg was no longer there to take it (or the asking leg no longer
    /// there to be answered): it was certainly not forwarded.
    NotForwarded,
    /// The other leg answered with this status.
    Answered(CommandStatus),
    /// The other leg answered with a `generic_nack` (or another response's error) of this status.
    Nacked(CommandStatus),
    /// Forwarded; no answer within the response time-out. The other leg may have it.
    TimedOut,
    /// Forwarded; the carrier's connection was lost before its answer. It may have it.
    CarrierLost,
    /// Forwarded; the provider's connection was lost before its answer. It may have it.
    ProviderLost,
    /// Forwarded; the session had to end before the answer. The other leg may have it.
    Abandoned,
}
