//! Subscribers' numbers as they are shown by default: 138****8001.
//!
//! Owns what of a number stays readable (of a Chinese mobile three digits and four, of others the country and
//! four) and its finding in text, in the spellings people use. Refuses to mask what is nobody's in particular: the
//! phones and ports a message names are its content. Driven by the command line and the record of readings.

use std::borrow::Cow;

use serde_json::Value;

use crate::rules::Msisdn;

/// Digits that stay at the end.
const TAIL: usize = 4;

/// The fewest digits that are taken for a number worth hiding.
const SHORTEST: usize = 7;

/// Whose numbers are hidden in what is shown, or none.
#[derive(Clone, Debug, Default)]
pub struct Masking {
    /// Digits as they are looked for, and how many at the front stay.
    hidden: Vec<(Vec<u8>, usize)>,
}

impl Masking {
    /// Hides these subscribers' numbers, each in any usual form; what is no number stays as it is.
    pub fn of<S: AsRef<str>>(subscribers: impl IntoIterator<Item = S>) -> Self {
        let mut hidden: Vec<_> = subscribers.into_iter().filter_map(|number| pattern(number.as_ref())).collect();
        hidden.sort();
        hidden.dedup();
        Self { hidden }
    }

    /// A text with the numbers hidden wherever they stand, with blanks and hyphens among their digits or without.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked = Cow::Borrowed(text);
        for (digits, head) in &self.hidden {
            if let Some(hidden) = hide(&masked, digits, *head) {
                masked = Cow::Owned(hidden);
            }
        }
        masked
    }

    /// A value with the numbers hidden in every text of it, and where a number stands by itself.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(masked) = self.text(text) {
                    *text = masked;
                }
            }
            Value::Number(number) => {
                let text = number.to_string();
                if let Cow::Owned(masked) = self.text(&text) {
                    *value = Value::String(masked);
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value)),
            Value::Object(members) => members.values_mut().for_each(|value| self.value(value)),
            Value::Null | Value::Bool(_) => {}
        }
    }
}

/// One number as it is shown.
pub fn masked(number: &str) -> String {
    Masking::of([number]).text(number).into_owned()
}

/// Whether somebody gives a number as it is shown, and not the number.
pub fn is_masked(number: &str) -> bool {
    number.contains('*')
}

/// What to say then.
pub fn refusal(number: &str) -> String {
    format!("{number:?} is a masked number, as it is shown: give the whole number (--whole shows it)")
}

/// The digits that are looked for, and how many of them stay in front.
fn pattern(number: &str) -> Option<(Vec<u8>, usize)> {
    let digits = match Msisdn::parse(number) {
        Some(Msisdn(known)) => known.to_string(),
        None => number.chars().filter(char::is_ascii_digit).collect(),
    };
    let digits = digits.into_bytes();
    match digits.as_slice() {
        // Eleven digits of the Chinese plan; the country code in front may stand there or not.
        [b'8', b'6', own @ ..] if own.len() == 11 => Some((own.to_vec(), 3)),
        own if own.len() >= SHORTEST => Some((own.to_vec(), country(own))),
        _ => None,
    }
}

/// How many digits a country code has (ITU-T E.164 D).
fn country(digits: &[u8]) -> usize {
    match digits {
        [b'1' | b'7', ..] => 1,
        [b'2', b'0' | b'7', ..]
        | [b'3', b'0'..=b'4' | b'6' | b'9', ..]
        | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
        | [b'5', b'1'..=b'8', ..]
        | [b'6', b'0'..=b'6', ..]
        | [b'8', b'1' | b'2' | b'4' | b'6', ..]
        | [b'9', b'0'..=b'5' | b'8', ..] => 2,
        _ => 3,
    }
}

/// The text with the middle of these digits hidden; `None` where they are not in it.
fn hide(text: &str, digits: &[u8], head: usize) -> Option<String> {
    let mut octets = text.as_bytes().to_vec();
    let (mut at, mut found) = (0, false);
    while at < octets.len() {
        match places(&octets[at..], digits) {
            Some(places) => {
                let middle = places.get(head..places.len().saturating_sub(TAIL)).unwrap_or_default();
                middle.iter().for_each(|place| octets[at + place] = b'*');
                at += places.last().map_or(1, |last| last + 1);
                found = true;
            }
            None => at += 1,
        }
    }
    // Only digits became asterisks: what was UTF-8 is.
    found.then(|| String::from_utf8(octets).ok()).flatten()
}

/// Where each of the digits stands, if they begin here; single blanks and hyphens between them do not matter.
fn places(octets: &[u8], digits: &[u8]) -> Option<Vec<usize>> {
    if octets.first() != digits.first() {
        return None;
    }
    let mut places = Vec::with_capacity(digits.len());
    let mut at = 0;
    for digit in digits {
        if !places.is_empty() && matches!(octets.get(at), Some(b' ' | b'-')) {
            at += 1;
        }
        if octets.get(at) != Some(digit) {
            return None;
        }
        places.push(at);
        at += 1;
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_number_as_much_stays_as_tells_it_from_others_to_who_knows_it() {
        for (number, shown) in [
            ("13800138001", "138****8001"),
            ("8613800138001", "86138****8001"),
            ("+8613800138001", "+86138****8001"),
            ("+44 7700 900123", "+44 **** **0123"),
            ("+12025550143", "+1******0143"),
            ("85291234567", "852****4567"),
            ("00000000000", "000****0000"),
            ("12345", "12345"),
            ("QINGHE", "QINGHE"),
            ("", ""),
        ] {
            assert_eq!(masked(number), shown, "{number}");
        }
        assert!(is_masked("138****8001") && !is_masked("13800138001"));
    }

    #[test]
    fn in_a_text_the_subscribers_own_number_is_hidden_however_it_is_written_and_no_other() {
        let masking = Masking::of(["8613800138001"]);
        let text = "回 138 0013 8001 或 138-0013-8001、+8613800138001；客服400-820-1234，13900139001";
        let shown = "回 138 **** 8001 或 138-****-8001、+86138****8001；客服400-820-1234，13900139001";
        assert_eq!(masking.text(text), shown);
        assert!(matches!(masking.text("【青禾】您好"), Cow::Borrowed(_)));
    }

    #[test]
    fn in_json_a_number_by_itself_becomes_a_text() {
        let mut value =
            json!({"msisdn": 8_613_800_138_001_u64, "n": 7, "in": [{"to": "13800138001", "ok": true}, null]});
        Masking::of(["13800138001"]).value(&mut value);
        assert_eq!(value, json!({"msisdn": "86138****8001", "n": 7, "in": [{"to": "138****8001", "ok": true}, null]}));
    }

    proptest! {
        #[test]
        fn no_text_shows_a_hidden_number(before in "\\PC{0,20}", after in "\\PC{0,20}", own in 13_000_000_000_u64..20_000_000_000) {
            let number = own.to_string();
            let text = format!("{before}{number}{after}");
            let masked = Masking::of([&number]).text(&text).into_owned();
            prop_assert!(!masked.contains(&number));
            prop_assert_eq!(masked.chars().count(), text.chars().count());
        }
    }
}
