//! The thread that finishes days once they are over.
//!
//! Owns when it looks. Not at once after the start: who opens a journal for a look at it seals nothing.
//! A day that cannot be sealed stays as it is, readable, and is tried again. Driven by the journal.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use super::days::Days;
use super::swap::TABLE;
use super::{Day, Standing};
use crate::store::StoreError;

/// How often days that are over are looked for.
const LOOK: Duration = Duration::from_secs(30);

impl Days {
    /// Seals whatever is over, until stopped. Why a day is not sealed is told once.
    pub(super) fn keep_sealing(&self) {
        let mut told = BTreeMap::new();
        loop {
            let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.stop.wait_timeout_while(stopped, LOOK, |stopped| !*stopped);
            let (stopped, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if *stopped {
                return;
            }
            drop(stopped);
            told = self.seal_and_tell(&told);
        }
    }

    /// Gives what kept days from being sealed; what is `told` already is not told again.
    fn seal_and_tell(&self, told: &BTreeMap<Option<Day>, String>) -> BTreeMap<Option<Day>, String> {
        let mut why = BTreeMap::new();
        let looked = self.seal_each(&mut |day, e| drop(why.insert(Some(day), e.to_string())));
        why.extend(looked.err().map(|e| (None, e.to_string())));
        for (day, why) in why.iter().filter(|(day, why)| told.get(*day) != Some(*why)) {
            let day = day.map(|day| day.to_string()).unwrap_or_default();
            tracing::error!(day, why, "what is over could not be sealed; it stays readable, and is tried again");
        }
        why
    }

    pub(super) fn stop_sealing(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.notify_all();
    }

    /// Seals every day that is over, or that another follows, and is not sealed yet.
    pub(super) fn seal_over(&self) -> Result<(), StoreError> {
        let mut failed = Ok(());
        self.seal_each(&mut |_, e| failed = std::mem::replace(&mut failed, Ok(())).and(Err(e)))?;
        failed
    }

    fn seal_each(&self, fail: &mut dyn FnMut(Day, StoreError)) -> Result<(), StoreError> {
        let (days, keys) = (self.list()?, self.keys.names()?);
        let is_chained = |day: Day| keys.iter().any(|name| name.starts_with(&format!("{day}-content")));
        for day in days.iter().copied().filter(|day| is_chained(*day)) {
            if self.is_stopping() {
                break;
            }
            let is_over = days.last() != Some(&day) || self.is_over(day);
            if is_over
                && !self.open().is_written(day)
                && !self.is_sealed(day)?
                && let Err(e) = self.seal_day(day)
            {
                fail(day, e);
            }
        }
        Ok(())
    }

    /// Whether it has its table, and a head that speaks of one.
    fn is_sealed(&self, day: Day) -> Result<bool, StoreError> {
        let known = self.heads.of(day)?;
        let signed = known.is_some_and(|known| known.head.standing != Standing::Expired);
        Ok(signed && self.path(day).join(TABLE).exists())
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::plain::Plain;
    use super::super::{Journal, JournalOptions};
    use super::*;

    #[test]
    fn why_a_day_is_not_sealed_is_told_once_and_every_other_is_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Journal::open(dir.path(), Arc::new(Plain), JournalOptions::default()).unwrap();
        let journal = open();
        journal.append("content").unwrap();
        drop(journal);
        open().seal().unwrap();
        // A table that has no head.
        std::fs::remove_dir_all(dir.path().join("heads")).unwrap();
        let journal = open();
        let days = &journal.inner.days;
        let first = days.seal_and_tell(&BTreeMap::new());
        let why = first.values().next().unwrap();
        assert!(why.contains("it has no head"), "{why}");
        assert_eq!(days.seal_and_tell(&first), first, "the same again, and not told");
        assert!(journal.seal().unwrap_err().to_string().contains("it has no head"));
    }
}
