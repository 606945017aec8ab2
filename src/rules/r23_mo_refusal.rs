//! R23 mo-refusal (Art 16, 19): a reply that refuses takes effect at once.
//!
//! A keyword is the whole reply. One of a single letter counts only if the last message from that
//! port offered it: an "R" by itself may mean anything. A sentence refuses clause by clause.

use super::reply::words::{bare, clauses, compact, repeated};
use super::reply::{Last, Scope, Word};
use super::rule::About;
use super::{Profile, fold, r07_opt_out};
use crate::register::Port;

pub(super) const ABOUT: About = About {
    name: "mo-refusal",
    article: "Art 16, 19",
    sentence: "A reply with an opt-out keyword, or a sentence that refuses, takes effect before it is answered; the evidence is kept.",
};

/// The longest text in which a keyword may stand as a clause of its own: "TD, thanks".
const SHORT: usize = 24;

/// Whether a folded text refuses, whatever the last message said.
pub(super) fn refuses(folded: &str, word: &Word, profile: &Profile, port: Option<&Port>) -> Option<Scope> {
    let settings = &profile.replies;
    if settings.refusals_of_all.contains(&word.whole) {
        return Some(Scope::Provider);
    }
    let is_keyword = |word: &str| word.chars().nth(1).is_some() && is_refusal(word, profile, port);
    let forms = [Some(word.whole.as_str()), Some(&word.bare), repeated(&word.whole)];
    if forms.into_iter().flatten().any(is_keyword) {
        return Some(Scope::Sender);
    }
    let is_short = folded.chars().count() <= SHORT;
    let refuses = |clause: &String| {
        (is_short && is_keyword(bare(&compact(clause))))
            || settings.refusing.is_match(clause) && !settings.not_refusing.is_match(clause)
    };
    clauses(folded).iter().any(refuses).then_some(Scope::Sender)
}

/// Whether a word is a keyword of a single letter, which must have been offered.
pub(super) fn is_letter(word: &Word, profile: &Profile, port: Option<&Port>) -> bool {
    letter(word).is_some_and(|letter| is_refusal(letter, profile, port))
}

/// Whether the last message offered the letter as the way to refuse.
pub(super) fn offered(word: &Word, last: &Last<'_>, profile: &Profile) -> bool {
    letter(word).is_some_and(|letter| profile.opt_out.offers(&fold::fold(&last.text), letter))
}

/// The one letter of a word, said once or again and again.
fn letter(word: &Word) -> Option<&str> {
    let forms = [Some(word.bare.as_str()), repeated(&word.bare)];
    forms.into_iter().flatten().find(|form| form.chars().nth(1).is_none())
}

fn is_refusal(word: &str, profile: &Profile, port: Option<&Port>) -> bool {
    let letters: Vec<char> = word.chars().collect();
    let own = port.and_then(|port| port.opt_out.as_deref()).unwrap_or_default();
    profile.replies.refusals.iter().any(|known| known == word)
        || profile.opt_out.keywords().chain(own).any(|known| r07_opt_out::covers(known, &letters))
}
