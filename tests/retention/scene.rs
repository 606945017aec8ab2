//! A data folder with days of the past in it.
//!
//! Owns the records that are put there, and the reading of what is left. Driven by the tests.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use portcullis::clock;
use portcullis::gate::record::{
    Content, Delivery, Origin, Outcome, Receipt, Record, Submission, WireAddress, name, subscriber_key,
};
use portcullis::gate::retention::{Plan, Purged};
use portcullis::gate::{open_journal, open_keys};
use portcullis::store::journal::Day;
use portcullis::store::{EntryId, Journal, Query};
use serde_json::Value;

use crate::gate::Folder;

const REGISTER: &str = include_str!("../../testdata/demo/register.toml");

/// Messages of each day: each is three entries, a receipt the last.
pub(crate) const MESSAGES: u64 = 40;

/// Their ports and senders, in turn.
const SENDERS: [(&str, &str); 2] = [("106900077001", "teahouse"), ("106550077001", "bank")];

/// An entry's two parts.
pub(crate) type Entry = (Vec<u8>, Option<Vec<u8>>);

/// Everything in the journal, by day.
pub(crate) type Kept = BTreeMap<Date, BTreeMap<u64, Entry>>;

pub(crate) struct Scene {
    pub(crate) folder: Folder,
    pub(crate) filled: Kept,
}

pub(crate) fn today() -> Date {
    zone().to_datetime(clock::wall()).date()
}

/// A day so long ago that it may be gone since so many days.
pub(crate) fn expired(months: i32, days_ago: i32) -> Date {
    // Late months are shorter: the day with the same number some days earlier is surely over.
    today() - (days_ago + 1).days() - months.months()
}

pub(crate) fn zone() -> TimeZone {
    TimeZone::get("Asia/Shanghai").expect("China's zone")
}

/// The subscriber of a day's message.
pub(crate) fn subscriber(message: u64) -> u64 {
    8_613_800_100_000 + message
}

impl Scene {
    /// A folder with these days in it, under a configuration with `more` in it.
    pub(crate) fn with(days: &[Date], more: &str) -> Self {
        let folder = Folder::new(REGISTER, SocketAddr::from(([127, 0, 0, 1], 1)));
        folder.configure("", SocketAddr::from(([127, 0, 0, 1], 1)), more);
        let mut scene = Self { folder, filled: Kept::default() };
        let journal = scene.journal();
        days.iter().for_each(|day| fill(&journal, *day));
        drop(journal);
        scene.filled = scene.kept();
        assert_eq!(scene.filled.len(), days.len());
        scene
    }

    fn journal(&self) -> Journal {
        let config = self.folder.config();
        let keys = open_keys(&config).expect("keys");
        open_journal(&config, &keys).expect("the journal")
    }

    /// What is in the journal, but for what came since the test began.
    pub(crate) fn kept(&self) -> Kept {
        let mut kept = Kept::default();
        for entry in self.journal().find_parts(Query::default()).expect("the journal") {
            let (id, parts) = entry.expect("an entry");
            if id.day.0 < today() - 1.day() {
                kept.entry(id.day.0).or_default().insert(id.number, (parts.content, parts.signalling));
            }
        }
        kept
    }

    /// What the days take on disk.
    pub(crate) fn octets(&self, days: &[Date]) -> u64 {
        days.iter().map(|day| octets(&self.day_folder(*day))).sum()
    }

    pub(crate) fn day_folder(&self, day: Date) -> std::path::PathBuf {
        self.folder.config().data.join("journal").join(Day(day).to_string())
    }

    /// The names of the keys there are.
    pub(crate) fn keys(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.config().data.join("keys")).expect("the keys");
        entries.map(|entry| entry.expect("a key").file_name().to_string_lossy().into_owned()).collect()
    }

    pub(crate) fn plan(&self, arguments: &[&str]) -> Plan {
        let said = self.folder.run(&[&["retention", "plan", "--json"], arguments].concat());
        serde_json::from_str(&said.ok()).expect("a plan")
    }

    pub(crate) fn purge(&self, arguments: &[&str]) -> Purged {
        let said = self.folder.run(&[&["retention", "run", "--json"], arguments].concat());
        serde_json::from_str(&said.ok()).expect("what was purged")
    }

    /// What has expired is told from what is missing.
    pub(crate) fn verify(&self) {
        self.folder.run(&["journal", "verify"]).ok();
    }

    /// The records of purges, in their order: what, and what came of it.
    pub(crate) fn recorded(&self) -> Vec<(String, String)> {
        let said = self.folder.run(&["journal", "find", "--sessions", "--json"]).ok();
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let lines = said.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let changes = lines.map(|line| line.get("change").cloned().unwrap_or(line));
        let purges = changes.filter(|change| change["what"] == "purge");
        purges.map(|change| (text(&change, "about"), text(&change, "outcome"))).collect()
    }
}

