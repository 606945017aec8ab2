//! The counts on disk.
//!
//! Owns the sealing of rows and the keyed names of pairs in them, and the engine: after a failure it is closed, and opened anew by the thread that writes, so that
//! nobody who judges a message waits for a sick disk. A damaged row is set aside, loudly, and its bucket
//! begins anew. Refuses to know what is fresh. Driven by [`super::Sends`].

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use siphasher::sip::SipHasher13;

use super::bucket;
use super::{CACHE, Moment, Pair};
use crate::clock;
use crate::store::backup::{Lend, Lender};
use crate::store::engine::{Engine, EngineError, Engines, Fault};
use crate::store::keys::{Key, Keys, Sealer};
use crate::store::sealed::{VERSION_KEY, known_key, rows_of, version_row};
use crate::store::{StoreError, exchange};

/// The layout: 2 is sealed. One without a version is brought up to it.
const VERSION: u8 = 2;

/// The name of the key that all of it is sealed with.
const KEY: &str = "sends";

/// Pairs that are brought up together.
const MANY: usize = 1 << 20;

/// Where the moment is kept up to which everything is on disk, the number of this opening, and its moment.
const META: &[u8] = b"M";

/// Damaged rows that wait to be set aside; of more, each is found again.
const MOST_DAMAGED: usize = 1024;

#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    engines: Arc<dyn Engines>,
    slot: RwLock<Slot>,
    sealer: Sealer,
    hasher: SipHasher13,
    /// Counts the openings: what an earlier one left open has an end nobody knows.
    opening: u8,
    began_ms: i64,
    /// Rows that were found damaged, by their buckets.
    damaged: Mutex<BTreeMap<u32, Vec<u8>>>,
}

#[derive(Debug)]
enum Slot {
    Open(Arc<dyn Engine>),
    Closed { reason: String },
}

/// What is known of the opening before.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) kept_until_ms: i64,
    pub(super) began_ms: i64,
}

impl Disk {
    /// Opens the counts, creating them where there are none. Damaged ones are set aside, loudly; ones whose key is
    /// missing stay as they are.
    pub(super) fn open(path: PathBuf, engines: Arc<dyn Engines>, keys: &Keys) -> Result<(Self, Before), StoreError> {
        let failed = |e: EngineError| StoreError::engine(&path, &e);
        exchange::finish(&path)?;
        let mut engine = open_engine(&*engines, &path)?;
        let version = engine.get(VERSION_KEY).map_err(failed)?;
        let key = match version.as_deref() {
            Some([VERSION, known @ ..]) => known_key(keys, KEY, known)?,
            Some(_) => return Err(StoreError::damaged(&path, "layout version: this program reads 1 and 2")),
            None => keys.make(KEY)?,
        };
        if version.is_none() && engine.get(META).map_err(failed)?.is_some() {
            bring_up(engine, &engines, &path, &key)?;
            engine = open_engine(&*engines, &path)?;
        } else if version.is_none() {
            engine.put(VERSION_KEY, &version_row(VERSION, &key)).map_err(failed)?;
        }
        let (disk, before) = Self::begin(path, engines, engine, &key)?;
        // Before anything is counted: what this opening leaves open must not look like the next one's.
        disk.write_meta(before.kept_until_ms)?;
        Ok((disk, before))
    }

    fn begin(
        path: PathBuf,
        engines: Arc<dyn Engines>,
        engine: Arc<dyn Engine>,
        key: &Key,
    ) -> Result<(Self, Before), StoreError> {
        let sealer = rows_of(key);
        let meta = engine.get(META).map_err(|e| StoreError::engine(&path, &e))?;
        let meta = meta.and_then(|mut row| sealer.open(META, &mut row).and_then(|row| read_meta(row)));
        let now = clock::wall().as_millisecond();
        // In new counts nothing is missing: counting begins now.
        let (kept_until_ms, last, began_ms) = meta.unwrap_or((now, 0, now));
        let disk = Self {
            path,
            engines,
            slot: RwLock::new(Slot::Open(engine)),
            sealer,
            hasher: key.derive("pairs").hasher(),
            opening: last.wrapping_add(1),
            began_ms: now,
            damaged: Mutex::default(),
        };
        Ok((disk, Before { kept_until_ms, began_ms }))
    }

    /// A pair as it is written down.
    fn keyed(&self, pair: Pair) -> Pair {
        let mut hasher = self.hasher;
        hasher.write_u64(pair.0);
        Pair(hasher.finish())
    }

    /// What is held of a pair.
    pub(super) fn read(&self, pair: Pair) -> Result<Vec<Moment>, StoreError> {
        let pair = self.keyed(pair);
        let key = bucket::key(pair);
        let Some(row) = self.with(|engine| engine.get(&key))? else { return Ok(Vec::new()) };
        let mut opened = row.clone();
        let found = self.sealer.open(&key, &mut opened).and_then(|plain| bucket::find(plain, pair, self.opening));
        if let Some(moments) = found {
            return Ok(moments);
        }
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        if damaged.len() < MOST_DAMAGED {
            damaged.insert(bucket::number(pair), row);
        }
        Err(StoreError::damaged(&self.path, "a bucket of counts"))
    }

