//! Opening a day: from its rows back to what was in memory.
//!
//! Owns the reading of whatever an end at any moment left: entries in hot rows that a block has
//! already, segments without their seal. Driven by the day.

use std::path::Path;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use ring::digest::{Context, SHA256};

use super::heads::Extent;

use super::chain::Tip;
use super::day::{DayStore, Tail};
use super::group::{Entry, Key};
use super::hot::Opened;
use super::layout::{
    BLOCK, DICTIONARY, HELD, HOT, NUMBERS, SEAL, VERSION, VERSION_1, VERSION_KEY, block_key, bounds, first_of,
    number_at, place_of, seal_key, segment_of,
};
use super::seals::Seals;
use super::segment::Segment;
use super::{Day, EntryId, Index};
use crate::store::StoreError;
use crate::store::engine::{Engine, EngineError};
use crate::store::keys::Keys;

/// The layout of a day's database and what it is sealed with; one without a version row is begun with keys
/// of that generation, these first: where the row is, they are.
pub(super) fn begin(
    day: Day,
    path: &Path,
    engine: &dyn Engine,
    (keys, generation): (&Keys, u8),
) -> Result<(u8, Option<Seals>), StoreError> {
    let failed = |e: EngineError| StoreError::engine(path, &e);
    let version = engine.get(VERSION_KEY).map_err(failed)?;
    match version.as_deref() {
        None => {
            let seals = Seals::make(day, generation, keys)?;
            let head = [VERSION, generation];
            let value = [&head[..], &seals.content(VERSION_KEY, &head, &[])].concat();
            engine.put(VERSION_KEY, &value).map_err(failed)?;
            Ok((VERSION, Some(seals)))
        }
        Some([VERSION_1]) => Ok((VERSION_1, None)),
        Some([VERSION, generation, sealed @ ..]) => {
            let mut seals = Seals::get(day, *generation, keys, path)?;
            seals
                .open_content(VERSION_KEY, &[VERSION, *generation], sealed.to_vec())
                .map_err(|what| StoreError::Key { path: path.to_owned(), what: what.to_owned() })?;
            if let Some(mark) = engine.get(&[HELD]).map_err(failed)? {
                seals.take_held(&mark, keys, path)?;
            }
            Ok((VERSION, Some(seals)))
        }
        Some(other) => {
            let version = other.first();
            let what = format!("layout version {version:?}: this program reads {VERSION_1} and {VERSION}");
            Err(StoreError::damaged(path, what))
        }
    }
}

impl DayStore {
    /// Reads the end of what was written back into memory.
    pub(super) fn recover(&mut self) -> Result<(), StoreError> {
        let last = self.raw_of(NUMBERS - 1)?;
        let next = last.as_ref().map_or(0, |last| last.first + u64::from(last.header.count));
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
        pen.tip = last.and_then(|last| last.link).map_or(pen.tip, |link| Tip::after(&link));
        Ok(())
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
            let damaged = |what: &str| self.damaged(format!("hot row at {first} {what}"));
            let opened = Opened::read(first, &row, self.seals.as_ref()).map_err(damaged)?;
            let entries = opened.entries().ok_or_else(|| damaged("is cut short"))?;
            for ((content, signalling), number) in entries.into_iter().zip(first..) {
                if number >= tail.next {
                    keys.clear();
                    Key::read_all(&*self.schema, content, &mut keys);
                    let id = EntryId { day: self.day, number };
                    let at_ms = self.schema.at_ms(content);
                    tail.pending.push(Entry { id, at_ms, content, signalling, keys: &keys });
                    tail.next = number + 1;
                }
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
    pub(super) fn rebuild(&self, number: u32) -> Result<Segment, StoreError> {
        let mut segment = Segment::new(number);
        let mut keys = Vec::new();
        let mut from = number_at(number, 0);
        let until = block_key(from + number_at(1, 0), 0);
        while let Some((key, row)) = self.engine.first(&block_key(from, 0), &until).map_err(|e| self.failed(&e))? {
            let raw = self.raw(&key, row)?;
            let (first, block) = (raw.first, self.opened(&raw)?);
            for number in first..first + block.len() {
                let content = block.get(number).unwrap_or_default();
                keys.clear();
                Key::read_all(&*self.schema, content, &mut keys);
                segment.add(number, first, self.schema.at_ms(content), keys.iter().map(|key| self.hashed(*key)));
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

    /// What there is of it, for its head.
    pub(super) fn extent(&self) -> Result<Extent, StoreError> {
        let mut sealed = Vec::new();
        let mut sum = Context::new(&SHA256);
        for tag in Index::ALL.map(|index| index as u8).into_iter().chain([SEAL, DICTIONARY, HELD]) {
            let (from, until) = bounds(tag);
            let scanned = self.engine.scan(&from, &until, &mut |key, value| {
                sum.update(&[u8::try_from(key.len()).unwrap_or(u8::MAX)]);
                sum.update(key);
                sum.update(&(value.len() as u64).to_be_bytes());
                sum.update(value);
                if tag == SEAL {
                    sealed.push((key.to_vec(), value.to_vec()));
                }
                true
            });
            scanned.map_err(|e| self.failed(&e))?;
        }
        let (mut first, mut last) = (i64::MAX, i64::MIN);
        for (key, value) in sealed {
            let moments = self.open_row(&key, value)?;
            if let [from, to] = moments.as_chunks::<8>().0 {
                (first, last) = (first.min(i64::from_be_bytes(*from)), last.max(i64::from_be_bytes(*to)));
            }
        }
        let tip = self.tip();
        let moment = |ms| Timestamp::from_millisecond(ms).ok().filter(|_| first <= last);
        let (first, last) = (moment(first), moment(last));
        let (chain, index) = (HEXLOWER.encode(&tip.chain), HEXLOWER.encode(sum.finish().as_ref()));
        Ok(Extent { entries: tip.entries, blocks: tip.blocks, first, last, chain, index })
    }

    /// Whether a sealed segment has an entry in that span of time; one without a seal may have.
    pub(super) fn may_hold(&self, segment: u32, since_ms: i64, until_ms: i64) -> Result<bool, StoreError> {
        let seal = self.engine.get(&seal_key(segment)).map_err(|e| self.failed(&e))?;
        let seal = seal.map(|seal| self.open_row(&seal_key(segment), seal)).transpose()?;
        let moments = seal.as_deref().map(|seal| seal.as_chunks::<8>().0);
        Ok(match moments {
            Some([from, to]) => i64::from_be_bytes(*from) < until_ms && i64::from_be_bytes(*to) >= since_ms,
            _ => true,
        })
    }
}
