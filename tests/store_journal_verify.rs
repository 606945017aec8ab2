//! Whatever is changed in a journal is told: any octet, any block, any day, any head.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis::store::engine::{Engines, Sled, TableWriter, open_table};
use portcullis::store::journal::{Check, Fault, Parts};
use portcullis::store::{EntryId, Index, Journal, Query};

#[path = "store/days.rs"]
#[allow(dead_code, reason = "each of the programs that share this uses its own part")]
mod days;
#[path = "store/records.rs"]
mod records;

use days::{DAY, NOON, all, append, assert_sound, copy, files, open, options, sealed, verify};
use records::{Records, Text};

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// What is told of a journal: faults, or why it does not open.
fn told(dir: &Path) -> (Vec<String>, Vec<(EntryId, Parts)>) {
    let opened = Journal::open(&dir.join("journal"), std::sync::Arc::new(Text), options(dir));
    let journal = match opened {
        Ok(journal) => journal,
        Err(e) => return (vec![e.to_string()], Vec::new()),
    };
    let mut faults = Vec::new();
    let verified = journal.verify(&Check::default(), &mut |fault| {
        faults.push(format!("{} {:?} {}", fault.place, fault.entry, fault.what));
        true
    });
    faults.extend(verified.err().map(|e| e.to_string()));
    let read: Result<Vec<_>, _> = journal.find_parts(portcullis::store::Query::default()).and_then(Iterator::collect);
    (faults, read.unwrap_or_default())
}

fn assert_told_or_unchanged(dir: &Path, expected: &[(EntryId, Parts)], what: &str) -> bool {
    let (faults, read) = told(dir);
    assert!(!faults.is_empty() || read == expected, "{what}: nothing is told, and {} entries are read", read.len());
    !faults.is_empty()
}

#[test]
fn every_octet_of_a_sealed_journal_counts() {
    every_octet_counts(|_| {});
}

#[test]
fn every_octet_of_held_signalling_counts() {
    every_octet_counts(|dir| {
        assert!(open(dir).thin_signalling("20261117".parse().unwrap(), |id, _| id.number % 3 == 1).unwrap());
    });
}

fn every_octet_counts(prepare: impl Fn(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    sealed(&whole, 1, 6);
    prepare(&whole);
    let expected = all(&open(&whole));
    assert_eq!(expected.len(), 6);
    let silent: Vec<String> = std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let (copied, expected) = (dir.path().join(half.to_string()), &expected);
                copy(&whole, &copied);
                scope.spawn(move || silent_octets(&copied, half, expected))
            })
            .collect();
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    // Of the table, the heads and their signatures, nothing at all goes unnoticed.
    let public: Vec<_> = silent.iter().filter(|name| !name.ends_with("key") && !name.ends_with("master")).collect();
    assert_eq!(public, Vec::<&String>::new());
}

/// Between midnight and its head, and also over a restart in which only the next day is written.
#[test]
fn the_end_of_a_day_that_has_no_head_yet_is_signed_for_though_the_next_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (day, older) = (dir.path().join("journal/20261117"), dir.path().join("older"));
    append(&open(dir.path()), 0..200, NOON);
    copy(&day, &older);
    let journal = open(dir.path());
    append(&journal, 200..400, NOON);
    append(&journal, 0..5, NOON + DAY);
    drop(journal);
    append(&open(dir.path()), 5..9, NOON + DAY);
    let sound = dir.path().join("sound");
    for part in ["journal", "heads"] {
        copy(&dir.path().join(part), &sound.join(part));
    }
    std::fs::remove_dir_all(&day).unwrap();
    copy(&older, &day);
    let journal = open(dir.path());
    let incidents = journal.incidents();
    assert!(
        incidents.len() == 1 && incidents[0].why.contains("20261117 has not all of the 400 entries"),
        "{incidents:?}"
    );
    let (_, faults) = verify(&journal);
    assert!(faults.iter().any(|fault| fault.place == "20261117" && fault.what.contains("tip")), "{faults:?}");
    // Once its head says as much, the tip speaks of it no more.
    let tip = |dir: &Path| std::fs::read_to_string(dir.join("heads/tip")).unwrap();
    assert!(tip(&sound).contains("\"former\":[{\"day\":\"20261117\",\"entries\":400"), "{}", tip(&sound));
    open(&sound).seal().unwrap();
    assert_sound(&open(&sound));
    assert!(!tip(&sound).contains("former"), "{}", tip(&sound));
}