    /// Puts what is held of these pairs in the place of what was.
    pub(super) fn put_all<'m>(
        &self,
        pairs: impl Iterator<Item = (Pair, &'m [Moment])>,
        now_s: i64,
    ) -> Result<(), StoreError> {
        let mut keyed: Vec<_> = pairs.map(|(pair, moments)| (self.keyed(pair), moments)).collect();
        keyed.sort_unstable_by_key(|(pair, _)| *pair);
        let same =
            |one: &(Pair, &[Moment]), other: &(Pair, &[Moment])| bucket::number(one.0) == bucket::number(other.0);
        keyed.chunk_by(same).try_for_each(|pairs| self.put(pairs, now_s))
    }

    /// The same for pairs as they are written down, all of one bucket and in order.
    fn put(&self, pairs: &[(Pair, &[Moment])], now_s: i64) -> Result<(), StoreError> {
        let Some((first, _)) = pairs.first() else { return Ok(()) };
        let key = bucket::key(*first);
        let fresh = || pairs.iter().copied();
        let merged = |row: &[u8]| bucket::merged(row, fresh(), self.opening, now_s);
        let row = match self.with(|engine| engine.get(&key))? {
            None => merged(&[]),
            Some(row) => match self.sealer.open(&key, &mut row.clone()).and_then(|plain| merged(plain)) {
                Some(row) => Some(row),
                None => {
                    self.set_aside(bucket::number(*first), &row)?;
                    merged(&[])
                }
            },
        };
        let row = row.unwrap_or_default();
        let sealed = self.sealer.seal(&key, &row);
        self.with(|engine| if row.is_empty() { engine.remove(&key) } else { engine.put(&key, &sealed) })
    }

    /// Lets go of what no longer matters in so many buckets from a row on; gives the row to go on from, none at the
    /// end. A damaged bucket is left to whoever reads it.
    pub(super) fn sweep(&self, from: &[u8], buckets: usize, now_s: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut from = from.to_vec();
        for _ in 0..buckets {
            let Some((key, row)) = self.with(|engine| engine.first(&from, &[bucket::BUCKET + 1]))? else {
                return Ok(None);
            };
            let mut opened = row;
            let plain = self.sealer.open(&key, &mut opened).map(|plain| &*plain);
            let left = plain
                .filter(|plain| bucket::has_ended(plain, now_s) == Some(true))
                .and_then(|plain| bucket::merged(plain, std::iter::empty(), self.opening, now_s));
            if let Some(left) = left {
                let sealed = self.sealer.seal(&key, &left);
                self.with(|engine| if left.is_empty() { engine.remove(&key) } else { engine.put(&key, &sealed) })?;
            }
            from = [&key[..], &[0]].concat();
        }
        Ok(Some(from))
    }

    /// Opens what a failure has closed, and sets aside what was found damaged.
    pub(super) fn mend(&self) {
        let is_closed = matches!(*self.slot.read().unwrap_or_else(PoisonError::into_inner), Slot::Closed { .. });
        if is_closed {
            let opened = self.engines.open(&self.path, CACHE, false);
            let is_open = opened.is_ok();
            let slot = match opened {
                Ok(engine) => Slot::Open(engine),
                Err(error) => Slot::Closed { reason: error.to_string() },
            };
            *self.slot.write().unwrap_or_else(PoisonError::into_inner) = slot;
            // Said once it is so: who waits for the word asks at once.
            if is_open {
                tracing::warn!(path = %self.path.display(), "the counts are open again");
            }
        }
        let damaged = std::mem::take(&mut *self.damaged.lock().unwrap_or_else(PoisonError::into_inner));
        for (number, row) in damaged {
            if let Err(error) = self.begin_anew(number, &row) {
                tracing::error!(%error, "a damaged bucket of counts cannot be set aside: it is tried again");
            }
        }
    }

    /// Everything put so far is on disk, and nothing before this moment is missing.
    pub(super) fn write_meta(&self, until_ms: i64) -> Result<(), StoreError> {
        let mut row = until_ms.to_le_bytes().to_vec();
        row.push(self.opening);
        row.extend(self.began_ms.to_le_bytes());
        let sealed = self.sealer.seal(META, &row);
        self.with(|engine| engine.put(META, &sealed).and_then(|()| engine.sync()))
    }

    /// The caller is the only one who puts rows, so that a row is still the one that was found.
    fn begin_anew(&self, number: u32, row: &[u8]) -> Result<(), StoreError> {
        let key = bucket::key_of(number);
        if self.with(|engine| engine.get(&key))?.as_deref() != Some(row) {
            return Ok(());
        }
        self.set_aside(number, row)?;
        self.with(|engine| engine.remove(&key))
    }

