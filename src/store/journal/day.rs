//! One day of the journal: its database, and what of it is in memory.
//!
//! Owns the order of writing that keeps every crash readable. Refuses to write an entry twice.
//! Written by the journal's writer alone; read by queries at any time.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::block::{BLOCK_ENTRIES, BLOCK_FRAMES, Packer};
use super::chain::Tip;
use super::dictionaries::{Dictionaries, Samples};
use super::group::{Entry, Group};
use super::hot::HotRow;
use super::layout::{BLOCK, BlockHeader, Link, SIGNALLING, block_key, body_key, hot_key, seal_key, segment_of};
use super::recover::begin;
use super::seals::Seals;
use super::segment::Segment;
use super::swap::TABLE;
use super::{Day, EntryId, Schema};
use crate::store::StoreError;
use crate::store::engine::{Engine, EngineError, VALUE_BYTES};
use crate::store::keys::{Keys, OVERHEAD};

/// From this many entries on, a commit writes blocks; below, hot rows.
const BLOCK_MIN: usize = BLOCK_ENTRIES / 2;

/// Longest entry in a hot row; longer ones go into a block at once.
const HOT_FRAME: usize = VALUE_BYTES - 96;

/// Index rows written with one commit, so that a full segment delays none of them much.
const ROWS_A_COMMIT: usize = 16;

/// How far a day has come. Entries in hot rows move no chain, and have a number all the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reach {
    next: u64,
    tip: Tip,
}

/// What of a day is in memory, for readers.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The number after the last entry.
    pub(super) next: u64,
    /// Entries in hot rows.
    pub(super) pending: Group,
    /// Segments whose index is not sealed on disk, oldest first; entries go to the last one.
    pub(super) segments: VecDeque<Segment>,
}

/// The writer's tools.
pub(super) struct Pen {
    packer: Packer,
    /// The numbers of the hot rows on disk.
    pub(super) hot: Vec<u64>,
    pub(super) samples: Samples,
    row: HotRow,
    /// The chain up to the last block on disk.
    pub(super) tip: Tip,
}

/// An open day.
pub(super) struct DayStore {
    pub(super) day: Day,
    pub(super) path: PathBuf,
    table: bool,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) schema: Arc<dyn Schema>,
    pub(super) dictionaries: Dictionaries,
    /// The version of its layout.
    pub(super) layout: u8,
    /// None in layout 1.
    pub(super) seals: Option<Seals>,
    tail: RwLock<Tail>,
    pen: Mutex<Pen>,
    gone: AtomicBool,
}

impl std::fmt::Debug for DayStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DayStore").field("day", &self.day).finish_non_exhaustive()
    }
}

impl DayStore {
    pub(super) fn open(
        day: Day,
        path: PathBuf,
        engine: Arc<dyn Engine>,
        schema: Arc<dyn Schema>,
        (keys, generation): (&Keys, u8),
    ) -> Result<Self, StoreError> {
        let packer = Packer::new().ok_or(StoreError::Limit { what: "memory for compression", limit: 0 })?;
        let (layout, seals) = begin(day, &path, &*engine, (keys, generation))?;
        let dictionaries = Dictionaries::default();
        let samples = Samples::new(true);
        let pen = Pen {
            packer,
            hot: Vec::new(),
            samples,
            row: HotRow::default(),
            tip: Tip::of(day, seals.as_ref().map_or(0, |seals| seals.generation)),
        };
        let tail = RwLock::new(Tail::default());
        let (pen, gone) = (Mutex::new(pen), AtomicBool::new(false));
        let table = path.join(TABLE).exists();
        let mut store = Self { day, path, table, engine, schema, dictionaries, layout, seals, tail, pen, gone };
        store.load_dictionaries()?;
        store.recover()?;
        Ok(store)
    }

