//! R15 obfuscation (Art 19): no label that only folding makes readable, no reversed or blank filling.

use std::borrow::Cow;

use super::case::Case;
use super::fold;
use super::phone::phones;
use super::r07_opt_out::Told;
use super::rule::About;
use super::signature::signatures;
use super::verdict::Flaw;
use super::{Class, Code};

pub(super) const ABOUT: About = About {
    name: "obfuscation",
    article: "Art 19",
    sentence: "Name, phone and opt-out must be written plainly, not in look-alike, enclosed or invisible characters.",
};

const OBFUSCATED: Code = Code::Own(0xB);

/// How many phones of a text are compared with each other.
const MOST_PHONES: usize = 64;

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    let text = case.text()?;
    let why = disguised(case, text)?;
    match case.port_class {
        Class::Commercial => Some(Flaw::reject(OBFUSCATED, why)),
        Class::Service | Class::Public | Class::Personal => Some(Flaw::alert(OBFUSCATED, why)),
    }
}

fn disguised(case: &Case<'_>, text: &str) -> Option<Cow<'static, str>> {
    // What reverses or fills the text, folding leaves out.
    if case.is_disguised()
        && let Some(how) = fold::disguise(text)
    {
        return Some(format!("the text {how}").into());
    }
    if case.is_plain() {
        return None;
    }
    if let Some(phone) = hidden_phone(text, case.readable(), case.submission.source.addr.0) {
        return Some(format!("the phone {phone} can be read only after folding").into());
    }
    if !case.is_disguised() {
        return None;
    }
    if is_signature_hidden(case) {
        return Some("the signature can be read only after folding".into());
    }
    let hidden = *case.told() == Told::No && *case.told_when_folded() != Told::No;
    hidden.then_some("the opt-out phrase can be read only after folding".into())
}

/// Whether a reader sees a signature where the raw text has none, or not one of the sender's.
fn is_signature_hidden(case: &Case<'_>) -> bool {
    let Some(seen) = signatures(case.folded()).label else { return false };
    let Some(written) = case.signatures().label else { return true };
    let own = case.facts.identity.sender.map_or(&[][..], |sender| &sender.signatures);
    written.name != seen.name
        && !own.iter().any(|name| name == written.name)
        && own.iter().any(|name| fold::fold(name) == seen.name)
}

/// A phone that a reader sees and the raw text does not have.
fn hidden_phone(text: &str, readable: &str, port: &[u8]) -> Option<String> {
    let found = |text| phones(text, port).take(MOST_PHONES).map(|phone| phone.number());
    let plain: Vec<String> = found(text).collect();
    // A plain phone behind an enclosed number folds into longer digits: still plain.
    let hidden = |number: &String| !plain.iter().any(|plain| number.contains(plain.as_str()));
    found(readable).find(hidden)
}
