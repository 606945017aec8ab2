//! Which records a search asks for.
//!
//! Owns every condition but time, compiled once. What asks for a sender, a rule, a verdict or a class asks for
//! messages; replies have part in it by what they were taken for. Pure. Driven by the search, record by record.

use unicode_normalization::UnicodeNormalization;

use super::{Found, FoundChange, FoundDelivery, FoundList, FoundMessage, FoundSession, Kind, Query};
use crate::gate::record::{Content, Delivery, Kept, Record, Submission, Taken, port_key, subscriber_key};
use crate::rules::Msisdn;
use crate::store::EntryId;

/// The conditions of a search.
pub(super) struct Conditions {
    query: Query,
    subscriber: Option<String>,
    fragment: Option<Fragment>,
}

/// Part of a text, as it stands and folded.
struct Fragment {
    raw: String,
    folded: String,
}

impl Conditions {
    pub(super) fn of(query: &Query) -> Self {
        let fragment = query.text.as_ref().map(|raw| Fragment { raw: raw.clone(), folded: fold(raw) });
        Self { subscriber: query.to.as_deref().map(canonical), fragment, query: query.clone() }
    }

    /// What a record shows, and whether that is asked for: what is not may be wanted still, for what is
    /// joined to it.
    pub(super) fn show(&self, id: EntryId, kept: &Kept<'_>) -> Option<(Found, bool)> {
        match &kept.record {
            Record::Submission(sent) => {
                let found = || Found::Message(Box::new(FoundMessage::new(id, sent).with(kept)));
                self.has_message(sent).then(|| (found(), self.is_kind(Kind::Message)))
            }
            Record::Long(long) => {
                let found = || Found::Message(Box::new(FoundMessage::of_parts(id, long).with(kept)));
                self.has_message(&long.submission).then(|| (found(), self.is_kind(Kind::Message)))
            }
            Record::Delivery(delivery) => {
                let found = || Found::Delivery(FoundDelivery::new(id, delivery));
                self.is_near(delivery).then(|| (found(), self.has_delivery(delivery)))
            }
            Record::Session(session) => {
                let is_asked = self.is_beside(Kind::Session) && is(&self.query.provider, &session.origin.provider);
                is_asked.then(|| (Found::Session(FoundSession::new(id, session).with(kept)), true))
            }
            Record::List(list) => {
                let is_asked = self.is_beside(Kind::List) && self.query.provider.is_none();
                is_asked.then(|| (Found::List(FoundList::new(id, list)), true))
            }
            Record::Change(change) => {
                let is_asked = self.is_beside(Kind::Change)
                    && is(&self.subscriber, &change.subscriber)
                    && self.query.provider.is_none();
                is_asked.then(|| (Found::Change(FoundChange::new(id, change)), true))
            }
            // The others tell what became of these.
            _ => None,
        }
    }

    /// Whether a reply is asked for by what it was taken for.
    pub(super) fn has_taken(&self, taken: &Taken<'_>) -> bool {
        let asks = self.query.sender.is_some() || self.query.rule.is_some();
        asks && self.is_kind(Kind::Reply)
            && self.query.verdict.is_none()
            && self.query.class.is_none()
            && self.query.sender.as_ref().is_none_or(|sender| taken.senders.iter().any(|taken| taken == sender))
            && is(&self.query.rule, &taken.rule)
            && is(&self.subscriber, &taken.subscriber)
            && is(&self.query.from, &taken.port)
            && self.is_port(&taken.port)
    }

    /// Whether a reply that is asked for by what it was taken for came by the provider asked for and says the words.
    pub(super) fn fits(&self, reply: &FoundDelivery) -> bool {
        let has = |fragment: &Fragment| reply.text.as_deref().is_some_and(|text| fragment.is_in(text));
        is(&self.query.provider, &reply.provider) && self.fragment.as_ref().is_none_or(has)
    }

    fn has_message(&self, sent: &Submission<'_>) -> bool {
        let query = &self.query;
        let port = || match &sent.port {
            Some((number, _)) => query.port.as_ref().is_none_or(|port| port == number),
            None => self.is_port(&sent.source.addr),
        };
        let rule = |rule: &String| sent.findings.iter().any(|finding| finding.rule == *rule);
        self.is_subscriber(sent.msisdn, &sent.destination.addr)
            && is(&query.from, &sent.source.addr)
            && is(&query.provider, &sent.origin.provider)
            && query.sender.as_ref().is_none_or(|sender| sent.sender.as_ref().is_some_and(|is| is == sender))
            && is(&query.verdict, &sent.verdict)
            && is(&query.class, &sent.class)
            && query.rule.as_ref().is_none_or(rule)
            && port()
            && self.has_text(&sent.content)
    }

