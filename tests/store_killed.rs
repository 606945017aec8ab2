//! What a store was doing when it was killed: whatever it was, all opens afterwards, nothing that was acknowledged
//! is lost, and what was cut short is finished or begun anew.
//!
//! A child process does it on a machine that kills it in place of a change to the disk, one after the other
//! (PORTCULLIS_KILLS and PORTCULLIS_KILL_SEED: see `support/kills.rs`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

#[path = "store_killed/backups.rs"]
mod backups;
#[path = "store_killed/consents.rs"]
mod consents;
#[path = "store/days.rs"]
#[expect(dead_code, reason = "each of the programs that share this uses its own part")]
mod days;
#[path = "store_killed/journal.rs"]
mod journal;
#[path = "store_killed/keyring.rs"]
mod keyring;
#[path = "support/kills.rs"]
#[expect(dead_code, reason = "each of the programs that share this uses its own part")]
mod kills;
#[path = "support/machine.rs"]
mod machine;
#[path = "store/records.rs"]
mod records;

use kills::Kills;
use machine::Machine;

/// Kills of each scene, where the environment says nothing else.
const ROUNDS: usize = 6;

/// Set in the child: what it does, and where.
const SCENE: &str = "STORE_KILLED_SCENE";
const FOLDER: &str = "STORE_KILLED_FOLDER";

/// What the child says when something is acknowledged.
const ACKNOWLEDGED: &str = "acknowledged ";

/// Something that is cut short.
struct Scene {
    name: &'static str,
    /// About how many changes to the disk it makes.
    changes: usize,
    prepare: fn(&Path),
    /// The child's part.
    act: fn(&Path),
    /// What must be true afterwards, so many having been acknowledged.
    check: fn(&Path, usize),
}

const SCENES: [&[Scene]; 4] = [&journal::SCENES, &consents::SCENES, &keyring::SCENES, &backups::SCENES];

/// Tells the parent that so many are acknowledged.
fn acknowledge(many: usize) {
    println!("\n{ACKNOWLEDGED}{many}");
}

#[test]
fn child_acts_until_it_is_killed() {
    let (Ok(name), Some(folder)) = (std::env::var(SCENE), std::env::var_os(FOLDER)) else { return };
    let scene = SCENES.into_iter().flatten().find(|scene| scene.name == name).unwrap();
    (scene.act)(Path::new(&folder));
}

/// One at a time: a process that is being spawned holds the locks of all stores that are open here.
static ONE: Mutex<()> = Mutex::new(());

/// Plays a scene, killed in place of one change after the other, until it comes to its end.
fn play(name: &str) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let scene = SCENES.into_iter().flatten().find(|scene| scene.name == name).unwrap();
    let home = tempfile::tempdir().unwrap();
    let (template, folder) = (home.path().join("template"), home.path().join("folder"));
    fs::create_dir(&template).unwrap();
    (scene.prepare)(&template);
    let machine = Machine::new(home.path());
    let mut changes = Kills::announced(ROUNDS).changes(scene.changes);
    loop {
        days::copy(&template, &folder);
        machine.behaves(&format!("kill {} {}", changes.next(), folder.display()));
        let (killed, acknowledged) = run(&machine, scene, &folder, &mut changes);
        (scene.check)(&folder, acknowledged);
        fs::remove_dir_all(&folder).unwrap();
        if !killed {
            return changes.tell(scene.name);
        }
    }
}

fn run(machine: &Machine, scene: &Scene, folder: &PathBuf, changes: &mut kills::Changes) -> (bool, usize) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child_acts_until_it_is_killed", "--nocapture"]);
    command.env(SCENE, scene.name).env(FOLDER, folder).stdout(Stdio::piped());
    let mut child = machine.load(&mut command).spawn().unwrap();
    let killed = changes.cut(kills::ended(&mut child));
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    let last = said.lines().filter_map(|line| line.strip_prefix(ACKNOWLEDGED)).next_back();
    (killed, last.map_or(0, |many| many.parse().unwrap()))
}
