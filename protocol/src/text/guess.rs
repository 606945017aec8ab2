//! UTF-16 under a `data_coding` that promises single octets.
//!
//! Owns the evidence for it: peers do send UCS-2 with `data_coding` 0, and a gate that read
//! such a message as `@H@i` would judge nothing. Refuses on slight evidence: the declared
//! alphabet stands then. Driven by `text::read` where a message is not plain ASCII.

use super::ucs2::{Order, units};

/// Whether these octets are UTF-16, whatever was declared.
///
/// A byte order mark decides. Otherwise every code unit must be what messages are made of,
/// and the evidence is a first octet that plain text does not have there: 0x00 before ASCII,
/// 0x30 and 0xFF before CJK punctuation, the rows of other scripts. Three units in four, or one
/// where the octets are not ASCII for the most part, and no septets at all.
pub(super) fn is_utf16(octets: &[u8]) -> bool {
    if octets.len() < 4 || octets.len() % 2 == 1 {
        return false;
    }
    let marked = matches!(octets, [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..]);
    marked || speaks_for(octets, Order::BigEndian) || speaks_for(octets, Order::LittleEndian)
}

fn speaks_for(octets: &[u8], order: Order) -> bool {
    let (mut count, mut evidence) = (0, 0);
    for unit in units(octets, order) {
        if !is_everyday(unit) {
            return false;
        }
        count += 1;
        evidence += usize::from(is_evidence(unit));
    }
    evidence * 4 >= count * 3 || (evidence > 0 && is_foreign_to_octets(octets))
}

/// Characters of living scripts, punctuation and surrogates; no controls but line ends.
const fn is_everyday(unit: u16) -> bool {
    matches!(unit,
        0x0A | 0x0D | 0x20..=0x7E | 0xA0..=0x17F | 0x370..=0x52F | 0x590..=0x6FF | 0xE01..=0xE5B
        | 0x2010..=0x203E | 0x20A0..=0x20BF | 0x2100..=0x27BF | 0x3000..=0x33FF | 0x4E00..=0x9FFF
        | 0xAC00..=0xD7A3 | 0xD800..=0xDFFF | 0xFE0F | 0xFF01..=0xFFE6)
}

/// First octets that are controls, or letters rare enough, in the single-octet alphabets.
const fn is_evidence(unit: u16) -> bool {
    match unit {
        // "0" or "ÿ" before a line end is as likely in single octets.
        0x300A | 0x300D | 0xFF0A | 0xFF0D => false,
        0x0000..=0x007E | 0x0370..=0x06FF | 0x0E01..=0x0E5B | 0x3001..=0x301F | 0xFF01..=0xFF1F => true,
        _ => false,
    }
}

/// Not septets, and fewer than three octets in four printable ASCII.
fn is_foreign_to_octets(octets: &[u8]) -> bool {
    let printable = octets.iter().filter(|octet| matches!(octet, 0x20..=0x7E)).count();
    octets.iter().any(|octet| *octet > 0x7F) && printable * 4 < octets.len() * 3
}

#[cfg(test)]
mod tests {
    use super::super::{gsm7, ucs2};
    use super::*;

    #[test]
    fn recognises_text_of_many_scripts() {
        for text in [
            "Hello",
            "Get 50% off now, reply STOP",
            "【青禾鲜生】老会员专享：本周六全场水果满50减12。客服400-000-0000，拒收请回复R",
            "验证码：482193，请勿告诉他人。",
            "Привет, это скидки!",
            "שלום עולם",
            "สวัสดี",
            "【青禾】😀",
        ] {
            assert!(is_utf16(&ucs2::encode(text)), "{text}");
        }
        let little: Vec<u8> = "Hello, 青禾".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(is_utf16(&little));
        assert!(is_utf16(&[0xFF, 0xFE, 0x52, 0x97]));
    }

    #[test]
    fn leaves_septets_alone() {
        for text in [
            "@you and @me",
            "@you",
            "@@",
            "mail me@example.com for £5 or $6",
            "Über Größe, Ärger & Öl für ñandu",
            "ΔΦΓΛΩΠΨΣΘΞ",
            "èéùìòÇØøÅå",
            "[x] {y} ~ €5 | \\",
            "$5$6$7",
            "¥500",
        ] {
            assert!(!is_utf16(&gsm7::encode(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn leaves_other_octets_alone() {
        for octets in [
            &b"caf\xE9 ol\xE9"[..],
            b"\xDCber Gr\xF6\xDFe 400\r\n",
            b"\xD7\xDA\xB9\xFA\xA1\xA3", // GBK
            b"\xE9\x9D\x92\xE7\xA6\xBE", // UTF-8
            b"\x00\x01\x02\x03",
            b"\x00H\x00",
            b"\x00H",
            b"",
        ] {
            assert!(!is_utf16(octets), "{octets:02x?}");
        }
    }
}
