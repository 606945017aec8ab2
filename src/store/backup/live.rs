//! Copying databases that go on being written to, all of them as they were at one moment.
//!
//! Owns the reading of rows, of changed rows again, and the moment in which nothing changes; days that nobody writes
//! to are read one by one before. Refuses to go on with a database that failed or was closed: its gate must be free
//! to open it anew. Driven by the backup.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::rows::Writer;
use super::{BackupError, CHUNK, Database, Job, Lend, Lender, Manifest, Pace, Sources};
use super::{day_name, failed};
use crate::clock;
use crate::store::StoreError;
use crate::store::engine::{Copying, Engine, EngineError};
use crate::store::journal::Day;

/// Changed rows that are read while everything waits, at most: a few milliseconds.
const LAST_ROWS: usize = 256;

/// Looks at changed rows before everything waits whatever their number.
const LOOKS: usize = 50;

/// Changed rows that are remembered before they are read again.
const REMEMBERED: usize = 32_768;

/// Behind every key.
const END: [u8; 256] = [0xFF; 256];

/// One database on its way into a file.
pub(super) struct Source {
    watched: Watched,
    path: String,
    file: Writer,
}

/// A database whose changed rows are remembered for as long as this is there.
struct Watched {
    name: String,
    lend: Lender,
}

/// The days on their way.
#[derive(Default)]
struct Days {
    /// Those that are written to, and copied with all else that is.
    live: Vec<Day>,
    /// Those that nobody wrote to when they were copied; nothing of one that is a file, is unreadable, or expired.
    alone: BTreeMap<Day, Option<Database>>,
}

/// Copies all that is no file of its own.
pub(super) fn copy(job: &mut Job<'_>, sources: &Sources<'_>, manifest: &mut Manifest) -> Result<(), BackupError> {
    let mut days = Days::default();
    // Before anything is watched: what changes meanwhile need not be remembered.
    days.copy_alone(job, sources, manifest)?;
    let mut open = vec![Source::open(job, "consents/db".to_owned(), sources.consents.lend()?)?];
    if let Some(sends) = sources.sends {
        open.push(Source::open(job, "sends/db".to_owned(), sends.lend()?)?);
    }
    let mut read = 0;
    loop {
        days.copy_alone(job, sources, manifest)?;
        days.open_written(job, sources, &mut open)?;
        for at in std::mem::replace(&mut read, open.len())..open.len() {
            read_all(&mut open, at, &mut job.pace)?;
        }
        catch_up(&mut open)?;
        let moment = still(&mut open, |open| {
            // Midnight may have come: the day that began is of the same moment.
            if !days.are_these(sources.journal.glance()?) {
                return Ok(None);
            }
            open.iter_mut().try_for_each(|source| source.read_changed().map(drop))?;
            Ok(Some(clock::wall()))
        })?;
        if let Some(moment) = moment {
            manifest.moment = moment;
            break;
        }
    }
    for source in open {
        manifest.databases.push(source.finish(job)?);
    }
    manifest.databases.extend(days.alone.into_values().flatten());
    Ok(())
}

impl Days {
    /// Copies those that nobody writes to, one by one: there may be months of them.
    fn copy_alone(
        &mut self,
        job: &mut Job<'_>,
        sources: &Sources<'_>,
        manifest: &mut Manifest,
    ) -> Result<(), BackupError> {
        for (day, is_written) in sources.journal.days_written()? {
            if is_written || self.live.contains(&day) || self.alone.contains_key(&day) {
                continue;
            }
            let copied = match copy_alone(job, sources, day) {
                Err(error) if is_unreadable(&error) => {
                    tracing::error!(%day, %error, "a day that cannot be read is copied as the files it is");
                    manifest.unreadable.push(day_name(day));
                    None
                }
                other => other?,
            };
            self.alone.insert(day, copied);
        }
        Ok(())
    }

    /// Opens those that are written to, also ones that were copied before somebody did.
    fn open_written(
        &mut self,
        job: &Job<'_>,
        sources: &Sources<'_>,
        open: &mut Vec<Source>,
    ) -> Result<(), BackupError> {
        for (day, is_written) in sources.journal.days_written()? {
            if !is_written || self.live.contains(&day) {
                continue;
            }
            if let Some(lend) = sources.journal.lend(day)? {
                open.push(Source::open(job, day_name(day), lend)?);
                self.live.push(day);
                self.alone.remove(&day);
            }
        }
        Ok(())
    }

    /// Whether these are all there are, copied as they are to be. In the moment in which one takes another's place
    /// that is not known, and nothing may wait for it.
    fn are_these(&self, glance: Option<Vec<(Day, bool)>>) -> bool {
        let is_copied =
            |(day, is_written): &(Day, bool)| self.live.contains(day) || (!is_written && self.alone.contains_key(day));
        glance.is_some_and(|days| days.iter().all(is_copied))
    }
}

