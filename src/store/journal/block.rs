//! Blocks: consecutive entries compressed together, and the dictionaries that make that pay.
//!
//! Owns the compression. Refuses a block that does not decompress to what its header says.
//! Driven by the day being written and by readers.

use std::cell::RefCell;
use std::fmt;

use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::{self, CCtx, DCtx};

use super::ENTRY_BYTES;
use super::layout::{BlockHeader, push_frame, take_frame};

/// Levels above cost the writer time and save little on records that resemble each other.
const LEVEL: i32 = 1;

/// Most entries of a block. Twice the 64 at which more of them save little, so that whatever a group
/// commit brings from half of this on is cut into blocks without a rest.
pub(super) const BLOCK_ENTRIES: usize = 96;

/// Entries beyond these octets go into the next block, so that one row can hold most blocks.
pub(super) const BLOCK_FRAMES: usize = 14 * 1024;

/// Longest block, decompressed: one entry of the longest kind beside others.
const FRAMES_LIMIT: usize = ENTRY_BYTES + BLOCK_FRAMES + 1024;

/// A dictionary, prepared both ways.
pub(super) struct Dictionary {
    pub(super) id: u8,
    pub(super) octets: Vec<u8>,
    encoder: EncoderDictionary<'static>,
    decoder: DecoderDictionary<'static>,
}

impl Dictionary {
    const OCTETS: usize = 32 * 1024;

    /// Prepares a dictionary; `None` where zstd does not take it.
    pub(super) fn new(id: u8, octets: Vec<u8>) -> Option<Self> {
        let encoder = EncoderDictionary::try_copy(&octets, LEVEL).ok()?;
        let decoder = DecoderDictionary::try_copy(&octets).ok()?;
        Some(Self { id, octets, encoder, decoder })
    }

    /// Trains a dictionary from payloads that lie one after the other; `None` where they do not suffice.
    pub(super) fn train(id: u8, payloads: &[u8], lengths: &[usize]) -> Option<Self> {
        let octets = zstd::dict::from_continuous(payloads, lengths, Self::OCTETS).ok()?;
        Self::new(id, octets)
    }
}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dictionary").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Gathers entries and compresses them to a block.
pub(super) struct Packer {
    context: CCtx<'static>,
    frames: Vec<u8>,
    value: Vec<u8>,
    count: u8,
    from_ms: i64,
    to_ms: i64,
}

impl Packer {
    /// A packer with nothing gathered; `None` where there is no memory for it.
    pub(super) fn new() -> Option<Self> {
        let context = CCtx::try_create()?;
        Some(Self { context, frames: Vec::new(), value: Vec::new(), count: 0, from_ms: i64::MAX, to_ms: i64::MIN })
    }

    pub(super) fn push(&mut self, at_ms: i64, payload: &[u8]) {
        push_frame(&mut self.frames, payload);
        self.count += 1;
        self.from_ms = self.from_ms.min(at_ms);
        self.to_ms = self.to_ms.max(at_ms);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether another entry of that length belongs into the next block.
    pub(super) fn is_full(&self, payload: usize, most: usize) -> bool {
        usize::from(self.count) >= most.min(BLOCK_ENTRIES)
            || (self.count > 0 && self.frames.len() + payload > BLOCK_FRAMES)
    }

    /// The rows' contents, in order, for what was gathered; begins anew.
    pub(super) fn pack(&mut self, dictionary: Option<&Dictionary>, row: usize) -> Result<Vec<&[u8]>, String> {
        let failed = |code| format!("compression: {}", zstd_safe::get_error_name(code));
        let size = BlockHeader::BYTES + zstd_safe::compress_bound(self.frames.len());
        self.value.resize(size, 0);
        let body = &mut self.value[BlockHeader::BYTES..];
        let length = match dictionary {
            Some(dictionary) => {
                self.context.compress_using_cdict(body, &self.frames, dictionary.encoder.as_cdict()).map_err(failed)?
            }
            None => self.context.compress(body, &self.frames, LEVEL).map_err(failed)?,
        };
        let length = BlockHeader::BYTES + length;
        let too_long = || format!("block of {length} octets");
        let header = BlockHeader {
            dictionary: dictionary.map_or(0, |dictionary| dictionary.id),
            chunks: u8::try_from(length.div_ceil(row)).map_err(|_| too_long())?,
            count: self.count,
            frames: u32::try_from(self.frames.len()).map_err(|_| too_long())?,
            from_ms: self.from_ms,
            to_ms: self.to_ms,
        };
        self.value[..BlockHeader::BYTES].copy_from_slice(&header.write());
        self.frames.clear();
        (self.count, self.from_ms, self.to_ms) = (0, i64::MAX, i64::MIN);
        Ok(self.value[..length].chunks(row).collect())
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").field("count", &self.count).finish_non_exhaustive()
    }
}

/// A block as it was before compression.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The number of its first entry.
    pub(super) first: u64,
    frames: Vec<u8>,
    /// Where each entry begins and ends in `frames`.
    places: Vec<(usize, usize)>,
}

