//! A day's compression dictionaries: trained from its own first entries, kept in its database.
//!
//! Owns them and their rows. Refuses to carry one over to the next day: it holds pieces of messages,
//! and those go when their day goes. Driven by the day.

use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use super::block::Dictionary;
use super::day::DayStore;
use super::layout::{DICTIONARY, bounds, dictionary_key};
use crate::store::StoreError;
use crate::store::engine::VALUE_BYTES;
use crate::store::keys::OVERHEAD;

/// The id of the one dictionary a day gets.
const ID: u8 = 1;

/// The dictionaries of one day.
#[derive(Debug, Default)]
pub(super) struct Dictionaries {
    known: RwLock<Vec<Arc<Dictionary>>>,
}

impl DayStore {
    /// Reads the dictionaries there are.
    pub(super) fn load_dictionaries(&mut self) -> Result<(), StoreError> {
        let mut sealed: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let (from, until) = bounds(DICTIONARY);
        let scanned = self.engine.scan(&from, &until, &mut |key, value| {
            sealed.push((key.to_vec(), value.to_vec()));
            true
        });
        scanned.map_err(|e| self.failed(&e))?;
        let mut rows: Vec<(u8, u8, Vec<u8>)> = Vec::new();
        for (key, value) in sealed {
            if let [_, id, chunk] = *key {
                rows.push((id, chunk, self.open_row(&key, value)?));
            }
        }
        let known: Vec<_> = rows.chunk_by(|a, b| a.0 == b.0).filter_map(Dictionaries::assemble).map(Arc::new).collect();
        self.exclusively().1.samples = Samples::new(known.is_empty());
        self.dictionaries = Dictionaries { known: RwLock::new(known) };
        Ok(())
    }

    /// Puts a dictionary, its first row last, and compresses with it from now on.
    pub(super) fn add(&self, dictionary: Dictionary) -> Result<(), StoreError> {
        let chunks: Vec<_> = dictionary.octets.chunks(VALUE_BYTES - 1 - OVERHEAD).zip(0..=u8::MAX).collect();
        for (octets, chunk) in chunks.iter().rev() {
            let head = (*chunk == 0).then_some(u8::try_from(chunks.len()).unwrap_or(u8::MAX));
            let value: Vec<u8> = head.into_iter().chain(octets.iter().copied()).collect();
            self.put_sealed(&dictionary_key(dictionary.id, *chunk), &value)?;
        }
        self.dictionaries.known.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(dictionary));
        Ok(())
    }
}

impl Dictionaries {
    /// A dictionary from its rows; one whose writing was cut short has no first row, and no block uses it.
    fn assemble(rows: &[(u8, u8, Vec<u8>)]) -> Option<Dictionary> {
        let (id, chunk, first) = rows.first()?;
        let (count, octets) = first.split_first().filter(|_| *chunk == 0)?;
        let rest = rows[1..].iter().map(|(_, _, value)| value.as_slice());
        let octets: Vec<&[u8]> = std::iter::once(octets).chain(rest).collect();
        if octets.len() != usize::from(*count) {
            return None;
        }
        Dictionary::new(*id, octets.concat())
    }

    /// The one to compress with.
    pub(super) fn current(&self) -> Option<Arc<Dictionary>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    /// The one a block was compressed with; 0 is none.
    pub(super) fn get(&self, id: u8) -> Result<Option<Arc<Dictionary>>, String> {
        if id == 0 {
            return Ok(None);
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|dictionary| dictionary.id == id);
        found.cloned().map(Some).ok_or_else(|| format!("dictionary {id} is missing"))
    }
}

/// Entries gathered for the training of the day's dictionary.
#[derive(Debug)]
pub(super) struct Samples {
    wanted: bool,
    seen: usize,
    payloads: Vec<u8>,
    lengths: Vec<usize>,
    training: Option<JoinHandle<Option<Dictionary>>>,
}

impl Samples {
    /// How many entries are sampled.
    const COUNT: usize = 4_096;
    /// One entry in so many, so that the sample is not all of one burst.
    const STRIDE: usize = 4;
    /// Longer ones would crowd out the rest.
    const LONGEST: usize = 2_048;

    pub(super) fn new(wanted: bool) -> Self {
        Self { wanted, seen: 0, payloads: Vec::new(), lengths: Vec::new(), training: None }
    }

    pub(super) fn offer(&mut self, payload: &[u8]) {
        if !self.wanted {
            return;
        }
        self.seen += 1;
        if self.seen.is_multiple_of(Self::STRIDE) && payload.len() <= Self::LONGEST {
            self.payloads.extend_from_slice(payload);
            self.lengths.push(payload.len());
        }
    }

    /// Trains beside the writer once there is enough; hands over what came of it.
    pub(super) fn train(&mut self) -> Option<Dictionary> {
        if self.wanted && self.lengths.len() >= Self::COUNT {
            self.wanted = false;
            let (payloads, lengths) = (std::mem::take(&mut self.payloads), std::mem::take(&mut self.lengths));
            let train = move || Dictionary::train(ID, &payloads, &lengths);
            self.training = std::thread::Builder::new().name("journal-dictionary".to_owned()).spawn(train).ok();
        }
        self.training.take_if(|training| training.is_finished())?.join().ok().flatten()
    }
}
