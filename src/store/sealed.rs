//! An engine whose values are sealed.
//!
//! Owns the sealing of every value (AES-256-GCM), bound to the key of its row, so that no value opens in
//! another's place. Keys stay as they are: a layout above chooses ones that say nothing. Refuses to show what does
//! not open. Nonces are the sealer's, counted from a random start: one key holds for far more than 2^40
//! writes, and a database that was put back from a copy repeats none. Driven by consents and sends.

use std::cell::Cell;
use std::sync::Arc;

use super::StoreError;
use super::engine::{Copying, Engine, EngineError, Fault, Row, VALUE_BYTES};
use super::keys::{Key, Keys, OVERHEAD, Sealer};

/// Longest value before it is sealed.
pub(super) const PLAIN_BYTES: usize = VALUE_BYTES - OVERHEAD;

/// The row of a database that is not sealed whole: its layout, then a known text that only the right key opens.
pub(super) const VERSION_KEY: &[u8] = b"V";

const KNOWN: &[u8] = b"portcullis";

/// The version's row.
pub(super) fn version_row(version: u8, key: &Key) -> Vec<u8> {
    [&[version][..], &rows_of(key).seal(VERSION_KEY, KNOWN)].concat()
}

/// The key of a database that is there; `known` stands behind the version. One that is missing is never made anew.
pub(super) fn known_key(keys: &Keys, name: &str, known: &[u8]) -> Result<Key, StoreError> {
    let fault = |what: &str| StoreError::Key { path: keys.path(name), what: what.to_owned() };
    let key = keys.get(name)?.ok_or_else(|| fault("is missing: what was sealed with it cannot be read"))?;
    match rows_of(&key).open(VERSION_KEY, &mut known.to_vec()) {
        Some(_) => Ok(key),
        None => Err(fault("is not the key that was sealed with")),
    }
}

/// What seals the rows.
pub(super) fn rows_of(key: &Key) -> Sealer {
    key.derive("rows").sealer()
}

/// One open database, sealed.
#[derive(Debug)]
pub(super) struct Sealed {
    engine: Arc<dyn Engine>,
    sealer: Sealer,
}

impl Sealed {
    pub(super) fn new(engine: Arc<dyn Engine>, sealer: Sealer) -> Self {
        Self { engine, sealer }
    }

    fn open(&self, key: &[u8], mut value: Vec<u8>) -> Result<Vec<u8>, EngineError> {
        let Some(length) = self.sealer.open(key, &mut value).map(|plain| plain.len()) else {
            return Err(unopened(key));
        };
        // The opened octets stand behind the nonce.
        let behind = OVERHEAD - TAG;
        value.copy_within(behind..behind + length, 0);
        value.truncate(length);
        Ok(value)
    }

    fn open_row(&self, row: Option<Row>) -> Result<Option<Row>, EngineError> {
        row.map(|(key, value)| Ok((self.open(&key, value)?, key)).map(|(value, key)| (key, value))).transpose()
    }
}

/// Octets of the tag behind a sealed value.
const TAG: usize = 16;

thread_local! {
    /// Where a value is opened that is only looked at.
    static OPENED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn unopened(key: &[u8]) -> EngineError {
    EngineError { fault: Fault::Broken, what: format!("a row {} does not open", tag(key)) }
}

/// What kind of row it is; the rest of a key is nobody's business.
fn tag(key: &[u8]) -> char {
    key.first().copied().map_or('?', char::from)
}

impl Engine for Sealed {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.engine.put(key, &self.sealer.seal(key, value))
    }

    fn remove(&self, key: &[u8]) -> Result<(), EngineError> {
        self.engine.remove(key)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.engine.sync()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.engine.get(key)?.map(|value| self.open(key, value)).transpose()
    }

    fn look(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool, EngineError> {
        let mut scratch = OPENED.take();
        let mut is_open = true;
        let found = self.engine.look(key, &mut |sealed| {
            scratch.clear();
            scratch.extend_from_slice(sealed);
            match self.sealer.open(key, &mut scratch) {
                Some(plain) => see(plain),
                None => is_open = false,
            }
        });
        OPENED.set(scratch);
        if is_open { found } else { Err(unopened(key)) }
    }

    fn first(&self, from: &[u8], until: &[u8]) -> Result<Option<Row>, EngineError> {
        self.open_row(self.engine.first(from, until)?)
    }

    fn last(&self, from: &[u8], until: &[u8]) -> Result<Option<Row>, EngineError> {
        self.open_row(self.engine.last(from, until)?)
    }

    fn scan(&self, from: &[u8], until: &[u8], see: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), EngineError> {
        let mut failed = None;
        self.engine.scan(from, until, &mut |key, value| match self.open(key, value.to_vec()) {
            Ok(plain) => see(key, &plain),
            Err(error) => {
                failed = Some(error);
                false
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Copies stay sealed.
    fn copying(&self) -> Option<&dyn Copying> {
        self.engine.copying()
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::{Engines, Sled};
    use super::super::keys::Key;
    use super::*;

    #[test]
    fn a_value_reads_back_under_its_own_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let plain = Sled.open(folder.path(), 8 << 20, true).unwrap();
        let sealed = Sealed::new(Arc::clone(&plain), Key::random().unwrap().sealer());
        let long = vec![7; PLAIN_BYTES];
        for value in [&b""[..], b"13800138000", &long] {
            sealed.put(b"C1", value).unwrap();
            assert_eq!(sealed.get(b"C1").unwrap().unwrap(), value);
            assert!(sealed.look(b"C1", &mut |seen| assert_eq!(seen, value)).unwrap());
            assert_eq!(sealed.last(b"C", b"D").unwrap().unwrap(), (b"C1".to_vec(), value.to_vec()));
        }
        plain.put(b"C2", &plain.get(b"C1").unwrap().unwrap()).unwrap();
        assert_eq!(sealed.get(b"C2").unwrap_err().fault, Fault::Broken);
        assert_eq!(sealed.look(b"C2", &mut |_| panic!("shown")).unwrap_err().fault, Fault::Broken);
        assert!(!sealed.look(b"C3", &mut |_| panic!("shown")).unwrap());
        assert!(sealed.scan(b"C", b"D", &mut |key, _| key == b"C1").is_err(), "it is not stepped over");
    }
}
