//! The journal: every verdict and every outcome, in order, durable before the answer leaves.
//!
//! Owns the days on disk, the one thread that writes them and the room in front of it. Refuses to
//! block an appender, to acknowledge what a power cut could take, and to read its entries: a
//! [`Schema`] does. Driven by the gate; read by the command line.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

use super::StoreError;
use super::backup::Lender;
use super::lock::Lock;

mod block;
mod chain;
mod day;
mod days;
mod dictionaries;
mod eye;
mod find;
mod front;
mod group;
mod heads;
mod hot;
mod id;
mod layout;
mod open;
mod options;
mod pace;
#[cfg(test)]
mod plain;
mod recover;
mod rewrite;
mod room;
mod rows;
mod scan;
mod sealer;
mod seals;
mod segment;
mod signalling;
mod swap;
mod verify;
mod vouch;
mod writer;

pub use find::{Entries, Query, WholeEntries};
pub use heads::{Extent, Head, KnownHead, Reached, Running, Standing};
pub use id::{Day, EntryId, InvalidEntryId};
pub use options::JournalOptions;
pub use room::Room;
pub use verify::{Check, Fault, Verified};

pub(in crate::store) use swap::TABLE;

use days::Days;
use eye::Eye;
use front::Front;
use writer::Writer;

/// What an entry can be found by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Index {
    /// The subscriber's number, whichever way the message went.
    Destination = b'D',
    /// The port or number the message came from.
    Source = b'S',
    /// The message_id, the carrier's or the gate's own.
    MessageId = b'M',
    /// The legal entity on whose behalf it was sent.
    Sender = b'E',
    /// The provider's `system_id`.
    Provider = b'P',
    /// A rule that failed, alerted or was observed.
    Rule = b'R',
    /// What was decided.
    Verdict = b'J',
}

impl Index {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Destination, Self::Source, Self::MessageId, Self::Sender, Self::Provider, Self::Rule, Self::Verdict];
}

/// What is kept of an entry.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parts {
    /// What says when it happened and what it is found by.
    pub content: Vec<u8>,
    /// What is kept for a shorter time, empty where there never was any; `None` where it has expired, or
    /// was not asked for.
    pub signalling: Option<Vec<u8>>,
}

/// Reads the keys of an entry out of its octets; the journal itself never looks inside.
pub trait Schema: Send + Sync + 'static {
    /// When it happened, in milliseconds since 1970 UTC: decides the day it is kept with.
    fn at_ms(&self, content: &[u8]) -> i64;
    /// Everything it can be found by.
    fn keys(&self, content: &[u8], emit: &mut dyn FnMut(Index, &[u8]));
}

/// What an appender holds until its entry is settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// The entry's name, for good.
    pub id: EntryId,
    /// Its place in this process's order of appends, from 1.
    pub sequence: u64,
}

/// Whether the journal can write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Health {
    /// It can.
    Up,
    /// It cannot; entries are spooled in memory and writing is tried again and again.
    Down {
        /// What the system said.
        reason: Arc<str>,
    },
}

/// How far the writer has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Every entry up to this sequence is on disk.
    pub durable: u64,
    /// While the journal cannot write: every entry up to this sequence waits in memory for it.
    pub spooled: u64,
    /// Whether it can write.
    pub health: Health,
}

impl Progress {
    /// Whether an entry is on disk or, while the journal cannot write, safe in the spool.
    pub fn settled(&self, sequence: u64) -> bool {
        sequence <= self.durable || sequence <= self.spooled
    }
}

/// Why an entry was not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AppendError {
    /// The spool is full: the journal cannot write, or not as fast as entries come.
    #[error("the journal's spool is full")]
    Full,
    /// Longer than an entry may be.
    #[error("the entry has {bytes} octets, the journal takes at most {limit}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest accepted.
        limit: usize,
    },
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

/// A day that could not be used and was set aside for a new one, or is not as far as was signed of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incident {
    /// The day.
    pub day: Day,
    /// Where its files are now, or what was signed of it.
    pub aside: PathBuf,
    /// Why.
    pub why: String,
}

/// Longest entry, in octets.
pub const ENTRY_BYTES: usize = 256 * 1024;

