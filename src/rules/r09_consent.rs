//! R09 consent (Art 16, 19): an active consent of this number for this sender.

use super::case::Case;
use super::rule::About;
use super::verdict::Flaw;
use super::{Code, Consent, Rule, r12_consent_request};

pub(super) const ABOUT: About = About {
    name: "consent",
    article: "Art 16, 19",
    sentence: "Nothing commercial without consent or request: who has not explicitly agreed has refused.",
};

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    if !case.is_marketing() || case.facts.unasked {
        return None; // Unknown is not missing: what becomes of it is said in `[failure]`.
    }
    let identity = &case.facts.identity;
    let refused = case.facts.refusal.is_some() && case.mode(Rule::R11) >= case.mode(Rule::R09);
    if refused || r12_consent_request::speaks_for(case) {
        return None; // R11 or R12 says it, with a code of its own.
    }
    let why = match (identity.sender, identity.msisdn, case.facts.consent) {
        (None, ..) if case.refused_by(&[Rule::R01, Rule::R02, Rule::R04, Rule::R05]) => return None,
        (None, ..) => "nobody knows for whom it is sent, so nobody can have agreed",
        (_, None, _) if case.facts.vouched => return None,
        (_, None, _) => "the destination is not a subscriber's number, so no consent can be found",
        (.., Consent::Active) => return None,
        (.., Consent::None) => "the recipient has not agreed to this sender's messages",
        (.., Consent::Expired) => "the recipient's consent is past its term",
    };
    Some(Flaw::reject(Code::Own(1), why))
}
