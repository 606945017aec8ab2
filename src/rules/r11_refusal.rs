//! R11 refusal (Art 16): nothing commercial to who refused the legal entity, or everybody.

use super::case::Case;
use super::rule::About;
use super::verdict::Flaw;
use super::{Code, Refusal};

pub(super) const ABOUT: About = About {
    name: "refusal",
    article: "Art 16",
    sentence: "After a refusal nothing commercial at all, over all signatures, ports and binds of the legal entity.",
};

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    let refusal = case.facts.refusal.filter(|_| case.is_marketing())?;
    let why = match refusal {
        Refusal::Sender { at: Some(at) } => format!("the recipient refused this sender on {at:.0}").into(),
        Refusal::Sender { at: None } => "the recipient refused this sender".into(),
        Refusal::DoNotDisturb => std::borrow::Cow::Borrowed("the recipient is on the do-not-disturb list"),
    };
    Some(Flaw::reject(Code::Own(2), why))
}
