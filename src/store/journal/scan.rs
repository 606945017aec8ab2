//! Finding entries within one day.
//!
//! Owns the way from a key to entries: index rows and memory give places, places give blocks, and
//! every entry is checked against the query before it is given. Driven by [`super::Entries`].

use std::collections::VecDeque;
use std::sync::Arc;

use super::block::Block;
use super::day::DayStore;
use super::find::Query;
use super::group::Key;
use super::layout::{NUMBERS, VERSION_1, block_key, index_segment, number_at, segment_of};
use super::rows::Raw;
use super::segment::{points_to_blocks, search_row};
use super::{Index, Parts};
use crate::store::StoreError;

/// Where the next block to look into comes from.
#[derive(Debug)]
enum Walk {
    /// Entries, or first entries of blocks, that the index points to, in the order asked for.
    Places(VecDeque<u64>),
    /// Every block with entries between.
    Blocks { from: u64, until: u64 },
}

/// A query's way through one day.
pub(super) struct Cursor {
    store: Arc<DayStore>,
    query: Arc<Query>,
    /// Only entries between are wanted.
    window: (u64, u64),
    walk: Walk,
    block: Block,
    /// Its signalling, where that is asked for.
    signalling: Option<Block>,
    signals: bool,
    /// Matching entries of the hot rows, given where their turn is: they come after all blocks.
    pending: VecDeque<(u64, Parts)>,
    found: VecDeque<(u64, Parts)>,
}

impl Cursor {
    /// With `signals`, what is found has its signalling with it.
    pub(super) fn new(store: Arc<DayStore>, query: Arc<Query>, signals: bool) -> Result<Self, StoreError> {
        let mut window = (0, NUMBERS);
        if let Some(after) = query.after.filter(|after| after.day == store.day) {
            window = if query.newest_first { (0, after.number) } else { (after.number.saturating_add(1), NUMBERS) };
        }
        let walk = Walk::Places(VecDeque::new());
        let (block, signalling, pending, found) = Default::default();
        let mut cursor = Self { store, query, window, walk, block, signalling, signals, pending, found };
        let bound = cursor.look_into_memory();
        cursor.window.1 = cursor.window.1.min(bound.max(cursor.window.0));
        if !cursor.is_indexed() {
            cursor.walk = cursor.all_blocks()?;
        } else {
            cursor.look_into_rows()?;
        }
        Ok(cursor)
    }

    fn key(&self) -> Option<Key> {
        self.query.key.as_ref().map(|(index, key)| Key::new(*index, key))
    }

    /// Whether this day has an index of the kind asked for.
    fn is_indexed(&self) -> bool {
        let old = [Index::Destination, Index::Source, Index::MessageId];
        let in_old = self.query.key.as_ref().is_some_and(|(index, _)| old.contains(index));
        self.query.key.is_some() && (self.store.layout != VERSION_1 || in_old)
    }

    /// Takes what memory has; entries from the number it returns on are no longer to be read from disk.
    fn look_into_memory(&mut self) -> u64 {
        let key = self.key();
        let tail = self.store.tail();
        let wanted = |number| (self.window.0..self.window.1).contains(&number);
        for entry in tail.pending.entries().filter(|entry| wanted(entry.id.number)) {
            if key.is_none_or(|key| entry.keys.contains(&key)) && self.query.matches(&*self.store.schema, entry.content)
            {
                self.pending.push_back((entry.id.number, Parts::from(&entry)));
            }
        }
        if self.query.newest_first {
            self.pending.make_contiguous().reverse();
        }
        tail.pending.get(0).map_or(tail.next, |first| first.id.number)
    }

    fn all_blocks(&self) -> Result<Walk, StoreError> {
        let (from, until) = self.window;
        let begins = match from {
            0 => 0,
            from => self.store.raw_of(from)?.map_or(from, |raw| raw.first),
        };
        Ok(Walk::Blocks { from: begins, until })
    }

    /// Collects the places the index gives: of open segments from memory, of the others from their rows.
    fn look_into_rows(&mut self) -> Result<(), StoreError> {
        let Some(key) = self.key().map(|key| self.store.hashed(key)) else { return Ok(()) };
        let (mut places, mut open): (Vec<u64>, Vec<u32>) = Default::default();
        for segment in &self.store.tail().segments {
            places.extend(segment.search(key));
            open.push(segment.number);
        }
        let high = key.hash.to_be_bytes()[0];
        let from = [key.index as u8, high];
        let until = high.checked_add(1).map_or(vec![key.index as u8 + 1], |high| vec![key.index as u8, high]);
        let mut rows = Vec::new();
        let scanned = self.store.engine.scan(&from, &until, &mut |row, value| {
            if let Some(segment) = index_segment(row).filter(|segment| !open.contains(segment)) {
                rows.push((segment, row.to_vec(), value.to_vec()));
            }
            true
        });
        scanned.map_err(|e| self.store.failed(&e))?;
        for (segment, row, value) in rows {
            places.extend(search_row(segment, &self.store.open_row(&row, value)?, key.hash));
        }
        places.sort_unstable();
        places.dedup();
        self.leave_out_of_time(&mut places)?;
        if !points_to_blocks(key.index) {
            places.retain(|number| (self.window.0..self.window.1).contains(number));
        }
        if self.query.newest_first {
            places.reverse();
        }
        self.walk = Walk::Places(places.into());
        Ok(())
    }

