//! A bucket: some sixty events, all that is held of their subscribers, read and written as one.
//!
//! Owns its rows, `C` bucket(4) part(1): how many parts there are, how many low bits all codes share with the
//! bucket's number, and the items without them. Nearly every bucket has one part. A long one has more, each
//! whole in itself, and nothing moves between them but by being in both for a moment: so a crash
//! between two rows loses nothing. Driven by the ledger.

use super::address::mask;
use super::item::{self, Item, Name, Outcome, Shared};
use crate::store::engine::{Engine, EngineError, Fault};
use crate::store::sealed::PLAIN_BYTES;

const BUCKET: u8 = b'C';

/// Octets of a row before its items.
const HEAD: usize = 2;

/// Most parts of a bucket.
const PARTS: usize = 200;

/// More than any item takes.
const ITEM_OCTETS: usize = 80;

/// Events of one name that a bucket keeps at a time; older ones go to the archive.
pub(super) const KEPT: usize = 256;

/// A row to be put.
pub(super) type NewRow = (Vec<u8>, Vec<u8>);

fn key(bucket: u32, part: u8) -> [u8; 6] {
    let [a, b, c, d] = bucket.to_be_bytes();
    [BUCKET, a, b, c, d, part]
}

#[derive(Debug, Default)]
struct Part {
    /// In their order.
    items: Vec<Item>,
    /// At least the octets of its row.
    octets: usize,
    changed: bool,
}

/// A bucket in memory.
#[derive(Debug)]
pub(super) struct Bucket {
    parts: Vec<Part>,
    /// Its parts on disk.
    on_disk: usize,
    /// Names with more events than it should keep.
    overfull: Vec<Name>,
}

/// Shows the items of each part of a bucket as they lie on disk; `see` answers `None` where one is not whole.
fn read_parts(
    bucket: u32,
    engine: &dyn Engine,
    see: &mut dyn FnMut(&[u8], Shared) -> Option<()>,
) -> Result<usize, EngineError> {
    let damaged = |part| EngineError { fault: Fault::Broken, what: format!("bucket {bucket} part {part}") };
    let (mut part, mut parts) = (0, 1);
    while part < parts {
        let mut count = None;
        if !engine.look(&key(bucket, part), &mut |row| count = read_part(bucket, row, see))? {
            // The first part says how many there are; without it there is no bucket.
            return if part == 0 { Ok(0) } else { Err(damaged(part)) };
        }
        let count = count.ok_or_else(|| damaged(part))?;
        if part == 0 {
            parts = count;
        }
        part += 1;
    }
    Ok(parts.into())
}

/// Shows the items of one part; says what it gives as the number of parts. `None` where it is not whole.
fn read_part(bucket: u32, row: &[u8], see: &mut dyn FnMut(&[u8], Shared) -> Option<()>) -> Option<u8> {
    let ([count, bits], items) = row.split_first_chunk::<HEAD>()?;
    let bits = u32::from(*bits);
    if bits > 32 {
        return None;
    }
    see(items, Shared { bits, low: u64::from(bucket) & mask(bits) })?;
    Some(*count)
}

/// Shows everything held of a subscriber.
pub(super) fn read_of(
    bucket: u32,
    code: u64,
    engine: &dyn Engine,
    see: &mut dyn FnMut(Item),
) -> Result<(), EngineError> {
    read_parts(bucket, engine, &mut |items, shared| item::find(items, shared, code, see)).map(drop)
}

impl Bucket {
    /// Reads a bucket whole.
    pub(super) fn load(bucket: u32, engine: &dyn Engine) -> Result<Self, EngineError> {
        let mut parts = Vec::with_capacity(1);
        let on_disk = read_parts(bucket, engine, &mut |octets, shared| {
            let items = item::take_all(octets, shared)?;
            parts.push(Part { items, octets: octets.len() + HEAD, changed: false });
            Some(())
        })?;
        Ok(Self { parts, on_disk, overfull: Vec::new() })
    }

    /// Everything in it.
    pub(super) fn into_items(self) -> impl Iterator<Item = Item> {
        self.parts.into_iter().flat_map(|part| part.items)
    }

