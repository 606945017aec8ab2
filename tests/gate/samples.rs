//! The sample messages, each judged by `portcullis judge --jsonl` and by a running gate.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use portcullis::clock;
use portcullis::register::Register;
use portcullis::simulator::Simulator;
use portcullis_protocol::{CommandId, CommandStatus, Frame};
use serde::Deserialize;
use serde_json::Value;

use crate::gate::Folder;
use crate::provider::{Provider, submit};
use crate::stage;

const REGISTER: &str = include_str!("../../testdata/rulebook/register.toml");
const SAMPLES: &str = include_str!("../../testdata/rulebook/samples.jsonl");

/// Every sample comes from this provider: one of them has a source that is nobody's.
const PROVIDER: &str = "agg1";

#[derive(Deserialize)]
struct Sample {
    id: String,
    source: String,
    at: Timestamp,
    consent: String,
    text: String,
    expect: String,
    rules: Vec<String>,
}

#[derive(Deserialize)]
struct Answer {
    id: String,
    verdict: String,
    rules: Vec<String>,
    status: String,
}

fn samples() -> Vec<Sample> {
    SAMPLES.lines().map(|line| serde_json::from_str(line).expect("a sample")).collect()
}

impl Sample {
    /// The rulebook's answer: that of the first rule that failed.
    fn status(&self) -> CommandStatus {
        let first = self.rules.first().map_or("", String::as_str);
        CommandStatus(match (self.expect.as_str(), first) {
            ("forward", _) => 0,
            ("hold", _) => 0x58,
            (_, "R01" | "R02") => 0x0A,
            (_, "R03") => 0x0487,
            (_, "R05") if self.text.matches('【').count() > 1 => 0x0488,
            (_, "R05") => 0x0483,
            (_, "R06") => 0x0484,
            (_, "R07") => 0x0485,
            (_, "R09") => 0x0481,
            (_, "R11") => 0x0482,
            (_, "R12") => 0x048C,
            other => panic!("{}: no status is known for {other:?}", self.id),
        })
    }

    /// Whether it is sent while commercial messages may be delivered.
    fn is_by_day(&self) -> bool {
        (8..21).contains(&self.at.to_zoned_datetime(china()).hour())
    }

    /// The recipient on the wire, one for each sample: each has a standing of its own.
    fn recipient(&self) -> String {
        let number: u64 = self.id.trim_start_matches('S').parse().expect("S and a number");
        (8_613_800_138_000 + number).to_string()
    }

    fn consents(&self, register: &Register) -> String {
        let (status, at, end) = match self.consent.as_str() {
            "none" => return String::new(),
            "active" => ("consent", "2025-01-01", ""),
            "expired" => ("consent", "2025-01-01", "2025-12-31"),
            "refused" => ("refusal", "2025-01-01", ""),
            other => panic!("{}: what is consent {other:?}?", self.id),
        };
        let row = |sender: &str| format!("{},{sender},,{status},{at},web,form,{end}\n", self.recipient());
        register.senders().iter().map(|sender| row(&sender.id)).collect()
    }
}

fn china() -> TimeZone {
    TimeZone::fixed(Offset::constant(8))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_gets_its_verdict_from_judge() {
    let carrier = Simulator::start(stage::options()).await.expect("the carrier listens");
    let folder = Folder::new(REGISTER, carrier.address());
    folder.configure("", carrier.address(), "[profile]\nquiet_hours = \"08:00-21:00\"");
    let named = |line: &str| {
        let mut sample: Value = serde_json::from_str(line).expect("a sample");
        sample["provider"] = PROVIDER.into();
        format!("{sample}\n")
    };
    let lines: String = SAMPLES.lines().map(named).collect();
    let answers = folder.feed(&["judge", "--jsonl"], &lines).ok();

    let answers: Vec<Answer> = answers.lines().map(|line| serde_json::from_str(line).expect("an answer")).collect();
    let samples = samples();
    assert_eq!(answers.len(), samples.len());
    for (answer, sample) in answers.iter().zip(&samples) {
        let expected = (&sample.id, &sample.expect, &sample.rules, format!("{:#010x}", sample.status().0));
        assert_eq!((&answer.id, &answer.verdict, &answer.rules, answer.status.clone()), expected);
    }
}

/// The hours of delivery are set so that it is the right time of day for each half of the samples.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_gets_its_verdict_on_the_wire() {
    let hour = clock::wall().to_zoned_datetime(china()).hour();
    let hours = |from: i8, until: i8| format!("{:02}:00-{:02}:00", (hour + from) % 24, (hour + until) % 24);
    let (day, night): (Vec<_>, Vec<_>) = samples().into_iter().partition(Sample::is_by_day);
    assert!(!day.is_empty() && !night.is_empty());
    send(&day, &hours(22, 3)).await;
    send(&night, &hours(3, 5)).await;
}

async fn send(samples: &[Sample], hours: &str) {
    let carrier = Simulator::start(stage::options()).await.expect("the carrier listens");
    let folder = Folder::new(REGISTER, carrier.address());
    folder.configure("", carrier.address(), &format!("[profile]\nquiet_hours = \"{hours}\""));
    let gate = folder.start();
    import_consents(&folder, samples);
    let mut provider = Provider::bound(gate.address, PROVIDER, "").await;
    let mut forwarded = Vec::new();
    for sample in samples {
        let message = submit(&sample.source, &sample.recipient(), &sample.text);
        let status = provider.ask(message.clone()).await.command_status();
        assert_eq!(status, sample.status(), "{}", sample.id);
        check_record(&folder, sample);
        if sample.expect == "forward" {
            forwarded.push(message);
        }
    }
    let taken = carrier.received_of(CommandId::SUBMIT_SM);
    let bodies = |frames: Vec<&Frame>| frames.into_iter().map(|frame| frame.body().to_vec()).collect::<Vec<_>>();
    assert_eq!(
        bodies(taken.iter().map(|taken| &taken.frame).collect()),
        bodies(forwarded.iter().collect()),
        "the carrier gets what was forwarded, byte for byte, and nothing else"
    );
}

fn import_consents(folder: &Folder, samples: &[Sample]) {
    let register = Register::load(&folder.path().join("register.toml")).expect("the register");
    let rows: String = samples.iter().map(|sample| sample.consents(&register)).collect();
    let csv = format!("msisdn,sender,category,status,at,method,evidence,expires_at\n{rows}");
    folder.feed(&["consent", "import", "-"], &csv).ok();
}

fn check_record(folder: &Folder, sample: &Sample) {
    let records = folder.sent_to(&sample.recipient());
    let [record] = records.as_slice() else { panic!("{}: {} records", sample.id, records.len()) };
    let effects: HashMap<_, _> =
        record.findings.iter().map(|found| (found.rule.clone(), found.effect.clone())).collect();
    let rules: Vec<_> = record.findings.iter().map(|found| found.rule.clone()).collect();
    assert_eq!((&record.verdict, &rules), (&sample.expect, &sample.rules), "{}: {effects:?}", sample.id);
    assert_eq!(record.text.as_ref(), Some(&sample.text), "{}", sample.id);
}
