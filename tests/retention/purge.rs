//! What goes, when, and what is said of it.

use std::fs;

use jiff::ToSpan;
use portcullis::gate::retention::Piece;

use crate::scene::{Scene, expired, today};

#[test]
fn what_has_expired_gives_its_space_back_and_all_else_stays() {
    let gone = [expired(5, 3), expired(5, 2), expired(5, 1)];
    let stays = [today() - 4.months(), today() - 40.days(), today() - 3.days()];
    let scene = Scene::with(&[gone, stays].concat(), "");
    let plan = scene.plan(&[]);
    let due: Vec<_> = plan.due().filter(|item| item.what == Piece::Day).map(|item| item.day).collect();
    assert_eq!(due, gone);
    assert_eq!(plan.items.iter().filter(|item| item.what == Piece::Day).count(), 6);

    let before = scene.octets(&gone);
    assert!(before > 100_000, "{before}");
    let purged = scene.purge(&[]);
    assert!(purged.complete && purged.faults.is_empty() && purged.doubt.is_none(), "{purged:?}");
    let days: Vec<_> = purged.gone.iter().filter(|gone| gone.what == Piece::Day).map(|gone| gone.day).collect();
    assert_eq!(days, gone);
    assert!(purged.octets() >= before, "{} of {before} octets", purged.octets());
    assert_eq!(scene.octets(&gone), 0, "their folders are gone");
    for day in gone {
        let name = day.strftime("%Y%m%d").to_string();
        assert!(!scene.keys().iter().any(|key| key.starts_with(&name)), "{day} could be read on a copy");
    }
    let kept = scene.kept();
    assert_eq!(kept.keys().copied().collect::<Vec<_>>(), stays);
    for day in stays {
        let contents = |kept: &crate::scene::Kept| kept[&day].values().map(|(c, _)| c.clone()).collect::<Vec<_>>();
        assert_eq!(contents(&kept), contents(&scene.filled), "{day}");
    }
    let recorded = scene.recorded();
    for day in gone {
        let name = day.strftime("%Y%m%d").to_string();
        let words: Vec<&str> =
            recorded.iter().filter(|(about, _)| *about == name).map(|(_, outcome)| outcome.as_str()).collect();
        assert_eq!(words, ["begun", "done"], "{day}");
    }
    assert_eq!(scene.purge(&[]).gone, [], "nothing is left to do");
    scene.verify();
}

#[test]
fn signalling_goes_a_month_after_its_day_and_the_content_stays() {
    let (gone, stays) = (expired(1, 1), today() - 10.days());
    let scene = Scene::with(&[gone, stays], "");
    let before = scene.octets(&[gone]);
    let purged = scene.purge(&[]);
    let what: Vec<_> = purged.gone.iter().map(|gone| (gone.day, gone.what.clone())).collect();
    assert_eq!(what, [(gone, Piece::Signalling)], "{purged:?}");
    assert!(scene.octets(&[gone]) < before);
    let kept = scene.kept();
    for (number, (content, signalling)) in &scene.filled[&gone] {
        assert!(signalling.is_some());
        assert_eq!(kept[&gone][number], (content.clone(), None));
    }
    assert_eq!(kept[&stays], scene.filled[&stays]);
    assert_eq!(scene.purge(&[]).gone, []);
    scene.verify();
}

#[test]
fn a_day_that_was_set_aside_goes_when_its_day_would_have() {
    let stays = today() - 3.days();
    let scene = Scene::with(&[stays], "");
    let journal = scene.folder.config().data.join("journal");
    let aside = |day: jiff::civil::Date| format!("{}.broken-1", day.strftime("%Y%m%d"));
    for day in [expired(5, 1), stays] {
        fs::create_dir(journal.join(aside(day))).expect("a folder");
        fs::write(journal.join(aside(day)).join("db"), [0; 4096]).expect("a file");
    }
    let purged = scene.purge(&[]);
    assert_eq!(purged.gone[0].what, Piece::Aside(aside(expired(5, 1))));
    assert_eq!((purged.gone.len(), purged.octets()), (1, 4096));
    assert!(!journal.join(aside(expired(5, 1))).exists() && journal.join(aside(stays)).exists());
}

