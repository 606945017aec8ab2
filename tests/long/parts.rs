//! A long message in parts, in every form peers give them.

use bytes::BytesMut;
use portcullis_protocol::field::{DataCoding, EsmClass, RegisteredDelivery};
use portcullis_protocol::pdu::{DataSm, SubmitSm};
use portcullis_protocol::tlv::{TlvTag, Tlvs, push};
use portcullis_protocol::{Frame, Pdu};

use crate::provider::{OK, encoded, source, subscriber};

/// How a part tells its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// A header with an 8-bit reference.
    Udh8,
    /// A header with a 16-bit reference.
    Udh16,
    /// The same behind another information element.
    Second,
    /// `sar_*` beside `short_message`.
    Sar,
    /// `sar_*` beside `message_payload`.
    SarPayload,
    /// A header within `message_payload`.
    UdhPayload,
    /// A header within the `message_payload` of a `data_sm`.
    Data,
}

impl Form {
    /// Every form that travels as `submit_sm`.
    pub(crate) const ALL: [Self; 6] =
        [Self::Udh8, Self::Udh16, Self::Second, Self::Sar, Self::SarPayload, Self::UdhPayload];
}

/// A message to be cut.
#[derive(Clone, Copy)]
pub(crate) struct Long<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) text: &'a str,
    pub(crate) reference: u16,
    pub(crate) form: Form,
}

impl Long<'_> {
    /// Its parts, each with so many octets of text.
    pub(crate) fn parts(&self, octets: usize) -> Vec<Frame> {
        self.cut(octets, 0)
    }

    /// The same, asking for receipts.
    pub(crate) fn parts_with_receipts(&self, octets: usize) -> Vec<Frame> {
        self.cut(octets, 1)
    }

    fn cut(&self, octets: usize, registered_delivery: u8) -> Vec<Frame> {
        let (_, text) = encoded(self.text);
        let pieces: Vec<&[u8]> = text.chunks(octets).collect();
        let total = u8::try_from(pieces.len()).expect("at most 255 parts");
        (1..=total).zip(pieces).map(|(number, piece)| self.part(number, total, piece, registered_delivery)).collect()
    }

    /// One part with this text.
    pub(crate) fn part(&self, number: u8, total: u8, piece: &[u8], registered_delivery: u8) -> Frame {
        self.part_in(encoded(self.text).0, number, total, piece, registered_delivery)
    }

    /// The same in another coding.
    pub(crate) fn part_in(
        &self,
        data_coding: DataCoding,
        number: u8,
        total: u8,
        piece: &[u8],
        registered_delivery: u8,
    ) -> Frame {
        let [high, low] = self.reference.to_be_bytes();
        let header = match self.form {
            Form::Udh8 | Form::UdhPayload => vec![5, 0, 3, low, total, number],
            Form::Udh16 | Form::Data => vec![6, 8, 4, high, low, total, number],
            Form::Second => vec![9, 0x70, 2, 1, 2, 0, 3, low, total, number],
            Form::Sar | Form::SarPayload => Vec::new(),
        };
        let mut tlvs = BytesMut::new();
        if header.is_empty() {
            push(&mut tlvs, TlvTag::SAR_MSG_REF_NUM, &[high, low]);
            push(&mut tlvs, TlvTag::SAR_TOTAL_SEGMENTS, &[total]);
            push(&mut tlvs, TlvTag::SAR_SEGMENT_SEQNUM, &[number]);
        }
        let esm_class = if header.is_empty() { EsmClass(0) } else { EsmClass::UDHI };
        let message = [&header[..], piece].concat();
        let in_payload = matches!(self.form, Form::SarPayload | Form::UdhPayload | Form::Data);
        if in_payload {
            push(&mut tlvs, TlvTag::MESSAGE_PAYLOAD, &message);
        }
        let submit = SubmitSm {
            source: source(self.from),
            destination: subscriber(self.to),
            esm_class,
            data_coding,
            registered_delivery: RegisteredDelivery(registered_delivery),
            short_message: if in_payload { &[] } else { &message },
            tlvs: Tlvs::from_bytes(&tlvs),
            ..SubmitSm::default()
        };
        if self.form != Form::Data {
            return Pdu::SubmitSm(submit).to_frame(OK, 0);
        }
        let SubmitSm { source, destination, registered_delivery, tlvs, .. } = submit;
        let data =
            DataSm { source, destination, esm_class, data_coding, registered_delivery, tlvs, ..DataSm::default() };
        Pdu::DataSm(data).to_frame(OK, 0)
    }
}
