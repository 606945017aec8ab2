//! A backup is of one moment, whatever is written meanwhile; what is there already is not copied again;
//! what is damaged is noticed and what is there is not written over.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use portcullis::store::backup::{BackupError, Manifest, Sources, Step, backup, restore, verify};
use portcullis::store::consents::{ConsentsOptions, Status};
use portcullis::store::journal::Check;
use portcullis::store::{Consents, Event, Journal, JournalOptions, Keys, MasterSource, Query, Sends};

#[path = "store/records.rs"]
mod records;

use records::{NOON, Records, Text};

const DAY_MS: i64 = 86_400_000;

/// The stores of a data directory.
struct Stores {
    journal: Journal,
    consents: Consents,
    sends: Sends,
}

impl Stores {
    fn open(data: &Path) -> Self {
        let keys = Keys::open(&data.join("keys"), &MasterSource::Text("5c".repeat(32))).unwrap();
        let options =
            JournalOptions { keys: Some(keys.clone()), heads: Some(data.join("heads")), ..JournalOptions::default() };
        let journal = Journal::open(&data.join("journal"), Arc::new(Text), options).unwrap();
        let options = ConsentsOptions { keys: Some(keys.clone()), ..ConsentsOptions::default() };
        let consents = Consents::open(&data.join("consents"), &options).unwrap();
        let sends = Sends::open(&data.join("sends"), &keys).unwrap();
        Self { journal, consents, sends }
    }

    fn backup(&self, data: &Path, dir: &Path) -> Result<(Manifest, Vec<Step>), BackupError> {
        let mut steps = Vec::new();
        let Self { journal, consents, sends } = self;
        let sources = Sources { data, journal, consents, sends: Some(sends), settings: &[], master: None };
        let manifest = backup(sources, dir, None, &mut |step| {
            steps.push(step.clone());
            true
        })?;
        Ok((manifest, steps))
    }

    /// Appends a record and waits until it is durable.
    fn record(&self, payload: &[u8]) {
        let sequence = self.journal.append(payload).unwrap().sequence;
        let progress = self.journal.progress();
        while progress.borrow().durable < sequence {
            thread::yield_now();
        }
    }

    fn consent(&self, number: u64) {
        let event = Event {
            msisdn: 8_613_900_000_000 + number,
            sender: "shop",
            category: "promotion",
            status: if number.is_multiple_of(5) { Status::Refusal } else { Status::Consent },
            at_ms: NOON,
            method: "web",
            evidence: "form",
            ..Event::default()
        };
        self.consents.apply(&[event]).unwrap();
    }

    fn entries(&self) -> Vec<Vec<u8>> {
        self.journal.find(Query::default()).unwrap().map(|entry| entry.unwrap().1).collect()
    }

    fn subscribers(&self) -> HashSet<u64> {
        self.consents.export(false).map(|held| held.unwrap().msisdn).collect()
    }
}

/// Restores into a folder of its own.
fn restored(folder: &Path, dir: &Path) -> PathBuf {
    let data = folder.join("restored");
    restore(dir, &data, &mut |_| {}).unwrap();
    data
}

#[test]
fn all_that_is_written_meanwhile_is_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let (data, dir) = (folder.path().join("data"), folder.path().join("backup"));
    let stores = Stores::open(&data);
    let (done, written, stop) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let mut records = Records::new(0, 1);
    thread::scope(|scope| {
        // First the consent, then the record of it: at any moment there is at most one consent more.
        scope.spawn(|| {
            for number in 0.. {
                stores.consent(number);
                stores.record(&records.next().unwrap());
                written.store(number + 1, SeqCst);
                if number >= stop.load(SeqCst) {
                    break;
                }
            }
            done.store(true, SeqCst);
        });
        while written.load(SeqCst) < 300 {
            thread::yield_now();
        }
        let before = written.load(SeqCst);
        let (manifest, _) = stores.backup(&data, &dir).unwrap();
        assert!(!done.load(SeqCst), "it was written to all the time");
        // Some more, which are not in it.
        stop.store(written.load(SeqCst) + 20, SeqCst);
        assert!(manifest.began <= manifest.moment);
        let copy = Stores::open(&restored(folder.path(), &dir));
        let (entries, subscribers) = (copy.entries(), copy.subscribers());
        let (entries_there, consents_there) = (entries.len() as u64, subscribers.len() as u64);
        assert!(entries_there >= before, "{entries_there} of the {before} there were");
        assert!(
            (entries_there..=entries_there + 1).contains(&consents_there),
            "{entries_there} records and {consents_there} consents are of different moments"
        );
        let expected: Vec<Vec<u8>> = Records::new(0, 1).take(entries.len()).collect();
        assert_eq!(entries, expected, "each once, in order");
        assert_eq!(subscribers, (0..consents_there).map(|number| 8_613_900_000_000 + number).collect());
    });
}

