//! The consents from outside: whatever the order of arrival, the last event in event time wins.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use portcullis::store::consents::{ConsentsOptions, Standing, Status, Towards};
use portcullis::store::{Consents, Event};

const YES: Event<'static> = Event {
    msisdn: 8_613_800_138_000,
    sender: "qinghe",
    category: "fresh food",
    status: Status::Consent,
    at_ms: 1_000,
    method: "web",
    evidence: "form 17",
    expires_at_ms: Some(9_000),
    frequency: "",
    wording: "",
    sha256: None,
    recorded_by: "",
    recorded_at_ms: None,
};
const NO: Event<'static> = Event { status: Status::Refusal, at_ms: 2_000, method: "MO", evidence: "R", ..YES };

fn open(dir: &std::path::Path) -> Consents {
    Consents::open(dir, &ConsentsOptions { cache_bytes: 8 << 20, ..ConsentsOptions::default() }).unwrap()
}

/// Where the subscriber stands with a sender when all of these events have come.
fn standing(consents: &Consents, sender: &str, msisdn: u64) -> Standing {
    consents.standing(Towards { sender, former: &[], provider: None }, msisdn, 8_000).unwrap()
}

fn refused(consents: &Consents) -> Option<i64> {
    standing(consents, "qinghe", YES.msisdn).refused_at_ms
}

#[test]
fn the_last_event_wins_in_any_order() {
    let again = Event { at_ms: 3_000, ..YES };
    for order in [[YES, NO, again], [again, NO, YES], [NO, again, YES], [YES, again, NO]] {
        let dir = tempfile::tempdir().unwrap();
        let consents = open(dir.path());
        for event in order {
            consents.apply(&[event]).unwrap();
        }
        let standing = standing(&consents, "qinghe", YES.msisdn);
        assert_eq!(standing.refused_at_ms, None, "{order:?}");
        assert_eq!(standing.categories[0].status, Status::Consent);
        assert_eq!(standing.categories[0].at_ms, 3_000);
    }
}

#[test]
fn a_tie_is_a_refusal_of_every_category() {
    let other = Event { category: "wine", at_ms: 500, ..YES };
    let tie = Event { at_ms: YES.at_ms, category: "wine", ..NO };
    for order in [[YES, other, tie], [tie, other, YES]] {
        let dir = tempfile::tempdir().unwrap();
        let consents = open(dir.path());
        consents.apply(&order).unwrap();
        assert_eq!(refused(&consents), Some(1_000));
        let held = standing(&consents, "qinghe", YES.msisdn);
        assert!(held.categories.iter().all(|category| category.status == Status::Refusal));
        assert_eq!(standing(&consents, "another", YES.msisdn), Default::default());
        assert_eq!(standing(&consents, "qinghe", YES.msisdn + 1), Default::default());
    }
}

#[test]
fn importing_again_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let consents = open(dir.path());
    let rows: Vec<_> = (0..1_000).map(|n| Event { msisdn: YES.msisdn + n, ..YES }).collect();
    for changed in [1_000, 0] {
        let mut import = consents.import();
        for row in &rows {
            import.push(row).unwrap();
        }
        let applied = import.finish().unwrap();
        assert_eq!((applied.changed, applied.unchanged), (changed, 1_000 - changed));
    }
}

#[test]
fn what_is_held_is_shown_and_exported_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let consents = open(dir.path());
    consents.apply(&[YES, NO]).unwrap();
    let shown = consents.show(YES.msisdn).unwrap();
    drop(consents);
    let consents = open(dir.path());
    assert_eq!(consents.show(YES.msisdn).unwrap(), shown);
    let mut exported: Vec<_> = consents.export(false).map(Result::unwrap).collect();
    exported.sort();
    assert_eq!(exported.len(), 2);
    assert_eq!((exported[0].status, exported[0].expires_at_ms), (Status::Consent, Some(9_000)));
    assert_eq!((exported[1].status, exported[1].evidence.as_str()), (Status::Refusal, "R"));
}
