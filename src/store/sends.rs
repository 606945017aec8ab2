//! What was sent to whom, as far as later messages are judged by it.
//!
//! Owns, for each sender and subscriber, the moments that count; on disk, sealed, under names that say nothing. What is fresh is in memory; a thread
//! of its own puts it into packed buckets, so nobody who counts waits for a disk to write. Refuses to know
//! what is counted for what. What a crash takes away can be counted again from [`Sends::kept_until_ms`] on.

use std::collections::HashMap;
use std::hash::Hasher;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use siphasher::sip::SipHasher13;

use super::StoreError;
use super::backup::{Lend, Lender};
use super::engine::{Engine, Engines, Sled};
use super::keys::Keys;
use super::lock::Lock;
use crate::clock;

mod bucket;
mod disk;

use disk::{Before, Disk};

/// How often what is fresh is put on disk: what a crash can take away.
const INTERVAL: Duration = Duration::from_secs(5);

/// How long after a failure the counts are opened anew.
const RETRY: Duration = Duration::from_millis(200);

/// While nothing is counted, how often it is noted that nothing is missing.
const IDLE: Duration = Duration::from_secs(60);

/// How often all that is on disk is looked through for what no longer matters.
const SWEPT: Duration = Duration::from_hours(24);

/// Buckets that are looked through at a time, every [`RETRY`]: two million take two hours.
const BUCKETS: usize = 64;

/// So long after it has ended, in seconds, something goes: the clock may be a day ahead.
const SLACK_S: i64 = 86_400;

/// Pairs whose changes may be in memory alone; about a hundred octets each.
const MOST_FRESH: usize = 500_000;

/// Moments that are kept of one pair.
pub const MOST: usize = 255;

/// The last of those that are told apart though they are the same in the same second.
pub const MOST_ALIKE: u8 = 31;

const SHARDS: usize = 64;

/// Memory for the engine's cache, in octets.
const CACHE: u64 = 64 << 20;

/// A sender and a subscriber. Two pairs are one by accident in a hundred million pairs once in four thousand times;
/// then one message too many is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pair(u64);

impl Pair {
    /// The same for every process. What is written down is keyed as well.
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
    /// Which it is of those that are the same in the same second, no more than [`MOST_ALIKE`].
    pub nth: u8,
    /// For how many days it matters.
    pub keep_days: u16,
    /// Whether it asks for consent.
    pub asks: bool,
    /// What is known of its end.
    pub fate: Fate,
}

/// What was held of a pair when somebody looked.
#[derive(Clone, Debug)]
pub struct Seen {
    /// In the order in which it was counted.
    pub moments: Vec<Moment>,
    flushes: u64,
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
    disk: Disk,
    shards: Vec<Mutex<Shard>>,
    fresh: AtomicUsize,
    /// One writes at a time: an older state of a pair must not come after a newer one.
    writing: Mutex<()>,
    kept_until_ms: AtomicI64,
    before: Before,
    _lock: Lock,
}

/// A look through all that is on disk, for what no longer matters and nobody touches any more.
#[derive(Debug)]
struct Sweep {
    /// Where it goes on; none between two.
    from: Option<Vec<u8>>,
    again_at: std::time::Instant,
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
    pub fn open(dir: &Path, keys: &Keys) -> Result<Self, StoreError> {
        Self::open_with(dir, keys, Arc::new(Sled))
    }

    /// The same over another engine.
    pub fn open_with(dir: &Path, keys: &Keys, engines: Arc<dyn Engines>) -> Result<Self, StoreError> {
        let lock = Lock::take(dir)?;
        let (disk, before) = Disk::open(dir.join("db"), engines, keys)?;
        let inner = Arc::new(Inner {
            disk,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            fresh: AtomicUsize::new(0),
            writing: Mutex::default(),
            kept_until_ms: AtomicI64::new(before.kept_until_ms),
            before,
            _lock: lock,
        });
        let (stop, stopped) = mpsc::sync_channel(1);
        let writer = Arc::clone(&inner);
        let thread = std::thread::Builder::new().name("sends".to_owned()).spawn(move || writer.keep(&stopped));
        let thread = thread.map_err(|e| StoreError::io(dir, "start a thread", e))?;
        Ok(Self { inner, stop: Some(stop), thread: Some(thread) })
    }

