//! A search that reads entries in their order and joins what follows to what it keeps.
//!
//! Owns the reading of one run of entries. Holds no more than [`Joining`] does, and stops a while after the
//! span asked for: what comes later than that stands by itself. Driven by the search.

use std::collections::{BTreeSet, HashSet};

use super::conditions::Conditions;
use super::joining::{Joined, Joining};
use super::{EvidenceError, Finder, Query};
use crate::gate::record::{Kept, Record, port_key};
use crate::store::journal::Parts;
use crate::store::{EntryId, Index, Journal, Query as Entries, StoreError};

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
        let mut joining = Joining::new(self.query.message_id_form, finder.wants_entries());
        for (count, entry) in (1_u64..).zip(self.read(&entries)?) {
            let (id, parts) = entry?;
            let kept = Kept::decode(&parts.content, parts.signalling.as_deref())
                .map_err(|error| EvidenceError::Record(id, error))?;
            let record = &kept.record;
            if count.is_multiple_of(A_STRETCH) && !finder.walked(count, record.at_ms()) {
                return Ok(());
            }
            let is_named = wanted.is_some_and(|wanted| wanted.contains(&id));
            match joining.join(record, is_named, self.conditions) {
                Joined::To(place) => joining.note(place, id),
                Joined::Nothing => {}
                Joined::No => {
                    // A reply that came after the span may answer what was sent in it, or what was sent later.
                    let is_past = record.at_ms() >= until;
                    if is_past && !matches!(record, Record::Delivery(_) | Record::Submission(_) | Record::Long(_)) {
                        continue;
                    }
                    let Some((found, is_asked)) = self.conditions.show(id, &kept) else { continue };
                    let is_wanted = !is_past && if wanted.is_some() { is_named } else { is_asked };
                    // Its message is shown already, without it: it is shown by itself.
                    let is_late = wanted.is_none() && self.is_late(&joining, record);
                    let gone = joining.hold(id, found, record, (is_wanted || is_late, is_past && !is_late));
                    if !gone.is_none_or(|gone| finder.found(gone)) {
                        return Ok(());
                    }
                    if joining.is_full() && wanted.is_none() {
                        return Err(EvidenceError::TooMany);
                    }
                }
            }
            if !self.tell((id, &parts), joining.owed(), finder)? {
                return Ok(());
            }
        }
        joining.rest().all(|found| finder.found(found));
        Ok(())
    }

    fn is_late(&self, joining: &Joining, record: &Record<'_>) -> bool {
        matches!(record, Record::Delivery(delivery)
            if self.conditions.may_be_alone(delivery) && joining.is_of_gone(delivery))
    }

    /// Hands over entries that belong to what is wanted: the one at hand, or ones that were read before.
    fn tell(
        &self,
        (here, parts): (EntryId, &Parts),
        owed: Vec<EntryId>,
        finder: &mut dyn Finder,
    ) -> Result<bool, EvidenceError> {
        for id in owed {
            if id == here {
                if !finder.entry(id, parts) {
                    return Ok(false);
                }
            } else if let Some(before) = self.journal.get_parts(id)?
                && !finder.entry(id, &before)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The entries to look at, in their order: of a port, whichever way it is written.
    fn read(&self, entries: &Entries) -> Result<impl Iterator<Item = Entry> + use<>, EvidenceError> {
        let keys = match &entries.key {
            Some((Index::Source, port)) => {
                spellings(port).into_iter().map(|port| Some((Index::Source, port))).collect()
            }
            key => vec![key.clone()],
        };
        let mut all = Vec::new();
        for key in keys {
            all.push(self.journal.find_parts(Entries { key, ..entries.clone() })?.peekable());
        }
        Ok(std::iter::from_fn(move || {
            // An error is told at once: nothing of an unknown place may be passed over.
            let at = |entry: Option<&Entry>| entry.map(|entry| entry.as_ref().ok().map(|(id, _)| *id));
            let next = all.iter_mut().filter_map(|each| Some((at(each.peek())?, each))).min_by_key(|(id, _)| *id);
            next.and_then(|(_, each)| each.next())
        }))
    }
}

/// An entry, as far as it could be read.
type Entry = Result<(EntryId, Parts), StoreError>;

/// A port's number as the two sides may write it.
fn spellings(port: &[u8]) -> BTreeSet<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(port) else { return BTreeSet::from([port.to_vec()]) };
    let own = port_key(text);
    let written = ["86", "+86", "0086"].into_iter().filter(|_| own.starts_with('1')).map(|code| format!("{code}{own}"));
    written.chain([own.to_owned(), text.to_owned()]).map(String::into_bytes).collect()
}
