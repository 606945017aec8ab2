//! Typed reading of parameters as peers really write them.

use super::*;
use crate::field::COctetString;

fn tail(parameters: &[(TlvTag, &[u8])]) -> BytesMut {
    let mut out = BytesMut::new();
    for (tag, value) in parameters {
        push(&mut out, *tag, value);
    }
    out
}

#[test]
fn integers_are_read_in_any_width_that_fits() {
    for value in [&b"\x07"[..], b"\x00\x07", b"\x00\x00\x00\x07", b"\x00\x00\x00\x00\x00\x07"] {
        let octets = tail(&[(TlvTag::USER_MESSAGE_REFERENCE, value), (TlvTag::MESSAGE_STATE, value)]);
        let tlvs = Tlvs::from_bytes(&octets);
        assert_eq!(tlvs.user_message_reference(), Some(7), "{value:?}");
        assert_eq!(tlvs.message_state(), Some(MessageState(7)), "{value:?}");
    }
    for value in [&b""[..], b"\x01\x00\x00", b"\x01\x00\x00\x00\x00"] {
        let octets = tail(&[(TlvTag::USER_MESSAGE_REFERENCE, value)]);
        assert_eq!(Tlvs::from_bytes(&octets).user_message_reference(), None, "{value:?}");
    }
}

#[test]
fn a_receipted_message_id_may_lack_its_nul() {
    for value in [&b"0a1b"[..], b"0a1b\0", b"0a1b\0\0junk"] {
        let octets = tail(&[(TlvTag::RECEIPTED_MESSAGE_ID, value)]);
        assert_eq!(Tlvs::from_bytes(&octets).receipted_message_id(), Some(COctetString(b"0a1b")));
    }
}

#[test]
fn sar_needs_all_three() {
    let all: [(TlvTag, &[u8]); 3] = [
        (TlvTag::SAR_SEGMENT_SEQNUM, b"\x02"),
        (TlvTag::SAR_MSG_REF_NUM, b"\x12\x34"),
        (TlvTag::SAR_TOTAL_SEGMENTS, b"\x03"),
    ];
    let octets = tail(&all);
    assert_eq!(Tlvs::from_bytes(&octets).sar(), Some(Sar { reference: 0x1234, total: 3, number: 2 }));
    for missing in 0..3 {
        let rest: Vec<_> = (0..3).filter(|&at| at != missing).map(|at| all[at]).collect();
        assert_eq!(Tlvs::from_bytes(&tail(&rest)).sar(), None);
    }
}

#[test]
fn a_network_error_may_be_three_digits() {
    let read = |value| Tlvs::from_bytes(&tail(&[(TlvTag::NETWORK_ERROR_CODE, value)])).network_error_code();
    assert_eq!(read(b"\x03\x01\x02"), Some(NetworkErrorCode::Code { network_type: 3, code: 0x0102 }));
    assert_eq!(read(b"017"), Some(NetworkErrorCode::Digits(17)));
    assert_eq!(read(b"\x03\x01"), None);
}

#[test]
fn repeated_parameters_are_all_there_and_the_first_is_taken() {
    let octets = tail(&[
        (TlvTag::CALLBACK_NUM, b"\x71\x01\x0186138"),
        (TlvTag(0x1401), b"template"),
        (TlvTag::CALLBACK_NUM, b"\x01\x00\x00555"),
        (TlvTag::CALLBACK_NUM, b"\x01"),
    ]);
    let tlvs = Tlvs::from_bytes(&octets);
    let digits: Vec<_> = tlvs.callback_numbers().map(|number| number.digits).collect();
    assert_eq!(digits, [b"86138".as_slice(), b"555"]);
    assert_eq!(tlvs.callback_numbers().next().map(|number| number.digit_mode), Some(0x71));
    assert_eq!(tlvs.get(TlvTag::CALLBACK_NUM), Some(b"\x71\x01\x0186138".as_slice()));
    assert_eq!(tlvs.get(TlvTag(0x1401)), Some(b"template".as_slice()));
    assert_eq!(tlvs.iter().count(), 4);
}

#[test]
fn a_lone_nul_is_stepped_over_only_where_that_reads_to_the_end() {
    let mut octets = BytesMut::from(&b"\0"[..]);
    push(&mut octets, TlvTag::MESSAGE_PAYLOAD, b"hello");
    assert_eq!(Tlvs::from_bytes(&octets).message_payload(), Some(b"hello".as_slice()));
    assert!(!Tlvs::from_bytes(&octets).is_truncated());

    let subunit = tail(&[(TlvTag::DEST_ADDR_SUBUNIT, b"\x01")]);
    assert_eq!(Tlvs::from_bytes(&subunit).dest_addr_subunit(), Some(Subunit::MS_DISPLAY));

    octets.extend_from_slice(b"\x02");
    assert_eq!(Tlvs::from_bytes(&octets).iter().count(), 0);
    assert!(Tlvs::from_bytes(&octets).is_truncated());
    assert!(Tlvs::from_bytes(b"\0").iter().next().is_none());
}

#[test]
fn half_a_header_has_no_tag_and_a_value_too_long_has() {
    assert_eq!(Tlvs::from_bytes(b"\x04").truncated_tag(), None);
    let cut = Tlvs::from_bytes(b"\x04\x24\x00\x05hi");
    assert_eq!((cut.truncated_tag(), cut.message_payload()), (Some(TlvTag::MESSAGE_PAYLOAD), None));
    assert_eq!(cut.rest(), b"\x04\x24\x00\x05hi");
}

#[test]
fn a_value_is_cut_at_what_a_length_can_count() {
    let octets = tail(&[(TlvTag::MESSAGE_PAYLOAD, &[b'x'; 70_000]), (TlvTag::MESSAGE_STATE, b"\x02")]);
    let tlvs = Tlvs::from_bytes(&octets);
    assert_eq!(tlvs.message_payload().map(<[u8]>::len), Some(65_535));
    assert_eq!(tlvs.message_state(), Some(MessageState::DELIVERED));
}
