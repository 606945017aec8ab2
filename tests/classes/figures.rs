//! How well a text's points tell its class, on traffic that nothing was learned from.

use portcullis::rules::Profile;
use portcullis::rules::r10_class::weigh;

use crate::corpus::{ALIKE, Corpus, Part};
use crate::similar::{Shingles, likeness};

/// Fixed, so that the figures are.
const SEED: u64 = 3;
/// Enough that one false reject is seen in a rate of 1 in 10,000.
const SERVICE: usize = 10_000;
const COMMERCIAL: usize = 2_000;

/// The shares of a part's service and commercial messages that are taken for commercial.
fn taken(corpus: &Corpus, part: Part) -> (f64, f64, Vec<String>) {
    let threshold = Profile::default().thresholds.service;
    let commercial = |class, count| {
        let messages = corpus.messages(part, class, count, SEED);
        let taken = messages.into_iter().filter(|message| weigh(&message.text).points >= threshold);
        taken.map(|message| format!("{} {}: {}", message.kind, message.campaign, message.text)).collect::<Vec<_>>()
    };
    let (wrong, right) = (commercial("service", SERVICE), commercial("commercial", COMMERCIAL));
    (wrong.len() as f64 / SERVICE as f64, right.len() as f64 / COMMERCIAL as f64, wrong)
}

#[test]
fn at_most_one_service_message_in_ten_thousand_is_taken_for_a_promotion() {
    let corpus = Corpus::read();
    for (part, least) in [(Part::HeldOut, 0.52), (Part::Exam, 0.53)] {
        let (wrong, recall, messages) = taken(&corpus, part);
        assert!(wrong <= 1e-4, "{part:?}: {wrong} of the service messages: {:#?}", &messages[..messages.len().min(10)]);
        assert!(recall >= least, "{part:?}: only {recall} of the commercial messages are found");
    }
}

#[test]
fn the_corpus_is_large_and_varied() {
    let corpus = Corpus::read();
    for (part, class, least) in [
        (Part::Training, "service", 400),
        (Part::Training, "commercial", 200),
        (Part::HeldOut, "service", 150),
        (Part::HeldOut, "commercial", 80),
        (Part::Exam, "service", 130),
        (Part::Exam, "commercial", 60),
    ] {
        let campaigns = corpus.campaigns.iter().filter(|campaign| campaign.part == part && campaign.class == class);
        let count = campaigns.count();
        assert!(count >= least, "{part:?} {class}: {count} campaigns");
    }
}

/// The text without what fills the slot of a link, which is longer than what some campaigns say.
fn without_links(text: &str) -> String {
    let (mut out, mut word) = (String::new(), String::new());
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_graphic() {
            word.push(c);
            continue;
        }
        if !word.contains(".example") {
            out.push_str(&word);
        }
        word.clear();
        out.push(c);
    }
    out
}

/// What is learned from shares no sender with what is judged, and no near-duplicate: neither as
/// campaigns nor as messages, with all their slots filled.
#[test]
fn no_near_duplicate_crosses_the_split() {
    let corpus = Corpus::read();
    let messages = |part| {
        let of_class = |class: &str| {
            let count = corpus.campaigns.iter().filter(|c| c.part == part && c.class == class).count();
            corpus.messages(part, class, count, SEED)
        };
        [of_class("service"), of_class("commercial")].concat()
    };
    let sender = |text: &str| portcullis::rules::signature::signatures(text).label.map(|label| label.name.to_owned());
    let shingles = |text: &str| {
        let label = portcullis::rules::signature::signatures(text).label;
        Shingles::of(&without_links(label.map_or(text, |label| label.rest)))
    };
    let training = messages(Part::Training);
    let known: Vec<Shingles> = training.iter().map(|message| shingles(&message.text)).collect();
    for part in [Part::HeldOut, Part::Exam] {
        for message in messages(part) {
            let own = shingles(&message.text);
            // Filled slots of one kind are alike, which the campaigns are not.
            let twin = training.iter().zip(&known).find(|(_, known)| likeness(known, &own) >= ALIKE + 0.2);
            assert!(twin.is_none(), "{} {:?}\n{:?}", message.class, message.text, twin.map(|(twin, _)| &twin.text));
            let sent = sender(&message.text);
            let shared = |other: &&crate::corpus::Message| other.kind != "rulebook" && sender(&other.text) == sent;
            assert!(sent.is_none() || training.iter().find(shared).is_none(), "{sent:?} sends in both parts");
        }
    }
}
