//! Complaints of subscribers: recorded, found out what they speak of, counted (Art 29; R25).
//!
//! Owns the way from what a complainer says to the messages meant and to whom it counts against.
//! Refuses to count one message twice for one subscriber, and to decide on the complaint. Driven
//! by `portcullis complaint`; a complaint goes by the name of its record.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

mod course;

pub use course::{FoundCaseStep, Step, Stride, list, one, step};

use super::evidence::{self, EvidenceError, Found, FoundMessage};
use super::measures::{MeasureError, Measures, check_health, settle};
use super::record::{self, CaseStep, Name, Record, entry_id, name};
use crate::rules::r25_measures::{Fingerprint, Kind};
use crate::rules::terms::{Channel, Course};
use crate::store::{EntryId, Index, Journal, Query, StoreError};

/// What a complainer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plea {
    /// The subscriber.
    pub msisdn: u64,
    /// When the message came.
    pub about_ms: i64,
    /// How far that may be off, to either side.
    pub within_ms: i64,
    /// The port it came from, as the register has it.
    pub port: Option<String>,
    /// The sender it was for.
    pub sender: Option<String>,
    /// Words of it.
    pub text: Option<String>,
    /// The number of the case where it comes from.
    pub reference: String,
    /// How it came.
    #[serde(default)]
    pub channel: Channel,
    /// When it was made, UTC milliseconds; now, unless given.
    #[serde(default)]
    pub received_ms: Option<i64>,
    /// When it reached whoever acts on it, UTC milliseconds.
    #[serde(default)]
    pub reached_ms: Option<i64>,
    /// The legal hold that was set for it.
    #[serde(default)]
    pub hold: Option<String>,
}

/// A complaint, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundComplaint {
    /// Its name: that of its record.
    pub id: String,
    /// When it was recorded.
    pub at: Timestamp,
    /// The subscriber.
    pub subscriber: String,
    /// When the message came, by the complainer's word.
    pub about: Timestamp,
    /// The number of the case where it comes from.
    pub reference: String,
    /// The complainer's words.
    pub text: String,
    /// The records of the messages it speaks of.
    pub messages: Vec<String>,
    /// Whom it counts against: a kind and a name.
    pub against: Vec<(Kind, String)>,
    /// The complaint that spoke of the same message before; then this one counts against nobody again.
    pub repeats: Option<String>,
    /// The port of the message, or the one that the complaint names.
    #[serde(default)]
    pub port: String,
    /// What happened so far, as far as terms depend on it.
    #[serde(default)]
    pub course: Course,
    /// The legal hold in force for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// Every step so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<FoundCaseStep>,
}

/// How far the clocks of two processes may differ, in milliseconds.
const A_MOMENT_MS: i64 = 60_000;

/// How long before it is delivered a message may have come, in milliseconds: it may be scheduled for a month ahead.
const AHEAD_MS: i64 = 32 * 24 * 3_600_000;

/// Held while a complaint is taken.
static OPENING: Mutex<()> = Mutex::new(());

