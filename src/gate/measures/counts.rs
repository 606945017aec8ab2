//! From one process to the next: what is in force, and what was counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Change, Measures, Standing, lock};
use crate::gate::record::{COMPLAINTS, Complaint, MEASURES, Measure, Record};
use crate::rules::r25_measures::{Kind, Reach, Step};
use crate::store::{EntryId, Index, Journal, Query, StoreError};

impl Measures {
    /// Reads the files, and the journal for what they do not have.
    pub(super) fn take_up(&self, journal: &Journal, now_ms: i64) -> Result<(), StoreError> {
        let found = self.files.standings();
        let mut kept = self.kept();
        if let Some(found) = found {
            kept.step = found.last;
            kept.standings.extend(found.rows.into_iter().map(|(kind, name, row)| ((kind, name.into()), row)));
        }
        for entry in journal.find(since(MEASURES, kept.step))? {
            let (id, payload) = entry?;
            match Record::decode(&payload) {
                Ok(Record::Measure(step)) => replay(&step, &mut kept.standings),
                Ok(_) => {}
                Err(error) => tracing::error!(record = %id, %error, "a measure's record cannot be read"),
            }
            kept.step = Some(id);
        }
        for ((kind, name), standing) in &kept.standings {
            self.subject(*kind, name).set(Some(standing.clone()));
        }
        drop(kept);
        self.take_up_counts(journal, now_ms)
    }

    fn take_up_counts(&self, journal: &Journal, now_ms: i64) -> Result<(), StoreError> {
        let found = self.files.counts();
        let last = found.as_ref().and_then(|found| found.last);
        for (kind, name, counted) in found.into_iter().flat_map(|found| found.rows) {
            self.subject(kind, &name).count_on(counted);
        }
        let window = i64::try_from(self.settings.complaints.window.as_millis()).unwrap_or(i64::MAX);
        let query = Query { since_ms: Some(now_ms.saturating_sub(window)), ..since(COMPLAINTS, last) };
        let mut counted = last;
        for entry in journal.find(query)? {
            let (id, payload) = entry?;
            match Record::decode(&payload) {
                Ok(Record::Complaint(complaint)) => self.count(&complaint),
                Ok(_) => {}
                Err(error) => tracing::error!(record = %id, %error, "a complaint cannot be read"),
            }
            counted = Some(id);
        }
        self.kept().complaint = counted;
        Ok(())
    }

    /// Counts a complaint whose record is on disk.
    pub(in crate::gate) fn complained(&self, id: EntryId, complaint: &Complaint<'_>, now_ms: i64) {
        self.count(complaint);
        {
            let mut kept = self.kept();
            kept.complaint = kept.complaint.max(Some(id));
        }
        self.keep_counts(now_ms);
    }

    fn count(&self, complaint: &Complaint<'_>) {
        if complaint.repeats.is_some() {
            return;
        }
        for (kind, name) in &complaint.against {
            if let Some(kind) = Kind::from_name(kind) {
                self.subject(kind, name).complain(complaint.at_ms);
            }
        }
    }

    /// Writes down what was counted, and forgets whoever has not been heard of for long.
    pub(super) fn keep_counts(&self, now_ms: i64) {
        let kept = self.kept();
        let mut counted = BTreeMap::new();
        lock(&self.subjects).retain(|name, subject| {
            let has_counts = subject.counted(now_ms).map(|counts| counted.insert(name.clone(), counts)).is_some();
            has_counts || Arc::strong_count(subject) > 1 || subject.standing().is_some()
        });
        if let Err(error) = self.files.keep_counts(kept.complaint, counted) {
            tracing::warn!(%error, "what was counted for measures cannot be kept");
        }
    }
}

fn since(key: &[u8], after: Option<EntryId>) -> Query {
    Query { key: Some((Index::Source, key.to_vec())), after, ..Query::default() }
}

fn replay(step: &Measure<'_>, standings: &mut BTreeMap<super::Name, Standing>) {
    let Some(kind) = Kind::from_name(&step.kind) else { return };
    let change = Change {
        kind,
        name: (&*step.name).into(),
        step: Step::from_name(&step.step),
        reach: if step.everything { Reach::Everything } else { Reach::Marketing },
        reason: step.reason.clone().into_owned(),
        by: if step.by == "operator" { "operator" } else { "gate" },
        until_ms: step.until_ms,
    };
    change.apply(standings, step.at_ms);
}