    /// Everything counted before this moment is on disk.
    pub fn kept_until_ms(&self) -> i64 {
        self.inner.kept_until_ms.load(Relaxed)
    }

    /// When the opening before this one began: what is older has been through a restart.
    pub fn began_before_ms(&self) -> i64 {
        self.inner.before.began_ms
    }

    /// What is held of a pair, in the order in which it was counted.
    pub fn moments(&self, pair: Pair) -> Result<Vec<Moment>, StoreError> {
        self.look(pair).map(|seen| seen.moments)
    }

    /// The same, for whoever changes it next.
    pub fn look(&self, pair: Pair) -> Result<Seen, StoreError> {
        loop {
            let flushes = {
                let shard = self.inner.shard(pair);
                if let Some(fresh) = shard.pairs.get(&pair) {
                    return Ok(Seen { moments: fresh.moments.clone(), flushes: shard.flushes });
                }
                shard.flushes
            };
            let moments = self.inner.disk.read(pair)?;
            // What was fresh may have become old between the two looks.
            let shard = self.inner.shard(pair);
            if shard.flushes == flushes && !shard.pairs.contains_key(&pair) {
                return Ok(Seen { moments, flushes });
            }
        }
    }

    /// Changes what is held of a pair, unless it is no longer what was seen; whether it did.
    pub fn change_seen(&self, pair: Pair, seen: &Seen, change: impl Fn(&mut Vec<Moment>)) -> Result<bool, StoreError> {
        {
            let mut shard = self.inner.shard(pair);
            // Nothing of it has gone to disk since, so that it need not be read again.
            if shard.flushes == seen.flushes && !shard.pairs.contains_key(&pair) {
                self.inner.check_room()?;
                let mut moments = seen.moments.clone();
                change(&mut moments);
                self.inner.add(&mut shard, pair, moments);
                return Ok(true);
            }
        }
        self.change(pair, |moments| {
            let is_same = *moments == seen.moments;
            if is_same {
                change(moments);
            }
            is_same
        })
    }

