//! A journal that is killed at the turn of a day, while a day is sealed, and while it lets go what has expired.

use std::fs;
use std::path::Path;

use portcullis::store::Journal;
use portcullis::store::journal::Parts;

use crate::days::{DAY, NOON, all, append, assert_sound, content, open, sealed, signalling, verify};
use crate::{Scene, acknowledge, play};

/// Entries of a day.
const ENTRIES: u64 = 120;

pub(crate) const SCENES: [Scene; 5] = [
    Scene { name: "turn of the day", changes: 400, prepare: |_| (), act: turn, check: turned },
    Scene { name: "sealing", changes: 100, prepare: fill, act: |dir| open(dir).seal().unwrap(), check: all_sealed },
    Scene { name: "a day's deletion", changes: 40, prepare: seal, act: drop_day, check: dropped },
    Scene { name: "signalling's deletion", changes: 60, prepare: seal, act: drop_signalling, check: thinned },
    Scene { name: "what is held of a day", changes: 90, prepare: seal, act: extract, check: extracted },
];

fn first_day(journal: &Journal) -> portcullis::store::journal::Day {
    journal.days().unwrap()[0]
}

fn expected(day: i64, n: u64) -> Parts {
    Parts { content: content(n, NOON + day * DAY), signalling: Some(signalling(n)) }
}

/// What there is of a day, in order.
fn of_day(journal: &Journal, day: i64) -> Vec<Parts> {
    let at = (NOON + day * DAY).to_string();
    let found = all(journal).into_iter().map(|(_, parts)| parts);
    found.filter(|parts| parts.content.starts_with(at.as_bytes())).collect()
}

fn is_whole(journal: &Journal, day: i64) {
    assert_eq!(of_day(journal, day), (0..ENTRIES).map(|n| expected(day, n)).collect::<Vec<_>>());
}

/// From one day to the next, and one late entry for the first.
fn turn(dir: &Path) {
    let journal = open(dir);
    let mut done = 0;
    for day in [0, 1, 2] {
        for first in (0..ENTRIES).step_by(20) {
            append(&journal, first..first + 20, NOON + day * DAY);
            done += 20;
            acknowledge(done);
        }
    }
    append(&journal, ENTRIES..ENTRIES + 1, NOON);
    acknowledge(done + 1);
    journal.close();
}

fn turned(dir: &Path, acknowledged: usize) {
    let journal = open(dir);
    match dir.join("heads/tip").exists() {
        true => drop(assert_sound(&journal)),
        // Nothing was signed yet: that is told until something is.
        false => {
            let (_, faults) = verify(&journal);
            assert!(faults.iter().all(|fault| fault.place == "heads/tip"), "{faults:?}");
        }
    }
    let found = all(&journal);
    assert!(found.len() >= acknowledged, "{} of {acknowledged}", found.len());
    let late = 3 * usize::try_from(ENTRIES).unwrap() + 1;
    let of = [of_day(&journal, 0), of_day(&journal, 1), of_day(&journal, 2)];
    for (day, found) in (0..).zip(&of) {
        for (n, parts) in (0..).zip(found) {
            assert_eq!(*parts, expected(day, n), "each once, in order");
        }
    }
    assert_eq!(of.iter().map(Vec::len).sum::<usize>(), found.len());
    assert!(acknowledged < late || found.len() == late);
    assert!(journal.incidents().is_empty(), "{:?}", journal.incidents());
    append(&journal, 900..901, NOON + 3 * DAY);
    drop(journal);
    let journal = open(dir);
    journal.seal().unwrap();
    assert_sound(&journal);
}

fn fill(dir: &Path) {
    for day in 0..2 {
        append(&open(dir), 0..ENTRIES, NOON + day * DAY);
    }
}

fn all_sealed(dir: &Path, _: usize) {
    for _ in 0..2 {
        let journal = open(dir);
        (0..2).for_each(|day| is_whole(&journal, day));
        assert_sound(&journal);
        assert!(journal.incidents().is_empty(), "{:?}", journal.incidents());
        journal.seal().unwrap();
        assert_eq!(journal.heads().unwrap().len(), 2);
        let first = first_day(&journal);
        let names = fs::read_dir(dir.join("journal").join(first.to_string())).unwrap().count();
        assert_eq!(names, 1, "only the table is left");
    }
}

fn seal(dir: &Path) {
    sealed(dir, 2, ENTRIES);
}

fn drop_day(dir: &Path) {
    let journal = open(dir);
    assert!(journal.drop_day(first_day(&journal)).unwrap());
    acknowledge(1);
}

fn dropped(dir: &Path, acknowledged: usize) {
    let journal = open(dir);
    assert_sound(&journal);
    is_whole(&journal, 1);
    if journal.days().unwrap().len() == 2 {
        assert_eq!(acknowledged, 0);
        assert!(journal.drop_day(first_day(&journal)).unwrap());
    }
    assert_eq!(all(&journal).len() as u64, ENTRIES);
    assert_sound(&journal);
}

fn drop_signalling(dir: &Path) {
    let journal = open(dir);
    assert!(journal.drop_signalling(first_day(&journal)).unwrap());
    acknowledge(1);
}

fn thinned(dir: &Path, acknowledged: usize) {
    let journal = open(dir);
    assert_sound(&journal);
    let again = journal.drop_signalling(first_day(&journal)).unwrap();
    assert!(acknowledged == 0 || !again, "it was gone already");
    is_whole(&journal, 1);
    let left = of_day(&journal, 0);
    assert_eq!(left.len() as u64, ENTRIES);
    for (n, parts) in (0..).zip(left) {
        assert_eq!(parts, Parts { signalling: None, ..expected(0, n) });
    }
    assert_sound(&journal);
}

fn extract(dir: &Path) {
    let journal = open(dir);
    assert!(journal.extract_day(first_day(&journal), |id, _| id.number % 10 == 3).unwrap());
    acknowledge(1);
}

fn extracted(dir: &Path, _: usize) {
    let journal = open(dir);
    assert_sound(&journal);
    journal.extract_day(first_day(&journal), |id, _| id.number % 10 == 3).unwrap();
    is_whole(&journal, 1);
    let left = of_day(&journal, 0);
    assert_eq!(left, (3..ENTRIES).step_by(10).map(|n| expected(0, n)).collect::<Vec<_>>());
    assert_sound(&journal);
}

#[test]
fn a_turn_of_the_day_that_is_killed_loses_nothing_acknowledged() {
    play("turn of the day");
}

#[test]
fn a_sealing_that_is_killed_is_done_again() {
    play("sealing");
}

#[test]
fn an_expiry_that_is_killed_is_completed_and_takes_nothing_else() {
    play("a day's deletion");
    play("signalling's deletion");
    play("what is held of a day");
}
