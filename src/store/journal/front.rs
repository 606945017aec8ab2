//! Where appended entries wait for the writer.
//!
//! Owns the order of entries, their numbers within the day and the bound on how many wait.
//! Refuses what exceeds it. Driven by every appender; emptied by the writer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;

use siphasher::sip::SipHasher13;

use super::days::Days;
use super::id::{Day, EntryId, Span};
use super::{AppendError, ENTRY_BYTES, Index, JournalOptions, Ticket};

/// A key of an entry, hashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key {
    pub(super) index: Index,
    pub(super) hash: u32,
}

impl Key {
    pub(super) fn new(index: Index, key: &[u8]) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write(key);
        let [a, b, c, d, ..] = hasher.finish().to_be_bytes();
        Self { index, hash: u32::from_be_bytes([a, b, c, d]) }
    }
}

/// An entry of a [`Group`]; its octets and keys end where the next one's begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta {
    pub(super) id: EntryId,
    pub(super) at_ms: i64,
    bytes_end: usize,
    keys_end: usize,
}

/// Entries in order, in few allocations.
#[derive(Debug, Default)]
pub(super) struct Group {
    metas: Vec<Meta>,
    bytes: Vec<u8>,
    keys: Vec<Key>,
    /// The sequence of the last entry.
    pub(super) last: u64,
}

/// One entry of a [`Group`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) id: EntryId,
    pub(super) at_ms: i64,
    pub(super) payload: &'a [u8],
    pub(super) keys: &'a [Key],
}

impl Group {
    pub(super) fn len(&self) -> usize {
        self.metas.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.metas.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let (mut bytes_from, mut keys_from) = (0, 0);
        self.metas.iter().map(move |meta| {
            let payload = &self.bytes[bytes_from..meta.bytes_end];
            let keys = &self.keys[keys_from..meta.keys_end];
            (bytes_from, keys_from) = (meta.bytes_end, meta.keys_end);
            Entry { id: meta.id, at_ms: meta.at_ms, payload, keys }
        })
    }

    fn push(&mut self, id: EntryId, at_ms: i64, payload: &[u8], keys: &[Key]) {
        self.bytes.extend_from_slice(payload);
        self.keys.extend_from_slice(keys);
        self.metas.push(Meta { id, at_ms, bytes_end: self.bytes.len(), keys_end: self.keys.len() });
    }

    /// Empties it and keeps its memory, unless a burst made that large.
    pub(super) fn clear(&mut self) {
        const KEPT: usize = 4 << 20;
        self.metas.clear();
        self.bytes.clear();
        self.keys.clear();
        self.metas.shrink_to(KEPT / size_of::<Meta>());
        self.bytes.shrink_to(KEPT);
        self.keys.shrink_to(KEPT / size_of::<Key>());
    }
}

#[derive(Debug)]
struct State {
    group: Group,
    sequence: u64,
    span: Option<Span>,
    next: BTreeMap<Day, u64>,
    closed: bool,
}

/// The room in front of the writer.
pub(super) struct Front {
    state: Mutex<State>,
    days: Arc<Days>,
    entries: AtomicUsize,
    bytes: AtomicUsize,
    max_entries: usize,
    max_bytes: usize,
    writer: OnceLock<Thread>,
    asleep: AtomicBool,
}

thread_local! {
    static KEYS: RefCell<Vec<Key>> = const { RefCell::new(Vec::new()) };
}

impl Front {
    pub(super) fn new(days: Arc<Days>, options: &JournalOptions) -> Self {
        let state = State { group: Group::default(), sequence: 0, span: None, next: BTreeMap::new(), closed: false };
        Self {
            state: Mutex::new(state),
            days,
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            max_entries: options.spool_entries,
            max_bytes: options.spool_bytes,
            writer: OnceLock::new(),
            asleep: AtomicBool::new(false),
        }
    }

    pub(super) fn append(&self, payload: &[u8]) -> Result<Ticket, AppendError> {
        if payload.len() > ENTRY_BYTES {
            return Err(AppendError::TooLong { bytes: payload.len(), limit: ENTRY_BYTES });
        }
        let at_ms = self.days.schema().at_ms(payload);
        let mut keys = KEYS.take();
        keys.clear();
        self.days.schema().keys(payload, &mut |index, key| keys.push(Key::new(index, key)));
        let ticket = self.push(at_ms, payload, &keys);
        KEYS.set(keys);
        if ticket.is_ok() {
            self.wake();
        }
        ticket
    }

    fn push(&self, at_ms: i64, payload: &[u8], keys: &[Key]) -> Result<Ticket, AppendError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(AppendError::Closed);
        }
        if !self.has_room() {
            return Err(AppendError::Full);
        }
        let day = match state.span {
            Some(span) if span.holds(at_ms) => span.day,
            _ => state.span.insert(self.days.span(at_ms)).day,
        };
        let next = state.next.entry(day).or_insert_with(|| self.days.first_free_number(day, at_ms));
        let id = EntryId { day, number: *next };
        *next += 1;
        state.sequence += 1;
        let sequence = state.sequence;
        state.group.push(id, at_ms, payload, keys);
        state.group.last = sequence;
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(payload.len(), Ordering::Relaxed);
        Ok(Ticket { id, sequence })
    }

    pub(super) fn has_room(&self) -> bool {
        self.entries.load(Ordering::Relaxed) < self.max_entries && self.bytes.load(Ordering::Relaxed) < self.max_bytes
    }

    /// Swaps what has gathered with an empty group; `false` once closed and nothing is left.
    pub(super) fn take(&self, group: &mut Group) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.group, group);
        !(state.closed && group.is_empty())
    }

    /// Gives back the room of entries that are durable.
    pub(super) fn settle(&self, entries: usize, bytes: usize) {
        self.entries.fetch_sub(entries, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Accepts no more entries.
    pub(super) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.wake();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed
    }

    /// Puts the writer to sleep until there is an entry, or for `at_most`.
    pub(super) fn sleep(&self, at_most: Option<std::time::Duration>) {
        let _ = self.writer.set(std::thread::current());
        self.asleep.store(true, Ordering::SeqCst);
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = state.group.is_empty() && !state.closed;
        drop(state);
        if idle {
            match at_most {
                Some(time) => std::thread::park_timeout(time),
                None => std::thread::park(),
            }
        }
        self.asleep.store(false, Ordering::SeqCst);
    }

    fn wake(&self) {
        if self.asleep.load(Ordering::SeqCst)
            && self.asleep.swap(false, Ordering::SeqCst)
            && let Some(writer) = self.writer.get()
        {
            writer.unpark();
        }
    }
}