    fn leave_out_of_time(&self, places: &mut Vec<u64>) -> Result<(), StoreError> {
        let Some((since, until)) = self.query.span() else { return Ok(()) };
        let mut kept = Vec::new();
        for run in places.chunk_by(|a, b| segment_of(*a) == segment_of(*b)) {
            if self.store.may_hold(segment_of(run[0]), since, until)? {
                kept.extend_from_slice(run);
            }
        }
        *places = kept;
        Ok(())
    }

    /// The next entry that matches, with its number.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Parts)>, StoreError> {
        loop {
            if self.query.newest_first
                && let Some(found) = self.pending.pop_front()
            {
                return Ok(Some(found));
            }
            if let Some(found) = self.found.pop_front() {
                return Ok(Some(found));
            }
            let more = match &mut self.walk {
                Walk::Places(places) => match places.pop_front() {
                    Some(place) => self.look_at(place)?,
                    None => false,
                },
                Walk::Blocks { .. } => self.look_at_next_block()?,
            };
            if !more {
                return Ok(self.pending.pop_front());
            }
        }
    }

    /// Looks at the place the index gave: an entry, or a block.
    fn look_at(&mut self, place: u64) -> Result<bool, StoreError> {
        if !(self.block.first..self.block.first + self.block.len()).contains(&place) {
            match self.store.raw_of(place)? {
                Some(raw) => self.turn_to(&raw)?,
                None => return Ok(true),
            }
        }
        let whole = self.query.key.as_ref().is_some_and(|(index, _)| points_to_blocks(*index));
        if whole {
            self.take(0, NUMBERS)
        } else {
            self.take(place, place + 1)
        }
        Ok(true)
    }

    fn look_at_next_block(&mut self) -> Result<bool, StoreError> {
        let Walk::Blocks { from, until } = &mut self.walk else { return Ok(false) };
        let (low, high) = (block_key(*from, 0), block_key(*until, 0));
        let engine = &self.store.engine;
        let row = if self.query.newest_first { engine.last(&low, &high) } else { engine.first(&low, &high) };
        let Some((key, row)) = row.map_err(|e| self.store.failed(&e))? else { return Ok(false) };
        let raw = self.store.raw(&key, row)?;
        if self.query.newest_first {
            *until = raw.first;
        } else {
            *from = raw.first + 1;
        }
        if let Some((since, until)) = self.query.span()
            && (raw.header.from_ms >= until || raw.header.to_ms < since)
        {
            return self.skip_segment(raw.first, since, until);
        }
        self.turn_to(&raw)?;
        self.take(0, NUMBERS);
        Ok(true)
    }

    fn turn_to(&mut self, raw: &Raw) -> Result<(), StoreError> {
        self.signalling = if self.signals { self.store.signalling(raw)? } else { None };
        self.block = self.store.opened(raw)?;
        Ok(())
    }

    /// A block is out of the time wanted: so may its whole segment be.
    fn skip_segment(&mut self, first: u64, since: i64, until: i64) -> Result<bool, StoreError> {
        let segment = segment_of(first);
        if !self.store.may_hold(segment, since, until)?
            && let Walk::Blocks { from, until } = &mut self.walk
        {
            if self.query.newest_first {
                *until = number_at(segment, 0);
            } else {
                *from = number_at(segment, 0) + number_at(1, 0);
            }
        }
        Ok(true)
    }

    /// Takes the matching entries of the block at hand, between the two numbers.
    fn take(&mut self, from: u64, until: u64) {
        let from = from.max(self.window.0).max(self.block.first);
        let until = until.min(self.window.1).min(self.block.first + self.block.len());
        let mut take = |number| {
            if let Some(content) = self.block.get(number)
                && self.query.matches(&*self.store.schema, content)
            {
                let signalling = self.store.signalling_in(self.signalling.as_ref(), number);
                self.found.push_back((number, Parts { content: content.to_vec(), signalling }));
            }
        };
        if self.query.newest_first {
            (from..until).rev().for_each(&mut take);
        } else {
            (from..until).for_each(&mut take);
        }
    }
}
