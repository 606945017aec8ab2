//! The journal's days on disk: one database each, in a folder named after the day.
//!
//! Owns which are open, and the folder's lock. Refuses to write into a day from two places.
//! Driven by the writer and by readers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;

use super::day::DayStore;
use super::id::{Day, Span};
use super::{JournalOptions, Schema};
use crate::store::StoreError;
use crate::store::engine::Engines;
use crate::store::lock::{Lock, sync_dir};

pub(super) struct Days {
    dir: PathBuf,
    _lock: Lock,
    schema: Arc<dyn Schema>,
    zone: TimeZone,
    cache: u64,
    engines: Arc<dyn Engines>,
    open: Mutex<BTreeMap<Day, Arc<DayStore>>>,
}

impl Days {
    pub(super) fn new(dir: &Path, lock: Lock, schema: Arc<dyn Schema>, options: &JournalOptions) -> Self {
        Self {
            dir: dir.to_owned(),
            _lock: lock,
            schema,
            zone: options.time_zone.clone(),
            cache: options.cache_bytes,
            engines: Arc::clone(&options.engines),
            open: Mutex::new(BTreeMap::new()),
        }
    }

    pub(super) fn schema(&self) -> &dyn Schema {
        &*self.schema
    }

    pub(super) fn span(&self, at_ms: i64) -> Span {
        Span::of(at_ms, &self.zone)
    }

    /// The number for the next entry of a day that this process has not written to yet.
    ///
    /// A day that cannot be read now may hold entries: numbering then starts far beyond them, at a
    /// place no other start of that day has had.
    pub(super) fn first_free_number(&self, day: Day, at_ms: i64) -> u64 {
        match self.reader(day) {
            Ok(None) => 0,
            Ok(Some(store)) => store.next_number(),
            Err(e) => {
                tracing::error!(%day, error = %e, "the journal's day cannot be read; numbering starts beyond it");
                let into_day = at_ms.saturating_sub(self.span(at_ms).from_ms);
                (1 << 46) | (u64::try_from(into_day).unwrap_or_default() << 19)
            }
        }
    }

    /// A day to read from; `None` where there is none.
    pub(super) fn reader(&self, day: Day) -> Result<Option<Arc<DayStore>>, StoreError> {
        if !self.path(day).is_dir() {
            return Ok(None);
        }
        self.writer(day).map(Some)
    }

    /// A day to write to, created where there is none.
    pub(super) fn writer(&self, day: Day) -> Result<Arc<DayStore>, StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(&day) {
            return Ok(Arc::clone(store));
        }
        let path = self.path(day);
        let engine = self
            .engines
            .open(&path, self.cache)
            .map_err(|e| StoreError::Engine { path: path.clone(), what: e.to_string() })?;
        let store = Arc::new(DayStore::open(day, path, engine)?);
        open.insert(day, Arc::clone(&store));
        Ok(store)
    }

    pub(super) fn list(&self) -> Result<Vec<Day>, StoreError> {
        let failed = |e| StoreError::io(&self.dir, "list the days", e);
        let mut days = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            days.extend(name.to_str().and_then(|name| name.parse::<Day>().ok()));
        }
        days.sort_unstable();
        Ok(days)
    }

    pub(super) fn drop_day(&self, day: Day) -> Result<bool, StoreError> {
        let path = self.path(day);
        if !path.is_dir() {
            return Ok(false);
        }
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&day);
        let going = self.dir.join(format!("{day}.going"));
        std::fs::rename(&path, &going).map_err(|e| StoreError::io(&path, "set the day aside", e))?;
        sync_dir(&self.dir)?;
        std::fs::remove_dir_all(&going).map_err(|e| StoreError::io(&going, "delete the day", e))?;
        Ok(true)
    }

    fn path(&self, day: Day) -> PathBuf {
        self.dir.join(day.to_string())
    }
}
