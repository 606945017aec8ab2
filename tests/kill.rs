//! Whatever was answered is in the journal, even when the gate is killed right after.
//!
//! SIGKILL at a random moment under load, again and again on the same data. Each time the gate comes back:
//! every answered message is recorded once, every recorded forward has its outcome or says that it is unknown,
//! every receipt and reply the carrier need not send again is recorded, and what the carrier got without a
//! record is counted: with `before-forward` there is none. PORTCULLIS_KILLS changes how often it is killed
//! (20), PORTCULLIS_KILL_SEED repeats a run.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[path = "kill/ledger.rs"]
mod ledger;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "kill/load.rs"]
mod load;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;

use std::collections::BTreeSet;
use std::ops::AddAssign;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use portcullis::admin::api::{Line, Request};
use portcullis::clock;
use portcullis::gate::evidence::{self, Query};
use portcullis::simulator::{Simulator, SimulatorOptions};
use portcullis::store::consents::{Held, Status};
use portcullis_protocol::{CommandId, Pdu};
use tokio::time::{sleep, timeout};

use gate::{Folder, Gate, PATIENCE};
use ledger::Ledger;
use load::{Answer, Kind, Load, REGISTER, number};

/// Unanswered PDUs on each bind.
const WINDOW: usize = 50;

/// The kill comes after this many answers, or up to `SPREAD` more.
const FEWEST: u64 = 50;
const SPREAD: u64 = 400;

/// A round sends no more than this, each to a number of its own.
const MESSAGES: u64 = 3_000;

/// And so much later than the last of those answers, at most: the kill must hit any moment of a group commit.
const LATER_US: u64 = 15_000;

/// Messages that are looked for by their message_id as well, and replies whose refusal is, in each round.
const SAMPLED: usize = 40;

/// What the rounds promise, in turn.
const DURABILITIES: [&str; 5] = ["before-response", "before-forward", "before-response", "before-forward", "interval"];

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

/// What the rounds of one durability came to.
#[derive(Default)]
struct Figures {
    kills: usize,
    answered: usize,
    open: u64,
    unknown: usize,
    deliveries: usize,
    unrecorded: usize,
    lost: usize,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.kills += other.kills;
        self.answered += other.answered;
        self.open += other.open;
        self.unknown += other.unknown;
        self.deliveries += other.deliveries;
        self.unrecorded += other.unrecorded;
        self.lost += other.lost;
    }
}

/// The gate, its carrier, and what goes wrong when.
struct Stage {
    folder: Folder,
    carrier: Simulator,
    random: Random,
    seed: u64,
}

/// A round that ended with a kill.
struct Killed {
    number: u64,
    durability: &'static str,
    since_ms: i64,
    answers: Vec<Answer>,
    open: u64,
    acknowledged: u64,
}

impl Stage {
    async fn new(seed: u64) -> Self {
        let options = SimulatorOptions {
            latency: Duration::from_millis(2),
            receipts: true,
            reply_with: Some("TD".to_owned()),
            keep: 3 * usize::try_from(MESSAGES).expect("a few"),
            ..SimulatorOptions::default()
        };
        let carrier = Simulator::start(options).await.expect("the carrier listens");
        let folder = Folder::new(REGISTER, carrier.address());
        Self { folder, carrier, random: Random(seed), seed }
    }

    /// A gate with this durability; hours are quiet, which matters to the provider whose messages are queued.
    fn start(&self, durability: &str) -> Gate {
        let at = |hours: i64| {
            let at = clock::wall().saturating_add(SignedDuration::from_hours(hours)).expect("a time");
            at.to_zoned_datetime(TimeZone::fixed(jiff::tz::offset(8))).strftime("%H:%M").to_string()
        };
        let more =
            format!("[journal]\ndurability = \"{durability}\"\n[profile]\nquiet_hours = \"{}-{}\"", at(6), at(12));
        self.folder.configure("", self.carrier.address(), &more);
        self.folder.start()
    }

