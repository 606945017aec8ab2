//! Hot rows: consecutive entries that wait for their block.
//!
//! Owns their form, contents apart from signalling. Refuses one that does not hold as many of these as
//! of those. Driven by the day: written with small commits, read when a day is opened.

use super::group::Entry;
use super::layout::{push_frame, take_frame};

/// A row that is being gathered.
#[derive(Debug, Default)]
pub(super) struct HotRow {
    contents: Vec<u8>,
    signalling: Vec<u8>,
    signals: bool,
}

impl HotRow {
    pub(super) fn clear(&mut self) {
        self.contents.clear();
        self.signalling.clear();
        self.signals = false;
    }

    pub(super) fn push(&mut self, entry: &Entry<'_>) {
        push_frame(&mut self.contents, entry.content);
        push_frame(&mut self.signalling, entry.signalling);
        self.signals |= !entry.signalling.is_empty();
    }

    /// Octets gathered.
    pub(super) fn len(&self) -> usize {
        self.contents.len() + self.signalling.len()
    }

    /// The row's value.
    pub(super) fn write(&self) -> Vec<u8> {
        let length = u16::try_from(self.contents.len()).unwrap_or(u16::MAX);
        let signalling = if self.signals { self.signalling.as_slice() } else { &[] };
        [&length.to_be_bytes(), self.contents.as_slice(), signalling].concat()
    }
}

/// The contents and signalling in a row's value; `None` where it is damaged.
pub(super) fn read(row: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let (length, rest) = row.split_first_chunk()?;
    let (contents, signalling) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let contents = frames(contents)?;
    let signalling = match signalling {
        [] => vec![&[][..]; contents.len()],
        signalling => frames(signalling)?,
    };
    (contents.len() == signalling.len()).then(|| contents.into_iter().zip(signalling).collect())
}

/// The frames that make up these octets to the last.
pub(super) fn frames(mut octets: &[u8]) -> Option<Vec<&[u8]>> {
    let frames = std::iter::from_fn(|| take_frame(&mut octets)).collect();
    octets.is_empty().then_some(frames)
}
