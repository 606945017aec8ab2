//! A search that reads entries in their order and joins what follows to what it keeps.
//!
//! Owns the reading of one run of entries. Holds no more than [`Joining`] does, and stops a while after the
//! span asked for: what comes later than that stands by itself. Driven by the search.

use std::collections::HashSet;

use super::conditions::Conditions;
use super::joining::{Joined, Joining};
use super::{EvidenceError, Finder, Query};
use crate::gate::record::{Kept, Record};
use crate::store::{EntryId, Journal, Query as Entries};

/// Entries read between two words about how far it is.
pub(super) const A_STRETCH: u64 = 16_384;

/// How long after the end of the span what became of its messages is waited for, where no index leads there.
const AFTERWARDS_MS: i64 = 7 * 24 * 3_600_000;

/// One search on one journal.
pub(super) struct Walk<'w> {
    journal: &'w Journal,
    query: &'w Query,
    conditions: &'w Conditions,
}

impl<'w> Walk<'w> {
    pub(super) fn new(journal: &'w Journal, query: &'w Query, conditions: &'w Conditions) -> Self {
        Self { journal, query, conditions }
    }

    /// Reads entries in order, keeps what matches, and joins later ones to what is kept. With `wanted`, only
    /// these are handed over, and the messages that these receipts speak of.
    pub(super) fn run(
        &self,
        mut entries: Entries,
        wanted: Option<&HashSet<EntryId>>,
        finder: &mut dyn Finder,
    ) -> Result<(), EvidenceError> {
        let until = self.query.until_ms.unwrap_or(i64::MAX);
        let is_narrow = wanted.is_some() || self.query.to.is_some();
        if !is_narrow && entries.until_ms.is_none() && self.query.until_ms.is_some() {
            entries.until_ms = Some(until.saturating_add(AFTERWARDS_MS));
        }
        let mut joining = Joining::new(self.query.message_id_form);
        for (count, entry) in (1_u64..).zip(self.journal.find_parts(entries)?) {
            let (id, parts) = entry?;
            let kept = Kept::decode(&parts.content, parts.signalling.as_deref())
                .map_err(|error| EvidenceError::Record(id, error))?;
            let record = &kept.record;
            if count.is_multiple_of(A_STRETCH) && !finder.walked(count, record.at_ms()) {
                return Ok(());
            }
            let is_named = wanted.is_some_and(|wanted| wanted.contains(&id));
            let belongs = match joining.join(record, is_named, self.conditions) {
                Joined::To(is_wanted) => is_wanted,
                Joined::Nothing => false,
                Joined::No => {
                    // A reply that came after the span may answer what was sent in it, or what was sent later.
                    let is_past = record.at_ms() >= until;
                    if is_past && !matches!(record, Record::Delivery(_) | Record::Submission(_) | Record::Long(_)) {
                        continue;
                    }
                    let Some((found, is_asked)) = self.conditions.show(id, &kept) else { continue };
                    let is_wanted = !is_past && if wanted.is_some() { is_named } else { is_asked };
                    let (gone, belongs) = joining.hold(id, found, record, is_wanted);
                    if !gone.is_none_or(|gone| finder.found(gone)) {
                        return Ok(());
                    }
                    belongs
                }
            };
            if belongs && !finder.entry(id, &parts) {
                return Ok(());
            }
        }
        joining.rest().all(|found| finder.found(found));
        Ok(())
    }
}
