//! A database as the first layout left it, octet by octet.

use super::*;
use crate::store::consents::{Consents, ConsentsOptions, Event};
use crate::store::engine::{Engines, Sled};

const MSISDN: u64 = 8_613_800_138_000;
const TOWARDS: Towards<'static> = Towards { sender: "qinghe", former: &[], provider: None };

/// A consent of 2020-01-01T00:00:01Z for three days, proved by a text, and a refusal of the second after.
fn first_layout(dir: &std::path::Path) {
    let engine = Sled.open(&dir.join("db"), 8 << 20, true).unwrap();
    let mut bucket = vec![1];
    // Whole seconds, small names, an end in days; then the number, sender, category and method, moment, evidence, end.
    bucket.push(0b0010_1100);
    crate::store::varint::push(&mut bucket, MSISDN);
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
    engine.put(VERSION_KEY, &[&[FIRST_VERSION][..], &[7; 16]].concat()).unwrap();
    engine.sync().unwrap();
}

fn open(dir: &std::path::Path) -> Consents {
    Consents::open(dir, &ConsentsOptions { cache_bytes: 8 << 20, ..ConsentsOptions::default() }).unwrap()
}

#[test]
fn a_database_of_the_first_layout_is_read_and_written_on() {
    let dir = tempfile::tempdir().unwrap();
    first_layout(dir.path());
    let consents = open(dir.path());
    let history = consents.history(MSISDN).unwrap();
    let texts = |held: &Held| (held.category.clone(), held.method.clone(), held.evidence.clone());
    assert_eq!(history.len(), 2);
    assert_eq!(texts(&history[0]), ("food".to_owned(), "web".to_owned(), "form 17".to_owned()));
    assert_eq!((history[0].at_ms, history[0].expires_at_ms), (1_577_836_801_000, Some(1_578_096_001_000)));
    assert_eq!(texts(&history[1]), (String::new(), "MO".to_owned(), "R".to_owned()));
    assert!(history.iter().all(|held| held.recorded_at_ms.is_none() && held.sha256.is_none()));
    assert_eq!(consents.standing(TOWARDS, MSISDN, i64::MAX).unwrap().refused_at_ms, Some(1_577_836_802_000));

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
    let consents = open(dir.path());
    let history = consents.history(MSISDN).unwrap();
    assert_eq!(history.iter().map(|held| held.evidence.as_str()).collect::<Vec<_>>(), ["form 17", "R", "form 18"]);
    assert!(history[2].recorded_at_ms.is_some() && history[2].frequency == "4/month");
    let standing = consents.standing(TOWARDS, MSISDN, i64::MAX).unwrap();
    assert_eq!((standing.refused_at_ms, standing.categories[0].status), (None, Status::Consent));
    drop(consents);
    let engine = Sled.open(&dir.path().join("db"), 8 << 20, false).unwrap();
    assert_eq!(engine.get(VERSION_KEY).unwrap().unwrap()[0], VERSION, "the program of the first layout refuses it");
}
