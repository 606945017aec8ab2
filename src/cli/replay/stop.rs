//! Ctrl-C as a flag: what is under way ends where it is whole.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on an interrupt sets the flag and does not end the process.
    pub(super) fn on_interrupt() -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&asked);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let guard = runtime.enter();
        let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        drop(guard);
        std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
            runtime.block_on(interrupt.recv());
            set.store(true, Ordering::Relaxed);
        })?;
        Ok(Self(asked))
    }

    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
