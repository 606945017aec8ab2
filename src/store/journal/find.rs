//! Finding entries by key and time.
//!
//! Owns the question and the walk over days. Reads as it is asked for more, and holds no more than
//! one block and one day open for it. Driven by the command line and the gate.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::ToSpan;

use super::days::Days;
use super::scan::Cursor;
use super::{Day, EntryId, Index, Parts, Schema};
use crate::store::StoreError;

/// What to look for; the default finds everything.
#[derive(Clone, Debug)]
pub struct Query {
    /// Only entries with this key.
    pub key: Option<(Index, Vec<u8>)>,
    /// Only entries at or after this moment.
    pub since_ms: Option<i64>,
    /// Only entries before this moment.
    pub until_ms: Option<i64>,
    /// Only entries after this one in the order asked for: the last one of the page before.
    pub after: Option<EntryId>,
    /// From the newest to the oldest instead.
    pub newest_first: bool,
    /// At most this many.
    pub limit: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self { key: None, since_ms: None, until_ms: None, after: None, newest_first: false, limit: usize::MAX }
    }
}

impl Query {
    /// The span of time asked for, if any was.
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        let asked = self.since_ms.is_some() || self.until_ms.is_some();
        asked.then_some((self.since_ms.unwrap_or(i64::MIN), self.until_ms.unwrap_or(i64::MAX)))
    }

    /// Whether a day may have what is asked for. One more at either end: it may have been named in another zone.
    pub(super) fn may_be_in(&self, day: Day, days: &Days) -> bool {
        let first = self.since_ms.map(|at| days.span(at).day.0.saturating_sub(1.day()));
        let last = self.until_ms.map(|at| days.span(at).day.0.saturating_add(1.day()));
        first.is_none_or(|first| day.0 >= first) && last.is_none_or(|last| day.0 <= last)
    }

    pub(super) fn matches(&self, schema: &dyn Schema, payload: &[u8]) -> bool {
        if let Some((since, until)) = self.span()
            && !(since..until).contains(&schema.at_ms(payload))
        {
            return false;
        }
        let Some((wanted, value)) = &self.key else { return true };
        let mut found = false;
        schema.keys(payload, &mut |index, key| found |= index == *wanted && key == value);
        found
    }
}

/// The entries a [`Query`] finds, both parts of each, read as they are asked for.
pub struct WholeEntries {
    days: Arc<Days>,
    query: Arc<Query>,
    left: VecDeque<Day>,
    cursor: Option<(Day, Cursor)>,
    given: usize,
    signals: bool,
}

impl WholeEntries {
    pub(super) fn new(days: Arc<Days>, query: Query, signals: bool) -> Result<Self, StoreError> {
        let mut left: VecDeque<Day> = days.list()?.into();
        left.retain(|day| query.may_be_in(*day, &days));
        if let Some(after) = query.after {
            left.retain(|day| if query.newest_first { *day <= after.day } else { *day >= after.day });
        }
        if query.newest_first {
            left.make_contiguous().reverse();
        }
        Ok(Self { days, query: Arc::new(query), left, cursor: None, given: 0, signals })
    }

    fn advance(&mut self) -> Result<Option<(EntryId, Parts)>, StoreError> {
        loop {
            if let Some((day, cursor)) = &mut self.cursor
                && let Some((number, parts)) = cursor.next()?
            {
                return Ok(Some((EntryId { day: *day, number }, parts)));
            }
            self.cursor = None;
            let Some(day) = self.left.pop_front() else { return Ok(None) };
            let store = match self.days.reader(day) {
                // On its way to be deleted, and signed to be; else its key was lost.
                Err(StoreError::Expired { .. }) if self.days.has_expired(day)? => None,
                other => other?,
            };
            if let Some(store) = store {
                self.cursor = Some((day, Cursor::new(store, Arc::clone(&self.query), self.signals)?));
            }
        }
    }
}

impl Iterator for WholeEntries {
    type Item = Result<(EntryId, Parts), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.given >= self.query.limit {
            return None;
        }
        let next = self.advance().transpose()?;
        match next {
            Ok(_) => self.given += 1,
            // Nothing after an error: what follows could be mistaken for all there is.
            Err(_) => self.given = self.query.limit,
        }
        Some(next)
    }
}

impl std::fmt::Debug for WholeEntries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WholeEntries").field("query", &self.query).finish_non_exhaustive()
    }
}

/// The contents of the entries a [`Query`] finds, read as they are asked for.
#[derive(Debug)]
pub struct Entries(WholeEntries);

impl Entries {
    pub(super) fn new(days: Arc<Days>, query: Query) -> Result<Self, StoreError> {
        WholeEntries::new(days, query, false).map(Self)
    }
}

impl Iterator for Entries {
    type Item = Result<(EntryId, Vec<u8>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|found| found.map(|(id, parts)| (id, parts.content)))
    }
}
