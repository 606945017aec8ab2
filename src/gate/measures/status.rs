//! Measures as an operator sees them.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Measures, Name, Standing};
use crate::rules::r25_measures::{Counts, Kind, Reach, Step};

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
