//! The command line beside a running gate and without one: same questions, same answers.

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output, Stdio};

use portcullis::admin::socket_path;
use serde_json::Value;

use crate::gate::{Folder, Gate};
use crate::stage::{COMMERCIAL_PORT, OFFER, REGISTER, SILENT, Stage, WILLING, notice, offer, sent};

/// The program without a folder of its own.
fn portcullis(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).env_remove("RUST_LOG").output().expect("the program")
}

/// The verdict on the offer to a number, as `judge` has it by asking the store.
fn verdict(folder: &Folder, to: &str) -> String {
    let judged = folder.run(&[
        "judge",
        "--json",
        "--source",
        COMMERCIAL_PORT,
        "--destination",
        to,
        "--text",
        OFFER,
        "--provider",
        "herald",
    ]);
    let answer: Value = serde_json::from_str(&judged.ok()).expect("JSON");
    answer["verdict"].as_str().expect("a verdict").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_and_the_data_are_their_users_alone() {
    let stage = Stage::new().await;
    let data = stage.folder.config().data;
    let socket = std::fs::metadata(socket_path(&data)).expect("a socket");
    let own = std::fs::metadata(stage.folder.path()).expect("a folder").uid();
    assert_eq!((socket.mode() & 0o777, socket.uid()), (0o600, own));
    for folder in ["", "journal", "consents"] {
        let mode = std::fs::metadata(data.join(folder)).expect("a folder").mode() & 0o777;
        assert_eq!(mode, 0o700, "data/{folder}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_ask_the_gate_while_it_runs_and_the_store_when_none_does() {
    let stage = Stage::new().await;
    assert_eq!(verdict(&stage.folder, WILLING), "reject");
    stage.consent(WILLING);
    let mut provider = stage.herald().await;
    let (_, message_id) = sent(&mut provider, offer(WILLING)).await;
    let message_id = message_id.expect("the carrier's");
    sent(&mut provider, offer(SILENT)).await;

    let ask = |folder: &Folder| {
        let find = ["journal", "find", "--whole", "--json"];
        let by_number = folder.run(&[&find[..], &["--to", "13800138001"]].concat()).ok();
        let by_id = folder.run(&[&find[..], &["--message-id", &message_id]].concat()).ok();
        let by_port = folder.run(&[&find[..], &["--from", COMMERCIAL_PORT, "--since", "2026-01-01"]].concat()).ok();
        let early = folder.run(&[&find[..], &["--from", COMMERCIAL_PORT, "--until", "2026-01-01"]].concat()).ok();
        let held = folder.run(&["consent", "show", "--whole", WILLING]).ok();
        let exported = folder.run(&["consent", "export", "--whole"]).ok();
        (by_number, by_id, by_port, early, held, exported, verdict(folder, WILLING), verdict(folder, SILENT))
    };
    let running = ask(&stage.folder);
    let (by_number, by_id, by_port, early, held, exported, willing, silent) = &running;
    let found: Value = serde_json::from_str(by_number).expect("one message");
    assert_eq!((found["text"].as_str(), found["outcome"]["message_id"].as_str()), (Some(OFFER), Some(&*message_id)));
    assert_eq!(by_id, by_number);
    assert_eq!((by_port.lines().count(), early.as_str()), (2, ""));
    assert!(held.lines().count() == 2 && held.contains("8613800138001,bakery,,consent,"), "{held}");
    assert_eq!(exported, held);
    assert_eq!((willing.as_str(), silent.as_str()), ("forward", "reject"));

    let Stage { gate, folder, carrier: _carrier } = stage;
    drop(provider);
    assert!(gate.stop().success());
    assert_eq!(ask(&folder), running, "the same from the files");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_tells_sessions_and_counts_of_a_running_gate_only() {
    let stage = Stage::new().await;
    let mut provider = stage.herald().await;
    sent(&mut provider, notice(WILLING)).await;
    sent(&mut provider, offer(SILENT)).await;
    let said = stage.folder.run(&["status"]).ok();
    assert!(said.contains("1 forwarded · 1 rejected") && said.contains("1 sessions"), "{said}");
    assert!(said.contains(&provider.address().to_string()), "{said}");
    let status: Value = serde_json::from_str(&stage.folder.run(&["status", "--json"]).ok()).expect("JSON");
    assert_eq!(status["totals"]["forwarded"], 1);
    let failed = |rule: &Value| (rule["rule"].as_str().unwrap_or_default().to_owned(), rule["failed"].as_u64());
    let rules: Vec<_> = status["totals"]["rules"].as_array().expect("rules").iter().map(failed).collect();
    assert_eq!(rules, [("R09".to_owned(), Some(1))]);

    drop(provider);
    stage.gate.stop();
    let alone = stage.folder.run(&["status"]);
    assert_eq!((alone.code, alone.stdout.as_str()), (Some(1), ""));
    assert!(alone.stderr.contains("no gate is running"), "{}", alone.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gates_do_not_share_a_data_directory() {
    let stage = Stage::new().await;
    let second = stage.folder.run(&["run"]);
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("is held by another process"), "{}", second.stderr);
    assert!(stage.folder.run(&["status"]).code == Some(0), "the first keeps its socket");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_was_killed_leaves_nothing_that_hinders_the_next() {
    let stage = Stage::new().await;
    let Stage { gate, folder, carrier } = stage;
    gate.kill();
    assert!(socket_path(&folder.config().data).exists(), "the socket is left behind");
    let granted = folder.run(&["consent", "grant", "--msisdn", WILLING, "--sender", "bakery"]);
    assert_eq!(granted.code, Some(0), "{}", granted.stderr);
    let stage = Stage { gate: folder.start(), folder, carrier };
    assert_eq!(sent(&mut stage.herald().await, offer(WILLING)).await.0, crate::provider::OK);
}

/// Faults go to stderr with file, line and key; results to stdout; the exit code says which it was.
#[test]
fn exit_codes_tell_success_failure_and_a_wrong_command_line() {
    let folder = Folder::new(REGISTER, std::net::SocketAddr::from(([127, 0, 0, 1], 2776)));
    let sound = folder.run(&["check"]);
    assert_eq!((sound.code, sound.stdout.contains("no faults")), (Some(0), true), "{}", sound.stderr);
    assert_eq!(folder.run(&["journal", "find"]).code, Some(0), "nothing found is no failure");
    assert_eq!(folder.run(&["journal", "find", "--since", "yesterday"]).code, Some(1));
    assert_eq!(folder.run(&["consent", "show", "--whole", "many"]).code, Some(1));
    assert_eq!(folder.run(&["consent", "grant", "--msisdn", WILLING, "--sender", "nobody"]).code, Some(1));
    assert_eq!(folder.run(&["journal", "lose"]).code, Some(2));
    assert_eq!(portcullis(&[]).status.code(), Some(2));
    assert_eq!(portcullis(&["journal", "find", "--config", "/nowhere/portcullis.toml"]).status.code(), Some(1));

    let faulty = folder.feed(&["judge", "--jsonl"], "{\"id\": 1}\nnonsense\n");
    assert_eq!((faulty.code, faulty.stdout.lines().count()), (Some(1), 2), "every line has its answer");

    let file = folder.config_file();
    let text = std::fs::read_to_string(&file).expect("the configuration");
    std::fs::write(&file, text.replace("[carrier]", "[carrier]\nwindow = 0")).expect("the configuration");
    for command in ["check", "run", "status"] {
        let said = folder.run(&[command]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{command}");
        assert!(said.stderr.contains(&format!("{}:7: carrier.window:", file.display())), "{}", said.stderr);
    }
}

/// A socket's path has a limit of the system's; what needs no socket works beyond it.
#[test]
fn a_data_directory_too_deep_for_a_socket_is_told_as_that() {
    let carrier = std::net::SocketAddr::from(([127, 0, 0, 1], 2776));
    let folder = Folder::new(REGISTER, carrier);
    let text = std::fs::read_to_string(folder.config_file()).expect("the configuration");
    let deep = text.replace("data = \"data\"", &format!("data = \"{}\"", "d".repeat(150)));
    std::fs::write(folder.config_file(), deep).expect("the configuration");
    let said = folder.run(&["run"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("portcullis.sock: ") && said.stderr.contains("shorter path"), "{}", said.stderr);
    folder.run(&["consent", "grant", "--msisdn", WILLING, "--sender", "bakery"]).ok();
    assert_eq!(folder.run(&["consent", "show", "--whole", WILLING]).ok().lines().count(), 2);
}

/// Whoever reads only the beginning is no failure.
#[test]
fn a_reader_that_has_seen_enough_ends_an_export_quietly() {
    let folder = Folder::new(REGISTER, std::net::SocketAddr::from(([127, 0, 0, 1], 2776)));
    let rows: String = (0..20_000).map(|n| format!("138{n:08},bakery,,consent,2026-01-02,web,form {n},\n")).collect();
    let csv = format!("msisdn,sender,category,status,at,method,evidence,expires_at\n{rows}");
    folder.feed(&["consent", "import", "-"], &csv).ok();
    let mut export = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    export.args(["consent", "export", "--whole", "--config"]).arg(folder.config_file());
    let mut export = export.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
    drop(export.stdout.take());
    let ended = export.wait_with_output().expect("its end");
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}

/// A gate that cannot start says all that is in the way at once.
#[test]
fn a_gate_tells_every_fault_of_its_register_and_what_is_probably_not_meant() {
    let folder = Folder::new("", std::net::SocketAddr::from(([127, 0, 0, 1], 2776)));
    folder.write_register(&REGISTER.replace("ports = [\"1069000779\"]", "port = [\"1069000779\"]"));
    let said = folder.run(&["run"]);
    assert_eq!(said.code, Some(1));
    for fault in ["register.toml:12: provider[2].ports: is missing", "register.toml:15: provider[2].port: "] {
        assert!(said.stderr.contains(fault), "{}", said.stderr);
    }
    folder.write_register(&REGISTER.replace("max_binds = 1", "mode = \"off\""));
    let gate = folder.start();
    gate.await_log("provider[2].mode: no rule is applied to this provider at all");
}

#[test]
fn every_command_has_help_and_every_one_with_options_an_example() {
    for command in ["demo", "run", "check", "judge", "simulate", "status"] {
        assert_example(&[command, "--help"]);
    }
    for command in ["import", "grant", "show", "export"] {
        assert_example(&["consent", command, "--help"]);
    }
    assert_example(&["journal", "find", "--help"]);
}

fn assert_example(arguments: &[&str]) {
    let help = portcullis(arguments);
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(help.status.success() && text.contains("Example") && text.contains("portcullis "), "{arguments:?}: {text}");
}

#[test]
fn the_demo_needs_nothing_and_every_verdict_is_as_expected() {
    let demo = portcullis(&["demo"]);
    let said = String::from_utf8_lossy(&demo.stdout);
    assert!(demo.status.success(), "{}", String::from_utf8_lossy(&demo.stderr));
    assert!(said.contains("forward") && said.contains("0x00000481") && said.contains("0x00000482"), "{said}");
}

/// A log is no place for results: a gate prints nothing on stdout, and its log names where it listens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_names_every_session_and_its_ending() {
    let stage = Stage::new().await;
    let mut provider = stage.herald().await;
    sent(&mut provider, notice(WILLING)).await;
    drop(provider);
    let ended = Gate::await_log(&stage.gate, "session ended");
    assert!(ended.contains("session{session=1 peer=127.0.0.1:") && ended.contains("ending=provider-lost"), "{ended}");
}
