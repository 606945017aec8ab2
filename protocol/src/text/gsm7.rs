//! The GSM 7-bit default alphabet and its extension table (3GPP TS 23.038 §6.2.1).
//!
//! Owns septets to text and back, one septet an octet as SMPP peers send them, and the
//! packing of TS 23.038 §6.1.2.1 for the peers that pack. Refuses octets above 0x7F: they
//! are no septets. Driven by `text::read`, and by tests and the simulator for encoding.

use std::borrow::Cow;

/// The septet that takes the next one from the extension table.
pub const ESCAPE: u8 = 0x1B;

/// TS 23.038 §6.2.1, in code order. 0x1B stands as the space a lone escape is shown as.
const DEFAULT: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', //
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', ' ', 'Æ', 'æ', 'ß', 'É', //
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', //
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?', //
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', //
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', //
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', //
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// TS 23.038 §6.2.1.1: what follows an escape.
const EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{0C}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// Whether this octet means the same character in the default alphabet and in ASCII.
const fn coincides(octet: u8) -> bool {
    matches!(octet, b'\n' | b'\r' | 0x20..=0x23 | 0x25..=0x3F | b'A'..=b'Z' | b'a'..=b'z')
}

/// The text itself, borrowed, where every octet coincides with ASCII.
pub fn borrowed(septets: &[u8]) -> Option<&str> {
    // No early exit: the whole loop then compiles to vector compares.
    let same = septets.iter().fold(true, |same, &octet| same & coincides(octet));
    if same { std::str::from_utf8(septets).ok() } else { None }
}

/// How many octets at the head coincide with ASCII.
fn coinciding(septets: &[u8]) -> usize {
    // Lane by lane without early exit, as above.
    let (lanes, _) = septets.as_chunks::<16>();
    let all = |lane: &[u8; 16]| lane.iter().fold(true, |same, &octet| same & coincides(octet));
    let from = 16 * lanes.iter().take_while(|lane| all(lane)).count();
    let rest = septets.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|octet| coincides(**octet)).count()
}

/// Reads unpacked septets; the error is the position of the first octet above 0x7F.
///
/// As a handset shows them: an escape before a code the extension table does not have shows
/// the default alphabet's character, an escape before an escape or at the end a space.
pub fn decode(septets: &[u8]) -> Result<Cow<'_, str>, usize> {
    if let Some(text) = borrowed(septets) {
        return Ok(Cow::Borrowed(text));
    }
    if let Some(at) = septets.iter().position(|&octet| octet > 0x7F) {
        return Err(at);
    }
    let mut text = String::with_capacity(septets.len() + septets.len() / 2);
    let mut rest = septets;
    loop {
        let (same, other) = rest.split_at(coinciding(rest));
        text.push_str(std::str::from_utf8(same).unwrap_or_default());
        rest = match other {
            [] => return Ok(Cow::Owned(text)),
            [ESCAPE, escaped, after @ ..] => {
                text.push(extension(*escaped));
                after
            }
            [ESCAPE] => {
                text.push(' ');
                &[]
            }
            [septet, after @ ..] => {
                text.push(DEFAULT[usize::from(septet & 0x7F)]);
                after
            }
        };
    }
}

fn extension(septet: u8) -> char {
    let found = EXTENSION.iter().find(|(code, _)| *code == septet);
    found.map_or(DEFAULT[usize::from(septet & 0x7F)], |(_, character)| *character)
}

/// Unpacked septets of `text`; `None` where a character is in neither table.
pub fn encode(text: &str) -> Option<Vec<u8>> {
    let mut septets = Vec::with_capacity(text.len());
    for character in text.chars() {
        if let Some(code) = default_code(character) {
            septets.push(code);
        } else {
            let (code, _) = EXTENSION.iter().find(|(_, extended)| *extended == character)?;
            septets.extend([ESCAPE, *code]);
        }
    }
    Some(septets)
}

fn default_code(character: char) -> Option<u8> {
    match u8::try_from(character) {
        Ok(octet) if coincides(octet) => Some(octet),
        _ => DEFAULT.iter().position(|known| *known == character).and_then(|code| u8::try_from(code).ok()),
    }
}

/// Bits left empty after a user-data header of `octets` octets, so that packed text starts
/// on a septet boundary (TS 23.040 §9.2.3.24).
pub const fn fill_bits(octets: usize) -> usize {
    (7 - octets * 8 % 7) % 7
}

