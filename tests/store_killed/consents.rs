//! Consents that are killed while an old layout is brought up, while what has expired goes, and in an import.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::path::Path;

use portcullis::store::consents::{ConsentsOptions, Held, Status, Walk};
use portcullis::store::engine::{Engines, Sled};
use portcullis::store::{Consents, Event};
use siphasher::sip::SipHasher13;

use crate::{Scene, acknowledge, play};

pub(crate) const SCENES: [Scene; 4] = [
    Scene {
        name: "bringing up layout 1",
        changes: 120,
        prepare: |dir| old_layout(dir, 1),
        act: bring_up,
        check: brought_up,
    },
    Scene {
        name: "bringing up layout 2",
        changes: 120,
        prepare: |dir| old_layout(dir, 2),
        act: bring_up,
        check: brought_up,
    },
    Scene { name: "the walk", changes: 60, prepare: fill, act: |dir| walk(&open(dir)), check: walked },
    Scene { name: "an import", changes: 60, prepare: |_| (), act: import, check: imported },
];

/// Whose consents there are.
const FIRST: u64 = 8_613_800_100_000;
const MANY: u64 = 4_000;

/// Events of an import between two commits.
const TOGETHER: u64 = 500;

/// 2020-01-01T00:00:00Z, from which on the old layouts count seconds.
const EPOCH_MS: i64 = 1_577_836_800_000;

/// Buckets of the old layouts: each number lies in that of its hash's low bits.
const BUCKETS: u64 = 16;

fn open(dir: &Path) -> Consents {
    let options = ConsentsOptions { cache_bytes: 8 << 20, ..ConsentsOptions::default() };
    Consents::open(&dir.join("consents"), &options).unwrap()
}

fn held(consents: &Consents) -> BTreeMap<u64, Held> {
    let all: Vec<Held> = consents.export(true).map(Result::unwrap).collect();
    let by_number: BTreeMap<u64, Held> = all.iter().map(|held| (held.msisdn, held.clone())).collect();
    assert_eq!(by_number.len(), all.len(), "nobody twice");
    by_number
}

fn push(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// As those layouts wrote it: consents of three days, and a refusal of every fifth number instead.
fn old_layout(dir: &Path, version: u8) {
    let engine = Sled.open(&dir.join("consents/db"), 8 << 20, true).unwrap();
    let mut buckets: Vec<(u64, Vec<u8>)> = vec![(0, vec![1]); usize::try_from(BUCKETS).unwrap()];
    for number in FIRST..FIRST + MANY {
        let mut hasher = SipHasher13::new_with_key(&[7; 16]);
        hasher.write_u64(number);
        let (before, bucket) = &mut buckets[usize::try_from(hasher.finish() % BUCKETS).unwrap()];
        let refuses = number.is_multiple_of(5);
        bucket.push(if refuses { 0b0010_0101 } else { 0b0010_1100 });
        push(bucket, number - *before);
        bucket.extend([0, 0x00]);
        bucket.extend(u32::try_from(number - FIRST).unwrap().to_le_bytes());
        bucket.push(0);
        bucket.extend((!refuses).then_some(3));
        *before = number;
    }
    for (number, (_, bucket)) in (0..).zip(buckets) {
        engine.put(&[b'C', 0, 0, 0, number, 0], &bucket).unwrap();
    }
    engine.put(&[b'E', 0, 0, 0, 0, 0, 0, 0, 0], b"\0\x07form 17").unwrap();
    for (kind, name) in [(b's', "shop"), (b'c', "food"), (b'm', "web")] {
        engine.put(&[b'N', kind, 0, 0, 0, 0], name.as_bytes()).unwrap();
    }
    engine.put(b"#", &[BUCKETS.to_be_bytes(), MANY.to_be_bytes()].concat()).unwrap();
    engine.put(b"V", &[&[version][..], &[7; 16]].concat()).unwrap();
    engine.sync().unwrap();
}

fn bring_up(dir: &Path) {
    drop(open(dir));
    acknowledge(1);
}

fn brought_up(dir: &Path, _: usize) {
    for _ in 0..2 {
        let held = held(&open(dir));
        assert!(held.keys().copied().eq(FIRST..FIRST + MANY), "{} are there", held.len());
        for (number, held) in held {
            let at_ms = EPOCH_MS + i64::try_from(number - FIRST).unwrap() * 1000;
            let status = if number.is_multiple_of(5) { Status::Refusal } else { Status::Consent };
            assert_eq!((held.at_ms, held.status, &*held.evidence), (at_ms, status, "form 17"), "{number}");
        }
    }
    let left: Vec<_> = std::fs::read_dir(dir.join("consents")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left.len(), 3, "database, keys and lock alone: {left:?}");
}

fn event(number: u64, proof: &str) -> Event<'_> {
    Event {
        msisdn: number,
        sender: "shop",
        category: "food",
        status: if number.is_multiple_of(5) { Status::Refusal } else { Status::Consent },
        at_ms: EPOCH_MS + i64::try_from(number).unwrap() % 1_000_000,
        method: "web",
        evidence: proof,
        ..Event::default()
    }
}

