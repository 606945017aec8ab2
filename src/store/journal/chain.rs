//! The chain over a day's blocks: each block's value covers all before it.
//!
//! Owns what is hashed, and in which order. The signalling comes in as a hash of its own, so that the
//! chain can be followed after it has expired. Refuses to know how blocks are stored. Driven by the day
//! that is written, and by whoever verifies one.

use ring::digest::{Context, SHA256, digest};

use super::Day;
use super::layout::{BlockHeader, Link, Sum};

/// How far a chain has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tip {
    /// How many blocks.
    pub(super) blocks: u32,
    /// How many entries in them.
    pub(super) entries: u64,
    /// The value of the last block; of the day itself where there is none.
    pub(super) chain: Sum,
}

impl Tip {
    /// Before a day's first block.
    pub(super) fn of(day: Day, generation: u8) -> Self {
        let chain = sum(format!("portcullis journal, layout 2, {day}, {generation}").as_bytes());
        Self { blocks: 0, entries: 0, chain }
    }

    /// After the block with that link.
    pub(super) fn after(link: &Link) -> Self {
        Self { blocks: link.ordinal.saturating_add(1), entries: link.entries, chain: link.chain }
    }

    /// The link of the next block, whose signalling is `frames` octets in `chunks` rows.
    pub(super) fn link(
        &self,
        first: u64,
        header: &BlockHeader,
        contents: &[u8],
        (signalling, frames, chunks): (&[u8], u32, u8),
    ) -> Link {
        let (ordinal, entries) = (self.blocks, self.entries + u64::from(header.count));
        let signalling = if chunks == 0 { Sum::default() } else { sum(signalling) };
        let link = Link { chunks, frames, ordinal, entries, signalling, chain: Sum::default() };
        Link { chain: self.value(first, header, &link, contents), ..link }
    }

    /// The value of the next block.
    pub(super) fn value(&self, first: u64, header: &BlockHeader, link: &Link, contents: &[u8]) -> Sum {
        let mut context = Context::new(&SHA256);
        context.update(&self.chain);
        context.update(&first.to_be_bytes());
        context.update(&header.write());
        context.update(&link.write()[..Link::CHAINED]);
        context.update(&sum(contents));
        finished(context.finish())
    }
}

/// The SHA-256 of octets.
pub(super) fn sum(octets: &[u8]) -> Sum {
    finished(digest(&SHA256, octets))
}

fn finished(digest: ring::digest::Digest) -> Sum {
    let mut sum = Sum::default();
    sum.copy_from_slice(digest.as_ref());
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_block_is_in_its_value() {
        let day = |day| Day(jiff::civil::date(2026, 11, day));
        let tip = Tip::of(day(24), 0);
        let header = BlockHeader { dictionary: 1, chunks: 2, count: 96, frames: 70_000, from_ms: 5, to_ms: 6 };
        let link = tip.link(7, &header, b"contents", (b"signalling", 99, 1));
        assert_eq!((link.ordinal, link.entries), (0, 96));
        assert_eq!(tip.value(7, &header, &link, b"contents"), link.chain);
        let next = Tip::after(&link);
        assert_eq!((next.blocks, next.entries, next.chain), (1, 96, link.chain));
        let others = [
            Tip::of(day(24), 1).value(7, &header, &link, b"contents"),
            Tip::of(day(25), 0).value(7, &header, &link, b"contents"),
            tip.value(8, &header, &link, b"contents"),
            tip.value(7, &BlockHeader { to_ms: 7, ..header }, &link, b"contents"),
            tip.value(7, &header, &Link { entries: 97, ..link }, b"contents"),
            tip.value(7, &header, &Link { signalling: sum(b"other"), ..link }, b"contents"),
            tip.value(7, &header, &link, b"content"),
        ];
        assert!(others.iter().all(|other| *other != link.chain));
    }
}
