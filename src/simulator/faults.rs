//! What a carrier can be told to do wrong.
//!
//! Owns the switches a test flips before or during a conversation. Refuses to act: the
//! session reads them once a batch. Driven by tests through `Simulator::set_faults`.

use std::num::NonZeroU64;
use std::time::Duration;

use portcullis_protocol::status::CommandStatus;

/// The faults in force; the default is a carrier that does everything right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every bind is refused with this status.
    pub refuse_binds: Option<CommandStatus>,
    /// When messages are answered.
    pub answers: Answers,
    /// What an answer to a message looks like.
    pub form: Form,
    /// Every n-th message of a session is refused with this status.
    pub refuse_every: Option<(NonZeroU64, CommandStatus)>,
    /// The connection closes when the n-th message of a session arrives, unanswered.
    pub close_on_submit: Option<NonZeroU64>,
    /// `enquire_link` is not answered.
    pub ignore_enquire_link: bool,
    /// `unbind` is not answered.
    pub ignore_unbind: bool,
}

/// When messages are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answers {
    /// After the configured latency.
    #[default]
    Prompt,
    /// This much later than the configured latency.
    Late(Duration),
    /// Not at all.
    Never,
}

/// What an answer to a message looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The response the specification asks for.
    #[default]
    Response,
    /// The same with the message id in hexadecimal, while receipts have it in decimal.
    HexadecimalId,
    /// `ESME_ROK` with no body at all.
    WithoutMessageId,
    /// The same response two times.
    Twice,
    /// `generic_nack` with the request's sequence number.
    GenericNack,
}
