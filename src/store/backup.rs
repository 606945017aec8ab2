//! A copy of everything the gate keeps, made while it runs.
//!
//! Owns the order of copying, the folder it goes to and the way back from it. Refuses to copy the master
//! key, to write over what is there, and to call a backup whole before every octet of it is on disk.
//! Driven by the command line, through a running gate or without one.
//!
//! **How it is consistent.** Days that are over are copied as the files they are. The databases that are written to (days
//! that are not finished, consents, counts) are read row by row while the keys of changed rows are remembered; then the
//! changed rows are read again and again until they are few; then all changes to all of these databases wait
//! for some milliseconds, in which the last changed rows are read. So each copy is what its database was at that
//! moment, the same for all of them, whatever their rows mean and in whatever order they are written; what was
//! durable before the backup began is in it. Keys are copied after the rows they open, because a day's key is
//! older than its rows; a day that expired meanwhile is left out, and one that was rewritten is copied again.
//!
//! **How it is cheap.** A file that is in the folder already, of the same length and time, stays where it is: days that
//! are over among them. The manifest is replaced last; until then the backup before is whole.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::engine::{Engine, EngineError, Fault};
use super::journal::{Day, TABLE};
use super::lock::{Lock, create_private_dir, sync_dir};
use super::{Consents, Journal, Sha256, StoreError};
use crate::clock;

mod files;
mod live;
mod manifest;
mod restore;
mod rows;

pub use manifest::{Copied, Copy, Database, Manifest};
pub use restore::{restore, verify};

use rows::Writer;

/// Gives a database as long as it is open.
pub type Lender = Box<dyn Fn() -> Option<Arc<dyn Engine>> + Send>;

/// Whoever has a database that is to be copied.
pub trait Lend {
    /// The database, for as long as it is open. It must not be kept: one that failed is to be opened anew.
    fn lend(&self) -> Result<Lender, StoreError>;
}

/// Octets of rows between two looks at the pace.
const CHUNK: usize = 256 << 10;

/// How often a backup is begun anew where a database went away under it.
const TRIES: usize = 3;

/// What a backup takes.
pub struct Sources<'s> {
    /// The data directory.
    pub data: &'s Path,
    /// The journal in it.
    pub journal: &'s Journal,
    /// The consents in it.
    pub consents: &'s Consents,
    /// The counts in it, if there are any.
    pub sends: Option<&'s dyn Lend>,
    /// Files outside it: the configuration and what it names.
    pub settings: &'s [PathBuf],
    /// The file of the master key, where it is known: never copied.
    pub master: Option<&'s Path>,
}

/// What became of one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// What it is a copy of.
    pub name: String,
    /// Its length.
    pub octets: u64,
    /// Whether it was there already.
    pub reused: bool,
}

/// Why a backup could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be used.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What is there is no such folder as is needed.
    #[error("{}: {what}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A backup does not read back as it was written.
    #[error("{}: damaged: {what}", path.display())]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// Where, and what was expected.
        what: String,
    },
    /// A database went away under the copying.
    #[error("{0} was closed meanwhile: try again once the gate is well")]
    Closed(String),
    /// Whoever asked for it is gone.
    #[error("given up: nobody waits for the backup any more")]
    GivenUp,
    /// A database is damaged.
    #[error("{name}: damaged: {what}")]
    Broken {
        /// Which.
        name: String,
        /// Where.
        what: String,
    },
    /// A database could not be copied.
    #[error("{name}: {what}")]
    Database {
        /// Which.
        name: String,
        /// Why.
        what: String,
    },
}

impl BackupError {
    fn io(path: &Path, what: &'static str, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), what, source }
    }

    fn database(name: &str, what: impl ToString) -> Self {
        Self::Database { name: name.to_owned(), what: what.to_string() }
    }
}

/// A backup that is being made.
struct Job<'j> {
    dir: &'j Path,
    /// The folder for what is new, below `dir`.
    round: String,
    /// The backup before.
    before: Option<Manifest>,
    pace: Pace,
    tell: &'j mut dyn FnMut(&Step) -> bool,
}