thread_local! {
    static CONTEXT: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

impl Block {
    /// Decompresses a block from its header and the octets after it.
    pub(super) fn read(
        first: u64,
        header: &BlockHeader,
        body: &[u8],
        dictionary: Option<&Dictionary>,
    ) -> Result<Self, String> {
        let length = usize::try_from(header.frames).ok().filter(|length| *length <= FRAMES_LIMIT);
        let length = length.ok_or_else(|| format!("block of {} octets", header.frames))?;
        let mut frames = vec![0; length];
        let got = CONTEXT.with_borrow_mut(|context| {
            let context = match context {
                Some(context) => context,
                None => context.insert(DCtx::try_create().ok_or("no memory to decompress")?),
            };
            let got = match dictionary {
                Some(dictionary) => {
                    context.decompress_using_ddict(&mut frames[..], body, dictionary.decoder.as_ddict())
                }
                None => context.decompress(&mut frames[..], body),
            };
            got.map_err(|code| format!("decompression: {}", zstd_safe::get_error_name(code)))
        })?;
        let mut places = Vec::with_capacity(header.count.into());
        let mut left = frames.as_slice();
        while let Some(payload) = take_frame(&mut left) {
            let end = got - left.len();
            places.push((end - payload.len(), end));
        }
        if got != length || !left.is_empty() || places.len() != usize::from(header.count) {
            return Err(format!("block of {} entries holds {}", header.count, places.len()));
        }
        Ok(Self { first, frames, places })
    }

    /// How many entries it holds.
    pub(super) fn len(&self) -> u64 {
        self.places.len() as u64
    }

    /// The entry of that number.
    pub(super) fn get(&self, number: u64) -> Option<&[u8]> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let (from, until) = *self.places.get(at)?;
        self.frames.get(from..until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(packer: &mut Packer, dictionary: Option<&Dictionary>, row: usize) -> (BlockHeader, Vec<Vec<u8>>) {
        let rows: Vec<_> = packer.pack(dictionary, row).unwrap().into_iter().map(<[u8]>::to_vec).collect();
        (BlockHeader::read(&rows[0]).unwrap(), rows)
    }

    fn payload(n: u64) -> Vec<u8> {
        format!("【青禾鲜生】订单{n}已发货,拒收请回复R {}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).into_bytes()
    }

    #[test]
    fn blocks_read_back_with_and_without_a_dictionary() {
        let samples: Vec<_> = (0..4_000).map(payload).collect();
        let lengths: Vec<_> = samples.iter().map(Vec::len).collect();
        let trained = Dictionary::train(7, &samples.concat(), &lengths).unwrap();
        let mut packer = Packer::new().unwrap();
        let mut lengths = Vec::new();
        for dictionary in [None, Some(&trained)] {
            samples[..9].iter().zip(10..).for_each(|(payload, at)| packer.push(at, payload));
            let (header, rows) = packed(&mut packer, dictionary, 7_168);
            assert_eq!((header.count, header.from_ms, header.to_ms), (9, 10, 18));
            let block = Block::read(1_000, &header, &rows[0][BlockHeader::BYTES..], dictionary).unwrap();
            let read: Vec<_> = (1_000..1_009).map(|number| block.get(number).unwrap()).collect();
            assert_eq!(read, samples[..9]);
            assert_eq!((block.get(999), block.get(1_009)), (None, None));
            lengths.push(rows[0].len());
        }
        assert!(lengths[1] < lengths[0], "{lengths:?}");
    }

    #[test]
    fn a_long_entry_takes_several_rows() {
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .take(60_000)
        .collect();
        let mut packer = Packer::new().unwrap();
        packer.push(0, &noise);
        assert!(packer.is_full(1, BLOCK_ENTRIES));
        let (header, rows) = packed(&mut packer, None, 7_168);
        assert_eq!((usize::from(header.chunks), rows.len()), (9, 9));
        let block = Block::read(5, &header, &rows.concat()[BlockHeader::BYTES..], None).unwrap();
        assert_eq!(block.get(5), Some(noise.as_slice()));
    }

    #[test]
    fn a_damaged_block_is_an_error() {
        let mut packer = Packer::new().unwrap();
        (0..10).for_each(|n| packer.push(0, &payload(n)));
        let (header, rows) = packed(&mut packer, None, 7_168);
        let body = &rows[0][BlockHeader::BYTES..];
        assert!(Block::read(0, &header, &body[..body.len() - 1], None).is_err());
        assert!(Block::read(0, &BlockHeader { count: 9, ..header }, body, None).is_err());
        assert!(Block::read(0, &BlockHeader { frames: header.frames + 1, ..header }, body, None).is_err());
        assert!(Block::read(0, &BlockHeader { frames: u32::MAX, ..header }, body, None).is_err());
    }
}
