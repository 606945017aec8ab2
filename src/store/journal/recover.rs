//! Opening a day: from its rows back to what was in memory.
//!
//! Owns the reading of whatever an end at any moment left: entries in hot rows that a block has
//! already, segments without their seal. Driven by the day.

use super::EntryId;
use super::day::{DayStore, Tail};
use super::group::{Entry, Key};
use super::layout::{
    BLOCK, BlockHeader, HOT, NUMBERS, VERSION, VERSION_KEY, block_key, bounds, first_of, number_at, place_of, seal_key,
    segment_of, take_frame,
};
use super::segment::Segment;
use crate::store::StoreError;

impl DayStore {
    /// Reads the end of what was written back into memory.
    pub(super) fn recover(&mut self) -> Result<(), StoreError> {
        self.check_version()?;
        let next = self.after_blocks()?;
        let segments = match next.checked_sub(1) {
            Some(last) => self.unsealed(last)?,
            None => Vec::new(),
        };
        let mut hot = Vec::new();
        let mut tail = Tail { next, segments: segments.into(), ..Tail::default() };
        self.read_hot(&mut tail, &mut hot)?;
        let (kept, pen) = self.exclusively();
        *kept = tail;
        pen.hot = hot;
        Ok(())
    }

    fn check_version(&self) -> Result<(), StoreError> {
        match self.engine.get(VERSION_KEY).map_err(|e| self.failed(&e))?.as_deref() {
            Some([VERSION]) => Ok(()),
            Some(other) => Err(self.damaged(format!("layout version {other:?}: this program reads {VERSION}"))),
            None => self.engine.put(VERSION_KEY, &[VERSION]).map_err(|e| self.failed(&e)),
        }
    }

    /// The number after the last entry that is in a block.
    fn after_blocks(&self) -> Result<u64, StoreError> {
        let Some(block) = self.block_of(NUMBERS - 1)? else { return Ok(0) };
        Ok(block.first + block.len())
    }

    /// Takes the entries of hot rows that no block has.
    fn read_hot(&self, tail: &mut Tail, hot: &mut Vec<u64>) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        let (from, until) = bounds(HOT);
        let scanned = self.engine.scan(&from, &until, &mut |key, value| {
            rows.push((first_of(key), value.to_vec()));
            true
        });
        scanned.map_err(|e| self.failed(&e))?;
        let mut keys = Vec::new();
        for (first, row) in rows {
            let first = first.ok_or_else(|| self.damaged("key of a hot row"))?;
            hot.push(first);
            let (mut number, mut frames) = (first, row.as_slice());
            while let Some(payload) = take_frame(&mut frames) {
                if number >= tail.next {
                    keys.clear();
                    Key::read_all(&*self.schema, payload, &mut keys);
                    let id = EntryId { day: self.day, number };
                    tail.pending.push(Entry { id, at_ms: self.schema.at_ms(payload), payload, keys: &keys });
                    tail.next = number + 1;
                }
                number += 1;
            }
            if !frames.is_empty() {
                return Err(self.damaged(format!("hot row at {first}")));
            }
        }
        Ok(())
    }

    /// The segments without a seal up to that of the last entry in a block, oldest first.
    fn unsealed(&self, last: u64) -> Result<Vec<Segment>, StoreError> {
        let mut segments = Vec::new();
        let mut number = Some(segment_of(last));
        while let Some(segment) = number {
            if self.engine.get(&seal_key(segment)).map_err(|e| self.failed(&e))?.is_some() {
                break;
            }
            segments.push(self.rebuild(segment)?);
            let from = block_key(number_at(segment, 0), 0);
            let before = self.engine.last(&[BLOCK], &from).map_err(|e| self.failed(&e))?;
            number = before.and_then(|(key, _)| first_of(&key)).map(segment_of);
        }
        segments.reverse();
        Ok(segments)
    }

    /// The index of a segment, from its blocks.
    fn rebuild(&self, number: u32) -> Result<Segment, StoreError> {
        let mut segment = Segment::new(number);
        let mut keys = Vec::new();
        let mut from = number_at(number, 0);
        let until = block_key(from + number_at(1, 0), 0);
        while let Some((key, row)) = self.engine.first(&block_key(from, 0), &until).map_err(|e| self.failed(&e))? {
            let first = first_of(&key).ok_or_else(|| self.damaged("key of a block"))?;
            let block = self.block(first, &row)?;
            for number in first..first + block.len() {
                let payload = block.get(number).unwrap_or_default();
                keys.clear();
                Key::read_all(&*self.schema, payload, &mut keys);
                segment.add(number, first, self.schema.at_ms(payload), &keys);
            }
            from = first + block.len().max(1);
        }
        Ok(segment)
    }

    /// Entries may come for a day that was sealed: its last segment, if it has room, is opened again.
    pub(super) fn before_writing(&self) -> Result<(), StoreError> {
        let next = self.next_number();
        if place_of(next) == 0 || !self.tail().segments.is_empty() {
            return Ok(());
        }
        let seal = seal_key(segment_of(next));
        if self.engine.get(&seal).map_err(|e| self.failed(&e))?.is_some() {
            self.engine.remove(&seal).map_err(|e| self.failed(&e))?;
            let segment = self.rebuild(segment_of(next))?;
            self.tail_mut().segments.push_back(segment);
        }
        Ok(())
    }

    /// Whether a sealed segment has an entry in that span of time; one without a seal may have.
    pub(super) fn may_hold(&self, segment: u32, since_ms: i64, until_ms: i64) -> Result<bool, StoreError> {
        let seal = self.engine.get(&seal_key(segment)).map_err(|e| self.failed(&e))?;
        let moments = seal.as_deref().map(|seal| seal.as_chunks::<8>().0);
        Ok(match moments {
            Some([from, to]) => i64::from_be_bytes(*from) < until_ms && i64::from_be_bytes(*to) >= since_ms,
            _ => true,
        })
    }

    /// Whether a block, by its first row, has an entry in that span of time.
    pub(super) fn block_may_hold(row: &[u8], since_ms: i64, until_ms: i64) -> bool {
        BlockHeader::read(row).is_none_or(|header| header.from_ms < until_ms && header.to_ms >= since_ms)
    }
}
