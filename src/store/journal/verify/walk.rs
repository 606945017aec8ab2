//! Following one day's chain, block by block.
//!
//! Owns the check of every row of a day: that blocks are those that were chained, in their order, that
//! they open, that their signalling is theirs, that the index is the one that was signed. Driven by the
//! verifier.

use std::ops::ControlFlow;

use data_encoding::HEXLOWER;

use crate::store::StoreError;
use crate::store::journal::chain::{Tip, sum};
use crate::store::journal::day::DayStore;
use crate::store::journal::heads::Extent;
use crate::store::journal::layout::{BLOCK, DICTIONARY, HELD, SEAL, SIGNALLING, VERSION_KEY, block_key, first_of};
use crate::store::journal::rows::{Raw, name};
use crate::store::journal::{EntryId, Index};

/// Where a chain was when it was signed.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) by: String,
    pub(super) entries: u64,
    pub(super) blocks: u32,
    pub(super) chain: String,
}

/// Takes a fault: the first entry of the block it is in, and what it is.
type Tell<'t> = dyn FnMut(Option<EntryId>, String) -> ControlFlow<()> + 't;

type Step = Result<(), ControlFlow<()>>;

pub(super) struct Walk<'w> {
    store: &'w DayStore,
    /// Not passed yet.
    signed: Vec<Signed>,
    /// What there is to be, where that is known.
    end: Option<&'w Extent>,
    signalling_expired: bool,
    tip: Tip,
    /// How many blocks and entries were followed.
    found: (u64, u64),
    /// Rows that it is to have: of blocks, and of signalling.
    rows: [u64; 2],
}

impl<'w> Walk<'w> {
    pub(super) fn new(
        store: &'w DayStore,
        signed: Vec<Signed>,
        end: Option<&'w Extent>,
        signalling_expired: bool,
    ) -> Self {
        let tip = Tip::of(store.day, store.generation());
        Self { store, signed, end, signalling_expired, tip, found: (0, 0), rows: [0; 2] }
    }

    /// Says how many blocks and entries it followed; an error where it was to stop.
    pub(super) fn run(mut self, tell: &mut Tell<'_>) -> Result<(u64, u64), ControlFlow<()>> {
        self.signed.retain(|signed| signed.blocks > 0);
        let mut from = 0;
        loop {
            let row = self.store.engine.first(&block_key(from, 0), &[BLOCK + 1]);
            let (key, value) = match row {
                Ok(Some(row)) => row,
                Ok(None) => break,
                Err(e) => {
                    let what = format!("cannot be read from here on: {e}");
                    self.tell(tell, Some(from), what)?;
                    return Ok(self.found);
                }
            };
            let first = first_of(&key).unwrap_or(from);
            match self.store.raw(&key, value) {
                Ok(raw) => {
                    self.block(&raw, tell)?;
                    from = first + u64::from(raw.header.count.max(1));
                }
                Err(e) => {
                    self.tell(tell, Some(first), format!("the block cannot be read: {e}"))?;
                    from = first + 1;
                }
            }
        }
        self.end(tell)?;
        Ok(self.found)
    }

    fn tell(&self, tell: &mut Tell<'_>, entry: Option<u64>, what: String) -> Step {
        match tell(entry.map(|number| EntryId { day: self.store.day, number }), what) {
            ControlFlow::Continue(()) => Ok(()),
            stop @ ControlFlow::Break(()) => Err(stop),
        }
    }

    fn block(&mut self, raw: &Raw, tell: &mut Tell<'_>) -> Step {
        let Some(link) = raw.link else { return self.tell(tell, Some(raw.first), "the block has no link".to_owned()) };
        if link.ordinal > self.tip.blocks {
            let missing = link.ordinal - self.tip.blocks;
            self.tell(tell, Some(raw.first), format!("{missing} blocks before this one are missing"))?;
        } else if link.ordinal < self.tip.blocks
            || self.tip.value(raw.first, &raw.header, &link, &raw.contents) != link.chain
        {
            self.tell(tell, Some(raw.first), "the block was changed, or is not in its place".to_owned())?;
        }
        self.tip = Tip::after(&link);
        self.found = (self.found.0 + 1, self.found.1 + u64::from(raw.header.count));
        self.rows[0] += u64::from(raw.header.chunks);
        self.passed(raw, tell)?;
        self.signalling(raw, tell)?;
        self.contents(raw, tell)
    }

