//! What the journal and the consents know that gives a reply its meaning.

use std::borrow::Cow;
use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use crate::config::MessageIdForm;
use crate::gate::evidence::EvidenceError;
use crate::gate::message_id::{Key, spellings};
use crate::gate::record::{Content, Long, Outcome, PartOutcome, Record, entry_id, port_key};
use crate::gate::silence;
use crate::rules::reply;
use crate::store::{Consents, EntryId, Index, Journal, Query, StoreError};

/// Entries looked at for one reply, the newest first.
const LOOKED_AT: usize = 1000;

/// The last message that went from a port to a subscriber.
pub(super) struct LastMessage {
    pub(super) id: EntryId,
    pub(super) at: Timestamp,
    pub(super) text: String,
    pub(super) sender: Option<String>,
    /// Whether the carrier has answered it.
    pub(super) is_answered: bool,
}

/// Looks for the last message to a subscriber before a reply, no further back than `since`.
pub(super) fn last_message(
    journal: &Journal,
    (subscriber, port): (&str, &str),
    reply: EntryId,
    since: Timestamp,
) -> Result<Option<LastMessage>, EvidenceError> {
    last_of(journal, (Index::Destination, subscriber), port, reply, since)
}

/// Looks for the last message that went from a port to anybody.
pub(super) fn last_from(
    journal: &Journal,
    port: &str,
    before: EntryId,
    since: Timestamp,
) -> Result<Option<LastMessage>, EvidenceError> {
    last_of(journal, (Index::Source, port), port, before, since)
}

fn last_of(
    journal: &Journal,
    (index, key): (Index, &str),
    port: &str,
    reply: EntryId,
    since: Timestamp,
) -> Result<Option<LastMessage>, EvidenceError> {
    let query = Query {
        key: Some((index, key.as_bytes().to_vec())),
        since_ms: Some(since.as_millisecond()),
        after: Some(reply),
        newest_first: true,
        limit: LOOKED_AT,
        ..Query::default()
    };
    // Outcomes are newer than their messages, so that they come first.
    let (mut failed, mut answered) = (HashSet::new(), HashSet::new());
    for entry in journal.find(query)? {
        let (id, payload) = entry?;
        match Record::decode(&payload).map_err(|error| EvidenceError::Record(id, error))? {
            Record::Outcome(outcome) | Record::PartOutcome(PartOutcome { outcome, .. }) => {
                answered.extend(entry_id(outcome.of));
                if never_left(&outcome) {
                    failed.extend(entry_id(outcome.of));
                }
            }
            Record::Submission(sent) | Record::Long(Long { submission: sent, .. })
                if sent.verdict == "forward" && !failed.contains(&id) =>
            {
                if port_key(&sent.source.addr) != port_key(port) {
                    continue;
                }
                let text = match sent.content {
                    Content::Text(text) => text.into_owned(),
                    Content::Opaque(..) => String::new(),
                };
                let at = Timestamp::from_millisecond(sent.received_ms).unwrap_or_default();
                let sender = sent.sender.map(Cow::into_owned);
                return Ok(Some(LastMessage { id, at, text, sender, is_answered: answered.contains(&id) }));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Whether the subscriber has said yes (to this category) or no to the sender since. Silence says nothing: a
/// reply of within the window may be heard of after its end.
pub(super) fn has_answered(
    consents: &Consents,
    (msisdn, sender, category): (u64, &str, &str),
    since: Timestamp,
) -> Result<bool, StoreError> {
    let held = consents.show(msisdn)?;
    Ok(held.iter().any(|row| {
        let concerns = row.status == crate::store::consents::Status::Refusal || row.category == category;
        row.sender == sender && concerns && row.at_ms >= since.as_millisecond() && row.method != silence::METHOD
    }))
}

/// Whether a receipt known by its text alone speaks of a message that went to this subscriber.
pub(super) fn is_receipt_of_ours(
    journal: &Journal,
    (subscriber, port): (&str, &str),
    message_id: &str,
    form: MessageIdForm,
    since: Timestamp,
) -> Result<bool, EvidenceError> {
    let wanted = Key::of_receipt(message_id, form);
    for spelling in std::iter::once(message_id.to_owned()).chain(spellings(message_id)) {
        let key = Some((Index::MessageId, spelling.into_bytes()));
        let query = Query {
            key,
            since_ms: Some(since.as_millisecond()),
            newest_first: true,
            limit: LOOKED_AT,
            ..Query::default()
        };
        for entry in journal.find(query)? {
            let (id, payload) = entry?;
            let record = Record::decode(&payload).map_err(|error| EvidenceError::Record(id, error))?;
            let (Record::Outcome(outcome) | Record::PartOutcome(PartOutcome { outcome, .. })) = record else {
                continue;
            };
            let Some(answered) = &outcome.message_id else { continue };
            let is_same = Key::of_answer(answered, form).iter().any(|key| wanted.contains(key));
            if is_same && outcome.subscriber == subscriber && port_key(&outcome.port) == port_key(port) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

impl LastMessage {
    pub(super) fn as_told(&self, answered: bool) -> reply::Last<'_> {
        reply::Last { text: Cow::Borrowed(&self.text), at: self.at, answered }
    }
}

/// How far back a receipt's message is looked for.
pub(super) const RECEIPTED: SignedDuration = SignedDuration::from_hours(8 * 24);

/// Whether the carrier certainly does not have the message.
fn never_left(outcome: &Outcome<'_>) -> bool {
    match outcome.outcome.as_ref() {
        "answered" | "nacked" => outcome.status != 0,
        "not-forwarded" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Event;
    use crate::store::consents::{ConsentsOptions, Status, Towards};

    #[test]
    fn a_yes_heard_of_late_outweighs_the_silence() {
        let folder = tempfile::tempdir().unwrap();
        let consents = Consents::open(folder.path(), &ConsentsOptions::default()).unwrap();
        let event = |status, at_ms, method| Event {
            msisdn: 8_613_900_001_111,
            sender: "bakery",
            category: "marketing",
            status,
            at_ms,
            method,
            ..Event::default()
        };
        let answered = || {
            let asked = Timestamp::from_millisecond(1_000).unwrap();
            has_answered(&consents, (8_613_900_001_111, "bakery", "marketing"), asked).unwrap()
        };
        let refused = || {
            let towards = Towards { sender: "bakery", former: &[], provider: None };
            consents.standing(towards, 8_613_900_001_111, 3_000).unwrap().refused_at_ms
        };
        consents.apply(&[event(Status::Refusal, 1_000, silence::METHOD)]).unwrap();
        assert!(!answered() && refused().is_some());
        consents.apply(&[event(Status::Consent, 2_000, "mo-reply")]).unwrap();
        assert!(answered(), "once");
        assert_eq!(refused(), None);
        consents.apply(&[event(Status::Refusal, 2_500, "mo-reply")]).unwrap();
        assert!(answered() && refused().is_some());
    }
}
