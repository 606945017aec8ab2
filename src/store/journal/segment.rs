//! The index of one segment of entries: where in it a hashed key occurs.
//!
//! Owns the index while the segment is open (in memory), its rows once the segment is full, and the
//! search in both. Hashes only point: whoever follows one checks the entry. Driven by the day.

use super::Index;
use super::group::Hashed;
use super::layout::{index_key, number_at, place_of};
use crate::store::engine::VALUE_BYTES;
use crate::store::keys::OVERHEAD;

/// Octets of one (hash, place) in a row: the hash's first octet is in the row's key.
const ITEM: usize = 5;

/// Most items of a row.
const ROW_ITEMS: usize = (VALUE_BYTES - OVERHEAD) / ITEM;

/// The index of a segment in memory.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u32,
    /// The earliest moment of its entries.
    pub(super) from_ms: i64,
    /// The latest.
    pub(super) to_ms: i64,
    /// For each index, (hash, place) with the hash in front.
    items: [Vec<u64>; Index::ALL.len()],
    /// What [`Segment::next_row`] has given: how many indexes, and items of the one after them.
    written: (usize, usize),
}

fn slot(index: Index) -> usize {
    Index::ALL.iter().position(|one| *one == index).unwrap_or_default()
}

/// Whether an index points to the block an entry is in, not to the entry: of sources and what else is
/// few, a block holds many entries each.
pub(super) fn points_to_blocks(index: Index) -> bool {
    !matches!(index, Index::Destination | Index::MessageId)
}