    /// Compares with what was signed when the chain was here.
    fn passed(&mut self, raw: &Raw, tell: &mut Tell<'_>) -> Step {
        let here = HEXLOWER.encode(&self.tip.chain);
        for signed in self.signed.extract_if(.., |signed| signed.blocks == self.tip.blocks).collect::<Vec<_>>() {
            if signed.chain != here || signed.entries != self.tip.entries {
                let what = format!("up to this block the day is not what {} was signed for", signed.by);
                self.tell(tell, Some(raw.first), what)?;
            }
        }
        Ok(())
    }

    fn signalling(&mut self, raw: &Raw, tell: &mut Tell<'_>) -> Step {
        let Some(link) = raw.link.filter(|link| link.chunks > 0) else { return Ok(()) };
        let has_key = self.store.seals.as_ref().is_some_and(|seals| seals.has_signalling());
        match self.store.raw_signalling(raw) {
            Ok(body) if sum(&body) == link.signalling => self.rows[1] += u64::from(link.chunks),
            Ok(_) => return self.tell(tell, Some(raw.first), "the block's signalling was changed".to_owned()),
            Err(_) if self.signalling_expired && !has_key => {
                let held = self.store.held_signalling(raw).err();
                return held.map_or(Ok(()), |e| self.tell(tell, Some(raw.first), e.to_string()));
            }
            Err(e) => return self.tell(tell, Some(raw.first), e.to_string()),
        }
        if !has_key && !self.signalling_expired {
            let what = "the key of the signalling is gone, and it was not signed to have expired";
            return self.tell(tell, Some(raw.first), what.to_owned());
        }
        match self.store.signalling(raw) {
            Ok(_) => Ok(()),
            Err(e) => self.tell(tell, Some(raw.first), e.to_string()),
        }
    }

    fn contents(&self, raw: &Raw, tell: &mut Tell<'_>) -> Step {
        match self.store.opened(raw) {
            Ok(_) => Ok(()),
            Err(e) => self.tell(tell, Some(raw.first), e.to_string()),
        }
    }

    /// What comes after the last block: what was signed and is not there, and rows that nothing needs.
    fn end(&mut self, tell: &mut Tell<'_>) -> Step {
        for signed in std::mem::take(&mut self.signed) {
            let what = match signed.blocks.checked_sub(self.tip.blocks) {
                Some(0) | None => format!("the day is not what {} was signed for", signed.by),
                Some(missing) => {
                    format!("{missing} blocks at the end are missing: {} has {} entries", signed.by, signed.entries)
                }
            };
            self.tell(tell, Some(self.last_number()), what)?;
        }
        if self.end.is_some_and(|end| end.blocks < self.tip.blocks) {
            self.tell(tell, Some(self.last_number()), "there are blocks that no head was signed for".to_owned())?;
        }
        if !self.store.is_table() {
            return Ok(());
        }
        if self.store.seals.as_ref().and_then(|seals| seals.held.as_ref()).is_some_and(|held| !held.has_key()) {
            self.tell(tell, None, "the key of the signalling that is held is gone".to_owned())?;
        }
        match self.count() {
            Ok(None) => Ok(()),
            Ok(Some(what)) => self.tell(tell, None, what),
            Err(e) => self.tell(tell, None, e.to_string()),
        }
    }

    fn last_number(&self) -> u64 {
        self.store.next_number()
    }

    /// A day that is over has the rows of its blocks, the index that was signed, and no others.
    fn count(&self) -> Result<Option<String>, StoreError> {
        let (mut rows, mut strange) = ([0; 2], None);
        let scanned = self.store.engine.scan(&[], &[u8::MAX; 9], &mut |key, _| {
            match key.first() {
                Some(&BLOCK) => rows[0] += 1,
                Some(&SIGNALLING) => rows[1] += 1,
                Some(&(SEAL | DICTIONARY)) => {}
                Some(&HELD) if self.store.is_thinned() => {}
                Some(tag) if Index::ALL.iter().any(|index| *index as u8 == *tag) => {}
                _ if key == VERSION_KEY => {}
                _ => strange = Some(format!("there is a row {} that no day has", name(key))),
            }
            true
        });
        scanned.map_err(|e| self.store.failed(&e))?;
        if strange.is_some() {
            return Ok(strange);
        }
        if rows != self.rows {
            let expected = self.rows;
            return Ok(Some(format!("there are {rows:?} rows of contents and signalling, and {expected:?} are to be")));
        }
        let index = self.store.extent()?.index;
        let changed = self.end.is_some_and(|end| end.index != index);
        Ok(changed.then(|| "the index was changed since it was signed".to_owned()))
    }
}
