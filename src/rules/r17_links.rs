//! R17 links (carriers' terms): links and contact ids must be on the sender's list.

mod accounts;
mod contacts;
mod domains;
mod urls;

use std::borrow::Cow;

use super::case::Case;
use super::phone::phones;
use super::rule::About;
use super::verdict::Flaw;
use super::{Class, Code};
use crate::document::{Section, unknown_word};

pub(super) use accounts::ACCOUNT_WORDS;
use accounts::accounts;
pub(super) use contacts::Contact;
pub(super) use urls::WRITTEN_DOTS;
use urls::urls;

pub(super) const ABOUT: About = About {
    name: "links",
    article: "carriers' terms",
    sentence: "A link, phone, QQ or WeChat id in a message must be one that its sender has registered.",
};

/// Which contacts have to be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Settings {
    url: bool,
    qq: bool,
    wechat: bool,
    phone: bool,
}

impl Settings {
    pub(super) fn read(&mut self, section: &Section<'_, '_>) {
        let Some(words) = section.strings("registered_contacts") else { return };
        *self = Self::default();
        for word in words {
            match word {
                "url" => self.url = true,
                "qq" => self.qq = true,
                "wechat" => self.wechat = true,
                "phone" => self.phone = true,
                _ => section
                    .fault("registered_contacts", unknown_word(word, ["url", "qq", "wechat", "phone"].into_iter())),
            }
        }
    }
}

/// Every link in a folded text, without its scheme, also one with a word for its dot.
pub(super) fn links(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    urls(text, true)
}

/// The first contact in the text that its sender has not registered.
pub(super) fn stray(case: &Case<'_>) -> Option<String> {
    let settings = case.profile.links;
    let sender = case.facts.identity.sender;
    let links = sender.map_or(&[][..], |sender| &sender.links);
    let text = case.folded();
    let accounts = case.hints().account.then(|| accounts(text)).into_iter().flatten();
    let stray = urls(text, case.hints().dots).map(Contact::Url).chain(accounts).find(|contact| {
        let spoken_of = match contact {
            Contact::Url(_) => settings.url,
            Contact::Qq(_) => settings.qq,
            Contact::WeChat(_) => settings.wechat,
        };
        spoken_of && !links.iter().any(|link| contact.is(link))
    });
    if let Some(contact) = stray {
        return Some(contact.to_string());
    }
    if !settings.phone {
        return None;
    }
    let registered = sender.map_or(&[][..], |sender| &sender.phones);
    let mut phones = phones(case.readable(), case.submission.source.addr.0);
    let stray = phones.find(|phone| !registered.iter().any(|number| phone.is(number)))?;
    Some(stray.number())
}

/// Every link and contact id in the text, as it stands there, and whether the sender has registered it.
pub(super) fn listed<'c>(case: &'c Case<'_>) -> impl Iterator<Item = (Contact<'c>, bool)> {
    let links = case.facts.identity.sender.map_or(&[][..], |sender| &sender.links);
    let text = case.folded();
    let all = urls(text, case.hints().dots).map(Contact::Url).chain(accounts(text));
    all.map(move |contact| {
        let is_registered = links.iter().any(|link| contact.is(link));
        (contact, is_registered)
    })
}

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    let contact = case.stray_link.as_ref()?;
    let why = format!("{contact} is not among the contacts that the sender has registered");
    match case.port_class {
        Class::Commercial | Class::Service => Some(Flaw::reject(Code::Own(7), why)),
        Class::Public | Class::Personal => Some(Flaw::alert(Code::Own(7), why)),
    }
}
