//! Made-up traffic with its class, split by sender and by campaign.
//!
//! Owns the campaigns of testdata/classes, their division into a part to train on and one held
//! out, and the making of messages from them by seed. Campaigns worded alike are in one part:
//! they are one campaign to whoever learns from them. Driven by tests/classes.rs and the example.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use crate::similar::{Shingles, likeness};
use crate::slots::{Slots, expand, plain};

/// Campaigns at least this much alike are in the same part.
pub(crate) const ALIKE: f64 = 0.3;

/// What a message is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Training,
    /// Seen by nobody who learns, but by whoever settled how to learn.
    HeldOut,
    /// Written when that was settled.
    Exam,
}

/// Messages of one wording.
#[derive(Clone, Debug)]
pub(crate) struct Campaign {
    /// `service` or `commercial`.
    pub(crate) class: &'static str,
    /// The heading it stands under.
    pub(crate) kind: String,
    pub(crate) text: String,
    pub(crate) part: Part,
}

impl Campaign {
    fn shingles(&self) -> Shingles {
        Shingles::of(&plain(&self.text))
    }
}

/// A made-up message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) class: &'static str,
    pub(crate) kind: String,
    /// Which campaign it is of, by its place in the corpus.
    pub(crate) campaign: usize,
    pub(crate) text: String,
}

pub(crate) struct Corpus {
    pub(crate) campaigns: Vec<Campaign>,
    slots: Slots,
    senders: Vec<String>,
}

/// The kind of the rulebook's cases.
pub(crate) const RULEBOOK: &str = "rulebook";

const FILES: [(&str, &str, Part); 6] = [
    ("service-zh.txt", "service", Part::Training),
    ("service-en.txt", "service", Part::Training),
    ("promotion-zh.txt", "commercial", Part::Training),
    ("promotion-en.txt", "commercial", Part::Training),
    ("exam-service.txt", "service", Part::Exam),
    ("exam-promotion.txt", "commercial", Part::Exam),
];

impl Corpus {
    pub(crate) fn read() -> Self {
        let (mut campaigns, mut exam) = (Vec::new(), Vec::new());
        for (name, class, part) in FILES {
            let mut kind = String::new();
            for line in lines(name) {
                let of_part = if part == Part::Exam { &mut exam } else { &mut campaigns };
                match line.strip_prefix("== ") {
                    Some(heading) => heading.clone_into(&mut kind),
                    None => of_part.push(Campaign { class, kind: kind.clone(), text: line, part }),
                }
            }
        }
        campaigns.extend(rulebook());
        divide(&mut campaigns);
        let known: Vec<Shingles> =
            campaigns.iter().filter(|c| c.part == Part::Training).map(Campaign::shingles).collect();
        exam.retain(|campaign| known.iter().all(|known| likeness(known, &campaign.shingles()) < ALIKE));
        campaigns.extend(exam);
        let slots = Slots::read(&text_of("slots.toml"));
        Self { campaigns, slots, senders: lines("senders.txt") }
    }

    /// This many messages of a class and a part, in turn from its campaigns.
    pub(crate) fn messages(&self, part: Part, class: &str, count: usize, seed: u64) -> Vec<Message> {
        let mut rng = Rng::with_seed(seed);
        let of_part = |(_, campaign): &(usize, &Campaign)| campaign.part == part && campaign.class == class;
        let campaigns: Vec<_> = self.campaigns.iter().enumerate().filter(of_part).collect();
        let turns = campaigns.iter().cycle().take(count);
        turns.map(|&(index, campaign)| self.message(index, campaign, &mut rng)).collect()
    }

    /// A message; who is learned from sends nothing else.
    fn message(&self, index: usize, campaign: &Campaign, rng: &mut Rng) -> Message {
        if campaign.kind == RULEBOOK {
            let (class, kind, text) = (campaign.class, campaign.kind.clone(), campaign.text.clone());
            return Message { class, kind, campaign: index, text };
        }
        let first = usize::from(campaign.part != Part::Training);
        let senders: Vec<&String> = self.senders.iter().skip(first).step_by(2).collect();
        let sender = senders[rng.usize(..senders.len())];
        let body = expand(&campaign.text, &self.slots, rng);
        let text = if body.starts_with('【') || body.is_ascii() && rng.bool() { body } else { signed(sender, &body) };
        Message { class: campaign.class, kind: campaign.kind.clone(), campaign: index, text }
    }
}

fn signed(sender: &str, body: &str) -> String {
    if body.is_ascii() && sender.is_ascii() { format!("[{sender}] {body}") } else { format!("【{sender}】{body}") }
}

/// The rulebook's cases on service ports, whose texts the lexicon was made with: never held out.
fn rulebook() -> Vec<Campaign> {
    #[derive(serde::Deserialize)]
    struct Case {
        source: String,
        class: Option<String>,
        #[serde(default)]
        text: String,
    }
    let files = [
        "service",
        "service-more",
        "service-everyday",
        "service-links",
        "promotion",
        "promotion-more",
        "promotion-soft",
    ];
    let mut campaigns = Vec::new();
    for name in files {
        for line in text_of(&format!("../rulebook/{name}.jsonl")).lines().filter(|line| !line.trim().is_empty()) {
            let case: Case = serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}"));
            let class = match case.class.as_deref() {
                Some("service") => "service",
                Some("commercial") => "commercial",
                _ => continue,
            };
            if case.source.starts_with("10655") {
                let kind = RULEBOOK.to_owned();
                campaigns.push(Campaign { class, kind, text: case.text, part: Part::Training });
            }
        }
    }
    campaigns
}

/// Every second group of campaigns that are worded alike is held out, within each kind.
fn divide(campaigns: &mut [Campaign]) {
    let shingles: Vec<Shingles> = campaigns.iter().map(Campaign::shingles).collect();
    let mut group: Vec<usize> = (0..campaigns.len()).collect();
    for later in 1..campaigns.len() {
        for earlier in 0..later {
            if group[earlier] != group[later] && likeness(&shingles[earlier], &shingles[later]) >= ALIKE {
                let (from, to) = (group[later].max(group[earlier]), group[later].min(group[earlier]));
                group.iter_mut().filter(|of| **of == from).for_each(|of| *of = to);
            }
        }
    }
    let mut turns: BTreeMap<(&'static str, String), usize> = BTreeMap::new();
    let known: Vec<usize> =
        (0..campaigns.len()).filter(|&index| campaigns[index].kind == RULEBOOK).map(|index| group[index]).collect();
    for index in 0..campaigns.len() {
        if known.contains(&group[index]) {
            continue;
        }
        if group[index] != index {
            campaigns[index].part = campaigns[group[index]].part;
            continue;
        }
        let turn = turns.entry((campaigns[index].class, campaigns[index].kind.clone())).or_default();
        *turn += 1;
        campaigns[index].part = if turn.is_multiple_of(2) { Part::HeldOut } else { Part::Training };
    }
}

fn lines(name: &str) -> Vec<String> {
    let text = text_of(name);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

fn text_of(name: &str) -> String {
    let file = folder().join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/classes")
}
