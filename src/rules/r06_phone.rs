//! R06 phone (Art 19): the raw text names a contact phone.

use super::Code;
use super::case::Case;
use super::fold;
use super::phone::{Phone, phones};
use super::rule::About;
use super::verdict::Flaw;
use crate::document::Section;

pub(super) const ABOUT: About = About {
    name: "phone",
    article: "Art 19",
    sentence: "A commercial message must state the contact phone of whoever sends it.",
};

const PHONE: Code = Code::Own(4);

/// Whether a commercial message carries a contact phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Label {
    /// It must.
    #[default]
    Required,
    /// It must, and the sender must have registered it.
    RequiredAndRegistered,
    /// It may.
    Optional,
    /// It must not.
    Forbidden,
}

impl Label {
    pub(super) fn read(&mut self, section: &Section<'_, '_>) {
        const WORDS: [(&str, Label); 4] = [
            ("required", Label::Required),
            ("required-and-registered", Label::RequiredAndRegistered),
            ("optional", Label::Optional),
            ("forbidden", Label::Forbidden),
        ];
        *self = section.word("phone", &WORDS).unwrap_or(*self);
    }
}

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    let text = case.text().filter(|_| case.is_marketing())?;
    let port = case.submission.source.addr.0;
    let mut phones = phones(text, port).filter(|phone| !case.is_disguised() || is_plain(text, phone, port));
    let why = match case.profile.phone {
        Label::Optional => return None,
        Label::Required => phones.next().is_none().then_some("the text has no contact phone"),
        Label::Forbidden => has_any(case, port).then_some("the text has a phone, which the profile forbids"),
        Label::RequiredAndRegistered => {
            let registered = case.facts.identity.sender.map_or(&[][..], |sender| &sender.phones);
            let found = phones.any(|phone| registered.iter().any(|number| phone.is(number)));
            (!found).then_some("the text has no contact phone that its sender has registered")
        }
    };
    why.map(|why| Flaw::reject(PHONE, why))
}

/// Whether a reader takes it for a phone, too. What makes the digits a code or an amount is no label, and counts
/// however it is written; so do more digits beside them, but for the number of an item in a list: ①95588, and
/// behind those that are long enough to be told from it: 400-000-0000②.
fn is_plain(text: &str, phone: &Phone, port: &[u8]) -> bool {
    let (before, after) = (&text[..phone.start], fold::fold(&text[phone.end..]));
    let item = before.chars().next_back().filter(|c| fold::fold(c.encode_utf8(&mut [0; 4])).ends_with(is_digit));
    let before = fold::fold(&before[..before.len() - item.map_or(0, char::len_utf8)]);
    let goes_on = match after.find(|c| !is_digit(c)).unwrap_or(after.len()) {
        0 => false,
        digits => digits > 2 || phone.is_brief(),
    };
    !before.ends_with(is_digit) && !goes_on && phone.stands_between(&before, &after, port)
}

const fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// Whether a reader finds a phone, in whichever digits.
fn has_any(case: &Case<'_>, port: &[u8]) -> bool {
    phones(case.readable(), port).next().is_some()
}
