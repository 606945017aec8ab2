//! The register follows its file: swapped whole, and a bad file changes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep;

use crate::gate::Gate;
use crate::register::Register;

/// How often the file is looked at. Watching by name survives editors and deployments that
/// replace the file, on every file system.
const EVERY: Duration = Duration::from_secs(1);

/// What tells one state of the file from another.
type Stamp = Option<(SystemTime, u64)>;

/// Loads the register again whenever its file changes, until the gate drains.
pub(super) async fn watch(gate: Arc<Gate>, file: PathBuf, mut drain: watch::Receiver<bool>) {
    // Nothing seen yet: the file may have changed since the gate started with it.
    let mut seen = None;
    loop {
        tokio::select! {
            () = sleep(EVERY) => {}
            _ = drain.wait_for(|draining| *draining) => return,
        }
        let now = stamp(&file);
        if seen == Some(now) {
            continue;
        }
        seen = Some(now);
        let path = file.clone();
        if let Ok(loaded) = tokio::task::spawn_blocking(move || Register::load(&path)).await {
            swap(&gate, &file, loaded);
        }
    }
}

fn swap(gate: &Gate, file: &Path, loaded: Result<Register, Vec<crate::document::Fault>>) {
    match loaded {
        Ok(register) if register.version() == gate.register.load().version() => {}
        Ok(register) => {
            for warning in register.warnings() {
                tracing::warn!("{warning}");
            }
            let register = Arc::new(register);
            gate.register.store(Arc::clone(&register));
            tracing::info!(file = %file.display(), version = register.version(), "register reloaded");
        }
        Err(faults) => {
            for fault in &faults {
                tracing::error!("{fault}");
            }
            tracing::error!(file = %file.display(), "the register keeps its last good state");
        }
    }
}

fn stamp(file: &Path) -> Stamp {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
