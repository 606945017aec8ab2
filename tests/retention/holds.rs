//! Legal holds: what they keep, for how long, and that it is just that.

use jiff::ToSpan;
use portcullis::gate::retention::Piece;
use portcullis::gate::{open_consents, open_keys};
use portcullis::store::Event;
use portcullis::store::consents::Status;

use crate::scene::{MESSAGES, Scene, expired, now, subscriber, today, zone};

fn hold(scene: &Scene, arguments: &[&str]) -> String {
    let said = scene.folder.run(&[&["hold", "set", "--why", "case 118"], arguments].concat()).ok();
    said.split_whitespace().next().expect("a name").to_owned()
}

#[test]
fn a_hold_of_a_number_keeps_its_entries_and_nothing_else_until_it_is_lifted() {
    let (gone, stays) = (expired(5, 1), today() - 3.days());
    let scene = Scene::with(&[gone, stays], "");
    let id = hold(&scene, &["--msisdn", "13800100007"]);
    let before = scene.octets(&[gone]);
    let purged = scene.purge(&[]);
    assert_eq!(purged.gone.len(), 1);
    assert_eq!((purged.gone[0].kept, purged.gone[0].holds.as_slice()), (3, std::slice::from_ref(&id)));
    assert!(purged.octets() > 0 && scene.octets(&[gone]) < before / 2);
    let kept = scene.kept();
    let held: Vec<u64> = (21..24).collect();
    assert_eq!(kept[&gone].keys().copied().collect::<Vec<_>>(), held, "message, outcome and receipt");
    for number in held {
        assert_eq!(kept[&gone][&number], scene.filled[&gone][&number]);
    }
    assert_eq!(kept[&stays], scene.filled[&stays]);

    let plan = scene.plan(&[]);
    let item = plan.items.iter().find(|item| item.day == gone && item.what == Piece::Day).expect("what is left");
    assert!(item.held && item.holds == [id.as_str()], "{item:?}");
    assert_eq!(scene.purge(&[]).gone, [], "it is not looked through every night");
    scene.verify();
    assert!(scene.folder.run(&["retention", "plan"]).ok().contains(&format!("held by {id}")));

    let said = scene.folder.run(&["hold", "lift", &id, "--why", "closed"]).ok();
    assert!(said.contains("is lifted"), "{said}");
    assert_eq!(scene.purge(&[]).gone.len(), 1);
    assert_eq!(scene.octets(&[gone]), 0);
}

#[test]
fn a_hold_with_an_end_keeps_what_came_back_after_it() {
    let (before, after) = (expired(5, 3), expired(5, 1));
    let scene = Scene::with(&[before, after], "");
    let until = (before + 1.day()).to_string();
    hold(&scene, &["--msisdn", "13800100007", "--from", &before.to_string(), "--until", &until]);
    scene.purge(&[]);
    let kept = scene.kept();
    assert_eq!(kept[&before].keys().copied().collect::<Vec<_>>(), [21, 22, 23]);
    assert_eq!(kept[&after].keys().copied().collect::<Vec<_>>(), [23], "a receipt, of whichever message");
    scene.verify();
}

#[test]
fn a_hold_of_a_sender_keeps_its_outcomes_and_receipts_too() {
    let gone = expired(5, 1);
    let scene = Scene::with(&[gone], "");
    hold(&scene, &["--sender", "bank"]);
    let purged = scene.purge(&[]);
    assert_eq!(purged.gone[0].kept, MESSAGES / 2 * 3);
    let kept = scene.kept();
    assert!(kept[&gone].keys().all(|number| (number / 3) % 2 == 1), "every other message is the bank's");
}

#[test]
fn a_hold_of_a_provider_keeps_all_of_it_and_one_of_another_time_keeps_nothing() {
    let gone = expired(5, 1);
    let scene = Scene::with(&[gone], "");
    let id = hold(&scene, &["--provider", "demo"]);
    let purged = scene.purge(&[]);
    assert_eq!((purged.gone[0].kept, purged.octets()), (MESSAGES * 3, 0));
    assert_eq!(scene.kept(), scene.filled);
    assert!(scene.recorded().iter().any(|(_, outcome)| outcome == "held"));
    hold(&scene, &["--msisdn", "13800100007", "--from", &(today() - 3.days()).to_string()]);
    scene.folder.run(&["hold", "lift", &id, "--why", "closed"]).ok();
    scene.purge(&[]);
    assert!(scene.kept().is_empty());
}

