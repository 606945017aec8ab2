//! The thread that finishes days once they are over.
//!
//! Owns when it looks. Not at once after the start: who opens a journal for a look at it seals nothing.
//! A day that cannot be sealed stays as it is, readable, and is tried again. Driven by the journal.

use std::sync::PoisonError;
use std::time::Duration;

use super::days::Days;
use super::swap::TABLE;
use super::{Day, Standing};
use crate::store::StoreError;

/// How often days that are over are looked for.
const LOOK: Duration = Duration::from_secs(30);

impl Days {
    /// Seals whatever is over, until stopped.
    pub(super) fn keep_sealing(&self) {
        loop {
            let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.stop.wait_timeout_while(stopped, LOOK, |stopped| !*stopped);
            let (stopped, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if *stopped {
                return;
            }
            drop(stopped);
            if let Err(e) = self.seal_over() {
                tracing::error!(error = %e, "days that are over could not be sealed; they stay readable");
            }
        }
    }

    pub(super) fn stop_sealing(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.notify_all();
    }

    /// Seals every day that is over, or that another follows, and is not sealed yet.
    pub(super) fn seal_over(&self) -> Result<(), StoreError> {
        let (days, keys) = (self.list()?, self.keys.names()?);
        let is_chained = |day: Day| keys.iter().any(|name| name.starts_with(&format!("{day}-content")));
        let mut failed = Ok(());
        for day in days.iter().copied().filter(|day| is_chained(*day)) {
            if self.is_stopping() {
                break;
            }
            let is_over = days.last() != Some(&day) || self.is_over(day);
            if is_over && !self.open().is_written(day) && !self.is_sealed(day)? {
                failed = failed.and(self.seal_day(day).map(drop));
            }
        }
        failed
    }

    /// Whether it has its table, and a head that speaks of one.
    fn is_sealed(&self, day: Day) -> Result<bool, StoreError> {
        let known = self.heads.of(day)?;
        let signed = known.is_some_and(|known| known.head.standing != Standing::Expired);
        Ok(signed && self.path(day).join(TABLE).exists())
    }

    fn is_stopping(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
