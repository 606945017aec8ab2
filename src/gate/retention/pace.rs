//! The pace of a purge.
//!
//! Owns the rests between what is read and freed. Refuses to go on once it is told to end. Driven by the purge.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The longest rest at a time: whoever ends the purge waits no longer.
const REST: Duration = Duration::from_millis(50);

/// How fast the disk is read and freed, and whether to go on.
pub(super) struct Pace<'p> {
    pub(super) per_second: u64,
    pub(super) done: u64,
    pub(super) stopping: &'p AtomicBool,
}

impl Pace<'_> {
    /// Rests for as long as so many octets may take; false when it is to end.
    pub(super) fn take(&mut self, octets: u64) -> bool {
        let slice = (self.per_second / 20).max(1);
        self.done = self.done.saturating_add(octets);
        while self.done >= slice {
            if self.is_over() {
                return false;
            }
            std::thread::sleep(REST);
            self.done -= slice;
        }
        true
    }

    pub(super) fn is_over(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
