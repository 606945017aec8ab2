//! One look over a text for the words that make a closer look worth while.
//!
//! Owns the words that the costlier checks need at least one of; their own files say what
//! the words mean. A hint proves nothing, its absence everything.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::{r08_obstacle, r12_consent_request, r17_links};

/// Which closer looks are worth while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// Where the text first speaks of refusing (R08).
    pub(super) refusing: Option<usize>,
    /// The text may ask for consent (R12).
    pub(super) asking: bool,
    /// The text may name an account to get in touch with (R17).
    pub(super) account: bool,
    /// A dot between Latin words may be written as something else (R17).
    pub(super) dots: bool,
}

static WORDS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let contacts = r17_links::ACCOUNT_WORDS.iter().chain(&r17_links::WRITTEN_DOTS);
    let words = r08_obstacle::TOPICS.iter().chain(&r12_consent_request::HINTS).chain(contacts);
    let mut builder = AhoCorasick::builder();
    // Ideographs share their first octets, so that skipping to one of those costs more than it saves.
    builder
        .match_kind(MatchKind::LeftmostLongest)
        .ascii_case_insensitive(true)
        .prefilter(false)
        .kind(Some(AhoCorasickKind::DFA));
    builder.build(words).ok()
});

impl Hints {
    /// Looks over a folded text. Where the words cannot be searched for, every closer look is worth while.
    pub(super) fn of(text: &str) -> Self {
        let Some(words) = WORDS.as_ref() else {
            return Self { refusing: Some(0), asking: true, account: true, dots: true };
        };
        const ASKING: usize = r08_obstacle::TOPICS.len();
        const ACCOUNT: usize = ASKING + r12_consent_request::HINTS.len();
        const DOTS: usize = ACCOUNT + r17_links::ACCOUNT_WORDS.len();
        let mut hints = Self::default();
        for found in words.find_iter(text) {
            match found.pattern().as_usize() {
                ..ASKING => hints.refusing = hints.refusing.or(Some(found.start())),
                ASKING..ACCOUNT => hints.asking = true,
                ACCOUNT..DOTS => hints.account = true,
                _ => hints.dots |= is_between_latin(text, found.start(), found.end()),
            }
        }
        hints
    }
}

/// Whether Latin letters or digits stand on both sides, as around the dot of a host.
fn is_between_latin(text: &str, start: usize, end: usize) -> bool {
    let latin = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_alphanumeric);
    start.checked_sub(1).is_some_and(latin) && latin(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_word_is_noticed() {
        let nothing = Hints::default();
        assert_eq!(Hints::of("【青禾鲜生】全场9折"), nothing);
        assert_eq!(Hints::of("回T退订，拒收"), Hints { refusing: Some(4), ..nothing });
        assert_eq!(Hints::of("Reply TD to UNSUBSCRIBE"), Hints { refusing: Some(12), ..nothing });
        assert_eq!(Hints::of("同意请回复Y"), Hints { asking: true, ..nothing });
        assert_eq!(Hints::of("加VX"), Hints { account: true, ..nothing });
        assert_eq!(Hints::of("t点cn"), Hints { dots: true, ..nothing });
        assert_eq!(Hints::of("t Dot cn"), Hints { dots: true, ..nothing });
        assert_eq!(Hints::of("9点cn？ T。"), Hints { dots: true, ..nothing });
        assert_eq!(Hints::of("早上9点，回T。"), nothing);
        let all = Hints { refusing: Some(9), asking: true, account: true, dots: true };
        assert_eq!(Hints::of("同意？退订？微信？a点b"), all);
    }
}
