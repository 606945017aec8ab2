//! Complaints: dossier, steps, terms, over a kill.

use std::fs;

use jiff::ToSpan;
use portcullis::clock;
use serde_json::Value;

use crate::checking::{every_change_is_noticed, holds};
use crate::gate::Folder;
use crate::stage::{COMMERCIAL_PORT, REGISTER, Stage, WILLING};
use crate::traffic::{OFFER, lines, scene};

fn listed(folder: &Folder, arguments: &[&str]) -> Vec<Value> {
    lines(&folder.run(&[&["complaint", "list", "--json"], arguments].concat()).ok())
}

/// A moment some hours ago, as the command line takes it.
fn hours_ago(hours: i64) -> String {
    (clock::wall() - hours.hours()).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dossier_has_the_message_its_reasons_the_consent_and_the_reply_and_can_be_checked() {
    let (stage, _provider) = scene().await;
    let out = stage.folder.path().join("dossier");
    let (now, out_text) = (hours_ago(0), out.to_str().expect("UTF-8"));
    let mut open = vec!["complaint", "open", "--msisdn", WILLING, "--about", &now, "--channel", "12321", "--json"];
    open.extend(["--reference", "12321-7", "--text", "bread half price", "--out", out_text]);
    let opened = lines(&stage.folder.run(&open).ok()).remove(0);
    assert_eq!(opened["messages"].as_array().map(Vec::len), Some(2), "{opened}");
    assert_eq!((&opened["course"]["channel"], &opened["terms"]["next"]["stage"]), (&"12321".into(), &"act".into()));
    let report: Value = serde_json::from_slice(&fs::read(out.join("report.json")).expect("a report")).expect("JSON");
    assert_eq!(report["complaint"]["id"], opened["id"]);
    let meant = &report["meant"][1];
    assert_eq!(meant["message"]["replies"][0]["text"], "TD");
    assert_eq!(meant["rules"].as_array().map(Vec::len), Some(26), "every rule");
    assert!(meant["standing"]["then_by"][0]["wording"].as_str().is_some_and(|wording| wording.contains("offers")));
    assert_eq!(report["registered"]["senders"][0]["credential"], "91310000TEST000077");
    let page = fs::read_to_string(out.join("report.html")).expect("a page");
    for text in [OFFER, "Bakery Ltd", "12321-7", "投诉报告", "I want the bakery&#39;s offers", "TD"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(fs::read_dir(out.join("evidence")).expect("papers").count() == 1);
    every_change_is_noticed(&out);
    // The same again by name, of what is known by then.
    let id = opened["id"].as_str().expect("a name");
    stage.folder.run(&["complaint", "act", id, "--note", "sender warned"]).ok();
    let later = stage.folder.path().join("later");
    stage.folder.run(&["complaint", "dossier", id, "--out", later.to_str().expect("UTF-8")]).ok();
    assert!(holds(&later) && fs::read_to_string(later.join("report.html")).expect("a page").contains("sender warned"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_steps_of_a_complaint_are_kept_in_order_and_outlive_a_crash() {
    let (stage, provider) = scene().await;
    let about = hours_ago(0);
    let open = |hours: i64| {
        let received = hours_ago(hours);
        let arguments =
            ["complaint", "open", "--msisdn", WILLING, "--about", &about, "--received", &received, "--json"];
        let opened = lines(&stage.folder.run(&arguments).ok()).remove(0);
        opened["id"].as_str().expect("a name").to_owned()
    };
    let (fresh, old) = (open(1), open(24 * 60));
    let refused = |arguments: &[&str]| {
        let said = stage.folder.run(&[&["complaint"], arguments].concat());
        assert_eq!(said.code, Some(1), "{arguments:?}");
        said.stderr
    };
    assert!(refused(&["answer", &fresh, "--note", "x"]).contains("not acted on yet"));
    assert!(refused(&["act", "20200101-000000001", "--note", "x"]).contains("no complaint"));
    assert!(refused(&["act", &fresh, "--note", "x", "--at", "2020-01-01"]).contains("before the complaint was made"));
    let due = listed(&stage.folder, &["--due"]);
    let order: Vec<&str> = due.iter().map(|complaint| complaint["id"].as_str().expect("a name")).collect();
    assert_eq!(order, [&old, &fresh], "what is overdue comes first");
    assert_eq!(due[0]["terms"]["next"]["is_late"], true);
    let shown = stage.folder.run(&["complaint", "list", "--due"]).ok();
    assert!(shown.contains("OVERDUE") && shown.contains("working days left"), "{shown}");
    stage.folder.run(&["complaint", "act", &fresh, "--note", "port suspended"]).ok();
    assert!(refused(&["act", &fresh, "--note", "again"]).contains("acted on already"));
    drop(provider);
    let Stage { gate, folder, carrier } = stage;
    gate.kill();
    // On the store itself, then in a new gate.
    folder.run(&["complaint", "answer", &fresh, "--note", "called back"]).ok();
    let gate = folder.start();
    let holds = || folder.run(&["hold", "list", "--json"]).ok();
    assert_eq!(lines(&holds()).iter().filter(|hold| hold["lifted"].is_null()).count(), 2, "{}", holds());
    folder.run(&["complaint", "close", &old, "--note", "taken back", "--lift-hold"]).ok();
    assert_eq!(lines(&holds()).iter().filter(|hold| hold["lifted"].is_null()).count(), 1, "{}", holds());
    assert!(listed(&folder, &["--due"]).is_empty());
    let all = listed(&folder, &[]);
    let steps = |complaint: &Value| {
        let steps = complaint["steps"].as_array().expect("steps");
        steps.iter().map(|step| step["step"].as_str().expect("a step").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(steps(&all[0]), ["opened", "acted", "answered"]);
    assert_eq!(steps(&all[1]), ["opened", "closed"]);
    assert!(all[0]["hold"].is_string() && all[1]["hold"].is_null());
    gate.stop();
    drop(carrier);
}

#[test]
fn holidays_of_ones_own_count_and_a_bad_file_is_told_by_check() {
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let folder = Folder::new(REGISTER, nobody);
    let now = clock::wall();
    let open = ["complaint", "open", "--msisdn", WILLING, "--about", &hours_ago(0), "--port", COMMERCIAL_PORT];
    folder.configure("", nobody, "[complaints]\nholidays = \"own.toml\"");
    let year = now.to_zoned_datetime(jiff::tz::TimeZone::UTC).date().year() - 1;
    let own = |from: i16| {
        let years =
            (from..from + 3).map(|year| format!("[[year]]\nyear = {year}\nnotice = \"own\"\noff = [\"01-01\"]\n"));
        fs::write(folder.path().join("own.toml"), years.collect::<String>()).expect("a file");
    };
    own(year);
    let said = folder.run(&open);
    assert!(said.code == Some(0) && !said.stderr.contains("are not known"), "{}", said.stderr);
    fs::write(folder.path().join("own.toml"), "[[year]]\nyear = 2027\nnotice = \"x\"\noff = [\"13-01\"]\n")
        .expect("a file");
    let check = folder.run(&["check"]);
    let said = format!("{}{}", check.stdout, check.stderr);
    assert!(check.code == Some(1) && said.contains("own.toml:4"), "{said}");
}