/// Why a complaint was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ComplaintError {
    /// The journal could not be searched.
    #[error("the messages to that number cannot be searched: {0}")]
    Evidence(#[from] EvidenceError),
    /// The journal could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be written.
    #[error("the complaint cannot be recorded: {0}")]
    Append(#[from] crate::store::journal::AppendError),
    /// It does not get to disk.
    #[error("the complaint is not taken: {0}")]
    Unsettled(#[from] MeasureError),
    /// What was asked for does not fit the complaint.
    #[error("{0}")]
    Step(String),
}

/// Takes a complaint: its record is on disk, and counted, when this returns.
pub fn open(
    journal: &Journal,
    measures: &Measures,
    plea: &Plea,
    who: &str,
    now: Timestamp,
) -> Result<FoundComplaint, ComplaintError> {
    check_health(journal)?;
    // Of two about the same message the second counts against nobody.
    let _one_by_one = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    let subscriber = plea.msisdn.to_string();
    let messages = meant(journal, plea)?;
    let names: Vec<Name> = messages.iter().filter_map(|message| message.id.parse().ok().map(name)).collect();
    let against = against(plea, &messages);
    let port = messages.first().map(|message| message.source.as_str()).or(plea.port.as_deref());
    let complaint = record::Complaint {
        at_ms: now.as_millisecond(),
        subscriber: subscriber.as_str().into(),
        port: port.unwrap_or_default().into(),
        about_ms: plea.about_ms,
        text: plea.text.as_deref().unwrap_or_default().into(),
        reference: plea.reference.as_str().into(),
        repeats: earlier(journal, &subscriber, &names)?.map(name),
        messages: names,
        against: against.iter().map(|(kind, name)| (kind.name().into(), name.as_str().into())).collect(),
    };
    // Whoever asks has another clock, if only by a moment.
    let received_ms = plea.received_ms.unwrap_or(now.as_millisecond().min(plea.reached_ms.unwrap_or(i64::MAX)));
    let is_to_come = |at_ms: i64| at_ms > now.as_millisecond().saturating_add(A_MOMENT_MS);
    if is_to_come(received_ms) || plea.reached_ms.is_some_and(|at_ms| at_ms < received_ms || is_to_come(at_ms)) {
        return Err(ComplaintError::Step(
            "a complaint is made before it reaches anybody, and not in the future".into(),
        ));
    }
    let ticket = journal.append(Record::Complaint(complaint.clone()).encode(Vec::new()))?;
    let opened = opened(plea, who, ticket.id, &complaint, received_ms);
    let opening = journal.append(Record::CaseStep(opened.clone()).encode(Vec::new()))?;
    settle(journal, opening)?;
    measures.complained(ticket.id, &complaint, now.as_millisecond());
    let mut found = FoundComplaint::new(ticket.id, &complaint);
    found.follow(opening.id, &opened);
    Ok(found)
}

/// The first step. Where it is missing, because only the complaint got to disk, its own time stands for it.
fn opened<'a>(
    plea: &'a Plea,
    who: &'a str,
    id: EntryId,
    complaint: &record::Complaint<'a>,
    received_ms: i64,
) -> CaseStep<'a> {
    CaseStep {
        at_ms: complaint.at_ms,
        subscriber: complaint.subscriber.clone(),
        port: complaint.port.clone(),
        of: name(id),
        step: "opened".into(),
        done_ms: received_ms,
        by: who.into(),
        note: "".into(),
        channel: plea.channel.name().into(),
        reached_ms: plea.reached_ms,
        hold: plea.hold.as_deref().map(Into::into),
    }
}

/// The messages a plea speaks of: those that reached the number around the time and match all that is
/// said of them. Where no words are quoted, only the last of them that had come by then.
fn meant(journal: &Journal, plea: &Plea) -> Result<Vec<FoundMessage>, EvidenceError> {
    let query = evidence::Query {
        to: Some(plea.msisdn.to_string()),
        since_ms: Some(plea.about_ms.saturating_sub(plea.within_ms).saturating_sub(AHEAD_MS)),
        until_ms: Some(plea.about_ms.saturating_add(plea.within_ms)),
        ..evidence::Query::default()
    };
    let mut messages = Vec::new();
    evidence::find(journal, &query, &mut |found| {
        if let Found::Message(message) = found
            && matches(plea, &message)
            && reached_about(plea, &message)
        {
            messages.push(*message);
        }
        true
    })?;
    if plea.text.is_none() && !messages.is_empty() {
        messages.sort_by_key(came);
        let by_then = |message: &FoundMessage| came(message).as_millisecond() <= plea.about_ms;
        let place = messages.iter().rposition(by_then).unwrap_or_default();
        messages = vec![messages.swap_remove(place)];
    }
    Ok(messages)
}

/// When a message was to reach its subscriber.
fn came(message: &FoundMessage) -> Timestamp {
    message.facts.deliver_at.unwrap_or(message.received).max(message.received)
}

