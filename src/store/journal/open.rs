//! The days that are open, and for whom.
//!
//! Owns which stay open for the next reader, and that a day is open once at a time. Refuses to open or to close a
//! database itself. Driven by [`super::days`].

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use super::Day;
use super::day::DayStore;

/// Days that only readers use and that stay open for the next one.
const READ_DAYS: usize = 4;

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) store: Weak<DayStore>,
    kept: Option<Arc<DayStore>>,
    pub(super) writing: bool,
    used: u64,
}

#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) slots: BTreeMap<Day, Slot>,
    clock: u64,
}

impl Open {
    /// The day, where it is being written.
    pub(super) fn written(&mut self, day: Day) -> Option<Arc<DayStore>> {
        self.is_written(day).then(|| self.find(day)).flatten()
    }

    pub(super) fn is_written(&self, day: Day) -> bool {
        self.slots.get(&day).is_some_and(|slot| slot.writing && slot.store.strong_count() > 0)
    }

    /// Whether nobody but the caller has the day open.
    pub(super) fn is_free_of_others(&self, day: Day, store: &Arc<DayStore>) -> bool {
        let kept = self.slots.get(&day).is_some_and(|slot| slot.kept.is_some());
        Arc::strong_count(store) == 1 + usize::from(kept)
    }

    pub(super) fn forget(&mut self, day: Day) {
        self.slots.remove(&day);
    }

    pub(super) fn find(&mut self, day: Day) -> Option<Arc<DayStore>> {
        self.clock += 1;
        let slot = self.slots.get_mut(&day)?;
        slot.used = self.clock;
        let store = slot.store.upgrade()?;
        slot.kept = Some(Arc::clone(&store));
        Some(store)
    }

    pub(super) fn keep(&mut self, day: Day, store: &Arc<DayStore>, writing: bool) {
        let slot = Slot { store: Arc::downgrade(store), kept: Some(Arc::clone(store)), writing, used: self.clock };
        self.slots.insert(day, slot);
    }

    /// Lets go of the days that readers used longest ago, beyond those that may stay.
    pub(super) fn close_least_used(&mut self) {
        self.slots.retain(|_, slot| slot.writing || slot.store.strong_count() > 0);
        let mut kept: Vec<_> = self.slots.values_mut().filter(|slot| !slot.writing && slot.kept.is_some()).collect();
        kept.sort_unstable_by_key(|slot| slot.used);
        let beyond = kept.len().saturating_sub(READ_DAYS);
        kept.into_iter().take(beyond).for_each(|slot| slot.kept = None);
    }
}
