//! Decoding and encoding of single PDUs, byte for byte; the odd ones peers send.

use super::*;
use crate::address::{Address, Npi, Ton};
use crate::field::{COctetString, DataCoding, EsmClass};
use crate::tlv;

/// A submit_sm whose body ends with `tail` after sm_length.
fn submit_body(tail: &[u8]) -> Vec<u8> {
    let mut body = b"CMT\0\x01\x0110690001\0\x01\x018613800138000\0\x40\x00\x00\0\0\x01\x00\x08\x00".to_vec();
    body.extend_from_slice(tail);
    body
}

fn round_trip(id: CommandId, body: &[u8]) {
    let frame = Frame::new(id, CommandStatus::ESME_ROK, 7, body);
    let pdu = Pdu::decode(&frame).unwrap();
    assert_eq!(pdu.command_id(), id);
    assert_eq!(pdu.to_frame(CommandStatus::ESME_ROK, 7).as_bytes(), frame.as_bytes(), "{pdu:?}");
}

#[test]
fn submit_sm_reads_every_field() {
    let body = submit_body(b"\x02hi\x02\x04\x00\x02\x12\x34");
    let pdu = SubmitSm::decode(&body).unwrap();
    assert_eq!(pdu.service_type, COctetString(b"CMT"));
    assert_eq!(pdu.source, Address::new(Ton::INTERNATIONAL, Npi::ISDN, b"10690001"));
    assert_eq!(pdu.destination.addr.as_str(), Some("8613800138000"));
    assert_eq!(pdu.esm_class, EsmClass::UDHI);
    assert_eq!(pdu.data_coding, DataCoding::UCS2);
    assert!(pdu.registered_delivery.wants_receipt());
    assert_eq!(pdu.message().unwrap(), b"hi");
    assert_eq!(pdu.tlvs.user_message_reference(), Some(0x1234));
    round_trip(CommandId::SUBMIT_SM, &body);
    round_trip(CommandId::DELIVER_SM, &body);
}

#[test]
fn sm_length_beyond_the_pdu_is_a_named_fault() {
    let fault = SubmitSm::decode(&submit_body(b"\x03hi")).unwrap_err();
    assert_eq!((fault.field, fault.status), ("sm_length", CommandStatus::ESME_RINVMSGLEN));
}

#[test]
fn a_nul_outside_sm_length_survives_and_hides_no_tlv() {
    round_trip(CommandId::SUBMIT_SM, &submit_body(b"\x02hi\x00"));
    let body = submit_body(b"\x00\x00\x04\x24\x00\x02hi");
    round_trip(CommandId::SUBMIT_SM, &body);
    assert_eq!(SubmitSm::decode(&body).unwrap().message().unwrap(), b"hi");
}

#[test]
fn two_bodies_are_one_too_many() {
    let status = |tail: &[u8]| {
        SubmitSm::decode(&submit_body(tail)).unwrap().message().map(<[u8]>::len).map_err(|fault| fault.status)
    };
    assert_eq!(status(b"\x02hi\x04\x24\x00\x01x"), Err(CommandStatus::ESME_ROPTPARNOTALLWD));
    assert_eq!(status(b"\x00\x04\x24\x00\x01x\x04\x24\x00\x01y"), Err(CommandStatus::ESME_RINVOPTPARSTREAM));
    assert_eq!(status(b"\x00\x04\x24\x00\x09x"), Err(CommandStatus::ESME_RINVPARLEN));
}

#[test]
fn a_tlv_longer_than_the_pdu_ends_the_tlvs() {
    let body = submit_body(b"\x02hi\x02\x04\x00\x02\x00\x05\x14\x01\x00\x09abc");
    let tlvs = SubmitSm::decode(&body).unwrap().tlvs;
    assert_eq!(tlvs.iter().count(), 1);
    assert_eq!(tlvs.truncated_tag(), Some(tlv::TlvTag(0x1401)));
    round_trip(CommandId::SUBMIT_SM, &body);
}

#[test]
fn a_message_over_255_octets_travels_as_payload() {
    let long = [b'x'; 300];
    let pdu = Pdu::SubmitSm(SubmitSm { short_message: &long, ..SubmitSm::default() });
    let frame = pdu.to_frame(CommandStatus::ESME_ROK, 1);
    let Pdu::SubmitSm(read) = Pdu::decode(&frame).unwrap() else { panic!("another operation came back") };
    assert!(read.short_message.is_empty());
    assert_eq!(read.message().unwrap(), long);
}

