//! A subscriber's number in its one canonical form.
//!
//! Owns the way from the many spellings (rulebook §4: `1XXXXXXXXXX`, `86…`, `+86…`, `0086…`)
//! to one key: 86 and eleven digits, or E.164 without the plus. Never key on the raw field.

use std::fmt;

use super::wire::{Address, Ton};

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

/// Whether the digits came with a sign of being international.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Unknown,
    International,
}

impl Msisdn {
    /// From an address field: the type of number tells how to read it.
    pub fn from_address(address: &Address<'_>) -> Option<Self> {
        const INTERNATIONAL: Ton = Ton(1);
        const ALPHANUMERIC: Ton = Ton(5);
        let form = match address.ton {
            ALPHANUMERIC => return None,
            INTERNATIONAL => Form::International,
            _ => Form::Unknown,
        };
        Self::read(address.addr.0, form)
    }

    /// From a person's or a file's spelling; blanks and hyphens do not matter.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digits = [0; LONGEST + 3];
        let mut length = 0;
        for octet in text.trim().bytes().filter(|octet| !matches!(octet, b' ' | b'-')) {
            *digits.get_mut(length)? = octet;
            length += 1;
        }
        Self::read(&digits[..length], Form::Unknown)
    }

    fn read(octets: &[u8], form: Form) -> Option<Self> {
        let (digits, form) = match octets {
            [b'+', rest @ ..] | [b'0', b'0', rest @ ..] => (rest, Form::International),
            all => (all, form),
        };
        if digits.len() > LONGEST || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = digits.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        match (digits.len(), digits.first()?) {
            // A bare Chinese mobile number; the country code 1 has eleven digits too, but then a sign of being
            // international or a second digit below 3.
            (11, b'1') if is_mobile(number) => Some(Self(CHINA * ELEVEN + number)),
            (13, _) if number / ELEVEN == CHINA => is_mobile(number % ELEVEN).then_some(Self(number)),
            (_, b'0') => None,
            (SHORTEST.., _) if form == Form::International || digits.len() > 11 || digits.len() == 11 => {
                Some(Self(number))
            }
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
