//! Register and do-not-disturb lists follow their files: swapped whole, and a bad file changes nothing.
//!
//! Owns the watch on files, by name, once a second: that survives editors and deployments
//! that replace the file, on every file system.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep;

use super::last_good;
use crate::clock;
use crate::config::ListFile;
use crate::gate::Gate;
use crate::gate::do_not_disturb::Difference;
use crate::register::Register;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// What tells one state of a file from another.
type Stamp = Option<(SystemTime, u64, u64)>;

/// Files and how they were when last looked at.
pub(super) struct Watched {
    files: Vec<PathBuf>,
    seen: Vec<Stamp>,
}

impl Watched {
    /// From how they are now.
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        let seen = stamps(&files);
        Self { files, seen }
    }

    /// Watches these files from now on. New ones count as changed: they may have, since they were read.
    pub(super) fn follow(&mut self, files: &[PathBuf]) {
        if self.files != files {
            let known = |file| self.files.iter().position(|known| known == file).and_then(|index| self.seen[index]);
            self.seen = files.iter().map(known).collect();
            self.files = files.to_vec();
        }
    }

    /// Waits until one has changed; false when the gate drains instead.
    pub(super) async fn changed(&mut self, drain: &mut watch::Receiver<bool>) -> bool {
        loop {
            tokio::select! {
                () = sleep(EVERY) => {}
                _ = drain.wait_for(|draining| *draining) => return false,
            }
            let now = stamps(&self.files);
            if now != self.seen {
                self.seen = now;
                return true;
            }
        }
    }

    /// Waits until the files have stayed as they are for one look: a long one is seen while it is still written.
    async fn settled(&mut self) {
        loop {
            sleep(EVERY).await;
            let now = stamps(&self.files);
            if now == self.seen {
                return;
            }
            self.seen = now;
        }
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let metadata = fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
    };
    files.iter().map(stamp).collect()
}

/// Loads the register again whenever its file changes, until the gate drains.
pub(super) async fn watch(
    gate: Arc<Gate>,
    (file, data): (PathBuf, PathBuf),
    mut watched: Watched,
    mut drain: watch::Receiver<bool>,
) {
    while watched.changed(&mut drain).await {
        let (path, data, failure) = (file.clone(), data.clone(), gate.profile.failure);
        let keep = move |path: &Path, register: &Register| last_good::keep(&failure, (path, &data), register);
        let load = move || Register::load(&path).inspect(|register| keep(&path, register));
        if let Ok(loaded) = tokio::task::spawn_blocking(load).await {
            swap(&gate, &file, loaded);
            let busy = Arc::clone(&gate);
            if tokio::task::spawn_blocking(move || busy.follow_ports(clock::wall())).await.is_err() {
                tracing::error!("the reply routes do not know the ports of the register");
            }
            watched.follow(gate.register.load().files());
        }
    }
}

/// Reads a do-not-disturb list again whenever its file changes, until the gate drains.
pub(super) async fn watch_list(
    gate: Arc<Gate>,
    list: ListFile,
    mut watched: Watched,
    mut drain: watch::Receiver<bool>,
) {
    while watched.changed(&mut drain).await {
        watched.settled().await;
        let (busy, file) = (Arc::clone(&gate), list.clone());
        let refresh = move || busy.do_not_disturb.refresh(&file, &busy.journal, clock::wall());
        match tokio::task::spawn_blocking(refresh).await {
            Ok(Ok(Difference { added, removed })) => {
                tracing::info!(list = list.name, added, removed, "do-not-disturb list reloaded");
            }
            Ok(Err(faults)) => {
                for fault in &faults {
                    tracing::error!("{fault}");
                }
                tracing::error!(list = list.name, "the do-not-disturb list keeps its last good state");
                gate.record_refused("list", &list.file.display().to_string(), &faults, clock::wall());
            }
            Err(error) => tracing::error!(%error, list = list.name, "the do-not-disturb list could not be read"),
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
            let before = gate.register.swap(Arc::clone(&register));
            let path = file.display().to_string();
            gate.record_register(&path, before.version(), register.version(), clock::wall());
            tracing::info!(file = %file.display(), version = register.version(), "register reloaded");
        }
        Err(faults) => {
            for fault in &faults {
                tracing::error!("{fault}");
            }
            tracing::error!(file = %file.display(), "the register keeps its last good state");
            gate.record_refused("register", &file.display().to_string(), &faults, clock::wall());
        }
    }
}
