//! What the gate owes after it answered in the carrier's place.
//!
//! Owns an acknowledged part on its way to the carrier, and the receipt that tells its provider
//! of an end the carrier will not tell. Refuses to send. Made by the desks, the sweep and the
//! restart; sent by whichever session of the account can.

use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use portcullis_protocol::address::Address;
use portcullis_protocol::field::{EsmClass, RegisteredDelivery};
use portcullis_protocol::pdu::DeliverSm;
use portcullis_protocol::tlv::{MessageState, TlvTag, Tlvs, push};
use portcullis_protocol::{CommandStatus, Frame, Pdu};

use super::desk::Sent;
use super::scheduled::Withdrawal;
use crate::rules::Permit;
use crate::store::EntryId;

/// One thing owed.
#[derive(Debug)]
pub enum Owed {
    /// To the carrier.
    Part(OwedPart),
    /// To the provider.
    Report(Report),
    /// To the carrier: a scheduled message is not to be delivered.
    Withdrawal(Withdrawal),
}

/// An acknowledged part whose message may pass.
#[derive(Debug)]
pub struct OwedPart {
    pub(super) provider: String,
    /// The record it was acknowledged under.
    pub(super) id: EntryId,
    pub(super) number: u8,
    pub(super) frame: Frame,
    /// Its message's records.
    pub(super) records: Vec<Sent>,
    pub(super) permit: Permit,
    /// Whose refusal still stops it: sender and subscriber of a commercial message.
    pub(super) marketing: Option<(String, u64)>,
    pub(super) received: Timestamp,
    /// It is a message by itself, which waited for the end of quiet hours.
    pub(super) alone: bool,
    pub(super) attempts: u32,
    pub(super) not_before: Option<Instant>,
}

/// A receipt of the gate's own.
#[derive(Debug)]
pub struct Report {
    pub(super) provider: String,
    /// The record the part was acknowledged under.
    pub(super) id: EntryId,
    pub(super) frame: Frame,
    pub(super) subscriber: String,
    pub(super) port: String,
    /// The register's port that it belongs to, by which a bind is chosen; empty where there is none.
    pub(super) route: String,
    pub(super) state: State,
    pub(super) attempts: u32,
    pub(super) not_before: Option<Instant>,
}

/// How an acknowledged part ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// The rules refused its message.
    Rejected(CommandStatus),
    /// The carrier refused it, or its message never became whole.
    Undeliverable(CommandStatus),
    /// Whether the carrier has it is not known.
    Unknown,
}

impl Owed {
    pub(super) fn provider(&self) -> &str {
        match self {
            Self::Part(part) => &part.provider,
            Self::Report(report) => &report.provider,
            Self::Withdrawal(withdrawal) => &withdrawal.provider,
        }
    }

    pub(super) fn not_before(&self) -> Option<Instant> {
        match self {
            Self::Part(part) => part.not_before,
            Self::Report(report) => report.not_before,
            Self::Withdrawal(withdrawal) => withdrawal.not_before,
        }
    }
}

impl State {
    /// The word in a receipt's text, and `message_state` (SMPP 3.4 appendix B, §5.2.28).
    pub(super) fn word(self) -> (&'static str, MessageState) {
        match self {
            Self::Rejected(_) => ("REJECTD", MessageState::REJECTED),
            Self::Undeliverable(_) => ("UNDELIV", MessageState::UNDELIVERABLE),
            Self::Unknown => ("UNKNOWN", MessageState::UNKNOWN),
        }
    }

    const fn status(self) -> CommandStatus {
        match self {
            Self::Rejected(status) | Self::Undeliverable(status) => status,
            Self::Unknown => CommandStatus::ESME_ROK,
        }
    }
}

