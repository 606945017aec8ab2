//! What a day is sealed with.
//!
//! Owns the day's two keys and the hash of its index, and what is bound to each row, so that none can take
//! another's place. Tells a key that was deleted from damage: without its content key a day is gone for
//! good, without its signalling key that part of it is. Driven by the day.

use std::hash::Hasher;
use std::path::Path;

use siphasher::sip::SipHasher13;

use super::Day;
use super::group::{Hashed, Key};
use super::layout::HELD;
use crate::store::StoreError;
use crate::store::keys::{Key as Secret, Keys, OVERHEAD, Sealer};

/// A day's sealers; clones of none exist, so that nonces are counted in one place.
#[derive(Debug)]
pub(super) struct Seals {
    day: Day,
    pub(super) generation: u8,
    content: Sealer,
    signalling: Option<Sealer>,
    index: SipHasher13,
    /// Where only held signalling is left.
    pub(super) held: Option<Held>,
}

/// What seals the signalling that is held beyond its day's.
#[derive(Debug)]
pub(super) struct Held {
    day: Day,
    /// How often it was sealed anew.
    pub(super) generation: u8,
    /// None where its key is gone.
    sealer: Option<Sealer>,
}

/// The name of the key of a day's contents; each time a part of it was held beyond its expiry, it is sealed anew.
pub(super) fn content_key(day: Day, generation: u8) -> String {
    key_name(day, "content", generation)
}

/// The name of the key of a day's signalling.
pub(super) fn signalling_key(day: Day, generation: u8) -> String {
    key_name(day, "signalling", generation)
}

/// The name of the key of what is held of it.
pub(super) fn held_key(day: Day, generation: u8) -> String {
    format!("{}-held-{generation}", signalling_prefix(day))
}

/// How the names of all keys of a day's signalling begin.
pub(super) fn signalling_prefix(day: Day) -> String {
    signalling_key(day, 0)
}

fn key_name(day: Day, what: &str, generation: u8) -> String {
    match generation {
        0 => format!("{day}-{what}"),
        later => format!("{day}-{what}-{later}"),
    }
}

impl Seals {
    /// Of a day that is begun: its keys are on disk when this returns.
    pub(super) fn make(day: Day, generation: u8, keys: &Keys) -> Result<Self, StoreError> {
        let content = keys.make(&content_key(day, generation))?;
        let signalling = keys.make(&signalling_key(day, generation))?;
        Ok(Self::with((day, generation), &content, Some(&signalling)))
    }

    /// Of a day that was begun, in the folder at `path`.
    pub(super) fn get(day: Day, generation: u8, keys: &Keys, path: &Path) -> Result<Self, StoreError> {
        let Some(content) = keys.get(&content_key(day, generation))? else {
            return Err(StoreError::Expired { path: path.to_owned() });
        };
        let signalling = keys.get(&signalling_key(day, generation))?;
        Ok(Self::with((day, generation), &content, signalling.as_ref()))
    }

    fn with((day, generation): (Day, u8), content: &Secret, signalling: Option<&Secret>) -> Self {
        let index = content.derive("index").hasher();
        let sealer = |key: &Secret| key.derive("rows").sealer();
        let (content, signalling) = (sealer(content), signalling.map(sealer));
        Self { day, generation, content, signalling, index, held: None }
    }

    /// Takes the key of held signalling up that a day's mark names.
    pub(super) fn take_held(&mut self, mark: &[u8], keys: &Keys, path: &Path) -> Result<(), StoreError> {
        let damaged = |what: &str| StoreError::damaged(path, format!("the mark of held signalling {what}"));
        let (&generation, sealed) = mark.split_first().ok_or_else(|| damaged("is empty"))?;
        self.open_content(&[HELD], &[generation], sealed.to_vec()).map_err(damaged)?;
        let key = keys.get(&held_key(self.day, generation))?;
        self.held = Some(Held::with(self.day, generation, key.as_ref()));
        Ok(())
    }

