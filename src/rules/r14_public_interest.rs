//! R14 public-interest: a public port of a government sender is exempt from R06-R09 and quiet hours.
//!
//! Like R13 it has no check: public ports are sheltered as a whole. What is left to say is
//! whether a port is one, which decides how much promotion R10 needs to see on it.

use super::Class;
use super::case::Case;
use super::rule::About;

pub(super) const ABOUT: About = About {
    name: "public-interest",
    article: "chapter on public-interest messages",
    sentence: "Messages in the public interest from a government sender go out at any hour, without consent, phone or opt-out.",
};

/// Whether the message goes out on a public port of a government body.
pub(super) fn speaks_for(case: &Case<'_>) -> bool {
    case.port_class == Class::Public && case.facts.identity.sender.is_some_and(|sender| sender.government)
}
