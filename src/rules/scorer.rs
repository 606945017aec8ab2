//! How much a text promotes.
//!
//! Owns the weighing of a text against the lexicon: numbers made equal, disguise undone,
//! distinct terms added up, fraud warnings told from lures; and, with what that comes to, by
//! learned weights. Refuses to decide: the threshold is the profile's, the consequence R10's.
//! Built once for the life of the program.

mod grams;
mod learned;
mod normal;

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::fold::fold;
use super::latin::is_word;
use crate::document::{self, Complaints, Fault, Section};
use learned::Learned;

/// The form in which texts are compared with terms.
pub(super) fn normal_form(text: &str) -> String {
    normal::form(text)
}

/// The runs of tokens of each sentence of a folded text without its signature: what weights are learned for.
pub(super) fn runs(text: &str) -> Vec<Vec<String>> {
    let canonical = grams::canonical(&normal::form(text));
    let runs = |sentence: &str| {
        let mut runs = Vec::new();
        grams::for_each(sentence, |run, _| runs.push(run.to_owned()));
        runs.sort_unstable();
        runs.dedup();
        runs
    };
    canonical.split(normal::SENTENCE_END).map(runs).filter(|runs| !runs.is_empty()).collect()
}

const LEXICON: &str = include_str!("scorer/lexicon.toml");
/// How many terms the lexicon may have; a bit each says which were seen.
const MOST_TERMS: usize = 2048;

/// The lexicon that comes with the program; a test holds that it reads.
static SCORER: LazyLock<Option<Scorer>> = LazyLock::new(|| Scorer::parse(LEXICON).ok());

const WEIGHTS: &str = include_str!("scorer/weights.tsv");

/// The weights that come with the program; a test holds that they read.
static LEARNED: LazyLock<Option<Learned>> = LazyLock::new(|| Learned::parse(WEIGHTS).ok());

/// How much a text promotes, which must be folded and without its signature: in points of the thresholds.
/// What the lexicon alone gives twice the points is promotion also where nothing learned says so.
pub(super) fn promotion(text: &str) -> u32 {
    let form = normal::form(text);
    let of_lexicon = SCORER.as_ref().map_or(0, |scorer| scorer.weigh(&form, None).points);
    LEARNED.as_ref().map_or(of_lexicon, |learned| learned.points(&form, of_lexicon).max(of_lexicon / 2))
}

/// What the lexicon contributes to the learned weighing.
pub(super) fn lexicon_points(text: &str) -> u32 {
    score(text).points.min(learned::MOST_OF_LEXICON)
}

/// What in a text weighs most: terms of the lexicon, then learned runs.
pub(super) fn explain_promotion(text: &str) -> String {
    let terms = explain(&score(text));
    let runs = LEARNED.as_ref().map(|learned| learned.explain(&normal::form(text))).unwrap_or_default();
    let more = runs.iter().map(String::as_str).filter(|run| !terms.contains(run));
    let all = Some(terms.as_str()).filter(|terms| !terms.is_empty()).into_iter().chain(more);
    all.take(5).collect::<Vec<_>>().join(", ")
}

/// Weighs a text by the lexicon alone, which must be folded and without its signature.
pub(super) fn score(text: &str) -> Score {
    SCORER.as_ref().map(|scorer| scorer.score(text)).unwrap_or_default()
}

/// Weighs a text of which only some spans are held against it: what else stands there was filed and looked at.
pub(super) fn score_within(text: &str, spans: &[Range<usize>]) -> Score {
    let mut form = String::with_capacity(text.len());
    let mut free = Vec::with_capacity(spans.len());
    let mut last = 0;
    for span in spans {
        form.push_str(&normal::form(&fold(&text[last..span.start])));
        let start = form.len();
        form.push_str(&normal::form(&fold(&text[span.clone()])));
        free.push(start..form.len());
        last = span.end;
    }
    form.push_str(&normal::form(&fold(&text[last..])));
    SCORER.as_ref().map(|scorer| scorer.weigh(&form, Some(&free))).unwrap_or_default()
}

/// The weightiest terms that made a score, as they stand in the lexicon.
pub(super) fn explain(score: &Score) -> String {
    SCORER.as_ref().map(|scorer| scorer.explain(score)).unwrap_or_default()
}

