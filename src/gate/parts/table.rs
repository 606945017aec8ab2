//! The table of parts that wait, and the bounds on it.
//!
//! Owns the transitions: a part comes, a message becomes whole, repeats, expires or gives way.
//! Refuses to lock and to know who asks. Driven by [`Parts`](super::Parts), which holds the lock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use portcullis_protocol::Frame;

use super::{Added, Holder, Key, Limits, Part, Repeats};
use crate::store::EntryId;

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) gatherings: HashMap<Arc<Key>, Gathering>,
    pub(super) by_serial: HashMap<u64, Arc<Key>>,
    pub(super) usage: HashMap<String, Usage>,
    /// By deadline: they all wait equally long. Outlives the message it names.
    pub(super) due: VecDeque<(Instant, u64)>,
    pub(super) acknowledged: HashMap<EntryId, Arc<Key>>,
    pub(super) last_serial: u64,
}

/// One message's parts, and those of the last whole one under the same key.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) serial: u64,
    pub(super) parts: Vec<Part>,
    pub(super) whole: Vec<Kept>,
}

/// A whole message's part: its octets, and the `message_id` it was acknowledged with.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) number: u8,
    pub(super) frame: Frame,
    pub(super) id: Option<EntryId>,
}

#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) parts: usize,
    pub(super) bytes: usize,
    /// Whole messages, oldest first: their room is given up before a new part is refused.
    pub(super) whole: VecDeque<u64>,
}

fn cost(frame: &Frame) -> usize {
    frame.as_bytes().len()
}

impl Table {
    pub(super) fn add(&mut self, key: &Key, part: Part, now: Instant, limits: &Limits) -> Added {
        let gathering = self.gatherings.get(key);
        let held = gathering.and_then(|gathering| gathering.parts.iter().find(|held| held.number == part.number));
        let repeats = held.is_some_and(|held| held.is_like(part.number, &part.frame));
        if let Some(id) = held.filter(|_| repeats).and_then(Part::acknowledged_as) {
            return Added::Known(id);
        }
        let known = gathering.filter(|_| held.is_none()).and_then(|gathering| gathering.known(&part));
        let completes = gathering.is_some_and(|gathering| gathering.lacks_only(part.number, key.total));
        if !self.make_room(&key.provider, cost(&part.frame), limits) {
            return Added::Over;
        }
        if let Some(id) = known.filter(|_| !completes) {
            // Answered before; still it may be the first part of another message.
            self.put(key, Part { holder: Holder::Acknowledged { id }, ..part }, now + limits.timeout);
            return Added::Known(id);
        }
        let number = part.number;
        let mut displaced = Vec::new();
        if !repeats {
            // All that waited beside one another: what is judged under a number is all that goes on under it.
            displaced.extend(std::iter::from_fn(|| self.take_out(key, |held| held.number == number)));
            displaced.retain(|part| self.gatherings.get(key).is_none_or(|gathering| gathering.owes(part)));
        }
        self.put(key, part, now + limits.timeout);
        match self.complete(key) {
            Some(parts) => Added::Whole { parts, displaced },
            None => Added::Waits { displaced },
        }
    }

    pub(super) fn put_back(&mut self, key: &Key, parts: Vec<Part>, deadline: Instant) {
        if let Some(gathering) = self.gatherings.get_mut(key) {
            let (count, bytes) = gathering.drop_whole();
            self.release(&key.provider, count, bytes);
        }
        for part in parts {
            self.put(key, part, deadline);
        }
    }

    /// Whether one more part of this size finds room, whole messages giving way.
    pub(super) fn make_room(&mut self, provider: &str, bytes: usize, limits: &Limits) -> bool {
        loop {
            let Some(usage) = self.usage.get_mut(provider) else { return bytes <= limits.bytes && limits.parts > 0 };
            if usage.parts < limits.parts && usage.bytes + bytes <= limits.bytes {
                return true;
            }
            let Some(serial) = usage.whole.pop_front() else { return false };
            if let Some(key) = self.by_serial.get(&serial).cloned() {
                self.forget(&key);
            }
        }
    }

    pub(super) fn put(&mut self, key: &Key, part: Part, deadline: Instant) {
        let usage = self.usage.entry(key.provider.clone()).or_default();
        usage.parts += 1;
        usage.bytes += cost(&part.frame);
        let key = match self.gatherings.get_key_value(key) {
            Some((key, gathering)) if !gathering.parts.is_empty() => Arc::clone(key),
            Some((key, _)) => self.begin(Arc::clone(key), deadline),
            None => self.begin(Arc::new(key.clone()), deadline),
        };
        let Some(gathering) = self.gatherings.get_mut(&key) else { return };
        if let Some(id) = part.acknowledged_as().filter(|id| !gathering.was_acknowledged_as(*id)) {
            self.acknowledged.insert(id, key);
        }
        gathering.parts.push(part);
    }

    /// A new message under a key, with a time of its own.
    pub(super) fn begin(&mut self, key: Arc<Key>, deadline: Instant) -> Arc<Key> {
        self.last_serial += 1;
        let serial = self.last_serial;
        self.due.push_back((deadline, serial));
        let fresh = || Gathering { serial, parts: Vec::new(), whole: Vec::new() };
        let gathering = self.gatherings.entry(Arc::clone(&key)).or_insert_with(fresh);
        self.by_serial.remove(&gathering.serial);
        gathering.serial = serial;
        self.by_serial.insert(serial, Arc::clone(&key));
        key
    }

