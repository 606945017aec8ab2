//! Who agreed to what, and who refused.
//!
//! Owns the standing of every subscriber towards every sender: the last event in event time wins,
//! a tie is a refusal, a refusal covers all of a sender's categories. Refuses to let any order of
//! arrival, crash or collision turn a no into a yes. Driven by the gate and by imports.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::engine::{Engine, EngineError, Engines, Sled};
use super::lock::Lock;

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
#[derive(Debug)]
pub struct Consents {
    engine: Arc<dyn Engine>,
    path: PathBuf,
    write: Mutex<()>,
    _lock: Lock,
}

impl Consents {
    /// Opens the consents in `dir`, creating them where there are none.
    pub fn open(dir: &Path, options: &ConsentsOptions) -> Result<Self, StoreError> {
        let lock = Lock::take(dir)?;
        let path = dir.join("db");
        let engine = options
            .engines
            .open(&path, options.cache_bytes, true)
            .map_err(|e| StoreError::Engine { path: path.clone(), what: e.to_string() })?;
        Ok(Self { engine, path, write: Mutex::new(()), _lock: lock })
    }

    /// Where a subscriber stands with a sender.
    pub fn standing(&self, sender: &str, msisdn: u64) -> Result<Standing, StoreError> {
        let held = self.show(msisdn)?;
        let held = || held.iter().filter(|held| held.sender == sender);
        let refusal = held().filter(|held| held.status == Status::Refusal).map(|held| held.at_ms).max();
        let mut standing = Standing::default();
        for consent in held().filter(|held| held.status == Status::Consent) {
            let refused = refusal.is_some_and(|at| at >= consent.at_ms);
            standing.categories.push(Category {
                name: consent.category.as_str().into(),
                status: if refused { Status::Refusal } else { Status::Consent },
                at_ms: consent.at_ms,
                expires_at_ms: consent.expires_at_ms,
            });
        }
        let lifted = standing.categories.iter().any(|category| category.status == Status::Consent);
        standing.refused_at_ms = refusal.filter(|_| !lifted);
        Ok(standing)
    }

    /// Takes in events; all of them are durable when this returns.
    pub fn apply(&self, events: &[Event<'_>]) -> Result<Applied, StoreError> {
        let _one = self.write.lock().unwrap_or_else(PoisonError::into_inner);
        let mut applied = Applied::default();
        for event in events {
            self.take_in(event, &mut applied)?;
        }
        self.engine.sync().map_err(|e| self.failed(&e))?;
        Ok(applied)
    }

    /// Starts an import: events in any number, durable when it is finished.
    pub fn import(&self) -> Import<'_> {
        Import { consents: self, applied: Applied::default() }
    }

    /// All that is held of a subscriber.
    pub fn show(&self, msisdn: u64) -> Result<Vec<Held>, StoreError> {
        match self.engine.get(&msisdn.to_be_bytes()).map_err(|e| self.failed(&e))? {
            Some(row) => self.read(&row),
            None => Ok(Vec::new()),
        }
    }

    /// All that is held.
    pub fn export(&self) -> impl Iterator<Item = Result<Held, StoreError>> {
        let mut all = Vec::new();
        let scanned = self.engine.scan(&[], &[0xFF; 9], &mut |_, row| {
            match self.read(row) {
                Ok(held) => all.extend(held.into_iter().map(Ok)),
                Err(e) => all.push(Err(e)),
            }
            true
        });
        all.extend(scanned.err().map(|e| Err(self.failed(&e))));
        all.into_iter()
    }

    fn take_in(&self, event: &Event<'_>, applied: &mut Applied) -> Result<(), StoreError> {
        let mut held = self.show(event.msisdn)?;
        let new = Held {
            msisdn: event.msisdn,
            sender: event.sender.to_owned(),
            category: event.category.to_owned(),
            status: event.status,
            at_ms: event.at_ms,
            method: event.method.to_owned(),
            evidence: event.evidence.to_owned(),
            expires_at_ms: event.expires_at_ms.filter(|_| event.status == Status::Consent),
        };
        let same = |old: &&mut Held| {
            old.sender == new.sender
                && old.status == new.status
                && (new.status == Status::Refusal || old.category == new.category)
        };
        let sooner = |at: Option<i64>| at.unwrap_or(i64::MAX);
        match held.iter_mut().find(same) {
            None => held.push(new),
            Some(old) if old.at_ms > new.at_ms => {
                applied.stale += 1;
                return Ok(());
            }
            Some(old) if old.at_ms == new.at_ms && sooner(old.expires_at_ms) <= sooner(new.expires_at_ms) => {
                applied.unchanged += 1;
                return Ok(());
            }
            Some(old) => *old = new,
        }
        applied.changed += 1;
        let row = postcard::to_stdvec(&held).map_err(|e| StoreError::damaged(&self.path, e.to_string()))?;
        self.engine.put(&event.msisdn.to_be_bytes(), &row).map_err(|e| self.failed(&e))
    }

    fn read(&self, row: &[u8]) -> Result<Vec<Held>, StoreError> {
        postcard::from_bytes(row).map_err(|e| StoreError::damaged(&self.path, e.to_string()))
    }

    fn failed(&self, e: &EngineError) -> StoreError {
        StoreError::Engine { path: self.path.clone(), what: e.to_string() }
    }
}

/// An import under way. Dropped unfinished, what it took in so far stays or goes; running it again is harmless.
#[derive(Debug)]
pub struct Import<'c> {
    consents: &'c Consents,
    applied: Applied,
}

impl Import<'_> {
    /// Takes in one event.
    pub fn push(&mut self, event: &Event<'_>) -> Result<(), StoreError> {
        self.consents.take_in(event, &mut self.applied)
    }

    /// Makes all of it durable.
    pub fn finish(self) -> Result<Applied, StoreError> {
        self.consents.engine.sync().map_err(|e| self.consents.failed(&e))?;
        Ok(self.applied)
    }
}
