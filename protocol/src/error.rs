//! The two ways a PDU can be wrong.
//!
//! A [`FrameFault`] makes the stream unreadable and ends the connection. A [`BodyFault`]
//! costs that PDU only: it names the field, what was wrong and the status to answer.

use crate::status::CommandStatus;

/// `command_length` cannot be believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameFault {
    /// Shorter than a header.
    TooShort {
        /// What the peer sent.
        command_length: u32,
    },
    /// Longer than this side accepts.
    TooLong {
        /// What the peer sent.
        command_length: u32,
        /// What is accepted.
        limit: usize,
    },
}

impl std::fmt::Display for FrameFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooShort { command_length } => {
                write!(f, "peer sent command_length {command_length}: expected at least 16, the header's own octets")
            }
            Self::TooLong { command_length, limit } => {
                write!(f, "peer sent command_length {command_length}: expected at most {limit}")
            }
        }
    }
}

impl std::error::Error for FrameFault {}

/// A body that cannot be read; its header stands, so it can be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BodyFault {
    /// The specification's name of the field.
    pub field: &'static str,
    /// What was expected there.
    pub fault: &'static str,
    /// The `command_status` to answer with.
    pub status: CommandStatus,
}

impl std::fmt::Display for BodyFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.fault)
    }
}

impl std::error::Error for BodyFault {}

impl BodyFault {
    /// What a bare nom combinator reports; the parsers name their fields themselves.
    const UNREADABLE: Self =
        Self { field: "body", fault: "expected the operation's fields", status: CommandStatus::ESME_RINVCMDLEN };
}

impl<'a> nom::error::ParseError<&'a [u8]> for BodyFault {
    fn from_error_kind(_: &'a [u8], _: nom::error::ErrorKind) -> Self {
        Self::UNREADABLE
    }

    /// The first fault stands: it names the field.
    fn append(_: &'a [u8], _: nom::error::ErrorKind, other: Self) -> Self {
        other
    }
}

impl From<nom::Err<BodyFault>> for BodyFault {
    fn from(error: nom::Err<BodyFault>) -> Self {
        match error {
            nom::Err::Error(fault) | nom::Err::Failure(fault) => fault,
            nom::Err::Incomplete(_) => Self::UNREADABLE,
        }
    }
}