    /// The same, to be looked at.
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.parts.iter().flat_map(|part| &part.items)
    }

    /// A new bucket of these items, in their order.
    pub(super) fn of(items: Vec<Item>) -> Self {
        // As many as a row takes, so that what has more is told apart.
        let octets = PLAIN_BYTES;
        let parts = vec![Part { items, octets, changed: true }];
        Self { parts, on_disk: 0, overfull: Vec::new() }
    }

    /// Takes in an event; `evidence` is asked for only if it is new. `None` where the bucket is full.
    pub(super) fn merge(&mut self, new: Item, evidence: impl FnOnce() -> u64) -> Option<Outcome> {
        let (mut same, mut last) = (0, None);
        for part in &self.parts {
            let named = item::named(&part.items, new.name());
            if named.binary_search_by_key(&new.key(), Item::key).is_ok() {
                return Some(Outcome::Unchanged);
            }
            same += named.len();
            last = last.max(named.last().map(Item::key));
        }
        let at = match self.parts.iter().position(|part| part.octets + ITEM_OCTETS < PLAIN_BYTES) {
            Some(at) => at,
            None if self.parts.len() < PARTS => {
                self.parts.push(Part::default());
                self.parts.len() - 1
            }
            None => return None,
        };
        let part = &mut self.parts[at];
        let place = part.items.partition_point(|item| item.key() < new.key());
        part.items.insert(place, Item { evidence: evidence(), ..new });
        part.changed = true;
        part.octets += ITEM_OCTETS;
        if same >= KEPT && !self.overfull.contains(&new.name()) {
            self.overfull.push(new.name());
        }
        Some(match last {
            None => Outcome::Added,
            Some(last) if last < new.key() => Outcome::Replaced,
            Some(_) => Outcome::Stale,
        })
    }

    /// The older half of the events of each name that has too many, in their order; they are taken out only by
    /// [`Bucket::take`], once they lie elsewhere.
    pub(super) fn surplus(&mut self) -> Vec<Vec<Item>> {
        let names = std::mem::take(&mut self.overfull);
        let older = |name| {
            let all = self.parts.iter().flat_map(|part| item::named(&part.items, name));
            let mut all: Vec<Item> = all.copied().collect();
            all.sort_by_key(Item::key);
            all.truncate(all.len().saturating_sub(KEPT / 2));
            all
        };
        names.into_iter().map(older).collect()
    }

    /// Takes out the items that belong elsewhere.
    pub(super) fn take(&mut self, mut elsewhere: impl FnMut(&Item) -> bool) -> Vec<Item> {
        let mut taken = Vec::new();
        for part in &mut self.parts {
            let before = taken.len();
            taken.extend(part.items.extract_if(.., |item| elsewhere(item)));
            part.changed |= taken.len() > before;
        }
        taken
    }

    /// The rows that changed, in the order in which they have to be put; all codes in them share that many bits
    /// with the bucket's number.
    pub(super) fn rows(mut self, bucket: u32, shared: u32) -> Vec<NewRow> {
        let mut at = 0;
        while at < self.parts.len() {
            let part = &mut self.parts[at];
            if part.changed
                && part.items.len() > 1
                && part.octets >= PLAIN_BYTES
                && HEAD + encode(&part.items, shared).len() > PLAIN_BYTES
            {
                let half = part.items.split_off(part.items.len() / 2);
                self.parts.push(Part { items: half, octets: PLAIN_BYTES, changed: true });
            } else {
                at += 1;
            }
        }
        let count = self.parts.len();
        let row = |at: usize, part: &Part| {
            let head = if at == 0 { u8::try_from(count).unwrap_or(u8::MAX) } else { 0 };
            let mut value = vec![head, u8::try_from(shared).unwrap_or(u8::MAX)];
            value.extend(encode(&part.items, shared));
            (key(bucket, u8::try_from(at).unwrap_or(u8::MAX)).to_vec(), value)
        };
        let grown = count > self.on_disk;
        let parts = || self.parts.iter().enumerate();
        let new = parts().skip(self.on_disk.max(1)).map(|(at, part)| row(at, part));
        let first = parts().take(1).filter(|(_, part)| part.changed || grown).map(|(at, part)| row(at, part));
        let old = parts().take(self.on_disk).skip(1).filter(|(_, part)| part.changed).map(|(at, part)| row(at, part));
        new.chain(first).chain(old).collect()
    }
}

fn encode(items: &[Item], shared: u32) -> Vec<u8> {
    let mut octets = Vec::with_capacity(items.len() * 16);
    let mut before = None;
    for item in items {
        item::push(&mut octets, item, before, shared);
        before = Some(item.code);
    }
    octets
}
