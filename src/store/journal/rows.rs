//! Reading a day: from its rows, and from memory, to entries.
//!
//! Owns how blocks are put together again. Tells signalling that has expired from an entry that has
//! none. Driven by queries, by recovery and by whoever verifies or rewrites a day.

use super::Parts;
use super::block::Block;
use super::day::{DayStore, Tail};
use super::group::{Entry, Hashed, Key};
use super::layout::{BLOCK, BlockHeader, Link, SIGNALLING, VERSION_1, block_key, body_key, first_of};
use super::seals::top;
use crate::store::StoreError;

impl Parts {
    /// Whether it is this entry, as far as it is still there.
    pub(super) fn is(&self, entry: &Entry<'_>) -> bool {
        self.content == entry.content && self.signalling.as_ref().is_none_or(|there| there == entry.signalling)
    }
}

impl From<&Entry<'_>> for Parts {
    fn from(entry: &Entry<'_>) -> Self {
        Self { content: entry.content.to_vec(), signalling: Some(entry.signalling.to_vec()) }
    }
}

/// A row's key for people: its tag, and the rest in hexadecimal.
pub(super) fn name(key: &[u8]) -> String {
    let (tag, rest) = key.split_first().unwrap_or((&b'?', &[]));
    format!("{} {}", char::from(*tag), data_encoding::HEXLOWER.encode(rest))
}

/// A block as it lies in its rows.
#[derive(Debug)]
pub(super) struct Raw {
    /// The number of its first entry.
    pub(super) first: u64,
    pub(super) header: BlockHeader,
    /// None in layout 1.
    pub(super) link: Option<Link>,
    /// What follows header and link, of all rows.
    pub(super) contents: Vec<u8>,
}

impl DayStore {
    /// The entry of that number.
    pub(super) fn get(&self, number: u64) -> Result<Option<Parts>, StoreError> {
        let pending = |tail: &Tail| {
            let from = tail.pending.get(0)?.id.number;
            let entry = tail.pending.entries().find(|entry| entry.id.number == number);
            (number >= from).then(|| entry.map(|entry| Parts::from(&entry)))
        };
        if let Some(found) = pending(&self.tail()) {
            return Ok(found);
        }
        let Some(raw) = self.raw_of(number)? else { return Ok(None) };
        let Some(content) = self.opened(&raw)?.get(number).map(<[u8]>::to_vec) else { return Ok(None) };
        let signalling = self.signalling_in(self.signalling(&raw)?.as_ref(), number);
        Ok(Some(Parts { content, signalling }))
    }

    /// The block that entry would be in: the last one that does not begin after it.
    pub(super) fn raw_of(&self, number: u64) -> Result<Option<Raw>, StoreError> {
        let last = self.engine.last(&[BLOCK], &block_key(number, 1)).map_err(|e| self.failed(&e))?;
        last.map(|(key, value)| self.raw(&key, value)).transpose()
    }

    /// A block from whichever of its rows was found.
    pub(super) fn raw(&self, key: &[u8], value: Vec<u8>) -> Result<Raw, StoreError> {
        let first = first_of(key).ok_or_else(|| self.damaged("key of a block"))?;
        let damaged = |what: &str| self.damaged(format!("block at {first}: {what}"));
        let value = match key.last() {
            Some(0) => value,
            _ => self.engine.get(&block_key(first, 0)).map_err(|e| self.failed(&e))?.unwrap_or_default(),
        };
        let header = BlockHeader::read(&value).ok_or_else(|| damaged("no header"))?;
        let rest = &value[BlockHeader::BYTES..];
        let (link, rest) = match self.layout {
            VERSION_1 => (None, rest),
            _ => (Some(Link::read(rest).ok_or_else(|| damaged("no link"))?), &rest[Link::BYTES..]),
        };
        let mut contents = rest.to_vec();
        self.go_on(BLOCK, first, 1..header.chunks, &mut contents)?;
        Ok(Raw { first, header, link, contents })
    }

    /// Appends further rows of a block.
    pub(super) fn go_on(
        &self,
        tag: u8,
        first: u64,
        chunks: std::ops::Range<u8>,
        body: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        for chunk in chunks {
            let row = self.engine.get(&body_key(tag, first, chunk)).map_err(|e| self.failed(&e))?;
            let missing = || self.damaged(format!("block at {first}: row {} {chunk} is missing", char::from(tag)));
            body.extend(row.ok_or_else(missing)?);
        }
        Ok(())
    }

    /// The contents of a block.
    pub(super) fn opened(&self, raw: &Raw) -> Result<Block, StoreError> {
        let damaged = |what: String| self.damaged(format!("block at {}: {what}", raw.first));
        let dictionary = self.dictionaries.get(raw.header.dictionary).map_err(damaged)?;
        let size = (raw.header.count, raw.header.frames);
        let sealed = raw.contents.clone();
        let contents = match &self.seals {
            Some(seals) => seals.open_content(&block_key(raw.first, 0), &raw.header.write(), sealed),
            None => Ok(sealed),
        };
        let contents = contents.map_err(|what| damaged(what.to_owned()))?;
        Block::read(raw.first, size, &contents, dictionary.as_deref()).map_err(damaged)
    }

    /// The signalling of a block as it is on disk.
    pub(super) fn raw_signalling(&self, raw: &Raw) -> Result<Vec<u8>, StoreError> {
        let mut body = Vec::new();
        let chunks = raw.link.map_or(0, |link| link.chunks);
        self.go_on(SIGNALLING, raw.first, 0..chunks, &mut body)?;
        Ok(body)
    }

    /// The signalling of a block, empty where no entry has any; `None` where it has expired.
    pub(super) fn signalling(&self, raw: &Raw) -> Result<Option<Block>, StoreError> {
        let Some(link) = raw.link.filter(|link| link.chunks > 0) else { return Ok(Some(Block::default())) };
        if self.is_thinned() {
            return self.held_signalling(raw);
        }
        let Some(seals) = self.seals.as_ref().filter(|seals| seals.has_signalling()) else { return Ok(None) };
        let body = self.raw_signalling(raw)?;
        let damaged = |what: String| self.damaged(format!("signalling of the block at {}: {what}", raw.first));
        let body = seals.open_signalling(&body_key(SIGNALLING, raw.first, 0), body);
        let Some(body) = body.map_err(|what| damaged(what.to_owned()))? else { return Ok(None) };
        Block::read(raw.first, (raw.header.count, link.frames), &body, None).map(Some).map_err(damaged)
    }

    /// A key as this day's index has it.
    pub(super) fn hashed(&self, key: Key) -> Hashed {
        match &self.seals {
            Some(seals) => seals.hashed(key),
            None => top(key, key.digest),
        }
    }

    /// The value of a row that tells of contents.
    pub(super) fn open_row(&self, key: &[u8], value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let Some(seals) = &self.seals else { return Ok(value) };
        seals.open_content(key, &[], value).map_err(|what| self.damaged(format!("row {} {what}", name(key))))
    }

    /// Puts a row that tells of contents.
    pub(super) fn put_sealed(&self, key: &[u8], plain: &[u8]) -> Result<(), StoreError> {
        let sealed = self.seals.as_ref().map(|seals| seals.content(key, &[], plain));
        self.engine.put(key, sealed.as_deref().unwrap_or(plain)).map_err(|e| self.failed(&e))
    }
}
