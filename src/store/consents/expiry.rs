//! A walk over all subscribers that lets go what has expired, and the proofs and papers that nothing needs any more.
//!
//! Owns the order that a crash leaves harmless: the events go first, then the proofs that none of those that are
//! left names; what was left over goes with the next walk. A proof that comes while it walks gets a new number, so
//! that the old ones can only fall out of use. Refuses to judge what has expired. Driven step by step by the
//! retention, so that an import or a refusal never waits for more than a step.

use std::collections::{BTreeMap, HashSet};
use std::sync::PoisonError;

use super::Held;
use super::address::descendants;
use super::archive;
use super::bucket::{Bucket, KEPT};
use super::evidence::Sweep;
use super::item::{Item, Key, Name};
use super::ledger::Ledger;
use crate::store::{Sha256, StoreError};

/// Buckets walked, or packs of proofs swept, while others wait.
const STEP: u64 = 16;

/// A walk under way; dropped in the middle, nothing is lost but the way that was gone.
#[derive(Debug, Default)]
pub struct Walk {
    stage: Stage,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    New,
    Events {
        next: u64,
        buckets: u64,
        sweep: Sweep,
    },
    Proofs {
        sweep: Sweep,
    },
    Done {
        papers: HashSet<Sha256>,
    },
}

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stepped {
    /// Events looked at.
    pub seen: u64,
    /// Events that are gone.
    pub events: u64,
    /// Proofs that are gone.
    pub proofs: u64,
    /// Whether the walk has come to its end.
    pub is_done: bool,
}

impl Walk {
    /// The papers that are still named, once the walk has come to its end.
    pub fn papers(&self) -> Option<&HashSet<Sha256>> {
        match &self.stage {
            Stage::Done { papers } => Some(papers),
            _ => None,
        }
    }
}

impl Ledger {
    /// Goes a step; what it took away is durable after the next sync. `decide` is shown all events of one subscriber,
    /// without their proofs, and answers for each whether it goes.
    pub(super) fn step(
        &self,
        walk: &mut Walk,
        decide: &mut dyn FnMut(&[Held]) -> Vec<bool>,
    ) -> Result<Stepped, StoreError> {
        let mut stepped = Stepped::default();
        walk.stage = match std::mem::take(&mut walk.stage) {
            Stage::New => {
                let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
                let sweep = desk.evidence.begin_sweep();
                Stage::Events { next: 0, buckets: self.count(), sweep }
            }
            Stage::Events { next, buckets, sweep } if next >= buckets => Stage::Proofs { sweep },
            Stage::Events { next, buckets, mut sweep } => {
                for of in next..buckets.min(next + STEP) {
                    self.expire(of, buckets, &mut sweep, decide, &mut stepped)?;
                }
                Stage::Events { next: next + STEP, buckets, sweep }
            }
            Stage::Proofs { mut sweep } => {
                let desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
                let swept = desk.evidence.sweep(&mut sweep, STEP, &*self.engine).map_err(|e| self.failed(&e))?;
                stepped.proofs = swept.gone;
                match swept.is_done {
                    true => Stage::Done { papers: sweep.into_papers() },
                    false => Stage::Proofs { sweep },
                }
            }
            done @ Stage::Done { .. } => done,
        };
        stepped.is_done = matches!(walk.stage, Stage::Done { .. });
        Ok(stepped)
    }

    /// Lets go what has expired of what lay in bucket `of` when there were `before`.
    fn expire(
        &self,
        of: u64,
        before: u64,
        sweep: &mut Sweep,
        decide: &mut dyn FnMut(&[Held]) -> Vec<bool>,
        stepped: &mut Stepped,
    ) -> Result<(), StoreError> {
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let count = self.count();
        for here in descendants(of, before, count) {
            let mut bucket = self.load(here, count)?;
            let gone = self.expired_of(&bucket, sweep, decide, stepped)?;
            if gone.is_empty() {
                continue;
            }
            let taken = i64::try_from(bucket.take(|item| gone.contains(&item.key())).len()).unwrap_or(i64::MAX);
            self.put_bucket(bucket, here, count)?;
            self.count_items(-taken, &mut desk).map_err(|e| self.failed(&e))?;
        }
        Ok(())
    }

    /// The events of a bucket that have expired; those of them that lie in the archive are gone from there.
    fn expired_of(
        &self,
        bucket: &Bucket,
        sweep: &mut Sweep,
        decide: &mut dyn FnMut(&[Held]) -> Vec<bool>,
        stepped: &mut Stepped,
    ) -> Result<HashSet<Key>, StoreError> {
        let mut subscribers: BTreeMap<u64, Vec<Item>> = BTreeMap::new();
        bucket.items().for_each(|item| subscribers.entry(item.code).or_default().push(*item));
        let mut gone = HashSet::new();
        for (code, mut items) in subscribers {
            let archived = match items.len() >= KEPT / 2 {
                true => archive::of(code, &*self.engine).map_err(|e| self.failed(&e))?,
                false => Vec::new(),
            };
            items.extend_from_slice(&archived);
            items.sort_by_key(Item::key);
            items.dedup_by_key(|item| item.key());
            stepped.seen += items.len() as u64;
            let held: Vec<Held> = items.iter().map(|item| self.outline(item)).collect::<Result<_, _>>()?;
            let decided = decide(&held);
            // What nobody decided on stays.
            let mut expired: HashSet<Key> =
                items.iter().zip(decided).filter(|(_, goes)| *goes).map(|(item, _)| item.key()).collect();
            // A name with events in the archive has others in its bucket, by which they are found.
            let staying: Vec<Name> =
                archived.iter().filter(|item| !expired.contains(&item.key())).map(Item::name).collect();
            expired.retain(|(name, ..)| !staying.contains(name));
            items.iter().filter(|item| !expired.contains(&item.key())).for_each(|item| sweep.mark(item.evidence));
            if archived.iter().any(|item| expired.contains(&item.key())) {
                archive::remove(code, &expired, &*self.engine).map_err(|e| self.failed(&e))?;
            }
            stepped.events += expired.len() as u64;
            gone.extend(expired);
        }
        Ok(gone)
    }
}
