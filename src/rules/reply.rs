//! What a subscriber's reply means: a refusal, the yes to a request, or neither.
//!
//! Owns the reading of a reply's text (R23, R24) against the profile's words and the last message
//! the subscriber got from the port. Refuses to look that message up, and to read receipts: a
//! receipt is never a reply. Driven by the gate for every reply a carrier delivers.

use std::borrow::Cow;

use jiff::Timestamp;

use super::{Class, Profile, fold, r23_mo_refusal, r24_mo_consent};
use crate::register::Port;

mod settings;
pub(in crate::rules) mod words;

pub use settings::Settings;

/// What a text says by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Neither yes nor no.
    Nothing,
    /// No, whatever was asked.
    Refusal(Scope),
    /// A word whose meaning the last message from that port decides.
    Word(Word),
}

/// A reply of one short word, upper case and without blanks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// All of it.
    pub(super) whole: String,
    /// Without a `回复` before it and a `谢谢` behind it.
    pub(super) bare: String,
}

/// Whose messages are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Those of the sender the port belongs to.
    Sender,
    /// Those of every sender of the provider.
    Provider,
}

/// The last message that went from the port to the subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last<'a> {
    /// Its text in full.
    pub text: Cow<'a, str>,
    /// When it was sent.
    pub at: Timestamp,
    /// Whether the subscriber has said yes or no to its sender since.
    pub answered: bool,
}

/// What becomes of a reply, beside that it is recorded and passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It refuses.
    Refuse(Scope),
    /// It says yes to the last message, which asked for consent.
    Grant {
        /// When the term that was asked for ends.
        expires: Timestamp,
    },
    /// A word of refusal on a port whose messages go on all the same.
    RecordOnly,
    /// It is no such reply.
    Nothing,
}

/// Reads a reply's text by itself.
pub fn hear(text: &str, profile: &Profile, port: Option<&Port>) -> Said {
    let folded = fold::fold(text);
    let word = Word::of(&folded);
    if let Some(scope) = r23_mo_refusal::refuses(&folded, &word, profile, port) {
        return Said::Refusal(scope);
    }
    let length = word.whole.len();
    let is_code = (1..=words::LONGEST_CODE).contains(&length) && word.whole.bytes().all(|c| c.is_ascii_alphanumeric());
    let may_mean = r23_mo_refusal::is_letter(&word, profile, port) || is_code || r24_mo_consent::agrees(&word, profile);
    if may_mean { Said::Word(word) } else { Said::Nothing }
}

/// Decides what a reply to a port of this class means. `last` is asked for only by [`Said::Word`].
pub fn take(
    said: &Said,
    class: Class,
    port: Option<&Port>,
    last: Option<&Last<'_>>,
    profile: &Profile,
    now: Timestamp,
) -> Taken {
    let is_letter = |word| r23_mo_refusal::is_letter(word, profile, port);
    match said {
        Said::Nothing => Taken::Nothing,
        Said::Refusal(_) if class.is_sheltered() => Taken::RecordOnly,
        Said::Word(word) if class.is_sheltered() && is_letter(word) => Taken::RecordOnly,
        Said::Word(_) if class.is_sheltered() => Taken::Nothing,
        Said::Refusal(scope) => Taken::Refuse(*scope),
        Said::Word(word) => {
            let Some(last) = last else { return Taken::Nothing };
            // Refusing comes first: a word that was offered for both is a no.
            if is_letter(word) && r23_mo_refusal::offered(word, last, profile) {
                return Taken::Refuse(Scope::Sender);
            }
            let expires = r24_mo_consent::granted(word, last, profile, now);
            expires.map_or(Taken::Nothing, |expires| Taken::Grant { expires })
        }
    }
}

impl Word {
    fn of(folded: &str) -> Self {
        let whole = words::compact(folded);
        let bare = words::bare(&whole).to_owned();
        Self { whole, bare }
    }
}
