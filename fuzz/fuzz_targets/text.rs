#![no_main]
//! Any octets under any `data_coding`, `esm_class` and settings are read or opaque with a reason; what is read
//! can be written again in its alphabet and reads the same.

use libfuzzer_sys::fuzz_target;
use portcullis_protocol::field::{DataCoding, EsmClass};
use portcullis_protocol::text::{self, Alphabet, Opaque, Text, TextSettings, UserData, gsm7, ucs2};

const DEFAULTS: [Alphabet; 8] = [
    Alphabet::Gsm7,
    Alphabet::Ia5,
    Alphabet::Latin1,
    Alphabet::Cyrillic,
    Alphabet::Hebrew,
    Alphabet::Utf16,
    Alphabet::Utf8,
    Alphabet::Gb18030,
];

fuzz_target!(|data: &[u8]| {
    let &[data_coding, esm_class, flags, ref message @ ..] = data else { return };
    let settings = TextSettings {
        default_alphabet: DEFAULTS[usize::from(flags & 7)],
        packed_gsm7: flags & 8 != 0,
        gb18030_for_15: flags & 16 != 0,
    };
    let read = text::read(DataCoding(data_coding), EsmClass(esm_class), message, &settings);
    header_is_in_range(&read, message);
    match &read.text {
        Text::Readable(said) => writes_again(said, &read, &settings, &message[read.udh.octets()..]),
        Text::Opaque(Opaque::Undecodable { at, .. }) => assert!(*at < message.len() - read.udh.octets()),
        Text::Opaque(reason) => assert!(!reason.to_string().is_empty()),
    }
    assert_eq!(read.alphabet.is_some(), read.text.readable().is_some());
});

fn header_is_in_range(read: &UserData<'_>, message: &[u8]) {
    let elements: usize = read.udh.iter().map(|element| element.data.len() + 2).sum();
    assert_eq!(read.udh.octets(), elements + usize::from(read.udh.is_present()));
    assert!(read.udh.octets() <= message.len());
    if let Some(part) = read.udh.concatenation() {
        assert!(1 <= part.number && part.number <= part.total);
    }
    if let Some(port) = read.udh.application_port() {
        assert_eq!(read.text, Text::Opaque(Opaque::PortAddressed(port.destination)));
    }
}

fn writes_again(said: &str, read: &UserData<'_>, settings: &TextSettings, octets: &[u8]) {
    let octets = octets.strip_suffix(&[0]).unwrap_or(octets);
    let plain = TextSettings { packed_gsm7: false, ..*settings };
    let again =
        |data_coding, written: &[u8]| match text::read(DataCoding(data_coding), EsmClass(0), written, &plain).text {
            Text::Readable(text) => text.into_owned(),
            Text::Opaque(reason) => panic!("{reason}: {written:02x?}"),
        };
    match read.alphabet {
        Some(Alphabet::Gsm7) => {
            let written = gsm7::encode(said).expect("septets");
            assert_eq!(gsm7::decode(&written).expect("septets"), said);
        }
        Some(Alphabet::Utf16) => assert_eq!(again(8, &[&[0xFE, 0xFF], &ucs2::encode(said)[..]].concat()), said),
        Some(Alphabet::Latin1) => assert_eq!(text::latin1(said).expect("octets"), octets),
        Some(Alphabet::Ia5 | Alphabet::Utf8) => assert_eq!(said.as_bytes(), octets),
        Some(Alphabet::Gb18030) if settings.gb18030_for_15 && !said.ends_with('\0') => {
            assert_eq!(again(15, &text::gb18030(said)), said);
        }
        Some(Alphabet::Cyrillic | Alphabet::Hebrew | Alphabet::Gb18030) => {
            assert!(said.chars().count() <= octets.len())
        }
        None => unreachable!("readable text has an alphabet"),
    }
}