/// What is ready is taken up at the start: whoever puts it there while the gate stands has it signed by nobody.
#[test]
fn a_folder_that_was_made_ready_by_another_takes_no_days_place() {
    let dir = tempfile::tempdir().unwrap();
    let (early, whole, trial) = (dir.path().join("early"), dir.path().join("whole"), dir.path().join("trial"));
    sealed(&early, 1, 6);
    copy(&early, &whole);
    append(&open(&whole), 6..9, NOON);
    let unsealed = dir.path().join("unsealed");
    copy(&whole, &unsealed);
    open(&whole).seal().unwrap();
    let expected = all(&open(&whole));
    assert_eq!(expected.len(), 9);
    for forged in [&early, &unsealed] {
        let _ = std::fs::remove_dir_all(&trial);
        copy(&whole, &trial);
        copy(&forged.join("journal/20261117"), &trial.join("journal/20261117.ready"));
        for _ in 0..2 {
            let journal = open(&trial);
            assert_eq!(all(&journal), expected);
            assert_sound(&journal);
            journal.seal().unwrap();
        }
        assert!(!trial.join("journal/20261117.ready").exists());
    }
}

#[test]
fn a_key_of_held_signalling_that_is_gone_is_told_and_the_contents_stay_readable() {
    let dir = tempfile::tempdir().unwrap();
    let id = sealed(dir.path(), 1, 6)[1];
    let before = all(&open(dir.path()));
    assert!(open(dir.path()).thin_signalling(id.day, |held, _| held == id).unwrap());
    assert_sound(&open(dir.path()));
    std::fs::remove_file(dir.path().join("journal/keys/20261117-signalling-held-1.key")).unwrap();
    let journal = open(dir.path());
    let expected: Vec<_> = before.into_iter().map(|(id, parts)| (id, Parts { signalling: None, ..parts })).collect();
    assert_eq!(all(&journal), expected);
    let (_, faults) = verify(&journal);
    assert!(
        faults.iter().any(|fault| fault.what.contains("the key of the signalling that is held is gone")),
        "{faults:?}"
    );
}

/// Changes every other octet of every file, one at a time; gives the files of those of which nothing is told.
fn silent_octets(dir: &Path, half: usize, expected: &[(EntryId, Parts)]) -> Vec<String> {
    let mut silent = Vec::new();
    for file in files(dir) {
        let whole = std::fs::read(&file).unwrap();
        for at in (half..whole.len()).step_by(2) {
            let mut octets = whole.clone();
            octets[at] ^= 0x04;
            std::fs::write(&file, &octets).unwrap();
            if !assert_told_or_unchanged(dir, expected, &format!("{} octet {at}", file.display())) {
                silent.push(file.to_string_lossy().into_owned());
            }
            std::fs::write(&file, &whole).unwrap();
        }
    }
    assert_sound(&open(dir));
    silent
}

/// The files of a journal as a crash leaves them.
fn crashed(journal: &Path, image: &Path) {
    copy(journal, image);
}

#[test]
fn octets_of_the_day_being_written_count_too() {
    let dir = tempfile::tempdir().unwrap();
    let (living, image, trial) = (dir.path().join("living"), dir.path().join("image"), dir.path().join("trial"));
    let journal = open(&living);
    append(&journal, 0..120, NOON);
    for _ in 0..500 {
        if living.join("heads/tip").exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    crashed(&living, &image);
    drop(journal);
    crashed(&image, &trial);
    let expected = all(&open(&trial));
    assert_eq!(expected.len(), 120);
    let tip = std::fs::read_to_string(image.join("heads/tip")).unwrap();
    let tip: serde_json::Value = serde_json::from_str(tip.lines().next().unwrap()).unwrap();
    let signed = usize::try_from(tip["entries"].as_u64().unwrap()).unwrap();
    for file in files(&image).into_iter().filter(|file| file.to_string_lossy().contains("20261117/")) {
        let whole = std::fs::read(&file).unwrap();
        let written: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
        for at in written.iter().step_by(written.len() / 40 + 1) {
            std::fs::remove_dir_all(&trial).unwrap();
            crashed(&image, &trial);
            let mut octets = whole.clone();
            octets[*at] ^= 0x04;
            let name = file.strip_prefix(&image).unwrap();
            std::fs::write(trial.join(name), &octets).unwrap();
            // What came after the tip may be missing as after a power cut; nothing else may.
            let (faults, read) = told(&trial);
            let whole = read.len() >= signed && expected.starts_with(&read);
            assert!(!faults.is_empty() || whole, "{} octet {at}: {} entries are read", name.display(), read.len());
        }
    }
}

fn table(dir: &Path, day: &str) -> PathBuf {
    dir.join("journal").join(day).join("table")
}

fn rows(path: &Path) -> Rows {
    let mut rows = Rows::new();
    open_table(path)
        .unwrap()
        .scan(&[], &[0xFF], &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            true
        })
        .unwrap();
    rows
}

