//! How far a long search is, on a terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A line on stderr that says where the search is; nothing where that is no terminal.
pub(in crate::cli) struct Far(ProgressBar);

impl Far {
    pub(in crate::cli) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
        if !io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {elapsed}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// So many entries were read, the last of them of this moment.
    pub(in crate::cli) fn at(&mut self, entries: u64, at_ms: i64, found: usize, zone: &TimeZone) {
        if self.0.is_hidden() {
            return;
        }
        let at = Timestamp::from_millisecond(at_ms).unwrap_or_default().to_zoned_datetime(zone.clone());
        self.0.enable_steady_tick(Duration::from_millis(250));
        self.0.set_message(format!("{entries} records, at {}, {found} found", at.strftime("%Y-%m-%d %H:%M")));
    }

    /// Prints without the line in the way.
    pub(in crate::cli) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        if self.0.is_hidden() { print() } else { self.0.suspend(print) }
    }

    /// The search is over.
    pub(in crate::cli) fn end(&self) {
        self.0.finish_and_clear();
    }
}