/// Stores with a few records on each of some days.
fn days(data: &Path, days: i64) -> Stores {
    let stores = Stores::open(data);
    let mut records = Records::new(0, 1);
    for day in 0..days {
        (0..200).for_each(|n| stores.record(&records.record(n, NOON + day * DAY_MS)));
    }
    stores
}

fn reused(steps: &[Step]) -> Vec<&str> {
    let reused = steps.iter().filter(|step| step.reused).map(|step| step.name.as_str());
    let mut days: Vec<_> = reused.filter_map(|name| name.strip_prefix("journal/")?.strip_suffix("/table")).collect();
    days.sort_unstable();
    days
}

#[test]
fn days_that_are_over_are_copied_once_and_go_when_they_expire() {
    let folder = tempfile::tempdir().unwrap();
    let (data, dir) = (folder.path().join("data"), folder.path().join("backup"));
    // Opened anew, the days before the last one have no writer any more.
    drop(days(&data, 5));
    let stores = Stores::open(&data);
    let all = stores.journal.days().unwrap();
    stores.journal.seal().unwrap();
    let (first, steps) = stores.backup(&data, &dir).unwrap();
    assert_eq!((reused(&steps).len(), first.databases.len()), (0, 3), "consents, counts and the last day");
    let (second, steps) = stores.backup(&data, &dir).unwrap();
    assert_eq!(reused(&steps), [0, 1, 2, 3].map(|at| all[at].to_string()));
    assert!(first.files.iter().filter(|file| file.name.ends_with("/table")).all(|file| second.files.contains(file)));
    // A late record: its day is copied again, and only that.
    stores.record(&Records::new(0, 1).record(9, NOON + DAY_MS));
    assert!(stores.journal.drop_day(all[0]).unwrap());
    let (_, steps) = stores.backup(&data, &dir).unwrap();
    assert_eq!(reused(&steps), [2, 3].map(|at| all[at].to_string()));
    verify(&dir, &mut |_| {}).unwrap();
    let expected = stores.entries();
    drop(stores);
    let copy = Stores::open(&restored(folder.path(), &dir));
    assert_eq!(copy.entries(), expected);
    let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let rounds = left.iter().filter(|name| name.to_string_lossy().ends_with('Z')).count();
    assert_eq!(rounds, 2, "what no manifest names is gone: {left:?}");
    verified(&copy);
}

fn verified(copy: &Stores) {
    let mut faults = Vec::new();
    let verified = copy.journal.verify(&Check::default(), &mut |fault| {
        faults.push(fault);
        true
    });
    assert!(verified.is_ok() && faults.is_empty(), "{verified:?} {faults:?}");
}

#[test]
fn a_day_that_begins_after_the_moment_leaves_no_key_without_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (data, dir) = (folder.path().join("data"), folder.path().join("backup"));
    let stores = days(&data, 2);
    let expected = stores.entries();
    let Stores { journal, consents, sends } = &stores;
    let sources = Sources { data: &data, journal, consents, sends: Some(sends), settings: &[], master: None };
    let manifest = backup(sources, &dir, None, &mut |step| {
        if step.name == "consents/db" {
            stores.record(&Records::new(0, 1).record(9, NOON + 2 * DAY_MS));
        }
        true
    })
    .unwrap();
    let all = stores.journal.days().unwrap();
    let keys = |day: usize| {
        let name = format!("keys/{}-", all[day]);
        manifest.files.iter().filter(|file| file.name.starts_with(&name)).count()
    };
    assert_eq!((all.len(), keys(0), keys(1), keys(2)), (3, 2, 2, 0), "{:?}", manifest.files);
    drop(stores);
    let copy = Stores::open(&restored(folder.path(), &dir));
    assert_eq!(copy.entries(), expected);
    verified(&copy);
}

