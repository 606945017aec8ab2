//! What differs between a record and its second verdict.
//!
//! Owns the comparison: the answer, the class, and each rule with its effect. Refuses to count. Driven by [`super::Replay`].

use crate::gate::record;
use crate::rules::{Effect, Finding, Verdict};

/// How a second verdict differs.
pub(super) struct Change {
    pub(super) decision: String,
    is_same_answer: bool,
    pub(super) class: Option<String>,
    /// Rule with its effect, whether that stops the message, and why.
    pub(super) new: Vec<(String, bool, String)>,
    pub(super) gone: Vec<(String, bool, String)>,
}

impl Change {
    pub(super) fn of(record: &record::Submission<'_>, verdict: &Verdict) -> Self {
        let now = verdict.decision.to_string();
        let fails = |effect: &str| matches!(effect, "failed" | "held");
        let same = |finding: &Finding, then: &record::Finding<'_>| {
            finding.rule.id() == then.rule && word(finding.effect) == then.effect
        };
        let new = verdict.findings.iter().filter(|now| !record.findings.iter().any(|then| same(now, then)));
        let gone = record.findings.iter().filter(|then| !verdict.findings.iter().any(|now| same(now, then)));
        Self {
            is_same_answer: now == record.verdict && verdict.status.0 == record.status,
            decision: format!("{} -> {now}", record.verdict),
            class: (verdict.class.name() != record.class).then(|| format!("{} -> {}", record.class, verdict.class)),
            new: new.map(|f| (f.rule.to_string(), fails(word(f.effect)), f.why.to_string())).collect(),
            gone: gone.map(|f| (f.rule.to_string(), fails(&f.effect), f.why.to_string())).collect(),
        }
    }

    pub(super) fn is_none(&self) -> bool {
        self.is_same_answer && self.class.is_none() && self.new.is_empty() && self.gone.is_empty()
    }

    /// Changes of one kind have the same decision, class and rules.
    pub(super) fn kind(&self) -> String {
        let rules = |list: &[(String, bool, String)]| list.iter().map(|(rule, ..)| rule.clone()).collect::<String>();
        format!("{} {:?} {} {}", self.decision, self.class, rules(&self.new), rules(&self.gone))
    }
}

/// An effect as records have it.
pub(in crate::gate) const fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Failed => "failed",
        Effect::Held => "held",
        Effect::Alert => "alert",
        Effect::Observed => "observed",
    }
}
