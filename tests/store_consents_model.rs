//! The consents against all events ever given: whatever the order, the grouping and the reopenings,
//! every standing is what a reading of the whole list says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis::store::consents::{ConsentsOptions, Held, Standing, Status, Towards};
use portcullis::store::{Consents, Event};
use proptest::prelude::*;

const SENDERS: [&str; 3] = ["qinghe", "yuanshan", "江城"];
const CATEGORIES: [&str; 3] = ["offers", "", "events"];
const PAPERS: [&str; 3] = ["batch 7", "", "form 12 sha256:00"];

fn open(dir: &Path) -> Consents {
    Consents::open(dir, &ConsentsOptions { cache_bytes: 8 << 20, ..ConsentsOptions::default() }).unwrap()
}

/// Where a subscriber stands with a sender when all that is said here has been said.
fn standing(consents: &Consents, sender: &str, msisdn: u64) -> Standing {
    let towards = Towards { sender, former: &[], provider: None };
    consents.standing(towards, msisdn, 1_700_000_100_000).unwrap()
}

prop_compose! {
    fn events(numbers: u64)(
        number in 0..numbers, sender in 0..3_usize, category in 0..3_usize, refusal in prop::bool::weighted(0.3),
        at_ms in prop_oneof![0..6_i64, (0..6_i64).prop_map(|s| 1_700_000_000_000 + s * 1_000)], paper in 0..3_usize,
        term in prop::option::of(prop_oneof![Just(86_400_000 * 30), 1..9_i64]),
    ) -> Event<'static> {
        Event {
            msisdn: 8_613_800_000_000 + number * 7_919,
            sender: SENDERS[sender],
            category: CATEGORIES[category],
            status: if refusal { Status::Refusal } else { Status::Consent },
            at_ms,
            method: "web",
            evidence: PAPERS[paper],
            expires_at_ms: term.map(|term| at_ms + term),
            ..Event::default()
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Apply(Vec<Event<'static>>),
    Import(Vec<Event<'static>>),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::collection::vec(events(12), 1..6).prop_map(Step::Apply),
        3 => prop::collection::vec(events(2_000), 1..600).prop_map(Step::Import),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..10)
}

fn import(consents: &Consents, events: &[Event<'_>]) -> u64 {
    let mut import = consents.import();
    events.iter().for_each(|event| import.push(event).unwrap());
    import.finish().unwrap().changed
}

/// By subscriber and sender: the last refusal, and by category the last consent and its end.
type Standings = BTreeMap<(u64, &'static str), (Option<i64>, BTreeMap<&'static str, (i64, Option<i64>)>)>;

fn read_whole(events: &[Event<'static>]) -> Standings {
    let mut standings = Standings::new();
    for event in events {
        let (refused, consents) = standings.entry((event.msisdn, event.sender)).or_default();
        if event.status == Status::Refusal {
            *refused = (*refused).max(Some(event.at_ms));
            continue;
        }
        let new = (event.at_ms, event.expires_at_ms);
        let held = consents.entry(event.category).or_insert(new);
        let ends = |end: Option<i64>| std::cmp::Reverse(end.unwrap_or(i64::MAX));
        if (new.0, ends(new.1)) > (held.0, ends(held.1)) {
            *held = new;
        }
    }
    standings
}

fn check(consents: &Consents, events: &[Event<'static>]) {
    let standings = read_whole(events);
    let mut items = 0;
    for ((msisdn, sender), (refused, agreed)) in &standings {
        let stands = standing(consents, sender, *msisdn);
        let active = agreed.values().any(|(at_ms, _)| refused.is_none_or(|refused| *at_ms > refused));
        assert_eq!(stands.refused_at_ms, refused.filter(|_| !active));
        let categories: BTreeMap<&str, _> =
            stands.categories.iter().map(|c| (&*c.name, (c.at_ms, c.expires_at_ms))).collect();
        assert_eq!(&categories, agreed);
        for category in &stands.categories {
            let refused = refused.is_some_and(|refused| refused >= category.at_ms);
            assert_eq!(category.status == Status::Refusal, refused);
        }
        items += agreed.len() + usize::from(refused.is_some());
    }
    let mut exported: Vec<Held> = consents.export(false).map(Result::unwrap).collect();
    assert_eq!(exported.len(), items);
    exported.sort();
    let given = |held: &Held| {
        events.iter().any(|event| {
            let texts = (event.sender, event.category, event.method, event.evidence);
            texts == (&held.sender, &held.category, &held.method, &held.evidence)
                && (event.msisdn, event.status, event.at_ms) == (held.msisdn, held.status, held.at_ms)
        })
    };
    assert!(exported.iter().all(given), "what is exported was given, evidence and all");
    check_history(consents, events, &exported);
    if let Some(held) = exported.first() {
        let mut shown = consents.show(held.msisdn).unwrap();
        shown.sort();
        assert!(exported.starts_with(&shown));
    }
}

/// Every event is kept once, whichever of them stands.
fn check_history(consents: &Consents, events: &[Event<'static>], standing: &[Held]) {
    let name = |sender: &str, status, category: &str| {
        let category = if status == Status::Refusal { "" } else { category };
        (sender.to_owned(), status, category.to_owned())
    };
    let end = |status, end: Option<i64>| end.filter(|_| status == Status::Consent);
    let given: BTreeSet<_> = events
        .iter()
        .map(|e| (e.msisdn, name(e.sender, e.status, e.category), e.at_ms, end(e.status, e.expires_at_ms)))
        .collect();
    let all: Vec<Held> = consents.export(true).map(Result::unwrap).collect();
    let kept: Vec<_> = all
        .iter()
        .map(|held| (held.msisdn, name(&held.sender, held.status, &held.category), held.at_ms, held.expires_at_ms))
        .collect();
    assert_eq!(kept.len(), given.len(), "each is kept once");
    assert_eq!(kept.into_iter().collect::<BTreeSet<_>>(), given);
    assert!(standing.iter().all(|held| all.contains(held)));
    if let Some(held) = all.first() {
        let history = consents.history(held.msisdn).unwrap();
        assert!(history.is_sorted_by_key(|held| held.at_ms));
        assert_eq!(history.len(), all.iter().filter(|other| other.msisdn == held.msisdn).count());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn the_standing_is_what_all_events_say(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut consents = Some(open(dir.path()));
        let mut events = Vec::new();
        for step in steps {
            match step {
                Step::Apply(given) => {
                    consents.as_ref().unwrap().apply(&given).unwrap();
                    events.extend(given);
                }
                Step::Import(given) => {
                    import(consents.as_ref().unwrap(), &given);
                    prop_assert_eq!(import(consents.as_ref().unwrap(), &given), 0, "importing again changes nothing");
                    events.extend(given);
                }
                Step::Reopen => {
                    drop(consents.take());
                    consents = Some(open(dir.path()));
                }
            }
            check(consents.as_ref().unwrap(), &events);
        }
    }
}

fn refusal(msisdn: u64) -> Event<'static> {
    Event {
        msisdn,
        sender: SENDERS[0],
        category: "",
        status: Status::Refusal,
        at_ms: 5_000,
        method: "MO",
        evidence: "R",
        expires_at_ms: None,
        ..Event::default()
    }
}

/// Buckets split all the time while a reader looks: a refusal once held is never missed.
#[test]
fn a_refusal_is_seen_while_buckets_split() {
    let dir = tempfile::tempdir().unwrap();
    let consents = open(dir.path());
    let refusals: Vec<_> = (0..400).map(|n| refusal(n * 1_000_003)).collect();
    consents.apply(&refusals).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut looked = 0;
            while !done.load(Ordering::SeqCst) || looked < 10_000 {
                let event = &refusals[looked % refusals.len()];
                assert_eq!(standing(&consents, event.sender, event.msisdn).refused_at_ms, Some(5_000));
                looked += 1;
            }
        });
        for part in 0..60_u64 {
            let consented = |n: u64| Event { status: Status::Consent, ..refusal(part * 700 + n + 1) };
            import(&consents, &(0..700).map(consented).collect::<Vec<_>>());
        }
        done.store(true, Ordering::SeqCst);
    });
    assert_eq!(consents.export(false).count(), 400 + 42_000);
}

/// One number with far more consents than a row holds, and beside it others of its bucket.
#[test]
fn a_subscriber_of_very_many_senders_is_held_whole() {
    let dir = tempfile::tempdir().unwrap();
    let consents = open(dir.path());
    let names: Vec<String> = (0..3_000).map(|n| format!("sender {n}")).collect();
    for (round, at_ms) in [(0, 1_000), (1, 2_500)] {
        let events = names.iter().map(|name| Event { sender: name, status: Status::Consent, at_ms, ..refusal(77) });
        let others = (0..900).map(|n| Event { status: Status::Consent, at_ms, ..refusal(n + 1_000) });
        assert_eq!(import(&consents, &events.chain(others).collect::<Vec<_>>()), 3_900, "round {round}");
    }
    drop(consents);
    let consents = open(dir.path());
    let shown = consents.show(77).unwrap();
    assert_eq!(shown.len(), 3_000);
    assert!(shown.iter().all(|held| held.at_ms == 2_500));
    for name in names.iter().step_by(97) {
        assert_eq!(standing(&consents, name, 77).categories.len(), 1);
    }
}

#[test]
fn an_event_that_is_too_long_is_refused_alone() {
    let dir = tempfile::tempdir().unwrap();
    let consents = open(dir.path());
    let long = "x".repeat(5_000);
    let mut import = consents.import();
    import.push(&refusal(1)).unwrap();
    assert!(import.push(&Event { evidence: &long, ..refusal(2) }).is_err());
    assert!(import.push(&Event { sender: &long, ..refusal(3) }).is_err());
    import.push(&refusal(4)).unwrap();
    assert_eq!(import.finish().unwrap().changed, 2);
    assert_eq!(consents.export(false).count(), 2);
}

#[test]
fn evidence_of_every_kind_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let consents = open(dir.path());
    let texts: Vec<String> = (0..400_usize)
        .map(|n| format!("{n} ").repeat(1 + n * n % 900))
        .map(|text| text.chars().take(4_096).collect())
        .collect();
    let events: Vec<_> = texts.iter().zip(0..).map(|(text, n)| Event { evidence: text, ..refusal(n) }).collect();
    consents.apply(&events[..200]).unwrap();
    drop(consents);
    let consents = open(dir.path());
    import(&consents, &events[200..]);
    for event in &events {
        assert_eq!(consents.show(event.msisdn).unwrap()[0].evidence, event.evidence);
    }
    let blobs = dir.path().join("db/blobs");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 0, "values outside the log are not synced");
}

