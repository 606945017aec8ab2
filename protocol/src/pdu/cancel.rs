//! `cancel_sm` and `cancel_sm_resp`: a waiting message is withdrawn.
//!
//! Owns the fields of the pair. Refuses to judge them. Driven by [`Pdu`](super::Pdu).

use bytes::BytesMut;

use super::session::bodiless;
use crate::address::{Address, DESTINATION, SOURCE, address};
use crate::error::BodyFault;
use crate::field::{COctetString, Parsed, c_octet_string};
use crate::status::CommandStatus;
use crate::tlv::Tlvs;

/// `cancel_sm` (SMPP 3.4 §4.9.1, SMPP 5.0 §4.5.1.1).
///
/// | field | octets | |
/// |---|---|---|
/// | `service_type` | ≤ 6 | C-octet string |
/// | `message_id` | ≤ 65 | C-octet string; empty cancels all between the two addresses |
/// | `source_addr_ton`, `source_addr_npi` | 1 + 1 | |
/// | `source_addr` | ≤ 21 | C-octet string |
/// | `dest_addr_ton`, `dest_addr_npi` | 1 + 1 | |
/// | `destination_addr` | ≤ 21 | C-octet string |
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CancelSm<'a> {
    /// The messaging service the message was submitted with.
    pub service_type: COctetString<'a>,
    /// The message; empty for all between the two addresses.
    pub message_id: COctetString<'a>,
    /// Who sent it.
    pub source: Address<'a>,
    /// Who was to receive it.
    pub destination: Address<'a>,
    /// The specification has none here; what comes is kept.
    pub tlvs: Tlvs<'a>,
}

impl<'a> CancelSm<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        Ok(Self::parse(body)?.1)
    }

    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (input, service_type) = c_octet_string("service_type", CommandStatus::ESME_RINVSERTYP)(input)?;
        let (input, message_id) = c_octet_string("message_id", CommandStatus::ESME_RINVMSGID)(input)?;
        let (input, source) = address(SOURCE)(input)?;
        let (input, destination) = address(DESTINATION)(input)?;
        Ok((&[], Self { service_type, message_id, source, destination, tlvs: Tlvs::from_bytes(input) }))
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        self.service_type.encode(out);
        self.message_id.encode(out);
        self.source.encode(out);
        self.destination.encode(out);
        self.tlvs.encode(out);
    }
}

bodiless! {
    /// `cancel_sm_resp` (SMPP 3.4 §4.9.2, SMPP 5.0 §4.5.1.2): no body.
    CancelSmResp
}
