//! Measures as an operator sees them.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Measures, Name, Standing};
use crate::gate::evidence::EvidenceError;
use crate::gate::record::{MEASURES, Record};
use crate::rules::r25_measures::{Counts, Kind, Reach, Step};
use crate::store::{Index, Journal, Query};

/// A measure in force, with what is counted of whom it is against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasureStatus {
    /// `provider`, `sender` or `port`.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// How far it goes.
    pub step: Step,
    /// What it touches.
    pub reach: Reach,
    /// Why it was taken.
    pub reason: String,
    /// `gate` or `operator`.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// When time alone ends it, unless its cause comes again; a suspension ends by hand.
    pub until: Option<Timestamp>,
    /// Marketing messages judged within the window, and refused.
    pub judged: u64,
    /// See `judged`.
    pub rejected: u64,
    /// Messages sent within the window of complaints, and complaints.
    pub sent: u64,
    /// See `sent`.
    pub complaints: u64,
}

/// A step that was taken once, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundStep {
    /// The record's name.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// `provider`, `sender` or `port`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `alert`, `slow`, `suspend` or `resume`.
    pub step: String,
    /// Whether it touched service and public messages too.
    pub everything: bool,
    /// Why.
    pub reason: String,
    /// `gate` or `operator`.
    pub by: String,
}

/// How often each step was taken since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTotals {
    /// Alerts.
    pub alerts: u64,
    /// Slow-downs.
    pub slowed: u64,
    /// Suspensions.
    pub suspended: u64,
    /// Ends of any of them, by hand or by time.
    pub resumed: u64,
}

impl Measures {
    /// Every measure in force.
    pub fn list(&self, now_ms: i64) -> Vec<MeasureStatus> {
        let names: Vec<_> = self.kept().standings.keys().cloned().collect();
        let status = |(kind, name): Name| {
            let subject = self.subject(kind, &name);
            let Standing { step, reach, reason, by, since_ms, until_ms } = subject.standing()?;
            let Counts { judged, rejected, sent, complaints, .. } = subject.counts(&self.settings, now_ms);
            let name = name.to_string();
            let since = Timestamp::from_millisecond(since_ms).unwrap_or_default();
            let until = until_ms.and_then(|until| Timestamp::from_millisecond(until).ok());
            Some(MeasureStatus {
                kind,
                name,
                step,
                reach,
                reason,
                by,
                since,
                until,
                judged,
                rejected,
                sent,
                complaints,
            })
        };
        names.into_iter().filter_map(status).collect()
    }

    /// The steps taken since the start.
    pub fn totals(&self) -> StepTotals {
        let [alerts, slowed, suspended, resumed] = [0, 1, 2, 3].map(|place| self.taken[place].load(Ordering::Relaxed));
        StepTotals { alerts, slowed, suspended, resumed }
    }
}

/// Hands over every step since a moment, oldest first; `emit` answering false stops.
pub fn history(
    journal: &Journal,
    since_ms: Option<i64>,
    emit: &mut dyn FnMut(FoundStep) -> bool,
) -> Result<(), EvidenceError> {
    let key = Some((Index::Source, MEASURES.to_vec()));
    for entry in journal.find(Query { key, since_ms, ..Query::default() })? {
        let (id, payload) = entry?;
        let record = Record::decode(&payload).map_err(|error| EvidenceError::Record(id, error))?;
        let Record::Measure(step) = record else { continue };
        let found = FoundStep {
            id: id.to_string(),
            at: Timestamp::from_millisecond(step.at_ms).unwrap_or_default(),
            kind: step.kind.into_owned(),
            name: step.name.into_owned(),
            step: step.step.into_owned(),
            everything: step.everything,
            reason: step.reason.into_owned(),
            by: step.by.into_owned(),
        };
        if !emit(found) {
            break;
        }
    }
    Ok(())
}
