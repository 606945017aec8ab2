//! Who agreed to what, and who refused.
//!
//! Owns the standing of every subscriber towards every sender: the last event in event time wins,
//! a tie is a refusal, a refusal covers all of a sender's categories. Refuses to let any order of
//! arrival, crash or collision turn a no into a yes. Driven by the gate and by imports.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::engine::{Engines, Sled};
use super::lock::Lock;
use super::{Health, StoreError};
use crate::clock;

mod address;
mod bucket;
mod commit;
mod evidence;
mod intake;
mod item;
mod ledger;
mod names;

pub use evidence::EVIDENCE_OCTETS;
pub use names::NAME_OCTETS;

use intake::Chunk;
use ledger::Ledger;

/// How long after a failure the consents are opened anew.
const RETRY: Duration = Duration::from_millis(200);

/// How the consents are kept.
#[derive(Clone, Debug)]
pub struct ConsentsOptions {
    /// Memory for the engine's cache, in octets.
    pub cache_bytes: u64,
    /// The engine underneath.
    pub engines: Arc<dyn Engines>,
}

impl Default for ConsentsOptions {
    fn default() -> Self {
        Self { cache_bytes: 256 << 20, engines: Arc::new(Sled) }
    }
}

/// What a subscriber said.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Status {
    /// Yes, to one category of one sender.
    Consent,
    /// No, to all of a sender.
    Refusal,
}

/// A subscriber said yes or no to a sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event<'a> {
    /// The subscriber's number, canonical.
    pub msisdn: u64,
    /// The sender's id in the register.
    pub sender: &'a str,
    /// What kind of messages; a refusal covers every kind, whatever stands here.
    pub category: &'a str,
    /// Yes or no.
    pub status: Status,
    /// When it was said, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// How: web, paper, MO, counter, api.
    pub method: &'a str,
    /// Where the proof is.
    pub evidence: &'a str,
    /// Until when a consent holds.
    pub expires_at_ms: Option<i64>,
}

/// An event as it is held, for showing and exporting.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Held {
    /// The subscriber's number.
    pub msisdn: u64,
    /// The sender's id in the register.
    pub sender: String,
    /// The category of a consent; of a refusal, the one it was said under.
    pub category: String,
    /// Yes or no.
    pub status: Status,
    /// When it was said.
    pub at_ms: i64,
    /// How.
    pub method: String,
    /// Where the proof is.
    pub evidence: String,
    /// Until when a consent holds.
    pub expires_at_ms: Option<i64>,
}

/// Where a subscriber stands with a sender.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// The refusal that nothing later has lifted, and when it was said.
    pub refused_at_ms: Option<i64>,
    /// Each category the subscriber ever agreed to.
    pub categories: Vec<Category>,
}

/// Where a subscriber stands with one category of a sender.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Category {
    /// Its name.
    pub name: Arc<str>,
    /// [`Status::Consent`] if nothing refused at or after it; whether it has expired is the reader's to judge.
    pub status: Status,
    /// When it was agreed to.
    pub at_ms: i64,
    /// Until when it holds.
    pub expires_at_ms: Option<i64>,
}

/// What became of the events of one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Now held.
    pub changed: u64,
    /// Held already.
    pub unchanged: u64,
    /// Older than what is held.
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
        let ledger = open_ledger(&*engines, &path, options.cache_bytes, true)?;
        let ledger = RwLock::new(Slot::Open(Arc::new(ledger)));
        Ok(Self { path, cache: options.cache_bytes, engines, ledger, _lock: lock })
    }

    /// Where a subscriber stands with a sender.
    pub fn standing(&self, sender: &str, msisdn: u64) -> Result<Standing, StoreError> {
        self.with(|ledger| ledger.standing(sender, msisdn))
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
    pub fn import(&self) -> Import<'_> {
        Import { consents: self, chunk: Chunk::default(), applied: Applied::default() }
    }

    /// All that is held of a subscriber.
    pub fn show(&self, msisdn: u64) -> Result<Vec<Held>, StoreError> {
        self.with(|ledger| ledger.show(msisdn))
    }

    /// All that is held, in no order; what changes meanwhile is shown before or after the change.
    pub fn export(&self) -> impl Iterator<Item = Result<Held, StoreError>> {
        let before = self.with(|ledger| Ok(ledger.count()));
        let (count, failed) = before.map_or_else(|e| (0, Some(Err(e))), |count| (count, None));
        let held = (0..count).flat_map(move |bucket| match self.with(|ledger| ledger.export(bucket, count)) {
            Ok(held) => held.into_iter().map(Ok).collect(),
            Err(e) => vec![Err(e)],
        });
        failed.into_iter().chain(held)
    }

    /// About how many consents and refusals are held.
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
        match open_ledger(&*self.engines, &self.path, self.cache, false) {
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

fn open_ledger(engines: &dyn Engines, path: &Path, cache: u64, create: bool) -> Result<Ledger, StoreError> {
    let engine = engines.open(path, cache, create).map_err(|e| StoreError::engine(path, &e))?;
    Ledger::open(engine, path.to_owned())
}

/// An import under way. Dropped unfinished, what it took in so far stays or goes; running it again is harmless.
#[derive(Debug)]
pub struct Import<'c> {
    consents: &'c Consents,
    chunk: Chunk,
    applied: Applied,
}

impl Import<'_> {
    /// Takes in one event. One that is refused for itself ([`StoreError::Limit`]) leaves the rest as it was.
    pub fn push(&mut self, event: &Event<'_>) -> Result<(), StoreError> {
        self.consents.with(|ledger| {
            ledger.gather(event, &mut self.chunk)?;
            if self.chunk.is_full() {
                ledger.take_in(&mut self.chunk, &mut self.applied)?;
            }
            Ok(())
        })
    }

    /// Makes all of it durable.
    pub fn finish(mut self) -> Result<Applied, StoreError> {
        self.consents.with(|ledger| {
            ledger.take_in(&mut self.chunk, &mut self.applied)?;
            ledger.sync()?;
            Ok(self.applied)
        })
    }
}