/// The receipt for an acknowledged part, where its provider asked for one of a failure
/// (`registered_delivery` bits 1-0 are 1 or 2, SMPP 3.4 §5.2.17).
pub(super) fn receipt(
    part: &Frame,
    id: EntryId,
    state: State,
    received: Timestamp,
    now: Timestamp,
    zone: &TimeZone,
) -> Option<Frame> {
    let (source, destination, wanted) = match Pdu::decode(part).ok()? {
        Pdu::SubmitSm(pdu) => (pdu.source, pdu.destination, pdu.registered_delivery),
        Pdu::DataSm(pdu) => (pdu.source, pdu.destination, pdu.registered_delivery),
        Pdu::SubmitMulti(pdu) => (pdu.source, Address::default(), pdu.registered_delivery),
        _ => return None,
    };
    if !asks_for_failures(wanted) {
        return None;
    }
    let (word, message_state) = state.word();
    let time = |at: Timestamp| at.to_zoned_datetime(zone.clone()).strftime("%y%m%d%H%M").to_string();
    let text = format!(
        "id:{id} sub:001 dlvrd:000 submit date:{} done date:{} stat:{word} err:{:03} text:",
        time(received),
        time(now),
        state.status().0 % 1000,
    );
    let mut tlvs = BytesMut::new();
    push(&mut tlvs, TlvTag::RECEIPTED_MESSAGE_ID, format!("{id}\0").as_bytes());
    push(&mut tlvs, TlvTag::MESSAGE_STATE, &[message_state.0]);
    let pdu = DeliverSm {
        source: destination,
        destination: source,
        esm_class: EsmClass::DELIVERY_RECEIPT,
        short_message: text.as_bytes(),
        tlvs: Tlvs::from_bytes(&tlvs),
        ..DeliverSm::default()
    };
    Some(Pdu::DeliverSm(pdu).to_frame(CommandStatus::ESME_ROK, 0))
}

fn asks_for_failures(wanted: RegisteredDelivery) -> bool {
    matches!(wanted.0 & 0x03, 1 | 2)
}

/// The body of the answer that takes a part over: its `message_id`.
pub(super) fn acknowledgement(id: EntryId) -> Bytes {
    let mut body = BytesMut::new();
    body.put_slice(id.to_string().as_bytes());
    body.put_u8(0);
    body.freeze()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use portcullis_protocol::pdu::SubmitSm;

    use super::*;
    use crate::store::journal::Day;

    fn report(registered_delivery: u8) -> Option<Frame> {
        let part = SubmitSm {
            source: Address { addr: portcullis_protocol::field::COctetString(b"1069"), ..Address::default() },
            destination: Address { addr: portcullis_protocol::field::COctetString(b"8613"), ..Address::default() },
            registered_delivery: RegisteredDelivery(registered_delivery),
            ..SubmitSm::default()
        };
        let frame = Pdu::SubmitSm(part).to_frame(CommandStatus::ESME_ROK, 7);
        let id = EntryId { day: Day(date(2026, 11, 24)), number: 5 };
        let at = Timestamp::UNIX_EPOCH;
        receipt(&frame, id, State::Rejected(CommandStatus(0x481)), at, at, &TimeZone::UTC)
    }

    #[test]
    fn a_receipt_says_in_text_and_parameters_what_became_of_which_message() {
        let frame = report(1).unwrap();
        let Ok(Pdu::DeliverSm(pdu)) = Pdu::decode(&frame) else { panic!("no deliver_sm") };
        let text = "id:20261124-000000005 sub:001 dlvrd:000 submit date:7001010000 done date:7001010000 stat:REJECTD err:153 text:";
        assert_eq!(pdu.short_message, text.as_bytes());
        assert_eq!((pdu.source.addr.0, pdu.destination.addr.0), (b"8613".as_slice(), b"1069".as_slice()));
        assert!(pdu.esm_class.is_delivery_receipt());
        assert_eq!(pdu.tlvs.receipted_message_id().unwrap().0, b"20261124-000000005");
        assert_eq!(pdu.tlvs.message_state(), Some(MessageState::REJECTED));
    }

    #[test]
    fn only_who_asked_for_failures_gets_one() {
        let asked: Vec<u8> = (0..4).filter(|bits| report(*bits).is_some()).collect();
        assert_eq!(asked, [1, 2]);
        assert!(report(0x10).is_none(), "intermediate notifications are another wish");
    }
}
