//! A backup that is killed, beside a purge that is killed with it, and a restore: what runs is unharmed, half a
//! backup is told from a whole one, and the next one works.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use portcullis::store::backup::{Manifest, Sources, backup, restore, verify};
use portcullis::store::consents::ConsentsOptions;
use portcullis::store::{Consents, Event, Journal, JournalOptions, Keys, MasterSource, Sends};

use crate::days::{DAY, NOON, all, append, assert_sound};
use crate::records::Text;
use crate::{Scene, acknowledge, play};

pub(crate) const SCENES: [Scene; 4] = [
    Scene { name: "a first backup", changes: 150, prepare: fill, act: back_up, check: backed_up },
    Scene { name: "a renewed backup", changes: 150, prepare: fill_and_change, act: back_up, check: renewed },
    Scene { name: "a backup beside a purge", changes: 250, prepare: fill_and_change, act: both, check: both_done },
    Scene { name: "a restore", changes: 150, prepare: fill_and_back_up, act: restored, check: restored_again },
];

const ENTRIES: u64 = 60;

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
        let options = ConsentsOptions { keys: Some(keys.clone()), cache_bytes: 8 << 20, ..ConsentsOptions::default() };
        let consents = Consents::open(&data.join("consents"), &options).unwrap();
        Self { journal, consents, sends: Sends::open(&data.join("sends"), &keys).unwrap() }
    }

    fn of(dir: &Path) -> Self {
        Self::open(&dir.join("data"))
    }

    fn back_up(&self, dir: &Path) -> Manifest {
        let Self { journal, consents, sends } = self;
        let data = dir.join("data");
        let sources = Sources { data: &data, journal, consents, sends: Some(sends), settings: &[], master: None };
        backup(sources, &dir.join("backup"), None, &mut |_| true).unwrap()
    }

    /// Entries of each day, where all is sound; consents.
    fn counted(&self) -> (Vec<u64>, usize) {
        assert_sound(&self.journal);
        let found = all(&self.journal);
        let of = |day: i64| {
            let at = (NOON + day * DAY).to_string();
            found.iter().filter(|(_, parts)| parts.content.starts_with(at.as_bytes())).count() as u64
        };
        ((0..3).map(of).collect(), self.consents.export(true).map(Result::unwrap).count())
    }
}

/// Two days that are over, one that is written, and some consents.
fn fill(dir: &Path) {
    for day in 0..3 {
        append(&Stores::of(dir).journal, 0..ENTRIES, NOON + day * DAY);
    }
    let stores = Stores::of(dir);
    stores.journal.seal().unwrap();
    consent(&stores, 0..200);
}

fn consent(stores: &Stores, numbers: std::ops::Range<u64>) {
    let event = |number| Event { msisdn: 8_613_900_000_000 + number, sender: "shop", at_ms: NOON, ..Event::default() };
    stores.consents.apply(&numbers.map(event).collect::<Vec<_>>()).unwrap();
}

/// The same with a backup from before the last changes.
fn fill_and_change(dir: &Path) {
    fill(dir);
    let stores = Stores::of(dir);
    stores.back_up(dir);
    append(&stores.journal, ENTRIES..ENTRIES + 20, NOON + 2 * DAY);
    consent(&stores, 200..300);
}

fn fill_and_back_up(dir: &Path) {
    fill_and_change(dir);
    Stores::of(dir).back_up(dir);
}

fn back_up(dir: &Path) {
    Stores::of(dir).back_up(dir);
    acknowledge(1);
}

/// What a backup holds.
fn held(dir: &Path) -> (Vec<u64>, usize) {
    let data = dir.join("restored");
    restore(&dir.join("backup"), &data, &mut |_| {}).unwrap();
    let counted = Stores::open(&data).counted();
    fs::remove_dir_all(data).unwrap();
    counted
}

fn now_all(dir: &Path, entries: [u64; 3], consents: usize) {
    let stores = Stores::of(dir);
    assert_eq!(stores.counted(), (entries.to_vec(), consents), "what runs is unharmed");
    stores.back_up(dir);
    drop(stores);
    verify(&dir.join("backup"), &mut |_| {}).unwrap();
    assert_eq!(held(dir), (entries.to_vec(), consents));
    let left: Vec<_> = fs::read_dir(dir.join("backup")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.len() <= 5, "what was cut short is gone: {left:?}");
}

