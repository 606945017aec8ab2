//! A machine that misbehaves under a running gate: each store on a disk that is read-only, full or slow, folders
//! that go away, a wall clock that jumps. Each time what README promises of R26 holds, and all is well again
//! without a restart once the machine is.
//!
//! The faults are made by a preloaded library (`store/bad_machine.c`), one store at a time.

#[path = "bad_machine/expired.rs"]
mod expired;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[path = "bad_machine/keys_and_heads.rs"]
mod keys_and_heads;
#[path = "support/machine.rs"]
mod machine;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "gate/stage.rs"]
mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use portcullis::clock;
use portcullis::gate::evidence::FoundMessage;
use portcullis::simulator::Simulator;
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};
use rustix::process::Signal;

use gate::{Folder, Gate, PATIENCE};
use machine::Machine;
use provider::{OK, Provider, submit};
use stage::{COMMERCIAL_PORT, NOTICE, OFFER, REGISTER, SERVICE_PORT, Stage, options};

const TRY_AGAIN: CommandStatus = CommandStatus(0x64);

/// Settings by which the counts are needed.
const LIMIT: &str = "[profile]\nfrequency = \"50/day\"";

/// Whose consent has long been given.
const WILLING: [u64; 2] = [8_613_800_138_100, 8_613_800_138_199];

/// Starts a gate on a machine and waits until it listens.
fn start(machine: &Machine, folder: &Folder) -> Gate {
    let mut command = folder.command(&["run"]);
    machine.load(command.env("RUST_LOG", "info"));
    Folder::launch(command)
}

/// A gate on such a machine, and what it was sent.
struct Scene {
    stage: Stage,
    machine: Machine,
    provider: Provider,
    /// How often something was sent to a number.
    sent: BTreeMap<String, usize>,
    next: u64,
}

impl Scene {
    async fn new() -> Self {
        Self::with(REGISTER, LIMIT).await
    }

    async fn with(register: &str, more: &str) -> Self {
        let carrier = Simulator::start(options()).await.expect("the carrier listens");
        let folder = Folder::new(register, carrier.address());
        folder.configure("", carrier.address(), more);
        let rows: String = (WILLING[0]..WILLING[1])
            .map(|msisdn| format!("{msisdn},bakery,marketing,consent,2026-01-05T09:00:00+08:00,web,form 12,\n"))
            .collect();
        let head = "msisdn,sender,category,status,at,method,evidence,expires_at\n";
        folder.feed(&["consent", "import", "-"], &format!("{head}{rows}")).ok();
        let machine = Machine::new(folder.path());
        let stage = Stage { gate: start(&machine, &folder), folder, carrier };
        let provider = stage.herald().await;
        Self { stage, machine, provider, sent: BTreeMap::new(), next: WILLING[0] }
    }

    /// The gate's end, another configuration, and the next gate; `signal` says how the first one ends.
    async fn again(self, more: &str, signal: Signal) -> Self {
        let Self { stage: Stage { gate, folder, carrier }, machine, sent, next, .. } = self;
        gate.signal(signal);
        gate.ended();
        folder.configure("", carrier.address(), more);
        let stage = Stage { gate: start(&machine, &folder), folder, carrier };
        let provider = stage.herald().await;
        Self { stage, machine, provider, sent, next }
    }

    /// A number that nothing was sent to yet.
    fn somebody(&mut self) -> String {
        self.next += 1;
        assert!(self.next < WILLING[1], "more numbers are needed");
        self.next.to_string()
    }

    async fn ask(&mut self, port: &str, to: String, text: &str) -> CommandStatus {
        let message: Frame = submit(port, &to, text);
        *self.sent.entry(to).or_default() += 1;
        self.provider.ask(message).await.command_status()
    }

    /// A commercial message to somebody new.
    async fn offer(&mut self) -> CommandStatus {
        let to = self.somebody();
        self.ask(COMMERCIAL_PORT, to, OFFER).await
    }

    /// A service message to somebody new.
    async fn notice(&mut self) -> CommandStatus {
        let to = self.somebody();
        self.ask(SERVICE_PORT, to, NOTICE).await
    }

    fn data(&self, store: &str) -> PathBuf {
        fs::canonicalize(self.stage.folder.config().data).expect("the data directory").join(store)
    }

