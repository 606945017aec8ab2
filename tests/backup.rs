//! A backup while the gate is at work: what was answered before it began is in it, once, and a gate
//! comes up from it.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "kill/ledger.rs"]
mod ledger;
#[path = "kill/load.rs"]
mod load;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;

use std::fs;
use std::path::Path;
use std::time::Duration;

use portcullis::admin::api::{Line, Request};
use portcullis::clock;
use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis::store::consents::{Held, Status};
use tokio::time::timeout;

use gate::{Folder, PATIENCE};
use ledger::Ledger;
use load::{Kind, Load, REGISTER, number};

const MESSAGES: u64 = 60_000;

/// Answers before the backup begins.
const BEFORE: u64 = 1_500;

fn consents(folder: &Folder, serials: std::ops::Range<u64>) {
    let held = |serial: u64| Held {
        msisdn: number(0, serial).parse().expect("digits"),
        sender: "bakery".to_owned(),
        category: "marketing".to_owned(),
        status: Status::Consent,
        at_ms: 1_767_574_800_000,
        method: "web".to_owned(),
        evidence: "form 12".to_owned(),
        ..Held::default()
    };
    let rows = serials.filter(|serial| Kind::of(*serial) != Kind::Silent).map(held).collect();
    folder.ask(&Request::Apply(rows));
}

fn held(folder: &Folder) -> usize {
    folder.ask(&Request::Export).iter().filter(|line| matches!(line, Line::Held(_))).count()
}

/// A second folder with the same configuration, its data restored from a backup; the master key comes by its own way.
fn restored(from: &Folder, backup: &Path, carrier: &Simulator) -> Folder {
    let folder = Folder::new(REGISTER, carrier.address());
    let data = folder.config().data;
    let said = folder.plain(&["restore", &backup.to_string_lossy(), "--data", &data.to_string_lossy()]).ok();
    assert!(said.contains("restored from"), "{said}");
    fs::copy(from.config().data.join("keys/master"), data.join("keys/master")).expect("the master key");
    folder
}

/// All records, once what was open at the moment of the backup says that its end is unknown.
fn told(folder: &Folder) -> Ledger {
    let end = clock::monotonic() + PATIENCE;
    loop {
        let ledger = Ledger::read(folder, 0);
        if ledger.untold().is_empty() {
            return ledger;
        }
        assert!(clock::monotonic() < end, "forwards without an outcome: {:?}", ledger.untold());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_comes_up_from_a_backup_made_under_load() {
    let options = SimulatorOptions { latency: Duration::from_millis(2), ..SimulatorOptions::default() };
    let carrier = Simulator::start(options).await.expect("the carrier listens");
    let folder = Folder::new(REGISTER, carrier.address());
    let gate = folder.start();
    consents(&folder, 0..MESSAGES);
    let load = Load::start(gate.address, 50, MESSAGES, 0).await;
    timeout(PATIENCE, load.answered(BEFORE)).await.expect("answers under load");

    let backup = folder.path().join("backup");
    let before = load.so_far();
    let said = folder.run(&["backup", &backup.to_string_lossy(), "--verbose"]).ok();
    assert!(said.contains("journal/") && said.contains("consents/db") && said.contains("sends/db"), "{said}");
    let after = load.so_far().len();
    gate.kill();
    let (_, open) = load.end().await;
    assert!(after > before.len(), "nothing went on while the backup was made");
    assert!(open > 0, "the gate was killed while it was at work");

    folder.plain(&["verify-backup", &backup.to_string_lossy()]).ok();
    let copy = restored(&folder, &backup, &carrier);
    let verified = copy.run(&["journal", "verify"]);
    assert_eq!(verified.code, Some(0), "before any gate: {}{}", verified.stdout, verified.stderr);
    let gate = copy.start();
    let ledger = told(&copy);
    let records = &ledger.messages;
    let faults: Vec<String> = before.iter().filter_map(|answer| ledger.wrong(&copy, answer)).collect();
    assert!(faults.is_empty(), "{} of {}: {}", faults.len(), before.len(), faults[0]);
    let twice: Vec<_> = records.iter().filter(|(_, records)| records.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let expected = (0..MESSAGES).filter(|serial| Kind::of(*serial) != Kind::Silent).count();
    assert_eq!(held(&copy), expected);
    let verified = copy.run(&["journal", "verify"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    eprintln!(
        "{} answered before the backup began, {} records in it, {} forwards with an unknown end",
        before.len(),
        records.len(),
        copy.status().totals.unknown
    );
    drop(gate);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_gate_the_store_itself_is_copied_and_what_is_wrong_is_told() {
    let carrier = Simulator::start(SimulatorOptions::default()).await.expect("the carrier listens");
    let folder = Folder::new(REGISTER, carrier.address());
    let gate = folder.start();
    consents(&folder, 0..60);
    gate.stop();
    let backup = folder.path().join("backup");
    let text = backup.to_string_lossy().into_owned();
    let said = folder.run(&["backup", &text, "--rate", "50"]);
    assert!(said.stderr.contains("the master key is not in it"), "{}", said.stderr);
    assert!(said.ok().contains(" databases and "));
    for name in ["portcullis.toml", "register.toml"] {
        let copied = fs::read_to_string(backup.join("manifest.json")).expect("a manifest");
        assert!(copied.contains(name), "{name} is in {copied}");
    }
    let sums = std::process::Command::new("sha256sum")
        .args(["-c", "--quiet", "SHA256SUMS"])
        .current_dir(&backup)
        .status()
        .expect("sha256sum");
    assert!(sums.success(), "checked without portcullis");

    let copy = restored(&folder, &backup, &carrier);
    let gate = copy.start();
    assert_eq!(held(&copy), (0..60).filter(|serial| Kind::of(*serial) != Kind::Silent).count());
    drop(gate);
    let again = folder.plain(&["restore", &text, "--data", &copy.config().data.to_string_lossy()]);
    assert!(again.code == Some(1) && again.stderr.contains("is not empty"), "{}", again.stderr);
    let nothing = folder.plain(&["verify-backup", &folder.path().to_string_lossy()]);
    assert!(nothing.code == Some(1) && nothing.stderr.contains("holds no whole backup"), "{}", nothing.stderr);
}