    /// The day was deleted: who still writes to it has to open it anew.
    pub(super) fn mark_gone(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    pub(super) fn next_number(&self) -> u64 {
        self.tail().next
    }

    /// How often what is held of it was sealed anew.
    pub(super) fn generation(&self) -> u8 {
        self.seals.as_ref().map_or(0, |seals| seals.generation)
    }

    /// Whether it is over, and read from a table.
    pub(super) fn is_table(&self) -> bool {
        self.table
    }

    /// The chain up to the last block on disk.
    pub(super) fn tip(&self) -> Tip {
        self.pen.lock().unwrap_or_else(PoisonError::into_inner).tip
    }

    /// Nothing is written to it for as long as this is held.
    pub(super) fn unwritten(&self) -> MutexGuard<'_, Pen> {
        self.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it has come.
    pub(super) fn reach(&self) -> Reach {
        let pen = self.pen.lock().unwrap_or_else(PoisonError::into_inner);
        Reach { next: self.next_number(), tip: pen.tip }
    }

    /// Numbers the first entry of an empty day.
    pub(super) fn begin_at(&self, number: u64) {
        self.tail_mut().next = number;
    }

    pub(super) fn tail(&self) -> RwLockReadGuard<'_, Tail> {
        self.tail.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tail_mut(&self) -> RwLockWriteGuard<'_, Tail> {
        self.tail.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory and hot rows, for recovery.
    pub(super) fn exclusively(&mut self) -> (&mut Tail, &mut Pen) {
        let tail = self.tail.get_mut().unwrap_or_else(PoisonError::into_inner);
        (tail, self.pen.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes entries; all of them are durable when this returns. After an error the day has to be opened anew.
    pub(super) fn write<'a>(&self, entries: impl Iterator<Item = Entry<'a>>) -> Result<(), StoreError> {
        let mut pen = self.pen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = self.next_number();
        let mut fresh = Vec::with_capacity(entries.size_hint().0);
        for entry in entries {
            let Some(entry) = self.placed(entry, next)? else { continue };
            next = entry.id.number + 1;
            pen.samples.offer(entry.content);
            fresh.push(entry);
        }
        self.before_writing()?;
        if self.belongs_in_blocks(&fresh) {
            self.write_blocks(&mut pen, &fresh)?;
        } else {
            self.write_hot(&mut pen, &fresh)?;
        }
        if let Some(dictionary) = pen.samples.train() {
            self.add(dictionary)?;
        }
        self.write_index(ROWS_A_COMMIT)?;
        self.engine.sync().map_err(|e| self.failed(&e))
    }

    /// Has everything in blocks, and so in the chain, whose end it gives.
    pub(super) fn chain_up(&self) -> Result<Tip, StoreError> {
        let mut pen = self.pen.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.tail().pending.is_empty() {
            self.before_writing()?;
            self.write_blocks(&mut pen, &[])?;
            self.engine.sync().map_err(|e| self.failed(&e))?;
        }
        Ok(pen.tip)
    }

    /// Finishes a day that nothing is written to any more: everything in blocks, every index sealed. Says how far
    /// it has come with that.
    pub(super) fn seal(&self) -> Result<Reach, StoreError> {
        let mut pen = self.pen.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_gone() || (self.tail().segments.is_empty() && self.tail().pending.is_empty()) {
            return Ok(Reach { next: self.next_number(), tip: pen.tip });
        }
        self.write_blocks(&mut pen, &[])?;
        self.write_index(usize::MAX)?;
        self.engine.sync().map_err(|e| self.failed(&e))?;
        Ok(Reach { next: self.next_number(), tip: pen.tip })
    }

    /// An entry as it is to be written: not again if it is there already, never over another one.
    fn placed<'a>(&self, entry: Entry<'a>, next: u64) -> Result<Option<Entry<'a>>, StoreError> {
        if entry.id.number >= next {
            return Ok(Some(entry));
        }
        if self.get(entry.id.number)?.is_some_and(|there| there.is(&entry)) {
            return Ok(None);
        }
        tracing::error!(id = %entry.id, number = next, "another entry has this name; kept under the next number");
        Ok(Some(Entry { id: EntryId { number: next, ..entry.id }, ..entry }))
    }