    /// Whether a delivery may belong to a message that is asked for, or be asked for itself.
    fn is_near(&self, delivery: &Delivery<'_>) -> bool {
        self.is_subscriber(delivery.msisdn, &delivery.source.addr)
            && self.query.from.as_ref().is_none_or(|from| port_key(from) == port_key(&delivery.destination.addr))
            && is(&self.query.provider, &delivery.origin.provider)
            && self.is_port(&delivery.destination.addr)
    }

    fn has_delivery(&self, delivery: &Delivery<'_>) -> bool {
        let query = &self.query;
        let kind = if delivery.receipt.is_some() { Kind::Receipt } else { Kind::Reply };
        let of_messages = [&query.sender, &query.rule, &query.verdict, &query.class];
        self.is_kind(kind)
            && of_messages.iter().all(|asked| asked.is_none())
            && is(&query.from, &delivery.destination.addr)
            && self.has_text(&delivery.content)
    }

    fn is_subscriber(&self, msisdn: Option<u64>, raw: &str) -> bool {
        self.subscriber.as_ref().is_none_or(|subscriber| *subscriber == *subscriber_key(msisdn, raw))
    }

    /// Whether a number on the wire is the port asked for, or an extension of it.
    fn is_port(&self, number: &str) -> bool {
        self.query.port.as_ref().is_none_or(|port| port_key(number).starts_with(port_key(port)))
    }

    /// Whether what came back to a message may be shown by itself.
    pub(super) fn may_be_alone(&self, delivery: &Delivery<'_>) -> bool {
        self.is_kind(if delivery.receipt.is_some() { Kind::Receipt } else { Kind::Reply })
    }

    fn is_kind(&self, kind: Kind) -> bool {
        self.query.kind.is_none_or(|asked| asked == kind)
    }

    /// Whether this kind, which speaks of no message, is asked for.
    fn is_beside(&self, kind: Kind) -> bool {
        let query = &self.query;
        let asked = query.kind == Some(kind) || (query.kind.is_none() && query.sessions);
        let of_messages =
            [&query.from, &query.port, &query.sender, &query.rule, &query.verdict, &query.class, &query.text];
        // A change may be of a subscriber: a consent given by hand, a legal hold.
        let may_be_of_one = kind == Kind::Change || query.to.is_none();
        asked && may_be_of_one && of_messages.iter().all(|asked| asked.is_none())
    }

    fn has_text(&self, content: &Content<'_>) -> bool {
        let Some(fragment) = &self.fragment else { return true };
        match content {
            Content::Text(text) => fragment.is_in(text),
            Content::Opaque(..) => false,
        }
    }
}

impl Fragment {
    fn is_in(&self, text: &str) -> bool {
        text.contains(&self.raw) || fold(text).contains(&self.folded)
    }
}

/// A text without the forms of its letters, their widths among them, and their case.
fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.nfkc().collect::<String>().to_lowercase() }
}

fn is(asked: &Option<String>, there: &str) -> bool {
    asked.as_ref().is_none_or(|asked| asked == there)
}

/// A subscriber's number as records are found by it.
pub(super) fn canonical(number: &str) -> String {
    Msisdn::parse(number).map_or_else(|| number.to_owned(), |msisdn| msisdn.0.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_is_found_as_it_stands_and_whatever_the_width_and_case() {
        let is_in =
            |fragment: &str, text: &str| Fragment { raw: fragment.to_owned(), folded: fold(fragment) }.is_in(text);
        assert!(is_in("退订回T", "【青禾】周末特惠，退订回T"));
        assert!(is_in("退订回t", "【青禾】周末特惠，退订回Ｔ"));
        assert!(is_in("HALF price", "all bread Half Price"));
        assert!(is_in("ＶＩＰ", "dear vip"));
        assert!(is_in("①", "take ① of these"), "as it stands");
        assert!(is_in("1", "take ① of these"), "and as it reads");
        assert!(!is_in("T订", "【青禾】退订回T"));
    }
}
