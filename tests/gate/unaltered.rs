//! `journal verify` and `journal heads`: through a running gate, on a closed store, and on a copy of it.

use std::fs;

use crate::gate::Folder;
use crate::provider::Provider;
use crate::stage::{Stage, WILLING, notice, sent};

fn verified(folder: &Folder, more: &[&str]) -> String {
    folder.run(&[&["journal", "verify"], more].concat()).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_is_verified_while_the_gate_runs_and_after() {
    let Stage { gate, folder, carrier } = Stage::new().await;
    let mut provider = Provider::bound(gate.address, "herald", "s3cret").await;
    for _ in 0..3 {
        sent(&mut provider, notice(WILLING)).await;
    }
    let running = verified(&folder, &[]);
    assert!(running.contains("0 heads, 1 days with"), "{running}");
    drop(provider);
    gate.stop();
    let stopped = verified(&folder, &["--json"]);
    let found: serde_json::Value = serde_json::from_str(&stopped).expect("JSON");
    assert_eq!((found["days"].as_u64(), found["faults"].as_u64()), (Some(1), Some(0)));
    assert!(found["entries"].as_u64() >= Some(6), "{stopped}");
    assert_eq!(folder.run(&["journal", "heads"]).ok(), "");
    drop(carrier);

    // How far it had come was signed when the gate stopped: a journal begun anew does not pass for it.
    let data = folder.config().data;
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).expect("a folder");
    for part in ["keys", "heads"] {
        fs::create_dir(copy.join(part)).expect("a folder");
        for entry in fs::read_dir(data.join(part)).expect("the folder").flatten() {
            fs::copy(entry.path(), copy.join(part).join(entry.file_name())).expect("a copy");
        }
    }
    fs::create_dir(copy.join("journal")).expect("a folder");
    let said = folder.run(&["journal", "verify", "--data", copy.to_str().expect("UTF-8")]);
    assert_eq!(said.code, Some(1), "{}", said.stdout);
    assert!(said.stdout.contains("the day is missing"), "{}", said.stdout);
}