    fn belongs_in_blocks(&self, fresh: &[Entry<'_>]) -> bool {
        let tail = self.tail();
        let bytes: usize = fresh.iter().map(Entry::len).sum();
        tail.pending.len() + fresh.len() >= BLOCK_MIN
            || tail.pending.bytes() + bytes > BLOCK_FRAMES
            || fresh.iter().any(|entry| entry.len() > HOT_FRAME)
    }

    fn write_hot(&self, pen: &mut Pen, fresh: &[Entry<'_>]) -> Result<(), StoreError> {
        let mut left = fresh.iter().peekable();
        while let Some(first) = left.peek().map(|entry| entry.id.number) {
            let (mut after, mut row) = (first, std::mem::take(&mut pen.row));
            row.clear();
            while let Some(entry) =
                left.next_if(|entry| entry.id.number == after && row.len() + entry.len() <= HOT_FRAME)
            {
                row.push(entry);
                after += 1;
            }
            self.engine.put(&hot_key(first), &row.write(first, self.seals()?)).map_err(|e| self.failed(&e))?;
            pen.row = row;
            pen.hot.push(first);
        }
        let mut tail = self.tail_mut();
        for entry in fresh {
            tail.pending.push(*entry);
            tail.next = entry.id.number + 1;
        }
        Ok(())
    }

    /// Writes what is pending and `fresh` as blocks of about equal length, then removes the hot rows.
    fn write_blocks(&self, pen: &mut Pen, fresh: &[Entry<'_>]) -> Result<(), StoreError> {
        let tail = self.tail();
        let total = tail.pending.len() + fresh.len();
        let most = total.div_ceil(total.div_ceil(BLOCK_ENTRIES).max(1));
        let entries = tail.pending.entries().chain(fresh.iter().copied());
        let (mut block, mut after) = (0, 0);
        let mut blocks = Vec::with_capacity(total);
        for entry in entries {
            let number = entry.id.number;
            let apart = number != after || segment_of(number) != segment_of(block);
            if !pen.packer.is_empty() && (apart || pen.packer.is_full(&entry, most)) {
                self.put_block(pen, block)?;
            }
            if pen.packer.is_empty() {
                block = number;
            }
            pen.packer.push(&entry);
            blocks.push(block);
            after = number + 1;
        }
        if !pen.packer.is_empty() {
            self.put_block(pen, block)?;
        }
        drop(tail);
        self.index(fresh, &blocks);
        for first in pen.hot.drain(..) {
            self.engine.remove(&hot_key(first)).map_err(|e| self.failed(&e))?;
        }
        Ok(())
    }

    /// Puts a block, its first row last: where that is, the others are.
    fn put_block(&self, pen: &mut Pen, first: u64) -> Result<(), StoreError> {
        let dictionary = self.dictionaries.current();
        let packed = pen.packer.pack(dictionary.as_deref()).map_err(|what| self.damaged(what))?;
        let too_long = |_| self.damaged(format!("block at {first} is too long"));
        let seals = self.seals()?;
        let (contents, frames) = packed.contents;
        let head = BlockHeader::BYTES + Link::BYTES + OVERHEAD;
        let header = BlockHeader {
            dictionary: packed.dictionary,
            chunks: u8::try_from((head + contents.len()).div_ceil(VALUE_BYTES)).map_err(too_long)?,
            count: packed.count,
            frames,
            from_ms: packed.from_ms,
            to_ms: packed.to_ms,
        };
        let contents = seals.content(&block_key(first, 0), &header.write(), contents);
        let (signalling, frames) = match packed.signalling {
            ([], _) => (Vec::new(), 0),
            (signalling, frames) => (seals.signalling(&body_key(SIGNALLING, first, 0), signalling), frames),
        };
        let chunks = u8::try_from(signalling.len().div_ceil(VALUE_BYTES)).map_err(too_long)?;
        let link = pen.tip.link(first, &header, &contents, (&signalling, frames, chunks));
        let value = [&header.write()[..], &link.write(), &contents].concat();
        for (tag, value) in [(SIGNALLING, signalling), (BLOCK, value)] {
            for (row, chunk) in value.chunks(VALUE_BYTES).zip(0..=u8::MAX).rev() {
                self.engine.put(&body_key(tag, first, chunk), row).map_err(|e| self.failed(&e))?;
            }
        }
        pen.tip = Tip::after(&link);
        pen.packer.clear();
        Ok(())
    }

    /// Moves pending and fresh entries, now in the blocks that begin with `blocks`, into the index in memory.
    fn index(&self, fresh: &[Entry<'_>], blocks: &[u64]) {
        let mut tail = self.tail_mut();
        let mut pending = std::mem::take(&mut tail.pending);
        for (entry, block) in pending.entries().chain(fresh.iter().copied()).zip(blocks) {
            let number = segment_of(entry.id.number);
            if tail.segments.back().is_none_or(|segment| segment.number != number) {
                tail.segments.push_back(Segment::new(number));
            }
            if let Some(segment) = tail.segments.back_mut() {
                segment.add(entry.id.number, *block, entry.at_ms, entry.keys.iter().map(|key| self.hashed(*key)));
            }
            tail.next = entry.id.number + 1;
        }
        pending.clear();
        tail.pending = pending;
    }

    /// Writes up to so many index rows of segments that are full, or of all when there is no bound.
    fn write_index(&self, rows: usize) -> Result<(), StoreError> {
        let mut left = rows;
        loop {
            let mut tail = self.tail_mut();
            let full = tail.segments.len() > 1 || rows == usize::MAX;
            let Some(segment) = tail.segments.front_mut().filter(|_| full) else { return Ok(()) };
            let Some((key, value)) = segment.next_row() else {
                let moments = [segment.from_ms.to_be_bytes(), segment.to_ms.to_be_bytes()].concat();
                self.put_sealed(&seal_key(segment.number), &moments)?;
                tail.segments.pop_front();
                continue;
            };
            drop(tail);
            self.put_sealed(&key, &value)?;
            left -= 1;
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// What is written is sealed; days of layout 1 are not written to.
    pub(super) fn seals(&self) -> Result<&Seals, StoreError> {
        self.seals.as_ref().ok_or_else(|| self.damaged("is of layout 1, which is not written any more"))
    }

    pub(super) fn failed(&self, e: &EngineError) -> StoreError {
        StoreError::engine(&self.path, e)
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> StoreError {
        StoreError::damaged(&self.path, what)
    }
}
