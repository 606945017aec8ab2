//! A store that cannot write (R26): commercial messages wait, all others go on, and nobody fails to hear of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_protocol::CommandStatus;

use crate::gate::Folder;
use crate::provider::{OK, Provider};
use crate::stage::{SILENT, Stage, WILLING, notice, offer, options, sent};

/// Temporary: the provider keeps the message and tries again.
const TRY_AGAIN: CommandStatus = CommandStatus(0x64);

/// Recorded as the store fails, while it is down and after.
const NUMBERS: [&str; 3] = ["8613800138021", "8613800138022", "8613800138023"];
const FILLER: &str = "8613800138029";

/// Service messages to the first two numbers go on while the store is down; commercial ones wait.
async fn lives_through_it(stage: &Stage, provider: &mut Provider) {
    // Only a record that cannot be written shows that none can.
    assert_eq!(sent(provider, notice(NUMBERS[0])).await.0, OK);
    stage.gate.await_log("the journal cannot write; entries wait in memory");
    for _ in 0..3 {
        assert_eq!(sent(provider, offer(WILLING)).await, (TRY_AGAIN, None));
        assert_eq!(sent(provider, offer(SILENT)).await, (TRY_AGAIN, None), "unknown is not missing");
    }
    let (status, message_id) = sent(provider, notice(NUMBERS[1])).await;
    assert_eq!(status, OK);
    assert!(message_id.is_some(), "the carrier has it");
}

/// Once the store can write, what waited is written and commercial messages pass.
async fn is_whole_again(stage: &Stage, provider: &mut Provider) {
    stage.gate.await_log("the journal writes again");
    assert_eq!(sent(provider, notice(NUMBERS[2])).await.0, OK);
    assert_eq!(sent(provider, offer(WILLING)).await.0, OK);
    for number in &NUMBERS[..3] {
        let records = stage.folder.sent_to(number);
        let outcome =
            records.first().and_then(|record| record.outcome.as_ref()).map(|outcome| outcome.outcome.as_str());
        assert_eq!((records.len(), outcome), (1, Some("answered")), "{number}");
    }
    let verdicts: Vec<_> = stage.folder.sent_to(WILLING).into_iter().map(|record| record.verdict).collect();
    assert_eq!(verdicts, ["forward", "hold", "hold", "hold", "forward"], "each with its record");
}

async fn begun(stage: &Stage) -> Provider {
    stage.consent(WILLING);
    let mut provider = stage.herald().await;
    assert_eq!(sent(&mut provider, offer(WILLING)).await.0, OK);
    provider
}

/// Puts a file where a folder was: nothing can be written there, nor can the folder be made anew.
pub(crate) fn take_away(folder: &Path) -> PathBuf {
    let away = folder.with_extension("away");
    fs::rename(folder, &away).and_then(|()| fs::write(folder, "in the way")).expect("a folder to take away");
    away
}