    /// Puts a row in a pair's bucket as it is.
    #[cfg(test)]
    pub(super) fn put_raw(&self, pair: Pair, row: &[u8]) {
        self.with(|engine| engine.put(&bucket::key(self.keyed(pair)), row)).expect("a row to be put");
    }

    fn set_aside(&self, number: u32, row: &[u8]) -> Result<(), StoreError> {
        tracing::error!(
            bucket = number,
            octets = row.len(),
            "a bucket of counts is damaged and set aside: what was sent to its few subscribers may be sent, and \
             asked, once more"
        );
        self.with(|engine| engine.put(&bucket::key_aside(number), row))
    }

    fn with<T>(&self, act: impl FnOnce(&dyn Engine) -> Result<T, EngineError>) -> Result<T, StoreError> {
        let engine = match &*self.slot.read().unwrap_or_else(PoisonError::into_inner) {
            Slot::Open(engine) => Arc::clone(engine),
            Slot::Closed { reason } => {
                return Err(StoreError::Engine { path: self.path.clone(), what: reason.clone() });
            }
        };
        act(&*engine).map_err(|error| {
            self.close(&engine, &error);
            StoreError::engine(&self.path, &error)
        })
    }

    /// After a failure nothing in the engine's memory can be trusted.
    fn close(&self, failed: &Arc<dyn Engine>, error: &EngineError) {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*slot, Slot::Open(engine) if Arc::ptr_eq(engine, failed)) {
            tracing::error!(%error, "the counts failed and are opened anew");
            *slot = Slot::Closed { reason: error.to_string() };
        }
    }
}

impl Lend for Disk {
    fn lend(&self) -> Result<Lender, StoreError> {
        match &*self.slot.read().unwrap_or_else(PoisonError::into_inner) {
            Slot::Open(engine) => {
                let engine = Arc::downgrade(engine);
                Ok(Box::new(move || engine.upgrade()))
            }
            Slot::Closed { reason } => Err(StoreError::Engine { path: self.path.clone(), what: reason.clone() }),
        }
    }
}

fn read_meta(row: &[u8]) -> Option<(i64, u8, i64)> {
    let (until, rest) = row.split_first_chunk()?;
    let (opening, began) = rest.split_first()?;
    Some((i64::from_le_bytes(*until), *opening, i64::from_le_bytes(*began.first_chunk()?)))
}

/// Copies counts of the layout before, which are not sealed, into a database that takes their place.
fn bring_up(old: Arc<dyn Engine>, engines: &Arc<dyn Engines>, path: &Path, key: &Key) -> Result<(), StoreError> {
    let failed = |e: EngineError| StoreError::engine(path, &e);
    let fresh = exchange::fresh(path);
    let meta = old.get(META).map_err(failed)?.as_deref().and_then(read_meta);
    let engine = engines.open(&fresh, CACHE, true).map_err(failed)?;
    engine.put(VERSION_KEY, &version_row(VERSION, key)).map_err(failed)?;
    let (mut disk, before) = Disk::begin(fresh, Arc::clone(engines), engine, key)?;
    let (kept_until_ms, opening, began_ms) = meta.unwrap_or((before.kept_until_ms, 0, before.began_ms));
    // What was open there has an end nobody knows.
    disk.opening = opening.wrapping_add(1);
    disk.began_ms = began_ms;
    let (mut from, until, mut pairs) = (vec![bucket::BUCKET], [bucket::BUCKET + 1], Vec::new());
    let now_s = clock::wall().as_second();
    let put = |disk: &Disk, pairs: &mut Vec<(Pair, Vec<Moment>)>| {
        let pairs = std::mem::take(pairs);
        disk.put_all(pairs.iter().map(|(pair, moments)| (*pair, moments.as_slice())), now_s)
    };
    while let Some((key, row)) = old.first(&from, &until).map_err(failed)? {
        match bucket::all(&row, disk.opening) {
            Some(all) => pairs.extend(all),
            None => {
                tracing::error!("a damaged bucket of counts is left out: its few subscribers may be sent to once more")
            }
        }
        if pairs.len() >= MANY {
            put(&disk, &mut pairs)?;
        }
        from = [&key[..], &[0]].concat();
    }
    put(&disk, &mut pairs)?;
    disk.write_meta(kept_until_ms)?;
    drop((old, disk));
    exchange::take_place(path)
}

fn open_engine(engines: &dyn Engines, path: &Path) -> Result<Arc<dyn Engine>, StoreError> {
    let failed = match engines.open(path, CACHE, true) {
        Ok(engine) => return Ok(engine),
        Err(error) => error,
    };
    if failed.fault != Fault::Broken {
        return Err(StoreError::engine(path, &failed));
    }
    let aside = path.with_extension(format!("damaged-{}", clock::wall().as_second()));
    std::fs::rename(path, &aside).map_err(|e| StoreError::io(path, "set the damaged counts aside", e))?;
    tracing::error!(
        error = %failed, aside = %aside.display(),
        "the counts are damaged and set aside: what was sent before may be sent, and asked, once more"
    );
    engines.open(path, CACHE, true).map_err(|e| StoreError::engine(path, &e))
}
