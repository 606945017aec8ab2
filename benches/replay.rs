//! Replaying a journal: `cargo bench --bench replay -- [RECORDS [DIR]]`.
//!
//! Records are the rulebook's cases with the verdicts that the rules give them. Measured: what the
//! grounds behind a record cost in time and octets, and the messages a second that `portcullis
//! replay` judges again, as the command line does it. Budget: 1 M in at most a few minutes.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench measures, and fails by panicking")]

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use portcullis::config::Config;
use portcullis::gate::record::{Content, Finding, Grounds, Handling, Origin, Record, Submission, WireAddress};
use portcullis::gate::{open_journal, open_keys};
use portcullis::register::Register;
use portcullis::rules::{self, Basis, Consent, Effect, Facts, Operation, Presentation, Profile, judge};
use portcullis::store::journal::AppendError;
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::text::Text;
use serde_json::Value;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let records: usize = arguments.next().map_or(1_000_000, |n| n.parse().unwrap());
    let dir = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(dir).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rulebook");
    let register = Register::load(&root.join("register.toml")).unwrap_or_else(|faults| panic!("{}", faults[0]));
    let cases = cases(&root);
    println!("{records} records of {} texts, {}", cases.len(), dir.path().display());
    cost_of_grounds(&register, &cases[0]);
    let few = records.min(200_000);
    let without = write(dir.path(), "without", few, &cases, &register, false);
    let with = write(dir.path(), "with", few, &cases, &register, true);
    println!("octets a record on disk: {} without grounds, {} with", without / few as u64, with / few as u64);
    write(dir.path(), "all", records, &cases, &register, true);
    for profile in ["cn-2020-draft", "cn-2026-74"] {
        replay(dir.path(), profile, records);
    }
}

struct Sample {
    source: String,
    text: String,
    agreed: bool,
}

fn cases(root: &Path) -> Vec<Sample> {
    let mut files: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let texts = files.iter().filter(|file| file.extension().is_some_and(|end| end == "jsonl"));
    let lines: Vec<String> = texts
        .flat_map(|file| fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let sample = |line: &String| {
        let case: Value = serde_json::from_str(line).unwrap();
        Some(Sample {
            source: case["source"].as_str()?.to_owned(),
            text: case["text"].as_str()?.to_owned(),
            agreed: case["consent"] == "active",
        })
    };
    lines.iter().filter_map(sample).collect()
}

fn judged<'a>(
    sample: &'a Sample,
    to: &'a str,
    register: &'a Register,
    profile: &Profile,
    now: Timestamp,
) -> (Submission<'a>, Facts<'a>) {
    let submission = rules::Submission {
        operation: Operation::SubmitSm,
        source: Address::new(Ton::UNKNOWN, Npi::ISDN, sample.source.as_bytes()),
        destination: Address::new(Ton::INTERNATIONAL, Npi::ISDN, to.as_bytes()),
        service_type: b"",
        class_tlv: None,
        sm_default_msg_id: 0,
        content: Text::Readable(sample.text.as_str().into()),
        presentation: Presentation::Kept,
        part: None,
        deliver_at: None,
        valid_until: None,
    };
    let identity = register.identify(&register.providers()[0], &submission);
    let mut facts = Facts::new(identity);
    if sample.agreed {
        facts.consent = Consent::Active;
        facts.basis = Some(Basis { at_ms: 1_767_000_000_000, category: "promotion".into() });
    }
    let verdict = judge(&submission, &facts, profile, now);
    let effect = |effect| match effect {
        Effect::Failed => "failed",
        Effect::Held => "held",
        Effect::Alert => "alert",
        Effect::Observed => "observed",
    };
    let finding = |found: &rules::Finding| Finding {
        rule: found.rule.id().into(),
        effect: effect(found.effect).into(),
        why: found.why.to_string().into(),
    };
    let record = Submission {
        received_ms: now.as_millisecond(),
        source: WireAddress { ton: 0, npi: 1, addr: sample.source.as_str().into() },
        destination: WireAddress { ton: 1, npi: 1, addr: to.into() },
        msisdn: to.parse().ok(),
        origin: Origin { provider: "agg1".into(), session: 7, peer: "127.0.0.1:40000".into() },
        command_id: 4,
        sequence_number: 9,
        port: identity.port.map(|port| (port.number.as_str().into(), port.class.name().into())),
        sender: identity.sender.map(|sender| sender.id.as_str().into()),
        class: verdict.class.name().into(),
        service_type: "".into(),
        flags: (0, 8, 1),
        part: None,
        content: Content::Text(sample.text.as_str().into()),
        verdict: verdict.decision.to_string().into(),
        status: verdict.status.0,
        findings: verdict.findings.iter().map(finding).collect(),
        profile: profile.name.clone().into(),
        register: register.version().into(),
    };
    (record, facts)
}

fn cost_of_grounds(register: &Register, sample: &Sample) {
    const TIMES: u32 = 1_000_000;
    let profile = Profile::default();
    let (record, facts) = judged(sample, "8613800138001", register, &profile, Timestamp::constant(1_795_400_000, 0));
    let record = Record::Submission(record);
    let mut payload = Vec::with_capacity(4096);
    let mut run = |with: bool| {
        let start = Instant::now();
        for _ in 0..TIMES {
            payload.clear();
            payload = black_box(&record).encode(std::mem::take(&mut payload));
            if with {
                let grounds = Grounds::of(Handling::default(), black_box(&facts), profile.digest());
                payload = grounds.encode(std::mem::take(&mut payload));
            }
        }
        (start.elapsed() / TIMES, payload.len())
    };
    let (alone, short) = run(false);
    let (both, long) = run(true);
    println!("a record's encoding: {alone:?}; with its grounds, {} octets: {both:?}", long - short);
}

/// Fills a journal; gives its octets on disk.
fn write(dir: &Path, name: &str, records: usize, cases: &[Sample], register: &Register, grounds: bool) -> u64 {
    let config = dir.join(format!("{name}.toml"));
    let register_file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rulebook/register.toml");
    let text = format!(
        "register = {register_file:?}\ndata = {name:?}\n[[listen]]\naddress = \"127.0.0.1:0\"\n[carrier]\naddresses = [\"127.0.0.1:1\"]\n"
    );
    fs::write(&config, text).unwrap();
    let config = Config::load(&config).unwrap_or_else(|faults| panic!("{}", faults[0]));
    let journal = open_journal(&config, &open_keys(&config).unwrap()).unwrap();
    let start = 1_795_400_000_000_i64;
    for index in 0..records {
        let now = Timestamp::from_millisecond(start + index as i64 / 20).unwrap();
        let to = (8_613_700_000_000_u64 + index as u64 * 7919 % 100_000_000).to_string();
        let (record, facts) = judged(&cases[index % cases.len()], &to, register, &config.profile, now);
        let mut payload = Record::Submission(record).encode(Vec::new());
        if grounds {
            payload = Grounds::of(Handling::default(), &facts, config.profile.digest()).encode(payload);
        }
        while journal.append(&payload) == Err(AppendError::Full) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    drop(journal);
    size(&dir.join(name))
}

fn size(path: &Path) -> u64 {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}

fn replay(dir: &Path, profile: &str, records: usize) {
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["replay", "--json", "--profile", profile, "--config"])
        .arg(dir.join("all.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let wall = start.elapsed();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["messages"], records);
    println!(
        "replay under {profile}: {:.1} s, {:.0} records/s, {} changed",
        wall.as_secs_f64(),
        records as f64 / wall.as_secs_f64(),
        report["changed"]
    );
}
