//! Who agreed to what, and who refused.
//!
//! Owns every event of every subscriber, and the standing they come to: the last in event time wins,
//! a tie is a refusal, a refusal covers all of a sender's categories. All of it is sealed, and lies under codes that
//! say nothing about a number without the key. Refuses to forget an event and to let any order of arrival,
//! crash or collision turn a no into a yes. Driven by the gate and by imports.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::backup::{Lend, Lender};
use super::engine::{Engines, Sled};
use super::keys::{Keys, MasterSource};
use super::lock::Lock;
use super::{Health, StoreError, exchange};
use crate::clock;

mod address;
mod archive;
mod bucket;
mod commit;
mod event;
mod evidence;
mod expiry;
mod intake;
mod item;
mod ledger;
mod migration;
mod names;
mod standing;

pub use event::{ALL_SENDERS_OF, Event, Held, Status, Towards, all_senders_of};
pub use evidence::{EVIDENCE_OCTETS, WORDING_OCTETS};
pub use expiry::{Stepped, Walk};
pub use names::NAME_OCTETS;
pub use standing::{AsOf, Category, Standing, Stood, standing_as_of};

use intake::Chunk;
use ledger::Ledger;

/// How long after a failure the consents are opened anew.
const RETRY: Duration = Duration::from_millis(200);

/// How the consents are kept.
#[derive(Clone, Debug)]
pub struct ConsentsOptions {
    /// Memory for the engine's cache, in octets.
    pub cache_bytes: u64,
    /// What they are sealed with; without, keys of their own in their folder.
    pub keys: Option<Keys>,
    /// The engine underneath.
    pub engines: Arc<dyn Engines>,
}

impl Default for ConsentsOptions {
    fn default() -> Self {
        Self { cache_bytes: 256 << 20, keys: None, engines: Arc::new(Sled) }
    }
}

/// What became of the events of one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Now held.
    pub changed: u64,
    /// Held already.
    pub unchanged: u64,
    /// Now held as history: something later stands.
    pub stale: u64,
}

/// The consents; share it behind an `Arc`.
///
/// What fails because the system refused is tried again by later calls, without a restart. A store
/// that is damaged or gone is never replaced by an empty one: that would forget every refusal.
#[derive(Debug)]
pub struct Consents {
    path: PathBuf,
    cache: u64,
    engines: Arc<dyn Engines>,
    keys: Keys,
    ledger: RwLock<Slot>,
    _lock: Lock,
}

#[derive(Debug)]
enum Slot {
    Open(Arc<Ledger>),
    Closed { reason: String, retry_at: Instant },
}

impl Consents {
    /// Opens the consents in `dir`, creating them where there are none.
    pub fn open(dir: &Path, options: &ConsentsOptions) -> Result<Self, StoreError> {
        let lock = Lock::take(dir)?;
        let path = dir.join("db");
        let engines = Arc::clone(&options.engines);
        let keys = match &options.keys {
            Some(keys) => keys.clone(),
            None => Keys::open(&dir.join("keys"), &MasterSource::Beside)?,
        };
        let ledger = open_ledger(&*engines, &path, options.cache_bytes, true, &keys)?;
        let ledger = RwLock::new(Slot::Open(Arc::new(ledger)));
        Ok(Self { path, cache: options.cache_bytes, engines, keys, ledger, _lock: lock })
    }

    /// Where a subscriber stands with a sender at a moment, by all that is known.
    pub fn standing(&self, towards: Towards<'_>, msisdn: u64, at_ms: i64) -> Result<Standing, StoreError> {
        self.with(|ledger| ledger.standing(towards, msisdn, at_ms))
    }

