//! What proves events, each proof kept once while it is in use again and again.
//!
//! Owns the packs they lie in: rows `E` first number(8), each a run of proofs, compressed where that
//! pays. A bounded memory of recent proofs gives one that comes again its old number. Packs of the
//! first layout hold evidence alone. Driven by the ledger.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::store::engine::{Engine, EngineError, Fault, VALUE_BYTES};
use crate::store::evidence_files::Sha256;
use crate::store::sealed::PLAIN_BYTES;
use crate::store::varint;

const PACK: u8 = b'E';

/// Longest evidence, in octets.
pub const EVIDENCE_OCTETS: usize = 4 * 1024;

/// Most octets of a pack: its row has one more.
const PACK_OCTETS: usize = PLAIN_BYTES - 1;

/// Most octets of a text's length.
const LENGTH_OCTETS: usize = 2;

/// Texts remembered take at most so many octets.
const REMEMBERED_OCTETS: usize = 4 << 20;

/// Longest wording, in octets.
pub const WORDING_OCTETS: usize = 2 * 1024;

/// Packs of evidence alone, as the first layout had them.
const PLAIN_TEXTS: u8 = 0;
const COMPRESSED_TEXTS: u8 = 1;
const PLAIN: u8 = 2;
const COMPRESSED: u8 = 3;

/// Packs that a reader of very many events remembers.
const REMEMBERED_PACKS: usize = 1024;

/// What proves an event, and who vouches for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Proof {
    pub(super) evidence: String,
    pub(super) wording: String,
    pub(super) recorded_by: String,
    pub(super) sha256: Option<Sha256>,
}

impl Proof {
    /// The octets of a proof.
    pub(super) fn encode(evidence: &str, wording: &str, recorded_by: &str, sha256: Option<Sha256>) -> Vec<u8> {
        let mut octets = Vec::with_capacity(evidence.len() + wording.len() + recorded_by.len() + 40);
        for text in [evidence, wording, recorded_by] {
            varint::push(&mut octets, text.len() as u64);
            octets.extend_from_slice(text.as_bytes());
        }
        octets.extend(sha256.iter().flat_map(|sha256| sha256.0));
        octets
    }

    /// One that was taken out has no octets, and proves nothing.
    fn decode(mut octets: &[u8]) -> Option<Self> {
        if octets.is_empty() {
            return Some(Self::default());
        }
        let mut text = || {
            let length = varint::take(&mut octets).and_then(|length| usize::try_from(length).ok())?;
            let (text, rest) = octets.split_at_checked(length)?;
            octets = rest;
            Some(String::from_utf8_lossy(text).into_owned())
        };
        let (evidence, wording, recorded_by) = (text()?, text()?, text()?);
        let sha256 = if octets.is_empty() { None } else { Some(Sha256(octets.try_into().ok()?)) };
        Some(Self { evidence, wording, recorded_by, sha256 })
    }
}

fn key(number: u64) -> [u8; 9] {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    [PACK, a, b, c, d, e, f, g, h]
}

/// Numbers proofs.
#[derive(Debug)]
pub(super) struct Evidence {
    next: u64,
    /// The proofs from `first` on, not yet put.
    pack: Vec<u8>,
    first: u64,
    recent: HashMap<Box<[u8]>, u64>,
    recent_octets: usize,
    /// How many sweeps have begun.
    sweeps: u64,
}

/// A search for proofs that no event names any more.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// Proofs from this number on came later, and stay.
    until: u64,
    /// Which of those before are named: a bit each.
    marks: Vec<u64>,
    /// The first number that was not looked at.
    next: u64,
    /// The papers of proofs that stay.
    papers: HashSet<Sha256>,
}

/// What a step of a sweep did.
#[derive(Debug)]
pub(super) struct Swept {
    pub(super) gone: u64,
    pub(super) is_done: bool,
}

impl Sweep {
    /// An event names this proof.
    pub(super) fn mark(&mut self, number: u64) {
        if let Some(bits) = usize::try_from(number / 64).ok().and_then(|at| self.marks.get_mut(at)) {
            *bits |= 1 << (number % 64);
        }
    }

    fn stays(&self, number: u64) -> bool {
        let bits = usize::try_from(number / 64).ok().and_then(|at| self.marks.get(at));
        number >= self.until || bits.is_none_or(|bits| bits >> (number % 64) & 1 == 1)
    }

    pub(super) fn into_papers(self) -> HashSet<Sha256> {
        self.papers
    }
}

