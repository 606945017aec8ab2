//! A gate that is killed at any moment of its very first seconds: the next start comes up, serves, and finds a
//! journal that is whole.
//!
//! Killed by the clock, at a random moment, and in place of each change to the disk, one after the other.
//! PORTCULLIS_KILLS says how often (20; `all` for every change), PORTCULLIS_KILL_SEED repeats a run.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[path = "support/kills.rs"]
mod kills;
#[path = "support/machine.rs"]
mod machine;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "gate/stage.rs"]
mod stage;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{ChildStderr, Stdio};
use std::sync::mpsc;
use std::thread::{self, sleep};
use std::time::Duration;

use portcullis::simulator::Simulator;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

use gate::Folder;
use kills::Kills;
use machine::Machine;
use portcullis_protocol::CommandId;
use provider::{OK, Provider, bind};
use stage::{REGISTER, WILLING, notice, options};

/// Kills of each test, where the environment says nothing else.
const ROUNDS: usize = 20;

/// The longest that a gate is let run before it is killed.
const LONGEST_MS: u64 = 400;

/// Starts of one gate that are cut short, one after the other, at most.
const CUTS: usize = 3;

/// Changes to the disk from a first start to its end, about.
const CHANGES: usize = 160;

/// A start that nobody cuts short: the gate has what was answered `before`, takes a message, records it once, and its
/// journal is whole.
async fn serves(folder: &Folder, before: usize) {
    let gate = folder.start();
    let mut provider = Provider::bound(gate.address, "herald", "s3cret").await;
    assert_eq!(provider.ask(notice(WILLING)).await.command_status(), OK);
    let records = folder.sent_to(WILLING);
    // A message that was not answered may be on record.
    assert!((before + 1..=2).contains(&records.len()), "{before} before: {records:?}");
    drop(provider);
    let ended = gate.stop();
    assert!(ended.success(), "{ended}");
    let verified = folder.run(&["journal", "verify"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
}

/// Where a gate listens; `None` if it ends before it does.
fn listening(log: ChildStderr) -> Option<SocketAddr> {
    let (tell, told) = mpsc::sync_channel(1);
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if let Some((_, address)) = line.rsplit_once("listening address=") {
                // Read on, so that the log never fills its pipe.
                tell.send(address.trim().parse().expect("an address")).ok();
            }
        }
    });
    told.recv_timeout(gate::PATIENCE).ok()
}

/// Binds and sends a message, as far as the gate lives.
async fn send_one(address: SocketAddr) -> Option<()> {
    let stream = TcpStream::connect(address).await.ok()?;
    let local = stream.local_addr().ok()?;
    let mut provider = Provider::over(Box::new(stream), local);
    for request in [bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret"), notice(WILLING)] {
        provider.try_send(request).await?;
        assert_eq!(provider.read().await?.command_status(), OK);
    }
    Some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_is_killed_at_a_random_moment_is_made_again() {
    let mut kills = Kills::announced(ROUNDS);
    let carrier = Simulator::start(options()).await.expect("the carrier listens");
    for _ in 0..kills.rounds() {
        let folder = Folder::new(REGISTER, carrier.address());
        for _ in 0..kills.dice.usize(1..=CUTS) {
            let mut child = folder.command(&["run"]).stderr(Stdio::null()).spawn().expect("the gate");
            sleep(Duration::from_millis(kills.dice.u64(..LONGEST_MS)));
            child.kill().expect("a process to kill");
            child.wait().expect("its end");
        }
        serves(&folder, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_is_killed_in_place_of_any_change_to_the_disk_is_made_again() {
    let mut kills = Kills::announced(ROUNDS);
    let carrier = Simulator::start(options()).await.expect("the carrier listens");
    let mut changes = kills.changes(CHANGES);
    loop {
        let folder = Folder::new(REGISTER, carrier.address());
        let machine = Machine::new(folder.path());
        let data = fs::canonicalize(folder.path()).expect("a folder").join("data");
        machine.behaves(&format!("kill {} {}", changes.next(), data.display()));
        let mut command = folder.command(&["run"]);
        let mut child = machine.load(command.env("RUST_LOG", "info")).spawn().expect("the gate");
        let address = listening(child.stderr.take().expect("a pipe"));
        let answered = match address {
            Some(address) => send_one(address).await.is_some(),
            None => false,
        };
        kill_process(Pid::from_child(&child), Signal::TERM).ok();
        if !changes.cut(kills::ended(&mut child)) {
            break;
        }
        serves(&folder, usize::from(answered)).await;
    }
    changes.tell("a first start");
}
