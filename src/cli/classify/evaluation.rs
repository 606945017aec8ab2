//! How well points tell commercial messages from others.
//!
//! Owns the counting and the figures: confusion, precision and recall at the profile's
//! threshold, and what other thresholds would do. Refuses to choose one.

use std::collections::BTreeMap;
use std::fmt;

use crate::rules::Class;

/// The figures so far.
#[derive(Debug)]
pub(super) struct Evaluation {
    threshold: u32,
    commercial: Points,
    others: BTreeMap<Class, Points>,
    kinds: BTreeMap<(bool, String), (u64, u64)>,
}

/// How many messages have so many points.
#[derive(Debug, Default)]
struct Points(BTreeMap<u32, u64>);

impl Points {
    fn total(&self) -> u64 {
        self.0.values().sum()
    }

    fn from(&self, threshold: u32) -> u64 {
        self.0.range(threshold..).map(|(_, count)| count).sum()
    }
}

impl Evaluation {
    pub(super) fn new(threshold: u32) -> Self {
        Self { threshold, commercial: Points::default(), others: BTreeMap::new(), kinds: BTreeMap::new() }
    }

    /// Counts a message; true where its points say it is what it is not.
    pub(super) fn count(&mut self, class: Class, kind: &str, points: u32) -> bool {
        let commercial = class == Class::Commercial;
        let of_class = if commercial { &mut self.commercial } else { self.others.entry(class).or_default() };
        *of_class.0.entry(points).or_default() += 1;
        let wrong = commercial != (points >= self.threshold);
        let of_kind = self.kinds.entry((commercial, kind.to_owned())).or_default();
        of_kind.0 += 1;
        of_kind.1 += u64::from(wrong);
        wrong
    }

    /// Messages that are not commercial, and how many of them this threshold would take for it.
    fn false_rejects(&self, threshold: u32) -> (u64, u64) {
        let sum = |count: &dyn Fn(&Points) -> u64| self.others.values().map(count).sum();
        (sum(&Points::total), sum(&|points| points.from(threshold)))
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.confusion(f)?;
        self.thresholds(f)?;
        self.wrong_kinds(f)
    }
}

impl Evaluation {
    fn confusion(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (others, rejected) = self.false_rejects(self.threshold);
        let (commercial, found) = (self.commercial.total(), self.commercial.from(self.threshold));
        writeln!(f, "at the threshold of {} points:", self.threshold)?;
        writeln!(f, "  {:<12} {:>9} {:>15} {:>11}", "is", "messages", "as commercial", "as other")?;
        writeln!(f, "  {:<12} {commercial:>9} {found:>15} {:>11}", "commercial", commercial - found)?;
        for (class, points) in &self.others {
            let (all, taken) = (points.total(), points.from(self.threshold));
            writeln!(f, "  {:<12} {all:>9} {taken:>15} {:>11}", class.name(), all - taken)?;
        }
        let line = |f: &mut fmt::Formatter<'_>, name, right, taken, all| {
            writeln!(f, "  {name:<12} precision {}   recall {}", share(right, taken), share(right, all))
        };
        line(f, "commercial", found, found + rejected, commercial)?;
        line(f, "other", others - rejected, others - rejected + commercial - found, others)
    }

    fn thresholds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "over thresholds:")?;
        writeln!(
            f,
            "  {:>6} {:>13} {:>13} {:>16} {:>10}",
            "points", "false rejects", "of 10,000", "at most, 95 %", "recall"
        )?;
        for threshold in 1..=12 {
            let (others, rejected) = self.false_rejects(threshold);
            let recall = share(self.commercial.from(threshold), self.commercial.total());
            let per =
                |count: f64| if others == 0 { "-".to_owned() } else { format!("{:.2}", count * 1e4 / others as f64) };
            let (rate, bound) = (per(rejected as f64), per(upper_bound(rejected)));
            writeln!(f, "  {threshold:>6} {rejected:>13} {rate:>13} {bound:>16} {recall:>10}")?;
        }
        Ok(())
    }

    fn wrong_kinds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong = self.kinds.iter().filter(|(_, (_, wrong))| *wrong > 0);
        for ((commercial, kind), (all, wrong)) in wrong {
            let (class, taken) = if *commercial { ("commercial", "other") } else { ("other", "commercial") };
            writeln!(f, "{class} of kind {kind}: {wrong} of {all} taken for {taken}")?;
        }
        Ok(())
    }
}

fn share(part: u64, all: u64) -> String {
    if all == 0 { "-".to_owned() } else { format!("{:.4}", part as f64 / all as f64) }
}

/// The number of events that the true mean exceeds in one of twenty such samples: Poisson, one-sided; 3.0 for none.
fn upper_bound(events: u64) -> f64 {
    let (mut low, mut high) = (events as f64, events as f64 * 2.0 + 10.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_most(events, middle) > 0.05 { low = middle } else { high = middle }
    }
    high
}

/// The probability of at most so many events, of this mean.
fn at_most(events: u64, mean: f64) -> f64 {
    let mut log = -mean;
    let mut sum = log.exp();
    for event in 1..=events {
        log += (mean / event as f64).ln();
        sum += log.exp();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_n_is_three_in_n_at_most() {
        assert!((upper_bound(0) - 2.996).abs() < 0.001);
        assert!((upper_bound(3) - 7.754).abs() < 0.001);
        assert!(upper_bound(2_000) > 2_000.0 && upper_bound(2_000) < 2_100.0);
    }

    #[test]
    fn figures_are_those_of_the_counts() {
        let mut evaluation = Evaluation::new(4);
        assert!(!evaluation.count(Class::Commercial, "plain", 9));
        assert!(evaluation.count(Class::Commercial, "soft", 3));
        assert!(!evaluation.count(Class::Service, "otp", 0));
        assert!(!evaluation.count(Class::Service, "otp", 0));
        assert!(evaluation.count(Class::Personal, "chat", 4));
        let text = evaluation.to_string();
        assert!(text.contains("commercial   precision 0.5000   recall 0.5000"), "{text}");
        assert!(text.contains("other        precision 0.6667   recall 0.6667"), "{text}");
        assert!(text.contains("commercial of kind soft: 1 of 1 taken for other"), "{text}");
    }
}