/// Writes a table anew, with sums that fit, as one would who knows its form.
fn rewrite(path: &Path, change: impl FnOnce(&mut Rows)) {
    let mut rows = rows(path);
    change(&mut rows);
    rows.sort();
    let mut table = TableWriter::create(path).unwrap();
    rows.iter().for_each(|(key, value)| table.push(key, value).unwrap());
    table.finish().unwrap();
}

fn blocks(rows: &Rows) -> Vec<usize> {
    (0..rows.len()).filter(|at| rows[*at].0[0] == b'B').collect()
}

fn faults(dir: &Path) -> Vec<Fault> {
    verify(&open(dir)).1
}

#[test]
fn blocks_that_are_missing_changed_or_elsewhere_are_named() {
    let dir = tempfile::tempdir().unwrap();
    sealed(dir.path(), 1, 480);
    let path = table(dir.path(), "20261117");
    let whole = std::fs::read(&path).unwrap();
    let made = rows(&path);
    let blocks = blocks(&made);
    assert!(blocks.len() >= 5, "{}", blocks.len());
    let first = |at: usize| {
        let number = u64::from_be_bytes([&[0, 0], &made[blocks[at]].0[1..7]].concat().try_into().unwrap());
        format!("20261117-{number:09}")
    };
    let named = |change: &dyn Fn(&mut Rows), expected: &[(usize, &str)]| {
        rewrite(&path, change);
        let faults = faults(dir.path());
        for (at, what) in expected {
            let entry = Some(first(*at));
            assert!(
                faults.iter().any(|fault| fault.entry == entry && fault.what.contains(what)),
                "{entry:?} {what}: {faults:?}"
            );
        }
        std::fs::write(&path, &whole).unwrap();
    };
    named(&|rows| drop(rows.remove(blocks[1])), &[(2, "1 blocks before this one are missing")]);
    let swap = |rows: &mut Rows| {
        let value = rows[blocks[1]].1.clone();
        rows[blocks[1]].1 = std::mem::replace(&mut rows[blocks[3]].1, value);
    };
    named(&swap, &[(1, "blocks before this one are missing"), (3, "not in its place")]);
    let flip = |rows: &mut Rows| *rows[blocks[2]].1.last_mut().unwrap() ^= 1;
    named(&flip, &[(2, "was changed")]);
    let signalling = made.iter().position(|(key, _)| key[0] == b'G' && key[1..7] == made[blocks[2]].0[1..7]).unwrap();
    named(&|rows| rows[signalling].1[40] ^= 1, &[(2, "signalling was changed")]);
    named(&|rows| drop(rows.remove(signalling)), &[(2, "row G 0 is missing")]);
    rewrite(&path, |rows| drop(rows.remove(*blocks.last().unwrap())));
    let cut = faults(dir.path());
    assert!(cut.iter().any(|fault| fault.what.contains("1 blocks at the end are missing")), "{cut:?}");
    for tag in [b'D', b'S', b'T', b'M'] {
        std::fs::write(&path, &whole).unwrap();
        rewrite(&path, |rows| {
            let at = rows.iter().position(|(key, _)| key[0] == tag).unwrap();
            rows.remove(at);
        });
        assert!(!faults(dir.path()).is_empty(), "an index row of {} is missing", char::from(tag));
    }
    std::fs::write(&path, &whole).unwrap();
    assert_sound(&open(dir.path()));
}