fn proof(number: u64) -> String {
    format!("form {number}")
}

/// Takes in those from `FIRST` on, and says after each commit how many there are.
fn import(dir: &Path) {
    let consents = open(dir);
    let mut import = consents.import();
    for (done, number) in (1..).zip(FIRST..FIRST + MANY) {
        import.push(&event(number, &proof(number))).unwrap();
        if done % usize::try_from(TOGETHER).unwrap() == 0 {
            import.commit().unwrap();
            acknowledge(done);
        }
    }
    import.finish().unwrap();
}

fn is_right(held: &BTreeMap<u64, Held>) {
    for (number, held) in held {
        let proof = proof(*number);
        let event = event(*number, &proof);
        assert_eq!((held.status, held.at_ms, &held.evidence), (event.status, event.at_ms, &proof), "{number}");
    }
}

fn imported(dir: &Path, acknowledged: usize) {
    let there = held(&open(dir));
    is_right(&there);
    let acknowledged = FIRST..FIRST + acknowledged as u64;
    let lost: Vec<u64> = acknowledged.filter(|number| !there.contains_key(number)).collect();
    assert!(lost.is_empty(), "{lost:?} are lost");
    import(dir);
    let there = held(&open(dir));
    is_right(&there);
    assert!(there.keys().copied().eq(FIRST..FIRST + MANY));
}

fn fill(dir: &Path) {
    import(dir);
}

/// Lets go whoever has an even number.
fn walk(consents: &Consents) {
    let mut walk = Walk::default();
    let mut decide = |held: &[Held]| held.iter().map(|held| held.msisdn.is_multiple_of(2)).collect();
    while !consents.expire(&mut walk, &mut decide).unwrap().is_done {}
    acknowledge(1);
}

fn walked(dir: &Path, acknowledged: usize) {
    let odd = || (FIRST..FIRST + MANY).filter(|number| !number.is_multiple_of(2));
    let consents = open(dir);
    let there = held(&consents);
    is_right(&there);
    assert!(odd().all(|number| there.contains_key(&number)), "only what expired goes");
    assert!(acknowledged == 0 || there.len() == odd().count(), "what went does not come back");
    walk(&consents);
    drop(consents);
    let there = held(&open(dir));
    is_right(&there);
    assert!(there.keys().copied().eq(odd()));
}

#[test]
fn bringing_up_an_old_layout_that_is_killed_is_done_again() {
    play("bringing up layout 1");
    play("bringing up layout 2");
}

#[test]
fn a_walk_that_is_killed_takes_nothing_else_and_is_gone_again() {
    play("the walk");
}

#[test]
fn an_import_that_is_killed_keeps_what_was_committed() {
    play("an import");
}
