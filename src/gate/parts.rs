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

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use portcullis_protocol::Frame;

use super::mailbox::Mailbox;
use crate::relay::Ticket;
use crate::store::EntryId;

mod table;

use table::Table;

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
