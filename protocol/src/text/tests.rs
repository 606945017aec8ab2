//! `read` as a whole: what `data_coding`, header and settings do together.

use proptest::prelude::*;

use super::*;

const STANDARD: TextSettings =
    TextSettings { default_alphabet: Alphabet::Gsm7, packed_gsm7: false, gb18030_for_15: true };

fn standard(data_coding: u8, message: &[u8]) -> UserData<'_> {
    read(DataCoding(data_coding), EsmClass(0), message, &STANDARD)
}

fn with_header(data_coding: u8, message: &[u8]) -> UserData<'_> {
    read(DataCoding(data_coding), EsmClass(0x40), message, &STANDARD)
}

fn why<'a>(data: &UserData<'a>) -> &'a str {
    match &data.text {
        Text::Readable(_) => "readable",
        Text::Opaque(Opaque::Binary) => "binary",
        Text::Opaque(Opaque::PortAddressed(_)) => "port",
        Text::Opaque(Opaque::UnknownDataCoding(_)) => "unknown",
        Text::Opaque(Opaque::Compressed) => "compressed",
        Text::Opaque(Opaque::Undecodable { .. }) => "undecodable",
        Text::Opaque(Opaque::ShiftTable(_)) => "shift",
        Text::Opaque(Opaque::BrokenUdh) => "broken",
    }
}

#[test]
fn the_same_octet_in_each_alphabet() {
    assert_eq!(standard(0, b"\x00x").text.readable(), Some("@x"));
    assert_eq!(standard(1, b"@x").text.readable(), Some("@x"));
    assert_eq!(standard(3, b"\xE9").text.readable(), Some("é"));
    assert_eq!(standard(6, b"\xE9").text.readable(), Some("щ"));
    assert_eq!(standard(7, b"\xE9").text.readable(), Some("י"));
    assert_eq!(standard(8, b"\x00\xE9").text.readable(), Some("é"));
    assert_eq!(standard(15, b"\xC7\xE0").text.readable(), Some("青"));
    assert_eq!(standard(0xF1, b"\x04").text.readable(), Some("è"));
    assert_eq!(standard(0x18, b"\x97\x52").text.readable(), Some("青"));
}

#[test]
fn plain_text_is_borrowed() {
    for data_coding in [0, 1, 3, 6, 15, 0x11, 0xF1] {
        let data = standard(data_coding, b"Your code is 4821.");
        assert!(matches!(data.text, Text::Readable(Cow::Borrowed(_))), "{data_coding:#04x}");
    }
}

#[test]
fn ucs2_under_the_default_alphabet_is_read_and_marked() {
    for text in ["Hello there", "【青禾鲜生】满50减12，拒收请回复R"] {
        for data_coding in [0, 1, 3, 0xF1] {
            let octets = ucs2::encode(text);
            let data = standard(data_coding, &octets);
            assert_eq!((data.text.readable(), data.misdeclared), (Some(text), true), "{data_coding:#04x}");
            assert_eq!(data.alphabet, Some(Alphabet::Utf16));
        }
    }
    assert!(!standard(8, &ucs2::encode("Hello there")).misdeclared);
    assert!(standard(8, b"H\0e\0l\0l\0o\0").misdeclared);
}

#[test]
fn a_provider_whose_default_is_utf16_declares_rightly() {
    let settings = TextSettings { default_alphabet: Alphabet::Utf16, ..STANDARD };
    let octets = ucs2::encode("青禾");
    let data = read(DataCoding(0), EsmClass(0), &octets, &settings);
    assert_eq!((data.text.readable(), data.misdeclared), (Some("青禾"), false));
}

#[test]
fn octets_that_are_no_septets_are_opaque_until_a_setting_says_what_they_are() {
    let latin = b"caf\xE9 ol\xE9";
    let fault = Opaque::Undecodable { alphabet: Alphabet::Gsm7, at: 3 };
    assert_eq!(standard(0, latin).text, Text::Opaque(fault));
    assert_eq!(fault.to_string(), "octet 3 is not gsm7");
    let settings = TextSettings { default_alphabet: Alphabet::Latin1, ..STANDARD };
    assert_eq!(read(DataCoding(0), EsmClass(0), latin, &settings).text.readable(), Some("café olé"));
    let settings = TextSettings { default_alphabet: Alphabet::Utf8, ..STANDARD };
    assert_eq!(read(DataCoding(0), EsmClass(0), "青禾".as_bytes(), &settings).text.readable(), Some("青禾"));
    let settings = TextSettings { default_alphabet: Alphabet::Gb18030, ..STANDARD };
    assert_eq!(read(DataCoding(0), EsmClass(0), b"\xC7\xE0", &settings).text.readable(), Some("青"));
}

#[test]
fn a_terminating_nul_is_no_text() {
    assert_eq!(standard(0, b"Reply STOP\0").text.readable(), Some("Reply STOP"));
    assert_eq!(standard(3, b"caf\xE9\0").text.readable(), Some("café"));
    assert_eq!(standard(0, b"\0\0").text.readable(), Some("@"));
    assert_eq!(why(&standard(8, b"\x97\x52\0")), "undecodable");
}

