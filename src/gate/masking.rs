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

/// The most that stands between two digits of a number.
const BETWEEN: usize = 3;

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

    /// A text with the numbers hidden wherever they stand, with blanks, hyphens and the like among their digits, in
    /// either width.
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
    let mut letters: Vec<char> = text.chars().collect();
    let (mut at, mut found) = (0, false);
    while at < letters.len() {
        match places(&letters[at..], digits) {
            Some(places) => {
                let middle = places.get(head..places.len().saturating_sub(TAIL)).unwrap_or_default();
                middle.iter().for_each(|place| letters[at + place] = '*');
                at += places.last().map_or(1, |last| last + 1);
                found = true;
            }
            None => at += 1,
        }
    }
    found.then(|| letters.into_iter().collect())
}

/// Where each of the digits stands, if they begin here; what people write between them does not matter.
fn places(letters: &[char], digits: &[u8]) -> Option<Vec<usize>> {
    if letters.first().and_then(digit) != digits.first().copied() {
        return None;
    }
    let mut places = Vec::with_capacity(digits.len());
    let mut at = 0;
    for wanted in digits {
        if !places.is_empty() {
            at += letters.iter().skip(at).take(BETWEEN).take_while(|letter| is_between(**letter)).count();
        }
        if letters.get(at).and_then(digit) != Some(*wanted) {
            return None;
        }
        places.push(at);
        at += 1;
    }
    Some(places)
}

/// The digit that a letter is, in either width.
fn digit(letter: &char) -> Option<u8> {
    let code = u32::from(*letter);
    let code = if ('０'..='９').contains(letter) { code - u32::from('０') + u32::from('0') } else { code };
    u8::try_from(code).ok().filter(u8::is_ascii_digit)
}

/// What stands between the digits of a number.
fn is_between(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '-' | '.' | '(' | ')' | '/' | '－' | '·' | '（' | '）' | '‐'..='―')
}

/// A number that is a condition as it is shown, whatever stands between its digits left out.
pub fn readable(number: &str) -> String {
    masked(&number.chars().filter(|letter| !is_between(*letter)).collect::<String>())
}

/// A text with whatever is a Chinese mobile's number hidden in it, whoever's it is.
pub fn without_mobiles(text: &str) -> String {
    let is_digit = |letter: char| digit(&letter).is_some();
    let runs = text.split(|letter| !is_digit(letter) && !is_between(letter));
    let numbers = runs.map(|run| run.chars().filter_map(|letter| digit(&letter)).map(char::from).collect::<String>());
    let is_mobile = |number: &String| {
        let own = ["0086", "86"].iter().find_map(|code| number.strip_prefix(code)).unwrap_or(number);
        own.len() == 11 && own.starts_with('1') && own.as_bytes().get(1).is_some_and(|second| *second >= b'3')
    };
    Masking::of(numbers.filter(is_mobile)).text(text).into_owned()
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
    fn neither_wide_digits_nor_what_stands_between_them_show_a_number() {
        let masking = Masking::of(["8613800138001"]);
        for (text, shown) in [
            ("退 １３８００１３８００１", "退 １３８****８００１"),
            ("138  0013  8001", "138  ****  8001"),
            ("138.0013.8001", "138.****.8001"),
            ("(138) 0013\u{a0}8001", "(138) ****\u{a0}8001"),
            ("138, 0013, 8001", "138, 0013, 8001"),
        ] {
            assert_eq!(masking.text(text), shown);
        }
    }

    #[test]
    fn a_mobile_among_conditions_is_hidden_and_names_and_ports_are_not() {
        for (text, shown) in [
            ("case-13800138001", "case-138****8001"),
            ("+86 138 0013 8001", "+86 138 **** 8001"),
            ("20261124-000000123", "20261124-000000123"),
            ("10690001230801", "10690001230801"),
            ("call 4008201234", "call 4008201234"),
        ] {
            assert_eq!(without_mobiles(text), shown);
        }
        assert_eq!(readable("138     0013  8001"), "138****8001");
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
