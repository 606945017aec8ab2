//! What was sent to whom, as far as later messages are judged by it.
//!
//! Owns, for each sender and subscriber, the moments that count. What is fresh is in memory; a thread
//! of its own puts it into packed buckets, so nobody who counts waits for a disk to write. Refuses to know
//! what is counted for what. What a crash takes away can be counted again from [`Sends::kept_until_ms`] on.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use siphasher::sip::SipHasher13;

use super::StoreError;
use super::engine::{Engine, Engines, Fault, Sled};
use super::lock::Lock;
use crate::clock;

mod bucket;

/// How often what is fresh is put on disk: what a crash can take away.
const INTERVAL: Duration = Duration::from_secs(5);

/// Pairs whose changes may be in memory alone; about a hundred octets each.
const MOST_FRESH: usize = 500_000;

const SHARDS: usize = 64;

/// Memory for the engine's cache, in octets.
const CACHE: u64 = 64 << 20;

/// Where the moment is kept up to which everything is on disk, and the number of this opening.
const META: &[u8] = b"M";

/// A sender and a subscriber. Two pairs are one by accident in a hundred million pairs once in four thousand times;
/// then one message too many is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pair(u64);

impl Pair {
    /// The same for every process, since it is written down.
    pub fn new(sender: &str, msisdn: u64) -> Self {
        let mut hasher = SipHasher13::new_with_keys(0x706F_7274, 0x6375_6C6C);
        hasher.write(&msisdn.to_le_bytes());
        hasher.write(sender.as_bytes());
        Self(hasher.finish())
    }
}

/// A message that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// When it is delivered, in seconds since 1970 UTC.
    pub at_s: u32,
    /// What tells one message from another.
    pub mark: u32,
    /// For how many days it matters.
    pub keep_days: u16,
    /// Whether it asks for consent.
    pub asks: bool,
    /// What is known of its end.
    pub fate: Fate,
}

/// What is known of a message's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is on its way.
    Open,
    /// It may have arrived or not, and nobody will ever know.
    Unknown,
    /// The carrier took it.
    Taken,
}

/// The counts; share it behind an `Arc`. Dropping it puts on disk what is fresh.
#[derive(Debug)]
pub struct Sends {
    inner: Arc<Inner>,
    stop: Option<mpsc::SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    engines: Arc<dyn Engines>,
    /// None while it has to be opened anew.
    engine: Mutex<Option<Arc<dyn Engine>>>,
    shards: Vec<Mutex<Shard>>,
    fresh: AtomicUsize,
    /// One writes at a time: an older state of a pair must not come after a newer one.
    writing: Mutex<()>,
    /// Counts the openings: what an earlier one left open has an end nobody knows.
    opening: u8,
    kept_until_ms: AtomicI64,
    _lock: Lock,
}

#[derive(Debug, Default)]
struct Shard {
    pairs: HashMap<Pair, Fresh>,
    /// Counts how often pairs left for the disk.
    flushes: u64,
}

#[derive(Clone, Debug)]
struct Fresh {
    moments: Vec<Moment>,
    /// Which change was the last.
    change: u64,
}

impl Sends {
    /// Opens the counts in `dir`, creating them where there are none. Damaged ones are set aside, loudly.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(dir, Arc::new(Sled))
    }

    /// The same over another engine.
    pub fn open_with(dir: &Path, engines: Arc<dyn Engines>) -> Result<Self, StoreError> {
        let lock = Lock::take(dir)?;
        let path = dir.join("db");
        let engine = open_engine(&*engines, &path)?;
        let meta = engine.get(META).map_err(|e| StoreError::engine(&path, &e))?;
        // In new counts nothing is missing: counting begins now.
        let begin = || (clock::wall().as_millisecond(), 0);
        let (kept_until_ms, last) = meta.as_deref().and_then(read_meta).unwrap_or_else(begin);
        let inner = Arc::new(Inner {
            path,
            engines,
            engine: Mutex::new(Some(engine)),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            fresh: AtomicUsize::new(0),
            writing: Mutex::default(),
            opening: last.wrapping_add(1),
            kept_until_ms: AtomicI64::new(kept_until_ms),
            _lock: lock,
        });
        // Before anything is counted: what this opening leaves open must not look like the next one's.
        inner.write_meta(kept_until_ms)?;
        let (stop, stopped) = mpsc::sync_channel(1);
        let writer = Arc::clone(&inner);
        let run = move || {
            while stopped.recv_timeout(INTERVAL) == Err(mpsc::RecvTimeoutError::Timeout) {
                writer.flush_or_say();
            }
            writer.flush_or_say();
        };
        let thread = std::thread::Builder::new().name("sends".to_owned()).spawn(run);
        let thread = thread.map_err(|e| StoreError::io(dir, "start a thread", e))?;
        Ok(Self { inner, stop: Some(stop), thread: Some(thread) })
    }

    /// Everything counted before this moment is on disk.
    pub fn kept_until_ms(&self) -> i64 {
        self.inner.kept_until_ms.load(Relaxed)
    }

    /// What is held of a pair, in the order in which it was counted.
    pub fn moments(&self, pair: Pair) -> Result<Vec<Moment>, StoreError> {
        loop {
            let flushes = {
                let shard = self.inner.shard(pair);
                if let Some(fresh) = shard.pairs.get(&pair) {
                    return Ok(fresh.moments.clone());
                }
                shard.flushes
            };
            let read = self.inner.read(pair)?;
            // What was fresh may have become old between the two looks.
            let shard = self.inner.shard(pair);
            if shard.flushes == flushes && !shard.pairs.contains_key(&pair) {
                return Ok(read);
            }
        }
    }

    /// Changes what is held of a pair, in one step for everybody else; `change` says whether it did.
    pub fn change(&self, pair: Pair, change: impl Fn(&mut Vec<Moment>) -> bool) -> Result<bool, StoreError> {
        loop {
            let flushes = {
                let mut shard = self.inner.shard(pair);
                if let Some(fresh) = shard.pairs.get_mut(&pair) {
                    let changed = change(&mut fresh.moments);
                    fresh.change += u64::from(changed);
                    return Ok(changed);
                }
                shard.flushes
            };
            if self.inner.fresh.load(Relaxed) >= MOST_FRESH {
                return Err(StoreError::Limit { what: "counts that wait for the disk", limit: MOST_FRESH });
            }
            let mut moments = self.inner.read(pair)?;
            let mut shard = self.inner.shard(pair);
            if shard.flushes != flushes || shard.pairs.contains_key(&pair) {
                continue;
            }
            let changed = change(&mut moments);
            if changed {
                shard.pairs.insert(pair, Fresh { moments, change: 1 });
                self.inner.fresh.fetch_add(1, Relaxed);
            }
            return Ok(changed);
        }
    }

    /// Puts everything on disk now.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush()
    }
}