pub(crate) fn give_back(folder: &Path, away: &Path) {
    fs::remove_file(folder).and_then(|()| fs::rename(away, folder)).expect("a folder to give back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_is_gone_and_comes_back() {
    let stage = Stage::new().await;
    let mut provider = begun(&stage).await;
    let journal = stage.folder.config().data.join("journal");
    let away = take_away(&journal);
    lives_through_it(&stage, &mut provider).await;
    assert!(stage.folder.status().journal.starts_with("down: "), "status says so");
    let said = stage.folder.run(&["status"]).ok();
    assert!(said.contains("journal down"), "{said}");
    give_back(&journal, &away);
    is_whole_again(&stage, &mut provider).await;
    assert_eq!(stage.folder.status().journal, "up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_data_directory_is_gone_and_comes_back() {
    let stage = Stage::new().await;
    let mut provider = begun(&stage).await;
    let data = stage.folder.config().data;
    let away = take_away(&data);
    lives_through_it(&stage, &mut provider).await;
    give_back(&data, &away);
    is_whole_again(&stage, &mut provider).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_may_not_grow_and_then_may_again() {
    let stage = Stage::new().await;
    let mut provider = begun(&stage).await;
    stage.gate.limit_files(Some(1));
    lives_through_it(&stage, &mut provider).await;
    stage.gate.limit_files(None);
    is_whole_again(&stage, &mut provider).await;
    let broken = fs::read_dir(stage.folder.config().data.join("journal")).expect("the journal's folder");
    let names: Vec<_> = broken.map(|entry| entry.expect("an entry").file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("broken")), "set aside for nothing: {names:?}");
}

/// Nothing to give back: the journal begins anew, and what waited is in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_journal_begins_anew() {
    let stage = Stage::new().await;
    let mut provider = begun(&stage).await;
    fs::remove_dir_all(stage.folder.config().data.join("journal")).expect("a journal to delete");
    assert_eq!(sent(&mut provider, notice(NUMBERS[0])).await.0, OK);
    stage.gate.await_log("the journal cannot write; entries wait in memory");
    stage.gate.await_log("the journal writes again");
    assert_eq!(sent(&mut provider, offer(WILLING)).await.0, OK);
    assert_eq!((stage.folder.sent_to(NUMBERS[0]).len(), stage.folder.sent_to(WILLING).len()), (1, 1));
}

/// Consents that are gone are not taken for consents never given: commercial messages wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_consents_are_an_outage_and_not_a_refusal() {
    let stage = Stage::new().await;
    let mut provider = begun(&stage).await;
    fs::remove_dir_all(stage.folder.config().data.join("consents")).expect("consents to delete");
    let refuse = stage.folder.run(&["consent", "refuse", "--msisdn", SILENT, "--sender", "bakery"]);
    assert_eq!(refuse.code, Some(1), "a refusal that cannot be kept is not taken for kept");
    stage.gate.await_log("the consents failed");
    assert_eq!(sent(&mut provider, offer(WILLING)).await.0, TRY_AGAIN);
    assert_eq!(sent(&mut provider, notice(NUMBERS[0])).await.0, OK);
}

/// What waits in memory at the end is lost, and that is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_ends_while_it_cannot_write_says_what_is_lost() {
    let stage = Stage::new().await;
    let mut provider = begun(&stage).await;
    take_away(&stage.folder.config().data.join("journal"));
    lives_through_it(&stage, &mut provider).await;
    drop(provider);
    stage.gate.ask_to_end();
    stage.gate.await_log("closed while the journal cannot write");
}

/// A file system of a few megabytes under the data directory; gone with this value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, said loudly, where the system does not let this process mount one.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).expect("a folder to mount on");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m,mode=700", "portcullis"]).arg(at).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(at.to_owned())),
            other => {
                eprintln!("SKIPPED: no small file system can be mounted here, a full disk is not tested: {other:?}");
                None
            }
        }
    }

    /// Takes every octet that is left.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = fs::File::create(&ballast).expect("room for a name");
        let full = std::io::copy(&mut std::io::repeat(7), &mut file).expect_err("an end of the disk");
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _said = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// The database's file has room already for some records that the disk has none for.
async fn use_up_what_is_allocated(stage: &Stage, provider: &mut Provider) {
    for _ in 0..10_000 {
        assert_eq!(sent(provider, notice(FILLER)).await.0, OK);
        if stage.folder.status().journal != "up" {
            return;
        }
    }
    panic!("a full disk takes every record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_is_full_and_gets_room_again() {
    let carrier = portcullis::simulator::Simulator::start(options()).await.expect("the carrier listens");
    let folder = Folder::new(crate::stage::REGISTER, carrier.address());
    let Some(disk) = SmallDisk::mount(&folder.config().data) else { return };
    let stage = Stage { gate: folder.start(), folder, carrier };
    let mut provider = begun(&stage).await;
    let ballast = disk.fill();
    use_up_what_is_allocated(&stage, &mut provider).await;
    lives_through_it(&stage, &mut provider).await;
    fs::remove_file(ballast).expect("the ballast");
    is_whole_again(&stage, &mut provider).await;
    drop(stage.gate);
}
