//! Entries in memory, many to an allocation.
//!
//! Owns how entries and their hashed keys lie while they wait for the writer, or for their block.
//! Driven by the front and the day being written.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::{EntryId, Index, Schema};

/// A key of an entry, hashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key {
    pub(super) index: Index,
    /// Of the process's own, in memory alone: what is on disk is a hash of it under the day's key.
    pub(super) digest: u64,
}

impl Key {
    pub(super) fn new(index: Index, key: &[u8]) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write(key);
        Self { index, digest: hasher.finish() }
    }

    /// Reads all keys of an entry.
    pub(super) fn read_all(schema: &dyn Schema, content: &[u8], keys: &mut Vec<Self>) {
        schema.keys(content, &mut |index, key| keys.push(Self::new(index, key)));
    }
}

/// A key as a day's index has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hashed {
    pub(super) index: Index,
    pub(super) hash: u32,
}

/// One entry of a [`Group`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) id: EntryId,
    pub(super) at_ms: i64,
    pub(super) content: &'a [u8],
    pub(super) signalling: &'a [u8],
    pub(super) keys: &'a [Key],
}

impl Entry<'_> {
    /// Octets of both parts.
    pub(super) fn len(&self) -> usize {
        self.content.len() + self.signalling.len()
    }
}

/// What a [`Group`] knows of an entry; its octets and keys begin where the ones before it end.
#[derive(Clone, Copy, Debug)]
struct Meta {
    id: EntryId,
    at_ms: i64,
    content_end: usize,
    bytes_end: usize,
    keys_end: usize,
}

/// Entries in order.
#[derive(Debug, Default)]
pub(super) struct Group {
    metas: Vec<Meta>,
    bytes: Vec<u8>,
    keys: Vec<Key>,
}

impl Group {
    pub(super) fn len(&self) -> usize {
        self.metas.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.metas.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn push(&mut self, entry: Entry<'_>) {
        self.bytes.extend_from_slice(entry.content);
        let content_end = self.bytes.len();
        self.bytes.extend_from_slice(entry.signalling);
        self.keys.extend_from_slice(entry.keys);
        let (bytes_end, keys_end) = (self.bytes.len(), self.keys.len());
        self.metas.push(Meta { id: entry.id, at_ms: entry.at_ms, content_end, bytes_end, keys_end });
    }

    pub(super) fn get(&self, at: usize) -> Option<Entry<'_>> {
        let meta = self.metas.get(at)?;
        let before = at.checked_sub(1).and_then(|before| self.metas.get(before));
        let (bytes_from, keys_from) = before.map_or((0, 0), |before| (before.bytes_end, before.keys_end));
        Some(Entry {
            id: meta.id,
            at_ms: meta.at_ms,
            content: &self.bytes[bytes_from..meta.content_end],
            signalling: &self.bytes[meta.content_end..meta.bytes_end],
            keys: &self.keys[keys_from..meta.keys_end],
        })
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.metas.len()).filter_map(|at| self.get(at))
    }

    /// Empties it and keeps its memory, unless a burst made that large.
    pub(super) fn clear(&mut self) {
        const KEPT: usize = 4 << 20;
        self.metas.clear();
        self.bytes.clear();
        self.keys.clear();
        self.metas.shrink_to(KEPT / size_of::<Meta>());
        self.bytes.shrink_to(KEPT);
        self.keys.shrink_to(KEPT / size_of::<Key>());
    }
}
