//! `journal find`: conditions, pages, both ways to the store.

use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::field::DataCoding;
use portcullis_protocol::pdu::DeliverSm;
use portcullis_protocol::{CommandStatus, Frame, Pdu};
use serde_json::Value;

use crate::gate::Folder;
use crate::stage::{COMMERCIAL_PORT, SERVICE_PORT, SILENT, Stage, WILLING};
use crate::traffic::{lines, scene};

/// What a subscriber sends to a port.
pub(crate) fn delivery(from: &str, to: &str, text: &str) -> Frame {
    let pdu = DeliverSm {
        source: Address::new(Ton::INTERNATIONAL, Npi::ISDN, from.as_bytes()),
        destination: Address::new(Ton::UNKNOWN, Npi::UNKNOWN, to.as_bytes()),
        data_coding: DataCoding::DEFAULT,
        short_message: text.as_bytes(),
        ..DeliverSm::default()
    };
    Pdu::DeliverSm(pdu).to_frame(CommandStatus::ESME_ROK, 0)
}

/// What is found, without the line that says that there may be more, and what that names.
fn found(folder: &Folder, conditions: &[&str]) -> (Vec<Value>, Option<String>) {
    let command = [&["journal", "find", "--json"], conditions].concat();
    let mut all = lines(&folder.run(&command).ok());
    let more = all.pop_if(|last| last["kind"] == "more");
    (all, more.map(|more| more["after"].as_str().expect("a name").to_owned()))
}

fn ids(found: &[Value]) -> Vec<String> {
    found.iter().map(|one| one["id"].as_str().expect("a name").to_owned()).collect()
}

/// Each message's text, each reply's.
fn texts(folder: &Folder, conditions: &[&str]) -> Vec<String> {
    found(folder, conditions).0.iter().map(|one| one["text"].as_str().unwrap_or_default().to_owned()).collect()
}

fn count(folder: &Folder, conditions: &[&str]) -> usize {
    found(folder, conditions).0.len()
}

fn conditions_hold(folder: &Folder) {
    let expected: [(&[&str], usize); 18] = [
        (&["--verdict", "reject"], 1),
        (&["--verdict", "forward"], 3),
        (&["--verdict", "forward", "--rule", "R09"], 0),
        (&["--verdict", "reject", "--rule", "r09"], 1),
        (&["--class", "service"], 1),
        (&["--class", "commercial", "--kind", "message"], 3),
        (&["--port", SERVICE_PORT], 1),
        (&["--port", COMMERCIAL_PORT, "--kind", "reply"], 1),
        (&["--provider", "herald", "--kind", "message"], 4),
        (&["--provider", "narrow"], 0),
        (&["--sender", "bakery", "--kind", "message"], 4),
        (&["--sender", "baker"], 0),
        (&["--rule", "R23"], 1),
        (&["--text", "all BREAD half"], 3),
        (&["--text", "sunday"], 1),
        (&["--to", WILLING, "--text", "half price"], 2),
        (&["--to", WILLING, "--from", COMMERCIAL_PORT, "--kind", "message"], 2),
        (&["--to", SILENT], 1),
    ];
    for (conditions, count) in expected {
        assert_eq!(self::count(folder, conditions), count, "{conditions:?}: {:#?}", found(folder, conditions).0);
        let paged = [conditions, &["--limit", "100"]].concat();
        assert_eq!(self::count(folder, &paged), count, "{conditions:?} on a page");
    }
    assert_eq!(texts(folder, &["--rule", "R23"]), ["TD"]);
    let beside = ["session", "list", "change"].map(|kind| count(folder, &["--kind", kind]));
    assert!(beside[0] > 0 && beside[2] > 0);
    assert_eq!(beside.iter().sum::<usize>(), count(folder, &["--sessions"]) - count(folder, &[]));
    // A message has what became of it, the reply included, whichever way it was found.
    for conditions in [&["--text", "Ｓunday"][..], &["--text", "Ｓunday", "--limit", "1"]] {
        let (message, _) = found(folder, conditions);
        assert_eq!(message[0]["outcome"]["outcome"], "answered");
        assert_eq!(message[0]["replies"][0]["text"], "TD");
        assert_eq!(message[0]["replies"][0]["taken"]["effect"], "refused");
    }
}

fn pages_are_the_whole(folder: &Folder, questions: &[&[&str]]) {
    for conditions in questions.iter().copied() {
        let all = ids(&found(folder, conditions).0);
        assert!(!all.is_empty());
        for backwards in [false, true] {
            let (mut pages, mut after) = (Vec::new(), None);
            loop {
                let mut page = [conditions, &["--limit", "2"]].concat();
                page.extend(backwards.then_some("--newest-first"));
                page.extend(after.iter().flat_map(|after: &String| ["--after", after.as_str()]));
                let (some, more) = found(folder, &page);
                assert!(some.len() <= 2);
                pages.extend(ids(&some));
                let Some(more) = more else { break };
                after = Some(more);
            }
            if backwards {
                pages.reverse();
            }
            assert_eq!(pages, all, "{conditions:?} backwards: {backwards}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_condition_finds_what_it_says_page_by_page_and_whoever_has_the_store() {
    let (stage, provider) = scene().await;
    conditions_hold(&stage.folder);
    pages_are_the_whole(&stage.folder, &[&[], &["--from", COMMERCIAL_PORT]]);
    drop(provider);
    let Stage { gate, folder, .. } = stage;
    gate.stop();
    assert_eq!(texts(&folder, &["--rule", "R23"]), ["TD"]);
    assert_eq!(count(&folder, &["--text", "all BREAD half"]), 3);
    pages_are_the_whole(&folder, &[&["--to", WILLING], &["--sender", "bakery"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_asked_is_said() {
    let (stage, _provider) = scene().await;
    let said = |conditions: &[&str]| {
        let said = stage.folder.run(&[&["journal", "find"], conditions].concat());
        assert_ne!(said.code, Some(0), "{conditions:?}");
        said.stderr
    };
    assert!(said(&["--rule", "R99"]).contains("expected R01 to R26"));
    assert!(said(&["--after", "yesterday"]).contains("is no entry name"));
    assert!(said(&["--since", "2026-11-24", "--until", "2026-11-24"]).contains("--since must be before --until"));
    assert!(said(&["--text", ""]).contains("--text is empty"));
    assert!(said(&["--verdict", "maybe"]).contains("possible values"));
}