#[test]
fn a_bind_names_what_is_over_long_and_hides_its_password() {
    let body = b"provider\0much-too-long-a-password\0VMA\0\x34\0\0\0";
    round_trip(CommandId::BIND_TRANSCEIVER, body);
    let bind = Bind::decode(body).unwrap();
    assert_eq!(bind.over_long(), Some("password"));
    assert!(!format!("{bind:?}").contains("much-too-long"));
    let fault = Bind::decode(b"provider\0secret").unwrap_err();
    assert_eq!((fault.field, fault.status), ("password", CommandStatus::ESME_RINVPASWD));
}

#[test]
fn responses_come_with_a_body_without_or_with_tlvs_alone() {
    for body in [&b""[..], b"\0", b"abc\0", b"\x00\x1D\x00\x03no\0", b"abc\0\x04\x28\x00\x01\x05", b"abc\0\x01"] {
        round_trip(CommandId::SUBMIT_SM_RESP, body);
        round_trip(CommandId::DELIVER_SM_RESP, body);
        round_trip(CommandId::BIND_TRANSMITTER_RESP, body);
    }
    let alone = SubmitSmResp::decode(b"\x00\x1D\x00\x03no\0").unwrap();
    assert_eq!(alone.message_id, None);
    assert_eq!(alone.tlvs.additional_status_info_text(), Some("no".into()));
    assert_eq!(SubmitSmResp::decode(b"abc").unwrap_err().field, "message_id");
}

#[test]
fn bodiless_operations_keep_what_should_not_be_there() {
    for id in [CommandId::ENQUIRE_LINK, CommandId::UNBIND, CommandId::GENERIC_NACK, CommandId::REPLACE_SM_RESP] {
        round_trip(id, b"");
        round_trip(id, b"\x01");
    }
    round_trip(CommandId(0x0100_0001), b"vendor");
}

#[test]
fn submit_multi_reads_its_lists() {
    let mut body = b"\0\0\0src\0\x02\x01\x01\x0186138\0\x02friends\0".to_vec();
    body.extend_from_slice(b"\0\0\0\0\0\0\0\0\0\x02hi");
    let pdu = SubmitMulti::decode(&body).unwrap();
    assert_eq!(pdu.destinations.len(), 2);
    let list: Vec<_> = pdu.destinations.iter().collect();
    assert_eq!(list[1], Destination::DistributionList("friends".into()));
    assert_eq!(pdu.message().unwrap(), b"hi");
    round_trip(CommandId::SUBMIT_MULTI, &body);
    body[8] = 3;
    assert_eq!(SubmitMulti::decode(&body).unwrap_err().status, CommandStatus::ESME_RINVDESTFLAG);

    let answer = b"id\0\x01\x01\x0186138\0\x00\x00\x00\x14\x04\x28\x00\x01\x05";
    round_trip(CommandId::SUBMIT_MULTI_RESP, answer);
    let accepted = SubmitMultiResp::decode(answer).unwrap().accepted.unwrap();
    let refused = accepted.unsuccessful.unwrap().iter().next().unwrap();
    assert_eq!(refused.error_status_code, CommandStatus::ESME_RMSGQFUL);
    round_trip(CommandId::SUBMIT_MULTI_RESP, b"id\0");
}

#[test]
fn the_remaining_operations_survive() {
    round_trip(CommandId::DATA_SM, b"\0\0\0src\0\0\0dst\0\0\0\0\x04\x24\x00\x02hi");
    round_trip(CommandId::QUERY_SM, b"id\0\0\0src\0");
    round_trip(CommandId::QUERY_SM_RESP, b"id\0\0\x02\x00");
    round_trip(CommandId::CANCEL_SM, b"\0id\0\0\0src\0\0\0dst\0");
    round_trip(CommandId::REPLACE_SM, b"id\0\0\0src\0\0\0\x01\x00\x02hi");
    round_trip(CommandId::ALERT_NOTIFICATION, b"\x01\x0186138\0\0\0esme\0\x00");
    round_trip(CommandId::OUTBIND, b"carrier\0secret\0");
    round_trip(CommandId::BROADCAST_SM, b"\0\0\0src\0\0\0\0\0\0\0\0\x06\x04\x00\x02\x00\x01");
    round_trip(CommandId::QUERY_BROADCAST_SM, b"id\0\0\0src\0");
    round_trip(CommandId::CANCEL_BROADCAST_SM, b"\0id\0\0\0src\0");
}
