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
