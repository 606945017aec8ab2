//! `data_sm` and `data_sm_resp`: a message in `message_payload` alone, in either direction.
//!
//! Owns the fields of the pair. Refuses to judge them and to read the text: the octets to
//! judge are handed out as they came. Driven by [`Pdu`](super::Pdu).

use bytes::{BufMut, BytesMut};

use super::response;
use crate::address::{Address, DESTINATION, SOURCE, address};
use crate::error::BodyFault;
use crate::field::{COctetString, DataCoding, EsmClass, Parsed, RegisteredDelivery, c_octet_string, octet};
use crate::status::CommandStatus;
use crate::tlv::Tlvs;

/// `data_sm` (SMPP 3.4 §4.7.1, SMPP 5.0 §4.2.2.1).
///
/// | field | octets | |
/// |---|---|---|
/// | `service_type` | ≤ 6 | C-octet string |
/// | `source_addr_ton`, `source_addr_npi` | 1 + 1 | |
/// | `source_addr` | ≤ 65 | C-octet string |
/// | `dest_addr_ton`, `dest_addr_npi` | 1 + 1 | |
/// | `destination_addr` | ≤ 65 | C-octet string |
/// | `esm_class` | 1 | |
/// | `registered_delivery` | 1 | |
/// | `data_coding` | 1 | |
/// | TLVs | | `message_payload` and others |
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DataSm<'a> {
    /// The messaging service; empty for the carrier's default.
    pub service_type: COctetString<'a>,
    /// Who sends.
    pub source: Address<'a>,
    /// Who is to receive.
    pub destination: Address<'a>,
    /// Mode, type and features.
    pub esm_class: EsmClass,
    /// Which receipts are wanted.
    pub registered_delivery: RegisteredDelivery,
    /// The text's alphabet and class.
    pub data_coding: DataCoding,
    /// What follows, the message among it.
    pub tlvs: Tlvs<'a>,
}

impl<'a> DataSm<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        Ok(Self::parse(body)?.1)
    }

    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (input, service_type) = c_octet_string("service_type", CommandStatus::ESME_RINVSERTYP)(input)?;
        let (input, source) = address(SOURCE)(input)?;
        let (input, destination) = address(DESTINATION)(input)?;
        let (input, esm_class) = octet("esm_class")(input)?;
        let (input, registered_delivery) = octet("registered_delivery")(input)?;
        let (input, data_coding) = octet("data_coding")(input)?;
        let pdu = Self {
            service_type,
            source,
            destination,
            esm_class: EsmClass(esm_class),
            registered_delivery: RegisteredDelivery(registered_delivery),
            data_coding: DataCoding(data_coding),
            tlvs: Tlvs::from_bytes(input),
        };
        Ok((&[], pdu))
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        self.service_type.encode(out);
        self.source.encode(out);
        self.destination.encode(out);
        out.put_slice(&[self.esm_class.0, self.registered_delivery.0, self.data_coding.0]);
        self.tlvs.encode(out);
    }

    /// The octets to judge: `message_payload`, or nothing.
    pub fn message(&self) -> Result<&'a [u8], BodyFault> {
        super::message(&[], self.tlvs)
    }
}

/// `data_sm_resp` (SMPP 3.4 §4.7.2, SMPP 5.0 §4.2.2.2).
///
/// | field | octets | |
/// |---|---|---|
/// | `message_id` | ≤ 65 | C-octet string; absent on errors |
/// | TLVs | | `delivery_failure_reason`, `network_error_code`, `additional_status_info_text`, `dpf_result` |
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DataSmResp<'a> {
    /// The message's name; `None` where no body stands.
    pub message_id: Option<COctetString<'a>>,
    /// What follows.
    pub tlvs: Tlvs<'a>,
}

impl<'a> DataSmResp<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        let (message_id, tlvs) = response::string_and_tlvs("message_id", CommandStatus::ESME_RINVMSGID, body)?;
        Ok(Self { message_id, tlvs })
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        response::encode(self.message_id, self.tlvs, out);
    }
}