/// What a term does to the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Promotion,
    Lure,
    Shield,
    Reference,
    Context,
    Warning,
}

impl Kind {
    const WORDS: [(&'static str, Self); 6] = [
        ("promotion", Self::Promotion),
        ("lure", Self::Lure),
        ("shield", Self::Shield),
        ("reference", Self::Reference),
        ("context", Self::Context),
        ("warning", Self::Warning),
    ];

    const fn promotes(self) -> bool {
        matches!(self, Self::Promotion | Self::Lure)
    }
}

#[derive(Clone, Debug)]
struct Term {
    text: String,
    kind: Kind,
    weight: u32,
}

/// A lexicon made ready for searching.
#[derive(Debug)]
struct Scorer {
    automaton: AhoCorasick,
    terms: Vec<Term>,
}

/// What a text comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Score {
    pub(super) points: u32,
    /// The same where any warning of fraud covers every lure: for senders that have no cause to disguise one.
    pub(super) points_if_trusted: u32,
    /// The terms that counted, by their place in the lexicon.
    terms: Vec<usize>,
}

impl Scorer {
    fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let complaints = Complaints::new(std::path::Path::new("lexicon.toml"), text);
        let table = document::parse(text, &complaints);
        let top = Section::top(&table, &complaints);
        let mut terms = Vec::new();
        for group in top.sections("group") {
            let kind = group.word("kind", &Kind::WORDS).unwrap_or(Kind::Shield);
            let weight = group.integer("weight", 0..=4).and_then(|weight| u32::try_from(weight).ok()).unwrap_or(0);
            let texts = group.strings("terms").unwrap_or_default();
            terms.extend(texts.into_iter().map(|text| Term { text: text.to_owned(), kind, weight }));
            group.finish();
        }
        if terms.len() > MOST_TERMS {
            top.fault("group", format!("more than {MOST_TERMS} terms"));
        }
        top.finish();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .ascii_case_insensitive(true)
            .prefilter(false)
            .build(terms.iter().map(|term| normal::form(&term.text)));
        let automaton = automaton.map_err(|error| top_fault(&complaints, &error));
        let (faults, _) = complaints.into_parts();
        match automaton {
            Ok(automaton) if faults.is_empty() => Ok(Self { automaton, terms }),
            _ => Err(faults),
        }
    }

    fn score(&self, text: &str) -> Score {
        self.weigh(&normal::form(text), None)
    }

    /// Weighs a text in the form of terms; terms that promote count where they reach into a free span.
    fn weigh(&self, text: &str, free: Option<&[Range<usize>]>) -> Score {
        let mut seen = [0_u64; MOST_TERMS / 64];
        let mut tally = Tally::default();
        let mut last = 0;
        for found in self.automaton.find_iter(text) {
            if !is_word(text, found.start(), found.end()) {
                continue;
            }
            let between = &text[last..found.start()];
            if between.contains(normal::SENTENCE_END) {
                tally.end_sentence();
            }
            tally.referred &= !between.contains(normal::is_clause_end);
            last = found.end();
            let index = found.pattern().as_usize();
            let reaches = |span: &Range<usize>| found.start() < span.end && span.start < found.end();
            if self.terms[index].kind.promotes() && free.is_some_and(|free| !free.iter().any(reaches)) {
                continue;
            }
            let known = seen[index / 64] & (1 << (index % 64)) != 0;
            tally.count(index, &self.terms[index], known);
            // What did not count for the clause it stands in may count in another.
            seen[index / 64] |= u64::from(!tally.referred) << (index % 64);
        }
        tally.finish()
    }

    fn explain(&self, score: &Score) -> String {
        let mut terms: Vec<&Term> = score.terms.iter().map(|&index| &self.terms[index]).collect();
        terms.sort_by_key(|term| std::cmp::Reverse(term.weight));
        let words: Vec<&str> = terms.iter().take(5).map(|term| term.text.as_str()).collect();
        words.join(", ")
    }
}

