//! UCS-2 and UTF-16 text (3GPP TS 23.038 §6.2.3).
//!
//! Owns code units to text and back. The wire is big-endian; a byte order mark and, without
//! one, text that makes sense only the other way round are recognised. Refuses an odd
//! octet. Driven by `text::read`, and by tests and the simulator for encoding.

/// Which octet of a code unit comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// The specification's.
    BigEndian,
    /// That of peers who send their memory as it lies.
    LittleEndian,
}

impl Order {
    fn unit(self, first: u8, second: u8) -> u16 {
        match self {
            Self::BigEndian => u16::from_be_bytes([first, second]),
            Self::LittleEndian => u16::from_le_bytes([first, second]),
        }
    }
}

/// Reads code units in the order they seem to be in; the error is the position of the odd octet.
///
/// A surrogate whose other half is missing (it may stand in the next part) reads as U+FFFD.
/// A byte order mark is not part of the text.
pub fn decode(octets: &[u8]) -> Result<(String, Order), usize> {
    if octets.len() % 2 == 1 {
        return Err(octets.len() - 1);
    }
    let (order, octets) = match octets {
        [0xFE, 0xFF, text @ ..] => (Order::BigEndian, text),
        [0xFF, 0xFE, text @ ..] => (Order::LittleEndian, text),
        text => (order_of(text), text),
    };
    Ok((decode_as(octets, order), order))
}

fn decode_as(octets: &[u8], order: Order) -> String {
    let mut text = String::with_capacity(octets.len() / 2 * 3);
    text.extend(char::decode_utf16(units(octets, order)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
    text
}

/// The code units of `octets` in this order; an odd octet at the end is left out.
pub(super) fn units(octets: &[u8], order: Order) -> impl Iterator<Item = u16> {
    octets.chunks_exact(2).map(move |unit| order.unit(unit[0], unit[1]))
}

/// Little-endian only where that reading shows what text is made of and the other does not.
///
/// Han characters make sense both ways round, so only ASCII and CJK punctuation count.
/// 一 (U+4E00) and 最 (U+6700) are `N` and `g` the other way round and too frequent to count.
fn order_of(octets: &[u8]) -> Order {
    let telling = |order| units(octets, order).filter(|unit| is_telling(*unit)).count();
    let little = telling(Order::LittleEndian);
    if little >= 2 && little > 2 * telling(Order::BigEndian) { Order::LittleEndian } else { Order::BigEndian }
}

const fn is_telling(unit: u16) -> bool {
    matches!(unit, 0x0A | 0x0D | 0x20..=0x4D | 0x4F..=0x66 | 0x68..=0x7E | 0x3001..=0x301F | 0xFF01..=0xFF1F)
}

/// Big-endian octets of `text`, without a byte order mark.
pub fn encode(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn little(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn reads_big_endian() {
        let octets = [0x30, 0x10, 0x97, 0x52, 0x79, 0xBE, 0x30, 0x11, 0x00, 0x52];
        assert_eq!(decode(&octets), Ok(("【青禾】R".to_owned(), Order::BigEndian)));
    }

    #[test]
    fn a_byte_order_mark_decides_and_is_no_text() {
        assert_eq!(decode(&[0xFE, 0xFF, 0x97, 0x52]), Ok(("青".to_owned(), Order::BigEndian)));
        assert_eq!(decode(&[0xFF, 0xFE, 0x52, 0x97]), Ok(("青".to_owned(), Order::LittleEndian)));
        assert_eq!(decode(&[0xFF, 0xFE]), Ok((String::new(), Order::LittleEndian)));
    }

    #[test]
    fn recognises_little_endian_without_a_mark() {
        for text in [
            "Hello",
            "【青禾鲜生】周末全场满五十减十二，客服400-000-0000，拒收请回复R",
            "验证码：4821。",
            "10:30\r\nOK",
        ] {
            assert_eq!(decode(&little(text)), Ok((text.to_owned(), Order::LittleEndian)));
        }
    }

    #[test]
    fn keeps_big_endian_where_both_make_sense() {
        for text in [
            "青禾",
            "一一一一",
            "最最最最",
            "一定一起一样",
            "到到到",
            "R",
            "回T退订",
            "Привет",
            "١٢٣",
            "",
            "İyi günler",
            "到刀",
        ] {
            assert_eq!(decode(&encode(text)), Ok((text.to_owned(), Order::BigEndian)));
        }
    }

    #[test]
    fn surrogates_pair_or_are_replaced() {
        assert_eq!(decode(&[0xD8, 0x3D, 0xDE, 0x00]).unwrap().0, "😀");
        assert_eq!(decode(&[0x97, 0x52, 0xD8, 0x3D]).unwrap().0, "青\u{FFFD}");
        assert_eq!(decode(&[0xDE, 0x00, 0x97, 0x52]).unwrap().0, "\u{FFFD}青");
        assert_eq!(decode(&[0xDE, 0x00, 0xD8, 0x3D]).unwrap().0, "\u{FFFD}\u{FFFD}");
    }

    #[test]
    fn an_odd_octet_is_a_fault() {
        assert_eq!(decode(&[0x97]), Err(0));
        assert_eq!(decode(&[0x97, 0x52, 0x79]), Err(2));
        assert_eq!(decode(&[0xFE, 0xFF, 0x79]), Err(2));
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote_behind_a_mark(text in ".*") {
            let octets = [&[0xFE, 0xFF][..], &encode(&text)].concat();
            prop_assert_eq!(decode(&octets), Ok((text, Order::BigEndian)));
        }

        #[test]
        fn chinese_reads_as_it_was_written(text in "[\u{4E00}-\u{9FFF}，。！？【】A-Z0-9a-z ]{0,40}") {
            prop_assume!(is_plain(&text));
            prop_assert_eq!(decode(&encode(&text)), Ok((text, Order::BigEndian)));
        }

        #[test]
        fn reads_any_even_octets(octets in proptest::collection::vec(any::<u8>(), 0..70)) {
            prop_assert_eq!(decode(&octets).is_ok(), octets.len() % 2 == 0);
        }
    }

    /// Random Han now and then hits the rare characters whose last octet is 0x00; real text does not.
    fn is_plain(text: &str) -> bool {
        let turned = text.encode_utf16().map(u16::swap_bytes).filter(|unit| is_telling(*unit)).count();
        turned < 2
    }
}
