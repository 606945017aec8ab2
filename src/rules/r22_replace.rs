//! R22 replace (the gate's own): a replacement is judged like a message to the original's recipient.
//!
//! All other rules judge its text, once the gate has found the original and with it recipient, coding and
//! schedule. One whose original cannot be found is answered 0x13 where this is enforced; else it is judged
//! as a text to nobody, which no consent lets through.

use portcullis_protocol::CommandStatus;

use super::Code;
use super::case::Case;
use super::rule::About;
use super::verdict::Flaw;

pub(super) const ABOUT: About = About {
    name: "replace",
    article: "the gate's own",
    sentence: "A replaced message is judged again with the original's recipient, coding and schedule; what the gate has not forwarded as one message to one recipient cannot be replaced.",
};

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    case.facts.replaces_unknown.then(|| {
        let why = "the message to be replaced is none the gate has forwarded for this provider and source as one to one recipient";
        Flaw::reject(Code::Fixed(CommandStatus::ESME_RREPLACEFAIL), why)
    })
}
