//! Every script of testdata/session, played in virtual time.
//!
//! A script says what both peers and the gate do, and everything the relay does in return:
//! an action it does not name, a missing one, or one at another time fails. The form of the
//! lines is described in testdata/session/README.md.

#[path = "relay_conversations/pdu.rs"]
mod pdu;
#[path = "relay_conversations/stage.rs"]
mod stage;

use std::path::{Path, PathBuf};

use stage::Stage;

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/session");
    let entries = std::fs::read_dir(folder).expect("the folder of scripts");
    let mut scripts: Vec<_> = entries.map(|entry| entry.expect("an entry of it").path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    scripts.sort();
    scripts
}

fn play(script: &str) -> Result<(), String> {
    let mut stage = Stage::default();
    for (number, line) in script.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            stage.play(line).map_err(|fault| format!("line {}: {line}\n    {fault}", number + 1))?;
        }
    }
    stage.finish()
}

#[test]
fn every_conversation_goes_as_written() {
    let scripts = scripts();
    assert!(scripts.len() >= 40, "only {} scripts found", scripts.len());
    let mut faults = Vec::new();
    for path in scripts {
        if let Err(fault) = play(&std::fs::read_to_string(&path).unwrap()) {
            faults.push(format!("{}: {fault}", path.file_name().unwrap().display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_script_that_expects_too_much_or_too_little_fails() {
    let bound = "bound transceiver\n1 provider -> enquire_link seq=5\n";
    assert!(play(&format!("{bound}1 provider <- enquire_link_resp seq=5")).is_ok());
    assert!(play(bound).is_err(), "an action the script does not name");
    assert!(play(&format!("{bound}1 provider <- enquire_link_resp seq=6")).is_err(), "another number");
    assert!(play(&format!("{bound}2 provider <- enquire_link_resp seq=5")).is_err(), "another time");
    assert!(play(&format!("{bound}1 carrier <- enquire_link_resp seq=5")).is_err(), "another leg");
    assert!(play("bound transceiver\n1 carrier <- unbind seq=2").is_err(), "an action that does not come");
}
