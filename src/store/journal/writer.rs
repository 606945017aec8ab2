//! The one thread that writes the journal.
//!
//! Owns group commit: all that gathered while the disk was busy becomes durable together. While
//! the store cannot write it keeps what it has, says so, and tries again. Driven by the front.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use super::days::Days;
use super::front::{Front, Group};
use super::{Health, Progress};
use crate::store::StoreError;

const RETRY: Duration = Duration::from_millis(200);

pub(super) fn spawn(
    dir: &Path,
    front: Arc<Front>,
    days: Arc<Days>,
    publish: watch::Sender<Progress>,
    interval: Option<Duration>,
) -> Result<JoinHandle<()>, StoreError> {
    let writer = Writer { front, days, publish, interval };
    std::thread::Builder::new()
        .name("journal".to_owned())
        .spawn(move || writer.run())
        .map_err(|e| StoreError::io(dir, "start the journal's writer", e))
}

struct Writer {
    front: Arc<Front>,
    days: Arc<Days>,
    publish: watch::Sender<Progress>,
    interval: Option<Duration>,
}

impl Writer {
    fn run(self) {
        let mut group = Group::default();
        while self.front.take(&mut group) {
            if group.is_empty() {
                self.front.sleep(None);
                continue;
            }
            while let Err(e) = self.write(&group) {
                self.down(&group, &e);
                if self.front.is_closed() {
                    tracing::error!(lost = group.len(), error = %e, "closed while the journal cannot write");
                    return;
                }
                std::thread::sleep(RETRY);
            }
            self.front.settle(group.len(), group.bytes());
            let progress = Progress { durable: group.last, spooled: group.last, health: Health::Up };
            self.publish.send_replace(progress);
            group.clear();
            if let Some(interval) = self.interval
                && !self.front.is_closed()
            {
                std::thread::sleep(interval);
            }
        }
    }

    fn write(&self, group: &Group) -> Result<(), StoreError> {
        let mut entries = group.entries().peekable();
        while let Some(day) = entries.peek().map(|entry| entry.id.day) {
            let run = std::iter::from_fn(|| entries.next_if(|entry| entry.id.day == day));
            self.days.writer(day)?.write(run)?;
        }
        Ok(())
    }

    fn down(&self, group: &Group, error: &StoreError) {
        self.publish.send_if_modified(|progress| {
            let news = progress.health == Health::Up || progress.spooled != group.last;
            if progress.health == Health::Up {
                tracing::error!(error = %error, "the journal cannot write; entries wait in memory");
            }
            progress.spooled = group.last;
            progress.health = Health::Down { reason: error.to_string().into() };
            news
        });
    }
}
