//! A disk that neither answers nor fails: the journal says so, keeps what comes, and writes it in the end.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis::store::engine::{Engine, EngineError, Engines, Row, Sled};
use portcullis::store::{Health, Journal, JournalOptions, Progress, Query};

#[path = "store/records.rs"]
mod records;

/// Longer than the journal's own patience with a disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whoever holds it has stopped the disk.
type Disk = Arc<Mutex<()>>;

/// Databases on that disk.
#[derive(Debug)]
struct Stoppable(Disk);

#[derive(Debug)]
struct Open {
    engine: Arc<dyn Engine>,
    disk: Disk,
}

impl Engines for Stoppable {
    fn open(&self, dir: &Path, cache: u64, create: bool) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(Arc::new(Open { engine: Sled.open(dir, cache, create)?, disk: Arc::clone(&self.0) }))
    }

    fn holds(&self, dir: &Path) -> bool {
        Sled.holds(dir)
    }
}

impl Engine for Open {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.engine.put(key, value)
    }

    fn remove(&self, key: &[u8]) -> Result<(), EngineError> {
        self.engine.remove(key)
    }

    fn sync(&self) -> Result<(), EngineError> {
        let _running = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        self.engine.sync()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.engine.get(key)
    }

    fn first(&self, from: &[u8], until: &[u8]) -> Result<Option<Row>, EngineError> {
        self.engine.first(from, until)
    }

    fn last(&self, from: &[u8], until: &[u8]) -> Result<Option<Row>, EngineError> {
        self.engine.last(from, until)
    }

    fn scan(&self, from: &[u8], until: &[u8], see: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), EngineError> {
        self.engine.scan(from, until, see)
    }
}

async fn until(journal: &Journal, what: &str, pleases: impl FnMut(&Progress) -> bool) {
    let mut progress = journal.progress();
    let reached = tokio::time::timeout(PATIENCE, progress.wait_for(pleases)).await;
    assert!(reached.is_ok(), "{what}: {:?}", *journal.progress().borrow());
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "holding it is what stops the disk")]
async fn a_disk_that_hangs_is_called_down_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let options = JournalOptions { engines: Arc::new(Stoppable(Arc::clone(&disk))), ..JournalOptions::default() };
    let journal = Journal::open(dir.path(), Arc::new(records::Text), options).unwrap();
    let append = |number| {
        let text = format!("{} 8613800138001 10690001 id-{number} text", records::NOON);
        journal.append(text).unwrap().sequence
    };
    let first = append(1);
    until(&journal, "the first is durable", |progress| progress.durable >= first).await;

    let stopped = disk.lock().unwrap_or_else(PoisonError::into_inner);
    let second = append(2);
    until(&journal, "the journal is down", |progress| matches!(progress.health, Health::Down { .. })).await;
    until(&journal, "the second waits in memory", |progress| progress.settled(second)).await;
    let third = append(3);
    until(&journal, "and so does what comes meanwhile", |progress| progress.settled(third)).await;
    assert!(journal.progress().borrow().durable < second, "nothing was called durable");
    drop(stopped);
    until(&journal, "all is durable", |progress| progress.health == Health::Up && progress.durable >= third).await;
    assert_eq!(journal.find(Query::default()).unwrap().filter(Result::is_ok).count(), 3);
}
