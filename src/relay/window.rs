//! The unanswered requests of one leg.
//!
//! Owns each request from its arrival to its answer, the gate's own sequence numbers on the
//! leg across, and the order in which answers fall due. Refuses to know what a request means.
//! Driven by the relay, one window a leg. Every operation takes constant time, and memory is
//! bounded by the limit: nothing is allocated once the window has been full.

use std::time::Instant;

use portcullis_protocol::{CommandId, Frame};

use super::interface::{Leg, Ticket};

/// Bits of a ticket that tell the slot.
const SLOT_BITS: u32 = 24;
/// The most requests a window can hold, whatever configuration says.
const LARGEST_LIMIT: usize = 1 << 20;
/// The highest `sequence_number` the specification has (SMPP 3.4 §5.1.4).
const LAST_SEQUENCE: u32 = 0x7FFF_FFFF;
/// No slot.
const NONE: u32 = u32::MAX;

/// How far a request has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Free,
    /// With the gate.
    Judging,
    /// With the leg across.
    InFlight,
    /// Its answer waits for the record.
    Recording,
}

/// One request.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) ticket: Ticket,
    pub(super) command: CommandId,
    /// The asking leg's own sequence number; none where the gate asks itself.
    pub(super) original: Option<u32>,
    /// Whether the gate decides on it and its outcome is recorded.
    pub(super) judged: bool,
    pub(super) stage: Stage,
    pub(super) answer: Option<Frame>,
    own: u32,
    deadline: Option<Instant>,
    older: u32,
    newer: u32,
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Window {
    leg: Leg,
    limit: usize,
    slots: Vec<Slot>,
    free: Vec<u32>,
    serial: u64,
    /// Slot by `own & (len - 1)`; a number whose place is taken is skipped, so that no two
    /// requests in flight ever share one.
    ring: Vec<u32>,
    next_sequence: u32,
    /// The numbers have begun anew: every one was given out before.
    wrapped: bool,
    oldest: u32,
    newest: u32,
    in_flight: usize,
}

impl Window {
    pub(super) fn new(leg: Leg, limit: usize) -> Self {
        Self {
            leg,
            limit: limit.clamp(1, LARGEST_LIMIT),
            slots: Vec::new(),
            free: Vec::new(),
            serial: 0,
            ring: vec![NONE; 4],
            next_sequence: 1,
            wrapped: false,
            oldest: NONE,
            newest: NONE,
            in_flight: 0,
        }
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.clamp(1, LARGEST_LIMIT);
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.limit
    }

    /// Takes a request in; `None` when the window is full.
    pub(super) fn admit(&mut self, command: CommandId, original: Option<u32>, judged: bool) -> Option<Ticket> {
        if self.is_full() {
            return None;
        }
        let index = self.free.pop().unwrap_or_else(|| self.grow());
        self.serial += 1;
        let side = u64::from(self.leg == Leg::Carrier);
        let ticket = Ticket((self.serial << (SLOT_BITS + 1)) | (side << SLOT_BITS) | u64::from(index));
        let slot = &mut self.slots[index as usize];
        slot.ticket = ticket;
        slot.command = command;
        slot.original = original;
        slot.judged = judged;
        slot.stage = Stage::Judging;
        Some(ticket)
    }

    fn grow(&mut self) -> u32 {
        let index = u32::try_from(self.slots.len()).unwrap_or(NONE);
        self.slots.push(Slot {
            ticket: Ticket(0),
            command: CommandId(0),
            original: None,
            judged: false,
            stage: Stage::Free,
            answer: None,
            own: 0,
            deadline: None,
            older: NONE,
            newer: NONE,
        });
        index
    }

    /// Whose request a ticket names.
    pub(super) const fn leg_of(ticket: Ticket) -> Leg {
        if ticket.0 & (1 << SLOT_BITS) == 0 { Leg::Provider } else { Leg::Carrier }
    }

    pub(super) fn get(&self, ticket: Ticket) -> Option<&Slot> {
        self.index(ticket).map(|index| &self.slots[index as usize])
    }

    fn index(&self, ticket: Ticket) -> Option<u32> {
        let index = u32::try_from(ticket.0 & ((1 << SLOT_BITS) - 1)).ok()?;
        let slot = self.slots.get(index as usize)?;
        (slot.stage != Stage::Free && slot.ticket == ticket).then_some(index)
    }