fn hash_of(item: u64) -> u32 {
    let [_, _, a, b, c, d, ..] = item.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

impl Segment {
    pub(super) fn new(number: u32) -> Self {
        Self { number, from_ms: i64::MAX, to_ms: i64::MIN, items: Default::default(), written: (0, 0) }
    }

    /// Takes in an entry of the block that begins with entry `block`.
    pub(super) fn add(&mut self, number: u64, block: u64, at_ms: i64, keys: impl Iterator<Item = Hashed>) {
        self.from_ms = self.from_ms.min(at_ms);
        self.to_ms = self.to_ms.max(at_ms);
        for key in keys {
            let place = if points_to_blocks(key.index) { place_of(block) } else { place_of(number) };
            let item = (u64::from(key.hash) << 16) | u64::from(place);
            let items = &mut self.items[slot(key.index)];
            if !points_to_blocks(key.index) || !Self::has_in_block(items, item) {
                items.push(item);
            }
        }
    }

    /// Whether a block's own items, the last ones, include this one.
    fn has_in_block(items: &[u64], item: u64) -> bool {
        items.iter().rev().take_while(|last| (**last ^ item).trailing_zeros() >= 16).any(|last| *last == item)
    }

    /// The numbers of the entries, or first entries of blocks, that a key points to; in no order.
    pub(super) fn search(&self, key: Hashed) -> impl Iterator<Item = u64> {
        let items = self.items[slot(key.index)].iter();
        items.filter(move |item| hash_of(**item) == key.hash).map(|item| number_at(self.number, place_of(*item)))
    }

    /// The next of the rows that hold the index on disk, until `None`.
    pub(super) fn next_row(&mut self) -> Option<([u8; 7], Vec<u8>)> {
        let (index, items) = loop {
            let index = *Index::ALL.get(self.written.0)?;
            let items = &mut self.items[slot(index)];
            if self.written.1 == 0 {
                items.sort_unstable();
                items.dedup();
            }
            if self.written.1 < items.len() {
                break (index, &items[..]);
            }
            self.written = (self.written.0 + 1, 0);
        };
        let from = self.written.1;
        let high = |item: u64| hash_of(item).to_be_bytes()[0];
        let run = items[from..].iter().take(ROW_ITEMS).take_while(|item| high(**item) == high(items[from])).count();
        self.written.1 += run;
        let before = items[..from].iter().rev().take_while(|item| high(**item) == high(items[from])).count();
        let part = u8::try_from(before.div_ceil(ROW_ITEMS)).unwrap_or(u8::MAX);
        let mut value = Vec::with_capacity(run * ITEM);
        for item in &items[from..from + run] {
            let [_, _, _, a, b, c, d, e] = item.to_be_bytes();
            value.extend_from_slice(&[a, b, c, d, e]);
        }
        Some((index_key(index, high(items[from]), self.number, part), value))
    }
}

/// The numbers a row of a segment's index gives for a hash, in order.
pub(super) fn search_row(segment: u32, row: &[u8], hash: u32) -> impl Iterator<Item = u64> {
    let [_, wanted @ ..] = hash.to_be_bytes();
    let (items, _) = row.as_chunks::<ITEM>();
    let from = items.partition_point(|item| item[..3] < wanted[..]);
    let found = items[from..].iter().take_while(move |item| item[..3] == wanted[..]);
    found.map(move |item| number_at(segment, u16::from_be_bytes([item[3], item[4]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: Index, n: u64) -> Hashed {
        let [.., a, b, c, d] = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).swap_bytes().to_be_bytes();
        Hashed { index, hash: u32::from_be_bytes([a, b, c, d]) }
    }

    fn filled() -> Segment {
        let mut segment = Segment::new(9);
        for place in 0..65_536_u64 {
            let number = (9 << 16) | place;
            let keys =
                [key(Index::Destination, place % 20_000), key(Index::Source, place % 3), key(Index::MessageId, place)];
            segment.add(number, number / 64 * 64, 1_000 + i64::from(place_of(number)), keys.into_iter());
        }
        segment
    }

    #[test]
    fn rows_give_what_the_segment_gave() {
        let mut segment = filled();
        assert_eq!((segment.from_ms, segment.to_ms), (1_000, 66_535));
        let wanted: Vec<_> =
            (0..40).flat_map(|n| [Index::Destination, Index::Source, Index::MessageId].map(|i| key(i, n))).collect();
        let before: Vec<Vec<u64>> = wanted.iter().map(|key| segment.search(*key).collect()).collect();
        assert_eq!(before[0], [9 << 16, (9 << 16) + 20_000, (9 << 16) + 40_000, (9 << 16) + 60_000]);
        assert_eq!((before[1].len(), before[2].len()), (1_024, 1));
        let rows: Vec<_> = std::iter::from_fn(|| segment.next_row()).collect();
        assert!(rows.iter().all(|(_, value)| value.len() <= VALUE_BYTES));
        assert!(rows.windows(2).all(|pair| pair[0].0[0] != pair[1].0[0] || pair[0].0 < pair[1].0));
        for (key, expected) in wanted.iter().zip(before) {
            let prefix = &index_key(key.index, key.hash.to_be_bytes()[0], 9, 0)[..6];
            let rows = rows.iter().filter(|(row, _)| row.starts_with(prefix));
            let found: Vec<_> = rows.flat_map(|(_, value)| search_row(9, value, key.hash)).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn one_key_on_every_entry_takes_several_parts() {
        let mut segment = Segment::new(0);
        (0..5_000).for_each(|number| segment.add(number, 0, 0, [key(Index::MessageId, 1)].into_iter()));
        let rows: Vec<_> = std::iter::from_fn(|| segment.next_row()).collect();
        let parts: Vec<_> = rows.iter().map(|(key, _)| key[6]).collect();
        assert_eq!(parts, [0, 1, 2, 3]);
        let hash = key(Index::MessageId, 1).hash;
        let found: Vec<_> = rows.iter().flat_map(|(_, value)| search_row(0, value, hash)).collect();
        assert_eq!(found, (0..5_000).collect::<Vec<_>>());
    }

    #[test]
    fn sources_are_listed_once_a_block() {
        let mut segment = Segment::new(0);
        for number in 0..128 {
            let keys = [key(Index::Source, number % 2), key(Index::Source, 7)];
            segment.add(number, number / 64 * 64, 0, keys.into_iter());
        }
        assert_eq!(segment.search(key(Index::Source, 0)).collect::<Vec<_>>(), [0, 64]);
        assert_eq!(segment.search(key(Index::Source, 7)).collect::<Vec<_>>(), [0, 64]);
    }
}
