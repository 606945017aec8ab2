//! R16 opaque (Art 8): what cannot be read can be neither judged nor kept as evidence.

use std::borrow::Cow;

use portcullis_protocol::text::{Concatenation, Opaque, Text};

use super::case::Case;
use super::rule::About;
use super::verdict::Flaw;
use super::{Class, Code, Presentation, Submission};

pub(super) const ABOUT: About = About {
    name: "opaque",
    article: "Art 8",
    sentence: "The content of port messages must be readable: no binary or port-addressed payload, no unknown coding, no canned text of the SMSC, no message that a subscriber cannot keep.",
};

const OPAQUE: Code = Code::Own(0xA);

/// Why the whole text is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// No text, or none that can be read.
    Opaque(Opaque),
    /// The SMSC would put its own text in place.
    Canned(u8),
    /// A part of a longer text.
    Part(Concatenation),
}

/// Why the whole text of a submission is not to be had, where it is not.
pub(super) fn unreadable(submission: &Submission<'_>) -> Option<Reason> {
    match (&submission.content, submission.sm_default_msg_id, submission.part) {
        (_, canned @ 1.., _) => Some(Reason::Canned(canned)),
        (Text::Opaque(opaque), ..) => Some(Reason::Opaque(*opaque)),
        (.., Some(part)) if part.total > 1 => Some(Reason::Part(part)),
        _ => None,
    }
}

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    let Some(reason) = case.unreadable else {
        return Some(flaw(case, unseen(case.submission.presentation)?.into()));
    };
    let why: Cow<'static, str> = match reason {
        Reason::Opaque(opaque) => format!("the text cannot be read: {opaque}").into(),
        Reason::Canned(id) => format!("the SMSC would send its canned message {id} in place of the text").into(),
        Reason::Part(part) => {
            format!("part {} of {} of a long message: only whole texts can be judged", part.number, part.total).into()
        }
    };
    Some(flaw(case, why))
}

/// Why a text that can be read is not what a subscriber keeps.
const fn unseen(presentation: Presentation) -> Option<&'static str> {
    match presentation {
        Presentation::Kept => None,
        Presentation::Flash => {
            Some("a flash message (class 0) is not kept: its name, phone and way to refuse are gone")
        }
        Presentation::Silent => Some("the handset never shows the message"),
        Presentation::Replacing => Some("the parts replace one another on the handset: nobody sees the whole text"),
    }
}

fn flaw(case: &Case<'_>, why: Cow<'static, str>) -> Flaw {
    match case.port_class {
        Class::Commercial => Flaw::reject(OPAQUE, why),
        Class::Service | Class::Public | Class::Personal => Flaw::alert(OPAQUE, why),
    }
}
