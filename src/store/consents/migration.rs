//! Consents of layouts 1 and 2, brought up to the layout of today.
//!
//! Owns the copy into a database beside the old one, which takes its place when it is whole and on disk. A
//! copy, because the old files hold numbers and texts in the clear. Refuses to leave anything out.
//! Driven by the opening of the consents.

use std::hash::Hasher;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use siphasher::sip::SipHasher13;

use super::address::address;
use super::intake::{LOAD, Proofs};
use super::item::Item;
use super::ledger::{COUNT_KEY, Ledger};
use super::names::Names;
use super::{Applied, archive, evidence};
use crate::store::engine::{Engine, EngineError, Engines, Fault};
use crate::store::keys::Keys;
use crate::store::sealed::VERSION_KEY;
use crate::store::{StoreError, exchange};

mod item;

/// Items that are copied together.
const MANY: usize = 1 << 20;

/// Brings up to date what lies at `path`; says nothing where there is nothing, or nothing old.
pub(super) fn bring_up(
    old: Arc<dyn Engine>,
    engines: &dyn Engines,
    path: &Path,
    cache: u64,
    keys: &Keys,
) -> Result<Arc<dyn Engine>, StoreError> {
    let failed = |e: EngineError| StoreError::engine(path, &e);
    let Some(layout) = OldLayout::of(&*old).map_err(failed)? else { return Ok(old) };
    tracing::info!(path = %path.display(), events = layout.items, "the consents are brought up to today's layout");
    let fresh = exchange::fresh(path);
    let open = || engines.open(&fresh, cache, true).map_err(failed);
    copy_texts(&*old, Ledger::open(open()?, fresh.clone(), keys)?).map_err(failed)?;
    layout.copy_items(&*old, path, &Ledger::open(open()?, fresh.clone(), keys)?)?;
    drop(old);
    exchange::take_place(path)?;
    engines.open(path, cache, false).map_err(failed)
}

/// What a database of layout 1 or 2 says of itself.
struct OldLayout {
    hasher: SipHasher13,
    buckets: u64,
    items: u64,
}

impl OldLayout {
    fn of(engine: &dyn Engine) -> Result<Option<Self>, EngineError> {
        let version = engine.get(VERSION_KEY)?;
        let Some([1 | 2, key @ ..]) = version.as_deref() else { return Ok(None) };
        let broken = |what: &str| EngineError { fault: Fault::Broken, what: what.to_owned() };
        let key: [u8; 16] = key.try_into().map_err(|_| broken("key of the buckets"))?;
        let counts = engine.get(COUNT_KEY)?.unwrap_or_default();
        let ([buckets, items], []) = counts.as_chunks::<8>() else { return Err(broken("number of buckets")) };
        let (buckets, items) = (u64::from_be_bytes(*buckets), u64::from_be_bytes(*items));
        Ok(Some(Self { hasher: SipHasher13::new_with_key(&key), buckets, items }))
    }

    fn copy_items(&self, old: &dyn Engine, path: &Path, to: &Ledger) -> Result<(), StoreError> {
        let failed = |e: EngineError| StoreError::engine(path, &e);
        self.copy_archive(old, to).map_err(failed)?;
        {
            let mut desk = to.desk.lock().unwrap_or_else(PoisonError::into_inner);
            to.split_until(self.items / LOAD, &mut desk)?;
        }
        let mut items = Vec::new();
        for bucket in 0..self.buckets {
            self.read(bucket, old, to, &mut items).map_err(failed)?;
            if items.len() >= MANY || bucket + 1 == self.buckets {
                to.take_in_items(std::mem::take(&mut items), Proofs::default(), &mut Applied::default())?;
            }
        }
        to.sync()
    }

    fn read(&self, bucket: u64, old: &dyn Engine, to: &Ledger, items: &mut Vec<Item>) -> Result<(), EngineError> {
        let broken = || EngineError { fault: Fault::Broken, what: format!("bucket {bucket} of the old layout") };
        let number = u32::try_from(bucket).map_err(|_| broken())?;
        let (mut part, mut parts) = (0, 1);
        while part < parts {
            let Some(row) = old.get(&[&b"C"[..], &number.to_be_bytes(), &[part]].concat())? else {
                return if part == 0 { Ok(()) } else { Err(broken()) };
            };
            let (count, octets) = row.split_first().ok_or_else(broken)?;
            if part == 0 {
                parts = *count;
            }
            let all = item::take_all(octets).ok_or_else(broken)?;
            // What a split that was cut short left behind lies in its own bucket as well.
            let own = all.into_iter().filter(|item| address(self.hash(item.code), self.buckets) == bucket);
            items.extend(own.map(|item| Item { code: to.codes.code(item.code), ..item }));
            part += 1;
        }
        Ok(())
    }

    fn hash(&self, msisdn: u64) -> u64 {
        let mut hasher = self.hasher;
        hasher.write_u64(msisdn);
        hasher.finish()
    }

    fn copy_archive(&self, old: &dyn Engine, to: &Ledger) -> Result<(), EngineError> {
        let (mut from, until) = (vec![archive::ARCHIVE], [archive::ARCHIVE + 1]);
        while let Some((key, octets)) = old.first(&from, &until)? {
            let broken = || EngineError { fault: Fault::Broken, what: "archived events of the old layout".to_owned() };
            let mut run = item::take_all(&octets).ok_or_else(broken)?;
            run.iter_mut().for_each(|item| item.code = to.codes.code(item.code));
            archive::put(&run, &*to.engine)?;
            from = key;
            from.push(0);
        }
        Ok(())
    }
}

/// Names and proofs, under the numbers they have.
fn copy_texts(old: &dyn Engine, to: Ledger) -> Result<(), EngineError> {
    let names = Names::load(old)?;
    let mut copied = to.names.write().unwrap_or_else(PoisonError::into_inner);
    for (kind, name) in names.all() {
        copied.add(kind, name, &*to.engine)?;
    }
    evidence::copy(old, &*to.engine)?;
    to.engine.sync()
}

#[cfg(test)]
mod tests;