    /// Changes what is held of a pair, in one step for everybody else; `change` says whether it did.
    pub fn change(&self, pair: Pair, change: impl Fn(&mut Vec<Moment>) -> bool) -> Result<bool, StoreError> {
        loop {
            let flushes = {
                let mut shard = self.inner.shard(pair);
                if let Some(fresh) = shard.pairs.get_mut(&pair) {
                    let changed = change(&mut fresh.moments);
                    trim(&mut fresh.moments);
                    fresh.change += u64::from(changed);
                    return Ok(changed);
                }
                shard.flushes
            };
            self.inner.check_room()?;
            let mut moments = self.inner.disk.read(pair)?;
            let mut shard = self.inner.shard(pair);
            if shard.flushes != flushes || shard.pairs.contains_key(&pair) {
                continue;
            }
            let changed = change(&mut moments);
            if changed {
                self.inner.add(&mut shard, pair, moments);
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

impl Lend for Sends {
    fn lend(&self) -> Result<Lender, StoreError> {
        self.inner.disk.lend()
    }
}

/// The counts as the process before left them: nothing is counted, and so nothing is taken for counted.
#[derive(Debug)]
pub struct Asleep {
    engine: Arc<dyn Engine>,
    _lock: Lock,
}

impl Asleep {
    /// The counts in `dir`; `None` where there are none.
    pub fn open(dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = dir.join("db");
        if !path.is_dir() {
            return Ok(None);
        }
        let lock = Lock::take(dir)?;
        let engine = Sled.open(&path, CACHE, false).map_err(|e| StoreError::engine(&path, &e))?;
        Ok(Some(Self { engine, _lock: lock }))
    }
}

impl Lend for Asleep {
    fn lend(&self) -> Result<Lender, StoreError> {
        let engine = Arc::downgrade(&self.engine);
        Ok(Box::new(move || engine.upgrade()))
    }
}

impl Inner {
    fn shard(&self, pair: Pair) -> MutexGuard<'_, Shard> {
        // The high bits choose the bucket; the low ones are as good.
        let at = usize::try_from(pair.0 % SHARDS as u64).unwrap_or_default();
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_room(&self) -> Result<(), StoreError> {
        if self.fresh.load(Relaxed) < MOST_FRESH {
            return Ok(());
        }
        Err(StoreError::Limit { what: "counts that wait for the disk", limit: MOST_FRESH })
    }

    /// Holds what is new of a pair of which nothing was in memory.
    fn add(&self, shard: &mut Shard, pair: Pair, mut moments: Vec<Moment>) {
        trim(&mut moments);
        shard.pairs.insert(pair, Fresh { moments, change: 1 });
        self.fresh.fetch_add(1, Relaxed);
    }

    /// Writes what is fresh until it is told to stop.
    fn keep(&self, stopped: &mpsc::Receiver<()>) {
        let mut written = clock::monotonic();
        let mut sweep = Sweep { from: Some(vec![bucket::BUCKET]), again_at: written };
        while stopped.recv_timeout(RETRY) == Err(mpsc::RecvTimeoutError::Timeout) {
            self.mend();
            if clock::monotonic().duration_since(written) >= INTERVAL {
                self.flush_or_say();
                written = clock::monotonic();
            }
            self.sweep(&mut sweep);
        }
        self.mend();
        self.flush_or_say();
    }

    fn mend(&self) {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.disk.mend();
    }

    /// Goes on with the look through what is on disk; after a failure it begins anew when its time comes again.
    fn sweep(&self, sweep: &mut Sweep) {
        let now = clock::monotonic();
        let from = match &sweep.from {
            Some(from) => from.as_slice(),
            None if now < sweep.again_at => return,
            None => &[bucket::BUCKET],
        };
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        sweep.from = match self.disk.sweep(from, BUCKETS, clock::wall().as_second() - SLACK_S) {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "what was sent to whom long ago cannot be looked through");
                None
            }
        };
        if sweep.from.is_none() {
            sweep.again_at = now + SWEPT;
        }
    }

    fn flush_or_say(&self) {
        if let Err(error) = self.flush() {
            tracing::error!(%error, "what was sent to whom cannot be written down: it waits in memory");
        }
    }

    fn flush(&self) -> Result<(), StoreError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::wall().as_millisecond();
        let fresh = self.fresh();
        let kept = self.kept_until_ms.load(Relaxed);
        let idle = i64::try_from(IDLE.as_millis()).unwrap_or(i64::MAX);
        if fresh.is_empty() && (kept..kept.saturating_add(idle)).contains(&now) {
            return Ok(());
        }
        self.disk.put_all(fresh.iter().map(|(pair, fresh)| (*pair, fresh.moments.as_slice())), now / 1000)?;
        self.disk.write_meta(now)?;
        self.kept_until_ms.store(now, Relaxed);
        self.forget(fresh.into_iter());
        Ok(())
    }

    /// What is in memory alone, as it is now.
    fn fresh(&self) -> Vec<(Pair, Fresh)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.pairs.iter().map(|(pair, fresh)| (*pair, fresh.clone())));
        }
        all
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
}

/// What is oldest goes, a request for consent last.
fn trim(moments: &mut Vec<Moment>) {
    while moments.len() > MOST
        && let Some((at, _)) = moments.iter().enumerate().min_by_key(|(_, moment)| (moment.asks, moment.at_s))
    {
        moments.remove(at);
    }
}

#[cfg(test)]
mod tests;