/// A handle on the journal; clones share it. The last one to go writes what is left and stops the writer.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    front: Arc<Front>,
    days: Arc<Days>,
    eye: Arc<Eye>,
    progress: watch::Receiver<Progress>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Journal {
    /// Opens the journal in `dir`, creating it where there is none.
    pub fn open(dir: &Path, schema: Arc<dyn Schema>, options: JournalOptions) -> Result<Self, StoreError> {
        let lock = Lock::take(dir)?;
        let days = Arc::new(Days::new(dir, lock, schema, &options)?);
        let recovered = days.start()?;
        let front = Arc::new(Front::new(Arc::clone(&days), &options));
        let (publish, progress) = watch::channel(Progress { durable: 0, spooled: 0, health: Health::Up });
        let eye = Arc::new(Eye::new(publish));
        let inner = Inner { front, days, eye, progress, threads: Mutex::default() };
        let (front, days, eye) = (Arc::clone(&inner.front), Arc::clone(&inner.days), Arc::clone(&inner.eye));
        let writer = Writer::new(front, days, eye, options.interval);
        inner.start("journal", move || writer.run(recovered)).map_err(|e| StoreError::io(dir, "start a thread", e))?;
        let (front, eye) = (Arc::clone(&inner.front), Arc::clone(&inner.eye));
        let sealed = Arc::clone(&inner.days);
        inner
            .start("journal-sealer", move || sealed.keep_sealing())
            .map_err(|e| StoreError::io(dir, "start a thread", e))?;
        inner.start("journal-eye", move || eye.look(&front)).map_err(|e| StoreError::io(dir, "start a thread", e))?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Hands an entry to the writer; returns at once. It is settled when [`Progress::settled`] says so.
    pub fn append(&self, content: impl AsRef<[u8]>) -> Result<Ticket, AppendError> {
        self.inner.front.append(content.as_ref(), &[], false)
    }

    /// The same for an entry part of which, the signalling, is to expire before the rest. It is sealed with
    /// another key, nothing is found by it, and it counts to the entry's length.
    pub fn append_parts(&self, content: &[u8], signalling: &[u8]) -> Result<Ticket, AppendError> {
        self.inner.front.append(content, signalling, false)
    }

    /// The same for whoever has at hand what the [`Schema`] would have to read out of the content again: its moment
    /// and, emitted by `keys`, its keys.
    pub fn append_keyed(
        &self,
        content: &[u8],
        signalling: &[u8],
        at_ms: i64,
        keys: impl FnOnce(&mut dyn FnMut(Index, &[u8])),
    ) -> Result<Ticket, AppendError> {
        self.inner.front.append_keyed((content, signalling), at_ms, keys, false)
    }

    /// Takes the room of so many entries, of so many octets in all, for whoever appends all of them or none.
    pub fn reserve(&self, entries: usize, bytes: usize) -> Result<Room<'_>, AppendError> {
        Room::take(self, entries, bytes)
    }

    /// Writes what is left, signs how far the day has come, and takes no more; whoever still has a handle
    /// can go on reading.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Follows the writer.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.inner.progress.clone()
    }

    /// The sequence of the last entry accepted, by whomever.
    pub fn accepted(&self) -> u64 {
        self.inner.front.sequence()
    }

    /// Whether an append would find room now.
    pub fn has_room(&self) -> bool {
        self.inner.front.has_room()
    }

    /// Waits until there is room, or the journal is closed.
    pub async fn wait_for_room(&self) {
        let mut progress = self.progress();
        while !self.has_room() {
            if progress.changed().await.is_err() {
                return;
            }
        }
    }

    /// The content of the entry of that name.
    pub fn get(&self, id: EntryId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.get_parts(id)?.map(|parts| parts.content))
    }

    /// The entry of that name, both parts of it.
    pub fn get_parts(&self, id: EntryId) -> Result<Option<Parts>, StoreError> {
        match self.inner.days.reader(id.day)? {
            Some(day) if id.number < layout::NUMBERS => day.get(id.number),
            _ => Ok(None),
        }
    }

    /// The contents of the durable entries that match, in order.
    pub fn find(&self, query: Query) -> Result<Entries, StoreError> {
        Entries::new(Arc::clone(&self.inner.days), query)
    }

    /// The durable entries that match, both parts of each, in order.
    pub fn find_parts(&self, query: Query) -> Result<WholeEntries, StoreError> {
        WholeEntries::new(Arc::clone(&self.inner.days), query, true)
    }

    /// The days there are, oldest first.
    pub fn days(&self) -> Result<Vec<Day>, StoreError> {
        self.inner.days.list()
    }

    /// The days that may have what is asked for, oldest first.
    pub fn days_of(&self, query: &Query) -> Result<Vec<Day>, StoreError> {
        let days = &self.inner.days;
        Ok(days.list()?.into_iter().filter(|day| query.may_be_in(*day, days)).collect())
    }

    /// The folders of such days that were set aside because they cannot be read.
    pub fn set_aside_of(&self, query: &Query) -> Result<Vec<String>, StoreError> {
        let days = &self.inner.days;
        Ok(days
            .list_aside()?
            .into_iter()
            .filter(|(day, _)| query.may_be_in(*day, days))
            .map(|(_, name)| name)
            .collect())
    }

    /// The days there are, and whether each is being written.
    pub(in crate::store) fn days_written(&self) -> Result<Vec<(Day, bool)>, StoreError> {
        self.inner.days.written()
    }

    /// The same for whoever must not wait; `None` in the moment in which one day takes another's place.
    pub(in crate::store) fn glance(&self) -> Result<Option<Vec<(Day, bool)>>, StoreError> {
        self.inner.days.glance()
    }

    /// A day's database, for whoever copies it; `None` where there is no such day.
    pub(in crate::store) fn lend(&self, day: Day) -> Result<Option<Lender>, StoreError> {
        self.inner.days.lend(day)
    }

    /// What was found amiss since the journal was opened.
    pub fn incidents(&self) -> Vec<Incident> {
        self.inner.days.incidents()
    }

    /// Finishes the days that are over: each becomes one table that does not change any more, and its head
    /// is signed. Done from time to time without being asked.
    pub fn seal(&self) -> Result<(), StoreError> {
        self.inner.days.seal_over()
    }

    /// Deletes a day, its keys first, and gives its space back; its heads stay, and say that it has expired.
    /// Refused (false) for a day that is being written or is not there.
    pub fn drop_day(&self, day: Day) -> Result<bool, StoreError> {
        self.inner.days.drop_day(day)
    }

    /// Deletes a day's signalling, its key with it, and gives its space back. Refused (false) for a day that
    /// is being written, and where there is neither any more.
    pub fn drop_signalling(&self, day: Day) -> Result<bool, StoreError> {
        self.inner.days.drop_signalling(day, None)
    }

    /// The same, but for the signalling of the entries that `keep` wants: sealed with a key of its own.
    pub fn thin_signalling(&self, day: Day, mut keep: impl FnMut(EntryId, &Parts) -> bool) -> Result<bool, StoreError> {
        self.inner.days.drop_signalling(day, Some(&mut keep))
    }

    /// Deletes all of a day but the entries that `keep` wants, which stay under their names: sealed with
    /// keys of their own, in a chain of their own, under a head of their own. Refused (false) for a day that
    /// is being written or is not there, and where `keep` wants all.
    pub fn extract_day(&self, day: Day, mut keep: impl FnMut(EntryId, &Parts) -> bool) -> Result<bool, StoreError> {
        self.inner.days.extract_day(day, &mut keep)
    }

    /// Whether all is as it was written and signed; shows whatever is not, until `emit` returns false.
    pub fn verify(&self, check: &Check, emit: &mut dyn FnMut(Fault) -> bool) -> Result<Verified, StoreError> {
        self.inner.days.verify(check, emit)
    }

    /// The heads of all days, in the order they were signed.
    pub fn heads(&self) -> Result<Vec<KnownHead>, StoreError> {
        self.inner.days.heads.list()
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("progress", &*self.inner.progress.borrow()).finish_non_exhaustive()
    }
}

impl Inner {
    fn start(&self, name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        self.threads().push(std::thread::Builder::new().name(name.to_owned()).spawn(run)?);
        Ok(())
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.front.close();
        self.eye.stop();
        self.days.stop_sealing();
        for thread in self.threads().drain(..) {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a thread of the journal ended in a panic");
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
