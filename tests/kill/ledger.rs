//! What the journal has of a round, held against what providers and carrier saw of it.
//!
//! Owns the promises, one function each. Refuses to know how the round went. Driven by the kill test.

use std::collections::{BTreeSet, HashMap};

use portcullis::admin::api::{Line, Request};
use portcullis::gate::evidence::{Found, FoundDelivery, FoundMessage, Query};

use crate::gate::Folder;
use crate::load::{Answer, Kind};
use crate::provider::OK;

/// A round's records.
pub(crate) struct Ledger {
    pub(crate) messages: HashMap<String, Vec<FoundMessage>>,
    pub(crate) deliveries: Vec<FoundDelivery>,
}

impl Ledger {
    /// Everything since a moment, of the gate that runs now.
    pub(crate) fn read(folder: &Folder, since_ms: i64) -> Self {
        let query = Query { since_ms: Some(since_ms), ..Query::default() };
        let lines = folder.ask(&Request::Find(query)).into_iter();
        Self::of(lines.filter_map(|line| if let Line::Found(found) = line { Some(found) } else { None }))
    }

    pub(crate) fn of(found: impl Iterator<Item = Found>) -> Self {
        let mut ledger = Self { messages: HashMap::new(), deliveries: Vec::new() };
        for found in found {
            match found {
                Found::Message(message) => {
                    ledger.messages.entry(message.destination.clone()).or_default().push(*message);
                }
                Found::Delivery(delivery) => ledger.deliveries.push(delivery),
                _ => {}
            }
        }
        ledger
    }

    fn to(&self, number: &str) -> &[FoundMessage] {
        self.messages.get(number).map_or(&[], Vec::as_slice)
    }

    /// Receipts and replies, joined to their message or not.
    pub(crate) fn delivered(&self) -> usize {
        let receipts: usize = self.messages.values().flatten().map(|message| message.receipts.len()).sum();
        receipts + self.deliveries.len()
    }

    /// Forwards that do not say what became of them, not even that it is unknown.
    pub(crate) fn untold(&self) -> Vec<&FoundMessage> {
        let told = |message: &FoundMessage| match message.parts.as_slice() {
            [] => message.outcome.is_some(),
            parts => parts.iter().all(|part| part.outcome.is_some() || part.reported.is_some()),
        };
        self.messages.values().flatten().filter(|message| message.verdict == "forward" && !told(message)).collect()
    }

    /// Forwards whose end nobody learnt.
    pub(crate) fn unknown(&self) -> usize {
        let outcomes = self.messages.values().flatten().flat_map(|message| {
            let parts = message.parts.iter().map(|part| &part.outcome);
            parts.chain(message.parts.is_empty().then_some(&message.outcome))
        });
        outcomes.flatten().filter(|outcome| outcome.outcome == "unknown").count()
    }

    /// What the carrier got and no record says was to go there.
    pub(crate) fn unrecorded<'n>(&self, at_carrier: &'n BTreeSet<String>) -> Vec<&'n str> {
        let goes_on = |number: &&String| self.to(number).iter().any(|message| message.verdict == "forward");
        at_carrier.iter().filter(|number| !goes_on(number)).map(String::as_str).collect()
    }

    /// Whether an answer has left no trace at all.
    pub(crate) fn is_lost(&self, folder: &Folder, answer: &Answer) -> bool {
        self.to(&answer.to).is_empty() && !is_acknowledged(folder, answer)
    }

    /// What is wrong with the records of an answer; nothing is as it should be.
    pub(crate) fn wrong(&self, folder: &Folder, answer: &Answer) -> Option<String> {
        let records = self.to(&answer.to);
        if records.is_empty() && is_acknowledged(folder, answer) {
            return None;
        }
        let [record] = records else { return Some(format!("{answer:?}: {} records", records.len())) };
        let is_right = match (answer.status == OK, record.parts.is_empty()) {
            (false, _) => record.status.starts_with(&format!("{:#010x}", answer.status.0)),
            (true, true) => record.verdict == "forward" && is_answered(record.outcome.as_ref(), answer),
            (true, false) => record.parts.iter().any(|part| {
                let is_it = answer.part == 0 || part.number == answer.part;
                is_it && (part.message_id == answer.message_id || is_answered(part.outcome.as_ref(), answer))
            }),
        };
        // Of a message that never became whole there is only a part.
        let is_text = record.text.as_deref() == Some(answer.kind.text()) || record.verdict == "incomplete";
        (!is_right || !is_text).then(|| format!("{answer:?}: {record:?}"))
    }
}

fn is_answered(outcome: Option<&portcullis::gate::evidence::FoundOutcome>, answer: &Answer) -> bool {
    outcome.is_some_and(|outcome| outcome.outcome == "answered" && outcome.message_id == answer.message_id)
}

/// Whether the gate answered in the carrier's place, and has the PDU still: its name is that of its record.
fn is_acknowledged(folder: &Folder, answer: &Answer) -> bool {
    let Some(id) = answer.message_id.as_ref().filter(|_| matches!(answer.kind, Kind::Long | Kind::Owl)) else {
        return false;
    };
    // The carrier's own names are no names of records.
    id.contains('-')
        && matches!(folder.ask(&Request::Entry(id.clone())).first(), Some(Line::Entries(entries)) if !entries.is_empty())
}
