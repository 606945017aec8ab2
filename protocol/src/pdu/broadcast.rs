//! `broadcast_sm`, `query_broadcast_sm`, `cancel_broadcast_sm` and their responses (SMPP 5.0).
//!
//! Owns the fields of the three pairs. Refuses to judge them and to demand the TLVs the
//! specification makes mandatory: the carrier does. Driven by [`Pdu`](super::Pdu).

use bytes::{BufMut, BytesMut};

use super::response;
use super::session::bodiless;
use crate::address::{Address, SOURCE, address};
use crate::error::BodyFault;
use crate::field::{COctetString, DataCoding, Parsed, c_octet_string, octet};
use crate::status::CommandStatus;
use crate::tlv::Tlvs;

/// `broadcast_sm` (SMPP 5.0 §4.4.1.1).
///
/// | field | octets | |
/// |---|---|---|
/// | `service_type` | ≤ 6 | C-octet string |
/// | `source_addr_ton`, `source_addr_npi` | 1 + 1 | |
/// | `source_addr` | ≤ 21 | C-octet string |
/// | `message_id` | ≤ 65 | C-octet string; names the broadcast to replace |
/// | `priority_flag` | 1 | |
/// | `schedule_delivery_time` | 1 or 17 | C-octet string |
/// | `validity_period` | 1 or 17 | C-octet string |
/// | `replace_if_present_flag` | 1 | |
/// | `data_coding` | 1 | |
/// | `sm_default_msg_id` | 1 | |
/// | TLVs | | `broadcast_area_identifier`, `broadcast_content_type`, `broadcast_rep_num`, `broadcast_frequency_interval`, `message_payload` and others |
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct BroadcastSm<'a> {
    /// The messaging service; empty for the carrier's default.
    pub service_type: COctetString<'a>,
    /// Who sends.
    pub source: Address<'a>,
    /// The broadcast to replace; empty for a new one.
    pub message_id: COctetString<'a>,
    /// 0 lowest to 4 highest.
    pub priority_flag: u8,
    /// When to send; empty for at once.
    pub schedule_delivery_time: COctetString<'a>,
    /// Until when to repeat; empty for the carrier's default.
    pub validity_period: COctetString<'a>,
    /// 1 replaces the broadcast named.
    pub replace_if_present_flag: u8,
    /// The text's alphabet and class.
    pub data_coding: DataCoding,
    /// A message kept at the carrier, sent instead of the text; 0 for none.
    pub sm_default_msg_id: u8,
    /// What follows, the message among it.
    pub tlvs: Tlvs<'a>,
}

impl<'a> BroadcastSm<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        Ok(Self::parse(body)?.1)
    }

    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (input, service_type) = c_octet_string("service_type", CommandStatus::ESME_RINVSERTYP)(input)?;
        let (input, source) = address(SOURCE)(input)?;
        let (input, message_id) = c_octet_string("message_id", CommandStatus::ESME_RINVMSGID)(input)?;
        let (input, priority_flag) = octet("priority_flag")(input)?;
        let (input, schedule_delivery_time) =
            c_octet_string("schedule_delivery_time", CommandStatus::ESME_RINVSCHED)(input)?;
        let (input, validity_period) = c_octet_string("validity_period", CommandStatus::ESME_RINVEXPIRY)(input)?;
        let (input, replace_if_present_flag) = octet("replace_if_present_flag")(input)?;
        let (input, data_coding) = octet("data_coding")(input)?;
        let (input, sm_default_msg_id) = octet("sm_default_msg_id")(input)?;
        let pdu = Self {
            service_type,
            source,
            message_id,
            priority_flag,
            schedule_delivery_time,
            validity_period,
            replace_if_present_flag,
            data_coding: DataCoding(data_coding),
            sm_default_msg_id,
            tlvs: Tlvs::from_bytes(input),
        };
        Ok((&[], pdu))
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        self.service_type.encode(out);
        self.source.encode(out);
        self.message_id.encode(out);
        out.put_u8(self.priority_flag);
        self.schedule_delivery_time.encode(out);
        self.validity_period.encode(out);
        out.put_slice(&[self.replace_if_present_flag, self.data_coding.0, self.sm_default_msg_id]);
        self.tlvs.encode(out);
    }

    /// The octets to judge: `message_payload`, or nothing.
    pub fn message(&self) -> Result<&'a [u8], BodyFault> {
        super::message(&[], self.tlvs)
    }
}

