//! What the rules look for in a text, and where it stands.
//!
//! Owns the marking of signature, phones, way to refuse, links and contact ids, found by the very
//! functions that the rules use. Refuses to judge them. Driven by [`super::examine()`].

use super::case::Case;
use super::phone::phones;
use super::{r07_opt_out, r17_links};

/// What a place in a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Label {
    /// The sender's name in its brackets (R05).
    Signature,
    /// A contact phone (R06).
    Phone,
    /// The way to refuse (R07).
    OptOut,
    /// A link or contact id (R17).
    Contact,
}

impl Label {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Phone => "phone",
            Self::OptOut => "opt-out",
            Self::Contact => "contact",
        }
    }
}

/// Something found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it is.
    pub label: Label,
    /// Where it starts and ends in the raw text, in octets of UTF-8; none where only a reader's eye puts it together.
    pub place: Option<(usize, usize)>,
    /// What it says.
    pub text: String,
    /// What the register and the profile know of it.
    pub note: String,
}

/// Phones marked in one text: more are a list, and no label.
const MOST_PHONES: usize = 64;

/// Everything found, in the order in which it stands; what has no place comes last.
pub(super) fn spans(case: &Case<'_>) -> Vec<Span> {
    let Some(text) = case.submission.content.readable() else { return Vec::new() };
    let mut spans: Vec<Span> = signature(case, text).into_iter().collect();
    spans.extend(numbers(case, text));
    spans.extend(opt_out(case, text));
    spans.extend(contacts(case, text));
    spans.sort_by_key(|span| span.place.unwrap_or((usize::MAX, usize::MAX)));
    spans
}

fn signature(case: &Case<'_>, text: &str) -> Option<Span> {
    let label = case.signatures().label?;
    let (start, end) = within(text, label.name)?;
    let start = start - text[..start].chars().next_back().map_or(0, char::len_utf8);
    let end = end + text[end..].chars().next().map_or(0, char::len_utf8);
    let identity = &case.facts.identity;
    let note = match identity.sender {
        Some(sender) if sender.signatures.iter().any(|own| own == label.name) => {
            format!("registered for sender {}", sender.id)
        }
        Some(sender) => format!("not registered for sender {}", sender.id),
        None => "registered for nobody".to_owned(),
    };
    let several = if case.signatures().several { ", one of several" } else { "" };
    Some(Span {
        label: Label::Signature,
        place: Some((start, end)),
        text: text[start..end].to_owned(),
        note: format!("{note}{several}"),
    })
}

fn numbers(case: &Case<'_>, text: &str) -> Vec<Span> {
    let registered = case.facts.identity.sender.map_or(&[][..], |sender| &sender.phones);
    let found = phones(text, case.submission.source.addr.0).take(MOST_PHONES);
    let span = |phone: super::phone::Phone| {
        let known = if registered.iter().any(|number| phone.is(number)) { "" } else { "not " };
        Span {
            label: Label::Phone,
            place: Some((phone.start, phone.end)),
            text: text[phone.start..phone.end].to_owned(),
            note: format!("{}, {known}registered by the sender", phone.number()),
        }
    };
    found.map(span).collect()
}

fn opt_out(case: &Case<'_>, text: &str) -> Option<Span> {
    let port = case.facts.identity.port;
    let offer = r07_opt_out::offer(case.body(), &case.profile.opt_out, port)?;
    let (from, _) = within(text, case.body())?;
    let (start, end) = (from + offer.start, from + offer.end);
    let honoured = if offer.is_honoured { "honoured" } else { "not honoured on this port" };
    Some(Span {
        label: Label::OptOut,
        place: Some((start, end)),
        text: text[start..end].to_owned(),
        note: format!("keyword {}, {honoured}", offer.keyword),
    })
}

fn contacts(case: &Case<'_>, text: &str) -> Vec<Span> {
    let mut from = 0;
    let span = |(contact, is_registered): (r17_links::Contact<'_>, bool)| {
        // Found in the folded text, which is the raw one unless something is disguised.
        let written = contact.as_str();
        let start = text.get(from..).and_then(|rest| rest.find(written)).map(|at| from + at);
        from = start.map_or(from, |start| start + written.len());
        let known = if is_registered { "" } else { "not " };
        let folded = if start.is_none() { ", readable only after folding" } else { "" };
        Span {
            label: Label::Contact,
            place: start.map(|start| (start, start + written.len())),
            text: contact.to_string(),
            note: format!("{known}registered by the sender{folded}"),
        }
    };
    r17_links::listed(case).map(span).collect()
}

/// Where a piece of a text stands in it.
fn within(text: &str, piece: &str) -> Option<(usize, usize)> {
    let start = (piece.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    text.get(start..start + piece.len()).map(|_| (start, start + piece.len()))
}
