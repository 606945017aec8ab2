//! Learns how much each run of tokens promotes, from the training part of the made-up traffic
//! and the rulebook's cases; the weights go to stdout, the figures to stderr.
//!
//! ```text
//! cargo run --example train > weights.tsv && mv weights.tsv src/rules/scorer/weights.tsv
//! ```
//!
//! Runs that only one campaign has are left out: they are its names and numbers. The weights are
//! shifted so that a text is commercial from four points on, the profiles' threshold. That is set
//! where no service message of the training part would be refused by weights learned without its
//! campaign, and a margin above. What is held out has no part in anything but the last figures.

#[path = "../tests/classes/corpus.rs"]
mod corpus;
#[path = "train/model.rs"]
mod model;
#[path = "../tests/classes/similar.rs"]
mod similar;
#[path = "../tests/classes/slots.rs"]
mod slots;

use std::collections::{BTreeMap, BTreeSet};

use corpus::{Corpus, Message, Part, RULEBOOK};
use model::{Example, Model};
use portcullis::rules::r10_class::{Material, material};

/// Messages of each campaign.
const MESSAGES: usize = 12;
const SEED: u64 = 7;
/// Parts of the training part, each weighed by what is learned from the others.
const FOLDS: usize = 5;
/// How many campaigns a run must be met in.
const CAMPAIGNS: usize = 2;
/// Above the highest score of a service message.
const MARGIN: f64 = 0.5;
/// The points at the threshold, and how many hundredths of a point the unit of the model is.
const THRESHOLD: f64 = 4.0;
const HUNDREDTHS: f64 = 100.0;

/// A score, whether the message is commercial, and its campaign.
type Scored = (f64, bool, usize);

fn main() {
    let corpus = Corpus::read();
    let training = messages(&corpus, Part::Training);
    let names = names(&training);
    let examples: Vec<Example> = training.iter().map(|(message, parts)| example(message, parts, &names)).collect();
    eprintln!("{} runs, {} messages of the training part", names.len(), examples.len());

    let apart = out_of_fold(&examples, names.len());
    report("training part, each fifth by the weights learned from the others", &apart);
    tell_highest(&corpus, &apart);
    let threshold = highest(&apart) + MARGIN;

    let model = Model::learn(&examples.iter().collect::<Vec<_>>(), names.len());
    for (what, part) in [("held out", Part::HeldOut), ("exam", Part::Exam)] {
        let unseen = messages(&corpus, part);
        let unseen = unseen.iter().map(|(message, parts)| scored(&model, &example(message, parts, &names)));
        let unseen: Vec<Scored> = unseen.collect();
        report(what, &unseen);
        let wrong = unseen.iter().filter(|(score, promotes, _)| !promotes && *score > threshold).count();
        eprintln!(
            "  at the threshold of {threshold:.2}: {wrong} false rejects, recall {:.3}",
            recall(&unseen, threshold)
        );
    }
    write(&model, &names, threshold);
}

fn messages(corpus: &Corpus, part: Part) -> Vec<(Message, Material)> {
    let of_class = |class: &str| {
        let campaigns = corpus.campaigns.iter().filter(|campaign| campaign.part == part && campaign.class == class);
        corpus.messages(part, class, campaigns.count() * MESSAGES, SEED)
    };
    let all = of_class("service").into_iter().chain(of_class("commercial"));
    all.map(|message| (material(&message.text), message)).map(|(parts, message)| (message, parts)).collect()
}

/// The runs to learn weights for, numbered.
fn names(messages: &[(Message, Material)]) -> BTreeMap<String, usize> {
    let mut met: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (message, parts) in messages {
        for run in parts.sentences.iter().flatten() {
            met.entry(run).or_default().insert(message.campaign);
        }
    }
    let common = met.into_iter().filter(|(_, campaigns)| campaigns.len() >= CAMPAIGNS);
    common.enumerate().map(|(index, (run, _))| (run.to_owned(), index)).collect()
}

fn example(message: &Message, parts: &Material, names: &BTreeMap<String, usize>) -> Example {
    let known = |runs: &Vec<String>| runs.iter().filter_map(|run| names.get(run).copied()).collect();
    // The lexicon was made with the rulebook's cases at hand: there it proves nothing.
    let lexicon = if message.kind == RULEBOOK { 0 } else { parts.lexicon };
    Example {
        sentences: parts.sentences.iter().map(known).collect(),
        lexicon: f64::from(lexicon) / THRESHOLD,
        promotes: message.class == "commercial",
        campaign: message.campaign,
    }
}

fn out_of_fold(examples: &[Example], runs: usize) -> Vec<Scored> {
    let mut scores = Vec::with_capacity(examples.len());
    for fold in 0..FOLDS {
        let (out, within): (Vec<&Example>, Vec<&Example>) =
            examples.iter().partition(|example| example.campaign % FOLDS == fold);
        let model = Model::learn(&within, runs);
        scores.extend(out.iter().map(|example| scored(&model, example)));
    }
    scores
}

fn scored(model: &Model, example: &Example) -> Scored {
    (model.score(example), example.promotes, example.campaign)
}

fn highest(scores: &[Scored]) -> f64 {
    scores.iter().filter(|(_, promotes, _)| !promotes).map(|(score, ..)| *score).fold(f64::MIN, f64::max)
}

/// The campaigns of service messages that set the threshold, or nearly.
fn tell_highest(corpus: &Corpus, scores: &[Scored]) {
    let mut of_service: Vec<&Scored> = scores.iter().filter(|(_, promotes, _)| !promotes).collect();
    of_service.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut told = BTreeSet::new();
    for (score, _, campaign) in of_service.into_iter().filter(|(.., campaign)| told.insert(*campaign)).take(8) {
        eprintln!("  {score:.2}: {}", corpus.campaigns[*campaign].text);
    }
}

fn recall(scores: &[Scored], threshold: f64) -> f64 {
    let promoting = scores.iter().filter(|(_, promotes, _)| *promotes);
    let found = promoting.clone().filter(|(score, ..)| *score > threshold).count();
    found as f64 / promoting.count().max(1) as f64
}

/// Recall by how many campaigns of service messages would meet a false reject.
fn report(what: &str, scores: &[Scored]) {
    let mut highest: BTreeMap<usize, f64> = BTreeMap::new();
    for (score, _, campaign) in scores.iter().filter(|(_, promotes, _)| !promotes) {
        let top = highest.entry(*campaign).or_insert(f64::MIN);
        *top = top.max(*score);
    }
    let mut tops: Vec<f64> = highest.into_values().collect();
    tops.sort_by(|one, other| other.total_cmp(one));
    eprintln!("{what}: {} campaigns of service messages", tops.len());
    for (refused, top) in tops.iter().enumerate().take(11).filter(|(refused, _)| [0, 1, 2, 5, 10].contains(refused)) {
        eprintln!("  {refused:>2} of them refused above {top:.2}: recall {:.3}", recall(scores, *top));
    }
}

fn write(model: &Model, names: &BTreeMap<String, usize>, threshold: f64) {
    let hundredths = |weight: f64| (weight * HUNDREDTHS).round();
    println!("// Learned by examples/train.rs: a run of tokens and its weight in hundredths of a point.");
    println!("BIAS\t{}", hundredths(model.bias - threshold + THRESHOLD));
    println!("LEXICON\t{}", hundredths(model.lexicon / THRESHOLD));
    for (run, &index) in names {
        let weight = hundredths(model.weights[index]);
        if weight != 0.0 {
            println!("{run}\t{weight}");
        }
    }
}
