//! Logistic regression, where a message is as much of a promotion as its most promoting sentence.
//!
//! Each step looks at that sentence only, of either class: so no sentence of a service message
//! may promote, and one of a commercial message must. AdaGrad, a fixed number of rounds in an
//! order drawn from a fixed seed; several such models and their mean.

/// A labelled message.
pub(crate) struct Example {
    /// The known runs of each sentence.
    pub(crate) sentences: Vec<Vec<usize>>,
    /// The points of the lexicon, in thresholds: small, so that the model does not lean on it before all.
    pub(crate) lexicon: f64,
    pub(crate) promotes: bool,
    pub(crate) campaign: usize,
}

pub(crate) struct Model {
    pub(crate) weights: Vec<f64>,
    pub(crate) bias: f64,
    pub(crate) lexicon: f64,
}

const ROUNDS: usize = 30;
const RATE: f64 = 0.1;
/// Draws each weight to nothing.
const DECAY: f64 = 1e-5;
const SEEDS: [u64; 8] = [11, 12, 13, 14, 15, 16, 17, 18];

/// How far each weight has moved, squared; the more, the smaller its steps.
struct Steps(Vec<f64>);

impl Steps {
    fn next(&mut self, at: usize, gradient: f64) -> f64 {
        self.0[at] += gradient * gradient;
        RATE * gradient / self.0[at].sqrt()
    }
}

impl Model {
    /// The mean of several, each of which went through the examples in other orders.
    pub(crate) fn learn(examples: &[&Example], runs: usize) -> Self {
        let mut mean = Self { weights: vec![0.0; runs], bias: 0.0, lexicon: 0.0 };
        for seed in SEEDS {
            let model = Self::learn_one(examples, runs, seed);
            let share = |weight: f64| weight / SEEDS.len() as f64;
            mean.weights.iter_mut().zip(model.weights).for_each(|(mean, weight)| *mean += share(weight));
            mean.bias += share(model.bias);
            mean.lexicon += share(model.lexicon);
        }
        mean
    }

    fn learn_one(examples: &[&Example], runs: usize, seed: u64) -> Self {
        let mut model = Self { weights: vec![0.0; runs], bias: -1.0, lexicon: 0.0 };
        let mut steps = Steps(vec![1e-3; runs + 2]);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut order: Vec<usize> = (0..examples.len()).collect();
        for _ in 0..ROUNDS {
            rng.shuffle(&mut order);
            order.iter().for_each(|&index| model.step(examples[index], &mut steps));
        }
        model
    }

    pub(crate) fn score(&self, example: &Example) -> f64 {
        self.most(example).0
    }

    fn step(&mut self, example: &Example, steps: &mut Steps) {
        let (score, sentence) = self.most(example);
        let error = f64::from(u8::from(example.promotes)) - 1.0 / (1.0 + (-score).exp());
        for &run in sentence.map_or(&[][..], |sentence| &example.sentences[sentence]) {
            self.weights[run] += steps.next(run, error - DECAY * self.weights[run]);
        }
        self.bias += steps.next(self.weights.len(), error);
        self.lexicon += steps.next(self.weights.len() + 1, error * example.lexicon);
        self.lexicon = self.lexicon.max(0.0);
    }

    /// The score, and the sentence that makes it.
    fn most(&self, example: &Example) -> (f64, Option<usize>) {
        let sums = example.sentences.iter().enumerate();
        let sums = sums.map(|(index, runs)| (runs.iter().map(|&run| self.weights[run]).sum::<f64>(), Some(index)));
        let (sum, index) = sums.max_by(|one, other| one.0.total_cmp(&other.0)).unwrap_or((0.0, None));
        (self.bias + self.lexicon * example.lexicon + sum, index)
    }
}
