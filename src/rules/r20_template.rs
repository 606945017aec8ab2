//! R20 template (carriers' terms): a sender that has filed templates keeps to them.
//!
//! Fixed text stands as it was filed, variables by type and length; the signature may stand
//! outside the template. Text that cannot be read is R16's.

use super::case::Case;
use super::r04_identity::IDENTITY;
use super::rule::About;
use super::template::{Kept, Outcome};
use super::verdict::Flaw;

pub(super) const ABOUT: About = About {
    name: "template",
    article: "carriers' terms",
    sentence: "Where a sender has filed templates, its messages keep to one of them: fixed text exactly, variables by type and length.",
};

/// How the message stands to its sender's templates; none where there are none, or no text.
pub(super) fn outcome<'a>(case: &Case<'a>) -> Option<Outcome<'a, 'a>> {
    let templates = case.facts.identity.sender?.templates.as_deref()?;
    Some(templates.judge(case.text()?))
}

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    let Outcome::Stray(nearest) = case.template.as_ref()? else { return None };
    let sender = case.facts.identity.sender.map_or("", |sender| sender.id.as_str());
    let nearest = nearest.as_ref().map(|near| format!("; the nearest, {}, {}", near.id, near.difference));
    let why = format!("keeps to none of the templates that sender {sender} has filed{}", nearest.unwrap_or_default());
    Some(Flaw::reject(IDENTITY, why))
}

/// The template that the message keeps to.
pub(super) fn kept<'c, 'a>(case: &'c Case<'a>) -> Option<&'c Kept<'a, 'a>> {
    match case.template.as_ref()? {
        Outcome::Kept(kept) => Some(kept),
        Outcome::Stray(_) => None,
    }
}
