//! Blocks: consecutive entries compressed together, and the dictionaries that make that pay.
//!
//! Owns the compression. Refuses a block that does not decompress to what its header says.
//! Driven by the day being written and by readers.

use std::cell::RefCell;
use std::fmt;
use std::sync::OnceLock;

use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::{self, CCtx, DCtx};

use super::ENTRY_BYTES;
use super::group::Entry;
use super::layout::{push_frame, take_frame};

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
    /// Prepared when it is first compressed with: of most days, one is only ever read with.
    encoder: OnceLock<Option<EncoderDictionary<'static>>>,
    decoder: DecoderDictionary<'static>,
}

impl Dictionary {
    const OCTETS: usize = 32 * 1024;

    /// Prepares a dictionary; `None` where zstd does not take it.
    pub(super) fn new(id: u8, octets: Vec<u8>) -> Option<Self> {
        let decoder = DecoderDictionary::try_copy(&octets).ok()?;
        Some(Self { id, octets, encoder: OnceLock::new(), decoder })
    }

    fn encoder(&self) -> Result<&EncoderDictionary<'static>, String> {
        let encoder = self.encoder.get_or_init(|| EncoderDictionary::try_copy(&self.octets, LEVEL).ok());
        encoder.as_ref().ok_or_else(|| "no memory to compress with a dictionary".to_owned())
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

/// Frames of entries, before compression or after.
#[derive(Debug, Default)]
struct Body {
    frames: Vec<u8>,
    packed: Vec<u8>,
}

/// Gathers entries and compresses them to a block.
pub(super) struct Packer {
    context: CCtx<'static>,
    contents: Body,
    signalling: Body,
    /// Whether any entry has signalling.
    signals: bool,
    count: u8,
    from_ms: i64,
    to_ms: i64,
}

/// A block, compressed.
#[derive(Debug)]
pub(super) struct Packed<'p> {
    /// The dictionary its contents were compressed with; 0 is none.
    pub(super) dictionary: u8,
    /// How many entries it holds.
    pub(super) count: u8,
    /// The earliest of their moments.
    pub(super) from_ms: i64,
    /// The latest.
    pub(super) to_ms: i64,
    /// Their contents, and the octets of these before compression.
    pub(super) contents: (&'p [u8], u32),
    /// The same of their signalling; nothing where none has any.
    pub(super) signalling: (&'p [u8], u32),
}

impl Packer {
    /// A packer with nothing gathered; `None` where there is no memory for it.
    pub(super) fn new() -> Option<Self> {
        let context = CCtx::try_create()?;
        let (contents, signalling) = Default::default();
        let (from_ms, to_ms) = (i64::MAX, i64::MIN);
        Some(Self { context, contents, signalling, signals: false, count: 0, from_ms, to_ms })
    }

    pub(super) fn push(&mut self, entry: &Entry<'_>) {
        push_frame(&mut self.contents.frames, entry.content);
        push_frame(&mut self.signalling.frames, entry.signalling);
        self.signals |= !entry.signalling.is_empty();
        self.count += 1;
        self.from_ms = self.from_ms.min(entry.at_ms);
        self.to_ms = self.to_ms.max(entry.at_ms);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether another entry of that length belongs into the next block.
    pub(super) fn is_full(&self, entry: &Entry<'_>, most: usize) -> bool {
        let frames = self.contents.frames.len() + self.signalling.frames.len();
        usize::from(self.count) >= most.min(BLOCK_ENTRIES) || (self.count > 0 && frames + entry.len() > BLOCK_FRAMES)
    }

    /// Compresses what was gathered.
    pub(super) fn pack(&mut self, dictionary: Option<&Dictionary>) -> Result<Packed<'_>, String> {
        let contents = self.contents.pack(&mut self.context, dictionary)?;
        let signalling = match self.signals {
            true => self.signalling.pack(&mut self.context, None)?,
            false => (&[][..], 0),
        };
        let dictionary = dictionary.map_or(0, |dictionary| dictionary.id);
        let (count, from_ms, to_ms) = (self.count, self.from_ms, self.to_ms);
        Ok(Packed { dictionary, count, from_ms, to_ms, contents, signalling })
    }

    /// Begins anew.
    pub(super) fn clear(&mut self) {
        self.contents.frames.clear();
        self.signalling.frames.clear();
        (self.signals, self.count, self.from_ms, self.to_ms) = (false, 0, i64::MAX, i64::MIN);
    }
}

impl Body {
    fn pack(&mut self, context: &mut CCtx<'static>, dictionary: Option<&Dictionary>) -> Result<(&[u8], u32), String> {
        let Self { frames, packed } = self;
        packed.resize(zstd_safe::compress_bound(frames.len()), 0);
        let length = match dictionary {
            Some(dictionary) => context.compress_using_cdict(&mut packed[..], frames, dictionary.encoder()?.as_cdict()),
            None => context.compress(&mut packed[..], frames, LEVEL),
        };
        let length = length.map_err(|code| format!("compression: {}", zstd_safe::get_error_name(code)))?;
        let octets = u32::try_from(frames.len()).map_err(|_| format!("block of {} octets", frames.len()))?;
        Ok((&packed[..length], octets))
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").field("count", &self.count).finish_non_exhaustive()
    }
}

/// One part of a block's entries, as it was before compression.
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
    /// Decompresses the contents, or the signalling, of `count` entries, which are `octets` octets then.
    pub(super) fn read(
        first: u64,
        (count, octets): (u8, u32),
        body: &[u8],
        dictionary: Option<&Dictionary>,
    ) -> Result<Self, String> {
        let length = usize::try_from(octets).ok().filter(|length| *length <= FRAMES_LIMIT);
        let length = length.ok_or_else(|| format!("block of {octets} octets"))?;
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
        let mut places = Vec::with_capacity(count.into());
        let mut left = frames.as_slice();
        while let Some(payload) = take_frame(&mut left) {
            let end = got - left.len();
            places.push((end - payload.len(), end));
        }
        if got != length || !left.is_empty() || places.len() != usize::from(count) {
            return Err(format!("block of {count} entries holds {}", places.len()));
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
    use crate::store::{EntryId, journal::Day};

    fn entry(at_ms: i64, content: &[u8]) -> Entry<'_> {
        let id = EntryId { day: Day(jiff::civil::date(2026, 11, 24)), number: 0 };
        Entry { id, at_ms, content, signalling: &content[content.len() / 2..], keys: &[] }
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
            samples[..9].iter().zip(10..).for_each(|(payload, at)| packer.push(&entry(at, payload)));
            let packed = packer.pack(dictionary).unwrap();
            assert_eq!((packed.count, packed.from_ms, packed.to_ms), (9, 10, 18));
            let block = Block::read(1_000, (9, packed.contents.1), packed.contents.0, dictionary).unwrap();
            let read: Vec<_> = (1_000..1_009).map(|number| block.get(number).unwrap()).collect();
            assert_eq!(read, samples[..9]);
            assert_eq!((block.get(999), block.get(1_009)), (None, None));
            let signalling = Block::read(1_000, (9, packed.signalling.1), packed.signalling.0, None).unwrap();
            assert_eq!(signalling.get(1_008).unwrap(), &samples[8][samples[8].len() / 2..]);
            lengths.push(packed.contents.0.len());
            packer.clear();
        }
        assert!(lengths[1] < lengths[0], "{lengths:?}");
    }

    #[test]
    fn a_long_entry_fills_a_block() {
        let noise: Vec<u8> = (0..7_500_u64).flat_map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()).collect();
        let mut packer = Packer::new().unwrap();
        let long = Entry { signalling: &[], ..entry(0, &noise) };
        assert!(!packer.is_full(&long, BLOCK_ENTRIES));
        packer.push(&long);
        assert!(packer.is_full(&entry(0, b"x"), BLOCK_ENTRIES));
        let packed = packer.pack(None).unwrap();
        assert_eq!(packed.signalling, (&[][..], 0));
        let block = Block::read(5, (1, packed.contents.1), packed.contents.0, None).unwrap();
        assert_eq!(block.get(5), Some(noise.as_slice()));
    }

    #[test]
    fn a_damaged_block_is_an_error() {
        let mut packer = Packer::new().unwrap();
        (0..10).for_each(|n| packer.push(&entry(0, &payload(n))));
        let (body, octets) = packer.pack(None).unwrap().contents;
        assert!(Block::read(0, (10, octets), body, None).is_ok());
        assert!(Block::read(0, (10, octets), &body[..body.len() - 1], None).is_err());
        assert!(Block::read(0, (9, octets), body, None).is_err());
        assert!(Block::read(0, (10, octets + 1), body, None).is_err());
        assert!(Block::read(0, (10, u32::MAX), body, None).is_err());
    }
}
