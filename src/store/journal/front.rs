//! Where appended entries wait for the writer.
//!
//! Owns the order of entries, their numbers within the day and the bound on how many wait.
//! Refuses what exceeds it. Driven by every appender; emptied by the writer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use super::days::Days;
use super::group::{Entry, Group, Key};
use super::id::Span;
use super::{AppendError, Day, ENTRY_BYTES, EntryId, Index, JournalOptions, Ticket};

#[derive(Debug)]
struct State {
    group: Group,
    /// The sequence of the last entry.
    sequence: u64,
    /// The day of the last entry.
    span: Option<Span>,
    /// The next number of every day written to.
    next: BTreeMap<Day, u64>,
    /// The writer is woken once so many entries wait.
    wake_at: usize,
    closed: bool,
}

/// The room in front of the writer.
pub(super) struct Front {
    state: Mutex<State>,
    days: Arc<Days>,
    /// Entries accepted and not yet durable, and their octets.
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
        let group = Group::default();
        let state = State { group, sequence: 0, span: None, next: BTreeMap::new(), wake_at: 1, closed: false };
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

    /// Takes the room of so many entries and octets, or none of it. Where nothing waits, whatever is asked for is
    /// there: more than all the room is refused only for as long as others have some of it.
    pub(super) fn reserve(&self, entries: usize, bytes: usize) -> Result<(), AppendError> {
        let state = self.lock();
        if state.closed {
            return Err(AppendError::Closed);
        }
        let taken = (self.entries.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        let fits =
            taken.0.saturating_add(entries) <= self.max_entries && taken.1.saturating_add(bytes) <= self.max_bytes;
        if !fits && taken != (0, 0) {
            return Err(AppendError::Full);
        }
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Appends an entry; `reserved` where its room was taken before.
    pub(super) fn append(&self, content: &[u8], signalling: &[u8], reserved: bool) -> Result<Ticket, AppendError> {
        let schema = self.days.schema();
        self.append_keyed((content, signalling), schema.at_ms(content), |emit| schema.keys(content, emit), reserved)
    }

    /// The same, with the entry's moment and keys as told.
    pub(super) fn append_keyed(
        &self,
        (content, signalling): (&[u8], &[u8]),
        at_ms: i64,
        tell_keys: impl FnOnce(&mut dyn FnMut(Index, &[u8])),
        reserved: bool,
    ) -> Result<Ticket, AppendError> {
        let bytes = content.len() + signalling.len();
        if bytes > ENTRY_BYTES {
            return Err(AppendError::TooLong { bytes, limit: ENTRY_BYTES });
        }
        let mut keys = KEYS.take();
        keys.clear();
        tell_keys(&mut |index, key| keys.push(Key::new(index, key)));
        let pushed = self.push(at_ms, (content, signalling), &keys, reserved);
        KEYS.set(keys);
        let (ticket, wake) = pushed?;
        if wake {
            self.wake();
        }
        Ok(ticket)
    }

    fn push(
        &self,
        at_ms: i64,
        (content, signalling): (&[u8], &[u8]),
        keys: &[Key],
        reserved: bool,
    ) -> Result<(Ticket, bool), AppendError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.closed {
            return Err(AppendError::Closed);
        }
        if !reserved && !self.has_room() {
            return Err(AppendError::Full);
        }
        let span = match state.span {
            Some(span) if span.holds(at_ms) => span,
            _ => *state.span.insert(self.days.span(at_ms)),
        };
        let next = state.next.entry(span.day).or_insert_with(|| self.days.first_free_number(span, at_ms));
        let id = EntryId { day: span.day, number: *next };
        *next += 1;
        state.sequence += 1;
        state.group.push(Entry { id, at_ms, content, signalling, keys });
        self.entries.fetch_add(usize::from(!reserved), Ordering::Relaxed);
        self.bytes.fetch_add(content.len() + signalling.len(), Ordering::Relaxed);
        Ok((Ticket { id, sequence: state.sequence }, state.group.len() >= state.wake_at))
    }

    pub(super) fn has_room(&self) -> bool {
        self.entries.load(Ordering::Relaxed) < self.max_entries && self.bytes.load(Ordering::Relaxed) < self.max_bytes
    }

    /// The sequence of the last entry accepted.
    pub(super) fn sequence(&self) -> u64 {
        self.lock().sequence
    }

    /// How many entries wait.
    pub(super) fn gathered(&self) -> usize {
        self.lock().group.len()
    }

    /// Swaps what has gathered with an empty group, and says the sequence of its last entry.
    pub(super) fn take(&self, group: &mut Group) -> u64 {
        let mut state = self.lock();
        std::mem::swap(&mut state.group, group);
        state.sequence
    }

    /// Gives back the room of entries that are durable.
    pub(super) fn settle(&self, entries: usize, bytes: usize) {
        self.entries.fetch_sub(entries, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Accepts no more entries.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Puts the writer to sleep until so many entries wait, or the time has passed, or the front is closed.
    pub(super) fn sleep(&self, wake_at: usize, at_most: Duration) {
        let _ = self.writer.set(std::thread::current());
        self.asleep.store(true, Ordering::SeqCst);
        let mut state = self.lock();
        state.wake_at = wake_at;
        let idle = state.group.len() < wake_at && !state.closed;
        drop(state);
        if idle {
            std::thread::park_timeout(at_most);
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
