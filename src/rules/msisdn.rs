//! A subscriber's number in its one canonical form.
//!
//! Owns the way from the many spellings (rulebook §4: eleven digits from `1…` on, `86…`, `+86…`, `0086…`)
//! to one key: 86 and eleven digits, or E.164 without the plus. Never key on the raw field.

use std::fmt;

use portcullis_protocol::address::{Address, Ton};

/// A subscriber number, all digits of it with the country code, as one integer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Msisdn(pub u64);

/// China's country code.
const CHINA: u64 = 86;
/// What eleven digits leave room for below a country code.
const ELEVEN: u64 = 100_000_000_000;
/// The most digits E.164 has.
const LONGEST: usize = 15;
/// The fewest digits a number abroad has with its country code.
const SHORTEST: usize = 7;

impl Msisdn {
    /// From an address field. The type of number is not relied upon: providers send bare Chinese numbers as
    /// international ones, and a refusal must find them all the same.
    pub fn from_address(address: &Address<'_>) -> Option<Self> {
        if address.ton == Ton::ALPHANUMERIC {
            return None;
        }
        Self::read(address.addr.0, address.ton == Ton::INTERNATIONAL)
    }

    /// From a person's or a file's spelling; blanks and hyphens do not matter.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digits = [0; LONGEST + 3];
        let mut length = 0;
        for octet in text.trim().bytes().filter(|octet| !matches!(octet, b' ' | b'-')) {
            *digits.get_mut(length)? = octet;
            length += 1;
        }
        Self::read(&digits[..length], false)
    }

    fn read(octets: &[u8], international: bool) -> Option<Self> {
        let (digits, prefixed) = match octets {
            [b'+', rest @ ..] | [b'0', b'0', rest @ ..] => (rest, true),
            [b'0', rest @ ..] if rest.len() == 11 => (rest, false), // The trunk prefix before a mobile number.
            all => (all, false),
        };
        if digits.len() > LONGEST || *digits.first()? == b'0' || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = digits.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        let certain = prefixed || international || digits.len() > 11;
        match digits.len() {
            11 if !prefixed && is_mobile(number) => Some(Self(CHINA * ELEVEN + number)),
            SHORTEST.. if certain => Some(Self(number)),
            _ => None,
        }
    }
}

/// A mobile number of the Chinese plan: 1, then 3 to 9, then nine more.
const fn is_mobile(number: u64) -> bool {
    matches!(number / 1_000_000_000, 13..=19)
}

impl fmt::Display for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use portcullis_protocol::address::Npi;
    use portcullis_protocol::field::COctetString;

    use super::*;

    fn field(ton: u8, addr: &str) -> Option<u64> {
        let addr = COctetString(addr.as_bytes());
        Msisdn::from_address(&Address { ton: Ton(ton), npi: Npi(1), addr }).map(|msisdn| msisdn.0)
    }

    #[test]
    fn every_spelling_of_a_chinese_number_has_one_key() {
        for ton in [0, 1, 2] {
            for addr in ["13800138000", "8613800138000", "+8613800138000", "008613800138000", "013800138000"] {
                assert_eq!(field(ton, addr), Some(8_613_800_138_000), "{ton} {addr}");
            }
        }
        assert_eq!(Msisdn::parse(" +86 138-0013-8000 "), Some(Msisdn(8_613_800_138_000)));
    }

    #[test]
    fn foreign_numbers_are_kept_in_e164() {
        assert_eq!(field(1, "447911123456"), Some(447_911_123_456));
        assert_eq!(field(0, "+14155550123"), Some(14_155_550_123));
        assert_eq!(field(0, "0014155550123"), Some(14_155_550_123));
        assert_eq!(field(1, "6591234567"), Some(6_591_234_567));
    }

    #[test]
    fn what_is_no_subscriber_has_no_key() {
        for (ton, addr) in [
            (0, ""),
            (0, "12321"),
            (5, "13800138000"),
            (0, "1380013800a"),
            (0, "+"),
            (1, "00"),
            (0, "1234567890123456"),
        ] {
            assert_eq!(field(ton, addr), None, "{addr}");
        }
        assert_eq!(Msisdn::parse("9".repeat(200).as_str()), None);
    }
}
