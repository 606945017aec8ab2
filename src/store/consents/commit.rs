//! One sync for all who wait for one.
//!
//! Owns the order of syncs: whoever asks while one runs shares the next. Driven by the ledger.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::store::engine::EngineError;

#[derive(Debug, Default)]
struct State {
    asked: u64,
    done: u64,
    running: bool,
}

#[derive(Debug, Default)]
pub(super) struct Commit {
    state: Mutex<State>,
    ended: Condvar,
}

impl Commit {
    /// Returns once a sync that began after this call has ended well.
    pub(super) fn sync(&self, sync: impl Fn() -> Result<(), EngineError>) -> Result<(), EngineError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked += 1;
        let mine = state.asked;
        while state.done < mine {
            if state.running {
                state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.running = true;
            let covers = state.asked;
            drop(state);
            let synced = sync();
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.running = false;
            self.ended.notify_all();
            synced?;
            state.done = covers;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::store::engine::Fault;

    #[test]
    fn those_who_wait_share_a_sync() {
        let commit = Commit::default();
        let syncs = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let sync = || {
                        syncs.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(std::time::Duration::from_millis(20));
                        Ok(())
                    };
                    commit.sync(sync).unwrap();
                });
            }
        });
        assert!((2..8).contains(&syncs.load(Ordering::SeqCst)));
    }

    #[test]
    fn a_failed_sync_fails_and_the_next_one_is_tried() {
        let commit = Commit::default();
        let failed = || Err(EngineError { fault: Fault::System, what: "full".to_owned() });
        assert!(commit.sync(failed).is_err());
        assert!(commit.sync(|| Ok(())).is_ok());
    }
}
