//! The rows of a day's database: their keys, and the fixed parts of their values.
//!
//! One tree, a tag first. Numbers are big-endian, so that rows lie in the order of entries.
//!
//! | row | key | value |
//! |---|---|---|
//! | version | `V` | layout version |
//! | hot | `H` number(6) | consecutive entries not yet in a block: length(2) and frames of contents, frames of signalling |
//! | block | `B` number(6) chunk(1) | header, link and compressed contents; long ones go on in further chunks |
//! | signalling | `G` number(6) chunk(1) | the same block's signalling, compressed; none where no entry has any |
//! | held | `h` | generation of the key(1), sealed mark: only held signalling is left |
//! | held signalling | `h` number(6) chunk(1) | chunks(1) frames(4), and what is held of that block's, compressed |
//! | index | `D`/`S`/`M`/… hash(1) segment(4) part(1) | sorted (hash(3) place(2)) |
//! | seal | `T` segment(4) | earliest and latest moment; written once all index rows are |
//! | dictionary | `Z` id(1) chunk(1) | number of chunks in the first, then octets |
//!
//! Each row is whole in itself and the order of writing makes every crash readable, so nothing
//! needs a batch: a block's signalling before its contents, blocks before the hot rows they replace
//! are removed, index rows before their seal, a dictionary before the blocks that use it.
//!
//! Layout version 1, which is read and no longer written, had no signalling and no links: hot rows
//! were frames of contents alone.

use super::Index;
use crate::store::varint;

pub(super) const VERSION: u8 = 2;

/// What was written before entries had two parts.
pub(super) const VERSION_1: u8 = 1;

pub(super) const VERSION_KEY: &[u8] = b"V";
pub(super) const HOT: u8 = b'H';
pub(super) const BLOCK: u8 = b'B';
pub(super) const SIGNALLING: u8 = b'G';
pub(super) const HELD: u8 = b'h';
pub(super) const SEAL: u8 = b'T';
pub(super) const DICTIONARY: u8 = b'Z';

/// Entries of one index segment: their places in it take two octets.
pub(super) const SEGMENT_BITS: u32 = 16;

/// Numbers of entries stay below this.
pub(super) const NUMBERS: u64 = 1 << 48;

/// The segment an entry is indexed with.
pub(super) fn segment_of(number: u64) -> u32 {
    let [_, _, a, b, c, d, ..] = number.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The place of an entry in its segment.
pub(super) fn place_of(number: u64) -> u16 {
    let [.., a, b] = number.to_be_bytes();
    u16::from_be_bytes([a, b])
}

/// The entry at a place of a segment.
pub(super) fn number_at(segment: u32, place: u16) -> u64 {
    (u64::from(segment) << SEGMENT_BITS) | u64::from(place)
}

/// All rows of a tag lie from the first of these to before the second.
pub(super) fn bounds(tag: u8) -> ([u8; 1], [u8; 1]) {
    ([tag], [tag + 1])
}

pub(super) fn hot_key(first: u64) -> [u8; 7] {
    let [_, _, a, b, c, d, e, f] = first.to_be_bytes();
    [HOT, a, b, c, d, e, f]
}

pub(super) fn block_key(first: u64, chunk: u8) -> [u8; 8] {
    body_key(BLOCK, first, chunk)
}

/// The row of a block's contents or signalling.
pub(super) fn body_key(tag: u8, first: u64, chunk: u8) -> [u8; 8] {
    let [_, _, a, b, c, d, e, f] = first.to_be_bytes();
    [tag, a, b, c, d, e, f, chunk]
}

/// The number in the key of a hot row or a block.
pub(super) fn first_of(key: &[u8]) -> Option<u64> {
    let [a, b, c, d, e, f] = *key.get(1..7)?.first_chunk()?;
    Some(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}

pub(super) fn index_key(index: Index, hash: u8, segment: u32, part: u8) -> [u8; 7] {
    let [a, b, c, d] = segment.to_be_bytes();
    [index as u8, hash, a, b, c, d, part]
}

/// The segment in the key of an index row.
pub(super) fn index_segment(key: &[u8]) -> Option<u32> {
    key.get(2..6)?.first_chunk().map(|segment| u32::from_be_bytes(*segment))
}

pub(super) fn seal_key(segment: u32) -> [u8; 5] {
    let [a, b, c, d] = segment.to_be_bytes();
    [SEAL, a, b, c, d]
}

pub(super) fn dictionary_key(id: u8, chunk: u8) -> [u8; 3] {
    [DICTIONARY, id, chunk]
}

/// Appends an entry's frame: its length, then its octets.
pub(super) fn push_frame(out: &mut Vec<u8>, payload: &[u8]) {
    varint::push(out, payload.len() as u64);
    out.extend_from_slice(payload);
}

/// Takes the first frame off `frames`; `None` where there is no whole one.
pub(super) fn take_frame<'a>(frames: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut left = *frames;
    let length = usize::try_from(varint::take(&mut left)?).ok()?;
    let (payload, rest) = left.split_at_checked(length)?;
    *frames = rest;
    Some(payload)
}

/// How a block's first chunk begins; the rest is the compressed frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BlockHeader {
    /// The dictionary it was compressed with; 0 is none.
    pub(super) dictionary: u8,
    /// How many rows it lies in.
    pub(super) chunks: u8,
    /// How many entries it holds.
    pub(super) count: u8,
    /// Their octets, decompressed.
    pub(super) frames: u32,
    /// The earliest of their moments.
    pub(super) from_ms: i64,
    /// The latest.
    pub(super) to_ms: i64,
}

