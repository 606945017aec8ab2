//! Values of the optional parameters the gate reads.
//!
//! Owns the meaning of those values. Refuses to be strict: an integer may come in any
//! width, a string with or without its NUL; a value that makes no sense is `None`.

use super::{TlvTag, Tlvs};
use crate::field::{COctetString, InterfaceVersion, octet_newtype};

octet_newtype! {
    /// `message_state` (SMPP 3.4 §5.2.28, SMPP 5.0 §4.7.15).
    MessageState
}

impl MessageState {
    /// Scheduled, delivery not yet begun (SMPP 5.0).
    pub const SCHEDULED: Self = Self(0);
    /// In the network.
    pub const ENROUTE: Self = Self(1);
    /// At its destination.
    pub const DELIVERED: Self = Self(2);
    /// Its validity ended.
    pub const EXPIRED: Self = Self(3);
    /// Deleted.
    pub const DELETED: Self = Self(4);
    /// Cannot be delivered.
    pub const UNDELIVERABLE: Self = Self(5);
    /// Accepted on behalf of the subscriber.
    pub const ACCEPTED: Self = Self(6);
    /// In an invalid state.
    pub const UNKNOWN: Self = Self(7);
    /// Rejected.
    pub const REJECTED: Self = Self(8);
    /// Accepted but not sent on (SMPP 5.0).
    pub const SKIPPED: Self = Self(9);
}

octet_newtype! {
    /// `congestion_state`, 0 idle to 100 congested (SMPP 5.0 §4.8.4.18).
    CongestionState
}

octet_newtype! {
    /// `dest_addr_subunit` and `source_addr_subunit` (SMPP 3.4 §5.3.2.1, SMPP 5.0 §4.8.4.23).
    Subunit
}

impl Subunit {
    /// Not known.
    pub const UNKNOWN: Self = Self(0);
    /// The handset's display: shown at once, not kept.
    pub const MS_DISPLAY: Self = Self(1);
    /// The mobile equipment.
    pub const MOBILE_EQUIPMENT: Self = Self(2);
    /// The smart card.
    pub const SMART_CARD: Self = Self(3);
    /// An external unit.
    pub const EXTERNAL_UNIT: Self = Self(4);
}

/// One part's place in a long message: `sar_msg_ref_num`, `sar_total_segments`,
/// `sar_segment_seqnum` (SMPP 3.4 §5.3.2.22-24, SMPP 5.0 §4.8.4.48-50).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sar {
    /// Common to all parts.
    pub reference: u16,
    /// How many parts there are.
    pub total: u8,
    /// Which this one is, from 1.
    pub number: u8,
}

/// `network_error_code` (SMPP 3.4 §5.3.2.31, SMPP 5.0 §4.8.4.42).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NetworkErrorCode {
    /// As specified: the network's type and its code.
    Code {
        /// 1 ANSI-136, 2 IS-95, 3 GSM, 8 message centre.
        network_type: u8,
        /// The network's own code.
        code: u16,
    },
    /// Three ASCII digits, as some peers write it.
    Digits(u16),
}

/// `callback_num` (SMPP 3.4 §5.3.2.36, SMPP 5.0 §4.8.4.15).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CallbackNumber<'a> {
    /// 0 DTMF, 1 ASCII; peers send others.
    pub digit_mode: u8,
    /// Type of number.
    pub ton: crate::address::Ton,
    /// Numbering plan.
    pub npi: crate::address::Npi,
    /// The number.
    pub digits: &'a [u8],
}

impl<'a> Tlvs<'a> {
    /// A big-endian integer of any width that fits; peers mistake widths (1 for 2, 4 for 2).
    pub fn integer(&self, tag: TlvTag) -> Option<u32> {
        integer(self.get(tag)?)
    }

    fn octet(&self, tag: TlvTag) -> Option<u8> {
        self.integer(tag).and_then(|value| u8::try_from(value).ok())
    }

    fn short(&self, tag: TlvTag) -> Option<u16> {
        self.integer(tag).and_then(|value| u16::try_from(value).ok())
    }

