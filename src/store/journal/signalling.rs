//! A day's signalling once its time is over: it goes, but for that of entries that are held.
//!
//! Owns the rows in which the held signalling lies from then on, sealed with a key of its own, so that the one of
//! all the others can be forgotten. Contents, their chain and their names stay as they are; the new rows are
//! covered by the day's head. Refuses a day that is being written. Driven by retention, and by whoever reads.

use super::block::{Block, Packer};
use super::day::DayStore;
use super::days::Days;
use super::group::Entry;
use super::layout::{BLOCK, HELD, HOT, SIGNALLING, VERSION_1, block_key, body_key};
use super::pace::Pace;
use super::rewrite::copy;
use super::rows::Raw;
use super::seals::{Held, held_key, signalling_prefix};
use super::{Day, EntryId, Parts};
use crate::store::StoreError;
use crate::store::engine::{TableWriter, VALUE_BYTES};
use crate::store::keys::OVERHEAD;

/// What is before a block's held signalling: how many rows it lies in, and its octets, decompressed.
const HEADER: usize = 5;

/// Says which entries are held.
pub(super) type Keep<'k> = dyn FnMut(EntryId, &Parts) -> bool + 'k;

impl Days {
    /// Rids a day of its signalling, but for that of the entries that `keep` wants. `false` where it is being
    /// written, or has none and no key for any. Cut short, it is done when it is asked for again.
    pub(super) fn drop_signalling(&self, day: Day, mut keep: Option<&mut Keep<'_>>) -> Result<bool, StoreError> {
        let _alone = self.alone();
        if !self.seal_alone(day)? {
            return self.forget_idle_signalling(day);
        }
        let Some(store) = self.reader(day)? else { return Ok(false) };
        let mut forget = self.signalling_keys(day)?;
        if forget.is_empty() && !store.has_signalling()? {
            return Ok(false);
        }
        let (seen, mut made, mut pace) = (store.reach(), None, Pace::of(self));
        self.build_table(day, &mut |table| {
            copy(&store, table, &[HOT, SIGNALLING, HELD], &mut pace)?;
            if let Some(keep) = keep.as_deref_mut() {
                made = self.push_held(&store, table, keep, &mut pace)?;
            }
            Ok(())
        })?;
        forget.retain(|name| Some(name) != made.as_ref());
        self.put_in_place(day, store, seen, &forget)
    }

    /// Seals the signalling of held entries anew; gives the name of the key, where there is any.
    fn push_held(
        &self,
        store: &DayStore,
        table: &mut TableWriter,
        keep: &mut Keep<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<Option<String>, StoreError> {
        let mut packer = Packer::new().ok_or(StoreError::Limit { what: "memory for compression", limit: 0 })?;
        let (seals, mut held) = (store.seals()?, None::<Held>);
        store.each_block(&mut |raw| {
            pace.take(raw.contents.len());
            if !store.pack_held(raw, keep, &mut packer)? {
                return Ok(());
            }
            let held = match &held {
                Some(held) => held,
                None => {
                    let begun = seals.next_held(&self.keys)?;
                    table.push(&[HELD], &seals.mark(&begun)).map_err(|e| store.failed(&e))?;
                    held.insert(begun)
                }
            };
            let (body, octets) = packer.pack(None).map_err(|what| store.damaged(what))?.signalling;
            let pushed = store.push_held_rows(held, raw.first, (body, octets), table);
            packer.clear();
            pushed
        })?;
        Ok(held.map(|held| held_key(store.day, held.generation)))
    }

    /// The names of all keys of a day's signalling.
    pub(super) fn signalling_keys(&self, day: Day) -> Result<Vec<String>, StoreError> {
        let mut names = self.keys.names()?;
        names.retain(|name| name.starts_with(&signalling_prefix(day)));
        Ok(names)
    }

    /// Forgets the signalling keys of a day that has no signalling of its own: it is not there, or is of layout 1.
    /// A beginning that came to nothing has left them, or a backup of another moment.
    fn forget_idle_signalling(&self, day: Day) -> Result<bool, StoreError> {
        if self.reader(day)?.is_some_and(|store| store.layout != VERSION_1) {
            return Ok(false);
        }
        let mut forgotten = false;
        for name in self.signalling_keys(day)? {
            forgotten |= self.keys.forget(&name)?;
        }
        Ok(forgotten)
    }
}

impl DayStore {
    /// Shows every block, in order.
    pub(super) fn each_block(&self, see: &mut dyn FnMut(&Raw) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut from = 0;
        while let Some((key, value)) =
            self.engine.first(&block_key(from, 0), &[BLOCK + 1]).map_err(|e| self.failed(&e))?
        {
            let raw = self.raw(&key, value)?;
            see(&raw)?;
            from = raw.first + u64::from(raw.header.count.max(1));
        }
        Ok(())
    }

