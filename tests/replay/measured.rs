//! Measures (R25) under other thresholds: counted again, and orders and complaints taken as they came.

use std::time::Duration;

use portcullis::gate::record::{Complaint, Measure};
use portcullis::rules::r25_measures::Step;

use super::*;

const SUSPENDED: CommandStatus = CommandStatus(0x048E);
const NO_CONSENT: CommandStatus = CommandStatus(0x0481);

fn under(folder: &Folder, settings: &str, more: &[&str]) -> Value {
    let profile = folder.path().join("measured.toml");
    let modes =
        ["R09", "R25"].iter().filter(|rule| !settings.contains(*rule)).map(|rule| format!("{rule} = \"enforce\"\n"));
    fs::write(&profile, format!("{}{settings}", modes.collect::<String>())).expect("a profile");
    replay(folder, &[&["--profile", profile.to_str().expect("a path")], more].concat())
}

/// Whatever becomes due by what was sent is due in the next second.
async fn next_second() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

/// A gate in which rejects suspend, an operator resumes and somebody complains.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_other_thresholds_would_have_stopped_is_told() {
    let measures = "rejects = { window = \"1h\", minimum = 4, suspend = \"50%\" }";
    let mut scene = Scene::with(&format!("[profile.measures]\n{measures}")).await;
    assert_eq!(scene.send(submit(COMMERCIAL, WILLING, OFFER)).await, OK);
    assert_eq!(scene.send(submit(COMMERCIAL, SILENT, OFFER)).await, NO_CONSENT, "1 of 2");
    for _ in 0..4 {
        next_second().await;
    }
    assert_eq!(scene.send(submit(COMMERCIAL, WILLING, OFFER)).await, OK);
    let before_fourth = portcullis::clock::wall();
    next_second().await;
    assert_eq!(scene.send(submit(COMMERCIAL, SILENT, OFFER)).await, NO_CONSENT, "2 of 4");
    scene.folder.await_status("suspended", |status| {
        status.measures.iter().filter(|measure| measure.step == Step::Suspend).count() == 3
    });
    // Steps are taken a second apart, at whatever moment within it.
    next_second().await;
    for _ in 0..2 {
        assert_eq!(scene.send(submit(COMMERCIAL, WILLING, OFFER)).await, SUSPENDED);
    }
    for (kind, name) in [("provider", "agg1"), ("sender", "qinghe"), ("port", COMMERCIAL)] {
        scene.folder.run(&["measures", "resume", kind, name, "--reason", "talked to"]).ok();
    }
    assert_eq!(scene.send(submit(COMMERCIAL, WILLING, OFFER)).await, OK);
    let about = scene.last_to(WILLING).received.to_string();
    scene.folder.run(&["complaint", "open", "--msisdn", WILLING, "--about", &about]).ok();
    for _ in 0..4 {
        next_second().await;
    }
    assert_eq!(scene.send(submit(COMMERCIAL, WILLING, OFFER)).await, OK);

    let same = replay(&scene.folder, &[]);
    assert_eq!(
        (&same["messages"], &same["changed"], &same["recounted"]),
        (&8.into(), &0.into(), &0.into()),
        "{same:#}"
    );

    let none = under(&scene.folder, "", &[]);
    assert_eq!(none["decisions"]["reject -> forward"], 2, "{none:#}");
    assert_eq!((&none["changed"], &none["rules"]["R25"]["no_longer_failing"]), (&2.into(), &2.into()));

    let alike = under(&scene.folder, &format!("[measures]\n{measures}\nknown_after = \"2h\""), &[]);
    assert_eq!(
        (&alike["changed"], &alike["recounted"]),
        (&0.into(), &8.into()),
        "other settings, the same steps: {alike:#}"
    );
    let steps: Vec<&str> =
        alike["measures"].as_array().expect("steps").iter().filter_map(|s| s["step"].as_str()).collect();
    assert_eq!(steps.len(), 9, "three each against provider, sender and port: {alike:#}");
    assert!(steps.ends_with(&["suspend"; 3]), "{steps:?}");

    let strict = "[measures]\nrejects = { window = \"1h\", minimum = 2, suspend = \"50%\" }";
    let strict_found = under(&scene.folder, strict, &[]);
    assert_eq!(strict_found["decisions"]["forward -> reject"], 1, "the third: {strict_found:#}");
    assert_eq!(strict_found["rules"]["R25"]["newly_failing"], 2, "it, and the fourth beside R09: {strict_found:#}");
    assert_eq!(strict_found["changed"], 2, "{strict_found:#}");
    let since = before_fourth.to_string();
    let later = under(&scene.folder, strict, &["--since", &since]);
    assert_eq!((&later["messages"], &later["changed"]), (&5.into(), &1.into()), "what was before counts: {later:#}");

    let plaintive = "[measures]\ncomplaints = { window = \"24h\", minimum = 1, suspend = \"1%\" }";
    let plaintive = under(&scene.folder, plaintive, &[]);
    assert_eq!(plaintive["rules"]["R25"]["newly_failing"], 1, "the last: {plaintive:#}");
    assert_eq!(plaintive["rules"]["R25"]["no_longer_failing"], 2, "{plaintive:#}");
}