/// What was set aside and the day begun anew in its place have the same keys.
#[test]
fn a_day_stays_while_what_was_set_aside_of_it_is_held() {
    let gone = expired(5, 1);
    let scene = Scene::with(&[gone], "");
    let aside = scene.day_folder(gone).with_added_extension("broken-1");
    std::fs::create_dir(&aside).expect("a day set aside");
    std::fs::write(aside.join("db"), "damaged").expect("a day set aside");
    let id = hold(&scene, &["--msisdn", "13800100007"]);
    let purged = scene.purge(&[]);
    assert!(purged.gone.iter().all(|gone| gone.octets == 0 && gone.holds == [id.as_str()]), "{purged:?}");
    assert!(aside.exists());
    assert_eq!(scene.kept(), scene.filled);
    let key = format!("{}-content.key", gone.strftime("%Y%m%d"));
    assert!(scene.keys().contains(&key), "{:?}", scene.keys());
    scene.folder.run(&["hold", "lift", &id, "--why", "closed"]).ok();
    scene.purge(&[]);
    assert!(!aside.exists() && scene.kept().is_empty() && !scene.keys().contains(&key));
}

#[test]
fn signalling_of_what_is_held_stays_and_no_other() {
    let gone = expired(1, 1);
    let scene = Scene::with(&[gone], "");
    let [first, second] = ["13800100007", "13800100009"].map(|number| hold(&scene, &["--msisdn", number]));
    let purged = scene.purge(&[]);
    assert_eq!((purged.gone[0].what.clone(), purged.gone[0].kept), (Piece::Signalling, 6));
    let check = |held: &[u64]| {
        for (number, (content, signalling)) in &scene.kept()[&gone] {
            let filled = &scene.filled[&gone][number];
            assert_eq!(*content, filled.0, "{number}");
            let kept = if held.contains(number) { filled.1.clone() } else { None };
            assert_eq!(*signalling, kept, "{number}");
        }
        scene.verify();
    };
    check(&[21, 23, 27, 29]);
    let keys = |ending: &str| scene.keys().contains(&format!("{}-{ending}.key", gone.strftime("%Y%m%d")));
    assert!(!keys("signalling") && keys("signalling-held-1"), "{:?}", scene.keys());
    let backup = scene.folder.path().join("backup");
    scene.folder.run(&["backup", &backup.to_string_lossy()]).ok();
    scene.folder.plain(&["verify-backup", &backup.to_string_lossy()]).ok();
    assert_eq!(scene.purge(&[]).gone, [], "it is not looked through every night");
    scene.folder.run(&["hold", "lift", &first, "--why", "closed"]).ok();
    scene.purge(&[]);
    check(&[27, 29]);
    assert!(!keys("signalling-held-1") && keys("signalling-held-2"), "{:?}", scene.keys());
    scene.folder.run(&["hold", "lift", &second, "--why", "closed"]).ok();
    scene.purge(&[]);
    check(&[]);
    assert!(!keys("signalling-held-2") && keys("content"), "{:?}", scene.keys());
}

/// Before, one held entry kept all of its day's signalling.
#[test]
fn what_an_earlier_purge_has_left_is_looked_through_again() {
    let gone = expired(1, 1);
    let scene = Scene::with(&[gone], "");
    let id = hold(&scene, &["--msisdn", "13800100007"]);
    let left = serde_json::json!({ "day": gone, "what": "signalling", "holds": [id] });
    let file = scene.folder.config().data.join("retention.json");
    let mut state: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).expect("the state")).expect("the state");
    for (version, purged) in [(2, 0), (1, 1)] {
        state["version"] = version.into();
        state["remainders"] = [left.clone()].as_slice().into();
        std::fs::write(&file, state.to_string()).expect("the state");
        assert_eq!(scene.purge(&[]).gone.len(), purged, "version {version}");
    }
    assert!(scene.kept()[&gone][&24].1.is_none());
}

#[test]
fn holds_are_shown_masked_and_are_on_record_and_their_file_names_nobody() {
    let scene = Scene::with(&[today() - 3.days()], "");
    let id = hold(&scene, &["--msisdn", "13800100007", "--until", &now().to_string()]);
    let said = scene.folder.run(&["hold", "list"]).ok();
    assert!(said.contains("138****0007") && said.contains("case 118") && said.contains(" · by "), "{said}");
    let said = scene.folder.run(&["hold", "list", "--whole", "--json"]).ok();
    assert!(said.contains(&subscriber(7).to_string()), "{said}");
    let file = std::fs::read_to_string(scene.folder.config().data.join("holds.json")).expect("the file");
    assert!(!file.contains("13800100007") && !file.contains("case"), "{file}");
    let found = scene.folder.run(&["journal", "find", "--to", "13800100007", "--sessions", "--json", "--whole"]).ok();
    assert!(found.lines().any(|line| line.contains("\"hold\"") && line.contains(&id)), "{found}");
}

