//! Messages the carrier has and delivers later: who refuses meanwhile does not get them (R21).
//!
//! Owns which of them wait, in the order of their delivery, and the looking again and again whether the
//! subscriber still lets them come, whichever way a refusal arrives. Bounded: what finds no room is not
//! scheduled. Refuses to send: a withdrawal is owed to the account. Driven by the gate's chores.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::field::COctetString;
use portcullis_protocol::pdu::CancelSm;
use portcullis_protocol::{CommandStatus, Frame, Pdu};

use super::Gate;
use super::owed::Owed;
use super::record::{self, Record, SCHEDULED, WireAddress, entry_id};
use crate::store::{EntryId, Index, Query, StoreError};

/// Messages that may wait; about 150 octets each.
const MOST: usize = 500_000;

/// What is delivered within this is looked at with every chore, as far as there is time.
const SOON: SignedDuration = SignedDuration::from_hours(1);

/// Looks at what is delivered soon, and at the rest, for each chore: some ten microseconds each.
const LOOKS: [usize; 2] = [5_000, 200];

/// How far ahead the profile lets messages be scheduled where it names no bound.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(62 * 24);

/// A message's place: when it is delivered, and its record.
type Place = (i64, EntryId);

/// Sender and account of a message.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Whose {
    pub(super) sender: String,
    pub(super) provider: String,
}

#[derive(Debug, Default)]
pub(super) struct Scheduled {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    waiting: BTreeMap<Place, (Arc<Whose>, u64)>,
    /// The same for many.
    known: HashSet<Arc<Whose>>,
    /// Where the last looks at what comes soon, and at the rest, have ended.
    looked: [Option<Place>; 2],
}

/// The withdrawal of a message whose subscriber has refused.
#[derive(Debug)]
pub struct Withdrawal {
    pub(super) provider: String,
    /// The record that it waits, and its send record.
    pub(super) id: EntryId,
    pub(super) message: record::Name,
    pub(super) frame: Frame,
    pub(super) subscriber: String,
    pub(super) port: String,
    pub(super) deliver_at: Timestamp,
    pub(super) attempts: u32,
    pub(super) not_before: Option<Instant>,
}