pub(crate) fn octets(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => octets(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}

/// A day's messages, their outcomes and receipts.
fn fill(journal: &Journal, day: Date) {
    let noon = zone().to_timestamp(day.at(12, 0, 0, 0)).expect("noon").as_millisecond();
    let mut last = 0;
    let mut append = |record: &Record<'_>, signalling: &str| -> EntryId {
        let ticket = journal.append_parts(&record.encode(Vec::new()), signalling.as_bytes()).expect("room");
        last = ticket.sequence;
        ticket.id
    };
    for message in 0..MESSAGES {
        let at_ms = noon + i64::try_from(message).expect("few") * 1000;
        let text = text(day, message);
        let id = append(&Record::Submission(submission(message, at_ms, &text)), &format!("session 7 of {day}"));
        append(&Record::Outcome(outcome(id, message, at_ms + 40)), "");
        append(&Record::Delivery(receipt(message, at_ms + 900)), "session 7");
    }
    wait(journal, last);
}

fn wait(journal: &Journal, sequence: u64) {
    let end = clock::monotonic() + crate::gate::PATIENCE;
    while journal.progress().borrow().durable < sequence {
        assert!(clock::monotonic() < end, "the journal does not write");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Words that do not repeat, so that a day takes its place on disk.
fn text(day: Date, message: u64) -> String {
    let mut state = u64::from(day.day_of_year().unsigned_abs()) << 32 | message;
    let mut words = String::new();
    while words.len() < 400 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        words.push_str(&format!("{:x} ", state >> 20));
    }
    words
}

fn address(addr: &str) -> WireAddress<'_> {
    WireAddress { ton: 1, npi: 1, addr: addr.into() }
}

fn origin() -> Origin<'static> {
    Origin { provider: "demo".into(), session: 7, peer: "127.0.0.1:4000".into() }
}

fn port_of(message: u64) -> (&'static str, &'static str) {
    SENDERS[usize::try_from(message).expect("few") % SENDERS.len()]
}

fn submission(message: u64, at_ms: i64, text: &str) -> Submission<'static> {
    let (port, sender) = port_of(message);
    Submission {
        received_ms: at_ms,
        source: address(port),
        destination: WireAddress { ton: 1, npi: 1, addr: subscriber(message).to_string().into() },
        msisdn: Some(subscriber(message)),
        origin: origin(),
        command_id: 4,
        sequence_number: 9,
        port: Some((port.into(), "commercial".into())),
        sender: Some(sender.into()),
        class: "commercial".into(),
        service_type: "".into(),
        flags: (0, 8, 1),
        part: None,
        content: Content::Text(text.to_owned().into()),
        verdict: "forward".into(),
        status: 0,
        findings: Vec::new(),
        profile: "cn-2020-draft".into(),
        register: "abc".into(),
    }
}

fn outcome(of: EntryId, message: u64, at_ms: i64) -> Outcome<'static> {
    Outcome {
        at_ms,
        subscriber: subscriber_key(Some(subscriber(message)), "").into_owned().into(),
        port: port_of(message).0.into(),
        message_id: Some(format!("m{message}").into()),
        of: name(of),
        forwarded_ms: at_ms,
        outcome: "answered".into(),
        status: 0,
    }
}

fn receipt(message: u64, at_ms: i64) -> Delivery<'static> {
    Delivery {
        received_ms: at_ms,
        source: WireAddress { ton: 1, npi: 1, addr: subscriber(message).to_string().into() },
        destination: address(port_of(message).0),
        msisdn: Some(subscriber(message)),
        receipt: Some(Receipt {
            message_id: Some(format!("m{message}").into()),
            state: Some("DELIVRD".into()),
            error: None,
        }),
        origin: origin(),
        flags: (4, 0),
        content: Content::Text("id:m stat:DELIVRD".into()),
    }
}

/// The moment of now, for what the command line is told.
pub(crate) fn now() -> Timestamp {
    clock::wall()
}
