//! What becomes of a journal's days: sealed, opened again, rid of what has expired, unreadable without their keys.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis::store::journal::{Day, Standing};
use portcullis::store::keys::Master;
use portcullis::store::{EntryId, Index, Journal, JournalOptions, Keys, MasterSource, Query, StoreError};

#[path = "store/days.rs"]
#[allow(dead_code, reason = "each of the programs that share this uses its own part")]
mod days;
#[path = "store/records.rs"]
mod records;

use days::{DAY, NOON, all, append, assert_sound, content, copy, files, open, options, sealed, signalling};
use records::{Records, Text};

fn size(dir: &Path) -> u64 {
    files(dir).iter().map(|file| file.metadata().unwrap().len()).sum()
}

fn by_number(n: u64) -> Query {
    Query { key: Some((Index::Destination, Records::new(0, 1).key(Index::Destination, n))), ..Query::default() }
}

#[test]
fn a_day_that_is_over_becomes_one_table_with_a_head() {
    let dir = tempfile::tempdir().unwrap();
    let ids = sealed(dir.path(), 2, 300);
    for id in [ids[0], ids[300]] {
        let names: Vec<_> = files(&dir.path().join("journal").join(id.day.to_string()));
        assert_eq!(names.len(), 1, "{names:?}");
        assert!(dir.path().join("heads").join(format!("{}.json", id.day)).exists());
    }
    let journal = open(dir.path());
    let found = all(&journal);
    assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
    for (n, (id, parts)) in (0..300).chain(0..300).zip(&found) {
        let at_ms = if id.day == ids[0].day { NOON } else { NOON + DAY };
        assert_eq!((&parts.content, parts.signalling.as_deref()), (&content(n, at_ms), Some(&signalling(n)[..])));
        assert_eq!(journal.get_parts(*id).unwrap().as_ref(), Some(parts));
    }
    assert_eq!(journal.find(by_number(7)).unwrap().count(), 2);
    let verified = assert_sound(&journal);
    assert_eq!((verified.heads, verified.days, verified.entries), (2, 2, 600));
}

#[test]
fn what_comes_late_opens_a_day_again_and_has_a_head_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    sealed(dir.path(), 2, 40);
    let journal = open(dir.path());
    let late = append(&journal, 40..45, NOON);
    assert_eq!(late[0].number, 40);
    assert_sound(&journal);
    drop(journal);
    let journal = open(dir.path());
    journal.seal().unwrap();
    let heads = journal.heads().unwrap();
    let revisions: Vec<_> = heads.iter().map(|known| (known.head.day.as_str(), known.head.revision)).collect();
    assert_eq!(revisions, [("20261117", 1), ("20261118", 1), ("20261117", 2)]);
    assert_eq!(heads[2].head.extent.as_ref().unwrap().entries, 45);
    assert_eq!(assert_sound(&journal).entries, 85);
    journal.seal().unwrap();
    assert_eq!(journal.heads().unwrap().len(), 3, "nothing new to be signed");
}

#[test]
fn signalling_expires_before_content_and_gives_its_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let ids = sealed(dir.path(), 1, 400);
    let path = dir.path().join("journal").join(ids[0].day.to_string());
    let before = size(&path);
    let journal = open(dir.path());
    let mut half_way = journal.find_parts(Query::default()).unwrap();
    half_way.next().unwrap().unwrap();
    assert!(journal.drop_signalling(ids[0].day).unwrap());
    // Who was reading reads on.
    assert_eq!(half_way.map(Result::unwrap).count(), 399);
    assert!(size(&path) < before);
    assert!(!dir.path().join("journal/keys/20261117-signalling.key").exists());
    let expired = |parts: &portcullis::store::Parts| parts.signalling.is_none();
    assert!(all(&journal).iter().all(|(_, parts)| expired(parts)));
    assert_eq!(journal.get(ids[9]).unwrap().unwrap(), content(9, NOON));
    assert_sound(&journal);
    assert!(!journal.drop_signalling(ids[0].day).unwrap(), "once is enough");
    let late = append(&journal, 400..401, NOON);
    assert_eq!(journal.get(late[0]).unwrap().unwrap(), content(400, NOON));
    assert_sound(&journal);
}

