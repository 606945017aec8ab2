//! What all sessions of the simulated carrier share.
//!
//! Owns the counts, the message ids, the directory of binds that can receive and the kept
//! frames, each of them bounded. Refuses to touch sockets. Driven by the sessions.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_protocol::Frame;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::waiting::Waiting;
use super::{Faults, SimulatorOptions};
use crate::clock;

/// Frames waiting for one session; a full mailbox makes the sender wait.
const MAILBOX: usize = 256;
/// Frames kept for an account none of whose binds can receive; then the oldest go.
const BACKLOG: usize = 1_000;
/// Accounts with a backlog.
const BACKLOGS: usize = 1_000;
/// How long a frame waits for room in a full mailbox.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the simulator has seen and sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections open now.
    pub sessions: u64,
    /// Connections accepted so far.
    pub connections: u64,
    /// Binds answered `ESME_ROK`.
    pub binds: u64,
    /// Binds refused.
    pub refused_binds: u64,
    /// Messages that arrived, whatever became of them.
    pub messages: u64,
    /// Messages answered with a status other than `ESME_ROK`.
    pub refused: u64,
    /// Receipts and replies written to a bind.
    pub delivered: u64,
    /// `deliver_sm_resp` and `data_sm_resp` with `ESME_ROK`.
    pub acknowledged: u64,
    /// The same with any other status.
    pub declined: u64,
    /// Receipts and replies given up for want of room or of a bind.
    pub dropped: u64,
    /// `enquire_link` received.
    pub enquire_links: u64,
    /// `generic_nack` received.
    pub nacks: u64,
    /// PDUs that could not be read.
    pub faults: u64,
    /// `unbind` received.
    pub unbinds: u64,
}

/// The counts while they run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) connections: AtomicU64,
    pub(super) binds: AtomicU64,
    pub(super) refused_binds: AtomicU64,
    pub(super) messages: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) delivered: AtomicU64,
    pub(super) acknowledged: AtomicU64,
    pub(super) declined: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) enquire_links: AtomicU64,
    pub(super) nacks: AtomicU64,
    pub(super) faults: AtomicU64,
    pub(super) unbinds: AtomicU64,
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// A frame a peer sent.
#[derive(Clone, Debug)]
pub struct Received {
    /// Which connection, counted from 1.
    pub session: u64,
    /// Who was bound there; empty before the bind.
    pub system_id: Arc<str>,
    /// The bytes.
    pub frame: Frame,
}

/// What the sessions share.
#[derive(Debug)]
pub(super) struct Carrier {
    pub(super) options: SimulatorOptions,
    pub(super) tally: Tally,
    /// Messages for later.
    pub(super) waiting: Waiting,
    faults: Mutex<Faults>,
    first_id: u64,
    next_id: AtomicU64,
    open: AtomicUsize,
    kept: Mutex<VecDeque<Received>>,
    directory: Mutex<Directory>,
    changed: Notify,
    cut: Mutex<CancellationToken>,
}

#[derive(Debug, Default)]
struct Directory {
    mailboxes: HashMap<u64, mpsc::Sender<Frame>>,
    accounts: HashMap<Arc<str>, Binds>,
}

/// The binds of one account that can receive, and what waits for the first of them.
#[derive(Debug, Default)]
struct Binds {
    receivers: Vec<u64>,
    turn: usize,
    backlog: VecDeque<Frame>,
}

