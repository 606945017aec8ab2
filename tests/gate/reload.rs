//! The register follows its file while the gate runs.

use portcullis_protocol::{CommandId, CommandStatus};

use crate::provider::{OK, Provider};
use crate::stage::{REGISTER, Stage, WILLING, notice, sent};

const NEWCOMER: &str = "\n[[provider]]\nsystem_id = \"newcomer\"\nports = [\"1069000780\"]\n";

async fn bind_as(stage: &Stage, system_id: &str) -> CommandStatus {
    let mut provider = Provider::connect(stage.address()).await;
    provider.bind(CommandId::BIND_TRANSCEIVER, system_id, "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_register_is_in_force_without_a_restart() {
    let stage = Stage::new().await;
    let mut bound = stage.herald().await;
    assert_eq!(bind_as(&stage, "newcomer").await, CommandStatus::ESME_RINVSYSID);
    assert_eq!(sent(&mut bound, notice(WILLING)).await.0, OK);
    let before = stage.folder.status().register;

    let closed = REGISTER.replace("class = \"service\"", "class = \"service\"\nactive = false");
    stage.folder.write_register(&format!("{closed}{NEWCOMER}"));
    stage.gate.await_log("register reloaded");
    assert_eq!(bind_as(&stage, "newcomer").await, OK);
    let refused = sent(&mut bound, notice(WILLING)).await.0;
    assert_eq!(refused, CommandStatus::ESME_RINVSRCADR, "sessions that are bound are judged by it too");
    assert_ne!(stage.folder.status().register, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_register_changes_nothing_and_is_told_with_file_line_and_key() {
    let stage = Stage::new().await;
    let before = stage.folder.status().register;
    // In it everything but one word is right, and a provider is new.
    let bad = format!("{REGISTER}{NEWCOMER}").replace("class = \"service\"", "class = \"servise\"");
    let line = 1 + bad.lines().position(|line| line.contains("servise")).expect("the bad line");
    stage.folder.write_register(&bad);
    stage.gate.await_log("the register keeps its last good state");
    let file = stage.folder.path().join("register.toml");
    stage.gate.await_log(&format!("{}:{line}: port[1].class:", file.display()));

    assert_eq!(stage.folder.status().register, before);
    assert_eq!(bind_as(&stage, "newcomer").await, CommandStatus::ESME_RINVSYSID);
    assert_eq!(sent(&mut stage.herald().await, notice(WILLING)).await.0, OK);

    stage.folder.write_register(&format!("{REGISTER}{NEWCOMER}"));
    stage.gate.await_log("register reloaded");
    assert_eq!(bind_as(&stage, "newcomer").await, OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_register_that_is_gone_changes_nothing() {
    let stage = Stage::new().await;
    std::fs::remove_file(stage.folder.path().join("register.toml")).expect("a register to remove");
    stage.gate.await_log("the register keeps its last good state");
    assert_eq!(sent(&mut stage.herald().await, notice(WILLING)).await.0, OK);
}

/// A start with a bad register would stop every one-time password: an operator may prefer the last good one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_starts_with_the_last_good_register_only_where_it_is_told_to() {
    let stage = Stage::with_herald("", "[profile.failure]\nregister = \"last-good\"").await;
    stage.folder.write_register(&format!("{REGISTER}{NEWCOMER}"));
    stage.gate.await_log("register reloaded");
    let Stage { gate, folder, carrier } = stage;
    gate.stop();
    let bad = REGISTER.replace("class = \"service\"", "class = \"servise\"");
    folder.write_register(&bad);
    let stage = Stage { gate: folder.start(), folder, carrier };
    stage.gate.await_log("the gate starts with the one last in force");
    assert_eq!(bind_as(&stage, "newcomer").await, OK, "as it was changed to");
    assert_eq!(sent(&mut stage.herald().await, notice(WILLING)).await.0, OK);
    stage.folder.write_register(REGISTER);
    stage.gate.await_log("register reloaded");
    assert_eq!(bind_as(&stage, "newcomer").await, CommandStatus::ESME_RINVSYSID);
    let copy = stage.folder.config().data.join("register.last-good.toml");
    let mode = std::os::unix::fs::PermissionsExt::mode(&copy.metadata().expect("a copy").permissions());
    assert_eq!(mode & 0o077, 0, "it has passwords in it");

    let Stage { gate, folder, carrier } = stage;
    gate.stop();
    folder.write_register(&bad);
    folder.configure("", carrier.address(), "");
    let said = folder.run(&["run"]);
    assert!(said.code == Some(1) && said.stderr.contains("port[1].class"), "{}", said.stderr);
}