/// Points as they come, sentence by sentence.
#[derive(Default)]
struct Tally {
    score: Score,
    /// Points of weight 1, which only count without a transaction's context.
    faint: u32,
    context: bool,
    /// Sentences that warn.
    warnings: u32,
    /// In the present sentence.
    lures: u32,
    lured: Vec<usize>,
    warned: bool,
    /// What is said of something bought or asked for, up to the clause's end.
    referred: bool,
    /// Lures outside the sentences that warn.
    unwarned: u32,
}

impl Tally {
    fn count(&mut self, index: usize, term: &Term, known: bool) {
        match term.kind {
            Kind::Shield => {}
            Kind::Reference => self.referred = true,
            Kind::Context => self.context = true,
            Kind::Warning => {
                self.warnings += u32::from(!self.warned);
                self.warned = true;
            }
            _ if known || self.referred => {}
            Kind::Lure => {
                self.lures += term.weight;
                self.lured.push(index);
            }
            Kind::Promotion if term.weight == 1 => {
                self.faint += 1;
                self.score.terms.push(index);
            }
            Kind::Promotion => {
                self.score.points += term.weight;
                self.score.terms.push(index);
            }
        }
    }

    fn end_sentence(&mut self) {
        if !self.warned {
            self.unwarned += self.lures;
        }
        self.lures = 0;
        self.warned = false;
    }

    fn finish(mut self) -> Score {
        self.end_sentence();
        if !self.context {
            self.score.points += self.faint;
        }
        self.score.points_if_trusted = self.score.points + if self.warnings > 0 { 0 } else { self.unwarned };
        if self.warnings < 2 {
            self.score.points += self.unwarned;
            self.score.terms.append(&mut self.lured);
        }
        self.score
    }
}

fn top_fault(complaints: &Complaints<'_>, error: &aho_corasick::BuildError) {
    complaints.fault(None, "group", format!("the terms cannot be made searchable: {error}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lexicon_reads_and_repeats_nothing() {
        let scorer = Scorer::parse(LEXICON).unwrap_or_else(|faults| panic!("{}", faults[0]));
        let mut forms: Vec<String> = scorer.terms.iter().map(|term| normal_form(&term.text)).collect();
        forms.sort();
        let twice: Vec<&String> = forms.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    #[test]
    fn the_weights_read() {
        Learned::parse(WEIGHTS).unwrap_or_else(|faults| panic!("{}", faults[0]));
    }

    #[test]
    fn distinct_terms_add_up_and_repeated_ones_do_not() {
        let once = score("限时秒杀");
        assert_eq!(score("限时秒杀，限时秒杀，限时秒杀").points, once.points);
        assert!(score("限时秒杀，全场五折").points > once.points);
    }

    #[test]
    fn a_warning_is_no_lure() {
        assert_eq!(score("谨防低息贷款、刷单返利诈骗").points, 0);
        assert!(score("低息贷款，极速放款").points >= 4);
        let smuggled = score("谨防诈骗。本公司极速放款，无抵押");
        assert!(smuggled.points >= 4, "a warning shelters its own sentence only");
        assert_eq!(smuggled.points_if_trusted, 0);
    }

    #[test]
    fn what_was_bought_is_no_promotion_but_the_next_clause_may_be() {
        assert_eq!(score("您购买的秒杀商品已发货").points, 0);
        assert!(score("您购买的秒杀商品已发货，今日秒杀再降").points >= 4);
    }

    #[test]
    fn what_was_filed_is_not_held_against_a_text() {
        let text = "您的优惠券已到账，全场五折券，请使用";
        let at = text.find("全场").unwrap();
        assert_eq!(score_within(text, &[]).points, 0);
        let free = at..at + "全场五折券".len();
        assert!(score_within(text, std::slice::from_ref(&free)).points >= 4);
        let within = "限时".len().."限时抢".len();
        assert!(
            score_within("限时抢购", std::slice::from_ref(&within)).points >= 4,
            "a term may reach out of the span"
        );
    }

    #[test]
    fn ornaments_and_digits_do_not_hide_a_term() {
        for text in ["全场 5 折", "全*场*5*折", "全场6.8折", "全场10,000折"] {
            assert!(score(text).points >= 4, "{text}");
        }
    }
}
