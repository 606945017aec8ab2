//! What a response's body comes to in practice.
//!
//! Owns the reading of fields that peers leave out, send on errors, or replace by TLVs.
//! Refuses to look at `command_status`: what stands there is read whatever it says.
//! Driven by the responses of the other files.

use bytes::BytesMut;

use crate::error::BodyFault;
use crate::field::{COctetString, Parsed, c_octet_string};
use crate::status::CommandStatus;
use crate::tlv::{Tlvs, is_whole};

/// The mandatory fields, read by `parse`, and TLVs, either of which may be absent.
///
/// The fields come first if they can be read and the TLVs after them end with the body; a
/// body that is TLVs to its last octet has none; otherwise it is what the specification
/// wants there, or its fault.
pub(super) fn fields_and_tlvs<'a, T>(
    parse: impl Fn(&'a [u8]) -> Parsed<'a, T>,
    body: &'a [u8],
) -> Result<(Option<T>, Tlvs<'a>), BodyFault> {
    if body.is_empty() {
        return Ok((None, Tlvs::NONE));
    }
    match parse(body) {
        Ok((rest, fields)) if is_whole(rest) || !is_whole(body) => Ok((Some(fields), Tlvs::from_bytes(rest))),
        Err(error) if !is_whole(body) => Err(error.into()),
        _ => Ok((None, Tlvs::from_bytes(body))),
    }
}

/// [`fields_and_tlvs`] where one string is all there is.
pub(super) fn string_and_tlvs<'a>(
    field: &'static str,
    status: CommandStatus,
    body: &'a [u8],
) -> Result<(Option<COctetString<'a>>, Tlvs<'a>), BodyFault> {
    fields_and_tlvs(c_octet_string(field, status), body)
}

/// Appends what [`string_and_tlvs`] reads.
pub(super) fn encode(string: Option<COctetString<'_>>, tlvs: Tlvs<'_>, out: &mut BytesMut) {
    if let Some(string) = string {
        string.encode(out);
    }
    tlvs.encode(out);
}
