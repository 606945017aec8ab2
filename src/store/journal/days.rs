//! The journal's days on disk: one database each, in a folder named after the day.
//!
//! Owns which are open, the folder's lock, and what is done with a day that cannot be used: it is
//! set aside under another name, said loudly, never deleted. Driven by the writer and by readers.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

use jiff::tz::TimeZone;

use super::day::DayStore;
use super::heads::{Heads, Standing};
use super::id::Span;
use super::layout::{VERSION, VERSION_1};
use super::open::Open;
use super::pace::Waiting;
use super::swap::{TABLE, remove};
use super::{Day, Incident, JournalOptions, Schema};
use crate::clock;
use crate::store::StoreError;
use crate::store::backup::Lender;
use crate::store::engine::{Engines, open_table};
use crate::store::keys::{Keys, MasterSource};
use crate::store::lock::{Lock, sync_dir};

/// How long after its end a day is over, in milliseconds: until then, what was spooled may still come.
const LATE: i64 = 5 * 60_000;

/// Memory for the cache of a day that only readers use, in octets.
const READ_CACHE: u64 = 4 << 20;

pub(super) struct Days {
    dir: PathBuf,
    lock: Mutex<Lock>,
    schema: Arc<dyn Schema>,
    pub(super) keys: Keys,
    zone: TimeZone,
    cache: u64,
    engines: Arc<dyn Engines>,
    open: Mutex<Open>,
    alone: Mutex<()>,
    pub(super) waiting: Waiting,
    pub(super) rewritten_per_second: Option<u64>,
    pub(super) stopped: Mutex<bool>,
    pub(super) stop: Condvar,
    pub(super) heads: Heads,
    incidents: Mutex<Vec<Incident>>,
}

impl Days {
    pub(super) fn new(
        dir: &Path,
        lock: Lock,
        schema: Arc<dyn Schema>,
        options: &JournalOptions,
    ) -> Result<Self, StoreError> {
        let keys = match &options.keys {
            Some(keys) => keys.clone(),
            None => Keys::open(&dir.join("keys"), &MasterSource::Beside)?,
        };
        let heads = options.heads.clone().unwrap_or_else(|| dir.join("heads"));
        let heads = Heads::new(heads, keys.clone());
        Ok(Self {
            dir: dir.to_owned(),
            lock: Mutex::new(lock),
            schema,
            keys,
            zone: options.time_zone.clone(),
            cache: options.cache_bytes,
            engines: Arc::clone(&options.engines),
            open: Mutex::new(Open::default()),
            alone: Mutex::new(()),
            waiting: Waiting::default(),
            rewritten_per_second: options.rewritten_per_second,
            stopped: Mutex::new(false),
            stop: Condvar::new(),
            heads,
            incidents: Mutex::new(Vec::new()),
        })
    }

    pub(super) fn schema(&self) -> &dyn Schema {
        &*self.schema
    }

    pub(super) fn span(&self, at_ms: i64) -> Span {
        Span::of(at_ms, &self.zone)
    }