impl Scheduled {
    /// Whether another message would find room.
    pub(super) fn has_room(&self) -> bool {
        self.lock().waiting.len() < MOST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// A message waits, unless this sender's subscriber has refused.
    pub(super) fn add(&self, id: EntryId, deliver_ms: i64, whose: Whose, msisdn: u64) {
        let mut table = self.lock();
        if table.waiting.len() >= 2 * MOST {
            // Those that were admitted while there was room, all at once.
            return tracing::error!(record = %id, "too many messages are scheduled: a refusal will not withdraw this one");
        }
        let whose = table.known.get(&whose).map_or_else(|| Arc::new(whose), Arc::clone);
        table.known.insert(Arc::clone(&whose));
        table.waiting.insert((deliver_ms, id), (whose, msisdn));
    }

    pub(super) fn remove(&self, id: EntryId, deliver_ms: i64) {
        self.lock().waiting.remove(&(deliver_ms, id));
    }

    /// Some of those that wait, others with every call; what is delivered is forgotten.
    fn some(&self, now: Timestamp) -> Vec<(Place, Arc<Whose>, u64)> {
        let mut table = self.lock();
        let delivered = first_at(now);
        let left = table.waiting.split_off(&delivered);
        table.waiting = left;
        if table.waiting.is_empty() {
            table.known.clear();
        }
        let soon = first_at(now.saturating_add(SOON).unwrap_or(now));
        let ranges = [(delivered, Some(soon)), (soon, None)];
        let mut some = Vec::new();
        for (n, (from, until)) in ranges.into_iter().enumerate() {
            let until = until.map_or(Unbounded, Excluded);
            let after = table.looked[n].filter(|looked| *looked >= from);
            let begin = after.map_or(Included(from), Excluded);
            if let (Excluded(begin), Excluded(until)) = (begin, until)
                && begin >= until
            {
                table.looked[n] = None;
                continue;
            }
            let found: Vec<_> = table.waiting.range((begin, until)).take(LOOKS[n]).collect();
            let found: Vec<_> =
                found.into_iter().map(|(place, (sender, msisdn))| (*place, Arc::clone(sender), *msisdn)).collect();
            // At the end it begins anew.
            table.looked[n] = found.last().map(|(place, ..)| *place).filter(|_| found.len() == LOOKS[n]);
            some.extend(found);
        }
        some
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Before every place of that moment.
fn first_at(at: Timestamp) -> Place {
    let first = EntryId { day: crate::store::journal::Day(jiff::civil::Date::MIN), number: 0 };
    (at.as_millisecond(), first)
}

impl Gate {
    /// Looks whether those whose messages wait at the carrier have refused, and owes the withdrawal.
    pub(super) fn withdraw_refused(&self, now: Timestamp) -> Result<(), StoreError> {
        for ((deliver_ms, id), whose, msisdn) in self.scheduled.some(now) {
            if !self.has_refused(&(whose.sender.clone(), msisdn), &whose.provider, now) {
                continue;
            }
            if !self.accounts.takes(&whose.provider) {
                // It is looked at again.
                continue;
            }
            if let Some(withdrawal) = self.withdrawal(id)? {
                tracing::info!(message = %id, provider = withdrawal.provider, "a scheduled message is withdrawn: its subscriber has refused");
                self.post(Owed::Withdrawal(withdrawal), now);
            }
            self.scheduled.remove(id, deliver_ms);
        }
        Ok(())
    }

    /// The `cancel_sm` for a message, as the carrier knows it. Where it has given no name, that is all it has
    /// from the port for the subscriber (SMPP 3.4 §4.9.1): nothing that a refusal lets come.
    fn withdrawal(&self, id: EntryId) -> Result<Option<Withdrawal>, StoreError> {
        let Some(payload) = self.journal.get(id)? else { return Ok(None) };
        let Ok(Record::Scheduled(scheduled)) = Record::decode(&payload) else { return Ok(None) };
        let message_id = scheduled.message_id.as_deref().unwrap_or_default();
        let pdu = CancelSm {
            service_type: COctetString(scheduled.service_type.as_bytes()),
            message_id: COctetString(message_id.as_bytes()),
            source: address(&scheduled.source),
            destination: address(&scheduled.destination),
            ..CancelSm::default()
        };
        Ok(Some(Withdrawal {
            provider: scheduled.provider.to_string(),
            id,
            message: scheduled.of,
            frame: Pdu::CancelSm(pdu).to_frame(CommandStatus::ESME_ROK, 0),
            subscriber: scheduled.subscriber.to_string(),
            port: scheduled.port.to_string(),
            deliver_at: Timestamp::from_millisecond(scheduled.deliver_ms).unwrap_or_default(),
            attempts: 0,
            not_before: None,
        }))
    }

    /// Takes up what waits from the process before; withdrawals that it owed are owed again.
    pub(super) fn restore_scheduled(&self, now: Timestamp) -> Result<(), StoreError> {
        let back = self.profile.schedule.schedule_at_most.unwrap_or(LOOK_BACK);
        let since = now.saturating_sub(back).unwrap_or(Timestamp::MIN).as_millisecond();
        let query = Query { key: Some((Index::Source, SCHEDULED.to_vec())), since_ms: Some(since), ..Query::default() };
        let mut places: HashMap<EntryId, i64> = HashMap::new();
        for entry in self.journal.find(query)? {
            let (id, payload) = entry?;
            match Record::decode(&payload) {
                Ok(Record::Scheduled(waiting)) if waiting.deliver_ms > now.as_millisecond() => {
                    if let Some((sender, msisdn)) = &waiting.marketing {
                        places.insert(id, waiting.deliver_ms);
                        let (sender, provider) = (sender.to_string(), waiting.provider.to_string());
                        self.scheduled.add(id, waiting.deliver_ms, Whose { sender, provider }, *msisdn);
                    }
                }
                Ok(Record::Withdrawn(withdrawn)) => {
                    let of = entry_id(withdrawn.of);
                    if let Some((id, deliver_ms)) = of.and_then(|of| Some((of, *places.get(&of)?))) {
                        self.scheduled.remove(id, deliver_ms);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn address<'a>(address: &'a WireAddress<'_>) -> Address<'a> {
    Address::new(Ton(address.ton), Npi(address.npi), address.addr.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::journal::Day;

    fn id(number: u64) -> EntryId {
        EntryId { day: Day(jiff::civil::date(2026, 11, 24)), number }
    }

    fn whose() -> Whose {
        Whose { sender: "bakery".to_owned(), provider: "herald".to_owned() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn looked_at(scheduled: &Scheduled, second: i64) -> Vec<u64> {
        scheduled.some(at(second)).into_iter().map(|((_, id), ..)| id.number).collect()
    }

    #[test]
    fn those_that_come_soon_are_looked_at_every_time_and_the_rest_in_turn() {
        let scheduled = Scheduled::default();
        for n in 0..450 {
            scheduled.add(id(n), 1_000_000_000, whose(), n);
        }
        scheduled.add(id(999), 1_000_000, whose(), 999);
        assert_eq!(looked_at(&scheduled, 1), [&[999], &(0..200).collect::<Vec<_>>()[..]].concat());
        assert_eq!(looked_at(&scheduled, 1), [&[999], &(200..400).collect::<Vec<_>>()[..]].concat());
        assert_eq!(looked_at(&scheduled, 1), [&[999], &(400..450).collect::<Vec<_>>()[..]].concat());
        assert_eq!(looked_at(&scheduled, 1), [&[999], &(0..200).collect::<Vec<_>>()[..]].concat());
    }

    #[test]
    fn a_full_table_has_no_room_takes_in_those_admitted_before_and_never_more() {
        let scheduled = Scheduled::default();
        for n in 0..2 * MOST as u64 {
            assert_eq!(scheduled.has_room(), n < MOST as u64);
            scheduled.add(id(n), 1_000_000_000, whose(), n);
        }
        scheduled.add(id(7_000_000), 1_000_000_000, whose(), 7);
        assert_eq!(scheduled.lock().waiting.len(), 2 * MOST, "it does not grow without bound");
        (0..=MOST as u64).for_each(|n| scheduled.remove(id(n), 1_000_000_000));
        assert!(scheduled.has_room());
    }

    #[test]
    fn what_is_delivered_or_withdrawn_is_forgotten() {
        let scheduled = Scheduled::default();
        scheduled.add(id(1), 5_000, whose(), 1);
        scheduled.add(id(2), 6_000, whose(), 2);
        scheduled.add(id(3), 7_000, whose(), 3);
        scheduled.remove(id(3), 7_000);
        assert_eq!(looked_at(&scheduled, 4), [1, 2]);
        assert_eq!(looked_at(&scheduled, 5), [1, 2]);
        assert_eq!(looked_at(&scheduled, 6), [2]);
        assert!(looked_at(&scheduled, 7).is_empty() && scheduled.is_empty());
    }
}