/// A response of one `message_id` and TLVs.
macro_rules! message_id_and_tlvs {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        pub struct $name<'a> {
            /// The broadcast's name; `None` where no body stands.
            pub message_id: Option<COctetString<'a>>,
            /// What follows.
            pub tlvs: Tlvs<'a>,
        }

        impl<'a> $name<'a> {
            /// Reads the body.
            pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
                let (message_id, tlvs) =
                    response::string_and_tlvs("message_id", CommandStatus::ESME_RINVMSGID, body)?;
                Ok(Self { message_id, tlvs })
            }

            /// Appends the body.
            pub fn encode(&self, out: &mut BytesMut) {
                response::encode(self.message_id, self.tlvs, out);
            }
        }
    };
}

message_id_and_tlvs! {
    /// `broadcast_sm_resp` (SMPP 5.0 §4.4.1.2).
    ///
    /// | field | octets | |
    /// |---|---|---|
    /// | `message_id` | ≤ 65 | C-octet string; absent on errors |
    /// | TLVs | | `broadcast_error_status`, `failed_broadcast_area_identifier` |
    BroadcastSmResp
}

/// `query_broadcast_sm` (SMPP 5.0 §4.6.1.1).
///
/// | field | octets | |
/// |---|---|---|
/// | `message_id` | ≤ 65 | C-octet string |
/// | `source_addr_ton`, `source_addr_npi` | 1 + 1 | |
/// | `source_addr` | ≤ 21 | C-octet string |
/// | TLVs | | `user_message_reference` |
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct QueryBroadcastSm<'a> {
    /// The broadcast.
    pub message_id: COctetString<'a>,
    /// Who sent it.
    pub source: Address<'a>,
    /// What follows.
    pub tlvs: Tlvs<'a>,
}

impl<'a> QueryBroadcastSm<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        Ok(Self::parse(body)?.1)
    }

    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (input, message_id) = c_octet_string("message_id", CommandStatus::ESME_RINVMSGID)(input)?;
        let (input, source) = address(SOURCE)(input)?;
        Ok((&[], Self { message_id, source, tlvs: Tlvs::from_bytes(input) }))
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        self.message_id.encode(out);
        self.source.encode(out);
        self.tlvs.encode(out);
    }
}

message_id_and_tlvs! {
    /// `query_broadcast_sm_resp` (SMPP 5.0 §4.6.1).
    ///
    /// | field | octets | |
    /// |---|---|---|
    /// | `message_id` | ≤ 65 | C-octet string; absent on errors |
    /// | TLVs | | `message_state`, `broadcast_area_identifier`, `broadcast_area_success` and others |
    QueryBroadcastSmResp
}

/// `cancel_broadcast_sm` (SMPP 5.0 §4.6.2.1).
///
/// | field | octets | |
/// |---|---|---|
/// | `service_type` | ≤ 6 | C-octet string |
/// | `message_id` | ≤ 65 | C-octet string; empty cancels all of this source and service |
/// | `source_addr_ton`, `source_addr_npi` | 1 + 1 | |
/// | `source_addr` | ≤ 21 | C-octet string |
/// | TLVs | | `broadcast_content_type`, `user_message_reference` |
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CancelBroadcastSm<'a> {
    /// The messaging service the broadcast was submitted with.
    pub service_type: COctetString<'a>,
    /// The broadcast; empty for all of this source and service.
    pub message_id: COctetString<'a>,
    /// Who sent it.
    pub source: Address<'a>,
    /// What follows.
    pub tlvs: Tlvs<'a>,
}

impl<'a> CancelBroadcastSm<'a> {
    /// Reads the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, BodyFault> {
        Ok(Self::parse(body)?.1)
    }

    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (input, service_type) = c_octet_string("service_type", CommandStatus::ESME_RINVSERTYP)(input)?;
        let (input, message_id) = c_octet_string("message_id", CommandStatus::ESME_RINVMSGID)(input)?;
        let (input, source) = address(SOURCE)(input)?;
        Ok((&[], Self { service_type, message_id, source, tlvs: Tlvs::from_bytes(input) }))
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        self.service_type.encode(out);
        self.message_id.encode(out);
        self.source.encode(out);
        self.tlvs.encode(out);
    }
}

bodiless! {
    /// `cancel_broadcast_sm_resp` (SMPP 5.0 §4.6.2): no body.
    CancelBroadcastSmResp
}
