//! Taking events into the ledger.
//!
//! Owns the order of rows that keeps every crash harmless: names and evidence before the buckets
//! that use them, the archive before its bucket shrinks, a new bucket before the count that opens it, the count before its parent shrinks.
//! Works a window of buckets at a time, so that a large import never keeps a refusal waiting. Driven
//! by [`super::Consents`].

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};

use super::address::{address, parent};
use super::bucket::Bucket;
use super::evidence::{EVIDENCE_OCTETS, Proof, WORDING_OCTETS};
use super::item::{Arrival, Item, Outcome};
use super::ledger::{Desk, Ledger};
use super::names::{Kind, NAME_OCTETS};
use super::{Applied, Event, Status, archive};
use crate::clock;
use crate::store::StoreError;

/// Items of a bucket, on average, before the next one is split.
pub(super) const LOAD: u64 = 56;

/// Buckets changed before others get their turn.
const WINDOW: usize = 64;

/// Events looked at to tell how many of an import are new.
const SAMPLED: usize = 256;

/// Events from which on a chunk is an import, whose arrival in whole seconds takes less room.
const MANY: usize = 1_000;

/// Most octets of evidence that a chunk gathers.
const CHUNK_EVIDENCE: usize = 16 << 20;

/// Most events that a chunk gathers.
const CHUNK_EVENTS: usize = 1 << 20;

/// Events of a chunk from which on their common arrival is worth a number.
const SHARED: u32 = 256;

/// Events gathered to be taken in together.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Their evidence is a place among the proofs.
    events: Vec<Item>,
    proofs: Vec<Box<[u8]>>,
    places: HashMap<Box<[u8]>, u64>,
    octets: usize,
}

impl Chunk {
    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= CHUNK_EVENTS || self.octets >= CHUNK_EVIDENCE
    }

    fn place(&mut self, proof: &[u8]) -> u64 {
        if let Some(place) = self.places.get(proof) {
            return *place;
        }
        let place = self.proofs.len() as u64;
        self.proofs.push(proof.into());
        self.places.insert(proof.into(), place);
        self.octets += 2 * (proof.len() + 32);
        place
    }
}

impl Event<'_> {
    fn check(&self) -> Result<(), StoreError> {
        let fits = |texts: &[&str], limit, what| match texts.iter().all(|text| text.len() <= limit) {
            true => Ok(()),
            false => Err(StoreError::Limit { what, limit }),
        };
        let names = [self.sender, self.category, self.method, self.frequency, self.recorded_by];
        fits(&names, NAME_OCTETS, "sender, category, method, frequency or recorder too long")?;
        fits(&[self.wording], WORDING_OCTETS, "wording too long")?;
        fits(&[self.evidence], EVIDENCE_OCTETS, "evidence too long")?;
        match self.sender.is_empty() == (self.status == Status::HolderChange) {
            true => Ok(()),
            false => Err(StoreError::Limit { what: "a change of holder has no sender, any other event one", limit: 1 }),
        }
    }
}

impl Ledger {
    /// Gathers an event; one that is refused leaves the chunk as it was.
    pub(super) fn gather(&self, event: &Event<'_>, chunk: &mut Chunk) -> Result<(), StoreError> {
        event.check()?;
        let consent = event.status == Status::Consent;
        let frequency = match event.frequency {
            text if consent && !text.is_empty() => self.name(Kind::Frequency, text)? + 1,
            _ => 0,
        };
        let proof = Proof::encode(event.evidence, event.wording, event.recorded_by, event.sha256);
        let item = Item {
            code: self.codes.code(event.msisdn),
            sender: self.name(Kind::Sender, event.sender)?,
            refusal: !consent,
            category: self.name(Kind::Category, event.category)?,
            at_ms: event.at_ms,
            expires_at_ms: event.expires_at_ms.filter(|_| consent),
            method: self.name(Kind::Method, event.method)?,
            evidence: chunk.place(&proof),
            frequency,
            arrival: event.recorded_at_ms.map_or(Arrival::Unknown, Arrival::At),
        };
        chunk.events.push(item);
        Ok(())
    }