/// A connection's place in the carrier; leaving is dropping it.
pub(super) struct Entry {
    pub(super) carrier: Arc<Carrier>,
    pub(super) number: u64,
    pub(super) mailbox: mpsc::Receiver<Frame>,
    pub(super) stop: CancellationToken,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.carrier.leave(self.number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Carrier {
    pub(super) fn new(options: SimulatorOptions, cut: CancellationToken) -> Self {
        // Ids go on from the clock, so that a restarted carrier does not give one twice.
        let first_id = u64::try_from(clock::wall().as_microsecond()).unwrap_or(1);
        Self {
            faults: Mutex::new(options.faults),
            options,
            tally: Tally::default(),
            waiting: Waiting::default(),
            first_id,
            next_id: AtomicU64::new(first_id),
            open: AtomicUsize::new(0),
            kept: Mutex::default(),
            directory: Mutex::default(),
            changed: Notify::new(),
            cut: Mutex::new(cut),
        }
    }

    /// A place for a new connection, unless all are taken.
    pub(super) fn enter(carrier: &Arc<Self>) -> Option<Entry> {
        if carrier.open.fetch_add(1, Relaxed) >= carrier.options.max_sessions {
            carrier.open.fetch_sub(1, Relaxed);
            return None;
        }
        let number = carrier.tally.connections.fetch_add(1, Relaxed) + 1;
        let (sender, mailbox) = mpsc::channel(MAILBOX);
        lock(&carrier.directory).mailboxes.insert(number, sender);
        carrier.changed.notify_waiters();
        Some(Entry { carrier: Arc::clone(carrier), number, mailbox, stop: lock(&carrier.cut).clone() })
    }

    fn leave(&self, number: u64) {
        let mut directory = lock(&self.directory);
        directory.mailboxes.remove(&number);
        for binds in directory.accounts.values_mut() {
            binds.receivers.retain(|&receiver| receiver != number);
        }
        directory.accounts.retain(|_, binds| !binds.receivers.is_empty() || !binds.backlog.is_empty());
        drop(directory);
        self.open.fetch_sub(1, Relaxed);
        self.changed.notify_waiters();
    }

    /// Enters a bind that can receive; what waited for it comes back.
    pub(super) fn can_receive(&self, number: u64, system_id: &Arc<str>) -> VecDeque<Frame> {
        let mut directory = lock(&self.directory);
        let binds = directory.accounts.entry(Arc::clone(system_id)).or_default();
        binds.receivers.push(number);
        std::mem::take(&mut binds.backlog)
    }

    /// Hands `frame` to a bind of the account that can receive, or keeps it for the next one.
    pub(super) async fn deliver(&self, system_id: &Arc<str>, frame: Frame) {
        match self.receiver(system_id) {
            Some(mailbox) => {
                if mailbox.send_timeout(frame, PATIENCE).await.is_err() {
                    count(&self.tally.dropped);
                }
            }
            None => self.keep_back(system_id, frame),
        }
    }

    /// Hands `frame` to a bind of the account that can receive; false when there is none.
    pub(super) async fn deliver_now(&self, system_id: &str, frame: Frame) -> bool {
        match self.receiver(system_id) {
            Some(mailbox) => mailbox.send_timeout(frame, PATIENCE).await.is_ok(),
            None => false,
        }
    }

    fn receiver(&self, system_id: &str) -> Option<mpsc::Sender<Frame>> {
        let mut directory = lock(&self.directory);
        let binds = directory.accounts.get_mut(system_id)?;
        binds.turn = binds.turn.wrapping_add(1);
        let number = *binds.receivers.get(binds.turn.checked_rem(binds.receivers.len())?)?;
        directory.mailboxes.get(&number).cloned()
    }

    fn keep_back(&self, system_id: &Arc<str>, frame: Frame) {
        let mut directory = lock(&self.directory);
        if directory.accounts.len() >= BACKLOGS && !directory.accounts.contains_key(system_id) {
            return count(&self.tally.dropped);
        }
        let backlog = &mut directory.accounts.entry(Arc::clone(system_id)).or_default().backlog;
        if backlog.len() >= BACKLOG {
            backlog.pop_front();
            count(&self.tally.dropped);
        }
        backlog.push_back(frame);
    }

    /// A mailbox of every open connection.
    pub(super) fn mailboxes(&self) -> Vec<mpsc::Sender<Frame>> {
        lock(&self.directory).mailboxes.values().cloned().collect()
    }

    /// The next message id; decimal digits when printed.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed)
    }

    /// Whether this carrier has given the id.
    pub(super) fn has_given(&self, id: u64) -> bool {
        (self.first_id..self.next_id.load(Relaxed)).contains(&id)
    }

    /// Keeps a frame where the options ask for it.
    pub(super) fn keep(&self, session: u64, system_id: &Arc<str>, frame: &Frame) {
        if self.options.keep == 0 {
            return;
        }
        let mut kept = lock(&self.kept);
        if kept.len() >= self.options.keep {
            kept.pop_front();
        }
        kept.push_back(Received { session, system_id: Arc::clone(system_id), frame: frame.clone() });
    }

    pub(super) fn received(&self) -> Vec<Received> {
        lock(&self.kept).iter().cloned().collect()
    }

    pub(super) fn faults(&self) -> Faults {
        *lock(&self.faults)
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        *lock(&self.faults) = faults;
    }

    /// Ends the connections of now; `next` is the token of those to come.
    pub(super) fn cut(&self, next: CancellationToken) {
        std::mem::replace(&mut *lock(&self.cut), next).cancel();
    }

    /// Wakes whoever waits for the counts.
    pub(super) fn notify(&self) {
        self.changed.notify_waiters();
    }

    /// Returns once `enough` holds.
    pub(super) async fn changed_until(&self, enough: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if enough(self) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let tally = &self.tally;
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Counts {
            sessions: self.open.load(Relaxed) as u64,
            connections: read(&tally.connections),
            binds: read(&tally.binds),
            refused_binds: read(&tally.refused_binds),
            messages: read(&tally.messages),
            refused: read(&tally.refused),
            delivered: read(&tally.delivered),
            acknowledged: read(&tally.acknowledged),
            declined: read(&tally.declined),
            dropped: read(&tally.dropped),
            enquire_links: read(&tally.enquire_links),
            nacks: read(&tally.nacks),
            faults: read(&tally.faults),
            unbinds: read(&tally.unbinds),
        }
    }
}
