//! Hot rows: consecutive entries that wait for their block.
//!
//! Owns their form, contents apart from signalling. Refuses one that does not hold as many of these as
//! of those. Driven by the day: written with small commits, read when a day is opened.

use super::group::Entry;
use super::layout::{hot_key, push_frame, take_frame};
use super::seals::Seals;

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

    /// The row's value, sealed.
    pub(super) fn write(&self, first: u64, seals: &Seals) -> Vec<u8> {
        let row = hot_key(first);
        let contents = seals.content(&row, &[], &self.contents);
        let signalling = if self.signals { seals.signalling(&row, &self.signalling) } else { Vec::new() };
        let length = u16::try_from(contents.len()).unwrap_or(u16::MAX);
        [&length.to_be_bytes()[..], &contents, &signalling].concat()
    }
}

/// What a row holds, opened.
pub(super) struct Opened {
    contents: Vec<u8>,
    signalling: Vec<u8>,
}

impl Opened {
    /// Opens a row; signalling that has expired is as if there never was any.
    pub(super) fn read(first: u64, row: &[u8], seals: Option<&Seals>) -> Result<Self, &'static str> {
        let Some(seals) = seals else { return Ok(Self { contents: row.to_vec(), signalling: Vec::new() }) };
        let (length, rest) = row.split_first_chunk().ok_or("is cut short")?;
        let (contents, signalling) = rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or("is cut short")?;
        let row = hot_key(first);
        let contents = seals.open_content(&row, &[], contents.to_vec())?;
        let signalling = match signalling {
            [] => Vec::new(),
            sealed => seals.open_signalling(&row, sealed.to_vec())?.unwrap_or_default(),
        };
        Ok(Self { contents, signalling })
    }

    /// The entries, contents and signalling of each; `None` where there are not as many of these as of those.
    pub(super) fn entries(&self) -> Option<Vec<(&[u8], &[u8])>> {
        let contents = frames(&self.contents)?;
        let signalling = match self.signalling.as_slice() {
            [] => vec![&[][..]; contents.len()],
            signalling => frames(signalling)?,
        };
        (contents.len() == signalling.len()).then(|| contents.into_iter().zip(signalling).collect())
    }
}

/// The frames that make up these octets to the last.
fn frames(mut octets: &[u8]) -> Option<Vec<&[u8]>> {
    let frames = std::iter::from_fn(|| take_frame(&mut octets)).collect();
    octets.is_empty().then_some(frames)
}