/// Copies a day by itself; nothing of one that is a file, or whose key was deleted.
fn copy_alone(job: &mut Job<'_>, sources: &Sources<'_>, day: Day) -> Result<Option<Database>, BackupError> {
    let lend = match sources.journal.lend(day) {
        Ok(Some(lend)) => lend,
        Ok(None) | Err(StoreError::Expired { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut open = [Source::open(job, day_name(day), lend)?];
    read_all(&mut open, 0, &mut job.pace)?;
    catch_up(&mut open)?;
    let [source] = open;
    source.finish(job).map(Some)
}

/// Whether a day is no use as a database, now and later.
fn is_unreadable(error: &BackupError) -> bool {
    matches!(
        error,
        BackupError::Broken { .. } | BackupError::Store(StoreError::Damaged { .. } | StoreError::Key { .. })
    )
}

/// Reads every row of one of them, a chunk at a time, and meanwhile what changes too much in any.
fn read_all(open: &mut [Source], at: usize, pace: &mut Pace) -> Result<(), BackupError> {
    let mut from = Vec::new();
    loop {
        let octets = open[at].read_chunk(&mut from)?;
        if octets == 0 {
            return Ok(());
        }
        for source in &mut *open {
            if source.watched.copying(|copying| Ok(copying.changed_rows()))? > REMEMBERED {
                source.read_changed()?;
            }
        }
        pace.took(octets as u64);
    }
}

/// Reads changed rows again until they are few.
fn catch_up(open: &mut [Source]) -> Result<(), BackupError> {
    for _ in 0..LOOKS {
        let mut most = 0;
        for source in &mut *open {
            most = most.max(source.read_changed()?);
        }
        if most <= LAST_ROWS {
            return Ok(());
        }
    }
    Ok(())
}

/// Does something while no row of any of these changes.
fn still<T>(open: &mut [Source], act: impl FnOnce(&mut [Source]) -> Result<T, BackupError>) -> Result<T, BackupError> {
    let engines = open.iter().map(|source| source.watched.engine()).collect::<Result<Vec<_>, _>>()?;
    let (mut act, mut done) = (Some(act), None);
    nested(&engines, &mut || done = act.take().map(|act| act(open)));
    done.unwrap_or_else(|| Err(BackupError::database("backup", "nothing could be held still")))
}

fn nested(engines: &[Arc<dyn Engine>], act: &mut dyn FnMut()) {
    match engines.split_first() {
        None => act(),
        Some((first, rest)) => match first.copying() {
            Some(copying) => copying.still(&mut || nested(rest, act)),
            None => nested(rest, act),
        },
    }
}

impl Source {
    fn open(job: &Job<'_>, name: String, lend: Lender) -> Result<Self, BackupError> {
        let (path, file) = job.create(&job.free(&format!("{name}.rows")), Writer::of_rows)?;
        Ok(Self { watched: Watched::new(name, lend)?, path, file })
    }

    /// Reads the next rows; tells their octets, none at the end.
    fn read_chunk(&mut self, from: &mut Vec<u8>) -> Result<usize, BackupError> {
        let (mut rows, mut octets) = (Vec::new(), 0);
        self.watched.copying(|copying| {
            copying.scan(from, &END, &mut |key, value| {
                octets += 1 + key.len() + value.len();
                rows.push((key.to_vec(), value.to_vec()));
                octets < CHUNK
            })
        })?;
        for (key, value) in &rows {
            self.write(key, Some(value))?;
        }
        if let Some((last, _)) = rows.last() {
            // The very next key.
            *from = [last.as_slice(), &[0]].concat();
        }
        Ok(octets)
    }

    /// Reads again what changed; tells how many rows that were.
    fn read_changed(&mut self) -> Result<usize, BackupError> {
        let keys = self.watched.copying(|copying| copying.changed())?;
        for key in &keys {
            let value = self.watched.copying(|copying| copying.get(key))?;
            self.write(key, value.as_deref())?;
        }
        Ok(keys.len())
    }

    fn write(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), BackupError> {
        self.file.row(key, value).map_err(|e| BackupError::database(&self.watched.name, format!("the copy: {e}")))
    }

    /// The copy is on disk when this returns.
    fn finish(self, job: &mut Job<'_>) -> Result<Database, BackupError> {
        let Self { watched, path, file } = self;
        let (name, rows) = (watched.name.clone(), file.rows());
        drop(watched);
        let copy = job.finish(&name, path, file)?;
        Ok(Database { name, copy, rows })
    }
}

impl Watched {
    fn new(name: String, lend: Lender) -> Result<Self, BackupError> {
        let engine = lend().ok_or_else(|| BackupError::Closed(name.clone()))?;
        match engine.copying().map(Copying::watch) {
            Some(true) => Ok(Self { name, lend }),
            Some(false) => Err(BackupError::database(&name, "is being copied by another backup")),
            None => Err(BackupError::database(&name, "cannot be copied while it is written to")),
        }
    }

    fn engine(&self) -> Result<Arc<dyn Engine>, BackupError> {
        (self.lend)().ok_or_else(|| BackupError::Closed(self.name.clone()))
    }

    fn copying<T>(&self, ask: impl FnOnce(&dyn Copying) -> Result<T, EngineError>) -> Result<T, BackupError> {
        let engine = self.engine()?;
        let copying = engine.copying().ok_or_else(|| BackupError::Closed(self.name.clone()))?;
        ask(copying).map_err(failed(&self.name))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(engine) = (self.lend)()
            && let Some(copying) = engine.copying()
        {
            copying.unwatch();
        }
    }
}