/// Makes or renews the backup in `dir`, at most so many octets a second; `tell` hears of every file, and says whether
/// to go on.
pub fn backup(
    sources: Sources<'_>,
    dir: &Path,
    octets_per_second: Option<u64>,
    tell: &mut dyn FnMut(&Step) -> bool,
) -> Result<Manifest, BackupError> {
    if dir.starts_with(sources.data) {
        return Err(folder(dir, "lies in the data directory, which would be copied into itself"));
    }
    create_private_dir(dir)?;
    let _lock = Lock::take(dir)?;
    let before = Manifest::load(dir)?;
    if before.is_none() && !holds_nothing(dir)? {
        return Err(folder(dir, "is not empty, and holds no backup"));
    }
    let mut job = Job { dir, round: String::new(), before, pace: Pace::new(octets_per_second), tell };
    let began = clock::wall();
    let mut tries = 0;
    loop {
        let before = job.before.clone();
        job.round = clock::wall().strftime("%Y%m%dT%H%M%S.%3fZ").to_string();
        let made = job.run(&sources, Manifest::new(began));
        if made.is_err() {
            // It would be taken for nothing, and goes with the next backup at the latest.
            let _leftover = fs::remove_dir_all(dir.join(&job.round));
        }
        tries += 1;
        match made {
            // A day that was finished just now lies elsewhere, and a store that failed is opened anew.
            Err(BackupError::Closed(_)) if tries < TRIES => job.before = before,
            other => return other,
        }
    }
}

impl Job<'_> {
    fn run(&mut self, sources: &Sources<'_>, mut manifest: Manifest) -> Result<Manifest, BackupError> {
        let tip = files::copy_tip(self, sources.data)?;
        live::copy(self, sources, &mut manifest)?;
        // One that expired meanwhile has no key any more.
        let left = sources.journal.days()?;
        manifest.databases.retain(|database| is_left(&database.name, &left));
        files::copy_data(self, sources.data, sources.master, &mut manifest)?;
        manifest.leave_out_keys();
        // One that was finished meanwhile is there as a file.
        let files: HashSet<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
        manifest.databases.retain(|database| !files.contains(format!("{}/{TABLE}", database.name).as_str()));
        manifest.files.extend(tip);
        files::copy_settings(self, sources.settings, &mut manifest)?;
        create_private_dir(&self.dir.join(&self.round))?;
        sync_all(&self.dir.join(&self.round))?;
        sync_dir(self.dir)?;
        manifest.store(self.dir)?;
        Ok(manifest)
    }

    fn told(&mut self, step: Step) -> Result<(), BackupError> {
        if (self.tell)(&step) { Ok(()) } else { Err(BackupError::GivenUp) }
    }

    fn is_there(&self, copy: &Copy) -> bool {
        fs::metadata(self.dir.join(&copy.path)).is_ok_and(|metadata| metadata.len() == copy.octets)
    }

    /// The name, or one like it where a copy of this round has it already.
    fn free(&self, name: &str) -> String {
        let taken = |name: &str| self.dir.join(&self.round).join(name).exists();
        let others = (1..).map(|n| format!("{name}.{n}"));
        std::iter::once(name.to_owned()).chain(others).find(|name| !taken(name)).unwrap_or_default()
    }

    /// A new file for a copy, and its path below the backup's folder.
    fn create(&self, name: &str, make: fn(&Path) -> io::Result<Writer>) -> Result<(String, Writer), BackupError> {
        let path = format!("{}/{name}", self.round);
        let full = self.dir.join(&path);
        if let Some(parent) = full.parent() {
            create_private_dir(parent)?;
        }
        let file = make(&full).map_err(|e| BackupError::io(&full, "create the copy", e))?;
        Ok((path, file))
    }

    /// The copy is on disk when this returns, but for its name.
    fn finish(&mut self, name: &str, path: String, file: Writer) -> Result<Copy, BackupError> {
        let written = file.finish().map_err(|e| BackupError::io(&self.dir.join(&path), "finish the copy", e))?;
        self.told(Step { name: name.to_owned(), octets: written.octets, reused: false })?;
        Ok(Copy { path, octets: written.octets, sha256: written.sha256 })
    }
}