    /// Takes in events; all of them are durable when this returns.
    pub fn apply(&self, events: &[Event<'_>]) -> Result<Applied, StoreError> {
        self.with(|ledger| {
            let (mut chunk, mut applied) = (Chunk::default(), Applied::default());
            events.iter().try_for_each(|event| ledger.gather(event, &mut chunk))?;
            ledger.take_in(&mut chunk, &mut applied)?;
            ledger.sync()?;
            Ok(applied)
        })
    }

    /// Starts an import: events in any number, durable when it is finished.
    pub fn import(&self) -> Import<&Self> {
        Import::into(self)
    }

    /// What stands of a subscriber: the last consent to each category, the last refusal of each sender.
    pub fn show(&self, msisdn: u64) -> Result<Vec<Held>, StoreError> {
        self.with(|ledger| ledger.show(msisdn))
    }

    /// Every event of a subscriber, in the order in which they happened.
    pub fn history(&self, msisdn: u64) -> Result<Vec<Held>, StoreError> {
        self.with(|ledger| ledger.history(msisdn))
    }

    /// What stands of all subscribers, or every event with its `history`, in no order; what changes meanwhile is
    /// shown before or after the change.
    pub fn export(&self, history: bool) -> impl Iterator<Item = Result<Held, StoreError>> {
        let before = self.with(|ledger| Ok(ledger.count()));
        let (count, failed) = before.map_or_else(|e| (0, Some(Err(e))), |count| (count, None));
        let mut reader = evidence::Reader::default();
        let mut export = move |bucket| self.with(|ledger| ledger.export(bucket, count, history, &mut reader));
        let held = (0..count).flat_map(move |bucket| match export(bucket) {
            Ok(held) => held.into_iter().map(Ok).collect(),
            Err(e) => vec![Err(e)],
        });
        failed.into_iter().chain(held)
    }

    /// Goes a step of a walk over all subscribers, and takes away what has expired: durable when this returns.
    ///
    /// `decide` is shown all events of one subscriber, in no order and without what proves them, and answers for each
    /// whether it goes. Called until the walk is done; after an error it begins anew.
    pub fn expire(&self, walk: &mut Walk, decide: &mut dyn FnMut(&[Held]) -> Vec<bool>) -> Result<Stepped, StoreError> {
        self.with(|ledger| {
            let stepped = ledger.step(walk, decide)?;
            if stepped.events > 0 || stepped.proofs > 0 {
                ledger.sync()?;
            }
            Ok(stepped)
        })
    }

    /// About how many events are held.
    pub fn held(&self) -> Result<u64, StoreError> {
        self.with(|ledger| Ok(ledger.held_count()))
    }

    /// Whether consents can be read and written.
    pub fn health(&self) -> Health {
        match &*self.ledger.read().unwrap_or_else(PoisonError::into_inner) {
            Slot::Open(_) => Health::Up,
            Slot::Closed { reason, .. } => Health::Down { reason: reason.as_str().into() },
        }
    }

    /// Runs `act` on the open ledger. After a failure of the system nothing in memory can be trusted
    /// to match the disk: the ledger is closed, and opened anew by a later call.
    fn with<T>(&self, act: impl FnOnce(&Ledger) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let ledger = self.ledger()?;
        let done = act(&ledger);
        if let Err(e @ (StoreError::Engine { .. } | StoreError::Io { .. } | StoreError::Damaged { .. })) = &done {
            self.close(&ledger, e);
        }
        done
    }

    fn ledger(&self) -> Result<Arc<Ledger>, StoreError> {
        if let Slot::Open(ledger) = &*self.ledger.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(ledger));
        }
        let mut slot = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
        let (reason, retry_at) = match &*slot {
            Slot::Open(ledger) => return Ok(Arc::clone(ledger)),
            Slot::Closed { reason, retry_at } => (reason.clone(), *retry_at),
        };
        if clock::monotonic() < retry_at {
            return Err(StoreError::Engine { path: self.path.clone(), what: reason });
        }
        match open_ledger(&*self.engines, &self.path, self.cache, false, &self.keys) {
            Ok(ledger) => {
                tracing::warn!(path = %self.path.display(), "the consents are open again");
                let ledger = Arc::new(ledger);
                *slot = Slot::Open(Arc::clone(&ledger));
                Ok(ledger)
            }
            Err(e) => {
                *slot = Slot::Closed { reason: e.to_string(), retry_at: clock::monotonic() + RETRY };
                Err(e)
            }
        }
    }

    fn close(&self, failed: &Arc<Ledger>, error: &StoreError) {
        let mut slot = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*slot, Slot::Open(ledger) if Arc::ptr_eq(ledger, failed)) {
            tracing::error!(error = %error, "the consents failed and are opened anew");
            *slot = Slot::Closed { reason: error.to_string(), retry_at: clock::monotonic() + RETRY };
        }
    }
}

impl Lend for Consents {
    fn lend(&self) -> Result<Lender, StoreError> {
        let ledger = Arc::downgrade(&self.ledger()?);
        Ok(Box::new(move || ledger.upgrade().map(|ledger| Arc::clone(&ledger.plain))))
    }
}

fn open_ledger(
    engines: &dyn Engines,
    path: &Path,
    cache: u64,
    create: bool,
    keys: &Keys,
) -> Result<Ledger, StoreError> {
    exchange::finish(path)?;
    let engine = engines.open(path, cache, create).map_err(|e| StoreError::engine(path, &e))?;
    let engine = migration::bring_up(engine, engines, path, cache, keys)?;
    Ledger::open(engine, path.to_owned(), keys)
}

/// An import under way. Dropped unfinished, what it took in so far stays or goes; running it again is harmless.
#[derive(Debug)]
pub struct Import<C> {
    consents: C,
    chunk: Chunk,
    applied: Applied,
}

impl<C: Deref<Target = Consents>> Import<C> {
    /// Starts an import into these consents.
    pub fn into(consents: C) -> Self {
        Self { consents, chunk: Chunk::default(), applied: Applied::default() }
    }

    /// Takes in one event. One that is refused for itself ([`StoreError::Limit`]) leaves the rest as it was.
    pub fn push(&mut self, event: &Event<'_>) -> Result<(), StoreError> {
        let Self { consents, chunk, applied } = self;
        consents.with(|ledger| {
            ledger.gather(event, chunk)?;
            if chunk.is_full() {
                ledger.take_in(chunk, applied)?;
            }
            Ok(())
        })
    }

    /// Makes all of it durable, and tells what became of the events since the last time.
    pub fn commit(&mut self) -> Result<Applied, StoreError> {
        let Self { consents, chunk, applied } = self;
        consents.with(|ledger| {
            ledger.take_in(chunk, applied)?;
            ledger.sync()?;
            Ok(std::mem::take(applied))
        })
    }

    /// Makes all of it durable.
    pub fn finish(mut self) -> Result<Applied, StoreError> {
        self.commit()
    }
}