    /// Consents for the numbers of a round, durable before its first message.
    fn consent(&self, round: u64) {
        let rows = (0..MESSAGES).filter(|serial| Kind::of(*serial) != Kind::Silent).map(|serial| Held {
            msisdn: number(round, serial).parse().expect("digits"),
            sender: "bakery".to_owned(),
            category: "marketing".to_owned(),
            status: Status::Consent,
            at_ms: 1_767_574_800_000,
            method: "web".to_owned(),
            evidence: "form 12".to_owned(),
            ..Held::default()
        });
        self.folder.ask(&Request::Apply(rows.collect()));
    }

    /// Load, and a kill in the middle of it.
    async fn round(&mut self, gate: Gate, number: u64, durability: &'static str) -> Killed {
        self.consent(number);
        let (since_ms, before) = (clock::wall().as_millisecond(), self.carrier.counts().acknowledged);
        let load = Load::start(gate.address, WINDOW, MESSAGES, number).await;
        let answers = FEWEST + self.random.below(SPREAD);
        timeout(PATIENCE, load.answered(answers)).await.expect("answers under load");
        sleep(Duration::from_micros(self.random.below(LATER_US))).await;
        gate.kill();
        let (answers, open) = load.end().await;
        assert!(
            self.carrier.wait_until(PATIENCE, |counts| counts.sessions == 0).await,
            "the carrier still has sessions"
        );
        let acknowledged = self.carrier.counts().acknowledged - before;
        Killed { number, durability, since_ms, answers, open, acknowledged }
    }

    /// The numbers to which the carrier got something in a round.
    fn at_carrier(&self, round: u64) -> BTreeSet<String> {
        let prefix = &number(round, 0)[..8];
        let frames = self.carrier.received_of(CommandId::SUBMIT_SM).into_iter();
        let to = frames.filter_map(|received| match Pdu::decode(&received.frame) {
            Ok(Pdu::SubmitSm(submit)) => Some(submit.destination.addr.to_string()),
            _ => None,
        });
        to.filter(|to| to.starts_with(prefix)).collect()
    }

    /// Holds the journal of the gate that runs now against what was seen of the round before.
    fn check(&self, round: &Killed) -> Figures {
        let Killed { number, durability, answers, .. } = round;
        let told = format!("seed {}, round {number}, {durability}", self.seed);
        let ledger = self.told(round, &told);
        let is_promised = *durability != "interval";
        let lost: Vec<_> = answers.iter().filter(|answer| ledger.is_lost(&self.folder, answer)).collect();
        assert!(lost.is_empty() || !is_promised, "{told}: {} of {} lost: {:?}", lost.len(), answers.len(), lost[0]);
        let is_kept = |answer: &&Answer| is_promised || !ledger.is_lost(&self.folder, answer);
        for answer in answers.iter().filter(is_kept) {
            // What was answered before its outcome was durable may have lost just that.
            if let Some(wrong) = ledger.wrong(&self.folder, answer).filter(|_| is_promised) {
                panic!("{told}: {wrong}");
            }
        }
        let twice = ledger.messages.values().find(|records| records.len() > 1);
        assert!(twice.is_none(), "{told}: {twice:?}");
        if is_promised {
            assert!(ledger.delivered() as u64 >= round.acknowledged, "{told}: a receipt or reply has no record");
            self.check_samples(answers, &ledger, &told);
        }
        let at_carrier = self.at_carrier(*number);
        let unrecorded = ledger.unrecorded(&at_carrier);
        assert!(
            unrecorded.is_empty() || *durability != "before-forward",
            "{told}: the carrier got something without a record: {unrecorded:?}"
        );
        Figures {
            kills: 1,
            answered: answers.len(),
            open: round.open,
            unknown: ledger.unknown(),
            deliveries: ledger.delivered(),
            unrecorded: unrecorded.len(),
            lost: lost.len(),
        }
    }

    /// The round's records, once every forward says what became of it.
    fn told(&self, round: &Killed, told: &str) -> Ledger {
        let end = clock::monotonic() + PATIENCE;
        loop {
            let ledger = Ledger::read(&self.folder, round.since_ms);
            let untold = ledger.untold();
            if untold.is_empty() {
                return ledger;
            }
            assert!(clock::monotonic() < end, "{told}: {} forwards without an outcome: {:?}", untold.len(), untold[0]);
        }
    }