#[test]
fn packed_septets_by_setting() {
    let settings = TextSettings { packed_gsm7: true, ..STANDARD };
    let hello = [0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37];
    assert_eq!(read(DataCoding(0), EsmClass(0), &hello, &settings).text.readable(), Some("hellohello"));
    assert_eq!(read(DataCoding(0xF1), EsmClass(0), &hello, &settings).text.readable(), Some("hellohello"));
    assert_eq!(why(&standard(0, &hello)), "undecodable");
    let part = [&b"\x05\x00\x03\x01\x02\x01"[..], &gsm7::pack(b"hello", 1)].concat();
    assert_eq!(read(DataCoding(0), EsmClass(0x40), &part, &settings).text.readable(), Some("hello"));
}

#[test]
fn headers_come_off_in_any_alphabet() {
    let data = with_header(8, b"\x05\x00\x03\x00\x02\x01\x97\x52");
    assert_eq!(data.text.readable(), Some("青"));
    assert_eq!(data.udh.concatenation(), Some(Concatenation { reference: 0, total: 2, number: 1 }));
    let data = with_header(0, b"\x06\x08\x04\x12\x34\x02\x02ends with \x1B");
    assert_eq!(data.text.readable(), Some("ends with  "));
    assert_eq!(data.udh.concatenation(), Some(Concatenation { reference: 0x1234, total: 2, number: 2 }));
    assert_eq!(standard(0, b"\x05\x00\x03\x00\x02\x01").udh.concatenation(), None);
}

#[test]
fn what_is_no_text_says_why() {
    let cases: [(u8, &[u8], &str); 12] = [
        (0, b"\x06\x05\x04\x0B\x84\x23\xF0data", "port"),
        (4, b"\x04\x04\x02\xF0\xF1data", "port"),
        (4, b"\x00data", "binary"),
        (0xF5, b"\x00data", "binary"),
        (0x05, b"\x00data", "unknown"),
        (0x30, b"\x00data", "compressed"),
        (8, b"\x00\x97\x52\x79", "undecodable"),
        (0, b"\x03\x25\x01\x01text", "shift"),
        (0, b"\x03\x24\x01\x01t\x1Be", "shift"),
        (0, b"\x03\x24\x01\x01text", "readable"),
        (0, b"\x09\x00\x03\x01\x02\x01", "broken"),
        (0, b"", "broken"),
    ];
    for (data_coding, message, expected) in cases {
        assert_eq!(why(&with_header(data_coding, message)), expected, "{data_coding:#04x} {message:02x?}");
    }
}

#[test]
fn a_receipt_may_announce_a_header_it_lacks() {
    let receipt = b"id:5f0a stat:DELIVRD";
    let data = read(DataCoding(0), EsmClass(0x44), receipt, &STANDARD);
    assert_eq!(data.text.readable(), Some("id:5f0a stat:DELIVRD"));
    assert_eq!(why(&with_header(0, receipt)), "broken");
}

#[test]
fn locking_shift_needs_septets_to_shift() {
    assert_eq!(with_header(8, b"\x03\x25\x01\x01\x97\x52").text.readable(), Some("青"));
}

#[test]
fn alphabets_have_names() {
    for (alphabet, name) in ALPHABETS {
        assert_eq!((alphabet.to_string().as_str(), Alphabet::from_name(name)), (name, Some(alphabet)));
    }
    assert_eq!(Alphabet::from_name("GSM"), None);
}

fn any_settings() -> impl Strategy<Value = TextSettings> {
    (proptest::sample::select(ALPHABETS.map(|(alphabet, _)| alphabet).to_vec()), any::<bool>(), any::<bool>()).prop_map(
        |(default_alphabet, packed_gsm7, gb18030_for_15)| TextSettings {
            default_alphabet,
            packed_gsm7,
            gb18030_for_15,
        },
    )
}

proptest! {
    #[test]
    fn reads_anything(
        data_coding: u8,
        esm_class: u8,
        message in proptest::collection::vec(any::<u8>(), 0..200),
        settings in any_settings(),
    ) {
        let data = read(DataCoding(data_coding), EsmClass(esm_class), &message, &settings);
        prop_assert_eq!(data.alphabet.is_some(), data.text.readable().is_some());
    }

    #[test]
    fn reads_septets_it_wrote(text in "[ -~£éèüñΔΩ€\n]{1,160}") {
        prop_assume!(!text.ends_with('@'));
        if let Some(octets) = gsm7::encode(&text) {
            let data = standard(0, &octets);
            // Only a text of rare letters at every second place passes for UTF-16.
            prop_assert!(data.misdeclared || data.text.readable() == Some(&text));
        }
    }
}

#[test]
fn every_reason_is_read_back_from_its_text() {
    let mut reasons = vec![
        Opaque::Binary,
        Opaque::PortAddressed(2948),
        Opaque::UnknownDataCoding(0x0D),
        Opaque::Compressed,
        Opaque::ShiftTable(3),
        Opaque::BrokenUdh,
    ];
    reasons.extend(ALPHABETS.map(|(alphabet, _)| Opaque::Undecodable { alphabet, at: 17 }));
    for reason in reasons {
        assert_eq!(Opaque::from_text(&reason.to_string()), Some(reason), "{reason}");
    }
    assert_eq!(Opaque::from_text("something else"), None);
    assert_eq!(Opaque::from_text("octet x is not gsm7"), None);
}
