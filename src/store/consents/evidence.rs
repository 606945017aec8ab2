//! The texts that prove consents, each kept once while it is in use again and again.
//!
//! Owns the packs they lie in: rows `E` first number(8), each a run of texts, compressed where that
//! pays. A bounded memory of recent texts gives a text said again its old number. Driven by the ledger.

use std::collections::HashMap;

use crate::store::engine::{Engine, EngineError, Fault, VALUE_BYTES};
use crate::store::varint;

const PACK: u8 = b'E';

/// Longest evidence, in octets.
pub const EVIDENCE_OCTETS: usize = 4 * 1024;

/// Most octets of a pack: its row has one more.
const PACK_OCTETS: usize = VALUE_BYTES - 1;

/// Most octets of a text's length.
const LENGTH_OCTETS: usize = 2;

/// Texts remembered take at most so many octets.
const REMEMBERED_OCTETS: usize = 4 << 20;

const PLAIN: u8 = 0;
const COMPRESSED: u8 = 1;

fn key(number: u64) -> [u8; 9] {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    [PACK, a, b, c, d, e, f, g, h]
}

/// Numbers texts.
#[derive(Debug)]
pub(super) struct Evidence {
    next: u64,
    /// The texts from `first` on, not yet put.
    pack: Vec<u8>,
    first: u64,
    recent: HashMap<Box<str>, u64>,
    recent_octets: usize,
}

impl Evidence {
    pub(super) fn load(engine: &dyn Engine) -> Result<Self, EngineError> {
        let next = match engine.last(&[PACK], &[PACK + 1])? {
            Some((key, value)) => first_of(&key)? + texts(&value)?.len() as u64,
            None => 0,
        };
        Ok(Self { next, pack: Vec::new(), first: next, recent: HashMap::new(), recent_octets: 0 })
    }

    /// The number of a text; new ones are on disk only after [`Evidence::put`].
    pub(super) fn number(&mut self, text: &str, rows: &mut Vec<([u8; 9], Vec<u8>)>) -> u64 {
        if let Some(number) = self.recent.get(text) {
            return *number;
        }
        if self.pack.len() + LENGTH_OCTETS + text.len() > PACK_OCTETS {
            self.put(rows);
        }
        let number = self.next;
        varint::push(&mut self.pack, text.len() as u64);
        self.pack.extend_from_slice(text.as_bytes());
        self.next += 1;
        if self.recent_octets > REMEMBERED_OCTETS {
            self.recent.clear();
            self.recent_octets = 0;
        }
        self.recent_octets += text.len() + size_of::<(Box<str>, u64)>();
        self.recent.insert(text.into(), number);
        number
    }

    /// Hands over the row of the texts that have none yet.
    pub(super) fn put(&mut self, rows: &mut Vec<([u8; 9], Vec<u8>)>) {
        if self.pack.is_empty() {
            return;
        }
        let compressed = zstd::bulk::compress(&self.pack, 3).ok().filter(|short| short.len() < self.pack.len());
        let mut value = vec![if compressed.is_some() { COMPRESSED } else { PLAIN }];
        value.extend_from_slice(compressed.as_deref().unwrap_or(&self.pack));
        rows.push((key(self.first), value));
        self.pack.clear();
        self.first = self.next;
    }
}

/// The text of a number.
pub(super) fn text(number: u64, engine: &dyn Engine) -> Result<String, EngineError> {
    let lost = || EngineError { fault: Fault::Broken, what: format!("evidence {number} is missing") };
    let (key, value) = engine.last(&[PACK], &key(number.saturating_add(1)))?.ok_or_else(lost)?;
    let at = usize::try_from(number - first_of(&key)?).map_err(|_| lost())?;
    texts(&value)?.get(at).cloned().ok_or_else(lost)
}

fn first_of(key: &[u8]) -> Result<u64, EngineError> {
    let number = key.get(1..).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
    number.ok_or_else(|| EngineError { fault: Fault::Broken, what: "key of an evidence pack".to_owned() })
}

fn texts(value: &[u8]) -> Result<Vec<String>, EngineError> {
    let damaged = || EngineError { fault: Fault::Broken, what: "evidence pack".to_owned() };
    let (kind, octets) = value.split_first().ok_or_else(damaged)?;
    let octets = match *kind {
        PLAIN => octets.to_vec(),
        _ => zstd::bulk::decompress(octets, PACK_OCTETS).map_err(|_| damaged())?,
    };
    let (mut left, mut texts) = (octets.as_slice(), Vec::new());
    while !left.is_empty() {
        let length = varint::take(&mut left).and_then(|length| usize::try_from(length).ok()).ok_or_else(damaged)?;
        let (text, rest) = left.split_at_checked(length).ok_or_else(damaged)?;
        texts.push(String::from_utf8_lossy(text).into_owned());
        left = rest;
    }
    Ok(texts)
}
