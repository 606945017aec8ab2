//! The consents on disk, open.
//!
//! Owns the buckets and their number, the names and the evidence. Readers take no lock: a look-up
//! that a split crossed is made again. Changes go one window at a time. Driven by [`super::Consents`].

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::address::{Codes, address, descendants, level};
use super::bucket::{Bucket, KEPT, read_of};
use super::commit::Commit;
use super::evidence::{Evidence, Reader};
use super::item::{Item, last_of_each};
use super::names::{Kind, Names};
use super::standing::{Outlook, Said};
use super::{Category, Held, Standing, Status, Towards, archive};
use crate::store::StoreError;
use crate::store::engine::{Engine, EngineError, Fault};
use crate::store::keys::{Key, Keys};
use crate::store::sealed::{Sealed, VERSION_KEY, known_key, rows_of, version_row};

/// The layout: 3 is sealed, and its items hold codes of numbers and shared arrivals. 1 and 2 are brought up to it.
pub(super) const VERSION: u8 = 3;

/// `#`: how many buckets there are, then about how many items.
pub(super) const COUNT_KEY: &[u8] = b"#";

/// The name of the key that all of it is sealed with.
pub(super) const KEY: &str = "consents";

/// Items that came or went until the count is put again: it may be that far off after a crash.
const COUNTED: u64 = 64;

/// What only the one who changes the ledger needs.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) evidence: Evidence,
    /// About how many items are held; says when to split.
    pub(super) items: u64,
    /// How many of them came or went since the count was put.
    uncounted: u64,
}

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) engine: Arc<dyn Engine>,
    /// The same as it lies on disk, for copies of it.
    pub(super) plain: Arc<dyn Engine>,
    path: PathBuf,
    pub(super) codes: Codes,
    pub(super) names: RwLock<Names>,
    pub(super) desk: Mutex<Desk>,
    count: AtomicU64,
    commit: Commit,
}

impl Ledger {
    /// Opens the ledger in an engine, or begins it in one that has nothing.
    pub(super) fn open(plain: Arc<dyn Engine>, path: PathBuf, keys: &Keys) -> Result<Self, StoreError> {
        let failed = |e: EngineError| StoreError::engine(&path, &e);
        let key = match plain.get(VERSION_KEY).map_err(failed)?.as_deref() {
            Some([VERSION, known @ ..]) => known_key(keys, KEY, known)?,
            Some(_) => return Err(StoreError::damaged(&path, "layout version: this program reads 1, 2 and 3")),
            None => begin(&plain, &path, keys)?,
        };
        let engine: Arc<dyn Engine> = Arc::new(Sealed::new(Arc::clone(&plain), rows_of(&key)));
        let counts = engine.get(COUNT_KEY).map_err(failed)?.unwrap_or_default();
        let (count, items) = match counts.as_chunks::<8>() {
            ([count, items], []) => (u64::from_be_bytes(*count), u64::from_be_bytes(*items)),
            _ => return Err(StoreError::damaged(&path, "number of buckets")),
        };
        let names = RwLock::new(Names::load(&*engine).map_err(failed)?);
        let desk = Mutex::new(Desk { evidence: Evidence::load(&*engine).map_err(failed)?, items, uncounted: 0 });
        let (codes, count) = (Codes::new(key.derive("codes").hasher()), AtomicU64::new(count));
        Ok(Self { engine, plain, path, codes, names, desk, count, commit: Commit::default() })
    }

