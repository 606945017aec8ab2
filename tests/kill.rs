//! Whatever was answered is in the journal, even when the gate is killed right after.
//!
//! SIGKILL at a random moment under load, again and again on the same data: each time the gate
//! comes back, and every message that had its answer is found, by number and by message_id.
//! KILL_ROUNDS changes how often, KILL_SEED repeats a run.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[path = "kill/load.rs"]
mod load;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;

use std::collections::HashMap;
use std::time::Duration;

use portcullis::admin::api::Request;
use portcullis::clock;
use portcullis::gate::evidence::{self, FoundMessage, Query};
use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis::store::consents::{Held, Status};
use tokio::time::{sleep, timeout};

use gate::{Folder, PATIENCE, messages};
use load::{Answer, Kind, Load, number};
use provider::OK;

const REGISTER: &str = r#"
[[provider]]
system_id = "herald"
password = "s3cret"
ports = ["1069000777", "1065500777"]

[[sender]]
id = "bakery"
name = "Bakery Ltd"
credential = "91310000TEST000077"
signatures = ["Bakery"]
phones = ["400-000-0077"]

[[port]]
number = "10690007770001"
class = "commercial"
sender = "bakery"

[[port]]
number = "1065500777"
class = "service"
sender = "bakery"
"#;

/// Connections at a time, and unanswered messages on each.
const BINDS: u64 = 4;
const WINDOW: usize = 50;

/// The kill comes after this many answers, or up to `SPREAD` more.
const FEWEST: u64 = 50;
const SPREAD: u64 = 400;

/// A round sends no more than this, each to a number of its own.
const MESSAGES: u64 = 3_000;

/// And so much later than the last of those answers, at most: the kill must hit any moment of a group commit.
const LATER_US: u64 = 15_000;

/// SplitMix64: the same seed, the same rounds.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is no number")))
}

/// Consents for the numbers of a round, durable before its first message.
fn consent(folder: &Folder, round: u64) {
    let rows: Vec<_> = (0..MESSAGES).filter(|serial| Kind::of(*serial) != Kind::Silent).collect();
    let held = |serial: &u64| Held {
        msisdn: number(round, *serial).parse().expect("digits"),
        sender: "bakery".to_owned(),
        category: "marketing".to_owned(),
        status: Status::Consent,
        at_ms: 1_767_574_800_000,
        method: "web".to_owned(),
        evidence: "form 12".to_owned(),
        expires_at_ms: None,
        ..Held::default()
    };
    folder.ask(&Request::Apply(rows.iter().map(held).collect()));
}

/// What is wrong with the records of an answered message; nothing is as it should be.
fn wrong(answer: &Answer, records: &[FoundMessage]) -> Option<String> {
    let [record] = records else { return Some(format!("{answer:?}: {} records", records.len())) };
    let same = if answer.status == OK {
        let outcome = record.outcome.as_ref();
        record.verdict == "forward"
            && outcome.is_some_and(|outcome| outcome.outcome == "answered" && outcome.message_id == answer.message_id)
    } else {
        record.verdict == "reject" && record.status.starts_with(&format!("{:#010x}", answer.status.0))
    };
    (!same || record.text.as_deref() != Some(answer.kind.text())).then(|| format!("{answer:?}: {record:?}"))
}

/// Looks for every answer of a round in the gate that runs now.
fn check_answers(folder: &Folder, answers: &[Answer]) -> Vec<String> {
    let mut faults = Vec::new();
    for answer in answers {
        faults.extend(wrong(answer, &folder.sent_to(&answer.to)));
        if let Some(message_id) = &answer.message_id {
            let by_id = Query { message_id: Some(message_id.clone()), ..Query::default() };
            let found = messages(folder.find(by_id));
            if found.len() != 1 || found[0].destination != answer.to {
                faults.push(format!("{answer:?}: by message_id {found:?}"));
            }
        }
    }
    faults
}

/// One round: load, kill, and what had been answered by then. Tells how many were still open.
async fn round(folder: &Folder, carrier: &Simulator, random: &mut Random, round: u64) -> (Vec<Answer>, u64) {
    let gate = folder.start();
    consent(folder, round);
    let load = Load::start(gate.address, BINDS, WINDOW, MESSAGES, round).await;
    let answers = FEWEST + random.below(SPREAD);
    timeout(PATIENCE, load.answered(answers)).await.expect("answers under load");
    sleep(Duration::from_micros(random.below(LATER_US))).await;
    gate.kill();
    let taken = load.end().await;
    assert!(carrier.wait_until(PATIENCE, |counts| counts.sessions == 0).await, "the carrier still has sessions");
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answered_message_survives_a_kill() {
    let rounds = setting("KILL_ROUNDS").unwrap_or(20);
    let seed = setting("KILL_SEED").unwrap_or_else(|| clock::wall().as_microsecond().unsigned_abs());
    eprintln!("KILL_SEED={seed} KILL_ROUNDS={rounds}");
    let mut random = Random(seed);
    let options = SimulatorOptions { latency: Duration::from_millis(2), ..SimulatorOptions::default() };
    let carrier = Simulator::start(options).await.expect("the carrier listens");
    let folder = Folder::new(REGISTER, carrier.address());

    let (mut all, mut open) = (Vec::new(), 0);
    for number in 0..rounds {
        let (answers, left_open) = round(&folder, &carrier, &mut random, number).await;
        let gate = folder.start();
        let faults = check_answers(&folder, &answers);
        assert!(faults.is_empty(), "seed {seed}, round {number}: {} of {}: {}", faults.len(), answers.len(), faults[0]);
        gate.kill();
        all.extend(answers);
        open += left_open;
    }
    assert!(open > 0, "seed {seed}: no kill came while messages were open");
    for status in [0, 0x0481, 0x0485] {
        assert!(all.iter().any(|answer| answer.status.0 == status), "seed {seed}: nothing was answered {status:#x}");
    }
    eprintln!("{} messages answered, {open} open when the gate was killed", all.len());
    nothing_was_lost_meanwhile(&folder, &all, seed);
}

/// Reads the whole journal at the end: records of early rounds outlive all later kills.
fn nothing_was_lost_meanwhile(folder: &Folder, all: &[Answer], seed: u64) {
    let journal = folder.journal();
    let everything = Query { limit: usize::MAX, ..Query::default() };
    let mut by_number: HashMap<String, Vec<FoundMessage>> = HashMap::new();
    let mut found = Vec::new();
    let mut take = |one| {
        found.push(one);
        true
    };
    evidence::find(&journal, &everything, &mut take).expect("the journal reads");
    for message in messages(found) {
        by_number.entry(message.destination.clone()).or_default().push(message);
    }
    let lost = |answer: &Answer| wrong(answer, by_number.get(&answer.to).map_or(&[][..], Vec::as_slice));
    let faults: Vec<_> = all.iter().filter_map(lost).collect();
    assert!(faults.is_empty(), "seed {seed}: {} of {} at the end: {}", faults.len(), all.len(), faults[0]);
}
