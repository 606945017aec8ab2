use std::fs;

use super::*;
use crate::store::consents::{Consents, ConsentsOptions, Event, Held, Status, Towards};
use crate::store::engine::Sled;
use crate::store::varint;

const MSISDN: u64 = 8_613_800_138_000;
const TOWARDS: Towards<'static> = Towards { sender: "qinghe", former: &[], provider: None };

/// As the first layout wrote it, octet by octet: a consent of 2020-01-01T00:00:01Z for three days, proved by a
/// text, and a refusal of the second after.
fn first_layout(dir: &Path) {
    let engine = Sled.open(&dir.join("db"), 8 << 20, true).unwrap();
    let mut bucket = vec![1];
    // Whole seconds, small names, an end in days; then the number, sender, category and method, moment, evidence, end.
    bucket.push(0b0010_1100);
    varint::push(&mut bucket, MSISDN);
    bucket.extend([0, 0x00, 1, 0, 0, 0, 0, 3]);
    // The same number, a refusal.
    bucket.extend([0b0010_0111, 0, 0x11, 2, 0, 0, 0, 1]);
    engine.put(&[b'C', 0, 0, 0, 0, 0], &bucket).unwrap();
    engine.put(&[b'E', 0, 0, 0, 0, 0, 0, 0, 0], b"\0\x07form 17\x01R").unwrap();
    for (kind, number, name) in
        [(b's', 0, "qinghe"), (b'c', 0, "food"), (b'c', 1, ""), (b'm', 0, "web"), (b'm', 1, "MO")]
    {
        engine.put(&[b'N', kind, 0, 0, 0, number], name.as_bytes()).unwrap();
    }
    engine.put(COUNT_KEY, &[1_u64.to_be_bytes(), 2_u64.to_be_bytes()].concat()).unwrap();
    engine.put(VERSION_KEY, &[&[1][..], &[7; 16]].concat()).unwrap();
    engine.sync().unwrap();
}

fn open(dir: &Path) -> Consents {
    Consents::open(dir, &ConsentsOptions { cache_bytes: 8 << 20, ..ConsentsOptions::default() }).unwrap()
}

fn texts(held: &Held) -> (&str, &str, &str) {
    (&held.category, &held.method, &held.evidence)
}

fn check_first_layout(consents: &Consents) {
    let history = consents.history(MSISDN).unwrap();
    assert_eq!(history.iter().map(texts).collect::<Vec<_>>(), [("food", "web", "form 17"), ("", "MO", "R")]);
    assert_eq!((history[0].at_ms, history[0].expires_at_ms), (1_577_836_801_000, Some(1_578_096_001_000)));
    assert!(history.iter().all(|held| held.recorded_at_ms.is_none() && held.sha256.is_none()));
    assert_eq!(consents.standing(TOWARDS, MSISDN, i64::MAX).unwrap().refused_at_ms, Some(1_577_836_802_000));
}

#[test]
fn the_first_layout_is_brought_up_and_written_on() {
    let dir = tempfile::tempdir().unwrap();
    first_layout(dir.path());
    let consents = open(dir.path());
    check_first_layout(&consents);
    let anew = Event {
        msisdn: MSISDN,
        sender: "qinghe",
        category: "food",
        status: Status::Consent,
        at_ms: 1_577_836_803_500,
        evidence: "form 18",
        frequency: "4/month",
        ..Event::default()
    };
    assert_eq!(consents.apply(&[anew]).unwrap().changed, 1);
    drop(consents);
    let history = open(dir.path()).history(MSISDN).unwrap();
    assert_eq!(history.iter().map(|held| held.evidence.as_str()).collect::<Vec<_>>(), ["form 17", "R", "form 18"]);
    assert!(history[2].recorded_at_ms.is_some() && history[2].frequency == "4/month");
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "database, keys and lock alone: {left:?}");
}

/// The exchange cut short after each of its steps ends the same way.
#[test]
fn a_migration_that_was_cut_short_is_finished_or_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    for step in 0..4 {
        let dir = folder.path().join(step.to_string());
        fs::create_dir(&dir).unwrap();
        first_layout(&dir);
        let path = dir.join("db");
        let (fresh, replaced) = exchange::beside(&path);
        if step == 0 {
            // Half a copy, which has a version and nothing else.
            let keys = Keys::open(&dir.join("keys"), &crate::store::MasterSource::Beside).unwrap();
            Ledger::open(Sled.open(&fresh, 8 << 20, true).unwrap(), fresh.clone(), &keys).unwrap();
        } else {
            fs::rename(&path, &replaced).unwrap();
            first_layout(&dir);
            drop(open(&dir));
        }
        if step == 1 {
            // The old one is out of the way, the copy has not taken its place.
            fs::rename(&path, &fresh).unwrap();
            fs::create_dir(&replaced).unwrap();
        }
        if step == 2 {
            // The copy is in place, the old one not removed.
            fs::create_dir_all(replaced.join("blobs")).unwrap();
        }
        check_first_layout(&open(&dir));
        assert!(!fresh.exists() && !replaced.exists(), "step {step}");
    }
}

#[test]
fn what_is_damaged_is_not_brought_up_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    first_layout(dir.path());
    let engine = Sled.open(&dir.path().join("db"), 8 << 20, false).unwrap();
    engine.put(&[b'C', 0, 0, 0, 0, 0], &[1, 0b0010_1100, 9]).unwrap();
    drop(engine);
    let refused = Consents::open(dir.path(), &ConsentsOptions::default()).unwrap_err();
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    let engine = Sled.open(&dir.path().join("db"), 8 << 20, false).unwrap();
    assert_eq!(engine.get(VERSION_KEY).unwrap().unwrap()[0], 1);
}