    /// How many buckets there are.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// About how many items are held.
    pub(super) fn held_count(&self) -> u64 {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).items
    }

    pub(super) fn put_count(&self, count: u64, desk: &mut Desk) -> Result<(), EngineError> {
        self.engine.put(COUNT_KEY, &[count.to_be_bytes(), desk.items.to_be_bytes()].concat())?;
        desk.uncounted = 0;
        Ok(())
    }

    /// Takes notice that so many items came or went.
    pub(super) fn count_items(&self, items: i64, desk: &mut Desk) -> Result<(), EngineError> {
        desk.items = desk.items.saturating_add_signed(items);
        desk.uncounted += items.unsigned_abs();
        if desk.uncounted < COUNTED { Ok(()) } else { self.put_count(self.count(), desk) }
    }

    pub(super) fn publish_count(&self, count: u64) {
        self.count.store(count, Ordering::SeqCst);
    }

    /// Everything applied so far is on disk when this returns.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.commit.sync(|| self.engine.sync()).map_err(|e| self.failed(&e))
    }

    /// Where a subscriber stands with a sender at a moment.
    pub(super) fn standing(&self, towards: Towards<'_>, msisdn: u64, at_ms: i64) -> Result<Standing, StoreError> {
        let items = self.items_of(self.codes.code(msisdn))?;
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let number = |sender: &str| names.number(Kind::Sender, sender);
        let sender = number(towards.sender);
        let all = towards.provider.and_then(|provider| names.provider(provider));
        let holder = number("");
        let is_former = |sender: u32| towards.former.iter().any(|former| number(former) == Some(sender));
        let concerns = |item: &Item| {
            let own = Some(item.sender) == sender || (!towards.former.is_empty() && is_former(item.sender));
            own || item.refusal && (Some(item.sender) == all || Some(item.sender) == holder)
        };
        let said = |item: &Item| Said {
            status: status(item, holder),
            category: item.category,
            at_ms: item.at_ms,
            recorded_at_ms: names.arrival(item.arrival),
            expires_at_ms: item.expires_at_ms,
            event: item.frequency,
        };
        let outlook = Outlook::of(items.iter().filter(|item| concerns(item)).map(said), at_ms);
        let category = |said: &Said<u32, u32>| {
            let name = |kind, number| names.name(kind, number).map(Arc::clone).ok_or_else(|| self.unnamed());
            Ok(Category {
                name: name(Kind::Category, said.category)?,
                status: outlook.status(said),
                at_ms: said.at_ms,
                expires_at_ms: said.expires_at_ms,
                frequency: said.event.checked_sub(1).map(|number| name(Kind::Frequency, number)).transpose()?,
            })
        };
        Ok(Standing {
            refused_at_ms: outlook.refusal().map(|(at_ms, _)| at_ms),
            categories: outlook.consents.iter().map(category).collect::<Result<_, StoreError>>()?,
        })
    }

    /// What stands of a subscriber.
    pub(super) fn show(&self, msisdn: u64) -> Result<Vec<Held>, StoreError> {
        let mut items = self.items_of(self.codes.code(msisdn))?;
        items.sort_by_key(Item::key);
        let mut reader = Reader::default();
        last_of_each(&items).map(|item| self.held(item, &mut reader)).collect()
    }

    /// Every event of a subscriber, in the order in which they happened.
    pub(super) fn history(&self, msisdn: u64) -> Result<Vec<Held>, StoreError> {
        let code = self.codes.code(msisdn);
        // The bucket first: what moves to the archive meanwhile is seen twice rather than not at all.
        let mut items = self.items_of(code)?;
        self.add_archived(code, &mut items)?;
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        items.sort_by_key(|item| (item.at_ms, names.arrival(item.arrival), item.key()));
        drop(names);
        let mut reader = Reader::default();
        items.iter().map(|item| self.held(item, &mut reader)).collect()
    }

    fn add_archived(&self, code: u64, items: &mut Vec<Item>) -> Result<(), StoreError> {
        items.extend(archive::of(code, &*self.engine).map_err(|e| self.failed(&e))?);
        items.sort_by_key(Item::key);
        items.dedup_by_key(|item| item.key());
        Ok(())
    }

    pub(super) fn items_of(&self, code: u64) -> Result<Vec<Item>, StoreError> {
        loop {
            let bucket = address(code, self.count());
            let mut items = Vec::new();
            let read = read_of(self.row_number(bucket)?, code, &*self.engine, &mut |item| items.push(item));
            read.map_err(|e| self.failed(&e))?;
            if address(code, self.count()) == bucket {
                return Ok(items);
            }
        }
    }

    /// What stands, or every event, of what lay in bucket `of` when there were `before`, wherever splits took it since.
    pub(super) fn export(
        &self,
        of: u64,
        before: u64,
        history: bool,
        reader: &mut Reader,
    ) -> Result<Vec<Held>, StoreError> {
        let mut items = loop {
            let count = self.count();
            let mut items = Vec::new();
            for bucket in descendants(of, before, count) {
                let read = Bucket::load(self.row_number(bucket)?, &*self.engine).map_err(|e| self.failed(&e))?;
                items.extend(read.into_items().filter(|item| address(item.code, count) == bucket));
            }
            if self.count() == count {
                break items;
            }
        };
        items.sort_by_key(Item::key);
        if !history {
            return last_of_each(&items).map(|item| self.held(item, reader)).collect();
        }
        let many = |a: &Item, b: &Item| a.name() == b.name();
        let is_archived = |events: &&[Item]| events.len() >= KEPT / 2;
        let mut archived: Vec<u64> =
            items.chunk_by(many).filter(is_archived).filter_map(|events| Some(events.first()?.code)).collect();
        archived.dedup();
        archived.into_iter().try_for_each(|code| self.add_archived(code, &mut items))?;
        items.iter().map(|item| self.held(item, reader)).collect()
    }

    fn held(&self, item: &Item, reader: &mut Reader) -> Result<Held, StoreError> {
        let proof = reader.proof(item.evidence, &*self.engine).map_err(|e| self.failed(&e))?;
        Ok(Held {
            evidence: proof.evidence,
            wording: proof.wording,
            sha256: proof.sha256,
            recorded_by: proof.recorded_by,
            ..self.outline(item)?
        })
    }

    /// An event without what proves it.
    pub(super) fn outline(&self, item: &Item) -> Result<Held, StoreError> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let name = |kind, number| names.name(kind, number).map(ToString::to_string).ok_or_else(|| self.unnamed());
        let frequency = item.frequency.checked_sub(1).map(|number| name(Kind::Frequency, number));
        Ok(Held {
            msisdn: self.codes.msisdn(item.code),
            sender: name(Kind::Sender, item.sender)?,
            category: name(Kind::Category, item.category)?,
            status: status(item, names.number(Kind::Sender, "")),
            at_ms: item.at_ms,
            method: name(Kind::Method, item.method)?,
            expires_at_ms: item.expires_at_ms,
            frequency: frequency.transpose()?.unwrap_or_default(),
            recorded_at_ms: names.arrival(item.arrival),
            ..Held::default()
        })
    }

    /// The rows of a bucket that changed, put in their order; `count` is how many buckets there are with them.
    pub(super) fn put_bucket(&self, bucket: Bucket, here: u64, count: u64) -> Result<(), StoreError> {
        let rows = bucket.rows(self.row_number(here)?, level(here, count));
        rows.iter().try_for_each(|(key, value)| self.engine.put(key, value)).map_err(|e| self.failed(&e))
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

/// An event without a sender is the number's change of holder.
fn status(item: &Item, holder: Option<u32>) -> Status {
    match item.refusal {
        true if Some(item.sender) == holder => Status::HolderChange,
        true => Status::Refusal,
        false => Status::Consent,
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let count = self.count();
        let desk = self.desk.get_mut().unwrap_or_else(PoisonError::into_inner);
        if desk.uncounted > 0 {
            // Where it fails the count is a little off, as after a crash.
            let _ = self.engine.put(COUNT_KEY, &[count.to_be_bytes(), desk.items.to_be_bytes()].concat());
        }
    }
}

/// Begins a new ledger: the count first, so that a version says that all is there.
fn begin(plain: &Arc<dyn Engine>, path: &Path, keys: &Keys) -> Result<Key, StoreError> {
    let failed = |e: EngineError| StoreError::engine(path, &e);
    let rest = plain.first(&[0], &[0xFF]).map_err(failed)?;
    if rest.is_some_and(|(key, _)| key != COUNT_KEY) {
        return Err(failed(EngineError { fault: Fault::Broken, what: "rows without a version".to_owned() }));
    }
    let key = keys.make(KEY)?;
    let sealed = Sealed::new(Arc::clone(plain), rows_of(&key));
    sealed.put(COUNT_KEY, &[1_u64.to_be_bytes(), [0; 8]].concat()).map_err(failed)?;
    plain.put(VERSION_KEY, &version_row(VERSION, &key)).map_err(failed)?;
    plain.sync().map_err(failed)?;
    Ok(key)
}
