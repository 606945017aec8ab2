//! TLS on the wire: handshakes, and certificates that follow their files.
//!
//! Owns what a listener and the carrier's leg present and verify right now. Refuses to cut
//! anyone off: sessions keep what their handshake agreed on, and files that cannot be used
//! change nothing. Driven by the listeners' doors, the dialling and the watch on the files.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::reload::Watched;
use crate::tls::TlsFault;

/// Something loaded from files, loaded again when they change.
pub(super) struct Reloading<C> {
    current: ArcSwap<C>,
    /// The watch on its files, until it begins.
    watched: Mutex<Option<Watched>>,
    what: String,
    load: Box<dyn Fn() -> Result<C, TlsFault> + Send + Sync>,
}

impl<C: Send + Sync + 'static> Reloading<C> {
    /// Loads it once; `what` is its name in the log.
    pub(super) fn new(
        what: String,
        files: Vec<PathBuf>,
        load: impl Fn() -> Result<C, TlsFault> + Send + Sync + 'static,
    ) -> Result<Arc<Self>, TlsFault> {
        // Looked at before they are read: a change in between is seen.
        let watched = Mutex::new(Some(Watched::new(files)));
        let current = ArcSwap::from_pointee(load()?);
        Ok(Arc::new(Self { current, watched, what, load: Box::new(load) }))
    }

    /// As it is now.
    pub(super) fn current(&self) -> Arc<C> {
        self.current.load_full()
    }

    /// Follows the files until the gate drains.
    pub(super) async fn watch(self: Arc<Self>, mut drain: watch::Receiver<bool>) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut watched) = watched else { return };
        while watched.changed(&mut drain).await {
            let this = Arc::clone(&self);
            // Its end needs no looking after: a panic in there is reported by the runtime.
            let _ = tokio::task::spawn_blocking(move || this.reload()).await;
        }
    }

    fn reload(&self) {
        match (self.load)() {
            Ok(fresh) => {
                self.current.store(Arc::new(fresh));
                tracing::info!(what = self.what, "certificates reloaded");
            }
            Err(fault) => {
                tracing::error!(what = self.what, %fault, "certificates keep their last good state");
            }
        }
    }
}
