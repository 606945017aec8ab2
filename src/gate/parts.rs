//! Parts of long messages, gathered until the message is whole.
//!
//! Owns which parts have come, over whichever bind of the account, who waits for each, and the
//! bounds on both. Refuses to judge, to answer and to read a clock. Driven by the desks, and by
//! the gate's sweep for what never becomes whole.
//!
//! | a part comes | what becomes of it |
//! |---|---|
//! | that was missing | kept; with the last one the message is whole |
//! | again, the same octets | waits beside the first, or is known by its `message_id` where that was answered |
//! | again, other octets | takes the place of the first, which is given back |
//! | of a message that is whole | begins the next message: references come again, be they always 0 |
//!
//! The next message may turn out to be mere repetition, when nothing new comes: its parts are
//! then judged with the whole message and go on by themselves. For that a whole message's octets
//! are kept until its time is up or their room is needed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use portcullis_protocol::Frame;

use super::mailbox::Mailbox;
use crate::relay::Ticket;
use crate::store::EntryId;

/// What one provider may have waiting, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Limits {
    /// From a message's first part to its last.
    pub timeout: Duration,
    /// Parts kept.
    pub parts: usize,
    /// Octets of them.
    pub bytes: usize,
}

/// What parts of one message have in common.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    /// The account, whichever of its binds the part came over.
    pub(super) provider: String,
    pub(super) source: Vec<u8>,
    pub(super) destination: Vec<u8>,
    /// References of different kinds are different messages on a handset.
    pub(super) kind: Kind,
    pub(super) reference: u16,
    pub(super) total: u8,
}

/// Where a part tells its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Kind {
    /// A user-data header with an 8-bit reference.
    Octet,
    /// A user-data header with a 16-bit reference.
    Word,
    /// `sar_*`
    Parameters,
}

/// One part that has come.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) number: u8,
    pub(super) frame: Frame,
    pub(super) received: Timestamp,
    pub(super) session: u64,
    pub(super) holder: Holder,
}

/// Who is to hear of a part's end.
#[derive(Clone, Debug)]
pub(super) enum Holder {
    /// The session, which has not answered it.
    Waiting { ticket: Ticket, mailbox: Mailbox },
    /// The account, which knows it by the gate's own `message_id`.
    Acknowledged { id: EntryId },
}

/// What became of a part that came.
#[derive(Debug)]
pub(super) enum Added {
    /// Others are missing. What it took the place of is given back.
    Waits { displaced: Vec<Part> },
    /// It was answered with this `message_id` before.
    Known(EntryId),
    /// The provider has too much waiting.
    Over,
    /// The message is whole: all parts, repetitions included, in no order.
    Whole { parts: Vec<Part>, displaced: Vec<Part> },
}

/// Parts that only repeat a whole message.
#[derive(Debug)]
pub(super) struct Repeats {
    pub(super) parts: Vec<Part>,
    /// Each number's octets, to judge them by.
    pub(super) whole: Vec<(u8, Frame)>,
}

/// All long messages that are not done with.
#[derive(Debug)]
pub(super) struct Parts {
    table: Mutex<Table>,
    limits: Limits,
}

#[derive(Debug, Default)]
struct Table {
    gatherings: HashMap<Arc<Key>, Gathering>,
    by_serial: HashMap<u64, Arc<Key>>,
    usage: HashMap<String, Usage>,
    /// By deadline: they all wait equally long. Outlives the message it names.
    due: VecDeque<(Instant, u64)>,
    acknowledged: HashMap<EntryId, Arc<Key>>,
    last_serial: u64,
}

/// One message's parts, and those of the last whole one under the same key.
#[derive(Debug)]
struct Gathering {
    serial: u64,
    parts: Vec<Part>,
    whole: Vec<Kept>,
}

/// A whole message's part: its octets, and the `message_id` it was acknowledged with.
#[derive(Debug)]
struct Kept {
    number: u8,
    frame: Frame,
    id: Option<EntryId>,
}

#[derive(Debug, Default)]
struct Usage {
    parts: usize,
    bytes: usize,
    /// Whole messages, oldest first: their room is given up before a new part is refused.
    whole: VecDeque<u64>,
}

impl Parts {
    pub(super) fn new(limits: Limits) -> Self {
        Self { table: Mutex::default(), limits }
    }

    /// Takes a part in.
    pub(super) fn add(&self, key: &Key, part: Part, now: Instant) -> Added {
        self.lock().add(key, part, now, &self.limits)
    }

    /// Takes acknowledged parts back whose message was whole and could not be decided on: they wait
    /// as if it had never been, whatever the bounds.
    pub(super) fn put_back(&self, key: &Key, parts: Vec<Part>, now: Instant) {
        self.lock().put_back(key, parts, now + self.limits.timeout);
    }

    /// Turns a waiting part into an acknowledged one, under the `message_id` that `write` gives it
    /// while nobody else can decide on it. `None` where it waits no more, or `write` gives none.
    pub(super) fn acknowledge(
        &self,
        key: &Key,
        ticket: Ticket,
        session: u64,
        write: impl FnOnce(&Part) -> Option<EntryId>,
    ) -> Option<EntryId> {
        let mut table = self.lock();
        let gathering = table.gatherings.get_mut(key)?;
        let part = gathering.parts.iter_mut().find(|part| part.is_held_by(ticket, session))?;
        let id = write(part)?;
        part.holder = Holder::Acknowledged { id };
        if let Some((key, _)) = table.gatherings.get_key_value(key) {
            let key = Arc::clone(key);
            table.acknowledged.insert(id, key);
        }
        Some(id)
    }

