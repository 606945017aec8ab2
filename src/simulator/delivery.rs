//! What comes back from the handset: delivery receipts and replies.
//!
//! Owns the form of the `deliver_sm` the simulated carrier sends after it took a message.
//! Refuses to decide whether one is sent, and where. Driven by the conversation.

use std::borrow::Cow;

use bytes::BytesMut;
use portcullis_protocol::address::Address;
use portcullis_protocol::field::{COctetString, DataCoding, EsmClass, RegisteredDelivery};
use portcullis_protocol::frame::Frame;
use portcullis_protocol::pdu::{DeliverSm, Pdu};
use portcullis_protocol::status::CommandStatus;
use portcullis_protocol::text::{gsm7, ucs2};
use portcullis_protocol::tlv::{self, MessageState, TlvTag, Tlvs};

/// The most octets `short_message` carries in SMPP 3.4 §5.2.22.
const SHORT_MESSAGE: usize = 254;
/// The octets of the message a receipt repeats (SMPP 3.4, appendix B).
const REPEATED: usize = 20;

/// Of an accepted message, what deliveries are made from.
pub(super) struct Message<'a> {
    source: Address<'a>,
    destination: Address<'a>,
    registered_delivery: RegisteredDelivery,
    /// The text, where octets can be repeated as they are.
    text: &'a [u8],
}

impl<'a> Message<'a> {
    /// The message in `pdu`, if it goes to one handset.
    pub(super) fn of(pdu: &Pdu<'a>) -> Option<Self> {
        let (source, destination, registered_delivery, data_coding, text) = match pdu {
            Pdu::SubmitSm(submit) => (
                submit.source,
                submit.destination,
                submit.registered_delivery,
                submit.data_coding,
                submit.short_message,
            ),
            Pdu::DataSm(data) => (data.source, data.destination, data.registered_delivery, data.data_coding, &[][..]),
            _ => return None,
        };
        let text = if data_coding <= DataCoding::IA5 { &text[..text.len().min(REPEATED)] } else { &[] };
        Some(Self { source, destination, registered_delivery, text })
    }

    /// Whether success is to be reported.
    pub(super) fn asks_receipt(&self) -> bool {
        let asked = RegisteredDelivery(self.registered_delivery.0 & 0x03);
        matches!(asked, RegisteredDelivery::RECEIPT | RegisteredDelivery::RECEIPT_ON_SUCCESS)
    }

    /// The receipt that says it arrived (SMPP 3.4, appendix B), sequence number 0.
    pub(super) fn receipt(&self, message_id: &[u8], minute: &str) -> Frame {
        let mut text = Vec::with_capacity(160);
        text.extend_from_slice(b"id:");
        text.extend_from_slice(message_id);
        text.extend_from_slice(
            format!(" sub:001 dlvrd:001 submit date:{minute} done date:{minute} stat:DELIVRD err:000 text:").as_bytes(),
        );
        text.extend_from_slice(self.text);
        let mut tlvs = BytesMut::new();
        tlv::push(&mut tlvs, TlvTag::RECEIPTED_MESSAGE_ID, &[message_id, &[0]].concat());
        tlv::push(&mut tlvs, TlvTag::MESSAGE_STATE, &[MessageState::DELIVERED.0]);
        self.back(EsmClass::DELIVERY_RECEIPT, DataCoding::DEFAULT, &text, &tlvs)
    }

    /// `text` from the message's destination to its source, sequence number 0.
    pub(super) fn reply(&self, text: &str) -> Frame {
        let (data_coding, octets) = match gsm7::encode(text) {
            Some(octets) => (DataCoding::DEFAULT, Cow::from(octets)),
            None => (DataCoding::UCS2, Cow::from(ucs2::encode(text))),
        };
        let mut tlvs = BytesMut::new();
        if octets.len() <= SHORT_MESSAGE {
            return self.back(EsmClass(0), data_coding, &octets, &tlvs);
        }
        tlv::push(&mut tlvs, TlvTag::MESSAGE_PAYLOAD, &octets);
        self.back(EsmClass(0), data_coding, &[], &tlvs)
    }

    fn back(&self, esm_class: EsmClass, data_coding: DataCoding, short_message: &[u8], tlvs: &[u8]) -> Frame {
        let deliver = DeliverSm {
            service_type: COctetString(b""),
            source: self.destination,
            destination: self.source,
            esm_class,
            data_coding,
            short_message,
            tlvs: Tlvs::from_bytes(tlvs),
            ..DeliverSm::default()
        };
        Pdu::DeliverSm(deliver).to_frame(CommandStatus::ESME_ROK, 0)
    }
}
