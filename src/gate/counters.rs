//! What happened since the gate started, counted.
//!
//! Owns the counters behind `portcullis status`. Refuses to interpret them.
//! Driven by the desks; read by the admin socket.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::rules::{Decision, Effect, Rule, Verdict};

/// Written by every session without waiting for the others.
#[derive(Debug, Default)]
pub struct Counters {
    forwarded: AtomicU64,
    rejected: AtomicU64,
    held: AtomicU64,
    malformed: AtomicU64,
    deliveries: AtomicU64,
    refusals: AtomicU64,
    consents: AtomicU64,
    outcomes: AtomicU64,
    unrecorded: AtomicU64,
    incomplete: AtomicU64,
    throttled: AtomicU64,
    unknown: AtomicU64,
    failed: [AtomicU64; RULES],
    alerted: [AtomicU64; RULES],
    observed: [AtomicU64; RULES],
}

/// One place for each of R01 to R26; place 0 stays empty.
const RULES: usize = 27;

/// A reading of the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Messages sent on to the carrier.
    pub forwarded: u64,
    /// Messages refused for good.
    pub rejected: u64,
    /// Messages refused for now.
    pub held: u64,
    /// Message PDUs whose body could not be read.
    pub malformed: u64,
    /// Receipts and replies passed back.
    pub deliveries: u64,
    /// Replies that refused.
    pub refusals: u64,
    /// Replies that consented.
    pub consents: u64,
    /// Forwarded messages whose end is known.
    pub outcomes: u64,
    /// Messages turned away because no record could be kept.
    pub unrecorded: u64,
    /// Long messages given up before they were whole.
    pub incomplete: u64,
    /// Messages and parts beyond what their provider may have.
    pub throttled: u64,
    /// Forwarded by the process before, which ended before it learnt what became of them.
    #[serde(default)]
    pub unknown: u64,
    /// Each rule with what it did.
    pub rules: Vec<RuleTotals>,
}

/// What one rule did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleTotals {
    /// `R05`
    pub rule: String,
    /// Messages it refused or held.
    pub failed: u64,
    /// Messages it only flagged.
    pub alerted: u64,
    /// Messages it would have refused, were it enforced.
    pub observed: u64,
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn judged(&self, verdict: &Verdict) {
        add(match verdict.decision {
            Decision::Forward => &self.forwarded,
            Decision::Reject => &self.rejected,
            Decision::Hold => &self.held,
        });
        for finding in &verdict.findings {
            let counters = match finding.effect {
                Effect::Failed | Effect::Held => &self.failed,
                Effect::Alert => &self.alerted,
                Effect::Observed => &self.observed,
            };
            add(&counters[finding.rule as usize]);
        }
    }

    pub(super) fn malformed(&self) {
        add(&self.malformed);
    }

    pub(super) fn delivered(&self) {
        add(&self.deliveries);
    }

    /// A reply was stored by this rule.
    pub(super) fn taken(&self, rule: Rule) {
        add(if rule == Rule::R24 { &self.consents } else { &self.refusals });
    }

    pub(super) fn outcome(&self) {
        add(&self.outcomes);
    }

    pub(super) fn unrecorded(&self) {
        add(&self.unrecorded);
    }

    pub(super) fn incomplete(&self) {
        add(&self.incomplete);
    }

    pub(super) fn throttled(&self) {
        add(&self.throttled);
    }

    pub(super) fn left_unknown(&self, forwards: u64) {
        self.unknown.store(forwards, Ordering::Relaxed);
    }

    /// The counters now.
    pub fn totals(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let rules = Rule::all()
            .map(|rule| RuleTotals {
                rule: rule.id().to_owned(),
                failed: read(&self.failed[rule as usize]),
                alerted: read(&self.alerted[rule as usize]),
                observed: read(&self.observed[rule as usize]),
            })
            .filter(|totals| totals.failed + totals.alerted + totals.observed > 0)
            .collect();
        Totals {
            forwarded: read(&self.forwarded),
            rejected: read(&self.rejected),
            held: read(&self.held),
            malformed: read(&self.malformed),
            deliveries: read(&self.deliveries),
            refusals: read(&self.refusals),
            consents: read(&self.consents),
            outcomes: read(&self.outcomes),
            unrecorded: read(&self.unrecorded),
            incomplete: read(&self.incomplete),
            throttled: read(&self.throttled),
            unknown: read(&self.unknown),
            rules,
        }
    }
}
