use bytes::BytesMut;
use portcullis_protocol::pdu::DeliverSm;
use portcullis_protocol::tlv::{self, TlvTag};

use super::*;

const TEXT: &str =
    "id:0123456789 sub:001 dlvrd:001 submit date:2611231015 done date:2611231016 stat:DELIVRD err:000 text:id:9";

/// Message id, state and error of what is read, and by what mark.
type Told = Option<(Option<String>, Option<String>, Option<String>, Mark)>;

fn told(esm_class: u8, text: &str, tlvs: &[u8]) -> Told {
    let pdu = DeliverSm { esm_class: EsmClass(esm_class), tlvs: Tlvs::from_bytes(tlvs), ..DeliverSm::default() };
    let (receipt, mark) = read(&Pdu::DeliverSm(pdu), Some(text))?;
    let owned = |value: Option<Cow<'_, str>>| value.map(Cow::into_owned);
    Some((owned(receipt.message_id), owned(receipt.state), owned(receipt.error), mark))
}

fn tlvs(id: Option<&[u8]>, state: Option<u8>) -> BytesMut {
    let mut out = BytesMut::new();
    if let Some(id) = id {
        tlv::push(&mut out, TlvTag::RECEIPTED_MESSAGE_ID, id);
    }
    if let Some(state) = state {
        tlv::push(&mut out, TlvTag::MESSAGE_STATE, &[state]);
    }
    out
}

fn receipt(id: &str, state: &str, error: Option<&str>, mark: Mark) -> Told {
    Some((Some(id.to_owned()), Some(state.to_owned()), error.map(str::to_owned), mark))
}

#[test]
fn fields_are_read_by_name_wherever_they_stand() {
    assert_eq!(field(TEXT, "id"), Some("0123456789"));
    assert_eq!(field(TEXT, "stat"), Some("DELIVRD"));
    assert_eq!(field("stat:EXPIRED id:ab-12", "id"), Some("ab-12"));
    assert_eq!(field("ID:7 STAT:DELIVRD", "stat"), Some("DELIVRD"));
}

#[test]
fn a_name_inside_another_word_is_not_the_field() {
    assert_eq!(field("mid:7 stat:DELIVRD", "id"), None);
    assert_eq!(field("id: stat:DELIVRD", "id"), None);
}

#[test]
fn the_repeated_text_is_not_the_receipt() {
    assert_eq!(field("id:7 stat:DELIVRD Text:err:5", "err"), None);
    assert_eq!(own_words("id:7 stat:DELIVRD text:退订"), "id:7 stat:DELIVRD ");
    assert_eq!(own_words("我要退订"), "我要退订");
}

#[test]
fn esm_class_marks_receipts_in_each_of_its_forms() {
    for esm_class in [0x04, 0x44, 0x08, 0x20, 0x84, 0x07] {
        assert_eq!(told(esm_class, TEXT, &[]), receipt("0123456789", "DELIVRD", Some("000"), Mark::Carrier));
        assert_eq!(told(esm_class, "TD", &[]), Some((None, None, None, Mark::Carrier)), "{esm_class:#04x}");
    }
}

#[test]
fn tlvs_mark_receipts_and_name_the_message_first() {
    let both = tlvs(Some(b"4F2A\0"), Some(2));
    assert_eq!(told(0, "", &both), receipt("4F2A", "DELIVRD", None, Mark::Carrier));
    assert_eq!(told(0, TEXT, &both), receipt("4F2A", "DELIVRD", Some("000"), Mark::Carrier));
    assert_eq!(told(0, "R", &tlvs(Some(b"9"), None)), Some((Some("9".to_owned()), None, None, Mark::Carrier)));
    assert_eq!(
        told(0, TEXT, &tlvs(Some(b"\0"), Some(5))),
        receipt("0123456789", "DELIVRD", Some("000"), Mark::Carrier)
    );
    assert_eq!(told(0, "", &tlvs(None, Some(8))), Some((None, Some("REJECTD".to_owned()), None, Mark::Carrier)));
}

#[test]
fn without_a_mark_only_the_form_of_appendix_b_is_one() {
    assert_eq!(told(0, TEXT, &[]), receipt("0123456789", "DELIVRD", Some("000"), Mark::Text));
    for text in
        ["id:7 stat:0", "id:7 stat:BUFFRED err:0", "ID:7 sub:001 Stat:ACKED", "id: 7 stat:FAILED mcc:460 price:0.03"]
    {
        assert_eq!(told(0, text, &[]).map(|told| told.3), Some(Mark::Text), "{text}");
    }
    for text in ["R", "退订", "id:7", "stat:DELIVRD", "my id:7 stat:DELIVRD", "id:7 stat:好", "id: stat:DELIVRD", ""]
    {
        assert_eq!(told(0, text, &[]), None, "{text}");
    }
    assert_eq!(told(0x10, "R", &[]), None, "a person's acknowledgement is a reply");
}

#[test]
fn quirks_of_fields_are_read_as_given() {
    for (text, error) in [("err:0x1F", "0x1F"), ("err:0034", "0034"), ("err:E-4", "E-4"), ("err:011,", "011")] {
        let text = format!("id:7 submit date:261123101500 done date:20261123101600 stat:UNDELIV {text} Text:x");
        assert_eq!(told(4, &text, &[]), receipt("7", "UNDELIV", Some(error), Mark::Carrier));
    }
}

#[test]
fn states_have_one_word_each() {
    for (given, word, ending) in [
        ("DELIVRD", "DELIVRD", Ending::Delivered),
        ("delivered", "DELIVRD", Ending::Delivered),
        ("2", "DELIVRD", Ending::Delivered),
        ("FAILED", "UNDELIV", Ending::Failed),
        ("5", "UNDELIV", Ending::Failed),
        ("BUFFRED", "ENROUTE", Ending::None),
        ("BUFFERD", "ENROUTE", Ending::None),
        ("ACKED", "ENROUTE", Ending::None),
        ("ACCEPTD", "ACCEPTD", Ending::None),
        ("0", "SCHEDLD", Ending::None),
        ("WHATEVER", "WHATEVER", Ending::Unclear),
    ] {
        assert_eq!(state(given), (word.into(), ending), "{given}");
    }
}

#[test]
fn dates_are_read_with_or_without_seconds_and_century() {
    let read = |digits: &str| done_date(&format!("id:7 done date:{digits} stat:DELIVRD")).map(|at| at.to_string());
    assert_eq!(read("2611231016").as_deref(), Some("2026-11-23T10:16:00"));
    assert_eq!(read("261123101655").as_deref(), Some("2026-11-23T10:16:55"));
    assert_eq!(read("20261123101655").as_deref(), Some("2026-11-23T10:16:55"));
    assert_eq!(read("202611231016").as_deref(), Some("2026-11-23T10:16:00"));
    for digits in ["2613231016", "26112310", "26-11-23", "0000000000", "yesterday"] {
        assert_eq!(read(digits), None, "{digits}");
    }
}