fn order<'a>(at_ms: i64, step: &'a str, by: &'a str) -> Record<'a> {
    let (kind, name, reason) = ("port".into(), COMMERCIAL.into(), "ticket 1".into());
    Record::Measure(Measure {
        at_ms,
        kind,
        name,
        step: step.into(),
        everything: false,
        reason,
        by: by.into(),
        until_ms: None,
    })
}

fn complaint<'a>(at_ms: i64, repeats: Option<Name>) -> Record<'a> {
    Record::Complaint(Complaint {
        at_ms,
        subscriber: WILLING.into(),
        port: COMMERCIAL.into(),
        about_ms: at_ms,
        text: "".into(),
        reference: "".into(),
        messages: Vec::new(),
        against: vec![("port".into(), COMMERCIAL.into())],
        repeats,
    })
}

fn minute(minute: i64) -> i64 {
    forwarded(minute, WILLING, OFFER).received_ms
}

/// A stopped gate whose journal has these records.
async fn recorded(records: impl IntoIterator<Item = Record<'_>>) -> (Folder, Simulator) {
    let Scene { folder, gate, provider, carrier, .. } = Scene::new().await;
    drop(provider);
    let log = gate.log_handle();
    assert!(gate.stop().success(), "{:#?}", log());
    let journal = folder.journal();
    for record in records {
        journal.append(record.encode(Vec::new())).expect("room");
    }
    drop(journal);
    (folder, carrier)
}

fn every_minute<'a>(minutes: std::ops::Range<i64>) -> impl Iterator<Item = Record<'a>> {
    minutes.map(|minute| Record::Submission(forwarded(minute, WILLING, OFFER)))
}

