//! R22 replace (the gate's own): a replacement is judged like a message to the original's recipient.
//!
//! Nothing is checked here about the text: all other rules do, once the gate has found the original
//! and with it recipient, coding and schedule. What it cannot find is answered 0x13, where enforced.

use super::rule::About;
use super::{Class, Mode, Profile, Rule};
use crate::register::Provider;

pub(super) const ABOUT: About = About {
    name: "replace",
    article: "the gate's own",
    sentence: "A replaced message is judged again with the original's recipient, coding and schedule; what the gate has not forwarded cannot be replaced.",
};

/// What becomes of a replacement whose original the gate does not know. Where the rule is not enforced
/// it is judged all the same, as a text to nobody.
pub fn unknown(profile: &Profile, port_class: Class, provider: &Provider) -> Mode {
    profile.mode(Rule::R22, port_class, provider)
}
