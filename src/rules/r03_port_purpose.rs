//! R03 port-purpose (Art 9, 17/18): a port carries only what it is registered for.

use super::case::Case;
use super::rule::About;
use super::verdict::Flaw;
use super::{Class, Code};

pub(super) const ABOUT: About = About {
    name: "port-purpose",
    article: "Art 9, 17/18",
    sentence: "A port for service, public or personal messages must not carry commercial ones.",
};

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    let promotion = case.promotion.as_ref().filter(|_| case.port_class != Class::Commercial)?;
    Some(Flaw::reject(Code::Own(7), format!("a {} port carries a commercial message: {promotion}", case.port_class)))
}