const FREE: &str = "R09 = \"off\"\n[measures]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_counted_with_what_came_before_and_ends_at_its_thresholds() {
    // The eleventh comes twice at the same moment.
    let (folder, _carrier) = recorded(every_minute(0..11).chain(every_minute(10..11))).await;
    let with = |bursts: &str, more: &[&str]| under(&folder, &format!("{FREE}bursts = {{ {bursts} }}\n"), more);

    let suspends = with("window = \"1h\", suspend = 5", &[]);
    assert_eq!(suspends["decisions"]["forward -> reject"], 7, "from the sixth on: {suspends:#}");
    let since = ["--since", "2026-03-03T09:03:30+08:00"];
    let later = with("window = \"1h\", suspend = 5", &since);
    assert_eq!((&later["messages"], &later["changed"]), (&8.into(), &7.into()), "{later:#}");
    assert_eq!(later["measures_since"], "2026-03-03T01:00:00Z");
    let told = folder.run(&["replay", "--profile", folder.path().join("measured.toml").to_str().expect("a path")]).ok();
    assert!(told.contains("measures (R25) are counted again, from 2026-03-03 09:00:00 on"), "{told}");
    assert!(told.contains(&format!("port {COMMERCIAL}: suspend · 5 messages of one new text within 1h")), "{told}");

    assert_eq!(with("window = \"1h\", alert = 5", &[])["changed"], 0, "an alert stops nothing");
    assert_eq!(with("window = \"1h\", suspend = 13", &[])["changed"], 0, "there are twelve");
    let slow = with("window = \"1h\", slow = 5", &[]);
    assert_eq!(slow["decisions"]["forward -> hold"], 1, "one a second passes: {slow:#}");
    assert_eq!(slow["changed"], 1, "{slow:#}");
    let observed = under(
        &folder,
        "R09 = \"off\"\nR25 = \"observe\"\n[measures]\nbursts = { window = \"1h\", suspend = 5 }\n",
        &[],
    );
    assert_eq!(observed["rules"]["R25"]["newly_noted"], 7, "{observed:#}");
    assert_eq!(
        under(&folder, "R09 = \"off\"\nR25 = \"off\"\n[measures]\nbursts = { suspend = 5 }\n", &[])["changed"],
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_hold_as_they_were_given_and_what_the_gate_did_does_not() {
    const DAY: i64 = 24 * 60;
    let orders = [
        (-30 * DAY, "suspend", "gate"), // Of counts that nobody has any more.
        (2, "resume", "operator"),
        (4, "suspend", "gate"), // By the thresholds of then.
        (6, "suspend", "operator"),
        (8, "resume", "operator"),
    ];
    let mut records: Vec<(i64, Record<'_>)> =
        orders.iter().map(|&(at, step, by)| (minute(at) + 500, order(minute(at) + 500, step, by))).collect();
    records.extend((0..10).zip(every_minute(0..10)).map(|(at, record)| (minute(at), record)));
    records.sort_by_key(|(at, _)| *at);
    let (folder, _carrier) = recorded(records.into_iter().map(|(_, record)| record)).await;

    let whole = under(&folder, "R09 = \"off\"\n", &[]);
    assert_eq!(whole["rules"]["R25"]["newly_failing"], 2, "minutes 7 and 8, by the operator: {whole:#}");
    let since = ["--since", "2026-03-03T08:59:00+08:00"];
    assert_eq!(under(&folder, "R09 = \"off\"\n", &since)["rules"]["R25"]["newly_failing"], 2);
    let on = under(&folder, &format!("{FREE}bursts = {{ suspend = 1000 }}\n"), &since);
    assert_eq!(on["rules"]["R25"]["newly_failing"], 5, "and minutes 0, 1 and 2, from before: {on:#}");
    assert_eq!(on["measures_before"][0]["name"], COMMERCIAL, "{on:#}");
    assert_eq!(on["measures_before"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaints_count_when_they_came_and_once() {
    let name: Name = (2026, 3, 3, 1);
    let records = every_minute(0..3)
        .chain([complaint(minute(2) + 1000, None), complaint(minute(2) + 2000, Some(name))])
        .chain(every_minute(3..5))
        .chain([complaint(minute(4) + 1000, None)])
        .chain(every_minute(5..8));
    let (folder, _carrier) = recorded(records).await;
    let with = |minimum: u64, more: &[&str]| {
        let complaints = format!("complaints = {{ window = \"24h\", minimum = {minimum}, suspend = \"1%\" }}\n");
        under(&folder, &format!("{FREE}{complaints}"), more)
    };
    assert_eq!(with(1, &[])["decisions"]["forward -> reject"], 5);
    assert_eq!(with(2, &[])["decisions"]["forward -> reject"], 3, "the repeated one counts for nobody");
    assert_eq!(with(3, &[])["changed"], 0);
    let since = ["--since", "2026-03-03T09:04:30+08:00"];
    assert_eq!(with(2, &since)["decisions"]["forward -> reject"], 3, "the first was before");
}
