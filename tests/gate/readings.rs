//! Numbers are shown masked, whole with a flag, and who looked at what is on record.

use std::fs;

use portcullis::admin::api::{Line, Request};
use portcullis::gate::evidence::Query;
use portcullis::gate::readings::FoundReading;
use serde_json::Value;

use crate::gate::{Folder, Gate};
use crate::outage::{give_back, take_away};
use crate::provider::OK;
use crate::stage::{REGISTER, SILENT, Stage, WILLING, notice, offer, sent};

/// The subscriber's number without its country code, and as it is shown.
const OWN: &str = "13800138001";
const MASKED: &str = "138****8001";

/// One message to the willing and one to the silent.
async fn with_messages() -> Stage {
    let stage = Stage::new().await;
    stage.consent(WILLING);
    let mut herald = stage.herald().await;
    assert_eq!(sent(&mut herald, offer(WILLING)).await.0, OK);
    assert_eq!(sent(&mut herald, notice(SILENT)).await.0, OK);
    stage
}

fn readings(folder: &Folder, more: &[&str]) -> Vec<FoundReading> {
    let said = folder.run(&[&["access", "list", "--whole", "--json"], more].concat()).ok();
    said.lines().map(|line| serde_json::from_str(line).expect("a reading")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_masks_the_subscribers_number_unless_told_otherwise() {
    let Stage { gate, folder, .. } = with_messages().await;
    let record = folder.sent_to(WILLING).remove(0).id;
    let about = portcullis::clock::wall().to_string();
    let commands: [&[&str]; 9] = [
        &["journal", "find", "--to", WILLING],
        &["journal", "find", "--to", WILLING, "--json"],
        &["explain", &record],
        &["explain", &record, "--json"],
        &["consent", "show", WILLING],
        &["consent", "show", WILLING, "--json"],
        &["consent", "export"],
        &["journal", "find", "--sessions", "--json"],
        &["complaint", "open", "--msisdn", WILLING, "--about", &about, "--json"],
    ];
    let look = || {
        for command in commands {
            let masked = folder.run(command).ok();
            assert!(masked.contains(MASKED) && !masked.contains(OWN), "{command:?}: {masked}");
            let whole = folder.run(&[command, &["--whole"]].concat()).ok();
            assert!(whole.contains(OWN) && !whole.contains(MASKED), "{command:?}: {whole}");
        }
    };
    look();
    assert!(gate.stop().success());
    // On the store itself.
    look();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_looked_at_a_number_is_told_whether_a_gate_ran_or_not() {
    let stage = with_messages().await;
    let folder = &stage.folder;
    let user = rustix::process::getuid().as_raw();
    folder.run(&["journal", "find", "--to", OWN, "--since", "2026-01-01"]).ok();
    folder.run(&["consent", "show", WILLING, "--whole"]).ok();
    folder.run(&["journal", "find", "--to", SILENT]).ok();
    // Whoever speaks to the socket gets whole numbers, and it says so.
    let asked = folder.ask(&Request::Find(Query { to: Some(WILLING.to_owned()), ..Query::default() }));
    assert!(asked.iter().any(|line| matches!(line, Line::Found(_))));

    let mut told = readings(folder, &["--to", OWN]);
    assert_eq!(told.remove(0).what, "consent grant", "which looks whether it stands");
    let shown: Vec<_> = told.iter().map(|reading| (reading.what.as_str(), reading.whole, reading.results)).collect();
    let expected = [("journal find", false, Some(1)), ("consent show", true, Some(1)), ("socket: find", true, Some(1))];
    // The question itself is on record before it is answered.
    assert_eq!(shown[..3], expected);
    assert_eq!((shown[3].0, shown.len()), ("access list", 4));
    assert!(told.iter().all(|reading| reading.who.contains(&format!("uid {user}"))), "{told:?}");
    assert_eq!(told[0].query, format!("--to {MASKED} --since 2026-01-01"));

    let printed = folder.run(&["access", "list", "--to", OWN]).ok();
    assert!(printed.contains("whole numbers") && printed.contains("1 results") && !printed.contains(OWN), "{printed}");
    let nobody = folder.run(&["access", "list", "--who", "nobody at all"]).ok();
    assert_eq!(nobody, "");

    let Stage { gate, folder, .. } = stage;
    assert!(gate.stop().success());
    folder.run(&["consent", "export"]).ok();
    let last = readings(&folder, &[]);
    let last = &last[last.len() - 2];
    assert_eq!((last.what.as_str(), last.whole, last.results), ("consent export", false, Some(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_recorded_is_not_shown_whole() {
    let stage = with_messages().await;
    let folder = &stage.folder;
    let journal = folder.config().data.join("journal");
    let away = take_away(&journal);
    let mut herald = stage.herald().await;
    assert_eq!(sent(&mut herald, notice(SILENT)).await.0, OK);
    stage.gate.await_log("the journal cannot write; entries wait in memory");

    let masked = folder.run(&["consent", "show", WILLING]);
    assert_eq!(masked.code, Some(0), "{}", masked.stderr);
    assert!(masked.stdout.contains(MASKED), "{}", masked.stdout);
    assert!(masked.stderr.contains("not on record"), "{}", masked.stderr);
    let whole = folder.run(&["consent", "show", WILLING, "--whole"]);
    assert_eq!((whole.code, whole.stdout.as_str()), (Some(1), ""));
    assert!(whole.stderr.contains("--whole"), "{}", whole.stderr);

    give_back(&journal, &away);
    stage.gate.await_log("the journal writes again");
    folder.run(&["consent", "show", WILLING, "--whole"]).ok();
    // The masked one waited in memory and is on record now.
    let told: Vec<_> = readings(folder, &["--to", WILLING]).into_iter().map(|r| (r.what, r.whole)).collect();
    assert!(told.contains(&("consent show".to_owned(), false)) && told.contains(&("consent show".to_owned(), true)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_masked_number_is_no_number() {
    let stage = with_messages().await;
    let commands: [&[&str]; 4] = [
        &["journal", "find", "--to", MASKED],
        &["consent", "show", MASKED],
        &["consent", "grant", "--sender", "bakery", "--msisdn", MASKED],
        &["access", "list", "--to", MASKED],
    ];
    for command in commands {
        let said = stage.folder.run(command);
        assert_eq!(said.code, Some(1), "{command:?}");
        assert!(said.stderr.contains("is a masked number") && said.stderr.contains("whole"), "{}", said.stderr);
    }
    let row = format!(
        "msisdn,sender,category,status,at,method,evidence,expires_at\n{MASKED},bakery,,refusal,2026-01-01,web,x,\n"
    );
    let said = stage.folder.feed(&["consent", "import", "-"], &row);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("is a masked number"), "{}", said.stderr);
}

/// The changes of a kind, by `journal find --sessions`.
fn changes(folder: &Folder, what: &str) -> Vec<Value> {
    let said = folder.run(&["journal", "find", "--sessions", "--json"]).ok();
    let all = said.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    all.filter(|found| found["kind"] == "change" && found["what"] == what).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_beside_messages_is_on_record() {
    let stage = Stage::new().await;
    let (folder, carrier) = (stage.folder, stage.carrier);
    folder.run(&["consent", "refuse", "--msisdn", SILENT, "--sender", "bakery", "--method", "counter"]).ok();
    let file = folder.path().join("consents.csv");
    let rows = "msisdn,sender,category,status,at,method,evidence,expires_at\n13800138003,bakery,,consent,2026-01-01,web,form 7,\nx,,,,,,,\n";
    fs::write(&file, rows).expect("a file");
    assert_eq!(folder.run(&["consent", "import", file.to_str().expect("UTF-8")]).code, Some(1), "a row is faulty");
    folder.write_register(&format!("{REGISTER}\nmode = 7\n"));
    stage.gate.await_log("the register keeps its last good state");
    folder.write_register(&format!("{REGISTER}\n# another one\n"));
    stage.gate.await_log("register reloaded");
    assert!(stage.gate.stop().success());
    folder.configure("drain_timeout = \"9s\"", carrier.address(), "");
    let again: Gate = folder.start();

    let one = |what: &str| -> Value {
        let mut found = changes(&folder, what);
        assert_eq!(found.len(), 1, "{what}: {found:?}");
        found.remove(0)
    };
    let refused = one("refuse");
    assert_eq!(refused["subscriber"], "86138****8002");
    assert_eq!((&refused["about"], &refused["details"]["method"]), (&"bakery".into(), &"counter".into()));
    let who = format!("uid {}", rustix::process::getuid().as_raw());
    assert!(refused["who"].as_str().is_some_and(|name| name.contains(&who)), "{refused}");

    let import = changes(&folder, "import");
    assert_eq!(import.len(), 2, "its beginning and its end: {import:?}");
    assert_eq!(import[0]["outcome"], "begun");
    let sum = ring::digest::digest(&ring::digest::SHA256, rows.as_bytes());
    assert_eq!(import[1]["details"]["sha256"], data_encoding::HEXLOWER.encode(sum.as_ref()));
    let counted = ["rows", "changed", "faulty"].map(|name| import[1]["details"][name].as_str().unwrap_or_default());
    assert_eq!(counted, ["2", "1", "1"]);

    let register = changes(&folder, "register");
    assert_eq!(register.len(), 2, "{register:?}");
    assert!(register[0]["outcome"].as_str().is_some_and(|outcome| outcome.starts_with("refused")));
    assert!(register[0]["details"]["faults"].as_str().is_some_and(|faults| faults.contains("register.toml:")));
    assert_ne!(register[1]["details"]["version"], register[1]["details"]["version-before"]);

    let (starts, stop, configurations) = (changes(&folder, "start"), one("stop"), changes(&folder, "configuration"));
    assert_eq!((starts.len(), stop["outcome"].as_str()), (2, Some("drained")));
    assert_eq!(configurations.len(), 2, "the first, and another one: {configurations:?}");
    assert_eq!(configurations[1]["details"]["sha256-before"], configurations[0]["details"]["sha256"]);
    drop(again);
}