#[test]
fn a_day_that_cannot_be_read_is_copied_as_it_is_and_the_others_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (data, dir) = (folder.path().join("data"), folder.path().join("backup"));
    drop(days(&data, 3));
    let day = Stores::open(&data).journal.days().unwrap()[0].to_string();
    fs::write(data.join(format!("keys/{day}-content.key")), "damaged").unwrap();
    let stores = Stores::open(&data);
    let rows = fs::read(data.join("journal").join(&day).join("db")).unwrap();
    for _ in 0..2 {
        let (manifest, _) = stores.backup(&data, &dir).unwrap();
        assert_eq!(manifest.unreadable, [format!("journal/{day}")]);
        assert!(manifest.databases.iter().all(|database| !database.name.ends_with(&day)));
        verify(&dir, &mut |_| {}).unwrap();
    }
    let data = restored(folder.path(), &dir);
    assert!(fs::read(data.join("journal").join(&day).join("db")).unwrap().len() >= rows.len());
    assert_eq!(Stores::open(&data).journal.days().unwrap().len(), 3);
}

#[test]
fn every_changed_octet_of_a_backup_is_noticed_and_nothing_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let (data, dir) = (folder.path().join("data"), folder.path().join("backup"));
    let stores = days(&data, 3);
    fs::write(data.join("measures.json"), "{}").unwrap();
    let (manifest, _) = stores.backup(&data, &dir).unwrap();
    assert!(manifest.files.iter().any(|file| file.name == "measures.json"));
    assert!(manifest.files.iter().any(|file| file.name.starts_with("keys/")), "{:?}", manifest.files);
    for copy in manifest.copies() {
        let path = dir.join(&copy.path);
        let octets = fs::read(&path).unwrap();
        for at in (0..octets.len()).step_by(octets.len() / 7 + 1) {
            let mut changed = octets.clone();
            changed[at] ^= 0x20;
            fs::write(&path, changed).unwrap();
            let said = verify(&dir, &mut |_| {}).unwrap_err().to_string();
            assert!(said.contains(&copy.path), "{said}");
        }
        fs::write(&path, &octets[..octets.len() - 1]).unwrap();
        let said = restore(&dir, &folder.path().join("new"), &mut |_| {}).unwrap_err().to_string();
        assert!(said.contains(&copy.path) && !folder.path().join("new").exists(), "{said}");
        fs::write(&path, octets).unwrap();
    }
    let said = restore(&dir, &data, &mut |_| {}).unwrap_err().to_string();
    assert!(said.contains("is not empty"), "{said}");
    let said = stores.backup(&data, &data.join("backup")).unwrap_err().to_string();
    assert!(said.contains("lies in the data directory"), "{said}");
    let said = stores.backup(&data, folder.path()).unwrap_err().to_string();
    assert!(said.contains("holds no backup"), "{said}");
    verify(&dir, &mut |_| {}).unwrap();
    let missing = folder.path().join("restored").join("keys/master");
    restored(folder.path(), &dir);
    assert!(!missing.exists(), "the master key is in no backup");
}

#[test]
fn two_backups_at_once_are_one_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let stores = days(&data, 3);
    let Stores { journal, consents, sends } = &stores;
    let sources = || Sources { data: &data, journal, consents, sends: Some(sends), settings: &[], master: None };
    let mut said = None;
    backup(sources(), &folder.path().join("one"), None, &mut |_| {
        said.get_or_insert_with(|| backup(sources(), &folder.path().join("one"), None, &mut |_| true).unwrap_err());
        true
    })
    .unwrap();
    assert!(matches!(said, Some(BackupError::Store(_))), "one folder: {said:?}");
    let given_up = backup(sources(), &folder.path().join("two"), None, &mut |_| false).unwrap_err();
    assert!(matches!(given_up, BackupError::GivenUp));
    // Nothing is left of it that would keep the next one from its work.
    backup(sources(), &folder.path().join("two"), Some(100_000_000), &mut |_| true).unwrap();
}
