//! What a gate recorded forty days ago loses its signalling and nothing else: the clock of the machine was then, and
//! the purge is of today.

use rustix::process::Signal;
use serde_json::Value;

use super::{LIMIT, OK, Scene, Stage};

const FORTY_DAYS_S: i64 = 40 * 86_400;

/// The only line of JSON that a command prints.
fn only(text: &str) -> Value {
    let mut lines = text.lines();
    let line = serde_json::from_str(lines.next().expect("a line")).expect("JSON");
    assert_eq!(lines.next(), None);
    line
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signalling_that_has_expired_is_told_and_nothing_else_is_hurt() {
    let scene = Scene::new().await;
    scene.machine.behaves(&format!("clock -{FORTY_DAYS_S}"));
    // A start of its own, so that nothing was recorded later.
    let mut scene = scene.again(LIMIT, Signal::TERM).await;
    let to = scene.somebody();
    assert_eq!(scene.ask(super::SERVICE_PORT, to.clone(), super::NOTICE).await, OK);
    let Stage { gate, folder, carrier: _carrier } = scene.stage;
    assert!(gate.stop().success());
    let find = || only(&folder.run(&["journal", "find", "--to", &to, "--json", "--whole"]).ok());
    let before = find();
    let signalling = ["peer", "session", "sequence_number", "esm_class", "data_coding"];
    assert!(signalling.iter().all(|field| !before[field].is_null()), "{before}");
    assert!(before["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{before}");
    let record = before["id"].as_str().expect("a name");

    folder.run(&["retention", "run", "--yes"]).ok();
    let after = find();
    assert_eq!(after["signalling_expired"], true, "{after}");
    assert_ne!(after["peer"], before["peer"], "the address is gone");
    let kept =
        ["id", "text", "verdict", "status", "source", "destination", "sender", "port", "class", "received", "outcome"];
    for field in kept {
        assert_eq!(after[field], before[field], "{field}");
    }
    let text = folder.run(&["journal", "find", "--to", &to]).ok();
    assert!(text.contains("signalling expired"), "{text}");
    let explained = folder.run(&["explain", record, "--json"]).ok();
    let explained: Value = serde_json::from_str(&explained).expect("JSON");
    assert!(explained.to_string().contains("forward"), "{explained}");

    let out = folder.path().join("case");
    folder.run(&["journal", "export", "--out", out.to_str().expect("UTF-8"), "--to", &to, "--whole"]).ok();
    let rows = std::fs::read_to_string(out.join("records.jsonl")).expect("the records");
    let row: Value = serde_json::from_str(rows.lines().next().expect("a row")).expect("JSON");
    assert_eq!((&row["signalling_expired"], &row["text"]), (&Value::Bool(true), &before["text"]), "{row}");
    let verified = folder.run(&["journal", "verify"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
}
