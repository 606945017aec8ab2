//! `journal export`: whole, masked, checkable, and never half.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::checking::{every_change_is_noticed, everything, files, holds};
use crate::stage::{COMMERCIAL_PORT, SILENT, Stage, WILLING};
use crate::traffic::{OFFER, lines, scene};

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn names(folder: &Path) -> Vec<String> {
    let name = |file: &Path| file.strip_prefix(folder).expect("below it").to_string_lossy().into_owned();
    files(folder).iter().map(|file| name(file)).collect()
}

fn export(stage: &Stage, name: &str, arguments: &[&str]) -> std::path::PathBuf {
    let out = stage.folder.path().join(name);
    let out_text = out.to_str().expect("UTF-8");
    stage.folder.run(&[&["journal", "export", "--out", out_text], arguments].concat()).ok();
    assert!(!stage.folder.path().join(format!("{name}.partial")).exists());
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_has_all_that_belongs_to_it_and_any_change_is_noticed() {
    let (stage, _provider) = scene().await;
    let out = export(&stage, "case", &["--to", WILLING, "--whole"]);
    let records = lines(&read(&out, "records.jsonl"));
    let kinds: Vec<&str> = records.iter().map(|record| record["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["message", "message", "message", "delivery"]);
    assert_eq!(records[1]["replies"][0]["text"], "TD");
    assert_eq!(records[0]["destination"], WILLING);
    assert_eq!(records[0]["text"], OFFER);
    let mut rows = csv::Reader::from_path(out.join("records.csv")).expect("rows");
    let at = rows.headers().expect("a header").iter().position(|name| name == "record").expect("a column");
    let named: Vec<String> = rows.records().map(|row| row.expect("a row")[at].to_owned()).collect();
    assert_eq!(named, records.iter().map(|record| record["id"].as_str().expect("a name")).collect::<Vec<_>>());
    let entries = lines(&read(&out, "entries.jsonl"));
    let of_kind = |kind: &str| entries.iter().filter(|entry| !entry["record"][kind].is_null()).count();
    assert_eq!((of_kind("Submission"), of_kind("Outcome"), of_kind("Taken")), (3, 3, 1));
    let consents = lines(&read(&out, "consents.jsonl"));
    let statuses: Vec<&str> = consents.iter().map(|event| event["status"].as_str().expect("a status")).collect();
    assert_eq!(statuses, ["consent", "refusal"]);
    let paper = read(&out, &format!("evidence/{}", consents[0]["sha256"].as_str().expect("a hash")));
    assert_eq!(paper, "Yes, send me offers.\n");
    let register: Value = serde_json::from_str(&read(&out, "register.json")).expect("JSON");
    assert_eq!(register["senders"][0]["name"], "Bakery Ltd");
    let manifest: Value = serde_json::from_str(&read(&out, "manifest.json")).expect("JSON");
    assert_eq!((&manifest["counts"]["messages"], &manifest["whole"]), (&3.into(), &true.into()));
    let listed: Vec<&str> = manifest["files"]
        .as_array()
        .expect("files")
        .iter()
        .map(|file| file["path"].as_str().expect("a path"))
        .collect();
    let beside = ["SHA256SUMS", "SHA256SUMS.sig", "manifest.json"];
    assert_eq!(listed, names(&out).iter().filter(|name| !beside.contains(&name.as_str())).collect::<Vec<_>>());
    every_change_is_noticed(&out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_masked_export_has_no_number_in_any_file() {
    let (stage, provider) = scene().await;
    let out = export(&stage, "masked", &["--to", WILLING, "--bom"]);
    let all = everything(&out);
    let own = WILLING.strip_prefix("86").expect("a Chinese number");
    assert!(!all.contains(own) && all.contains("138****8001"));
    assert!(!names(&out).iter().any(|name| name.starts_with("evidence") || name == "entries.jsonl"));
    assert!(read(&out, "records.csv").starts_with('\u{feff}') && holds(&out));
    drop(provider);
    // Without a gate the store itself is asked, and signed for with the same key.
    let key = read(&out, "public.pem");
    let Stage { gate, folder, .. } = stage;
    gate.stop();
    let closed = folder.path().join("closed");
    let arguments =
        ["journal", "export", "--out", closed.to_str().expect("UTF-8"), "--verdict", "reject", "--format", "csv"];
    folder.run(&arguments).ok();
    assert!(holds(&closed) && read(&closed, "public.pem") == key);
    assert_eq!(read(&closed, "records.csv").lines().count(), 2);
    assert!(!everything(&closed).contains(SILENT.strip_prefix("86").expect("a Chinese number")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_export_is_half_or_over_another() {
    let (stage, _provider) = scene().await;
    let path = |name: &str| stage.folder.path().join(name);
    let run = |name: &str| {
        let out = path(name);
        stage.folder.run(&["journal", "export", "--from", COMMERCIAL_PORT, "--out", out.to_str().expect("UTF-8")])
    };
    fs::create_dir(path("empty")).expect("a folder");
    run("empty").ok();
    assert!(holds(&path("empty")));
    let again = run("empty");
    assert!(again.code == Some(1) && again.stderr.contains("not empty"), "{}", again.stderr);
    fs::create_dir(path("cut.partial")).expect("a folder");
    let cut = run("cut");
    assert!(cut.code == Some(1) && cut.stderr.contains("was cut short"), "{}", cut.stderr);
    assert!(!path("cut").exists());
}
