//! A clock that is wrong lets nothing go, however few days there are; one that is right is not doubted.

use std::time::Duration;

use jiff::ToSpan;
use portcullis::clock;
use portcullis::gate::retention::{Order, Purged, Retention, Stores};
use portcullis::gate::{Moment, open_consents, open_journal, open_keys};
use portcullis::store::{Consents, Journal};

use crate::scene::{Scene, today};

const HOUR: u64 = 3600;

/// A gate's stores, and clocks that a test moves.
struct Clocked {
    journal: Journal,
    consents: Consents,
    retention: Retention,
    start: Moment,
    passed: Duration,
    /// How far the wall clock is from the time that passed, in days.
    ahead: i64,
}

impl Clocked {
    fn new(scene: &Scene) -> Self {
        let config = scene.folder.config();
        let keys = open_keys(&config).expect("keys");
        let start = Moment { wall: clock::wall(), monotonic: clock::monotonic() };
        Self {
            journal: open_journal(&config, &keys).expect("the journal"),
            consents: open_consents(&config.data, &keys).expect("the consents"),
            retention: Retention::open(&config, &keys, start).expect("retention"),
            start,
            passed: Duration::ZERO,
            ahead: 0,
        }
    }

    /// The purge of so many hours later.
    fn purge_after(&mut self, hours: u64, yes: bool) -> Purged {
        self.passed += Duration::from_secs(hours * HOUR);
        let wall = self.start.wall + self.passed + Duration::from_secs(self.ahead.unsigned_abs() * 24 * HOUR);
        let now = Moment { wall, monotonic: self.start.monotonic + self.passed };
        let stores = Stores { journal: &self.journal, consents: &self.consents, register: None };
        self.retention.purge(stores, &Order { by: "gate".to_owned(), yes }, now).expect("a purge")
    }
}

fn few_days() -> Vec<jiff::civil::Date> {
    (1..=4).rev().map(|ago| today() - (ago + 1).days()).collect()
}

#[test]
fn a_clock_that_stays_ahead_lets_nothing_of_a_small_store_go() {
    let days = few_days();
    let scene = Scene::with(&days, "");
    let mut clocked = Clocked::new(&scene);
    assert_eq!(clocked.purge_after(0, false).gone, []);
    clocked.ahead = 400;
    let jumped = clocked.purge_after(1, false);
    assert!(jumped.clock_doubted && jumped.gone.is_empty(), "{jumped:?}");
    // It is believed for all else by now, and has written days of its own.
    for _ in 0..3 {
        let later = clocked.purge_after(25, false);
        let why = later.doubt.expect("a doubt");
        assert!(why.starts_with("nothing is on record between") && later.gone.is_empty(), "{why}");
    }
    clocked.ahead = 0;
    let back = clocked.purge_after(1, false);
    assert!(back.doubt.is_none() && back.gone.is_empty(), "{back:?}");
    clocked.ahead = 400;
    clocked.purge_after(1, false);
    clocked.purge_after(25, false);
    let said = clocked.purge_after(1, true);
    assert!(days.iter().all(|day| said.gone.iter().any(|gone| gone.day == *day)), "{said:?}");
    assert!(clocked.purge_after(25, false).doubt.is_none(), "who was asked once is not asked again");
}

#[test]
fn a_clock_that_goes_is_believed_night_after_night() {
    let days = few_days();
    let scene = Scene::with(&days, "");
    let mut clocked = Clocked::new(&scene);
    let mut gone = Vec::new();
    for night in 0..36 {
        let purged = clocked.purge_after(24, false);
        assert!(purged.doubt.is_none() && purged.complete, "night {night}: {purged:?}");
        gone.extend(purged.gone.iter().map(|gone| gone.day).filter(|day| days.contains(day)));
    }
    gone.sort_unstable();
    assert_eq!(gone, days, "signalling, each on its night");
}

/// A gate that was away for a week's holiday is not asked.
#[test]
fn a_few_days_ahead_are_no_doubt_and_more_are() {
    for (ahead, doubted) in [(6, false), (30, true)] {
        let scene = Scene::with(&few_days(), "");
        let mut clocked = Clocked::new(&scene);
        clocked.purge_after(0, false);
        clocked.ahead = ahead;
        clocked.purge_after(1, false);
        let purged = clocked.purge_after(25, false);
        assert_eq!(purged.doubt.is_some(), doubted, "{ahead} days: {purged:?}");
    }
}
