//! A purge that is killed at any moment: the next one completes it, and nothing else is lost.

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use jiff::ToSpan;
use portcullis::gate::retention::Piece;

use crate::scene::{Kept, MESSAGES, Scene, expired, today};

/// Rounds in all; `PORTCULLIS_KILLS` sets another number.
const ROUNDS: u64 = 12;

/// The longest that a purge is let run before it is killed.
const LONGEST_MS: u64 = 1200;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn a_purge_cut_by_a_kill_completes_later_and_loses_nothing_else() {
    let rounds = std::env::var("PORTCULLIS_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let seed = std::env::var("PORTCULLIS_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(20_261_124);
    println!("PORTCULLIS_SEED={seed} PORTCULLIS_KILLS={rounds}");
    let mut random = Random(seed);
    let gone = [expired(5, 3), expired(5, 2), expired(5, 1)];
    let thinned = [expired(1, 2), expired(1, 1)];
    let stays = today() - 3.days();
    let (mut killed, mut round) = (0, 0);
    while killed < rounds {
        round += 1;
        assert!(round < 4 * rounds + 20, "hardly a purge is cut: {killed} of {round}");
        let scene = Scene::with(&[&gone[..], &thinned[..], &[stays]].concat(), "");
        scene.folder.run(&["hold", "set", "--msisdn", "13800100007", "--why", "x"]);
        let mut cut = 0;
        while cut < 3 && kill_one(&scene, random.below(LONGEST_MS)) {
            cut += 1;
        }
        killed += cut;
        let purged = scene.purge(&[]);
        assert!(purged.complete && purged.faults.is_empty(), "{purged:?}");
        check(&scene.filled, &scene.kept(), &gone, &thinned);
        scene.verify();
        let plan = scene.plan(&[]);
        assert_eq!(plan.due().count(), 0, "{plan:?}");
        assert!(plan.items.iter().filter(|item| item.what == Piece::Day).all(|item| item.held || !item.due));
        let recorded = scene.recorded();
        for day in gone {
            let name = day.strftime("%Y%m%d").to_string();
            let end = recorded.iter().rfind(|(about, _)| *about == name).map(|(_, outcome)| outcome.as_str());
            assert!(matches!(end, Some("done" | "held")), "{name}: {recorded:?}");
        }
    }
    println!("{killed} purges were killed in {round} folders");
}

/// Begins a purge and kills it; false where it had come to its end.
fn kill_one(scene: &Scene, after_ms: u64) -> bool {
    let mut child = scene
        .folder
        .command(&["retention", "run"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command");
    sleep(Duration::from_millis(after_ms));
    let was_under_way = child.try_wait().expect("a child").is_none();
    child.kill().expect("a process to kill");
    child.wait().expect("its end");
    was_under_way
}

/// Of what has expired only the held is left; of the thinned days the content, and what is held of the signalling; of
/// the rest, everything.
fn check(filled: &Kept, kept: &Kept, gone: &[jiff::civil::Date], thinned: &[jiff::civil::Date]) {
    for (day, entries) in filled {
        if gone.contains(day) {
            let numbers: Vec<u64> = kept[day].keys().copied().collect();
            assert_eq!(numbers, [21, 22, 23], "{day}");
            assert!(numbers.iter().all(|number| kept[day][number].0 == entries[number].0));
        } else if thinned.contains(day) {
            assert_eq!(kept[day].len() as u64, MESSAGES * 3);
            assert!(kept[day].iter().all(|(number, (content, _))| *content == entries[number].0), "{day}");
            for (number, (_, signalling)) in &kept[day] {
                let held = [21, 23].contains(number).then(|| entries[number].1.clone()).flatten();
                assert_eq!(*signalling, held, "{day} {number}");
            }
        } else {
            assert_eq!(kept[day], *entries, "{day}");
        }
    }
}