impl Evidence {
    pub(super) fn load(engine: &dyn Engine) -> Result<Self, EngineError> {
        let next = match engine.last(&[PACK], &[PACK + 1])? {
            Some((key, value)) => first_of(&key)? + Pack::read(&value)?.count()?,
            None => 0,
        };
        Ok(Self { next, pack: Vec::new(), first: next, recent: HashMap::new(), recent_octets: 0, sweeps: 0 })
    }

    /// The number of a proof; new ones are on disk only after [`Evidence::put`].
    pub(super) fn number(&mut self, proof: &[u8], rows: &mut Vec<([u8; 9], Vec<u8>)>) -> u64 {
        if let Some(number) = self.recent.get(proof) {
            return *number;
        }
        let number = self.next;
        self.append(proof, rows);
        if self.recent_octets > REMEMBERED_OCTETS {
            self.recent.clear();
            self.recent_octets = 0;
        }
        self.recent_octets += proof.len() + size_of::<(Box<[u8]>, u64)>();
        self.recent.insert(proof.into(), number);
        number
    }

    /// Takes in a proof under the next number, whether it is a new one or not.
    fn append(&mut self, proof: &[u8], rows: &mut Vec<([u8; 9], Vec<u8>)>) {
        if self.pack.len() + LENGTH_OCTETS + proof.len() > PACK_OCTETS {
            self.put(rows);
        }
        varint::push(&mut self.pack, proof.len() as u64);
        self.pack.extend_from_slice(proof);
        self.next += 1;
    }

    pub(super) fn sweeps(&self) -> u64 {
        self.sweeps
    }

    /// Begins to look for proofs that fall out of use; from now on none of the old ones is given out again.
    pub(super) fn begin_sweep(&mut self) -> Sweep {
        self.sweeps += 1;
        self.recent.clear();
        self.recent_octets = 0;
        let marks = vec![0; usize::try_from(self.first / 64).unwrap_or_default() + 1];
        Sweep { until: self.first, marks, ..Sweep::default() }
    }

    /// Takes out what nothing names from the next packs; all that do were marked.
    pub(super) fn sweep(&self, sweep: &mut Sweep, packs: u64, engine: &dyn Engine) -> Result<Swept, EngineError> {
        let mut gone = 0;
        for _ in 0..packs {
            let Some((row, value)) = engine.first(&key(sweep.next), &[PACK + 1])? else {
                return Ok(Swept { gone, is_done: true });
            };
            let (first, pack) = (first_of(&row)?, Pack::read(&value)?);
            let (mut left, mut count, mut taken) = (Vec::with_capacity(pack.octets.len()), 0, 0);
            for entry in pack.entries() {
                let entry = entry?;
                let stays = sweep.stays(first + count);
                count += 1;
                taken += u64::from(!stays && !entry.is_empty());
                let entry = if stays { entry } else { &[] };
                sweep.papers.extend(Proof::decode(entry).and_then(|proof| proof.sha256));
                varint::push(&mut left, entry.len() as u64);
                left.extend_from_slice(entry);
            }
            let is_last = first + count == self.first;
            // Nothing but lengths, which are 0: nobody needs it but the count, which the last one tells.
            if left.iter().all(|octet| *octet == 0) && !is_last {
                engine.remove(&row)?;
            } else if taken > 0 {
                engine.put(&row, &packed(&left))?;
            }
            gone += taken;
            sweep.next = first + count;
        }
        Ok(Swept { gone, is_done: false })
    }

    /// Hands over the row of the texts that have none yet.
    pub(super) fn put(&mut self, rows: &mut Vec<([u8; 9], Vec<u8>)>) {
        if self.pack.is_empty() {
            return;
        }
        rows.push((key(self.first), packed(&self.pack)));
        self.pack.clear();
        self.first = self.next;
    }
}

/// The row of a pack.
fn packed(pack: &[u8]) -> Vec<u8> {
    let compressed = zstd::bulk::compress(pack, 3).ok().filter(|short| short.len() < pack.len());
    let mut value = vec![if compressed.is_some() { COMPRESSED } else { PLAIN }];
    value.extend_from_slice(compressed.as_deref().unwrap_or(pack));
    value
}