fn failed(name: &str) -> impl Fn(EngineError) -> BackupError + '_ {
    move |error| match error.fault {
        Fault::Broken => BackupError::Broken { name: name.to_owned(), what: error.what },
        _ => BackupError::database(name, error),
    }
}

fn day_name(day: Day) -> String {
    format!("journal/{day}")
}

/// Whether a database is no day, or one that is still there.
fn is_left(name: &str, days: &[Day]) -> bool {
    let day = name.strip_prefix("journal/").and_then(|day| day.parse().ok());
    day.is_none_or(|day: Day| days.contains(&day))
}

fn folder(path: &Path, what: &'static str) -> BackupError {
    BackupError::Folder { path: path.to_owned(), what }
}

/// Whether a folder is new, or what is left of a backup that was cut short.
fn holds_nothing(dir: &Path) -> Result<bool, BackupError> {
    let entries = fs::read_dir(dir).map_err(|e| BackupError::io(dir, "list the folder", e))?;
    let ours = |path: &Path| is_round(path) || path.ends_with("lock") || manifest::is_leftover(path);
    Ok(entries.flatten().all(|entry| ours(&entry.path())))
}

/// Whether a path is that of a folder that some backup has made: 20261124T143000.123Z.
fn is_round(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().as_bytes();
    let form = b"00000000T000000.000Z";
    name.len() == form.len()
        && name.iter().zip(form).all(|(have, want)| if *want == b'0' { have.is_ascii_digit() } else { have == want })
}

/// Removes the files below a folder that are not to be kept, and the folders that are empty then.
fn remove_unless(folder: &Path, kept: &dyn Fn(&Path) -> bool) -> Result<(), BackupError> {
    let failed = |e| BackupError::io(folder, "remove what the backup before needed", e);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            remove_unless(&path, kept)?;
        } else if !kept(&path) {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    match fs::remove_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::DirectoryNotEmpty => Err(failed(e)),
        _ => Ok(()),
    }
}

/// Makes all names below a folder survive a power cut.
fn sync_all(folder: &Path) -> Result<(), BackupError> {
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        sync_dir(&folder)?;
        let entries = fs::read_dir(&folder).map_err(|e| BackupError::io(&folder, "list the copies", e))?;
        left.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()));
    }
    Ok(())
}

/// Puts a file in the place of the one of that name, whole.
fn replace(path: &Path, octets: &[u8]) -> Result<(), BackupError> {
    let fresh = path.with_added_extension("new");
    let written = File::create(&fresh).and_then(|mut file| {
        file.write_all(octets)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    });
    written.map_err(|e| BackupError::io(path, "write", e))
}

/// Files of the backup before, by what they are copies of.
fn by_name(files: &[Copied]) -> HashMap<&str, &Copied> {
    files.iter().map(|file| (file.name.as_str(), file)).collect()
}

/// Stands back, so that no more octets a second are read than may be.
struct Pace {
    octets_per_second: Option<u64>,
    began: Instant,
    octets: u64,
}

impl Pace {
    fn new(octets_per_second: Option<u64>) -> Self {
        Self { octets_per_second, began: clock::monotonic(), octets: 0 }
    }

    /// So much was copied.
    fn took(&mut self, octets: u64) {
        let Some(limit) = self.octets_per_second else { return };
        self.octets += octets;
        let due = Duration::from_secs_f64(self.octets as f64 / limit.max(1) as f64);
        let ahead = due.saturating_sub(clock::monotonic().duration_since(self.began));
        std::thread::sleep(ahead);
    }
}