fn backed_up(dir: &Path, acknowledged: usize) {
    let (target, fresh) = (dir.join("backup"), dir.join("fresh"));
    if target.join("manifest.json").exists() {
        assert_eq!(held(dir), (vec![ENTRIES; 3], 200));
    } else {
        assert_eq!(acknowledged, 0);
        for said in [verify(&target, &mut |_| {}).unwrap_err(), restore(&target, &fresh, &mut |_| {}).unwrap_err()] {
            assert!(said.to_string().contains("holds no whole backup"), "{said}");
        }
        assert!(!fresh.exists());
    }
    now_all(dir, [ENTRIES; 3], 200);
}

fn renewed(dir: &Path, acknowledged: usize) {
    let (before, after) = ((vec![ENTRIES; 3], 200), (vec![ENTRIES, ENTRIES, ENTRIES + 20], 300));
    let found = held(dir);
    assert!(found == after || (acknowledged == 0 && found == before), "the backup before is whole: {found:?}");
    now_all(dir, [ENTRIES, ENTRIES, ENTRIES + 20], 300);
}

/// The first day goes, of the second what is not held; a backup is made meanwhile.
fn both(dir: &Path) {
    let stores = Stores::of(dir);
    thread::scope(|scope| {
        scope.spawn(|| purge(&stores));
        stores.back_up(dir);
    });
    acknowledge(1);
}

fn purge(stores: &Stores) {
    let [first, second, ..] = stores.journal.days().unwrap()[..] else { return };
    stores.journal.drop_signalling(second).unwrap();
    stores.journal.drop_day(first).unwrap();
    stores.journal.extract_day(second, |id, _| id.number % 10 == 3).unwrap();
}

fn both_done(dir: &Path, acknowledged: usize) {
    let (days, consents) = held(dir);
    // Of before, of after, and of anything between: a day is whole, or what is held of it, or gone.
    assert!([0, ENTRIES].contains(&days[0]) && [ENTRIES / 10, ENTRIES].contains(&days[1]), "{days:?}");
    assert!(acknowledged == 0 || (days[2], consents) == (ENTRIES + 20, 300));
    let stores = Stores::of(dir);
    assert_sound(&stores.journal);
    if stores.journal.days().unwrap().len() == 3 {
        purge(&stores);
    } else {
        let second = stores.journal.days().unwrap()[0];
        stores.journal.drop_signalling(second).unwrap();
        stores.journal.extract_day(second, |id, _| id.number % 10 == 3).unwrap();
    }
    drop(stores);
    now_all(dir, [0, ENTRIES / 10, ENTRIES + 20], 300);
}

fn restored(dir: &Path) {
    restore(&dir.join("backup"), &dir.join("restored"), &mut |_| {}).unwrap();
    acknowledge(1);
}

fn restored_again(dir: &Path, acknowledged: usize) {
    let data = dir.join("restored");
    assert!(acknowledged == 0 || data.exists());
    if data.exists() {
        assert_eq!(
            Stores::open(&data).counted(),
            (vec![ENTRIES, ENTRIES, ENTRIES + 20], 300),
            "it is whole, or not there"
        );
        fs::remove_dir_all(&data).unwrap();
    }
    verify(&dir.join("backup"), &mut |_| {}).unwrap();
    assert_eq!(held(dir), (vec![ENTRIES, ENTRIES, ENTRIES + 20], 300));
    assert!(!dir.join("restored.restoring").exists(), "what was cut short is gone");
}

#[test]
fn a_backup_that_is_killed_is_told_from_a_whole_one_and_made_again() {
    play("a first backup");
    play("a renewed backup");
}

#[test]
fn a_backup_and_a_purge_that_are_killed_together_are_both_done_again() {
    play("a backup beside a purge");
}

#[test]
fn a_restore_that_is_killed_is_made_again() {
    play("a restore");
}
