//! The only place that reads a clock; everything else is handed `now`.
//!
//! Owns the choice of clock: monotonic for timers, wall clock for records and the law's
//! calendar. Driven by the proxy, the command line and the simulator.

use std::time::Instant;

use jiff::Timestamp;

/// Monotonic time, for timers.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Wall-clock time, for records and calendars.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn wall() -> Timestamp {
    Timestamp::now()
}