/// Copies every proof into an engine that has none, under its number.
pub(super) fn copy(from: &dyn Engine, to: &dyn Engine) -> Result<(), EngineError> {
    let mut copied = Evidence::load(to)?;
    let (mut next, mut rows) = (vec![PACK], Vec::new());
    while let Some((key, value)) = from.first(&next, &[PACK + 1])? {
        let (first, pack) = (first_of(&key)?, Pack::read(&value)?);
        if first != copied.next {
            return Err(lost(copied.next));
        }
        for place in 0..pack.count()? {
            let proof = pack.nth(place)?.ok_or_else(damaged)?;
            let octets = Proof::encode(&proof.evidence, &proof.wording, &proof.recorded_by, proof.sha256);
            copied.append(&octets, &mut rows);
        }
        for (key, value) in rows.drain(..) {
            to.put(&key, &value)?;
        }
        next = [&key[..], &[0]].concat();
    }
    copied.put(&mut rows);
    rows.iter().try_for_each(|(key, value)| to.put(key, value))
}

/// Reads proofs, and remembers the packs it met: for many of them.
#[derive(Debug, Default)]
pub(super) struct Reader {
    packs: BTreeMap<u64, Arc<Pack>>,
}

impl Reader {
    /// The proof of a number.
    pub(super) fn proof(&mut self, number: u64, engine: &dyn Engine) -> Result<Proof, EngineError> {
        if let Some((first, pack)) = self.packs.range(..=number).next_back()
            && let Some(proof) = pack.nth(number - first)?
        {
            return Ok(proof);
        }
        let (first, pack) = pack_of(number, engine)?;
        let proof = pack.nth(number - first)?.ok_or_else(|| lost(number));
        if self.packs.len() >= REMEMBERED_PACKS {
            self.packs.pop_first();
        }
        self.packs.insert(first, Arc::new(pack));
        proof
    }
}

fn lost(number: u64) -> EngineError {
    EngineError { fault: Fault::Broken, what: format!("evidence {number} is missing") }
}

fn pack_of(number: u64, engine: &dyn Engine) -> Result<(u64, Pack), EngineError> {
    let (key, value) = engine.last(&[PACK], &key(number.saturating_add(1)))?.ok_or_else(|| lost(number))?;
    Ok((first_of(&key)?, Pack::read(&value)?))
}

fn first_of(key: &[u8]) -> Result<u64, EngineError> {
    let number = key.get(1..).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
    number.ok_or_else(|| EngineError { fault: Fault::Broken, what: "key of an evidence pack".to_owned() })
}

fn damaged() -> EngineError {
    EngineError { fault: Fault::Broken, what: "evidence pack".to_owned() }
}

/// A pack in memory, not compressed.
#[derive(Debug)]
struct Pack {
    octets: Vec<u8>,
    /// Whether it holds evidence alone.
    texts: bool,
}

impl Pack {
    fn read(value: &[u8]) -> Result<Self, EngineError> {
        let (kind, octets) = value.split_first().ok_or_else(damaged)?;
        let octets = match *kind {
            PLAIN | PLAIN_TEXTS => octets.to_vec(),
            COMPRESSED | COMPRESSED_TEXTS => zstd::bulk::decompress(octets, VALUE_BYTES).map_err(|_| damaged())?,
            _ => return Err(damaged()),
        };
        Ok(Self { octets, texts: matches!(*kind, PLAIN_TEXTS | COMPRESSED_TEXTS) })
    }

    fn entries(&self) -> impl Iterator<Item = Result<&[u8], EngineError>> {
        let mut left = self.octets.as_slice();
        std::iter::from_fn(move || {
            if left.is_empty() {
                return None;
            }
            let length = varint::take(&mut left).and_then(|length| usize::try_from(length).ok());
            let Some((entry, rest)) = length.and_then(|length| left.split_at_checked(length)) else {
                left = &[];
                return Some(Err(damaged()));
            };
            left = rest;
            Some(Ok(entry))
        })
    }

    fn count(&self) -> Result<u64, EngineError> {
        self.entries().try_fold(0, |count, entry| entry.map(|_| count + 1))
    }

    fn nth(&self, place: u64) -> Result<Option<Proof>, EngineError> {
        let Ok(place) = usize::try_from(place) else { return Ok(None) };
        let Some(entry) = self.entries().nth(place).transpose()? else { return Ok(None) };
        if self.texts {
            let evidence = String::from_utf8_lossy(entry).into_owned();
            return Ok(Some(Proof { evidence, ..Proof::default() }));
        }
        Proof::decode(entry).ok_or_else(damaged).map(Some)
    }
}
