//! `submit_multi` and `submit_multi_resp`: one message to many.
//!
//! Owns the fields of the pair. Refuses to judge them and to read the text: the octets to
//! judge are handed out as they came. Driven by [`Pdu`](super::Pdu).

use bytes::{BufMut, BytesMut};

use super::response;
use crate::address::{Address, SOURCE, address};
use crate::error::BodyFault;
use crate::field::{
    COctetString, DataCoding, EsmClass, Parsed, RegisteredDelivery, c_octet_string, octet, short_message,
};
use crate::status::CommandStatus;
use crate::tlv::Tlvs;

mod list;

pub use list::{Destination, Destinations, Unsuccessful, UnsuccessfulSmes};

/// `submit_multi` (SMPP 3.4 §4.5.1, SMPP 5.0 §4.2.3.1).
///
/// | field | octets | |
/// |---|---|---|
/// | `service_type` | ≤ 6 | C-octet string |
/// | `source_addr_ton`, `source_addr_npi` | 1 + 1 | |
/// | `source_addr` | ≤ 21 | C-octet string |
/// | `number_of_dests` | 1 | |
/// | `dest_address` | | that many [`Destination`]s |
/// | `esm_class` | 1 | |
/// | `protocol_id` | 1 | |
/// | `priority_flag` | 1 | |
/// | `schedule_delivery_time` | 1 or 17 | C-octet string |
/// | `validity_period` | 1 or 17 | C-octet string |
/// | `registered_delivery` | 1 | |
/// | `replace_if_present_flag` | 1 | |
/// | `data_coding` | 1 | |
/// | `sm_default_msg_id` | 1 | |
/// | `sm_length` | 1 | |
/// | `short_message` | `sm_length` | ≤ 254 in 3.4, 255 in 5.0 |
/// | TLVs | | `message_payload`, `sar_*` and others |
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SubmitMulti<'a> {
    /// The messaging service; empty for the carrier's default.
    pub service_type: COctetString<'a>,
    /// Who sends.
    pub source: Address<'a>,
    /// Who are to receive.
    pub destinations: Destinations<'a>,
    /// Mode, type and features.
    pub esm_class: EsmClass,
    /// The network's protocol identifier.
    pub protocol_id: u8,
    /// 0 lowest to 3 highest (4 in 5.0).
    pub priority_flag: u8,
    /// When to send; empty for at once.
    pub schedule_delivery_time: COctetString<'a>,
    /// Until when to try; empty for the carrier's default.
    pub validity_period: COctetString<'a>,
    /// Which receipts are wanted.
    pub registered_delivery: RegisteredDelivery,
    /// 0 by the specification.
    pub replace_if_present_flag: u8,
    /// The text's alphabet and class.
    pub data_coding: DataCoding,
    /// A message kept at the carrier, sent instead of the text; 0 for none.
    pub sm_default_msg_id: u8,
    /// The message, at most 255 octets; a longer one is encoded as `message_payload`.
    pub short_message: &'a [u8],
    /// What follows.
    pub tlvs: Tlvs<'a>,
}

impl<'a> SubmitMulti<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        Ok(Self::parse(body)?.1)
    }

    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (input, service_type) = c_octet_string("service_type", CommandStatus::ESME_RINVSERTYP)(input)?;
        let (input, source) = address(SOURCE)(input)?;
        let (input, destinations) = Destinations::parse(input)?;
        let (input, esm_class) = octet("esm_class")(input)?;
        let (input, protocol_id) = octet("protocol_id")(input)?;
        let (input, priority_flag) = octet("priority_flag")(input)?;
        let (input, schedule_delivery_time) =
            c_octet_string("schedule_delivery_time", CommandStatus::ESME_RINVSCHED)(input)?;
        let (input, validity_period) = c_octet_string("validity_period", CommandStatus::ESME_RINVEXPIRY)(input)?;
        let (input, registered_delivery) = octet("registered_delivery")(input)?;
        let (input, replace_if_present_flag) = octet("replace_if_present_flag")(input)?;
        let (input, data_coding) = octet("data_coding")(input)?;
        let (input, sm_default_msg_id) = octet("sm_default_msg_id")(input)?;
        let (input, short_message) = short_message(input)?;
        let pdu = Self {
            service_type,
            source,
            destinations,
            esm_class: EsmClass(esm_class),
            protocol_id,
            priority_flag,
            schedule_delivery_time,
            validity_period,
            registered_delivery: RegisteredDelivery(registered_delivery),
            replace_if_present_flag,
            data_coding: DataCoding(data_coding),
            sm_default_msg_id,
            short_message,
            tlvs: Tlvs::from_bytes(input),
        };
        Ok((&[], pdu))
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        self.service_type.encode(out);
        self.source.encode(out);
        self.destinations.encode(out);
        out.put_slice(&[self.esm_class.0, self.protocol_id, self.priority_flag]);
        self.schedule_delivery_time.encode(out);
        self.validity_period.encode(out);
        out.put_slice(&[
            self.registered_delivery.0,
            self.replace_if_present_flag,
            self.data_coding.0,
            self.sm_default_msg_id,
        ]);
        super::encode_message(self.short_message, self.tlvs, out);
    }

    /// The octets to judge: `short_message` or `message_payload`; both is a fault.
    pub fn message(&self) -> Result<&'a [u8], BodyFault> {
        super::message(self.short_message, self.tlvs)
    }
}

/// `submit_multi_resp` (SMPP 3.4 §4.5.2, SMPP 5.0 §4.2.3.2).
///
/// | field | octets | |
/// |---|---|---|
/// | `message_id` | ≤ 65 | C-octet string; absent on errors |
/// | `no_unsuccess` | 1 | |
/// | `unsuccess_sme` | | that many [`Unsuccessful`] |
/// | TLVs | | from 5.0 on |
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SubmitMultiResp<'a> {
    /// What was accepted; `None` where no body stands.
    pub accepted: Option<MultiResult<'a>>,
    /// What follows.
    pub tlvs: Tlvs<'a>,
}

/// What `submit_multi_resp` reports.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct MultiResult<'a> {
    /// The carrier's name for the message.
    pub message_id: COctetString<'a>,
    /// The destinations that were refused; `None` where the body ends before their number.
    pub unsuccessful: Option<UnsuccessfulSmes<'a>>,
}

impl<'a> SubmitMultiResp<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        let (accepted, tlvs) = response::fields_and_tlvs(Self::parse, body)?;
        Ok(Self { accepted, tlvs })
    }

    fn parse(input: &'a [u8]) -> Parsed<'a, MultiResult<'a>> {
        let (input, message_id) = c_octet_string("message_id", CommandStatus::ESME_RINVMSGID)(input)?;
        if input.is_empty() {
            return Ok((input, MultiResult { message_id, unsuccessful: None }));
        }
        let (input, unsuccessful) = UnsuccessfulSmes::parse(input)?;
        Ok((input, MultiResult { message_id, unsuccessful: Some(unsuccessful) }))
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        if let Some(accepted) = &self.accepted {
            accepted.message_id.encode(out);
            if let Some(unsuccessful) = &accepted.unsuccessful {
                unsuccessful.encode(out);
            }
        }
        self.tlvs.encode(out);
    }
}
