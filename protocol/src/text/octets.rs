//! Alphabets of eight bits and more that start like ASCII: IA5, ISO 8859, UTF-8, GB 18030.
//!
//! Owns their decoding, borrowed where all is ASCII. Refuses octets the alphabet does not
//! have, and says where. Driven by `text::read`, and by tests and the simulator for encoding.

use std::borrow::Cow;

use encoding_rs::{DecoderResult, Encoding, GB18030, ISO_8859_5, ISO_8859_8};

use super::Alphabet;

/// Reads `octets`; the error is the position of the first that cannot be.
///
/// Septets and UTF-16 have their own modules; asked for here, they are read as IA5.
pub(super) fn decode(alphabet: Alphabet, octets: &[u8]) -> Result<Cow<'_, str>, usize> {
    match alphabet {
        Alphabet::Latin1 => Ok(encoding_rs::mem::decode_latin1(octets)),
        Alphabet::Cyrillic => strict(ISO_8859_5, octets),
        Alphabet::Hebrew => strict(ISO_8859_8, octets),
        Alphabet::Gb18030 => strict(GB18030, octets),
        Alphabet::Utf8 => std::str::from_utf8(octets).map(Cow::Borrowed).map_err(|fault| fault.valid_up_to()),
        Alphabet::Ia5 | Alphabet::Gsm7 | Alphabet::Utf16 => {
            let seven_bits = Encoding::ascii_valid_up_to(octets);
            if seven_bits < octets.len() {
                return Err(seven_bits);
            }
            std::str::from_utf8(octets).map(Cow::Borrowed).map_err(|fault| fault.valid_up_to())
        }
    }
}

fn strict<'a>(encoding: &'static Encoding, octets: &'a [u8]) -> Result<Cow<'a, str>, usize> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(octets);
    text.ok_or_else(|| first_malformed(encoding, octets))
}

fn first_malformed(encoding: &'static Encoding, octets: &[u8]) -> usize {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let room = decoder.max_utf8_buffer_length_without_replacement(octets.len()).unwrap_or(0);
    let (result, read, _) = decoder.decode_to_utf8_without_replacement(octets, &mut vec![0; room], true);
    match result {
        DecoderResult::Malformed(wrong, after) => read.saturating_sub(usize::from(wrong) + usize::from(after)),
        DecoderResult::InputEmpty | DecoderResult::OutputFull => read,
    }
}

/// ISO 8859-1 octets of `text`; `None` where a character is above U+00FF.
pub fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(character).ok()).collect()
}

/// GB 18030 octets of `text`.
pub fn gb18030(text: &str) -> Vec<u8> {
    GB18030.encode(text).0.into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ia5_is_seven_bits() {
        assert!(matches!(decode(Alphabet::Ia5, b"a@$\x7F"), Ok(Cow::Borrowed("a@$\x7F"))));
        assert_eq!(decode(Alphabet::Ia5, b"ab\x80"), Err(2));
    }

    #[test]
    fn iso_8859_parts_1_5_and_8() {
        assert_eq!(decode(Alphabet::Latin1, b"caf\xE9 \xA3\x80").unwrap(), "café £\u{80}");
        assert_eq!(decode(Alphabet::Cyrillic, b"\xBF\xE0\xD8\xD2\xD5\xE2 \xF0").unwrap(), "Привет №");
        assert_eq!(decode(Alphabet::Hebrew, b"\xF9\xEC\xE5\xED").unwrap(), "שלום");
        assert_eq!(decode(Alphabet::Hebrew, b"ok\xA1"), Err(2));
    }

    #[test]
    fn gb18030_reads_two_and_four_octets() {
        assert_eq!(decode(Alphabet::Gb18030, b"\xA1\xBE\xC7\xE0\xBA\xCC\xA1\xBFR").unwrap(), "【青禾】R");
        assert_eq!(decode(Alphabet::Gb18030, b"\x94\x39\xFC\x36").unwrap(), "😀");
        assert_eq!(decode(Alphabet::Gb18030, b"ab\xC7"), Err(2));
        assert_eq!(decode(Alphabet::Gb18030, b"\xC7\xE0\xFF"), Err(2));
    }

    #[test]
    fn utf8_is_checked() {
        assert_eq!(decode(Alphabet::Utf8, "青禾".as_bytes()).unwrap(), "青禾");
        assert_eq!(decode(Alphabet::Utf8, b"ab\xE9\x9D"), Err(2));
    }

    proptest! {
        #[test]
        fn latin1_reads_what_it_wrote(text in "[\u{0}-\u{FF}]{0,100}") {
            let octets = latin1(&text).unwrap();
            prop_assert_eq!(decode(Alphabet::Latin1, &octets).unwrap(), text);
        }

        #[test]
        fn gb18030_reads_what_it_wrote(text in "[ -~\u{3000}-\u{303F}\u{4E00}-\u{9FA5}\u{1F600}-\u{1F64F}]{0,60}") {
            let octets = gb18030(&text);
            prop_assert_eq!(decode(Alphabet::Gb18030, &octets).unwrap(), text);
        }

        #[test]
        fn any_octets_are_read_or_refused_within(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            for alphabet in [Alphabet::Ia5, Alphabet::Cyrillic, Alphabet::Hebrew, Alphabet::Utf8, Alphabet::Gb18030] {
                if let Err(at) = decode(alphabet, &octets) {
                    prop_assert!(at < octets.len());
                    prop_assert!(decode(alphabet, &octets[..at]).is_ok());
                }
            }
        }
    }
}