    /// Has the store notice that it cannot write.
    async fn provoke(&mut self, store: &str) {
        match store {
            "journal" => {
                assert_eq!(self.notice().await, OK);
                self.stage.gate.await_log("the journal cannot write; entries wait in memory");
            }
            "consents" => {
                let to = self.somebody();
                let said = self.stage.folder.run(&["consent", "refuse", "--msisdn", &to, "--sender", "bakery"]);
                assert_eq!(said.code, Some(1), "a refusal that cannot be kept is not taken for kept");
                self.stage.gate.await_log("the consents failed");
            }
            _ => {
                assert_eq!(self.offer().await, OK);
                self.stage.gate.await_log("what was sent to whom cannot be written down: it waits in memory");
            }
        }
    }

    /// Sends commercial messages until one passes.
    async fn await_offers(&mut self) {
        let to = self.somebody();
        let end = clock::monotonic() + PATIENCE;
        loop {
            match self.ask(COMMERCIAL_PORT, to.clone(), OFFER).await {
                OK => return,
                status => assert_eq!(status, TRY_AGAIN),
            }
            assert!(clock::monotonic() < end, "the gate does not heal:\n{}", self.stage.gate.log());
        }
    }

    /// Every message has its record, once; every forward its outcome.
    fn all_recorded(&self) {
        for (number, times) in &self.sent {
            let records = self.stage.folder.sent_to(number);
            assert_eq!(records.len(), *times, "{number}: {records:?}");
            let is_told = |record: &FoundMessage| record.verdict != "forward" || record.outcome.is_some();
            assert!(records.iter().all(is_told), "{records:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_read_only_or_full_holds_marketing_back_and_heals() {
    for fault in ["readonly", "full"] {
        for store in ["journal", "consents", "sends"] {
            let mut scene = Scene::new().await;
            assert_eq!(scene.offer().await, OK, "{fault} {store}");
            scene.machine.behaves(&format!("{fault} {}", scene.data(store).display()));
            scene.provoke(store).await;
            for _ in 0..2 {
                assert_eq!(scene.offer().await, TRY_AGAIN, "{fault} {store}: marketing waits");
                assert_eq!(scene.notice().await, OK, "{fault} {store}: service goes on");
            }
            scene.machine.behaves("");
            scene.await_offers().await;
            assert_eq!(scene.notice().await, OK);
            scene.all_recorded();
            let to = scene.somebody();
            scene.stage.folder.run(&["consent", "refuse", "--msisdn", &to, "--sender", "bakery"]).ok();
            let status = scene.stage.folder.status();
            assert_eq!((status.journal.as_str(), status.consents.as_str()), ("up", "up"), "{fault} {store}");
            let ended = scene.stage.gate.stop();
            assert!(ended.success(), "{fault} {store}: {ended}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_finds_no_room_says_so_and_harms_nothing() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.offer().await, OK);
    let target = fs::canonicalize(scene.stage.folder.path()).expect("a folder").join("backup");
    let path = target.to_str().expect("UTF-8");
    for fault in ["full", "readonly"] {
        scene.machine.behaves(&format!("{fault} {path}"));
        let said = scene.stage.folder.run(&["backup", path]);
        assert!(said.code == Some(1) && said.stderr.contains("backup"), "{fault}: {}", said.stderr);
        let half = scene.stage.folder.plain(&["verify-backup", path]);
        assert_eq!(half.code, Some(1), "{fault}: {}", half.stdout);
        assert_eq!(scene.offer().await, OK, "{fault}: the gate does not mind");
    }
    scene.machine.behaves("");
    scene.stage.folder.run(&["backup", path]).ok();
    scene.stage.folder.plain(&["verify-backup", path]).ok();
    // One that was there already stays as it is.
    assert_eq!(scene.notice().await, OK);
    scene.machine.behaves(&format!("full {path}"));
    let said = scene.stage.folder.run(&["backup", path]);
    assert!(said.code == Some(1) && said.stderr.contains("No space left"), "{}", said.stderr);
    scene.stage.folder.plain(&["verify-backup", path]).ok();
    scene.machine.behaves("");
    scene.all_recorded();
    scene.stage.folder.run(&["backup", path]).ok();
    scene.stage.folder.plain(&["verify-backup", path]).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_disk_delays_and_loses_nothing() {
    let mut scene = Scene::new().await;
    for store in ["journal", "consents", "sends", "keys"] {
        scene.machine.behaves(&format!("slow 500 {}", scene.data(store).display()));
        for _ in 0..3 {
            assert_eq!(scene.offer().await, OK, "{store}");
            assert_eq!(scene.notice().await, OK, "{store}");
        }
        let to = scene.somebody();
        scene.stage.folder.run(&["consent", "refuse", "--msisdn", &to, "--sender", "bakery"]).ok();
    }
    scene.all_recorded();
    scene.machine.behaves("");
    assert_eq!(scene.stage.folder.status().journal, "up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_and_keys_that_go_away_and_come_back_need_no_restart() {
    for store in ["sends", "keys"] {
        let mut scene = Scene::new().await;
        assert_eq!(scene.offer().await, OK);
        let (here, away) = (scene.data(store), scene.data("away"));
        fs::rename(&here, &away).and_then(|()| fs::write(&here, "in the way")).expect("a folder to take away");
        if store == "sends" {
            scene.provoke(store).await;
            assert_eq!(scene.offer().await, TRY_AGAIN, "who knows how often this one was written to");
        }
        // The keys in use are in memory.
        assert_eq!(scene.notice().await, OK, "{store}");
        fs::remove_file(&here).and_then(|()| fs::rename(&away, &here)).expect("a folder to give back");
        scene.await_offers().await;
        scene.all_recorded();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_clock_that_jumps_a_day_loses_no_record() {
    let mut scene = Scene::new().await;
    // On and back, back and on: the last day is written to again, and one before the first is.
    for ahead in [0, 86_400, 0, -86_400, 0, 86_400] {
        scene.machine.behaves(&format!("clock {ahead}"));
        for _ in 0..5 {
            assert_eq!(scene.offer().await, OK, "{ahead}");
            assert_eq!(scene.notice().await, OK, "{ahead}");
        }
    }
    scene.all_recorded();
    // Killed a day ahead, it starts on the right day.
    let journal = scene.data("journal");
    let days = || {
        let names = fs::read_dir(&journal).expect("the journal").map(|entry| entry.expect("an entry").file_name());
        names.filter(|name| name.to_string_lossy().bytes().all(|octet| octet.is_ascii_digit())).count()
    };
    assert_eq!(days(), 3, "the clock did jump");
    scene.machine.behaves("clock 0");
    let mut scene = scene.again(LIMIT, Signal::KILL).await;
    assert_eq!(days(), 3, "no day went away");
    assert_eq!(scene.stage.folder.status().totals.unknown, 0, "every forward had its end");
    assert_eq!(scene.offer().await, OK);
    scene.all_recorded();
}

/// Hours of delivery that begin so many hours from now.
fn open_in(hours: i64) -> String {
    let at = |hours: i64| {
        let at = clock::wall().saturating_add(SignedDuration::from_hours(hours)).expect("a time");
        at.to_zoned_datetime(TimeZone::fixed(jiff::tz::offset(8))).strftime("%H:%M").to_string()
    };
    format!("[queue]\nper_second = 10\n[profile]\nquiet_hours = \"{}-{}\"", at(hours), at(hours + 6))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_in_the_middle_of_a_queues_release_sends_nothing_twice() {
    const QUEUED: usize = 30;
    let register = REGISTER.replace("password = \"s3cret\"", "password = \"s3cret\"\nquiet_hours = \"queue\"");
    let mut scene = Scene::with(&register, &open_in(3)).await;
    for _ in 0..QUEUED {
        assert_eq!(scene.offer().await, OK, "the gate keeps it");
    }
    let scene = scene.again(&open_in(-1), Signal::TERM).await;
    let has = |messages: u64| move |counts: &portcullis::simulator::Counts| counts.messages >= messages;
    assert!(scene.stage.carrier.wait_until(PATIENCE, has(5)).await, "the release begins");
    scene.machine.behaves(&format!("readonly {}", scene.data("journal").display()));
    scene.stage.gate.await_log("the journal cannot write; entries wait in memory");
    scene.machine.behaves("");
    scene.stage.gate.await_log("the journal writes again");
    assert!(scene.stage.carrier.wait_until(PATIENCE, has(QUEUED as u64)).await, "the release goes on");
    let scene = scene.again(&open_in(-1), Signal::TERM).await;
    let mut to: Vec<String> = scene.stage.carrier.received_of(CommandId::SUBMIT_SM).iter().map(destination).collect();
    to.sort_unstable();
    assert_eq!(to, scene.sent.keys().cloned().collect::<Vec<_>>(), "each once");
    for number in scene.sent.keys() {
        let records = scene.stage.folder.sent_to(number);
        let forwards: Vec<_> = records.iter().filter(|record| record.verdict == "forward").collect();
        let is_answered = |record: &&FoundMessage| record.outcome.as_ref().is_some_and(|end| end.outcome == "answered");
        assert!(forwards.len() == 1 && forwards.iter().all(is_answered), "{number}: {records:?}");
    }
}

fn destination(received: &portcullis::simulator::Received) -> String {
    match Pdu::decode(&received.frame).expect("a sound PDU") {
        Pdu::SubmitSm(submit) => submit.destination.addr.to_string(),
        other => panic!("not a submit_sm: {other:?}"),
    }
}