    /// The number of a name; a new one is on disk before it has one.
    fn name(&self, kind: Kind, name: &str) -> Result<u32, StoreError> {
        let known = self.names.read().unwrap_or_else(PoisonError::into_inner).number(kind, name);
        if let Some(number) = known {
            return Ok(number);
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = names.number(kind, name) {
            return Ok(number);
        }
        names.check_room(kind)?;
        let number = names.add(kind, name, &*self.engine).map_err(|e| self.failed(&e))?;
        self.engine.sync().map_err(|e| self.failed(&e))?;
        Ok(number)
    }

    /// Takes in a chunk and empties it; durable after the next [`Ledger::sync`].
    pub(super) fn take_in(&self, chunk: &mut Chunk, applied: &mut Applied) -> Result<(), StoreError> {
        let Chunk { mut events, proofs, .. } = std::mem::take(chunk);
        let now = arrival(events.len());
        let unknown = events.iter_mut().filter(|event| event.arrival == Arrival::Unknown);
        unknown.for_each(|event| event.arrival = Arrival::At(now));
        self.take_in_items(events, Proofs { numbers: vec![None; proofs.len()], new: proofs, sweeps: 0 }, applied)
    }

    /// Takes in events that say themselves when they arrived.
    pub(super) fn take_in_items(
        &self,
        mut events: Vec<Item>,
        mut proofs: Proofs,
        applied: &mut Applied,
    ) -> Result<(), StoreError> {
        self.share_arrivals(&mut events)?;
        self.grow_for(&events)?;
        let count = self.count();
        events.sort_by_key(|event| (address(event.code, count), event.code));
        let mut left = events.as_slice();
        while !left.is_empty() {
            let mut window = Window { desk: self.desk(), proofs: &mut proofs, applied };
            left = self.take_window(left, &mut window)?;
            self.split_until(window.desk.items / LOAD, &mut window.desk)?;
        }
        Ok(())
    }

    /// Gives a number to each moment at which very many of the events arrived, which takes less room.
    fn share_arrivals(&self, events: &mut [Item]) -> Result<(), StoreError> {
        if events.len() < MANY {
            return Ok(());
        }
        let mut counts: HashMap<i64, u32> = HashMap::new();
        for event in &*events {
            if let Arrival::At(at_ms) = event.arrival {
                *counts.entry(at_ms).or_default() += 1;
            }
        }
        counts.retain(|_, count| *count >= SHARED);
        let number = |at_ms: i64| match self.name(Kind::Arrival, &at_ms.to_string()) {
            Ok(number) => Ok((at_ms, Arrival::Batch(number))),
            // There is no room for another number: each event has the moment itself.
            Err(StoreError::Limit { .. }) => Ok((at_ms, Arrival::At(at_ms))),
            Err(error) => Err(error),
        };
        let numbers: HashMap<i64, Arrival> = counts.into_keys().map(number).collect::<Result<_, _>>()?;
        for event in events {
            if let Arrival::At(at_ms) = event.arrival {
                event.arrival = numbers.get(&at_ms).copied().unwrap_or(event.arrival);
            }
        }
        Ok(())
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the events of the next buckets; gives the rest.
    fn take_window<'e>(&self, events: &'e [Item], window: &mut Window<'_>) -> Result<&'e [Item], StoreError> {
        let count = self.count();
        let mut evidence = Vec::new();
        let mut items = 0;
        // Since the events were put in order, a split can have made two buckets of one, whose events
        // now take turns.
        let mut buckets: Vec<(u64, Bucket)> = Vec::with_capacity(WINDOW);
        let mut taken = 0;
        for event in events {
            let here = address(event.code, count);
            let at = match buckets.iter().rposition(|(bucket, _)| *bucket == here) {
                Some(at) => at,
                None if buckets.len() == WINDOW => break,
                None => {
                    buckets.push((here, self.load(here, count)?));
                    buckets.len() - 1
                }
            };
            let outcome = buckets[at].1.merge(*event, || window.evidence(event.evidence, &mut evidence));
            let full = StoreError::Limit { what: "too many consents of one subscriber", limit: usize::MAX };
            items += i64::from(window.count(outcome.ok_or(full)?));
            taken += 1;
        }
        window.desk.evidence.put(&mut evidence);
        evidence.iter().try_for_each(|(key, value)| self.engine.put(key, value)).map_err(|e| self.failed(&e))?;
        for (here, mut bucket) in buckets {
            items -= self.archive(&mut bucket)?;
            self.put_bucket(bucket, here, count)?;
        }
        self.count_items(items, &mut window.desk).map_err(|e| self.failed(&e))?;
        Ok(&events[taken..])
    }

    /// Moves old events of whoever says very much out of the bucket; tells how many.
    fn archive(&self, bucket: &mut Bucket) -> Result<i64, StoreError> {
        let mut moved = 0;
        for older in bucket.surplus() {
            archive::put(&older, &*self.engine).map_err(|e| self.failed(&e))?;
            let (Some(first), Some(last)) = (older.first(), older.last()) else { continue };
            let taken = bucket.take(|item| item.name() == first.name() && item.key() <= last.key());
            moved += i64::try_from(taken.len()).unwrap_or(i64::MAX);
        }
        Ok(moved)
    }

    /// Reads a bucket, without what a split that was cut short left in it.
    pub(super) fn load(&self, here: u64, count: u64) -> Result<Bucket, StoreError> {
        let mut bucket = Bucket::load(self.row_number(here)?, &*self.engine).map_err(|e| self.failed(&e))?;
        bucket.take(|item| address(item.code, count) != here);
        Ok(bucket)
    }

    /// Splits ahead of a chunk that will bring many new items: splitting them later costs more.
    fn grow_for(&self, events: &[Item]) -> Result<(), StoreError> {
        if events.len() < 4 * SAMPLED {
            return Ok(());
        }
        let (mut new, mut seen) = (0, 0);
        for event in events.iter().step_by(events.len() / SAMPLED) {
            new += u64::from(self.items_of(event.code)?.is_empty());
            seen += 1;
        }
        let expected = events.len() as u64 * new / seen;
        let mut desk = self.desk();
        self.split_until((desk.items + expected) / LOAD, &mut desk)
    }

    /// Splits buckets in turn until there are `wanted`.
    pub(super) fn split_until(&self, wanted: u64, desk: &mut Desk) -> Result<(), StoreError> {
        let mut count = self.count();
        while count < wanted.min(u32::MAX.into()) {
            let (new, from) = (count, parent(count));
            let mut bucket = Bucket::load(self.row_number(from)?, &*self.engine).map_err(|e| self.failed(&e))?;
            count += 1;
            let moved = bucket.take(|item| address(item.code, count) != from);
            if moved.is_empty() {
                continue;
            }
            let mut moved: Vec<_> = moved.into_iter().filter(|item| address(item.code, count) == new).collect();
            moved.sort_by_key(Item::key);
            self.put_bucket(Bucket::of(moved), new, count)?;
            self.put_count(count, desk).map_err(|e| self.failed(&e))?;
            self.publish_count(count);
            self.put_bucket(bucket, from, count)?;
        }
        if count != self.count() {
            self.put_count(count, desk).map_err(|e| self.failed(&e))?;
            self.publish_count(count);
        }
        Ok(())
    }
}

/// When events are recorded that are taken in now.
fn arrival(events: usize) -> i64 {
    let now = clock::wall().as_millisecond();
    // Never earlier than it was.
    if events < MANY { now } else { now - now.rem_euclid(1_000) + 1_000 }
}

/// The proofs of events that are taken in.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    new: Vec<Box<[u8]>>,
    /// The numbers that they have got so far.
    numbers: Vec<Option<u64>>,
    /// How many sweeps had begun by then: what is numbered is not to be used after the next one.
    sweeps: u64,
}

/// What a window of buckets is taken in with.
struct Window<'a> {
    desk: MutexGuard<'a, Desk>,
    proofs: &'a mut Proofs,
    applied: &'a mut Applied,
}

impl Window<'_> {
    /// The number of the proof in that place; where there are none, it is the number.
    fn evidence(&mut self, place: u64, rows: &mut Vec<([u8; 9], Vec<u8>)>) -> u64 {
        let at = usize::try_from(place).unwrap_or(usize::MAX);
        if self.proofs.sweeps != self.desk.evidence.sweeps() {
            self.proofs.sweeps = self.desk.evidence.sweeps();
            self.proofs.numbers.fill(None);
        }
        let Some((proof, number)) = self.proofs.new.get(at).zip(self.proofs.numbers.get_mut(at)) else { return place };
        *number.get_or_insert_with(|| self.desk.evidence.number(proof, rows))
    }

    /// Counts an outcome; whether there is one event more.
    fn count(&mut self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Added | Outcome::Replaced => self.applied.changed += 1,
            Outcome::Unchanged => self.applied.unchanged += 1,
            Outcome::Stale => self.applied.stale += 1,
        }
        outcome != Outcome::Unchanged
    }
}