    /// A string up to its NUL, or to the value's end where the NUL is missing.
    pub fn c_octet_string(&self, tag: TlvTag) -> Option<COctetString<'a>> {
        let value = self.get(tag)?;
        let end = value.iter().position(|&octet| octet == 0).unwrap_or(value.len());
        Some(COctetString(&value[..end]))
    }

    /// `message_payload`: the message, where `short_message` is empty.
    pub fn message_payload(&self) -> Option<&'a [u8]> {
        self.get(TlvTag::MESSAGE_PAYLOAD)
    }

    /// The three `sar_*` parameters; `None` unless all are there.
    pub fn sar(&self) -> Option<Sar> {
        Some(Sar {
            reference: self.short(TlvTag::SAR_MSG_REF_NUM)?,
            total: self.octet(TlvTag::SAR_TOTAL_SEGMENTS)?,
            number: self.octet(TlvTag::SAR_SEGMENT_SEQNUM)?,
        })
    }

    /// `receipted_message_id`, with or without its NUL.
    pub fn receipted_message_id(&self) -> Option<COctetString<'a>> {
        self.c_octet_string(TlvTag::RECEIPTED_MESSAGE_ID)
    }

    /// `message_state`
    pub fn message_state(&self) -> Option<MessageState> {
        self.octet(TlvTag::MESSAGE_STATE).map(MessageState)
    }

    /// `network_error_code`, also as three ASCII digits.
    pub fn network_error_code(&self) -> Option<NetworkErrorCode> {
        let &[first, second, third] = self.get(TlvTag::NETWORK_ERROR_CODE)? else {
            return None;
        };
        if [first, second, third].iter().all(u8::is_ascii_digit) {
            let digit = |octet: u8| u16::from(octet - b'0');
            return Some(NetworkErrorCode::Digits(digit(first) * 100 + digit(second) * 10 + digit(third)));
        }
        Some(NetworkErrorCode::Code { network_type: first, code: u16::from_be_bytes([second, third]) })
    }

    /// `user_message_reference`
    pub fn user_message_reference(&self) -> Option<u16> {
        self.short(TlvTag::USER_MESSAGE_REFERENCE)
    }

    /// `additional_status_info_text`
    pub fn additional_status_info_text(&self) -> Option<COctetString<'a>> {
        self.c_octet_string(TlvTag::ADDITIONAL_STATUS_INFO_TEXT)
    }

    /// `dest_addr_subunit`
    pub fn dest_addr_subunit(&self) -> Option<Subunit> {
        self.octet(TlvTag::DEST_ADDR_SUBUNIT).map(Subunit)
    }

    /// `source_addr_subunit`
    pub fn source_addr_subunit(&self) -> Option<Subunit> {
        self.octet(TlvTag::SOURCE_ADDR_SUBUNIT).map(Subunit)
    }

    /// `source_port`
    pub fn source_port(&self) -> Option<u16> {
        self.short(TlvTag::SOURCE_PORT)
    }

    /// `destination_port`
    pub fn destination_port(&self) -> Option<u16> {
        self.short(TlvTag::DESTINATION_PORT)
    }

    /// `language_indicator`
    pub fn language_indicator(&self) -> Option<u8> {
        self.octet(TlvTag::LANGUAGE_INDICATOR)
    }

    /// `sc_interface_version`
    pub fn sc_interface_version(&self) -> Option<InterfaceVersion> {
        self.octet(TlvTag::SC_INTERFACE_VERSION).map(InterfaceVersion)
    }

    /// `congestion_state`
    pub fn congestion_state(&self) -> Option<CongestionState> {
        self.octet(TlvTag::CONGESTION_STATE).map(CongestionState)
    }

    /// `more_messages_to_send`
    pub fn more_messages_to_send(&self) -> Option<u8> {
        self.octet(TlvTag::MORE_MESSAGES_TO_SEND)
    }

    /// `delivery_failure_reason`
    pub fn delivery_failure_reason(&self) -> Option<u8> {
        self.octet(TlvTag::DELIVERY_FAILURE_REASON)
    }

    /// Every `callback_num`; repeats are legal.
    pub fn callback_numbers(&self) -> impl Iterator<Item = CallbackNumber<'a>> + use<'a> {
        self.get_all(TlvTag::CALLBACK_NUM).filter_map(|value| {
            let (&[digit_mode, ton, npi], digits) = value.split_first_chunk::<3>()?;
            let (ton, npi) = (crate::address::Ton(ton), crate::address::Npi(npi));
            Some(CallbackNumber { digit_mode, ton, npi, digits })
        })
    }
}

/// Leading zeros may be missing or too many; `None` for no octet at all or over 32 bits.
fn integer(value: &[u8]) -> Option<u32> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u32, |sum, &octet| Some(sum.checked_mul(256)? | u32::from(octet)))
}
