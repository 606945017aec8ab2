//! R02 source-owned (Art 9, 12): the sending number is registered, in use, and the provider's to use.

use super::case::Case;
use super::r01_source_present::INVALID_SOURCE;
use super::rule::About;
use super::verdict::Flaw;
use super::{Ownership, Rule};

pub(super) const ABOUT: About = About {
    name: "source-owned",
    article: "Art 9, 12",
    sentence: "The sending number must be in the register, in use, and among those assigned to the provider.",
};

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    if case.found(Rule::R01) {
        return None; // There is no number to own.
    }
    let why = match case.facts.identity.ownership {
        Ownership::Owned => return None,
        Ownership::Unregistered => "the source is in nobody's register entry",
        Ownership::Foreign => "the source is registered, but not among this provider's numbers",
        Ownership::Inactive => "the source is registered, but no longer in use",
    };
    Some(Flaw::reject(INVALID_SOURCE, why))
}