    pub(super) fn incidents(&self) -> Vec<Incident> {
        self.incidents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Finishes what the process before left half done, and opens the last day so that its recovery delays no entry.
    pub(super) fn start(&self) -> Result<Option<Arc<DayStore>>, StoreError> {
        self.finish_swaps()?;
        self.finish_drops()?;
        self.compare_with_tip()?;
        match self.list()?.last() {
            Some(day) if !self.is_over(*day) => self.writer(*day).map(Some),
            _ => Ok(None),
        }
    }

    /// The number for the next entry of a day that this process has not written to yet.
    ///
    /// A day that cannot be read now may hold entries: numbering then starts far beyond them, at a
    /// place no other start of that day has had.
    pub(super) fn first_free_number(&self, span: Span, at_ms: i64) -> u64 {
        match self.reader(span.day) {
            Ok(None) if self.dir.is_dir() => return 0,
            Ok(Some(store)) => return store.next_number(),
            Ok(None) => tracing::error!(day = %span.day, "the journal's folder is gone; numbering starts far up"),
            Err(e) => tracing::error!(day = %span.day, error = %e, "the day cannot be read; numbering starts far up"),
        }
        let into_day = u64::try_from(at_ms.saturating_sub(span.from_ms)).unwrap_or_default();
        (1 << 46) | (into_day << 19)
    }

    /// Whether it was signed that it has expired.
    pub(super) fn has_expired(&self, day: Day) -> Result<bool, StoreError> {
        Ok(self.heads.of(day)?.is_some_and(|known| known.head.standing == Standing::Expired))
    }

    /// Whether its end is some minutes ago.
    pub(super) fn is_over(&self, day: Day) -> bool {
        let now = clock::wall().as_millisecond();
        self.span(now.saturating_sub(LATE)).day > day
    }

    /// A day to read from; `None` where there is none.
    pub(super) fn reader(&self, day: Day) -> Result<Option<Arc<DayStore>>, StoreError> {
        self.reader_with(day, READ_CACHE)
    }

    pub(super) fn reader_with(&self, day: Day, cache: u64) -> Result<Option<Arc<DayStore>>, StoreError> {
        let mut open = self.open();
        if let Some(store) = open.find(day) {
            return Ok(Some(store));
        }
        if !self.is_begun(day) {
            return Ok(None);
        }
        let store = self.open_day(day, cache, false)?;
        open.keep(day, &store, false);
        open.close_least_used();
        Ok(Some(store))
    }

    /// Whether anything can have been written to a day. Its folder alone says no: a process that was killed while it
    /// began the day leaves that much.
    fn is_begun(&self, day: Day) -> bool {
        let path = self.path(day);
        path.join(TABLE).exists() || self.engines.holds(&path)
    }

    /// A day's database, for whoever copies it. The one that is written to is lent only, so that after a failure
    /// it can be opened anew; the others stay open meanwhile. One that is a file needs nobody to read it.
    pub(super) fn lend(&self, day: Day) -> Result<Option<Lender>, StoreError> {
        if self.path(day).join(TABLE).exists() {
            return Ok(None);
        }
        // It may have been finished at this moment.
        let Some(store) = self.reader(day)?.filter(|store| !store.is_table()) else { return Ok(None) };
        let is_written = self.open().is_written(day);
        if !is_written {
            return Ok(Some(Box::new(move || Some(Arc::clone(&store.engine)))));
        }
        let store = Arc::downgrade(&store);
        Ok(Some(Box::new(move || store.upgrade().map(|store| Arc::clone(&store.engine)))))
    }

    /// A day to write to, created where there is none; one that cannot be used is set aside for a new one.
    pub(super) fn writer(&self, day: Day) -> Result<Arc<DayStore>, StoreError> {
        if let Some(store) = self.open().written(day) {
            return Ok(store);
        }
        match self.make_writable(day) {
            Err(StoreError::Damaged { what, .. }) => self.set_aside(day, what)?,
            // What is half done would take away what is written now.
            other => other?,
        }
        let mut open = self.open();
        if let Some(store) = open.find(day).filter(|store| !store.is_table()) {
            open.keep(day, &store, true);
            return Ok(store);
        }
        if self.path(day).join(TABLE).exists() {
            let what = "was sealed at this moment, and is opened again".to_owned();
            return Err(StoreError::Engine { path: self.path(day), what });
        }
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).renew()?;
        let store = match self.open_day(day, self.cache, true) {
            Err(StoreError::Damaged { what, .. }) => {
                self.set_aside(day, what)?;
                self.open_day(day, self.cache, true)?
            }
            other => other?,
        };
        open.keep(day, &store, true);
        Ok(store)
    }

    /// The writer is done with a day; `broken` when it must not be used again without being opened anew.
    pub(super) fn release(&self, day: Day, broken: bool) {
        let mut open = self.open();
        if broken {
            open.slots.remove(&day);
        } else if let Some(slot) = open.slots.get_mut(&day) {
            slot.writing = false;
            open.close_least_used();
        }
    }

    /// The days there are, oldest first.
    pub(super) fn list(&self) -> Result<Vec<Day>, StoreError> {
        // Not in the moment in which one takes another's place.
        let open = self.open();
        Ok(self.named(&open)?.into_iter().map(|(day, _)| day).collect())
    }

    /// The same, with whether each is being written.
    pub(super) fn written(&self) -> Result<Vec<(Day, bool)>, StoreError> {
        self.named(&self.open())
    }

    /// The same for whoever must not wait; `None` while one is opened or takes another's place.
    pub(super) fn glance(&self) -> Result<Option<Vec<(Day, bool)>>, StoreError> {
        match self.open.try_lock() {
            Ok(open) => self.named(&open).map(Some),
            Err(TryLockError::Poisoned(open)) => self.named(open.get_ref()).map(Some),
            Err(TryLockError::WouldBlock) => Ok(None),
        }
    }

    fn named(&self, open: &Open) -> Result<Vec<(Day, bool)>, StoreError> {
        let mut days: Vec<Day> = self.names()?.iter().filter_map(|name| name.parse().ok()).collect();
        days.sort_unstable();
        Ok(days.into_iter().map(|day| (day, open.is_written(day))).collect())
    }

    /// Deletes a day; `false` if it is the one being written or is not there. Cut short, it is finished by [`Days::start`].
    pub(super) fn drop_day(&self, day: Day) -> Result<bool, StoreError> {
        let _alone = self.alone();
        self.drop_alone(day)
    }

