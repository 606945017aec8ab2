//! The master key: where it may come from, that it is asked for, and that it can be changed.

use std::fs;

use portcullis::simulator::Simulator;

use crate::gate::Folder;
use crate::provider::Provider;
use crate::stage::{Stage, WILLING, notice, sent};

/// A configuration that names a master key's file of its own.
fn name_master(folder: &Folder, carrier: &Simulator, file: &str) {
    folder.configure("", carrier.address(), &format!("[keys]\nmaster = \"{file}\""));
}

fn master_of(folder: &Folder) -> String {
    let ring: serde_json::Value =
        serde_json::from_str(&folder.run(&["keys", "list", "--json"]).ok()).expect("the keys as JSON");
    ring["master"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_key_is_made_beside_the_data_where_none_is_named_and_said_so() {
    let stage = Stage::new().await;
    stage.gate.await_log("a master key was made beside the data");
    let file = stage.folder.config().data.join("keys/master");
    let text = fs::read_to_string(&file).expect("the master key");
    assert_eq!(text.trim().len(), 64);
    assert!(!stage.folder.run(&["keys", "list"]).ok().contains(text.trim()), "a key is never shown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_key_is_changed_under_a_running_gate_and_the_next_start_asks_for_it() {
    let Stage { gate, folder, carrier } = Stage::new().await;
    let mut provider = Provider::bound(gate.address, "herald", "s3cret").await;
    sent(&mut provider, notice(WILLING)).await;
    let new = folder.path().join("new.key");
    // This command has no configuration.
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis")).args(["keys", "new"]).arg(&new).output();
    assert!(made.expect("the command").status.success());
    let old = master_of(&folder);
    let said = folder.run(&["keys", "rotate", "--to", new.to_str().expect("UTF-8")]).ok();
    let now = master_of(&folder);
    assert_ne!(old, now);
    assert!(said.contains(&now), "{said}");
    sent(&mut provider, notice(WILLING)).await;
    drop(provider);
    gate.stop();

    // The file beside the data was changed with the keys: a start without a name finds it.
    let gate = folder.start();
    assert_eq!(folder.sent_to(WILLING).len(), 2);
    gate.stop();

    fs::write(folder.path().join("wrong.key"), "0".repeat(64)).expect("a file");
    name_master(&folder, &carrier, "wrong.key");
    let refused = folder.run(&["journal", "find"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("was wrapped by the master key"), "{}", refused.stderr);
    name_master(&folder, &carrier, "new.key");
    let _gate = folder.start();
    assert_eq!(folder.sent_to(WILLING).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_key_that_is_none_is_named_with_its_source() {
    let stage = Stage::new().await;
    name_master(&stage.folder, &stage.carrier, "nowhere.key");
    let said = stage.folder.run(&["check"]);
    assert_ne!(said.code, Some(0));
    let told = format!("{}{}", said.stdout, said.stderr);
    assert!(told.contains("portcullis.toml:") && told.contains("keys.master"), "{told}");
    assert!(told.contains("nowhere.key is no file"), "{told}");
}