#[test]
fn more_days_than_a_night_can_bring_ask_for_a_word() {
    let days: Vec<_> = (1..=9).rev().map(|ago| expired(5, ago)).collect();
    let scene = Scene::with(&days, "");
    let said = scene.folder.run(&["retention", "run"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("9 days are due at once") && said.stderr.contains("--yes"), "{}", said.stderr);
    assert_eq!(scene.kept(), scene.filled);
    assert!(scene.recorded().iter().any(|(_, outcome)| outcome.starts_with("refused: 9 days")));
    let text = scene.folder.run(&["retention", "plan"]).ok();
    assert!(text.contains("9 due") && text.contains("nothing goes by itself"), "{text}");
    assert_eq!(scene.purge(&["--yes"]).gone.len(), 9);
    assert!(scene.kept().is_empty());
}

#[test]
fn a_clock_that_is_a_year_ahead_lets_nothing_go() {
    let days: Vec<_> = (1..=20).rev().map(|ago| today() - (ago * 5).days()).collect();
    let scene = Scene::with(&days, "");
    let ahead = (today() + 1.year()).to_string();
    let plan = scene.plan(&["--as-of", &ahead]);
    assert_eq!(plan.due().count(), 20);
    assert!(plan.doubt().is_some_and(|why| why.starts_with("20 days")));
    assert_eq!(scene.plan(&["--as-of", &(today() + 4.months()).to_string()]).as_of, today() + 4.months());
}

#[test]
fn a_profile_of_six_months_keeps_six_months_and_what_was_promised_stays_promised() {
    let day = expired(5, 2);
    let scene = Scene::with(&[day], "[profile]\nbase = \"cn-2026-74\"\n");
    let item = |scene: &Scene| scene.plan(&[]).items.into_iter().find(|item| item.what == Piece::Day).expect("a day");
    assert_eq!((item(&scene).months, item(&scene).due), (6, false));
    scene.folder.configure("", std::net::SocketAddr::from(([127, 0, 0, 1], 1)), "");
    // What held on the day is not known to have been shorter: it was written down on the first start.
    assert_eq!((item(&scene).months, item(&scene).due), (6, false));
    assert!(item(&scene).profile.contains("cn-2026-74"), "{}", item(&scene).profile);
}

/// The first look is at the start, and the time of day has come.
#[test]
fn a_running_gate_does_it_by_itself_and_says_so() {
    let (gone, stays) = (expired(5, 1), today() - 3.days());
    let scene = Scene::with(&[gone, stays], "[retention]\nat = \"00:00\"\n");
    let gate = scene.folder.start();
    let status = scene.folder.await_status("purged", |status| status.retention.last.is_some());
    let last = status.retention.last.expect("a purge");
    assert_eq!((last.by.as_str(), last.complete), ("gate", true));
    assert_eq!(last.gone.iter().map(|gone| gone.day).collect::<Vec<_>>(), [gone]);
    let said = scene.folder.run(&["status"]).ok();
    assert!(said.contains("retention: 1 gone"), "{said}");
    assert!(scene.folder.run(&["retention", "run"]).ok().contains("0 gone"));
    let said = scene.folder.run(&["hold", "set", "--msisdn", "13800100007", "--why", "case 118"]).ok();
    assert!(said.starts_with("H1 holds"), "{said}");
    assert!(scene.folder.run(&["hold", "list"]).ok().contains("138****0007"));
    assert_eq!(scene.folder.status().retention.holds, 1);
    let held: Vec<_> = scene.plan(&[]).items.into_iter().filter(|item| item.holds == ["H1"]).collect();
    assert_eq!(held.len(), 4, "two days, each with its signalling: {held:?}");
    assert!(scene.folder.run(&["hold", "lift", "h1", "--why", "closed"]).ok().starts_with("H1 is lifted"));
    assert!(gate.stop().success());
    assert_eq!(scene.kept().keys().copied().collect::<Vec<_>>(), [stays]);
}
