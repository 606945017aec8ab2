//! Messages that wait with the gate for the end of the quiet hours (R18), where their provider asks for it.
//!
//! Owns which of them wait and until when, bounded for each provider, and the pace at which they are let go.
//! Their octets are in the journal. Refuses to judge and to send. Driven by the desks and the gate's chores.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;

use super::limits::Allowance;
use crate::register::Rate;
use crate::store::EntryId;

/// A message that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Queued {
    /// The records its parts were acknowledged under, in their order.
    pub(super) parts: Vec<EntryId>,
    pub(super) subscriber: String,
    pub(super) port: String,
    /// It can be read once the journal is durable up to here.
    pub(super) sequence: u64,
}

#[derive(Debug)]
pub(super) struct Queue {
    table: Mutex<HashMap<String, Account>>,
    limits: Limits,
}

/// What one provider may have waiting, and how fast that goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Limits {
    pub(super) messages: usize,
    pub(super) per_second: u32,
}

#[derive(Debug, Default)]
struct Account {
    waiting: BTreeMap<(Timestamp, EntryId), Queued>,
    /// Where each part's message is.
    places: HashMap<EntryId, (Timestamp, EntryId)>,
    pace: Allowance,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self { table: Mutex::default(), limits }
    }

    /// Whether another message of this provider may wait.
    pub(super) fn has_room(&self, provider: &str) -> bool {
        self.lock().get(provider).is_none_or(|account| account.waiting.len() < self.limits.messages)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// A message waits until a moment, whether there is room or not: it was admitted before.
    pub(super) fn add(&self, provider: &str, until: Timestamp, queued: Queued) {
        let Some(first) = queued.parts.first().copied() else { return };
        let mut table = self.lock();
        let account = table.entry(provider.to_owned()).or_default();
        account.places.extend(queued.parts.iter().map(|part| (*part, (until, first))));
        account.waiting.insert((until, first), queued);
    }

    /// Takes out the message that a part belongs to; `None` where it waits no more.
    pub(super) fn take(&self, provider: &str, part: EntryId) -> Option<Queued> {
        let mut table = self.lock();
        let account = table.get_mut(provider)?;
        let place = *account.places.get(&part)?;
        let queued = account.remove(place);
        table.retain(|_, account| !account.waiting.is_empty());
        queued
    }

    /// Takes out what may go on now, of providers that can send: as much as the pace allows, what has waited
    /// for longest first.
    pub(super) fn due(
        &self,
        now: Timestamp,
        at: Instant,
        can_send: impl Fn(&str) -> Option<Option<Rate>>,
    ) -> Vec<(String, Queued)> {
        let mut table = self.lock();
        let mut due = Vec::new();
        for (provider, account) in table.iter_mut() {
            let Some(own) = account.first_due(now).and_then(|_| can_send(provider)) else { continue };
            let rate = pace(self.limits.per_second, own);
            while let Some(place) = account.first_due(now)
                && account.pace.take(rate, 1, at)
            {
                due.extend(account.remove(place).map(|queued| (provider.clone(), queued)));
            }
        }
        table.retain(|_, account| !account.waiting.is_empty());
        due
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn first_due(&self, now: Timestamp) -> Option<(Timestamp, EntryId)> {
        self.waiting.first_key_value().map(|(place, _)| *place).filter(|(until, _)| *until <= now)
    }

    fn remove(&mut self, place: (Timestamp, EntryId)) -> Option<Queued> {
        let queued = self.waiting.remove(&place)?;
        for part in &queued.parts {
            self.places.remove(part);
        }
        Some(queued)
    }
}

/// The slower of the queue's and the provider's own, without the burst that a night would earn.
fn pace(per_second: u32, own: Option<Rate>) -> Rate {
    let messages_per_second = own.map_or(per_second, |own| own.messages_per_second.min(per_second));
    Rate { messages_per_second, burst: (messages_per_second / 4).max(1) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;
    use crate::store::journal::Day;

    fn id(number: u64) -> EntryId {
        EntryId { day: Day(jiff::civil::date(2026, 11, 24)), number }
    }

    fn queued(parts: &[u64]) -> Queued {
        let parts = parts.iter().copied().map(id).collect();
        Queued { parts, subscriber: "8613".to_owned(), port: "1069".to_owned(), sequence: 0 }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const LIMITS: Limits = Limits { messages: 3, per_second: 8 };

    #[test]
    fn what_is_due_goes_on_at_its_pace_and_only_where_somebody_can_send() {
        let (queue, start) = (Queue::new(LIMITS), clock::monotonic());
        for n in 0..10 {
            queue.add("herald", at(100), queued(&[n]));
        }
        queue.add("courier", at(100), queued(&[90]));
        let herald = |provider: &str| (provider == "herald").then_some(None);
        let due = |second, after: u64| {
            let due = queue.due(at(second), start + Duration::from_millis(after), herald);
            due.into_iter().map(|(_, queued)| queued.parts[0].number).collect::<Vec<_>>()
        };
        assert!(due(99, 0).is_empty());
        assert_eq!(due(100, 0), [0, 1], "no burst, though it waited all night");
        assert_eq!(due(100, 125), [2]);
        assert_eq!(due(100, 10_000), [3, 4]);
        let slow = Rate { messages_per_second: 4, burst: 4 };
        let due = queue.due(at(100), start + Duration::from_secs(20), |_| Some(Some(slow)));
        assert_eq!(due.len(), 2, "one of each: the provider's own rate is slower");
    }

    #[test]
    fn a_message_is_taken_out_by_any_of_its_parts_and_room_is_bounded() {
        let queue = Queue::new(LIMITS);
        queue.add("herald", at(1), queued(&[1, 2]));
        queue.add("herald", at(2), queued(&[3]));
        assert!(queue.has_room("herald"));
        queue.add("herald", at(3), queued(&[4]));
        assert!(!queue.has_room("herald") && queue.has_room("courier"));
        assert_eq!(queue.take("courier", id(2)), None, "another's");
        assert_eq!(queue.take("herald", id(2)), Some(queued(&[1, 2])));
        assert_eq!(queue.take("herald", id(1)), None);
        assert_eq!(queue.take("herald", id(3)), Some(queued(&[3])));
        queue.take("herald", id(4));
        assert!(queue.is_empty());
    }
}
