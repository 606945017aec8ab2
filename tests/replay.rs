//! Replaying the journal: real traffic of every kind, judged again under the same and under other profiles.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[path = "replay/measured.rs"]
mod measured;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "explain/scene.rs"]
mod scene;

use std::fs;

use jiff::Timestamp;
use portcullis::gate::evidence::Query;
use portcullis::gate::record::{self, Content, List, Name, Origin, Outcome, Record, Submission, WireAddress};
use portcullis::simulator::Simulator;
use portcullis_protocol::{CommandId, CommandStatus};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use gate::{Folder, PATIENCE, messages};
use provider::{OK, submit};
use scene::{ASK, COMMERCIAL, LAPSED, NO_PHONE, OFFER, SILENT, Scene, UNWILLING, WILLING, register};

fn replay(folder: &Folder, arguments: &[&str]) -> Value {
    let all: Vec<&str> = ["replay", "--json"].into_iter().chain(arguments.iter().copied()).collect();
    serde_json::from_str(&folder.run(&all).ok()).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_changes_under_the_same_profile_and_register() {
    let mut scene = Scene::new().await;
    let judged = scene.send_rulebook().await + scene.send_operations().await;
    let (turned_away, incomplete) = scene.send_unjudged().await;
    assert!(judged > 500, "{judged} messages");
    let carried = scene.carrier.received_of(CommandId::SUBMIT_SM).len();
    let recorded = messages(scene.folder.find(Query::default())).len();

    let report = replay(&scene.folder, &[]);
    assert_eq!(report["changed"], 0, "{report:#}");
    assert_eq!(report["unchanged"], judged, "{report:#}");
    assert_eq!(report["messages"], judged + turned_away + incomplete);
    assert_eq!(report["looked_up"], 0, "every record says what was known");
    assert_eq!(report["unjudged"]["turned away before the rules"], turned_away);
    assert_eq!(report["unjudged"]["never whole"], incomplete);
    assert_eq!(scene.carrier.received_of(CommandId::SUBMIT_SM).len(), carried, "nothing is sent");
    assert_eq!(messages(scene.folder.find(Query::default())).len(), recorded, "nothing is recorded");

    let Scene { folder, gate, provider, carrier: _carrier, .. } = scene;
    drop(provider);
    assert!(gate.stop().success());
    assert_eq!(replay(&folder, &[]), report, "on the store as through the gate");
    let text = folder.run(&["replay"]).ok();
    assert!(text.contains(&format!("unchanged {judged}")) && text.contains("changed   0"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_profile_or_register_would_change_is_told() {
    let mut scene = Scene::new().await;
    let sent = [(WILLING, OFFER), (WILLING, NO_PHONE), (SILENT, OFFER), (UNWILLING, OFFER), (LAPSED, OFFER)];
    for (to, text) in sent {
        scene.send(submit(COMMERCIAL, to, text)).await;
    }
    let older = replay(&scene.folder, &["--profile", "cn-2015-31"]);
    assert_eq!(older["decisions"]["reject -> forward"], 1, "{older:#}");
    assert_eq!(older["rules"]["R06"]["no_longer_failing"], 1);
    assert_eq!(older["ports"][COMMERCIAL]["reject -> forward"], 1);
    assert_eq!(older["senders"]["qinghe"]["reject -> forward"], 1);
    assert_eq!(older["classes"]["commercial"]["reject -> forward"], 1);
    assert_eq!(older["examples"][0]["destination"], "139****1111");
    assert!(older["examples"][0]["gone"][0].as_str().is_some_and(|gone| gone.starts_with("R06: ")));
    assert!(!older.to_string().contains(WILLING), "no number in full");

    let own = scene.folder.path().join("own.toml");
    fs::write(&own, "R06 = \"observe\"\nR09 = \"off\"\nR11 = \"enforce\"\n").expect("a profile");
    let own = replay(&scene.folder, &["--profile", own.to_str().expect("a path")]);
    assert_eq!(own["decisions"]["reject -> forward"], 3, "{own:#}");
    assert_eq!(own["rules"]["R06"]["newly_noted"], 1);
    assert_eq!(own["rules"]["R09"]["no_longer_failing"], 2);
    assert_eq!(own["unchanged"], 2, "the one that passed and the one that was refused");

    let next = scene.folder.path().join("next.toml");
    fs::write(&next, register().replacen("id = \"qinghe\"", "id = \"qinghe\"\nactive = false", 1)).expect("a register");
    let next = replay(&scene.folder, &["--register", next.to_str().expect("a path")]);
    assert_eq!(next["rules"]["R04"]["newly_failing"], 5, "{next:#}");
    assert_eq!(next["decisions"]["forward -> reject"], 1);
    assert_eq!(next["decisions"]["reject -> reject"], 4);

    let limited = replay(&scene.folder, &["--profile", "cn-2015-31", "--limit", "2", "--examples", "0"]);
    assert_eq!((&limited["messages"], &limited["changed"]), (&2.into(), &1.into()));
    assert!(limited["examples"].as_array().is_some_and(Vec::is_empty));
    let never = replay(&scene.folder, &["--until", "2020-01-01"]);
    assert_eq!(never["messages"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_known_then_counts_and_not_what_was_said_since() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.send(submit(COMMERCIAL, WILLING, OFFER)).await, OK);
    let refuse = ["consent", "refuse", "--msisdn", WILLING, "--sender", "qinghe", "--at", "2026-03-01T00:00:00Z"];
    scene.folder.run(&refuse).ok();
    assert_eq!(replay(&scene.folder, &[])["changed"], 0, "the refusal was not known when the message came");
}

/// Frequency, the one request that may be made, and measures hang on what went before: that counts as it did then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_counted_then_is_taken_over() {
    let rules = "[profile]\nR12 = \"enforce\"\nR19 = \"enforce\"\nfrequency = \"1/day\"";
    let mut scene = Scene::with(rules).await;
    assert_eq!(scene.send(submit(COMMERCIAL, WILLING, OFFER)).await, OK);
    let second = OFFER.replace("水果", "蔬菜");
    assert_eq!(scene.send(submit(COMMERCIAL, WILLING, &second)).await, CommandStatus(0x048D), "one a day");
    assert_eq!(scene.send(submit(COMMERCIAL, SILENT, ASK)).await, OK, "a complete request");
    let again = ASK.replace("每周", "每天");
    assert_eq!(scene.send(submit(COMMERCIAL, SILENT, &again)).await, CommandStatus(0x048C), "asked before");
    let suspend = ["measures", "suspend", "port", COMMERCIAL, "--reason", "a test"];
    scene.folder.run(&suspend).ok();
    assert_eq!(scene.send(submit(COMMERCIAL, LAPSED, OFFER)).await, CommandStatus(0x0481));
    let report = replay(&scene.folder, &[]);
    assert_eq!((&report["messages"], &report["changed"]), (&5.into(), &0.into()), "{report:#}");
    let suspended = scene.last_to(LAPSED);
    assert!(suspended.findings.iter().any(|finding| finding.rule == "R25"), "{suspended:?}");

    let without = scene.folder.path().join("without.toml");
    fs::write(&without, "R12 = \"enforce\"\nR19 = \"off\"\nR25 = \"observe\"\n").expect("a profile");
    let report = replay(&scene.folder, &["--profile", without.to_str().expect("a path")]);
    assert_eq!(report["rules"]["R19"]["no_longer_failing"], 2, "{report:#}");
    assert_eq!(report["rules"]["R25"]["newly_noted"], 1, "{report:#}");
}

/// A message of 3 March 2026, so many minutes past nine in Shanghai, that the carrier was given.
fn forwarded<'a>(minute: i64, to: &'a str, text: &'a str) -> Submission<'a> {
    let nine: Timestamp = "2026-03-03T09:00:00+08:00".parse().expect("a time");
    let at_ms = nine.as_millisecond() + minute * 60_000;
    Submission { content: Content::Text(text.into()), profile: "another".into(), ..older(at_ms, to, "forward", 0) }
}

fn outcome<'a>(of: &Submission<'a>, name: Name, what: &'a str, status: u32) -> Record<'a> {
    Record::Outcome(Outcome {
        at_ms: of.received_ms + 1000,
        subscriber: "".into(),
        port: "".into(),
        message_id: None,
        of: name,
        forwarded_ms: of.received_ms,
        outcome: what.into(),
        status,
    })
}

/// What another profile allows is counted over what went out, and not over what the carrier refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_frequency_is_counted_again() {
    let Scene { folder, gate, provider, carrier: _carrier, .. } = Scene::new().await;
    drop(provider);
    assert!(gate.stop().success());
    let other = OFFER.replace("水果", "蔬菜");
    const HOURS: i64 = 60;
    // Minute, to whom, text, how it ended.
    let sent = [
        (-26 * HOURS, WILLING, OFFER, Some(("answered", 0))), // Of the week, not of the day.
        (0, WILLING, OFFER, Some(("answered", 0))),
        (1, SILENT, OFFER, Some(("answered", 0))),
        (2, WILLING, OFFER, Some(("answered", 0x0B))), // Refused: counts for nobody.
        (3, WILLING, &other, Some(("carrier-lost", 0x08))),
        (4, WILLING, &other, Some(("answered", 0))), // The same again, in its place.
        (5, SILENT, OFFER, Some(("answered", 0))),
        (6, WILLING, OFFER, None),
    ];
    let journal = folder.journal();
    for (minute, to, text, end) in sent {
        let message = forwarded(minute, to, text);
        let ticket = journal.append(Record::Submission(message.clone()).encode(Vec::new())).expect("room");
        if let Some((what, status)) = end {
            let outcome = outcome(&message, record::name(ticket.id), what, status);
            journal.append(outcome.encode(Vec::new())).expect("room");
        }
    }
    drop(journal);
    let under = |settings: &str, more: &[&str]| {
        let profile = folder.path().join("frequency.toml");
        let mode = if settings.contains("R19") { "" } else { "R19 = \"enforce\"" };
        fs::write(&profile, format!("R09 = \"off\"\n{mode}\n{settings}\n")).expect("a profile");
        replay(&folder, &[&["--profile", profile.to_str().expect("a path")], more].concat())
    };

    let free = under("", &[]);
    assert_eq!(
        (&free["messages"], &free["changed"], &free["recounted"]),
        (&8.into(), &0.into(), &8.into()),
        "{free:#}"
    );
    let twice = under("frequency = \"2/day\"", &[]);
    assert_eq!(twice["rules"]["R19"]["newly_failing"], 1, "the last to WILLING: {twice:#}");
    assert_eq!(twice["decisions"]["forward -> reject"], 1);
    let once = under("frequency = \"1/day\"", &[]);
    assert_eq!(once["rules"]["R19"]["newly_failing"], 5, "{once:#}");
    let weekly = under("frequency = \"2/week\"", &[]);
    assert_eq!(weekly["rules"]["R19"]["newly_failing"], 4, "the first of Monday counts: {weekly:#}");
    let observed = under("frequency = \"1/day\"\nR19 = \"observe\"", &[]);
    assert_eq!(observed["rules"]["R19"]["newly_noted"], 5, "{observed:#}");
    assert_eq!(under("frequency = \"1/day\"\nR19 = \"off\"", &[])["changed"], 0);

    // What went out before the first that is judged counts as well.
    let since = ["--since", "2026-03-03T09:05:30+08:00"];
    let last = under("frequency = \"2/day\"", &since);
    assert_eq!((&last["messages"], &last["changed"]), (&1.into(), &1.into()), "{last:#}");
    assert_eq!(last["counted_since"], "2026-03-02T16:00:00Z");
    assert_eq!(under("frequency = \"3/day\"", &since)["changed"], 0);
    assert_eq!(under("frequency = \"3/week\"", &since)["changed"], 1);
    assert_eq!(under("frequency = \"4/week\"", &since)["changed"], 0);

    let profile = folder.path().join("frequency.toml");
    let told = folder.run(&["replay", "--profile", profile.to_str().expect("a path"), since[0], since[1]]).ok();
    assert!(told.contains("counted again, messages from 2026-03-02 00:00:00 on"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_changed_meanwhile_is_named() {
    let Scene { folder, gate, provider, carrier: _carrier, .. } = Scene::new().await;
    drop(provider);
    assert!(gate.stop().success());
    let journal = folder.journal();
    let list = |minute: i64, added| {
        let at_ms = forwarded(minute, WILLING, OFFER).received_ms;
        let (name, file) = ("national".into(), "list.csv".into());
        Record::List(List { at_ms, name, file, numbers: 5, prefixes: 0, added, removed: 0 })
    };
    let records = [list(0, 4), Record::Submission(forwarded(1, WILLING, OFFER)), list(2, 0), list(3, 1)];
    for record in records {
        journal.append(record.encode(Vec::new())).expect("room");
    }
    drop(journal);
    let report = replay(&folder, &[]);
    let lists = report["lists"].as_array().expect("a list");
    assert_eq!(
        lists.len(),
        1,
        "before the first message nothing is missing, and the second changed nothing: {report:#}"
    );
    assert_eq!((&lists[0]["name"], &lists[0]["added"]), (&"national".into(), &1.into()));
    let told = folder.run(&["replay"]).ok();
    assert!(told.contains("do-not-disturb list national changed at 2026-03-03 09:03:00: 1 new, 0 gone"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_without_grounds_is_judged_by_what_the_consents_knew() {
    let Scene { folder, gate, provider, carrier: _carrier, .. } = Scene::new().await;
    drop(provider);
    assert!(gate.stop().success());
    let journal = folder.journal();
    let now = portcullis::clock::wall().as_millisecond();
    for (to, verdict, status) in [(WILLING, "forward", 0), (SILENT, "reject", 0x481)] {
        let record = Record::Submission(older(now, to, verdict, status));
        journal.append(record.encode(Vec::new())).expect("room");
    }
    drop(journal);
    let report = replay(&folder, &[]);
    assert_eq!((&report["messages"], &report["looked_up"]), (&2.into(), &2.into()), "{report:#}");
    let findings = &report["rules"]["R09"];
    assert_eq!(findings["newly_failing"], 1, "the older record names no finding: {report:#}");
    assert_eq!(report["unchanged"], 1, "who agreed still may be sent to");
    assert_eq!(report["undeclared"], 0);

    let declaring = "system_id = \"agg1\"\nclass_tlv = { tag = \"0x1400\", values = { promo = \"commercial\" } }";
    let next = folder.path().join("declaring.toml");
    fs::write(&next, register().replacen("system_id = \"agg1\"", declaring, 1)).expect("a register");
    let arguments = ["replay", "--register", next.to_str().expect("a path")];
    let told = folder.run(&arguments).ok();
    assert!(told.contains("2 without the class that their provider may have declared"), "{told}");
}

fn older<'a>(at_ms: i64, to: &'a str, verdict: &'a str, status: u32) -> Submission<'a> {
    Submission {
        received_ms: at_ms,
        source: WireAddress { ton: 0, npi: 1, addr: COMMERCIAL.into() },
        destination: WireAddress { ton: 1, npi: 1, addr: to.into() },
        msisdn: to.parse().ok(),
        origin: Origin { provider: "agg1".into(), session: 1, peer: "127.0.0.1:1".into() },
        command_id: 4,
        sequence_number: 1,
        port: Some((COMMERCIAL.into(), "commercial".into())),
        sender: Some("qinghe".into()),
        class: "commercial".into(),
        service_type: "".into(),
        flags: (0, 8, 0),
        part: None,
        content: Content::Text(OFFER.into()),
        verdict: verdict.into(),
        status,
        findings: Vec::new(),
        profile: "cn-2020-draft".into(),
        register: "".into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_arguments_are_told_and_an_interrupt_ends_it() {
    let scene = Scene::new().await;
    let said = scene.folder.run(&["replay", "--profile", "cn-2099"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("cn-2099") && said.stderr.contains("cn-2020-draft"), "{}", said.stderr);
    let faulty = scene.folder.path().join("faulty.toml");
    fs::write(&faulty, "R05 = \"enforced\"\n").expect("a profile");
    let said = scene.folder.run(&["replay", "--profile", faulty.to_str().expect("a path")]);
    assert!(said.stderr.contains("faulty.toml:1: R05") && said.stderr.contains("enforce"), "{}", said.stderr);
    let said = scene.folder.run(&["replay", "--since", "2026-02-02", "--until", "2026-02-01"]);
    assert!(said.code == Some(1) && said.stderr.contains("before"), "{}", said.stderr);
    assert_eq!(scene.folder.run(&["replay", "--nonsense"]).code, Some(2));

    // Each of these is looked up, which takes far longer than an interrupt.
    let Scene { folder, gate, provider, carrier: _carrier, .. } = scene;
    drop(provider);
    assert!(gate.stop().success());
    let journal = folder.journal();
    let now = portcullis::clock::wall().as_millisecond();
    let payload = Record::Submission(older(now, SILENT, "reject", 0x481)).encode(Vec::new());
    for _ in 0..100_000 {
        journal.append(&payload).expect("room");
    }
    drop(journal);
    let child = folder.command(&["replay"]).stdout(std::process::Stdio::piped()).spawn().expect("the command");
    let pid = Pid::from_child(&child);
    await_thread(child.id(), "interrupt");
    kill_process(pid, Signal::INT).expect("a process to interrupt");
    let output = child.wait_with_output().expect("its end");
    let (told, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{told}{why}");
    assert!(told.contains("messages judged again") && why.contains("interrupted"), "{told}{why}");
}

/// Waits until a process has a thread of this name.
fn await_thread(process: u32, name: &str) {
    let end = portcullis::clock::monotonic() + PATIENCE;
    let has =
        |task: &fs::DirEntry| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name);
    loop {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("a process");
        if tasks.flatten().any(|task| has(&task)) {
            return;
        }
        assert!(portcullis::clock::monotonic() < end, "no thread {name}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