    /// Gives out the parts that wait with this one where all of them repeat a whole message, whose
    /// octets come with them.
    pub(super) fn take_repeats(&self, key: &Key, ticket: Ticket, session: u64) -> Option<Repeats> {
        self.lock().take_repeats(key, |part| part.is_held_by(ticket, session))
    }

    /// Gives back a part whose session has ended; `None` where it waits no more.
    pub(super) fn withdraw(&self, key: &Key, ticket: Ticket, session: u64) -> Option<Part> {
        self.lock().take_out(key, |part| part.is_held_by(ticket, session))
    }

    /// Gives back an acknowledged part that the provider cancels before its message is whole.
    pub(super) fn cancel(&self, id: EntryId) -> Option<Part> {
        let mut table = self.lock();
        let key = table.acknowledged.get(&id)?.clone();
        table.take_out(&key, |part| matches!(part.holder, Holder::Acknowledged { id: held } if held == id))
    }

    /// Whether an acknowledged part waits for others.
    #[cfg(test)]
    fn is_waiting(&self, id: EntryId) -> bool {
        self.lock().acknowledged.contains_key(&id)
    }

    /// Gives back what has waited too long.
    pub(super) fn expire(&self, now: Instant) -> Vec<(Key, Vec<Part>)> {
        self.lock().expire(now)
    }

    /// Parts waiting, and their octets.
    pub(super) fn held(&self) -> (usize, usize) {
        let table = self.lock();
        table.usage.values().fold((0, 0), |(parts, bytes), usage| (parts + usage.parts, bytes + usage.bytes))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    fn is_held_by(&self, ticket: Ticket, session: u64) -> bool {
        self.session == session && matches!(self.holder, Holder::Waiting { ticket: held, .. } if held == ticket)
    }

    fn is_like(&self, number: u8, frame: &Frame) -> bool {
        self.number == number && is_same(&self.frame, frame)
    }
}

/// Whether two frames say the same, whatever their numbers.
fn is_same(one: &Frame, other: &Frame) -> bool {
    one.command_id() == other.command_id() && one.body() == other.body()
}

fn cost(frame: &Frame) -> usize {
    frame.as_bytes().len()
}

impl Table {
    fn add(&mut self, key: &Key, part: Part, now: Instant, limits: &Limits) -> Added {
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

    fn put_back(&mut self, key: &Key, parts: Vec<Part>, deadline: Instant) {
        if let Some(gathering) = self.gatherings.get_mut(key) {
            let (count, bytes) = gathering.drop_whole();
            self.release(&key.provider, count, bytes);
        }
        for part in parts {
            self.put(key, part, deadline);
        }
    }

    /// Whether one more part of this size finds room, whole messages giving way.
    fn make_room(&mut self, provider: &str, bytes: usize, limits: &Limits) -> bool {
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

    fn put(&mut self, key: &Key, part: Part, deadline: Instant) {
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
    fn begin(&mut self, key: Arc<Key>, deadline: Instant) -> Arc<Key> {
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
    fn complete(&mut self, key: &Key) -> Option<Vec<Part>> {
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
    fn take_out(&mut self, key: &Key, which: impl Fn(&Part) -> bool) -> Option<Part> {
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

    fn take_repeats(&mut self, key: &Key, which: impl Fn(&Part) -> bool) -> Option<Repeats> {
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
    fn forget(&mut self, key: &Key) -> Vec<Part> {
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

    fn release(&mut self, provider: &str, parts: usize, bytes: usize) {
        let Some(usage) = self.usage.get_mut(provider) else { return };
        usage.parts = usage.parts.saturating_sub(parts);
        usage.bytes = usage.bytes.saturating_sub(bytes);
        if usage.parts == 0 {
            self.usage.remove(provider);
        }
    }

    fn expire(&mut self, now: Instant) -> Vec<(Key, Vec<Part>)> {
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
    fn known(&self, part: &Part) -> Option<EntryId> {
        self.whole.iter().find(|kept| part.is_like(kept.number, &kept.frame))?.id
    }

    fn was_acknowledged_as(&self, id: EntryId) -> bool {
        self.whole.iter().any(|kept| kept.id == Some(id))
    }

    /// Whether a part is to have an end: what only repeats one that had its end before is owed nothing.
    fn owes(&self, part: &Part) -> bool {
        part.acknowledged_as().is_none_or(|id| !self.was_acknowledged_as(id))
    }

    fn is_repetition(&self) -> bool {
        let repeats = |part: &Part| self.whole.iter().any(|kept| part.is_like(kept.number, &kept.frame));
        self.parts.iter().all(repeats)
    }

    fn lacks_only(&self, number: u8, total: u8) -> bool {
        (1..=total).all(|other| other == number || self.parts.iter().any(|part| part.number == other))
    }

    /// Forgets the whole message; gives the parts and octets that were counted for it.
    fn drop_whole(&mut self) -> (usize, usize) {
        let whole = std::mem::take(&mut self.whole);
        (whole.len(), whole.iter().map(|kept| cost(&kept.frame)).sum())
    }
}

impl Part {
    /// The `message_id` it was answered with, where it was.
    pub(super) fn acknowledged_as(&self) -> Option<EntryId> {
        match self.holder {
            Holder::Acknowledged { id } => Some(id),
            Holder::Waiting { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
