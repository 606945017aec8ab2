//! `replace_sm` and `replace_sm_resp`: a waiting message gets another text.
//!
//! Owns the fields of the pair. Refuses to judge them and to read the text: the octets to
//! judge are handed out as they came. Driven by [`Pdu`](super::Pdu).

use bytes::{BufMut, BytesMut};

use super::session::bodiless;
use crate::address::{Address, SOURCE, address};
use crate::error::BodyFault;
use crate::field::{COctetString, Parsed, RegisteredDelivery, c_octet_string, octet, short_message};
use crate::status::CommandStatus;
use crate::tlv::Tlvs;

/// `replace_sm` (SMPP 3.4 §4.10.1, SMPP 5.0 §4.5.3.1).
///
/// | field | octets | |
/// |---|---|---|
/// | `message_id` | ≤ 65 | C-octet string |
/// | `source_addr_ton`, `source_addr_npi` | 1 + 1 | |
/// | `source_addr` | ≤ 21 | C-octet string |
/// | `schedule_delivery_time` | 1 or 17 | C-octet string |
/// | `validity_period` | 1 or 17 | C-octet string |
/// | `registered_delivery` | 1 | |
/// | `sm_default_msg_id` | 1 | |
/// | `sm_length` | 1 | |
/// | `short_message` | `sm_length` | ≤ 254 in 3.4, 255 in 5.0 |
/// | TLVs | | `message_payload`, from 5.0 on |
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ReplaceSm<'a> {
    /// The message.
    pub message_id: COctetString<'a>,
    /// Who sent it.
    pub source: Address<'a>,
    /// When to send; empty leaves it as it was.
    pub schedule_delivery_time: COctetString<'a>,
    /// Until when to try; empty leaves it as it was.
    pub validity_period: COctetString<'a>,
    /// Which receipts are wanted.
    pub registered_delivery: RegisteredDelivery,
    /// A message kept at the carrier, sent instead of the text; 0 for none.
    pub sm_default_msg_id: u8,
    /// The new message, at most 255 octets; a longer one is encoded as `message_payload`.
    pub short_message: &'a [u8],
    /// What follows.
    pub tlvs: Tlvs<'a>,
}

impl<'a> ReplaceSm<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        Ok(Self::parse(body)?.1)
    }

    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (input, message_id) = c_octet_string("message_id", CommandStatus::ESME_RINVMSGID)(input)?;
        let (input, source) = address(SOURCE)(input)?;
        let (input, schedule_delivery_time) =
            c_octet_string("schedule_delivery_time", CommandStatus::ESME_RINVSCHED)(input)?;
        let (input, validity_period) = c_octet_string("validity_period", CommandStatus::ESME_RINVEXPIRY)(input)?;
        let (input, registered_delivery) = octet("registered_delivery")(input)?;
        let (input, sm_default_msg_id) = octet("sm_default_msg_id")(input)?;
        let (input, short_message) = short_message(input)?;
        let pdu = Self {
            message_id,
            source,
            schedule_delivery_time,
            validity_period,
            registered_delivery: RegisteredDelivery(registered_delivery),
            sm_default_msg_id,
            short_message,
            tlvs: Tlvs::from_bytes(input),
        };
        Ok((&[], pdu))
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        self.message_id.encode(out);
        self.source.encode(out);
        self.schedule_delivery_time.encode(out);
        self.validity_period.encode(out);
        out.put_slice(&[self.registered_delivery.0, self.sm_default_msg_id]);
        super::encode_message(self.short_message, self.tlvs, out);
    }

    /// The octets to judge: `short_message` or `message_payload`; both is a fault.
    pub fn message(&self) -> Result<&'a [u8], BodyFault> {
        super::message(self.short_message, self.tlvs)
    }
}

bodiless! {
    /// `replace_sm_resp` (SMPP 3.4 §4.10.2, SMPP 5.0 §4.5.3.2): no body.
    ReplaceSmResp
}
