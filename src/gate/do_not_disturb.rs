//! The do-not-disturb lists: numbers that nobody sends anything commercial (谢绝来电).
//!
//! Owns the lists in memory, each swapped whole when its file changes. Refuses to judge: R11 does, and
//! R13 keeps it from service and public messages. Driven by the facts of every message, by the
//! proxy's watch, and by `portcullis check` and `judge`.

mod numbers;

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::record::{self, Record};
use crate::config::{Fault, ListFile};
use crate::store::Journal;
use numbers::Numbers;

/// All lists of a gate, in the order of the configuration.
#[derive(Debug, Default)]
pub struct DoNotDisturb(Vec<ArcSwap<List>>);

/// One list, as its file had it.
#[derive(Debug)]
pub struct List {
    /// Its name in the configuration.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    numbers: Numbers,
}

/// What a new state of a list changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Entries that are new.
    pub added: usize,
    /// Entries that are there no longer.
    pub removed: usize,
}

impl DoNotDisturb {
    /// Reads every list; all faults of all files where there are any.
    pub fn load(files: &[ListFile]) -> Result<Self, Vec<Fault>> {
        let (mut lists, mut faults) = (Vec::with_capacity(files.len()), Vec::new());
        for file in files {
            match List::load(file) {
                Ok(list) => lists.push(ArcSwap::from_pointee(list)),
                Err(more) => faults.extend(more),
            }
        }
        if faults.is_empty() { Ok(Self(lists)) } else { Err(faults) }
    }

    /// Whether a number is on any list.
    pub fn has(&self, msisdn: u64) -> bool {
        self.0.iter().any(|list| list.load().numbers.has(msisdn))
    }

    /// The lists as they are.
    pub fn lists(&self) -> impl Iterator<Item = std::sync::Arc<List>> {
        self.0.iter().map(ArcSwap::load_full)
    }

    /// Reads a list again, swaps it and records what changed; a bad file changes nothing.
    pub fn refresh(&self, file: &ListFile, journal: &Journal, now: Timestamp) -> Result<Difference, Vec<Fault>> {
        let Some(slot) = self.0.iter().find(|slot| slot.load().file == file.file) else {
            return Err(vec![Fault::of_file(&file.file, "is no list of this gate")]);
        };
        let fresh = List::load(file)?;
        let difference = slot.load().numbers.difference(&fresh.numbers);
        let (numbers, prefixes) = fresh.numbers.counts();
        slot.store(std::sync::Arc::new(fresh));
        let record = Record::List(record::List {
            at_ms: now.as_millisecond(),
            name: file.name.as_str().into(),
            file: file.file.to_string_lossy(),
            numbers: numbers as u64,
            prefixes: prefixes as u64,
            added: difference.added as u64,
            removed: difference.removed as u64,
        });
        if let Err(error) = journal.append(record.encode(Vec::new())) {
            tracing::error!(%error, list = file.name, "the refresh of a do-not-disturb list could not be recorded");
        }
        Ok(difference)
    }
}

impl List {
    /// Reads a file of numbers.
    pub fn load(file: &ListFile) -> Result<Self, Vec<Fault>> {
        let unreadable = |error: &io::Error| vec![Fault::of_file(&file.file, format!("cannot be read: {error}"))];
        let opened = File::open(&file.file).map_err(|error| unreadable(&error))?;
        let numbers = Numbers::read(BufReader::with_capacity(1 << 16, opened)).map_err(|faults| {
            faults.into_iter().map(|(line, what)| fault(&file.file, line, what)).collect::<Vec<_>>()
        })?;
        Ok(Self { name: file.name.clone(), file: file.file.clone(), numbers })
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (numbers, prefixes) = self.numbers.counts();
        write!(f, "do-not-disturb list {}: {numbers} numbers, {prefixes} prefixes", self.name)
    }
}

fn fault(file: &Path, line: Option<usize>, message: String) -> Fault {
    Fault { file: file.to_owned(), line, key: String::new(), message }
}