#[test]
fn what_is_held_stays_under_its_name_and_the_rest_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let ids = sealed(dir.path(), 1, 300);
    let (day, key) = (ids[0].day, dir.path().join("journal/keys/20261117-content.key"));
    let copied = dir.path().join("copied");
    copy(&dir.path().join("journal"), &copied);
    let journal = open(dir.path());
    assert!(!journal.extract_day(day, |_, _| true).unwrap(), "all is kept");
    assert!(journal.extract_day(day, |id, _| id.number % 100 == 7).unwrap());
    let kept: Vec<EntryId> = all(&journal).iter().map(|(id, _)| *id).collect();
    assert_eq!(kept, [ids[7], ids[107], ids[207]]);
    assert_eq!(journal.get_parts(ids[107]).unwrap().unwrap().signalling, Some(signalling(107)));
    assert_eq!(journal.get(ids[8]).unwrap(), None);
    assert!(!key.exists(), "what opened the others is gone");
    let heads = journal.heads().unwrap();
    assert_eq!(heads[1].head.standing, Standing::Held);
    assert_eq!(heads[1].head.before.as_ref(), Some(&heads[0].sha256));
    assert_eq!(assert_sound(&journal).entries, 3);
    assert!(journal.extract_day(day, |id, _| id.number == 7).unwrap());
    assert_eq!(all(&journal).len(), 1);
    assert_sound(&journal);
    assert!(journal.extract_day(day, |_, _| false).unwrap(), "nothing is held any more");
    assert_eq!(journal.heads().unwrap().last().unwrap().head.standing, Standing::Expired);
    assert_eq!(assert_sound(&journal).expired, 1);
    assert!(files(&dir.path().join("journal/keys")).iter().all(|key| !key.to_string_lossy().contains("2026")));
    drop(journal);
    // A copy of the disk from before opens with none of the keys that are left.
    let again = dir.path().join("journal");
    std::fs::remove_dir_all(again.join("20261117")).err();
    copy(&copied.join("20261117"), &again.join("20261117"));
    let journal = open(dir.path());
    assert_eq!(all(&journal).len(), 0);
    assert!(!again.join("20261117").exists(), "a day that was signed to have expired is deleted for good");
}

#[test]
fn a_day_whose_head_could_not_be_written_is_as_it_was_and_sealed_later() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let ids = append(&journal, 0..300, NOON);
    drop(journal);
    // Nothing can be written where the signature is to be.
    let obstacle = dir.path().join("heads/20261117.sig");
    std::fs::create_dir_all(obstacle.join("full")).unwrap();
    let journal = open(dir.path());
    for _ in 0..2 {
        let error = journal.seal().unwrap_err().to_string();
        assert!(error.contains("heads"), "{error}");
        assert_eq!(all(&journal).len(), 300);
        let left = files(&dir.path().join("journal"));
        assert!(left.iter().all(|file| !file.to_string_lossy().contains("20261117.")), "{left:?}");
    }
    let late = append(&journal, 300..301, NOON);
    std::fs::remove_dir_all(obstacle).unwrap();
    drop(journal);
    let journal = open(dir.path());
    journal.seal().unwrap();
    assert!(journal.drop_signalling(ids[0].day).unwrap());
    assert_eq!(journal.get(late[0]).unwrap().unwrap(), content(300, NOON));
    assert_eq!(assert_sound(&journal).entries, 301);
}

#[test]
fn a_drop_that_was_cut_while_a_key_was_deleted_is_finished_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let ids = sealed(dir.path(), 2, 50);
    let (cut, path) = (dir.path().join("cut"), dir.path().join("journal"));
    copy(&path, &cut);
    assert!(open(dir.path()).drop_day(ids[0].day).unwrap());
    // The heads say that the day has expired; of its keys the first has lost its octets, and no more.
    std::fs::remove_dir_all(&path).unwrap();
    copy(&cut, &path);
    let key = path.join("keys/20261117-content.key");
    std::fs::write(&key, vec![0; std::fs::read(&key).unwrap().len()]).unwrap();
    let journal = open(dir.path());
    assert_eq!(journal.days().unwrap(), [ids[50].day]);
    assert_eq!(all(&journal).len(), 50);
    assert_sound(&journal);
    assert!(files(&path.join("keys")).iter().all(|key| !key.to_string_lossy().contains("20261117")));
}

#[test]
fn a_signalling_key_that_opens_nothing_is_deleted_and_that_is_all() {
    let dir = tempfile::tempdir().unwrap();
    let ids = sealed(dir.path(), 1, 50);
    let keys = Keys::open(&dir.path().join("journal/keys"), &MasterSource::Beside).unwrap();
    keys.make("20261101-signalling").unwrap();
    let journal = open(dir.path());
    let day = "20261101".parse().unwrap();
    assert!(journal.drop_signalling(day).unwrap());
    assert!(!journal.drop_signalling(day).unwrap(), "once is enough");
    assert!(keys.get("20261101-signalling").unwrap().is_none() && keys.get("20261117-signalling").unwrap().is_some());
    assert_eq!((all(&journal).len(), journal.days().unwrap()), (50, vec![ids[0].day]));
    assert_sound(&journal);
}