impl Drop for Sends {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that keeps the counts ended in a panic");
        }
    }
}

impl Inner {
    fn shard(&self, pair: Pair) -> MutexGuard<'_, Shard> {
        // The high bits choose the bucket; the low ones are as good.
        let at = usize::try_from(pair.0 % SHARDS as u64).unwrap_or_default();
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, pair: Pair) -> Result<Vec<Moment>, StoreError> {
        let row = self.engine()?.get(&bucket::key(pair)).map_err(|e| self.failed(&e))?;
        let Some(row) = row else { return Ok(Vec::new()) };
        bucket::find(&row, pair, self.opening).ok_or_else(|| StoreError::damaged(&self.path, "a bucket of counts"))
    }

    fn engine(&self) -> Result<Arc<dyn Engine>, StoreError> {
        let mut slot = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*slot {
            return Ok(Arc::clone(engine));
        }
        let opened = self.engines.open(&self.path, CACHE, false);
        let engine = opened.map_err(|e| StoreError::engine(&self.path, &e))?;
        tracing::warn!(path = %self.path.display(), "the counts are open again");
        *slot = Some(Arc::clone(&engine));
        Ok(engine)
    }

    /// After a failure nothing in the engine's memory can be trusted: it is opened anew by the next call.
    fn failed(&self, error: &super::engine::EngineError) -> StoreError {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = None;
        StoreError::engine(&self.path, error)
    }

    fn flush_or_say(&self) {
        if let Err(error) = self.flush() {
            tracing::error!(%error, "what was sent to whom cannot be written down: it waits in memory");
        }
    }

    fn flush(&self) -> Result<(), StoreError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::wall().as_millisecond();
        let mut buckets: BTreeMap<u32, Vec<(Pair, Fresh)>> = BTreeMap::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (pair, fresh) in &shard.pairs {
                buckets.entry(bucket::number(*pair)).or_default().push((*pair, fresh.clone()));
            }
        }
        let engine = self.engine()?;
        for pairs in buckets.values_mut() {
            pairs.sort_unstable_by_key(|(pair, _)| *pair);
            let key = bucket::key(pairs[0].0);
            let row = engine.get(&key).map_err(|e| self.failed(&e))?.unwrap_or_default();
            let fresh = pairs.iter().map(|(pair, fresh)| (*pair, fresh.moments.as_slice()));
            let row = bucket::merged(&row, fresh, self.opening, now / 1000)
                .ok_or_else(|| StoreError::damaged(&self.path, "a bucket of counts"))?;
            engine.put(&key, &row).map_err(|e| self.failed(&e))?;
        }
        self.write_meta(now)?;
        self.forget(buckets.into_values().flatten());
        Ok(())
    }

    /// What is on disk as it is in memory need not be in memory.
    fn forget(&self, written: impl Iterator<Item = (Pair, Fresh)>) {
        for (pair, written) in written {
            let mut shard = self.shard(pair);
            if shard.pairs.get(&pair).is_some_and(|fresh| fresh.change == written.change) {
                shard.pairs.remove(&pair);
                shard.flushes += 1;
                self.fresh.fetch_sub(1, Relaxed);
            }
        }
    }

    fn write_meta(&self, until_ms: i64) -> Result<(), StoreError> {
        let engine = self.engine()?;
        let mut row = until_ms.to_le_bytes().to_vec();
        row.push(self.opening);
        engine.put(META, &row).and_then(|()| engine.sync()).map_err(|e| self.failed(&e))?;
        self.kept_until_ms.store(until_ms, Relaxed);
        Ok(())
    }
}

fn read_meta(row: &[u8]) -> Option<(i64, u8)> {
    let (until, rest) = row.split_first_chunk()?;
    Some((i64::from_le_bytes(*until), *rest.first()?))
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

#[cfg(test)]
mod tests;
