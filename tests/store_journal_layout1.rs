//! Days of layout 1, from before entries were sealed, are read as ever, and rewritten when they are written to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::path::Path;

use portcullis::store::engine::{Engines, Sled};
use portcullis::store::{Index, Query, Schema};
use siphasher::sip::SipHasher13;

#[path = "store/days.rs"]
#[allow(dead_code, reason = "each of the programs that share this uses its own part")]
mod days;
#[path = "store/records.rs"]
#[allow(dead_code, reason = "each of the programs that share this uses its own part")]
mod records;

use days::{NOON, all, append, assert_sound, content, files, open};
use records::{Records, Text};

const BLOCK: u8 = 80;

fn framed(out: &mut Vec<u8>, content: &[u8]) {
    let mut length = content.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7F).unwrap() | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend_from_slice(content);
}

fn numbered(tag: u8, number: u64) -> Vec<u8> {
    [&[tag], &number.to_be_bytes()[2..]].concat()
}

/// Writes a day as the journal did then: two sealed blocks and a few hot rows.
fn write_day(dir: &Path, entries: u64) {
    let engine = Sled.open(&dir.join("journal/20261117"), 1 << 20, true).unwrap();
    engine.put(b"V", &[1]).unwrap();
    let mut index: BTreeMap<Vec<u8>, Vec<[u8; 5]>> = BTreeMap::new();
    let in_blocks = entries / u64::from(BLOCK) * u64::from(BLOCK);
    for first in (0..in_blocks).step_by(BLOCK.into()) {
        let mut frames = Vec::new();
        for number in first..first + u64::from(BLOCK) {
            let content = content(number, NOON);
            framed(&mut frames, &content);
            Text.keys(&content, &mut |kind, key| {
                let mut hasher = SipHasher13::new();
                hasher.write(key);
                let [high, a, b, c, ..] = hasher.finish().to_be_bytes();
                let place = if kind == Index::Source { first } else { number };
                let [.., d, e] = place.to_be_bytes();
                let row = [&[kind as u8, high][..], &[0, 0, 0, 0, 0]].concat();
                index.entry(row).or_default().push([a, b, c, d, e]);
            });
        }
        let packed = zstd::bulk::compress(&frames, 1).unwrap();
        let mut value = vec![0, 1, BLOCK];
        value.extend(u32::try_from(frames.len()).unwrap().to_be_bytes());
        value.extend(NOON.to_be_bytes());
        value.extend(NOON.to_be_bytes());
        value.extend(packed);
        engine.put(&[numbered(b'B', first), vec![0]].concat(), &value).unwrap();
    }
    for (row, mut items) in index {
        items.sort_unstable();
        items.dedup();
        engine.put(&row, &items.concat()).unwrap();
    }
    engine.put(b"T\0\0\0\0", &[NOON.to_be_bytes(), NOON.to_be_bytes()].concat()).unwrap();
    for number in in_blocks..entries {
        let mut row = Vec::new();
        framed(&mut row, &content(number, NOON));
        engine.put(&numbered(b'H', number), &row).unwrap();
    }
    engine.sync().unwrap();
}

#[test]
fn a_day_of_layout_1_is_read_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    write_day(dir.path(), 170);
    let journal = open(dir.path());
    journal.seal().unwrap();
    let read = all(&journal);
    assert_eq!(read.len(), 170);
    for (n, (id, parts)) in (0..).zip(&read) {
        assert_eq!((id.number, &parts.content, parts.signalling.as_deref()), (n, &content(n, NOON), Some(&[][..])));
        assert_eq!(journal.get(*id).unwrap().as_ref(), Some(&parts.content));
    }
    for n in [0, 79, 80, 159, 160, 169] {
        for index in [Index::Destination, Index::Source, Index::MessageId] {
            let key = Records::new(0, 1).key(index, n);
            let found = journal.find(Query { key: Some((index, key)), ..Query::default() }).unwrap();
            assert!(found.map(Result::unwrap).any(|(id, _)| id.number == n), "{n} by {index:?}");
        }
    }
    let verified = assert_sound(&journal);
    assert_eq!((verified.unchained, verified.days), (vec!["20261117".to_owned()], 0));
    assert!(!journal.drop_signalling(read[0].0.day).unwrap());
    assert!(files(&dir.path().join("journal/20261117")).iter().any(|file| file.ends_with("db")));
}

#[test]
fn a_day_of_layout_1_is_rewritten_when_it_is_written_to() {
    let dir = tempfile::tempdir().unwrap();
    write_day(dir.path(), 170);
    let journal = open(dir.path());
    let late = append(&journal, 170..173, NOON);
    assert_eq!(late[0].number, 170);
    let read = all(&journal);
    assert_eq!(read.len(), 173);
    assert!((0..).zip(&read).all(|(n, (id, parts))| id.number == n && parts.content == content(n, NOON)));
    drop(journal);
    let journal = open(dir.path());
    journal.seal().unwrap();
    assert_eq!(assert_sound(&journal).entries, 173);
}

#[test]
fn what_is_held_of_layout_1_is_sealed() {
    let dir = tempfile::tempdir().unwrap();
    write_day(dir.path(), 170);
    let journal = open(dir.path());
    let day = journal.days().unwrap()[0];
    assert!(journal.extract_day(day, |id, _| id.number == 5 || id.number == 165).unwrap());
    let read: Vec<_> = all(&journal).into_iter().map(|(id, parts)| (id.number, parts.content)).collect();
    assert_eq!(read, [(5, content(5, NOON)), (165, content(165, NOON))]);
    assert_eq!(assert_sound(&journal).entries, 2);
}