impl BlockHeader {
    pub(super) const BYTES: usize = 23;

    pub(super) fn write(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..3].copy_from_slice(&[self.dictionary, self.chunks, self.count]);
        out[3..7].copy_from_slice(&self.frames.to_be_bytes());
        out[7..15].copy_from_slice(&self.from_ms.to_be_bytes());
        out[15..].copy_from_slice(&self.to_ms.to_be_bytes());
        out
    }

    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let header: &[u8; Self::BYTES] = value.first_chunk()?;
        Some(Self {
            dictionary: header[0],
            chunks: header[1],
            count: header[2],
            frames: u32::from_be_bytes(*header[3..].first_chunk()?),
            from_ms: i64::from_be_bytes(*header[7..].first_chunk()?),
            to_ms: i64::from_be_bytes(*header[15..].first_chunk()?),
        })
    }
}

/// What follows the header in a block's first chunk, since layout 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link {
    /// How many rows its signalling lies in; 0 where no entry has any.
    pub(super) chunks: u8,
    /// The octets of the signalling's frames, decompressed.
    pub(super) frames: u32,
    /// How many blocks of the day come before.
    pub(super) ordinal: u32,
    /// How many entries the day has up to and with this block.
    pub(super) entries: u64,
    /// SHA-256 of the signalling as it is on disk, so that the chain can be followed when it is gone.
    pub(super) signalling: Sum,
    /// The chain up to and with this block.
    pub(super) chain: Sum,
}

/// A SHA-256.
pub(super) type Sum = [u8; 32];

impl Link {
    pub(super) const BYTES: usize = 81;

    /// What the chain covers of it: all but the chain itself.
    pub(super) const CHAINED: usize = Self::BYTES - size_of::<Sum>();

    pub(super) fn write(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[0] = self.chunks;
        out[1..5].copy_from_slice(&self.frames.to_be_bytes());
        out[5..9].copy_from_slice(&self.ordinal.to_be_bytes());
        out[9..17].copy_from_slice(&self.entries.to_be_bytes());
        out[17..49].copy_from_slice(&self.signalling);
        out[49..].copy_from_slice(&self.chain);
        out
    }

    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let link: &[u8; Self::BYTES] = value.first_chunk()?;
        Some(Self {
            chunks: link[0],
            frames: u32::from_be_bytes(*link[1..].first_chunk()?),
            ordinal: u32::from_be_bytes(*link[5..].first_chunk()?),
            entries: u64::from_be_bytes(*link[9..].first_chunk()?),
            signalling: *link[17..].first_chunk()?,
            chain: *link[49..].first_chunk()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lie_in_the_order_of_entries_and_read_back() {
        let numbers = [0, 1, 255, 256, 65_535, 65_536, 1 << 40, NUMBERS - 1];
        assert!(numbers.windows(2).all(|pair| block_key(pair[0], 255) < block_key(pair[1], 0)));
        for number in numbers {
            assert_eq!(first_of(&hot_key(number)), Some(number));
            assert_eq!(first_of(&block_key(number, 9)), Some(number));
            assert_eq!(number_at(segment_of(number), place_of(number)), number);
            let key = index_key(Index::Source, 7, segment_of(number), 3);
            assert_eq!(index_segment(&key), Some(segment_of(number)));
        }
    }

    #[test]
    fn frames_read_back_and_end_where_they_are_cut() {
        let payloads = [vec![], vec![1; 127], vec![2; 128], vec![3; 70_000]];
        let mut frames = Vec::new();
        payloads.iter().for_each(|payload| push_frame(&mut frames, payload));
        let mut left = frames.as_slice();
        for payload in &payloads {
            assert_eq!(take_frame(&mut left), Some(payload.as_slice()));
        }
        assert_eq!(take_frame(&mut left), None);
        let mut cut = &frames[frames.len() - 70_003..frames.len() - 1];
        assert_eq!(take_frame(&mut cut), None);
        assert_eq!(take_frame(&mut &[0xFF; 9][..]), None);
    }

    #[test]
    fn a_block_header_reads_back() {
        let header = BlockHeader { dictionary: 1, chunks: 2, count: 96, frames: 70_000, from_ms: -5, to_ms: 1 << 41 };
        assert_eq!(BlockHeader::read(&header.write()), Some(header));
        assert_eq!(BlockHeader::read(&header.write()[1..]), None);
    }
}