#[test]
fn days_and_heads_that_are_missing_or_older_are_named() {
    let dir = tempfile::tempdir().unwrap();
    sealed(dir.path(), 3, 60);
    let older = dir.path().join("older");
    copy(&dir.path().join("journal/20261118"), &older);
    let journal = open(dir.path());
    append(&journal, 60..70, NOON + DAY);
    drop(journal);
    let journal = open(dir.path());
    journal.seal().unwrap();
    let kept = journal.heads().unwrap();
    assert_eq!(kept.len(), 4);
    assert_sound(&journal);
    drop(journal);
    let whole = dir.path().join("whole");
    for part in ["journal", "heads"] {
        copy(&dir.path().join(part), &whole.join(part));
    }
    let trial = dir.path().join("trial");
    let after = |change: &dyn Fn(&Path)| {
        let _ = std::fs::remove_dir_all(&trial);
        copy(&whole, &trial);
        change(&trial);
        faults(&trial).iter().map(|fault| format!("{} {}", fault.place, fault.what)).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(after(&|_| {}), "");
    let older_day = after(&|dir| {
        std::fs::remove_dir_all(dir.join("journal/20261118")).unwrap();
        copy(&older, &dir.join("journal/20261118"));
    });
    assert!(older_day.contains("blocks at the end are missing: head 4 has 70 entries"), "{older_day}");
    let no_day = after(&|dir| std::fs::remove_dir_all(dir.join("journal/20261117")).unwrap());
    assert_eq!(no_day, "20261117 the day is missing, and was not signed to have expired");
    let no_head = after(&|dir| std::fs::remove_file(dir.join("heads/20261118.json")).unwrap());
    assert!(no_head.contains("1 heads before the one with serial 3 are missing"), "{no_head}");
    let no_last = after(&|dir| std::fs::remove_file(dir.join("heads/20261118.2.json")).unwrap());
    assert!(no_last.contains("20261118"), "{no_last}");
    let no_tip = after(&|dir| std::fs::remove_file(dir.join("heads/tip")).unwrap());
    assert!(no_tip.contains("heads/tip is missing"), "{no_tip}");
    // All of the last state gone, signed and all: only heads that are kept elsewhere tell.
    let _ = std::fs::remove_dir_all(&trial);
    copy(&whole, &trial);
    std::fs::remove_file(trial.join("heads/20261118.2.json")).unwrap();
    let mut found = Vec::new();
    let check = Check { against: kept, heads_only: true, ..Check::default() };
    open(&trial)
        .verify(&check, &mut |fault| {
            found.push(fault.what);
            true
        })
        .unwrap();
    assert!(found.iter().any(|what| what == "head 4, kept elsewhere, is missing"), "{found:?}");
}

#[test]
fn an_end_that_was_cut_off_is_told_however_much_is_written_after() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    append(&journal, 0..200, NOON);
    drop(journal);
    let (day, older) = (dir.path().join("journal/20261117"), dir.path().join("older"));
    copy(&day, &older);
    let journal = open(dir.path());
    append(&journal, 200..400, NOON);
    drop(journal);
    assert_eq!(open(dir.path()).incidents(), []);
    std::fs::remove_dir_all(&day).unwrap();
    copy(&older, &day);
    drop(open(dir.path()));
    assert!(!dir.path().join("heads/tip.1").exists(), "who only looks changes nothing");
    let journal = open(dir.path());
    assert_eq!(journal.incidents().len(), 1);
    append(&journal, 200..500, NOON);
    append(&journal, 0..5, NOON + DAY);
    drop(journal);
    let journal = open(dir.path());
    journal.seal().unwrap();
    assert_eq!((all(&journal).len(), journal.incidents()), (505, Vec::new()));
    let faults = verify(&journal).1;
    assert!(faults.len() == 1 && faults[0].place == "heads/tip.1", "{faults:?}");
    assert!(faults[0].what.contains("20261117 has not all of the 400 entries that were signed"), "{faults:?}");
}

#[test]
fn a_tip_that_is_gone_or_changed_is_told_however_much_is_written_after() {
    for change in [|tip: &Path| std::fs::remove_file(tip).unwrap(), |tip: &Path| std::fs::write(tip, "{}\n").unwrap()] {
        let dir = tempfile::tempdir().unwrap();
        sealed(dir.path(), 1, 60);
        change(&dir.path().join("heads/tip"));
        drop(open(dir.path()));
        let journal = open(dir.path());
        append(&journal, 0..5, NOON + DAY);
        drop(journal);
        let faults = faults(dir.path());
        assert!(faults.len() == 1 && faults[0].place == "heads/tip.1", "{faults:?}");
    }
}

/// Takes the last block out of a day's table.
fn forge(dir: &Path, day: &str) {
    rewrite(&table(dir, day), |rows| {
        let last = *blocks(rows).last().unwrap();
        rows.remove(last);
    });
}

