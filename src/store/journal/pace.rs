//! How fast days are rewritten of which a part has expired.
//!
//! Owns the rests in between, so that the disk is there for those who write. Refuses to rest while the writer waits
//! for the rewriting to end, or the journal is being closed. Driven by whoever rewrites a day for retention.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::days::Days;

/// The longest rest at a time: whoever comes to wait does so no longer.
const REST: Duration = Duration::from_millis(50);

/// Rests a second.
const RESTS: u64 = 20;

/// Whether anybody waits for days to be rewritten.
#[derive(Debug, Default)]
pub(super) struct Waiting(AtomicUsize);

/// One of those who wait.
pub(super) struct Waiter<'w>(&'w Waiting);

impl Waiting {
    pub(super) fn wait(&self) -> Waiter<'_> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Waiter(self)
    }

    fn is_any(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The pace of one rewriting.
pub(super) struct Pace<'d> {
    days: &'d Days,
    /// Octets read a second; none is as fast as it goes.
    per_second: Option<u64>,
    done: u64,
}

impl<'d> Pace<'d> {
    /// As it is to be for what nobody waits for.
    pub(super) fn of(days: &'d Days) -> Self {
        Self { days, per_second: days.rewritten_per_second, done: 0 }
    }

    /// Without rests.
    pub(super) fn at_once(days: &'d Days) -> Self {
        Self { days, per_second: None, done: 0 }
    }

    /// Rests for as long as so many octets may take.
    pub(super) fn take(&mut self, octets: usize) {
        let Some(per_second) = self.per_second else { return };
        let slice = (per_second / RESTS).max(1);
        self.done = self.done.saturating_add(octets as u64);
        while self.done >= slice {
            if self.days.waiting.is_any() || self.days.is_stopping() {
                self.done = 0;
                return;
            }
            std::thread::sleep(REST);
            self.done -= slice;
        }
    }
}
