//! Journals of a few entries on days that are over, for the tests of what is kept of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portcullis::store::journal::{Check, Day, Fault, Parts, Verified};
use portcullis::store::{EntryId, Journal, JournalOptions, Query, Ticket};

use crate::records::{Records, Text};

/// Noon of 2026-11-17, of which it is certain that it is over.
pub(crate) const NOON: i64 = 1_794_888_000_000;

pub(crate) const DAY: i64 = 86_400_000;

pub(crate) fn open(dir: &Path) -> Journal {
    Journal::open(&dir.join("journal"), Arc::new(Text), options(dir)).unwrap()
}

pub(crate) fn options(dir: &Path) -> JournalOptions {
    JournalOptions { heads: Some(dir.join("heads")), ..JournalOptions::default() }
}

pub(crate) fn settle(journal: &Journal, ticket: Ticket) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut progress = journal.progress();
        let durable = progress.wait_for(|progress| progress.durable >= ticket.sequence);
        tokio::time::timeout(Duration::from_secs(60), durable).await.unwrap().map(drop).unwrap();
    });
}

pub(crate) fn content(n: u64, at_ms: i64) -> Vec<u8> {
    Records::new(0, 1).record(n, at_ms)
}

pub(crate) fn signalling(n: u64) -> Vec<u8> {
    format!("route 10.20.30.40 of {n}").into_bytes()
}

/// Appends entries `from..until` at that moment, and waits until they are durable.
pub(crate) fn append(journal: &Journal, numbers: std::ops::Range<u64>, at_ms: i64) -> Vec<EntryId> {
    let tickets: Vec<_> = numbers.map(|n| journal.append_parts(&content(n, at_ms), &signalling(n)).unwrap()).collect();
    settle(journal, *tickets.last().unwrap());
    tickets.iter().map(|ticket| ticket.id).collect()
}

/// A journal of `entries` entries on each of so many days, all of them over and sealed.
pub(crate) fn sealed(dir: &Path, days: i64, entries: u64) -> Vec<EntryId> {
    let journal = open(dir);
    let each = |day: i64| append(&journal, 0..entries, NOON + day * DAY);
    let ids = (0..days).flat_map(each).collect();
    drop(journal);
    open(dir).seal().unwrap();
    ids
}

pub(crate) fn all(journal: &Journal) -> Vec<(EntryId, Parts)> {
    journal.find_parts(Query::default()).unwrap().map(Result::unwrap).collect()
}

pub(crate) fn verify(journal: &Journal) -> (Verified, Vec<Fault>) {
    let mut faults = Vec::new();
    let verified = journal.verify(&Check::default(), &mut |fault| {
        faults.push(fault);
        true
    });
    (verified.unwrap(), faults)
}

pub(crate) fn assert_sound(journal: &Journal) -> Verified {
    let (verified, faults) = verify(journal);
    assert_eq!(faults, []);
    verified
}

pub(crate) fn day(id: EntryId) -> Day {
    id.day
}

/// All files below a folder.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