#[test]
fn a_table_without_its_head_is_not_signed_again() {
    let dir = tempfile::tempdir().unwrap();
    sealed(dir.path(), 2, 480);
    forge(dir.path(), "20261118");
    std::fs::remove_file(dir.path().join("heads/20261118.json")).unwrap();
    let journal = open(dir.path());
    assert_eq!(journal.incidents().len(), 1, "the tip names the head");
    assert!(journal.seal().unwrap_err().to_string().contains("it has no head"));
    assert!(journal.drop_signalling(journal.days().unwrap()[1]).is_err());
    append(&journal, 0..5, NOON + 2 * DAY);
    drop(journal);
    let journal = open(dir.path());
    journal.seal().unwrap_err();
    let serials: Vec<_> = journal.heads().unwrap().iter().map(|known| known.head.serial).collect();
    assert_eq!(serials, [1, 3], "the serial of the one deleted is not given again");
    let faults = verify(&journal).1;
    for expected in ["1 heads before the one with serial 3 are missing", "the day has no head", "head 2 is missing"] {
        assert!(faults.iter().any(|fault| fault.what.contains(expected)), "{expected}: {faults:?}");
    }
}

#[test]
fn a_head_that_was_changed_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    sealed(dir.path(), 1, 60);
    let head = dir.path().join("heads/20261117.json");
    let changed = std::fs::read_to_string(&head).unwrap().replace("\"entries\": 60", "\"entries\": 59");
    std::fs::write(&head, &changed).unwrap();
    let journal = open(dir.path());
    assert!(journal.drop_day(journal.days().unwrap()[0]).unwrap());
    assert_eq!(std::fs::read_to_string(&head).unwrap(), changed);
    let heads = journal.heads().unwrap();
    assert_eq!((heads.len(), heads[0].head.serial, heads[0].head.revision), (1, 2, 2));
}

#[test]
fn a_table_that_is_not_what_its_head_says_is_neither_rewritten_nor_signed() {
    let dir = tempfile::tempdir().unwrap();
    sealed(dir.path(), 2, 480);
    forge(dir.path(), "20261117");
    let journal = open(dir.path());
    let day = journal.days().unwrap()[0];
    assert!(journal.drop_signalling(day).unwrap_err().to_string().contains("not what head 1 was signed for"));
    assert!(journal.extract_day(day, |id, _| id.number == 3).is_err());
    assert_eq!(journal.heads().unwrap().len(), 2);
    assert!(verify(&journal).1.iter().any(|fault| fault.what.contains("blocks at the end are missing")));
    append(&journal, 480..481, NOON);
    assert_eq!(journal.incidents().len(), 1, "set aside for what comes late");
}

#[test]
fn index_rows_that_are_taken_out_before_a_day_is_signed_are_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    sealed(dir.path(), 1, 300);
    let whole = rows(&table(dir.path(), "20261117")).into_iter().find(|(key, _)| key[0] == b'T').unwrap();
    let journal = open(dir.path());
    // What comes late makes a database of the day again.
    append(&journal, 300..301, NOON);
    drop(journal);
    {
        let engine = Sled.open(&dir.path().join("journal/20261117"), 1 << 20, false).unwrap();
        let mut keys = Vec::new();
        let mut see = |key: &[u8], _: &[u8]| {
            keys.push(key.to_vec());
            true
        };
        engine.scan(b"D", b"E", &mut see).unwrap();
        assert!(keys.len() > 20, "{}", keys.len());
        keys.iter().for_each(|key| engine.remove(key).unwrap());
        // Somebody who knows the form puts the row that says that the index is whole, too.
        engine.put(&whole.0, &whole.1).unwrap();
        engine.sync().unwrap();
    }
    let journal = open(dir.path());
    journal.seal().unwrap();
    for n in [0, 150, 299, 300] {
        let key = Some((Index::Destination, Records::new(0, 1).key(Index::Destination, n)));
        let found = journal.find(Query { key, ..Query::default() }).unwrap();
        assert!(found.map(Result::unwrap).any(|(id, _)| id.number == n), "{n} is not found");
    }
    assert_sound(&journal);
}

#[test]
fn openssl_checks_a_head() {
    let dir = tempfile::tempdir().unwrap();
    sealed(dir.path(), 1, 5);
    let heads = dir.path().join("heads");
    let check = || {
        Command::new("openssl")
            .args(["pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "20261117.json"])
            .args(["-sigfile", "20261117.sig"])
            .current_dir(&heads)
            .output()
    };
    let Ok(output) = check() else { return eprintln!("SKIPPED: there is no openssl to check a head with") };
    assert!(output.status.success(), "{output:?}");
    let head = heads.join("20261117.json");
    let text = std::fs::read_to_string(&head).unwrap();
    std::fs::write(&head, text.replace("\"entries\": 5", "\"entries\": 4")).unwrap();
    assert!(!check().unwrap().status.success());
}
