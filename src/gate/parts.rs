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
//! | of a message that is whole, the same octets | judged with the whole again, and goes on by itself |
//! | of a message that is whole, other octets | begins a new message |
//!
//! A whole message's parts are kept for that until its time is up or their room is needed.

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
pub struct Limits {
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
    pub(super) reference: u16,
    pub(super) total: u8,
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
    Waits { displaced: Option<Part> },
    /// It was answered with this `message_id` before.
    Known(EntryId),
    /// The provider has too much waiting.
    Over,
    /// The message is whole: all parts, repetitions included, in no order.
    Whole { parts: Vec<Part>, displaced: Option<Part> },
    /// The message was whole before: this part, and each number's octets to judge it by.
    Repeats { part: Part, whole: Vec<(u8, Frame)> },
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

/// One message's parts.
#[derive(Debug)]
struct Gathering {
    serial: u64,
    /// While it is not whole.
    parts: Vec<Part>,
    /// Once it is: each number's octets, and the `message_id` it was acknowledged with.
    whole: Vec<Kept>,
}

#[derive(Clone, Debug)]
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
    pub(super) fn is_waiting(&self, id: EntryId) -> bool {
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
        if let Some(gathering) = self.gatherings.get(key).filter(|gathering| gathering.is_whole()) {
            match gathering.whole.iter().find(|kept| part.is_like(kept.number, &kept.frame)) {
                Some(Kept { id: Some(id), .. }) => return Added::Known(*id),
                Some(_) => return Added::Repeats { part, whole: gathering.frames() },
                None => drop(self.forget(key)),
            }
        }
        let held = self.gatherings.get(key).and_then(|gathering| gathering.with_number(part.number));
        let (repeats, known) = match held {
            Some(held) if held.is_like(part.number, &part.frame) => (true, held.acknowledged_as()),
            _ => (false, None),
        };
        if let Some(id) = known {
            return Added::Known(id);
        }
        if !self.make_room(&key.provider, cost(&part.frame), limits) {
            return Added::Over;
        }
        let number = part.number;
        let displaced = if repeats { None } else { self.take_out(key, |held| held.number == number) };
        self.put(key, part, now + limits.timeout);
        match self.complete(key) {
            Some(parts) => Added::Whole { parts, displaced },
            None => Added::Waits { displaced },
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
            Some((key, _)) => Arc::clone(key),
            None => self.begin(key, deadline),
        };
        if let Holder::Acknowledged { id } = part.holder {
            self.acknowledged.insert(id, Arc::clone(&key));
        }
        if let Some(gathering) = self.gatherings.get_mut(&key) {
            gathering.parts.push(part);
        }
    }

    fn begin(&mut self, key: &Key, deadline: Instant) -> Arc<Key> {
        let key = Arc::new(key.clone());
        self.last_serial += 1;
        let serial = self.last_serial;
        self.due.push_back((deadline, serial));
        self.by_serial.insert(serial, Arc::clone(&key));
        self.gatherings.insert(Arc::clone(&key), Gathering { serial, parts: Vec::new(), whole: Vec::new() });
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
        let mut released = (0, 0);
        for part in &parts {
            if gathering.whole.iter().any(|kept| kept.number == part.number) {
                released = (released.0 + 1, released.1 + cost(&part.frame));
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
        let empty = gathering.parts.is_empty();
        self.release(&key.provider, 1, cost(&part.frame));
        if let Holder::Acknowledged { id } = part.holder {
            self.acknowledged.remove(&id);
        }
        if empty {
            self.forget(key);
        }
        Some(part)
    }

    /// Lets a message go, with all that is kept of it.
    fn forget(&mut self, key: &Key) -> Vec<Part> {
        let Some(gathering) = self.gatherings.remove(key) else { return Vec::new() };
        self.by_serial.remove(&gathering.serial);
        let (whole, parts) = (gathering.whole.iter(), gathering.parts.iter());
        let frames = whole.map(|kept| &kept.frame).chain(parts.map(|part| &part.frame));
        let bytes = frames.map(cost).sum();
        self.release(&key.provider, gathering.whole.len() + gathering.parts.len(), bytes);
        for part in &gathering.parts {
            if let Holder::Acknowledged { id } = part.holder {
                self.acknowledged.remove(&id);
            }
        }
        gathering.parts
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
            if !parts.is_empty() {
                expired.push((Key::clone(&key), parts));
            }
        }
        expired
    }
}

impl Gathering {
    fn is_whole(&self) -> bool {
        !self.whole.is_empty()
    }

    fn frames(&self) -> Vec<(u8, Frame)> {
        self.whole.iter().map(|kept| (kept.number, kept.frame.clone())).collect()
    }

    fn with_number(&self, number: u8) -> Option<&Part> {
        self.parts.iter().find(|part| part.number == number)
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
