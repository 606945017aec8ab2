//! One PDU's bytes: header and raw body, split from the stream by `command_length`.
//!
//! Owns the framing limit and the in-place restamp of `sequence_number`. Refuses to look
//! into the body: what is forwarded is the same bytes that came in. Driven by the
//! connection's codec and by whoever builds a PDU to send.

use bytes::{Buf, BytesMut};

use crate::command::CommandId;
use crate::error::FrameFault;
use crate::header::{HEADER_LENGTH, Header};
use crate::status::CommandStatus;

/// The largest `command_length` accepted unless configuration says otherwise.
pub const DEFAULT_LIMIT: usize = 64 * 1024;

/// Room enough for most PDUs without growing.
const TYPICAL: usize = 288;

/// A complete PDU as it stood on the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    bytes: BytesMut,
}

/// Takes the next complete PDU off `buffer`; `None` asks for more bytes.
///
/// A `command_length` below the header's 16 octets or above `limit` is a [`FrameFault`]:
/// nothing after it can be trusted, so the connection ends. Nothing is consumed then.
pub fn split(buffer: &mut BytesMut, limit: usize) -> Result<Option<Frame>, FrameFault> {
    let Some(mut prefix) = buffer.get(..4) else {
        return Ok(None);
    };
    let command_length = prefix.get_u32();
    let length = checked_length(command_length, limit)?;
    if buffer.len() < length {
        return Ok(None);
    }
    Ok(Some(Frame { bytes: buffer.split_to(length) }))
}

/// Whether a PDU's header is complete; a [`FrameFault`] as soon as its length cannot be one.
pub fn begins(buffer: &[u8], limit: usize) -> Result<bool, FrameFault> {
    let Some(mut prefix) = buffer.get(..4) else {
        return Ok(false);
    };
    checked_length(prefix.get_u32(), limit)?;
    Ok(buffer.len() >= HEADER_LENGTH)
}

fn checked_length(command_length: u32, limit: usize) -> Result<usize, FrameFault> {
    let length = usize::try_from(command_length).unwrap_or(usize::MAX);
    if length < HEADER_LENGTH {
        return Err(FrameFault::TooShort { command_length });
    }
    if length > limit {
        return Err(FrameFault::TooLong { command_length, limit });
    }
    Ok(length)
}

/// Appends a header and the body `encode` writes, then counts `command_length`.
pub(crate) fn append(
    command_id: CommandId,
    command_status: CommandStatus,
    sequence_number: u32,
    out: &mut BytesMut,
    encode: impl FnOnce(&mut BytesMut),
) {
    let start = out.len();
    Header { command_length: 0, command_id, command_status, sequence_number }.encode(out);
    encode(out);
    let command_length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&command_length.to_be_bytes());
}

impl Frame {
    /// A PDU of this header and body; `command_length` is computed.
    pub fn new(command_id: CommandId, command_status: CommandStatus, sequence_number: u32, body: &[u8]) -> Self {
        let mut bytes = BytesMut::with_capacity(HEADER_LENGTH + body.len());
        let command_length = u32::try_from(HEADER_LENGTH + body.len()).unwrap_or(u32::MAX);
        Header { command_length, command_id, command_status, sequence_number }.encode(&mut bytes);
        bytes.extend_from_slice(body);
        Self { bytes }
    }

    /// A PDU of this header whose body `encode` appends.
    pub(crate) fn build(
        command_id: CommandId,
        command_status: CommandStatus,
        sequence_number: u32,
        encode: impl FnOnce(&mut BytesMut),
    ) -> Self {
        let mut bytes = BytesMut::with_capacity(TYPICAL);
        append(command_id, command_status, sequence_number, &mut bytes, encode);
        Self { bytes }
    }

    /// The decoded header.
    pub fn header(&self) -> Header {
        Header {
            command_length: self.word(0),
            command_id: self.command_id(),
            command_status: self.command_status(),
            sequence_number: self.sequence_number(),
        }
    }

    /// Which operation this PDU carries.
    pub fn command_id(&self) -> CommandId {
        CommandId(self.word(4))
    }

    /// The outcome a response reports; 0 in requests.
    pub fn command_status(&self) -> CommandStatus {
        CommandStatus(self.word(8))
    }

    /// The number that ties a response to its request.
    pub fn sequence_number(&self) -> u32 {
        self.word(12)
    }

    /// Everything after the header.
    pub fn body(&self) -> &[u8] {
        &self.bytes[HEADER_LENGTH..]
    }

    /// The whole PDU, header included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Replaces `sequence_number` in place; every other byte stays as it came.
    pub fn restamp(&mut self, sequence_number: u32) {
        self.bytes[12..16].copy_from_slice(&sequence_number.to_be_bytes());
    }

    fn word(&self, at: usize) -> u32 {
        (&self.bytes[at..at + 4]).get_u32()
    }
}

impl std::fmt::Debug for Frame {
    /// Prints the header only: a body may hold a password or a subscriber's message.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.header().fmt(f)
    }
}