/// Unpacks septets, least significant bit first, after `fill` empty bits.
///
/// SMPP counts octets, not septets: seven zero bits at the end are `@` or nothing. They are
/// taken for nothing, since a message seldom ends in `@`.
pub fn unpack(octets: &[u8], fill: usize) -> Vec<u8> {
    let bits = (octets.len() * 8).saturating_sub(fill);
    let mut septets: Vec<u8> = (0..bits / 7).map(|n| septet_at(octets, fill + n * 7)).collect();
    if bits.is_multiple_of(7) && septets.last() == Some(&0) {
        septets.pop();
    }
    septets
}

fn septet_at(octets: &[u8], bit: usize) -> u8 {
    let low = octets.get(bit / 8).map_or(0, |octet| octet >> (bit % 8));
    let high = octets.get(bit / 8 + 1).map_or(0, |octet| u16::from(*octet) << (8 - bit % 8));
    low & 0x7F | (high & 0x7F).to_le_bytes()[0]
}

/// Packs septets, least significant bit first, after `fill` empty bits.
pub fn pack(septets: &[u8], fill: usize) -> Vec<u8> {
    let mut octets = vec![0; (fill + septets.len() * 7).div_ceil(8)];
    for (n, septet) in septets.iter().enumerate() {
        let bit = fill + n * 7;
        let [low, high] = (u16::from(septet & 0x7F) << (bit % 8)).to_le_bytes();
        octets[bit / 8] |= low;
        if let Some(next) = octets.get_mut(bit / 8 + 1) {
            *next |= high;
        }
    }
    octets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_table_is_that_of_ts_23_038() {
        let rows: Vec<u8> = (0..128).filter(|code| *code != ESCAPE).collect();
        let text = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                    ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
        assert_eq!(decode(&rows).unwrap(), text);
        assert_eq!(encode(text).unwrap(), rows);
    }

    #[test]
    fn the_extension_table_is_that_of_ts_23_038() {
        let escaped = b"\x1B\x0A\x1B\x14\x1B\x28\x1B\x29\x1B\x2F\x1B\x3C\x1B\x3D\x1B\x3E\x1B\x40\x1B\x65";
        assert_eq!(decode(escaped).unwrap(), "\u{0C}^{}\\[~]|€");
        assert_eq!(encode("\u{0C}^{}\\[~]|€").unwrap(), escaped);
    }

    #[test]
    fn escapes_without_a_character_show_as_a_handset_shows_them() {
        assert_eq!(decode(b"a\x1B").unwrap(), "a ");
        assert_eq!(decode(b"\x1B\x1Bb").unwrap(), " b");
        assert_eq!(decode(b"\x1Ba\x1B\x00").unwrap(), "a@");
    }

    #[test]
    fn an_octet_that_is_no_septet_is_found() {
        assert_eq!(decode(b"caf\xE9"), Err(3));
        assert_eq!(decode(b"\x1B\x80"), Err(1));
    }

    #[test]
    fn borrows_only_what_ascii_reads_alike() {
        assert!(matches!(decode(b"Reply STOP to 400-000-0000.\r\n"), Ok(Cow::Borrowed(_))));
        for code in 0..=0x7F {
            let alike = DEFAULT[usize::from(code)] == char::from(code);
            assert_eq!(borrowed(&[code]).is_some(), alike, "{code:#04x}");
        }
    }

    #[test]
    fn packs_as_ts_23_038_shows() {
        assert_eq!(pack(b"hellohello", 0), [0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37]);
        assert_eq!(unpack(&[0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37], 0), b"hellohello");
    }

    #[test]
    fn packed_text_after_a_concatenation_header_starts_on_a_septet() {
        assert_eq!((fill_bits(6), fill_bits(7), fill_bits(0)), (1, 0, 0));
        assert_eq!(pack(b"a", 1), [0xC2]);
        assert_eq!(unpack(&[0xC2], 1), b"a");
    }

    #[test]
    fn a_last_septet_of_zeros_is_padding() {
        assert_eq!(unpack(&pack(b"1234567", 0), 0), b"1234567");
        assert_eq!(unpack(&pack(b"1234567\x00", 0), 0), b"1234567");
        assert_eq!(unpack(&pack(b"123456\x00", 0), 0), b"123456\x00");
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(septets in proptest::collection::vec(0u8..0x80, 0..200)) {
            let text = decode(&septets).unwrap();
            let again = encode(&text).unwrap();
            prop_assert_eq!(decode(&again).unwrap(), text);
        }

        #[test]
        fn unpacks_what_it_packed(septets in proptest::collection::vec(1u8..0x80, 0..200), fill in 0usize..7) {
            prop_assert_eq!(unpack(&pack(&septets, fill), fill), septets);
        }

        #[test]
        fn unpacks_anything(octets in proptest::collection::vec(any::<u8>(), 0..64), fill in 0usize..7) {
            prop_assert!(unpack(&octets, fill).iter().all(|septet| *septet < 0x80));
        }
    }
}
