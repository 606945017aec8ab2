//! R04 identity (Art 12): provider, sender and signature make a complete, filed, unexpired chain.

use super::Code;
use super::case::Case;
use super::rule::About;
use super::verdict::Flaw;

pub(super) const ABOUT: About = About {
    name: "identity",
    article: "Art 12",
    sentence: "Whoever a message is sent for must be verified and filed: a sender in good standing, with a signature, open to this provider.",
};

pub(super) const IDENTITY: Code = Code::Own(8);

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    let identity = &case.facts.identity;
    // Without a sender the source (R01, R02) or the name (R05) has failed already.
    let sender = identity.sender?;
    let today = || case.now.to_zoned_datetime(case.profile.time_zone.clone()).date();
    let why = if !sender.active {
        "is no longer active"
    } else if sender.filed_until.is_some_and(|last| last < today()) {
        "has a filing that has expired"
    } else if sender.signatures.is_empty() {
        "has no signature filed"
    } else if !sender.providers.is_empty() && !sender.providers.contains(&identity.provider.system_id) {
        "is not open to this provider"
    } else {
        return None;
    };
    Some(Flaw::reject(IDENTITY, format!("sender {} {why}", sender.id)))
}
