//! What the outside sees of the writer, and the eye on it.
//!
//! Owns the published progress. A commit that neither ends nor fails, as on a disk that hangs, is
//! called by its name after a while: the journal is down, entries wait in memory. Driven by the
//! writer, and by a thread of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::front::Front;
use super::{Health, Progress};
use crate::clock;
use crate::store::StoreError;

/// A commit under way for this long is called hanging.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the eye looks.
const LOOK: Duration = Duration::from_secs(1);

/// The published progress.
pub(super) struct Eye {
    publish: watch::Sender<Progress>,
    started: Instant,
    /// Milliseconds after `started` at which the commit under way began; 0 while there is none.
    since: AtomicU64,
    stopped: AtomicBool,
}

impl Eye {
    pub(super) fn new(publish: watch::Sender<Progress>) -> Self {
        Self { publish, started: clock::monotonic(), since: AtomicU64::new(0), stopped: AtomicBool::new(false) }
    }

    /// A commit begins.
    pub(super) fn begin(&self) {
        self.since.store(self.now(), Ordering::SeqCst);
    }

    /// A commit ended well: every entry up to this sequence is on disk.
    pub(super) fn durable(&self, sequence: u64) {
        self.since.store(0, Ordering::SeqCst);
        self.publish.send_modify(|progress| {
            if progress.health != Health::Up {
                tracing::warn!(sequence, "the journal writes again");
            }
            *progress = Progress { durable: sequence, spooled: sequence.max(progress.spooled), health: Health::Up };
        });
    }

    /// A commit failed; every entry up to `sequence` waits in memory.
    pub(super) fn failed(&self, error: &StoreError, sequence: u64) {
        self.since.store(0, Ordering::SeqCst);
        self.down(&error.to_string(), sequence);
    }

    /// While the journal cannot write: entries up to `sequence` wait in memory.
    pub(super) fn spooled(&self, sequence: u64) {
        self.publish.send_if_modified(|progress| {
            let news = progress.spooled != sequence && progress.health != Health::Up;
            if news {
                progress.spooled = sequence;
            }
            news
        });
    }

    fn down(&self, reason: &str, sequence: u64) {
        self.publish.send_modify(|progress| {
            if progress.health == Health::Up {
                tracing::error!(reason, "the journal cannot write; entries wait in memory");
            }
            progress.spooled = sequence;
            progress.health = Health::Down { reason: reason.into() };
        });
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// Lets [`Eye::look`] end the next time its thread is woken.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Looks for a commit that hangs, until stopped.
    pub(super) fn look(&self, front: &Front) {
        while !self.stopped.load(Ordering::SeqCst) {
            std::thread::park_timeout(LOOK);
            let since = self.since.load(Ordering::SeqCst);
            if since != 0 && Duration::from_millis(self.now().saturating_sub(since)) >= PATIENCE {
                self.hangs(since, front.sequence());
            }
        }
    }

    /// Calls the commit that began at `since` hanging, unless it has just ended.
    fn hangs(&self, since: u64, sequence: u64) {
        self.publish.send_if_modified(|progress| {
            let still = self.since.load(Ordering::SeqCst) == since;
            if still {
                let reason = format!("no answer from the disk for more than {} s", PATIENCE.as_secs());
                if progress.health == Health::Up {
                    tracing::error!(reason, "the journal cannot write; entries wait in memory");
                }
                progress.spooled = sequence;
                progress.health = Health::Down { reason: reason.into() };
            }
            still
        });
    }
}