    /// What the signalling that is held is to be sealed with next: its key is on disk when this returns.
    pub(super) fn next_held(&self, keys: &Keys) -> Result<Held, StoreError> {
        let last = self.held.as_ref().map_or(0, |held| held.generation);
        let generation = last.checked_add(1).ok_or(StoreError::Limit { what: "extractions of a day", limit: 255 })?;
        Ok(Held::with(self.day, generation, Some(&keys.make(&held_key(self.day, generation))?)))
    }

    /// The mark of a day of which only that is left.
    pub(super) fn mark(&self, held: &Held) -> Vec<u8> {
        [&[held.generation][..], &self.content(&[HELD], &[held.generation], &[])].concat()
    }

    /// Seals contents, or what tells of them, for the row of that key; `beside` is bound as well.
    pub(super) fn content(&self, row: &[u8], beside: &[u8], plain: &[u8]) -> Vec<u8> {
        self.content.seal(&self.bound(row, beside), plain)
    }

    /// Seals signalling; nothing where its key is gone, and with it the right to keep any.
    pub(super) fn signalling(&self, row: &[u8], plain: &[u8]) -> Vec<u8> {
        self.signalling.as_ref().map(|sealer| sealer.seal(&self.bound(row, &[]), plain)).unwrap_or_default()
    }

    pub(super) fn open_content(&self, row: &[u8], beside: &[u8], sealed: Vec<u8>) -> Result<Vec<u8>, &'static str> {
        opened(&self.content, &self.bound(row, beside), sealed)
    }

    /// `None` where the key is gone.
    pub(super) fn open_signalling(&self, row: &[u8], sealed: Vec<u8>) -> Result<Option<Vec<u8>>, &'static str> {
        let sealer = self.signalling.as_ref();
        sealer.map(|sealer| opened(sealer, &self.bound(row, &[]), sealed)).transpose()
    }

    pub(super) fn has_signalling(&self) -> bool {
        self.signalling.is_some()
    }

    /// A key as this day's index has it.
    pub(super) fn hashed(&self, key: Key) -> Hashed {
        let mut hasher = self.index;
        hasher.write_u8(key.index as u8);
        hasher.write_u64(key.digest);
        top(key, hasher.finish())
    }

    fn bound(&self, row: &[u8], beside: &[u8]) -> Vec<u8> {
        bound(self.day, row, beside)
    }
}

impl Held {
    fn with(day: Day, generation: u8, key: Option<&Secret>) -> Self {
        Self { day, generation, sealer: key.map(|key| key.derive("rows").sealer()) }
    }

    pub(super) fn has_key(&self) -> bool {
        self.sealer.is_some()
    }

    pub(super) fn seal(&self, row: &[u8], beside: &[u8], plain: &[u8]) -> Vec<u8> {
        self.sealer.as_ref().map(|sealer| sealer.seal(&bound(self.day, row, beside), plain)).unwrap_or_default()
    }

    /// `None` where the key is gone.
    pub(super) fn open(&self, row: &[u8], beside: &[u8], sealed: Vec<u8>) -> Result<Option<Vec<u8>>, &'static str> {
        let sealer = self.sealer.as_ref();
        sealer.map(|sealer| opened(sealer, &bound(self.day, row, beside), sealed)).transpose()
    }
}

fn bound(day: Day, row: &[u8], beside: &[u8]) -> Vec<u8> {
    let date = day.0;
    let [high, low] = date.year().to_be_bytes();
    let day = [high, low, date.month().to_be_bytes()[0], date.day().to_be_bytes()[0]];
    [&day, row, beside].concat()
}

/// The half of a digest that rows have.
pub(super) fn top(key: Key, digest: u64) -> Hashed {
    let [a, b, c, d, ..] = digest.to_be_bytes();
    Hashed { index: key.index, hash: u32::from_be_bytes([a, b, c, d]) }
}

fn opened(sealer: &Sealer, bound: &[u8], mut sealed: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    const NONCE: usize = OVERHEAD - 16;
    let length = sealer.open(bound, &mut sealed).ok_or("does not open under the day's key")?.len();
    sealed.truncate(NONCE + length);
    sealed.drain(..NONCE);
    Ok(sealed)
}
