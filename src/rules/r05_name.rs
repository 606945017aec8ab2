//! R05 name (Art 19): the raw text starts with exactly one 【…】, bound to the port's sender.

use super::case::Case;
use super::r04_identity::IDENTITY;
use super::rule::About;
use super::signature::{self, Signature};
use super::verdict::Flaw;
use super::{Class, Code};
use crate::document::Section;

pub(super) const ABOUT: About = About {
    name: "name",
    article: "Art 19",
    sentence: "A message must start with the name of whoever sends it, as one signature 【…】 that is registered for the port's sender.",
};

const MISSING: Code = Code::Own(3);

/// What a profile says about signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where one may stand.
    pub position: Position,
    /// The fewest characters of one.
    pub shortest: usize,
    /// The most characters of one.
    pub longest: usize,
}

/// Where a signature may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// At the head of the text.
    Head,
    /// At the head, or with an alert at its tail.
    HeadOrTail,
}

impl Default for Settings {
    fn default() -> Self {
        Self { position: Position::Head, shortest: 2, longest: 16 }
    }
}

impl Settings {
    pub(super) fn read(&mut self, section: &Section<'_, '_>) {
        const WORDS: [(&str, Position); 2] = [("head", Position::Head), ("head-or-tail", Position::HeadOrTail)];
        let bound = |key| section.integer(key, 1..=64).and_then(|length| usize::try_from(length).ok());
        self.position = section.word("signature_position", &WORDS).unwrap_or(self.position);
        self.shortest = bound("signature_shortest").unwrap_or(self.shortest);
        self.longest = bound("signature_longest").unwrap_or(self.longest);
        if self.shortest > self.longest {
            section.fault("signature_shortest", "is more than signature_longest");
        }
    }
}

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    if case.class == Class::Personal {
        return None;
    }
    case.text()?;
    let settings = &case.profile.name_label;
    let signatures = case.signatures();
    let Some(label) = signatures.label.filter(|label| !label.name.is_empty()) else {
        return Some(Flaw::reject(MISSING, "the text does not start with a signature 【…】"));
    };
    // Whose name it is must be clear: a second one is one too many in whichever brackets it stands.
    let hidden = || case.is_disguised() && signature::signatures(case.folded()).several;
    if signatures.several || hidden() {
        return Some(Flaw::reject(IDENTITY, "the text has more than one signature"));
    }
    if let Some(flaw) = unbound(case, label) {
        return Some(flaw);
    }
    match (label.at_tail, settings.position) {
        (false, _) => None,
        (true, Position::Head) => Some(Flaw::reject(MISSING, "the signature stands at the end of the text")),
        (true, Position::HeadOrTail) => Some(Flaw::alert(MISSING, "the signature stands at the end of the text")),
    }
}

fn unbound(case: &Case<'_>, label: Signature<'_>) -> Option<Flaw> {
    let settings = &case.profile.name_label;
    let length = label.name.chars().count();
    if length < settings.shortest || length > settings.longest {
        let bounds = format!("{} to {}", settings.shortest, settings.longest);
        return Some(Flaw::reject(
            IDENTITY,
            format!("the signature has {length} characters where {bounds} are allowed"),
        ));
    }
    let identity = &case.facts.identity;
    let whose = identity.port.map_or("any sender", |_| "the port's sender");
    let bound = identity.sender.is_some_and(|sender| sender.signatures.iter().any(|name| name == label.name));
    if !bound {
        return Some(Flaw::reject(IDENTITY, format!("the signature 【{}】 is not registered for {whose}", label.name)));
    }
    let own = identity.port.and_then(|port| port.signature.as_deref()).filter(|own| *own != label.name)?;
    Some(Flaw::reject(IDENTITY, format!("the port's signature is 【{own}】, not 【{}】", label.name)))
}
