//! Finding entries by key and time.
//!
//! Owns the walk over days; reads what is durable. Driven by the command line and the gate.

use std::collections::VecDeque;
use std::sync::Arc;

use super::days::Days;
use super::id::{Day, EntryId};
use super::{Index, Schema};
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
    fn matches(&self, schema: &dyn Schema, payload: &[u8]) -> bool {
        let at_ms = schema.at_ms(payload);
        if self.since_ms.is_some_and(|since| at_ms < since) || self.until_ms.is_some_and(|until| at_ms >= until) {
            return false;
        }
        let Some((wanted, value)) = &self.key else { return true };
        let mut found = false;
        schema.keys(payload, &mut |index, key| found |= index == *wanted && key == value);
        found
    }
}

/// The entries a [`Query`] finds, read as they are asked for.
pub struct Entries {
    days: Arc<Days>,
    query: Query,
    left: VecDeque<Day>,
    found: VecDeque<(EntryId, Vec<u8>)>,
    given: usize,
}

impl Entries {
    pub(super) fn new(days: Arc<Days>, query: Query) -> Result<Self, StoreError> {
        let first = query.since_ms.map(|at| days.span(at).day);
        let last = query.until_ms.map(|at| days.span(at).day);
        let mut left: VecDeque<Day> = days.list()?.into();
        left.retain(|day| first.is_none_or(|first| *day >= first) && last.is_none_or(|last| *day <= last));
        if query.newest_first {
            left.make_contiguous().reverse();
        }
        Ok(Self { days, query, left, found: VecDeque::new(), given: 0 })
    }

    fn read(&mut self, day: Day) -> Result<(), StoreError> {
        let Some(store) = self.days.reader(day)? else { return Ok(()) };
        let mut next = 0;
        loop {
            let page = store.from(next)?;
            let Some((last, _)) = page.last() else { break };
            next = last + 1;
            for (number, payload) in page {
                if self.query.matches(self.days.schema(), &payload) {
                    self.found.push_back((EntryId { day, number }, payload));
                }
            }
        }
        if self.query.newest_first {
            self.found.make_contiguous().reverse();
        }
        let (after, newest_first) = (self.query.after, self.query.newest_first);
        self.found.retain(|(id, _)| after.is_none_or(|after| if newest_first { *id < after } else { *id > after }));
        Ok(())
    }
}

impl Iterator for Entries {
    type Item = Result<(EntryId, Vec<u8>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.given < self.query.limit {
            if let Some(found) = self.found.pop_front() {
                self.given += 1;
                return Some(Ok(found));
            }
            let day = self.left.pop_front()?;
            if let Err(e) = self.read(day) {
                self.left.clear();
                return Some(Err(e));
            }
        }
        None
    }
}
