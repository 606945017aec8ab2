//! Which numbers a bind is for: its `address_range` (SMPP 3.4 §5.2.7), a UNIX regular expression.
//!
//! Owns the lenient reading of it: empty is all, and so is what is no expression, because peers send `*`, lists and
//! numbers of all kinds there. Refuses to guess at such a one, and to compile what is large. Driven by the routes.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

/// Octets of `address_range`, without its NUL.
const LONGEST: usize = 40;
/// Octets an expression may take up once compiled: a number's worth of counted repetition fits, a nest of them does not.
const MOST_COMPILED: usize = 1 << 18;
const MOST_NESTED: u32 = 16;

/// The range of a bind, as it came and as it is read.
#[derive(Clone, Debug, Default)]
pub(super) struct AddressRange {
    said: String,
    read: Read,
}

#[derive(Clone, Debug, Default)]
enum Read {
    /// Nothing is said.
    #[default]
    All,
    /// It is found anywhere in a number, unless it says where with `^` and `$`.
    Only(Regex),
    /// It counts as all.
    Unreadable,
}

impl AddressRange {
    /// Reads the field of a bind.
    pub(super) fn new(field: &[u8]) -> Self {
        let said = field[..field.len().min(LONGEST)].escape_ascii().to_string();
        let read = match str::from_utf8(field) {
            Ok("") => Read::All,
            Ok(text) if text.len() <= LONGEST && text.is_ascii() => compile(text).map_or(Read::Unreadable, Read::Only),
            _ => Read::Unreadable,
        };
        Self { said, read }
    }

    /// Whether it names some numbers and not others.
    pub(super) fn is_narrow(&self) -> bool {
        matches!(self.read, Read::Only(_))
    }

    /// Whether something is said that is no regular expression.
    pub(super) fn is_unreadable(&self) -> bool {
        matches!(self.read, Read::Unreadable)
    }

    /// Whether the bind is for this number.
    pub(super) fn takes(&self, number: &str) -> bool {
        match &self.read {
            Read::Only(expression) => expression.is_match(number.as_bytes()),
            Read::All | Read::Unreadable => true,
        }
    }

    /// Whether the bind may be for this number or one that begins with it, or for it under a country code: what it
    /// spells out it speaks of. In doubt replies count as coming in, for who sent would be refused otherwise.
    pub(super) fn may_take(&self, number: &str) -> bool {
        self.takes(number) || self.said.contains(number)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address_range \"{}\"", self.said)
    }
}

fn compile(text: &str) -> Option<Regex> {
    let mut builder = RegexBuilder::new(text);
    builder.unicode(false).size_limit(MOST_COMPILED).dfa_size_limit(MOST_COMPILED).nest_limit(MOST_NESTED);
    builder.build().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_that_is_spelt_out_may_be_meant_with_what_comes_before_and_after_it() {
        for (range, number, may) in [
            ("^(1069000155|10690002)$", "10690001", true),
            ("^(8610690001|10690002)$", "10690001", true),
            ("^10690002$", "10690001", false),
        ] {
            assert_eq!(AddressRange::new(range.as_bytes()).may_take(number), may, "{range} {number}");
        }
    }

    #[test]
    fn an_expression_is_found_anywhere_unless_it_says_where() {
        for (range, number, takes) in [
            ("", "1069", true),
            ("^1069", "10690001", true),
            ("^1069", "861069", false),
            ("1069", "861069", true),
            ("^10690001(23|45)$", "1069000145", true),
            ("^10690001(23|45)$", "10690001450", false),
            ("^1069[0-4]", "10695", false),
            ("1069*", "10690001", true),
            (".*", "BAKERY", true),
        ] {
            assert_eq!(AddressRange::new(range.as_bytes()).takes(number), takes, "{range} {number}");
        }
    }

    #[test]
    fn what_is_no_expression_counts_as_all() {
        let long = "1".repeat(41);
        let nested = "(".repeat(20) + &")".repeat(20);
        let huge = b"((1{1,99}){1,99}){1,99}";
        for range in [&b"*"[..], b"?", b"+861069", b"[", b"1069\xff", long.as_bytes(), nested.as_bytes(), huge] {
            let read = AddressRange::new(range);
            assert!(read.is_unreadable() && read.takes("1069"), "{read}");
        }
        assert_eq!(AddressRange::new(b"\n*").to_string(), "address_range \"\\n*\"");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read(field in proptest::collection::vec(any::<u8>(), 0..64), number in "[0-9]{1,20}") {
            let range = AddressRange::new(&field);
            prop_assert!(range.is_narrow() || range.takes(&number));
            prop_assert!(!(range.is_narrow() && range.is_unreadable()));
        }
    }
}