    /// The next sequence number of the gate's own on the leg across, never one in flight.
    pub(super) fn next_sequence(&mut self) -> u32 {
        while self.ring[self.place(self.next_sequence)] != NONE {
            self.skip();
        }
        let sequence = self.next_sequence;
        self.skip();
        sequence
    }

    const fn skip(&mut self) {
        if self.next_sequence >= LAST_SEQUENCE {
            self.wrapped = true;
            self.next_sequence = 1;
        } else {
            self.next_sequence += 1;
        }
    }

    /// Puts a judged request in flight: its own sequence number, its answer due at `deadline`.
    pub(super) fn launch(&mut self, ticket: Ticket, deadline: Instant) -> Option<u32> {
        let index = self.index(ticket).filter(|&index| self.slots[index as usize].stage == Stage::Judging)?;
        if (self.in_flight + 1) * 2 > self.ring.len() {
            self.widen();
        }
        let own = self.next_sequence();
        let place = self.place(own);
        self.ring[place] = index;
        self.in_flight += 1;
        let newest = self.newest;
        // A clock that steps back must not break the order.
        let due = self.slots.get(newest as usize).and_then(|slot| slot.deadline).map_or(deadline, |d| d.max(deadline));
        let slot = &mut self.slots[index as usize];
        slot.own = own;
        slot.stage = Stage::InFlight;
        slot.deadline = Some(due);
        slot.older = newest;
        slot.newer = NONE;
        match self.slots.get_mut(newest as usize) {
            Some(previous) => previous.newer = index,
            None => self.oldest = index,
        }
        self.newest = index;
        Some(own)
    }

    /// Numbers apart in a ring stay apart in one twice as long.
    fn widen(&mut self) {
        self.ring = vec![NONE; self.ring.len() * 2];
        let mut index = self.oldest;
        while let Some(slot) = self.slots.get(index as usize) {
            let (own, newer) = (slot.own, slot.newer);
            let place = self.place(own);
            self.ring[place] = index;
            index = newer;
        }
    }

    fn place(&self, sequence: u32) -> usize {
        sequence as usize & (self.ring.len() - 1)
    }

    /// The request in flight under this number.
    pub(super) fn find(&self, own: u32) -> Option<&Slot> {
        let slot = self.slots.get(self.ring[self.place(own)] as usize)?;
        (slot.own == own).then_some(slot)
    }

    /// Whether this number was given out before: an answer to it is late or a repetition.
    pub(super) const fn was_used(&self, own: u32) -> bool {
        own != 0 && (self.wrapped || own < self.next_sequence)
    }

    /// The request whose answer is due first.
    pub(super) fn oldest_deadline(&self) -> Option<Instant> {
        self.slots.get(self.oldest as usize)?.deadline
    }

    /// The ticket whose answer is due first, whatever the time.
    pub(super) fn oldest(&self) -> Option<Ticket> {
        self.slots.get(self.oldest as usize).map(|slot| slot.ticket)
    }

    /// Ends the request's wait, wherever it waits: `answer` goes out once it is recorded.
    pub(super) fn land(&mut self, ticket: Ticket, answer: Frame) {
        let Some(index) = self.index(ticket) else { return };
        if self.slots[index as usize].stage == Stage::InFlight {
            self.unlink(index);
        }
        let slot = &mut self.slots[index as usize];
        slot.stage = Stage::Recording;
        slot.answer = Some(answer);
    }

    fn unlink(&mut self, index: u32) {
        let slot = &self.slots[index as usize];
        let (own, older, newer) = (slot.own, slot.older, slot.newer);
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        let place = self.place(own);
        self.ring[place] = NONE;
        self.in_flight -= 1;
    }

    /// Lets the request go; gives its answer if it has one.
    pub(super) fn release(&mut self, ticket: Ticket) -> Option<Frame> {
        let index = self.index(ticket)?;
        if self.slots[index as usize].stage == Stage::InFlight {
            self.unlink(index);
        }
        let slot = &mut self.slots[index as usize];
        slot.stage = Stage::Free;
        self.free.push(index);
        slot.answer.take()
    }

    /// Lets every request go.
    pub(super) fn clear(&mut self) {
        let (serial, next_sequence, wrapped) = (self.serial, self.next_sequence, self.wrapped);
        *self = Self { serial, next_sequence, wrapped, ..Self::new(self.leg, self.limit) };
    }

    /// Every request not yet answered, in no order.
    pub(super) fn pending(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.stage != Stage::Free)
    }
}

#[cfg(test)]
mod tests;