    pub(super) fn drop_alone(&self, day: Day) -> Result<bool, StoreError> {
        let path = self.path(day);
        let open = self.open();
        self.undo_swap(day)?;
        let newest = open.slots.iter().rev().find(|(_, slot)| slot.writing).map(|(day, _)| *day);
        if newest == Some(day) || !path.is_dir() {
            return Ok(false);
        }
        drop(open);
        self.heads.note(day, VERSION, Standing::Expired, true, None)?;
        for name in self.keys.names()?.iter().filter(|name| name.starts_with(&format!("{day}-"))) {
            self.keys.forget(name)?;
        }
        let mut open = self.open();
        let slot = open.slots.remove(&day);
        if let Some(store) = slot.as_ref().and_then(|slot| slot.store.upgrade()) {
            store.mark_gone();
        }
        let going = self.aside(day, "going");
        remove(&going)?;
        std::fs::rename(&path, &going).map_err(|e| StoreError::io(&path, "rename the day", e))?;
        drop(open);
        drop(slot);
        sync_dir(&self.dir)?;
        remove(&going)?;
        Ok(true)
    }

    /// Deletes what a deletion that was cut short has left: days that were signed to have expired, and
    /// whose keys are gone.
    fn finish_drops(&self) -> Result<(), StoreError> {
        let keys = self.keys.names()?;
        for day in self.list()? {
            let sealed = keys.iter().any(|name| name.starts_with(&format!("{day}-content")));
            if !sealed && self.has_expired(day)? {
                self.drop_alone(day)?;
            }
        }
        Ok(())
    }

    fn open_day(&self, day: Day, cache: u64, create: bool) -> Result<Arc<DayStore>, StoreError> {
        let path = self.path(day);
        let table = path.join(TABLE);
        let engine = if table.exists() { open_table(&table) } else { self.engines.open(&path, cache, create) };
        let engine = engine.map_err(|e| StoreError::engine(&path, &e))?;
        let store = DayStore::open(day, path, engine, Arc::clone(&self.schema), (&self.keys, 0))?;
        if store.layout == VERSION_1
            && let Some(what) = self.bars_layout_1(day)?
        {
            return Err(store.damaged(what));
        }
        if store.next_number() == 0 {
            store.begin_at(self.times_set_aside(day)? << 40);
        }
        Ok(Arc::new(store))
    }

    /// The day in a folder that is not in its place yet.
    pub(super) fn open_at(&self, day: Day, dir: &Path) -> Result<DayStore, StoreError> {
        let table = dir.join(TABLE);
        let engine = open_table(&table).map_err(|e| StoreError::engine(&table, &e))?;
        DayStore::open(day, dir.to_owned(), engine, Arc::clone(&self.schema), (&self.keys, 0))
    }

    /// A day begun anew gives no number again that the one set aside may have given.
    pub(super) fn times_set_aside(&self, day: Day) -> Result<u64, StoreError> {
        let aside = format!("{day}.broken-");
        Ok(self.names()?.iter().filter(|name| name.starts_with(&aside)).count() as u64)
    }

    /// The folders set aside, each with its day.
    pub(super) fn list_aside(&self) -> Result<Vec<(Day, String)>, StoreError> {
        let of = |name: String| Some((name.split_once(".broken-")?.0.parse().ok()?, name));
        let mut aside: Vec<_> = self.names()?.into_iter().filter_map(of).collect();
        aside.sort_unstable();
        Ok(aside)
    }

    fn set_aside(&self, day: Day, why: String) -> Result<(), StoreError> {
        let path = self.path(day);
        let aside = self.dir.join(format!("{day}.broken-{}", self.times_set_aside(day)? + 1));
        std::fs::rename(&path, &aside).map_err(|e| StoreError::io(&path, "set the broken day aside", e))?;
        sync_dir(&self.dir)?;
        tracing::error!(day = %day, aside = %aside.display(), why, "a day of the journal cannot be read and was set aside");
        self.tell(Incident { day, aside, why });
        Ok(())
    }

    pub(super) fn tell(&self, incident: Incident) {
        self.incidents.lock().unwrap_or_else(PoisonError::into_inner).push(incident);
    }

    /// All that is in the folder.
    pub(super) fn names(&self) -> Result<Vec<String>, StoreError> {
        let failed = |e| StoreError::io(&self.dir, "list the days", e);
        let entries = std::fs::read_dir(&self.dir).map_err(failed)?;
        entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned())).collect()
    }

    pub(super) fn path(&self, day: Day) -> PathBuf {
        self.dir.join(day.to_string())
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn schema_shared(&self) -> Arc<dyn Schema> {
        Arc::clone(&self.schema)
    }

    pub(super) fn cache(&self) -> u64 {
        self.cache
    }

    pub(super) fn engines(&self) -> &dyn Engines {
        &*self.engines
    }

    /// One day is rewritten at a time.
    pub(super) fn alone(&self) -> MutexGuard<'_, ()> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
