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
    // What makes the digits a code or an amount is no label, and counts however it is written.
    let is_plain = |phone: &Phone| {
        !case.is_disguised() || {
            let (before, after) = (fold::fold(&text[..phone.start]), fold::fold(&text[phone.end..]));
            phone.stands_between(&before, &after, port)
        }
    };
    let mut phones = phones(text, port).filter(is_plain);
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

/// Whether a reader finds a phone, in whichever digits.
fn has_any(case: &Case<'_>, port: &[u8]) -> bool {
    let folded = case.folded();
    let spelt = fold::numerals(folded);
    phones(spelt.as_deref().unwrap_or(folded), port).next().is_some()
}