    /// Gives all parts out once none is missing; their octets stay, for repetitions.
    pub(super) fn complete(&mut self, key: &Key) -> Option<Vec<Part>> {
        let gathering = self.gatherings.get_mut(key)?;
        let mut numbers: Vec<u8> = gathering.parts.iter().map(|part| part.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() < usize::from(key.total) {
            return None;
        }
        let parts = std::mem::take(&mut gathering.parts);
        let mut released = gathering.drop_whole();
        for part in &parts {
            if gathering.whole.iter().any(|kept| kept.number == part.number) {
                released.0 += 1;
                released.1 += cost(&part.frame);
            } else {
                let id = part.acknowledged_as();
                gathering.whole.push(Kept { number: part.number, frame: part.frame.clone(), id });
            }
            if let Holder::Acknowledged { id } = part.holder {
                self.acknowledged.remove(&id);
            }
        }
        let serial = gathering.serial;
        self.release(&key.provider, released.0, released.1);
        if let Some(usage) = self.usage.get_mut(&key.provider) {
            usage.whole.push_back(serial);
        }
        Some(parts)
    }

    /// Takes one part out of a message that is not whole.
    pub(super) fn take_out(&mut self, key: &Key, which: impl Fn(&Part) -> bool) -> Option<Part> {
        let gathering = self.gatherings.get_mut(key)?;
        let at = gathering.parts.iter().position(which)?;
        let part = gathering.parts.swap_remove(at);
        let empty = gathering.parts.is_empty() && gathering.whole.is_empty();
        self.release(&key.provider, 1, cost(&part.frame));
        if let Holder::Acknowledged { id } = part.holder {
            self.acknowledged.remove(&id);
        }
        if empty {
            self.forget(key);
        }
        Some(part)
    }

    pub(super) fn take_repeats(&mut self, key: &Key, which: impl Fn(&Part) -> bool) -> Option<Repeats> {
        let gathering = self.gatherings.get_mut(key)?;
        if !gathering.parts.iter().any(which) || !gathering.is_repetition() {
            return None;
        }
        let mut parts = std::mem::take(&mut gathering.parts);
        let whole = gathering.whole.iter().map(|kept| (kept.number, kept.frame.clone())).collect();
        let (count, bytes) = (parts.len(), parts.iter().map(|part| cost(&part.frame)).sum());
        for id in parts.iter().filter_map(Part::acknowledged_as) {
            self.acknowledged.remove(&id);
        }
        parts.retain(|part| gathering.owes(part));
        self.release(&key.provider, count, bytes);
        Some(Repeats { parts, whole })
    }

    /// Lets a message go, with all that is kept of it.
    pub(super) fn forget(&mut self, key: &Key) -> Vec<Part> {
        let Some(gathering) = self.gatherings.remove(key) else { return Vec::new() };
        self.by_serial.remove(&gathering.serial);
        let (whole, parts) = (gathering.whole.iter(), gathering.parts.iter());
        let frames = whole.map(|kept| &kept.frame).chain(parts.map(|part| &part.frame));
        let bytes = frames.map(cost).sum();
        self.release(&key.provider, gathering.whole.len() + gathering.parts.len(), bytes);
        for id in gathering.parts.iter().filter_map(Part::acknowledged_as) {
            self.acknowledged.remove(&id);
        }
        gathering.parts.iter().filter(|part| gathering.owes(part)).cloned().collect()
    }

    pub(super) fn release(&mut self, provider: &str, parts: usize, bytes: usize) {
        let Some(usage) = self.usage.get_mut(provider) else { return };
        usage.parts = usage.parts.saturating_sub(parts);
        usage.bytes = usage.bytes.saturating_sub(bytes);
        if usage.parts == 0 {
            self.usage.remove(provider);
        }
    }

    pub(super) fn expire(&mut self, now: Instant) -> Vec<(Key, Vec<Part>)> {
        let mut expired = Vec::new();
        while let Some((_, serial)) = self.due.pop_front_if(|(deadline, _)| *deadline <= now) {
            let Some(key) = self.by_serial.get(&serial).cloned() else { continue };
            let parts = self.forget(&key);
            if let Some(usage) = self.usage.get_mut(&key.provider) {
                // In the order they became whole, which is about that of their deadlines.
                while usage.whole.pop_front_if(|serial| !self.by_serial.contains_key(serial)).is_some() {}
            }
            if !parts.is_empty() {
                expired.push((Key::clone(&key), parts));
            }
        }
        expired
    }
}

impl Gathering {
    /// The `message_id` under which the whole message had this part.
    pub(super) fn known(&self, part: &Part) -> Option<EntryId> {
        self.whole.iter().find(|kept| part.is_like(kept.number, &kept.frame))?.id
    }

    pub(super) fn was_acknowledged_as(&self, id: EntryId) -> bool {
        self.whole.iter().any(|kept| kept.id == Some(id))
    }

    /// Whether a part is to have an end: what only repeats one that had its end before is owed nothing.
    pub(super) fn owes(&self, part: &Part) -> bool {
        part.acknowledged_as().is_none_or(|id| !self.was_acknowledged_as(id))
    }

    pub(super) fn is_repetition(&self) -> bool {
        let repeats = |part: &Part| self.whole.iter().any(|kept| part.is_like(kept.number, &kept.frame));
        self.parts.iter().all(repeats)
    }

    pub(super) fn lacks_only(&self, number: u8, total: u8) -> bool {
        (1..=total).all(|other| other == number || self.parts.iter().any(|part| part.number == other))
    }

    /// Forgets the whole message; gives the parts and octets that were counted for it.
    pub(super) fn drop_whole(&mut self) -> (usize, usize) {
        let whole = std::mem::take(&mut self.whole);
        (whole.len(), whole.iter().map(|kept| cost(&kept.frame)).sum())
    }
}
