//! What must hold of any octets, any value and any stream.
//!
//! Shared by the property tests and the fuzz targets.

use bytes::BytesMut;
use portcullis_protocol::time::SmppTime;
use portcullis_protocol::tlv::Tlvs;
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu, frame};

/// What is read is written back octet for octet; forwarding changes the sequence number alone.
pub fn octets(command_id: CommandId, body: &[u8]) {
    let mut forwarded = Frame::new(command_id, CommandStatus::ESME_ROK, 1, body);
    let Ok(pdu) = Pdu::decode_body(command_id, body) else {
        return;
    };
    touch(&pdu);
    let written = pdu.to_frame(CommandStatus::ESME_ROK, 0x7FFF_FFFF);
    assert_eq!(written.body(), body, "{pdu:?}");
    assert_eq!(Pdu::decode(&written), Ok(pdu));
    forwarded.restamp(0x7FFF_FFFF);
    assert_eq!(forwarded.as_bytes(), written.as_bytes());
}

/// A value comes back as it was.
pub fn value(pdu: &Pdu<'_>) {
    let written = pdu.to_frame(CommandStatus::ESME_RTHROTTLED, 7);
    assert_eq!(Pdu::decode(&written).as_ref(), Ok(pdu), "{:02x?}", written.body());
    assert_eq!(written.header().command_length as usize, written.as_bytes().len());
    octets(pdu.command_id(), written.body());
}

/// A stream gives the same frames and the same fault however it is cut into segments.
pub fn segments(stream: &[u8], limit: usize, mut next_length: impl FnMut() -> usize) {
    let (mut whole, mut cut) = (BytesMut::from(stream), BytesMut::new());
    let mut rest = stream;
    loop {
        let expected = frame::split(&mut whole, limit);
        let mut got = frame::split(&mut cut, limit);
        while got == Ok(None) && !rest.is_empty() {
            let (segment, after) = rest.split_at(next_length().clamp(1, rest.len()));
            cut.extend_from_slice(segment);
            rest = after;
            got = frame::split(&mut cut, limit);
        }
        assert_eq!(got, expected);
        if !matches!(expected, Ok(Some(_))) {
            break;
        }
    }
    cut.extend_from_slice(rest);
    assert_eq!(cut, whole, "the unread octets differ");
}

/// Asks every question that reads further into the octets; none may panic.
fn touch(pdu: &Pdu<'_>) {
    assert!(!format!("{pdu:?}").is_empty());
    let (tlvs, message) = match pdu {
        Pdu::SubmitSm(pdu) => {
            _ = (SmppTime::of(pdu.schedule_delivery_time), SmppTime::of(pdu.validity_period));
            (pdu.tlvs, pdu.message())
        }
        Pdu::DeliverSm(pdu) => (pdu.tlvs, pdu.message()),
        Pdu::SubmitMulti(pdu) => {
            assert_eq!(pdu.destinations.iter().count(), pdu.destinations.len());
            (pdu.tlvs, pdu.message())
        }
        Pdu::ReplaceSm(pdu) => (pdu.tlvs, pdu.message()),
        Pdu::DataSm(pdu) => (pdu.tlvs, pdu.message()),
        Pdu::BroadcastSm(pdu) => (pdu.tlvs, pdu.message()),
        _ => return,
    };
    ask(tlvs);
    if let (Ok(message), false) = (message, tlvs.is_empty()) {
        assert!(tlvs.message_payload().is_none_or(|payload| payload == message));
    }
}

fn ask(tlvs: Tlvs<'_>) {
    let read: usize = tlvs.iter().map(|tlv| 4 + tlv.value.len()).sum();
    let left = tlvs.as_bytes().len() - read - tlvs.rest().len();
    assert!(left <= 1, "{left} octets are neither read nor left");
    _ = (tlvs.sar(), tlvs.receipted_message_id(), tlvs.message_state(), tlvs.network_error_code());
    _ = (tlvs.user_message_reference(), tlvs.additional_status_info_text(), tlvs.dest_addr_subunit());
    _ = (tlvs.source_port(), tlvs.destination_port(), tlvs.language_indicator(), tlvs.callback_numbers().count());
    _ = (tlvs.sc_interface_version(), tlvs.congestion_state(), tlvs.truncated_tag());
}