    fn check_samples(&self, answers: &[Answer], ledger: &Ledger, told: &str) {
        for answer in answers.iter().filter(|answer| answer.message_id.is_some()).take(SAMPLED) {
            let by_id = Query { message_id: answer.message_id.clone(), ..Query::default() };
            let found = gate::messages(self.folder.find(by_id));
            let is_it = found.iter().all(|message| message.destination == answer.to);
            // A part whose message is not whole has no record but its own.
            assert!(
                is_it && (found.len() == 1 || !ledger.messages.contains_key(&answer.to)),
                "{told}: {answer:?}: {found:?}"
            );
        }
        let refused = |effect: Option<&str>| effect == Some("refused");
        let replies =
            ledger.deliveries.iter().filter(|reply| refused(reply.taken.as_ref().map(|taken| &*taken.effect)));
        for reply in replies.take(SAMPLED) {
            let msisdn = reply.source.parse().expect("digits");
            let held = self.folder.ask(&Request::Show(msisdn));
            let is_held = held.iter().any(|line| matches!(line, Line::Held(held) if held.status == Status::Refusal));
            assert!(is_held, "{told}: the refusal of {msisdn} is recorded and not held: {held:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answered_message_survives_a_kill() {
    let kills = setting("PORTCULLIS_KILLS").unwrap_or(20);
    let seed = setting("PORTCULLIS_KILL_SEED").unwrap_or_else(|| clock::wall().as_microsecond().unsigned_abs());
    eprintln!("PORTCULLIS_KILL_SEED={seed} PORTCULLIS_KILLS={kills}");
    let mut stage = Stage::new(seed).await;
    let mut figures: Vec<(&str, Figures)> = Vec::new();
    let (mut all, mut gate) = (Vec::new(), stage.start(DURABILITIES[0]));
    for (round, durability) in (0..kills).zip(DURABILITIES.into_iter().cycle()) {
        let killed = stage.round(gate, round, durability).await;
        gate = stage.start(DURABILITIES[usize::try_from(round + 1).expect("a few") % DURABILITIES.len()]);
        let came_to = stage.check(&killed);
        match figures.iter_mut().find(|(known, _)| *known == durability) {
            Some((_, figures)) => *figures += came_to,
            None => figures.push((durability, came_to)),
        }
        if durability != "interval" {
            all.extend(killed.answers);
        }
    }
    gate.kill();
    assert!(figures.iter().any(|(_, figures)| figures.open > 0), "seed {seed}: no kill came while messages were open");
    for kind in [Kind::Compliant, Kind::Silent, Kind::NoWayOut, Kind::Service, Kind::Long, Kind::Owl] {
        assert!(all.iter().any(|answer| answer.kind == kind), "seed {seed}: nothing of {kind:?} was answered");
    }
    for (durability, figures) in &figures {
        eprintln!(
            "{durability}: {} kills, {} PDUs answered, {} open; after the restart {} ends unknown, {} receipts and replies \
             recorded, {} at the carrier without a record, {} answers lost",
            figures.kills,
            figures.answered,
            figures.open,
            figures.unknown,
            figures.deliveries,
            figures.unrecorded,
            figures.lost
        );
    }
    nothing_was_lost_meanwhile(&stage, &all);
}

/// Reads the whole journal at the end: records of early rounds outlive all later kills.
fn nothing_was_lost_meanwhile(stage: &Stage, all: &[Answer]) {
    let journal = stage.folder.journal();
    let mut found = Vec::new();
    let mut take = |one| {
        found.push(one);
        true
    };
    evidence::find(&journal, &Query::default(), &mut take).expect("the journal reads");
    let ledger = Ledger::of(found.into_iter());
    let lost = |answer: &&Answer| answer.part == 0 && !ledger.messages.contains_key(&answer.to);
    let lost: Vec<_> = all.iter().filter(lost).collect();
    assert!(lost.is_empty(), "seed {}: {} of {} at the end: {:?}", stage.seed, lost.len(), all.len(), lost[0]);
}