#[test]
fn what_cannot_be_held_is_refused_with_its_reason() {
    let scene = Scene::with(&[today() - 3.days()], "");
    let refused = |arguments: &[&str], why: &str| {
        let said = scene.folder.run(arguments);
        assert_eq!(said.code, Some(1), "{arguments:?}");
        assert!(said.stderr.contains(why), "{arguments:?}: {}", said.stderr);
    };
    refused(&["hold", "set", "--why", "x"], "names a number, a sender, a provider or a time");
    refused(&["hold", "set", "--msisdn", "138****0007", "--why", "x"], "138****0007");
    refused(&["hold", "set", "--msisdn", "12", "--why", "x"], "no subscriber's number");
    refused(&["hold", "set", "--sender", "bank", "--why", " "], "says why");
    refused(&["hold", "set", "--from", "2026-02-01", "--until", "2026-01-01", "--why", "x"], "ends before it begins");
    refused(&["hold", "lift", "H7", "--why", "x"], "no hold H7");
}

/// Whose consent ended more than five months ago is forgotten, unless something is held of them or they refused.
#[test]
fn consents_go_when_the_relationship_is_over_but_for_held_ones_and_refusals() {
    let scene = Scene::with(&[today() - 3.days()], "");
    let ms = |months: i32| zone().to_timestamp((today() - months.months()).at(9, 0, 0, 0)).unwrap().as_millisecond();
    let said = |message: u64, status, expires: Option<i32>| Event {
        msisdn: subscriber(message),
        sender: "teahouse",
        category: "",
        status,
        at_ms: ms(13),
        method: "web",
        evidence: "form",
        expires_at_ms: expires.map(ms),
        recorded_at_ms: Some(ms(13)),
        ..Event::default()
    };
    let config = scene.folder.config();
    let consents = open_consents(&config.data, &open_keys(&config).expect("keys")).expect("the consents");
    let events = [
        said(1, Status::Consent, Some(7)),
        said(7, Status::Consent, Some(7)),
        said(2, Status::Refusal, None),
        said(3, Status::Consent, None),
        said(4, Status::Consent, Some(4)),
    ];
    consents.apply(&events).expect("kept");
    drop(consents);
    let id = hold(&scene, &["--msisdn", "13800100007"]);
    let purged = scene.purge(&[]);
    assert_eq!((purged.said.events, purged.said.held), (1, 1), "{purged:?}");
    let known = |message: u64| {
        let said = scene.folder.run(&["consent", "show", &subscriber(message).to_string()[2..], "--json"]);
        said.ok().contains("teahouse")
    };
    assert_eq!([1, 7, 2, 3, 4].map(known), [false, true, true, true, true]);
    assert!(scene.recorded().contains(&("consents".to_owned(), "done".to_owned())));
    scene.folder.run(&["hold", "lift", &id, "--why", "closed"]).ok();
    assert_eq!(scene.purge(&[]).said.events, 1);
    assert!(!known(7));
}

/// Whoever cannot tell what is held deletes nothing.
#[test]
fn a_file_of_holds_that_is_damaged_stops_the_start() {
    let scene = Scene::with(&[expired(5, 1)], "");
    hold(&scene, &["--msisdn", "13800100007"]);
    let file = scene.folder.config().data.join("holds.json");
    let text = std::fs::read_to_string(&file).expect("the file");
    let middle = text.len() / 2;
    let other = if &text[middle..=middle] == "A" { "B" } else { "A" };
    std::fs::write(&file, format!("{}{other}{}", &text[..middle], &text[middle + 1..])).expect("the file");
    let said = scene.folder.run(&["retention", "run"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("holds.json") && said.stderr.contains("nothing may expire"), "{}", said.stderr);
    assert_eq!(scene.folder.run(&["run"]).code, Some(1));
    std::fs::write(&file, text).expect("the file");
    let (key, kept) = (scene.folder.config().data.join("keys/holds.key"), scene.folder.config().data.join("key"));
    std::fs::rename(&key, &kept).expect("the key");
    let said = scene.folder.run(&["retention", "run"]);
    assert!(said.stderr.contains("holds.key is missing") && !key.exists(), "{}", said.stderr);
    std::fs::rename(&kept, &key).expect("the key");
    assert_eq!(scene.purge(&[]).gone[0].kept, 3);
}