#[test]
fn a_day_without_its_key_is_gone_and_not_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let ids = sealed(dir.path(), 2, 50);
    std::fs::remove_file(dir.path().join("journal/keys/20261117-content.key")).unwrap();
    let journal = open(dir.path());
    assert!(matches!(journal.get(ids[0]), Err(StoreError::Expired { .. })));
    let mut found = journal.find(Query::default()).unwrap();
    assert!(matches!(found.next(), Some(Err(StoreError::Expired { .. }))), "no head says that it has expired");
    assert!(journal.get(ids[99]).unwrap().is_some(), "the other day is read on");
    let (_, faults) = days::verify(&journal);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].place == "20261117" && faults[0].what.contains("its key was deleted"), "{faults:?}");
    assert_eq!((journal.incidents(), journal.days().unwrap().len()), (Vec::new(), 2));
}

#[test]
fn another_master_opens_a_journal_after_the_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let ids = sealed(dir.path(), 1, 50);
    let folder = dir.path().join("journal/keys");
    let to = Master::create(&dir.path().join("new")).unwrap();
    let keys = Keys::open(&folder, &MasterSource::Beside).unwrap();
    assert!(keys.rotate(to).unwrap() >= 3);
    let journal = open(dir.path());
    assert_eq!(journal.get(ids[3]).unwrap().unwrap(), content(3, NOON));
    let later = append(&journal, 0..60, NOON + DAY);
    assert_eq!(journal.get(later[59]).unwrap().unwrap(), content(59, NOON + DAY));
    assert_sound(&journal);
}

#[test]
fn no_file_shows_a_number_or_a_text() {
    let dir = tempfile::tempdir().unwrap();
    sealed(dir.path(), 1, 5_000);
    let journal = open(dir.path());
    append(&journal, 0..20, NOON + DAY);
    append(&journal, 20..300, NOON + DAY);
    let mut wanted: Vec<Vec<u8>> = Vec::new();
    for n in [0, 3, 19, 299] {
        let number = String::from_utf8(Records::new(0, 1).key(Index::Destination, n)).unwrap();
        wanted.push(number.clone().into_bytes());
        wanted.push(number.encode_utf16().flat_map(u16::to_be_bytes).collect());
        wanted.push(number.encode_utf16().flat_map(u16::to_le_bytes).collect());
        wanted.push(number.parse::<u64>().unwrap().to_be_bytes()[2..].to_vec());
        wanted.push(number.parse::<u64>().unwrap().to_le_bytes()[..6].to_vec());
        wanted.push(old_index_item(number.as_bytes(), u16::try_from(n).unwrap()));
        wanted.push(signalling(n));
    }
    for text in ["拒收请回复R", "【青禾鲜生】", "10.20.30.40", "sub_sm"] {
        wanted.push(text.as_bytes().to_vec());
        wanted.push(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
    }
    let files = files(dir.path());
    assert!(files.iter().any(|file| file.ends_with("20261117/table")) && files.iter().any(|file| file.ends_with("db")));
    for file in files {
        let octets = std::fs::read(&file).unwrap();
        for wanted in &wanted {
            let found = octets.windows(wanted.len()).any(|window| window == wanted);
            assert!(!found, "{} shows {wanted:?}", file.display());
        }
    }
}

/// An item of the index as it was before there were keys: all but the hash's first octet, and the place.
fn old_index_item(key: &[u8], place: u16) -> Vec<u8> {
    use std::hash::Hasher;
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write(key);
    [&hasher.finish().to_be_bytes()[1..4], &place.to_be_bytes()].concat()
}

/// A purge rests between what it reads, but not while an entry waits for the day, nor for the journal's end.
#[test]
fn what_is_rewritten_slowly_holds_up_neither_a_late_entry_nor_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let ids = sealed(dir.path(), 2, 200);
    let (first, second) = (ids[0].day, ids[200].day);
    let slow = || {
        let options = JournalOptions { rewritten_per_second: Some(1), ..options(dir.path()) };
        Journal::open(&dir.path().join("journal"), Arc::new(Text), options).unwrap()
    };
    let rests = |journal: &Journal, day: Day| {
        let building = dir.path().join("journal").join(format!("{day}.building/table"));
        for _ in 0..6_000 {
            if building.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(building.exists() && journal.days().unwrap().contains(&day));
    };
    let journal = slow();
    std::thread::scope(|scope| {
        let dropping = scope.spawn(|| journal.drop_signalling(first));
        rests(&journal, first);
        assert!(!dropping.is_finished());
        append(&journal, 300..301, NOON + DAY);
        assert!(dropping.join().unwrap().unwrap());
    });
    drop(journal);
    open(dir.path()).seal().unwrap();
    let journal = slow();
    std::thread::scope(|scope| {
        let dropping = scope.spawn(|| journal.drop_signalling(second));
        rests(&journal, second);
        assert!(!dropping.is_finished());
        journal.close();
        assert!(dropping.join().unwrap().unwrap());
    });
    drop(journal);
    let journal = open(dir.path());
    assert_sound(&journal);
    assert!(all(&journal).iter().all(|(_, parts)| parts.signalling.is_none()));
    assert_eq!(all(&journal).len(), 401);
}
