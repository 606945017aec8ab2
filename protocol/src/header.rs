//! The 16-octet PDU header (SMPP 3.4 §3.2, SMPP 5.0 §3.2.1).

use bytes::{BufMut, BytesMut};

use crate::command::CommandId;
use crate::status::CommandStatus;

/// Octets of the header.
pub const HEADER_LENGTH: usize = 16;

/// | field | octets |
/// |---|---|
/// | `command_length` | 4, header included |
/// | `command_id` | 4 |
/// | `command_status` | 4, 0 in requests |
/// | `sequence_number` | 4, 0x00000001 to 0x7FFFFFFF by the specification, anything in the field |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Octets of the whole PDU.
    pub command_length: u32,
    /// The operation.
    pub command_id: CommandId,
    /// The outcome, in responses.
    pub command_status: CommandStatus,
    /// Ties a response to its request.
    pub sequence_number: u32,
}

impl Header {
    /// Appends the 16 octets to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        let words = [self.command_length, self.command_id.0, self.command_status.0, self.sequence_number];
        out.put_slice(words.map(u32::to_be_bytes).as_flattened());
    }
}
