//! The consents on disk, open.
//!
//! Owns the buckets and their number, the names and the evidence. Readers take no lock: a look-up
//! that a split crossed is made again. Changes go one window at a time. Driven by [`super::Consents`].

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::address::{HashKey, address, descendants};
use super::bucket::{Bucket, read_of};
use super::commit::Commit;
use super::evidence::{self, Evidence};
use super::item::Item;
use super::names::{Kind, Names};
use super::{Category, Held, Standing, Status};
use crate::store::StoreError;
use crate::store::engine::{Engine, EngineError, Fault};

const VERSION: u8 = 1;

/// `V`: version, then the key of the hash.
const VERSION_KEY: &[u8] = b"V";

/// `#`: how many buckets there are, then about how many items.
const COUNT_KEY: &[u8] = b"#";

/// What only the one who changes the ledger needs.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) evidence: Evidence,
    /// About how many items are held; says when to split.
    pub(super) items: u64,
}

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) engine: Arc<dyn Engine>,
    path: PathBuf,
    pub(super) hash: HashKey,
    pub(super) names: RwLock<Names>,
    pub(super) desk: Mutex<Desk>,
    count: AtomicU64,
    commit: Commit,
}

impl Ledger {
    pub(super) fn open(engine: Arc<dyn Engine>, path: PathBuf) -> Result<Self, StoreError> {
        let failed = |e: EngineError| StoreError::engine(&path, &e);
        let version = engine.get(VERSION_KEY).map_err(failed)?;
        let hash = match version.as_deref() {
            Some([VERSION, key @ ..]) => key.try_into().ok(),
            Some(_) => None,
            None => Some(begin(&*engine, &path)?),
        };
        let hash = hash.ok_or_else(|| StoreError::damaged(&path, "layout version: this program reads 1"))?;
        let counts = engine.get(COUNT_KEY).map_err(failed)?.unwrap_or_default();
        let (count, items) = match counts.as_chunks::<8>() {
            ([count, items], []) => (u64::from_be_bytes(*count), u64::from_be_bytes(*items)),
            _ => return Err(StoreError::damaged(&path, "number of buckets")),
        };
        let names = RwLock::new(Names::load(&*engine).map_err(failed)?);
        let desk = Mutex::new(Desk { evidence: Evidence::load(&*engine).map_err(failed)?, items });
        let (hash, count) = (HashKey(hash), AtomicU64::new(count));
        Ok(Self { engine, path, hash, names, desk, count, commit: Commit::default() })
    }

    /// How many buckets there are.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// About how many items are held.
    pub(super) fn held_count(&self) -> u64 {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).items
    }

    pub(super) fn put_count(&self, count: u64, items: u64) -> Result<(), EngineError> {
        self.engine.put(COUNT_KEY, &[count.to_be_bytes(), items.to_be_bytes()].concat())
    }

    pub(super) fn publish_count(&self, count: u64) {
        self.count.store(count, Ordering::SeqCst);
    }

    /// Everything applied so far is on disk when this returns.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.commit.sync(|| self.engine.sync()).map_err(|e| self.failed(&e))
    }

    /// Where a subscriber stands with a sender.
    pub(super) fn standing(&self, sender: &str, msisdn: u64) -> Result<Standing, StoreError> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = names.number(Kind::Sender, sender) else { return Ok(Standing::default()) };
        let mut refused: Option<i64> = None;
        let mut standing = Standing::default();
        for item in self.items_of(msisdn)?.into_iter().filter(|item| item.sender == sender) {
            if item.refusal {
                refused = refused.max(Some(item.at_ms));
            } else {
                let name = names.name(Kind::Category, item.category).ok_or_else(|| self.unnamed())?;
                let (name, at_ms, expires_at_ms) = (Arc::clone(name), item.at_ms, item.expires_at_ms);
                standing.categories.push(Category { name, status: Status::Consent, at_ms, expires_at_ms });
            }
        }
        for category in &mut standing.categories {
            if refused.is_some_and(|at| at >= category.at_ms) {
                category.status = Status::Refusal;
            }
        }
        let lifted = standing.categories.iter().any(|category| category.status == Status::Consent);
        standing.refused_at_ms = refused.filter(|_| !lifted);
        Ok(standing)
    }

    /// All that is held of a subscriber.
    pub(super) fn show(&self, msisdn: u64) -> Result<Vec<Held>, StoreError> {
        self.items_of(msisdn)?.iter().map(|item| self.held(item)).collect()
    }

    pub(super) fn items_of(&self, msisdn: u64) -> Result<Vec<Item>, StoreError> {
        let hash = self.hash.hash(msisdn);
        loop {
            let bucket = address(hash, self.count());
            let mut items = Vec::new();
            let read = read_of(self.row_number(bucket)?, msisdn, &*self.engine, &mut |item| items.push(item));
            read.map_err(|e| self.failed(&e))?;
            if address(hash, self.count()) == bucket {
                return Ok(items);
            }
        }
    }

    /// Everything that lay in bucket `of` when there were `before`, wherever splits took it since.
    pub(super) fn export(&self, of: u64, before: u64) -> Result<Vec<Held>, StoreError> {
        let items = loop {
            let count = self.count();
            let mut items = Vec::new();
            for bucket in descendants(of, before, count) {
                let read = Bucket::load(self.row_number(bucket)?, &*self.engine).map_err(|e| self.failed(&e))?;
                items.extend(read.into_items().filter(|item| address(self.hash.hash(item.msisdn), count) == bucket));
            }
            if self.count() == count {
                break items;
            }
        };
        items.iter().map(|item| self.held(item)).collect()
    }

    fn held(&self, item: &Item) -> Result<Held, StoreError> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let name = |kind, number| names.name(kind, number).map(ToString::to_string).ok_or_else(|| self.unnamed());
        Ok(Held {
            msisdn: item.msisdn,
            sender: name(Kind::Sender, item.sender)?,
            category: name(Kind::Category, item.category)?,
            status: if item.refusal { Status::Refusal } else { Status::Consent },
            at_ms: item.at_ms,
            method: name(Kind::Method, item.method)?,
            evidence: evidence::text(item.evidence, &*self.engine).map_err(|e| self.failed(&e))?,
            expires_at_ms: item.expires_at_ms,
        })
    }

    /// A bucket's number as its rows have it.
    pub(super) fn row_number(&self, bucket: u64) -> Result<u32, StoreError> {
        u32::try_from(bucket).map_err(|_| StoreError::damaged(&self.path, "number of buckets"))
    }

    fn unnamed(&self) -> StoreError {
        StoreError::damaged(&self.path, "a name is missing")
    }

    pub(super) fn failed(&self, e: &EngineError) -> StoreError {
        StoreError::engine(&self.path, e)
    }
}

/// Begins a new ledger: the count first, so that a version says that all is there.
fn begin(engine: &dyn Engine, path: &std::path::Path) -> Result<[u8; 16], StoreError> {
    let failed = |e: EngineError| StoreError::engine(path, &e);
    let rest = engine.first(&[0], &[0xFF]).map_err(failed)?;
    if rest.is_some_and(|(key, _)| key != COUNT_KEY) {
        return Err(failed(EngineError { fault: Fault::Broken, what: "rows without a version".to_owned() }));
    }
    let mut key = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut key))
        .map_err(|e| StoreError::io(path, "draw a random key", e))?;
    engine.put(COUNT_KEY, &[1_u64.to_be_bytes(), [0; 8]].concat()).map_err(failed)?;
    engine.put(VERSION_KEY, &[&[VERSION][..], &key].concat()).map_err(failed)?;
    engine.sync().map_err(failed)?;
    Ok(key)
}
