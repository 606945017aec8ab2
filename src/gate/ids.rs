//! The carrier's names for parts the provider knows by the gate's.
//!
//! Owns the translation for receipts, fast for recent parts. Refuses to be the truth: the
//! journal is, and older names are looked up there. Driven by the desks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::store::EntryId;

/// Names kept in memory.
const RECENT: usize = 500_000;

#[derive(Debug, Default)]
pub(super) struct Ids {
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    by_carriers: HashMap<String, EntryId>,
    order: VecDeque<String>,
}

impl Ids {
    /// The carrier has given a part this `message_id`.
    pub(super) fn learn(&self, carriers: &str, id: EntryId) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.by_carriers.insert(carriers.to_owned(), id).is_none() {
            recent.order.push_back(carriers.to_owned());
        }
        if recent.order.len() > RECENT
            && let Some(oldest) = recent.order.pop_front()
        {
            recent.by_carriers.remove(&oldest);
        }
    }

    /// The gate's name for it, where it is a part the gate acknowledged lately.
    pub(super) fn find(&self, carriers: &str) -> Option<EntryId> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).by_carriers.get(carriers).copied()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::store::journal::Day;

    #[test]
    fn the_latest_names_are_known_and_the_oldest_go() {
        let ids = Ids::default();
        let id = |number| EntryId { day: Day(date(2026, 11, 24)), number };
        for number in 0..=RECENT as u64 {
            ids.learn(&number.to_string(), id(number));
        }
        assert_eq!(ids.find("0"), None);
        assert_eq!(ids.find("1"), Some(id(1)));
        assert_eq!(ids.find(&RECENT.to_string()), Some(id(RECENT as u64)));
    }
}
