//! Room for several entries that belong together.
//!
//! Owns the room that was taken for them, and gives back what was not used of it. Refuses nothing for want of
//! room once it is there; a journal that is closed takes no entry all the same. Driven by whoever writes several
//! entries about one thing.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{AppendError, Journal, Ticket};

/// Room for so many entries in front of the journal.
#[derive(Debug)]
pub struct Room<'j> {
    journal: &'j Journal,
    entries: AtomicUsize,
    bytes: usize,
}

impl<'j> Room<'j> {
    pub(super) fn take(journal: &'j Journal, entries: usize, bytes: usize) -> Result<Self, AppendError> {
        journal.inner.front.reserve(entries, bytes)?;
        Ok(Self { journal, entries: AtomicUsize::new(entries), bytes })
    }

    /// As [`Journal::append_parts`]; those beyond the room that was taken need some of their own.
    pub fn append_parts(&self, content: &[u8], signalling: &[u8]) -> Result<Ticket, AppendError> {
        let take = |left: usize| left.checked_sub(1);
        let reserved = self.entries.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        let appended = self.journal.inner.front.append(content, signalling, reserved);
        if appended.is_err() && reserved {
            self.entries.fetch_add(1, Ordering::Relaxed);
        }
        appended
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.journal.inner.front.settle(self.entries.load(Ordering::Relaxed), self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::JournalOptions;
    use super::super::plain::Plain;
    use super::*;

    /// A journal that takes so many entries and octets, and does not write for long.
    fn idle(dir: &std::path::Path, spool_entries: usize, spool_bytes: usize) -> Journal {
        let interval = Some(Duration::from_hours(1));
        let options = JournalOptions { interval, spool_entries, spool_bytes, ..JournalOptions::default() };
        let journal = Journal::open(dir, Arc::new(Plain), options).unwrap();
        // The writer rests only once it has written.
        let first = journal.append("first").unwrap();
        while !journal.progress().borrow().settled(first.sequence) {
            std::thread::yield_now();
        }
        journal
    }

    #[test]
    fn room_for_all_is_taken_or_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let journal = idle(dir.path(), 4, 1_000);
        journal.append("a").unwrap();
        assert_eq!(journal.reserve(4, 0).unwrap_err(), AppendError::Full);
        assert_eq!(journal.reserve(1, 1_000).unwrap_err(), AppendError::Full);
        let room = journal.reserve(3, 10).unwrap();
        assert_eq!(journal.append("of somebody else").unwrap_err(), AppendError::Full);
        (0..3).for_each(|_| room.append_parts(b"b", b"").map(drop).unwrap());
        assert_eq!(room.append_parts(b"c", b"").unwrap_err(), AppendError::Full, "no more than was taken");
        drop(room);
        assert_eq!(journal.append("still full").unwrap_err(), AppendError::Full);
    }

    #[test]
    fn what_was_not_used_of_it_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let journal = idle(dir.path(), 4, 1_000);
        let room = journal.reserve(4, 1_000).unwrap();
        assert!(room.append_parts(&[0; crate::store::journal::ENTRY_BYTES + 1], b"").is_err());
        room.append_parts(b"a", b"").unwrap();
        assert_eq!(journal.reserve(1, 0).unwrap_err(), AppendError::Full);
        drop(room);
        drop(journal.reserve(3, 999).unwrap());
        (0..3).for_each(|_| journal.append("b").map(drop).unwrap());
        assert_eq!(journal.append("full").unwrap_err(), AppendError::Full);
    }

    #[test]
    fn more_than_there_is_room_at_all_is_there_while_nothing_waits() {
        let dir = tempfile::tempdir().unwrap();
        let journal = idle(dir.path(), 2, 1_000);
        let room = journal.reserve(5, 5_000).unwrap();
        (0..5).for_each(|_| room.append_parts(b"a", b"").map(drop).unwrap());
        drop(room);
        assert_eq!(journal.reserve(5, 0).unwrap_err(), AppendError::Full);
        journal.close();
        assert_eq!(journal.reserve(1, 0).unwrap_err(), AppendError::Closed);
    }
}
