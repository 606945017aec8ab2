//! What became of a complaint: the steps that followed it, each a record of its own.
//!
//! Owns which step may follow which, and the reading of complaints with their steps. Refuses to reckon what is
//! due: `rules::terms` does, by the calendar of whoever asks. Driven by `portcullis complaint`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ComplaintError, FoundComplaint, time};
use crate::gate::evidence::EvidenceError;
use crate::gate::measures::{check_health, settle};
use crate::gate::record::{self, COMPLAINTS, CaseStep, Record, entry_id, name};
use crate::rules::terms::Channel;
use crate::store::{EntryId, Index, Journal, Query};

/// Longest note, in octets.
const NOTE_OCTETS: usize = 8 * 1024;

/// One step at a time: each is checked against those before it.
static STEPPING: Mutex<()> = Mutex::new(());

/// A step that follows the opening.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// The company acted on it and reported.
    Acted,
    /// The user was answered.
    Answered,
    /// It is done with.
    Closed,
    /// Something else to be remembered.
    Noted,
}

impl Step {
    const fn word(self) -> &'static str {
        match self {
            Self::Acted => "acted",
            Self::Answered => "answered",
            Self::Closed => "closed",
            Self::Noted => "noted",
        }
    }
}

/// A step, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stride {
    /// The complaint's name.
    pub of: String,
    /// Which step.
    pub step: Step,
    /// When it was done, UTC milliseconds; now, unless given.
    pub done_ms: Option<i64>,
    /// What was done.
    pub note: String,
    /// The legal hold that was lifted with it.
    pub hold: Option<String>,
}

/// A step, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundCaseStep {
    /// Its record.
    pub id: String,
    /// When it was done.
    pub done: Timestamp,
    /// When it was recorded.
    pub recorded: Timestamp,
    /// `opened`, `acted`, `answered`, `closed` or `noted`.
    pub step: String,
    /// Who says so.
    pub by: String,
    /// What was done.
    pub note: String,
}

/// Takes a step: its record is on disk when this returns.
pub fn step(journal: &Journal, stride: &Stride, who: &str, now: Timestamp) -> Result<FoundComplaint, ComplaintError> {
    check_health(journal)?;
    let _one_at_a_time = STEPPING.lock().unwrap_or_else(PoisonError::into_inner);
    let id: EntryId = stride.of.parse().map_err(|error| ComplaintError::Step(format!("{error}")))?;
    let mut complaint = one(journal, id)?;
    let done_ms = stride.done_ms.unwrap_or(now.as_millisecond());
    refuse(&complaint, stride, time(done_ms), now)?;
    let record = CaseStep {
        at_ms: now.as_millisecond(),
        subscriber: complaint.subscriber.clone().into(),
        port: complaint.port.clone().into(),
        of: name(id),
        step: stride.step.word().into(),
        done_ms,
        by: who.into(),
        note: stride.note.as_str().into(),
        channel: "".into(),
        reached_ms: None,
        hold: stride.hold.as_deref().map(Into::into),
    };
    let ticket = journal.append(Record::CaseStep(record.clone()).encode(Vec::new()))?;
    settle(journal, ticket)?;
    complaint.follow(ticket.id, &record);
    Ok(complaint)
}

/// What speaks against a step.
fn refuse(complaint: &FoundComplaint, stride: &Stride, done: Timestamp, now: Timestamp) -> Result<(), ComplaintError> {
    let (id, course) = (&complaint.id, &complaint.course);
    let refused = |why: String| Err(ComplaintError::Step(why));
    if stride.note.len() > NOTE_OCTETS {
        return refused(format!("a note has at most {NOTE_OCTETS} octets, this one {}", stride.note.len()));
    }
    if done > now || done < course.received {
        return refused(format!("{done} is before the complaint was made ({}) or in the future", course.received));
    }
    if let (Some(closed), true) = (course.closed, stride.step != Step::Noted) {
        return refused(format!("{id} was closed on {closed}"));
    }
    match (stride.step, course.acted, course.answered) {
        (Step::Acted, Some(acted), _) => refused(format!("{id} was acted on already, on {acted}")),
        (Step::Answered, _, Some(answered)) => refused(format!("{id} was answered already, on {answered}")),
        (Step::Answered, None, _) => refused(format!("{id} was not acted on yet: `portcullis complaint act {id}`")),
        _ => Ok(()),
    }
}

/// One complaint with its steps.
pub fn one(journal: &Journal, id: EntryId) -> Result<FoundComplaint, ComplaintError> {
    let payload = journal.get(id)?;
    let missing = || ComplaintError::Step(format!("no complaint {id}: `portcullis complaint list` shows their names"));
    let record = payload.as_deref().map(Record::decode).transpose().map_err(|e| EvidenceError::Record(id, e))?;
    let Some(Record::Complaint(complaint)) = record else { return Err(missing()) };
    let mut found = FoundComplaint::new(id, &complaint);
    let key = Some((Index::Destination, complaint.subscriber.as_bytes().to_vec()));
    for entry in journal.find(Query { key, since_ms: Some(complaint.at_ms), ..Query::default() })? {
        let (step, payload) = entry?;
        if let Ok(Record::CaseStep(record)) = Record::decode(&payload)
            && entry_id(record.of) == Some(id)
        {
            found.follow(step, &record);
        }
    }
    Ok(found)
}

/// Hands over every complaint since a moment with its steps, oldest first; `emit` answering false stops.
pub fn list(
    journal: &Journal,
    since_ms: Option<i64>,
    emit: &mut dyn FnMut(FoundComplaint) -> bool,
) -> Result<(), ComplaintError> {
    let key = Some((Index::Source, COMPLAINTS.to_vec()));
    let mut complaints: BTreeMap<EntryId, FoundComplaint> = BTreeMap::new();
    for entry in journal.find(Query { key, since_ms, ..Query::default() })? {
        let (id, payload) = entry?;
        match Record::decode(&payload).map_err(|error| EvidenceError::Record(id, error))? {
            Record::Complaint(complaint) => _ = complaints.insert(id, FoundComplaint::new(id, &complaint)),
            Record::CaseStep(step) => {
                if let Some(complaint) = entry_id(step.of).and_then(|of| complaints.get_mut(&of)) {
                    complaint.follow(id, &step);
                }
            }
            _ => {}
        }
    }
    complaints.into_values().all(emit);
    Ok(())
}

impl FoundComplaint {
    /// Takes in a step.
    pub(super) fn follow(&mut self, id: EntryId, record: &record::CaseStep<'_>) {
        let done = time(record.done_ms);
        let course = &mut self.course;
        match &*record.step {
            "opened" => {
                course.channel = Channel::from_name(&record.channel).unwrap_or_default();
                course.received = done;
                course.reached = record.reached_ms.map(time);
            }
            "acted" => course.acted = course.acted.or(Some(done)),
            "answered" => course.answered = course.answered.or(Some(done)),
            "closed" => course.closed = course.closed.or(Some(done)),
            _ => {}
        }
        if let Some(hold) = &record.hold {
            self.hold = (record.step == "opened").then(|| hold.to_string());
        }
        self.steps.push(FoundCaseStep {
            id: id.to_string(),
            done,
            recorded: time(record.at_ms),
            step: record.step.to_string(),
            by: record.by.to_string(),
            note: record.note.to_string(),
        });
    }
}
