//! Whether a receipt's message id is an answer's: carriers write the two differently.
//!
//! Owns the forms (hexadecimal in one and decimal in the other, leading zeros, case) and the
//! keys two ids of one message have in common. Refuses to choose between messages: who joins
//! them looks at the addresses too. Driven by searches and by the reading of replies.

use std::borrow::Cow;

use crate::config::MessageIdForm as Form;

/// What an answer's id and a receipt's have in common; one likeness is surer than the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// Every octet.
    Exact(String),
    /// All but case and leading zeros.
    Loose(String),
    /// The number, the answer's digits being hexadecimal.
    HexInAnswer(u128),
    /// The number, the receipt's digits being hexadecimal.
    HexInReceipt(u128),
}

impl Key {
    /// What a receipt may know the message of this answer by.
    pub(super) fn of_answer(id: &str, form: Form) -> Vec<Self> {
        Self::all(id, form, number(id, 16), number(id, 10))
    }

    /// What the answer to the message of this receipt may have, the surest first.
    pub(super) fn of_receipt(id: &str, form: Form) -> Vec<Self> {
        Self::all(id, form, number(id, 10), number(id, 16))
    }

    fn all(id: &str, form: Form, hex_in_answer: Option<u128>, hex_in_receipt: Option<u128>) -> Vec<Self> {
        let allowed = |asked| form == Form::Auto || form == asked;
        let exact = allowed(Form::AsIs).then(|| Self::Exact(id.to_owned()));
        let loose = (form == Form::Auto).then(|| Self::Loose(loose(id).into_owned()));
        let numbers = [
            hex_in_answer.filter(|_| allowed(Form::HexInAnswer)).map(Self::HexInAnswer),
            hex_in_receipt.filter(|_| allowed(Form::HexInReceipt)).map(Self::HexInReceipt),
        ];
        [exact, loose].into_iter().chain(numbers).flatten().collect()
    }

    /// The form that a pair with this in common speaks for.
    pub(super) const fn form(&self) -> Form {
        match self {
            Self::Exact(_) | Self::Loose(_) => Form::AsIs,
            Self::HexInAnswer(_) => Form::HexInAnswer,
            Self::HexInReceipt(_) => Form::HexInReceipt,
        }
    }
}

/// An id in lower case, without leading zeros.
pub(super) fn loose(id: &str) -> Cow<'_, str> {
    let short = id.trim_start_matches('0');
    let short = if short.is_empty() { &id[id.len().saturating_sub(1)..] } else { short };
    if short.bytes().any(|octet| octet.is_ascii_uppercase()) {
        Cow::Owned(short.to_ascii_lowercase())
    } else {
        Cow::Borrowed(short)
    }
}

/// Other ways in which the id may have been written, as the journal's index has them.
pub(super) fn spellings(id: &str) -> Vec<String> {
    let mut spellings = vec![loose(id).into_owned()];
    spellings.extend(number(id, 10).map(|number| format!("{number:x}")));
    spellings.extend(number(id, 16).map(|number| number.to_string()));
    spellings.retain(|spelling| spelling != id);
    spellings.dedup();
    spellings
}

fn number(id: &str, radix: u32) -> Option<u128> {
    let is_digit = |c: char| c.is_digit(radix);
    u128::from_str_radix(id, radix).ok().filter(|_| id.chars().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether an answer's id and a receipt's may be one message's.
    fn fit(answer: &str, receipt: &str, form: Form) -> bool {
        let keys = Key::of_answer(answer, form);
        Key::of_receipt(receipt, form).iter().any(|key| keys.contains(key))
    }

    #[test]
    fn auto_takes_every_way_of_writing_one_id() {
        for (answer, receipt) in [
            ("4F2A", "4F2A"),
            ("4F2A", "4f2a"),
            ("0000004F2A", "4f2a"),
            ("123", "0000000123"),
            ("4F2A", "20266"),
            ("00004F2A", "0000020266"),
            ("20266", "4F2A"),
            ("a-b-c", "A-B-C"),
        ] {
            assert!(fit(answer, receipt, Form::Auto), "{answer} {receipt}");
        }
        for (answer, receipt) in [("4F2A", "4F2B"), ("123", "1230"), ("", "0"), ("x1", "1")] {
            assert!(!fit(answer, receipt, Form::Auto), "{answer} {receipt}");
        }
    }

    #[test]
    fn a_set_form_takes_that_way_only() {
        assert!(fit("64", "100", Form::HexInAnswer) && !fit("100", "64", Form::HexInAnswer));
        assert!(fit("100", "64", Form::HexInReceipt) && !fit("64", "100", Form::HexInReceipt));
        assert!(!fit("100", "100", Form::HexInAnswer) && !fit("100", "100", Form::HexInReceipt));
        assert!(fit("100", "100", Form::AsIs) && !fit("0100", "100", Form::AsIs));
    }

    #[test]
    fn zeros_alone_are_an_id() {
        assert_eq!((loose("000"), loose("0"), loose("")), ("0".into(), "0".into(), "".into()));
    }

    #[test]
    fn an_id_is_looked_for_in_its_other_spellings() {
        assert_eq!(spellings("0020266"), ["20266", "4f2a", "131686"]);
        assert_eq!(spellings("4f2a"), ["20266"]);
        assert_eq!(spellings("9f3c-1"), [""; 0]);
    }
}
