//! How much a text promotes, by weights learned for its runs of tokens.
//!
//! Owns the weighing: a text promotes as much as the sentence of it that promotes most, so that
//! no harmless words around it make up for that. The weights come from `examples/train.rs`,
//! which says how; they are hundredths of a point. Refuses to decide.

use super::grams;
use super::normal::SENTENCE_END;
use crate::document::Fault;

/// How many points of the lexicon speak for a promotion; more say nothing more.
pub(super) const MOST_OF_LEXICON: u32 = 2;
/// About as many as there are weights.
const SHELVES: usize = 4096;
/// Hundredths make a point.
const POINT: i32 = 100;
/// Bits to tell at once that a run has no weight.
const SIEVE: usize = 1 << 16;

/// Learned weights, made ready for searching.
#[derive(Debug)]
pub(super) struct Learned {
    /// Of any text.
    bias: i32,
    /// Of each point of the lexicon.
    lexicon: i32,
    sieve: Box<[u64]>,
    /// By hash.
    weights: Vec<(u64, i32)>,
    /// Where the weights begin whose hashes have the same first octets; one more, for the end.
    shelves: Vec<usize>,
}

impl Learned {
    /// Reads lines of a run, a tab and a weight; `BIAS` and `LEXICON` are no runs.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let mut learned =
            Self { bias: 0, lexicon: 0, sieve: vec![0; SIEVE / 64].into(), weights: Vec::new(), shelves: Vec::new() };
        let mut faults = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with("//")) {
            let weight = line.split_once('\t').and_then(|(run, weight)| Some((run, weight.parse().ok()?)));
            match weight {
                Some(("BIAS", weight)) => learned.bias = weight,
                Some(("LEXICON", weight)) => learned.lexicon = weight,
                Some((run, weight)) => learned.weights.push((grams::hash(run), weight)),
                None => faults.push(Fault {
                    file: "weights.tsv".into(),
                    line: Some(number + 1),
                    key: String::new(),
                    message: "expected a run of tokens, a tab and a whole number".to_owned(),
                }),
            }
        }
        learned.weights.sort_unstable();
        learned.shelves =
            (0..=SHELVES).map(|shelf| learned.weights.partition_point(|weight| shelf_of(weight.0) < shelf)).collect();
        for &(hash, _) in &learned.weights {
            let bit = bit_of(hash);
            learned.sieve[bit / 64] |= 1 << (bit % 64);
        }
        if faults.is_empty() { Ok(learned) } else { Err(faults) }
    }

    /// The points of a text in normal form that the lexicon gives so many.
    pub(super) fn points(&self, form: &str, of_lexicon: u32) -> u32 {
        let canonical = grams::canonical(form);
        let mut seen = self.none_seen();
        let sentences = canonical.split(SENTENCE_END).map(|sentence| self.weigh(sentence, &mut seen));
        let best = sentences.max().unwrap_or_default();
        let lexicon = of_lexicon.min(MOST_OF_LEXICON).try_into().unwrap_or(0) * self.lexicon;
        u32::try_from((self.bias + lexicon + best).div_euclid(POINT)).unwrap_or(0)
    }

    /// The runs that weigh most in the sentence that promotes most.
    pub(super) fn explain(&self, form: &str) -> Vec<String> {
        let canonical = grams::canonical(form);
        let mut seen = self.none_seen();
        let best = canonical.split(SENTENCE_END).max_by_key(|sentence| self.weigh(sentence, &mut seen));
        let mut runs: Vec<(i32, &str)> = Vec::new();
        grams::for_each(best.unwrap_or_default(), |run, hash| {
            if let Some((_, weight)) = self.find(hash).filter(|_| is_telling(run)) {
                runs.push((weight, run));
            }
        });
        runs.sort_unstable_by(|one, other| other.cmp(one));
        let mut told: Vec<&str> = Vec::new();
        for (_, run) in runs.into_iter().take_while(|(weight, _)| *weight > 0) {
            if told.iter().all(|known| !known.contains(run) && !run.contains(known)) {
                told.push(run);
            }
        }
        told.into_iter().take(5).map(str::to_owned).collect()
    }

    /// What the runs of a sentence come to, each counted once.
    fn weigh(&self, sentence: &str, seen: &mut [u64]) -> i32 {
        let mut sum = 0;
        seen.fill(0);
        grams::for_each(sentence, |_, hash| {
            if let Some((index, weight)) = self.find(hash)
                && seen[index / 64] & (1 << (index % 64)) == 0
            {
                seen[index / 64] |= 1 << (index % 64);
                sum += weight;
            }
        });
        sum
    }

    /// A bit for each weight.
    fn none_seen(&self) -> Vec<u64> {
        vec![0; self.weights.len().div_ceil(64)]
    }

    fn find(&self, hash: u64) -> Option<(usize, i32)> {
        let bit = bit_of(hash);
        if self.sieve[bit / 64] & (1 << (bit % 64)) == 0 {
            return None;
        }
        let shelf = shelf_of(hash);
        let mut indices = self.shelves[shelf]..self.shelves[shelf + 1];
        indices.find(|&index| self.weights[index].0 == hash).map(|index| (index, self.weights[index].1))
    }
}

/// Where in the sieve a hash has its bit: by its last two octets.
fn bit_of(hash: u64) -> usize {
    let [a, b, ..] = hash.to_le_bytes();
    u16::from_le_bytes([a, b]).into()
}

/// A hash's place on the shelves: its first octets, which are those that the weights are in order of.
fn shelf_of(hash: u64) -> usize {
    let [a, b, ..] = hash.to_be_bytes();
    usize::from(u16::from_be_bytes([a, b])) / (65_536 / SHELVES)
}

/// Whether a reader sees in it why: a single ideograph or the mark beside a word weighs, but tells nothing.
fn is_telling(run: &str) -> bool {
    run.chars().nth(1).is_some() && !run.starts_with('，') && !run.ends_with('，')
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIGHTS: &str = "// a remark\nBIAS\t-100\nLEXICON\t150\n抢购\t350\n您的\t-300\n快递\t-200\n";

    #[test]
    fn the_sentence_that_promotes_most_counts() {
        let learned = Learned::parse(WEIGHTS).unwrap();
        assert_eq!(learned.points("抢购", 0), 2);
        assert_eq!(learned.points("抢购，抢购", 0), 2, "a run counts once");
        assert_eq!(learned.points("您的快递，抢购", 0), 0);
        assert_eq!(learned.points("您的快递\n抢购", 0), 2, "another sentence makes up for nothing");
        assert_eq!(learned.points("抢购", 1), 4);
        assert_eq!(learned.points("抢购", 9), 5);
        assert_eq!(learned.explain("您的快递\n抢购"), ["抢购"]);
    }

    #[test]
    fn a_bad_line_is_told() {
        let faults = Learned::parse("BIAS\t-100\n抢购 350\n").unwrap_err();
        assert_eq!(faults[0].line, Some(2));
    }
}