/// Whether it came, was to come, or was reported to have come around the time.
fn reached_about(plea: &Plea, message: &FoundMessage) -> bool {
    let is_about = |at: Timestamp| (at.as_millisecond() - plea.about_ms).abs() <= plea.within_ms;
    is_about(came(message)) || is_about(message.received) || message.final_at.is_some_and(is_about)
}

fn matches(plea: &Plea, message: &FoundMessage) -> bool {
    let port = |port: &String| *port == message.source || message.port.as_ref() == Some(port);
    let quoted = |words: &String| message.text.as_deref().is_some_and(|text| quotes(text, words));
    message.verdict == "forward"
        && plea.port.as_ref().is_none_or(port)
        && plea.sender.as_ref().is_none_or(|sender| message.sender.as_ref() == Some(sender))
        && plea.text.as_ref().is_none_or(quoted)
}

/// Whether somebody quotes a text: some of its words as they are, or all of it more or less.
fn quotes(text: &str, words: &str) -> bool {
    let plain =
        |text: &str| text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect::<String>();
    let (text, words) = (plain(text), plain(words));
    text.contains(&words) || Fingerprint::of(&text).is_like(&Fingerprint::of(&words))
}

/// Whom it counts against: by the messages found, else by what the complainer says.
fn against(plea: &Plea, messages: &[FoundMessage]) -> Vec<(Kind, String)> {
    let mut against: Vec<(Kind, String)> = Vec::new();
    for message in messages {
        against.push((Kind::Provider, message.provider.clone()));
        against.extend(message.sender.clone().map(|sender| (Kind::Sender, sender)));
        against.extend(message.port.clone().map(|port| (Kind::Port, port)));
    }
    if messages.is_empty() {
        against.extend(plea.sender.clone().map(|sender| (Kind::Sender, sender)));
        against.extend(plea.port.clone().map(|port| (Kind::Port, port)));
    }
    against.sort();
    against.dedup();
    against
}

/// The complaint of the same subscriber that spoke of one of these messages before.
fn earlier(journal: &Journal, subscriber: &str, messages: &[Name]) -> Result<Option<EntryId>, ComplaintError> {
    if messages.is_empty() {
        return Ok(None);
    }
    let key = Some((Index::Destination, subscriber.as_bytes().to_vec()));
    for entry in journal.find(Query { key, ..Query::default() })? {
        let (id, payload) = entry?;
        if let Ok(Record::Complaint(complaint)) = Record::decode(&payload)
            && complaint.messages.iter().any(|message| messages.contains(message))
        {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

impl FoundComplaint {
    fn new(id: EntryId, complaint: &record::Complaint<'_>) -> Self {
        let shown = |message: Name| entry_id(message).map(|id| id.to_string());
        Self {
            id: id.to_string(),
            at: time(complaint.at_ms),
            subscriber: complaint.subscriber.to_string(),
            about: time(complaint.about_ms),
            reference: complaint.reference.to_string(),
            text: complaint.text.to_string(),
            messages: complaint.messages.iter().copied().filter_map(shown).collect(),
            against: complaint
                .against
                .iter()
                .filter_map(|(kind, name)| Some((Kind::from_name(kind)?, name.to_string())))
                .collect(),
            repeats: complaint.repeats.and_then(shown),
            port: complaint.port.to_string(),
            course: Course { received: time(complaint.at_ms), ..Course::default() },
            hold: None,
            steps: Vec::new(),
        }
    }
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whatever_blanks_and_case_and_a_whole_text_by_and_large() {
        let text = "[Bakery] Saturday: all bread half price. Call 400-000-0077. Reply TD to unsubscribe";
        assert!(quotes(text, "ALL BREAD  half price"));
        assert!(quotes(text, "[Bakery] saturday all bread half price. call 400-000-0077 reply TD to unsubscribe"));
        assert!(!quotes(text, "your code is 482913"));
    }
}