/// Somebody who says very much keeps no one else waiting, and no word of it is lost.
#[test]
fn a_subscriber_who_says_very_much_is_kept_whole() {
    let dir = tempfile::tempdir().unwrap();
    let consents = open(dir.path());
    let said = |n: i64| Event {
        at_ms: 1_000 + n,
        status: if n % 3 == 0 { Status::Consent } else { Status::Refusal },
        ..refusal(77)
    };
    let neighbours: Vec<_> = (0..500).map(|n| refusal(n + 1_000)).collect();
    consents.apply(&neighbours).unwrap();
    for round in 0..2 {
        for first in (0..6_000).step_by(100) {
            consents.apply(&(first..first + 100).map(said).collect::<Vec<_>>()).unwrap();
        }
        let history = consents.history(77).unwrap();
        assert_eq!(history.len(), 6_000, "round {round}");
        assert!(history.iter().map(|held| held.at_ms).eq(1_000..7_000));
    }
    assert_eq!(consents.show(77).unwrap().len(), 2);
    assert_eq!(standing(&consents, SENDERS[0], 77).refused_at_ms, Some(1_000 + 5_999));
    assert_eq!(consents.export(true).count(), 6_500);
    assert!(consents.held().unwrap() < 1_600, "most of it lies beside the buckets");
}