    /// The signalling of one entry of a block; `None` where it has expired.
    pub(super) fn signalling_in(&self, block: Option<&Block>, number: u64) -> Option<Vec<u8>> {
        let block = block?;
        let there = block.get(number).unwrap_or_default();
        // Beside what is held, nothing is left of the others in the block.
        let is_left = block.len() == 0 || !there.is_empty() || !self.is_thinned();
        is_left.then(|| there.to_vec())
    }

    /// Whether only held signalling is left.
    pub(super) fn is_thinned(&self) -> bool {
        self.seals.as_ref().is_some_and(|seals| seals.held.is_some())
    }

    /// The held signalling of a block; `None` where none of it is held.
    pub(super) fn held_signalling(&self, raw: &Raw) -> Result<Option<Block>, StoreError> {
        let damaged = |what: &str| self.damaged(format!("held signalling of the block at {}: {what}", raw.first));
        let Some(held) = self.seals.as_ref().and_then(|seals| seals.held.as_ref()) else { return Ok(None) };
        let key = body_key(HELD, raw.first, 0);
        let Some(value) = self.engine.get(&key).map_err(|e| self.failed(&e))? else { return Ok(None) };
        let (header, body) = value.split_first_chunk::<HEADER>().ok_or_else(|| damaged("no header"))?;
        let [chunks, frames @ ..] = *header;
        let mut body = body.to_vec();
        self.go_on(HELD, raw.first, 1..chunks, &mut body)?;
        let Some(body) = held.open(&key, header, body).map_err(damaged)? else { return Ok(None) };
        let size = (raw.header.count, u32::from_be_bytes(frames));
        Block::read(raw.first, size, &body, None).map(Some).map_err(|what| damaged(&what))
    }

    fn has_signalling(&self) -> Result<bool, StoreError> {
        for tag in [SIGNALLING, HELD] {
            if self.engine.first(&[tag], &[tag + 1]).map_err(|e| self.failed(&e))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Packs what is held of a block's signalling; `false` where nothing is.
    fn pack_held(&self, raw: &Raw, keep: &mut Keep<'_>, packer: &mut Packer) -> Result<bool, StoreError> {
        let Some(signalling) = self.signalling(raw)?.filter(|block| block.len() > 0) else { return Ok(false) };
        let (contents, mut any) = (self.opened(raw)?, false);
        for number in raw.first..raw.first + contents.len() {
            let content = contents.get(number).unwrap_or_default().to_vec();
            let parts = Parts { content, signalling: self.signalling_in(Some(&signalling), number) };
            let id = EntryId { day: self.day, number };
            let there = parts.signalling.as_deref().unwrap_or_default();
            let held = if !there.is_empty() && keep(id, &parts) { there } else { &[] };
            any |= !held.is_empty();
            packer.push(&Entry { id, at_ms: 0, content: &[], signalling: held, keys: &[] });
        }
        if !any {
            packer.clear();
        }
        Ok(any)
    }

    fn push_held_rows(
        &self,
        held: &Held,
        first: u64,
        (body, octets): (&[u8], u32),
        table: &mut TableWriter,
    ) -> Result<(), StoreError> {
        let chunks = u8::try_from((HEADER + body.len() + OVERHEAD).div_ceil(VALUE_BYTES));
        let chunks =
            chunks.map_err(|_| self.damaged(format!("held signalling of the block at {first} is too long")))?;
        let mut header = [chunks, 0, 0, 0, 0];
        header[1..].copy_from_slice(&octets.to_be_bytes());
        let value = [&header[..], &held.seal(&body_key(HELD, first, 0), &header, body)].concat();
        for (row, chunk) in value.chunks(VALUE_BYTES).zip(0..=u8::MAX) {
            table.push(&body_key(HELD, first, chunk), row).map_err(|e| self.failed(&e))?;
        }
        Ok(())
    }
}
