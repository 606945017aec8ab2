//! What a replay came to, as it is printed and as JSON has it.
//!
//! Owns the sums and their names. Refuses to judge and to compare. Filled by [`super::Replay`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::MeasureStep;
use crate::rules::Rule;

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Messages met.
    pub messages: u64,
    /// Those with the same verdict, class and findings.
    pub unchanged: u64,
    /// The others.
    pub changed: u64,
    /// Those judged by what the consents know today of that time: their records are older than grounds are, or the
    /// register now has another sender for them.
    pub looked_up: u64,
    /// Those that had been judged by other settings: for these R19 and R25 were counted again, by the profile's
    /// limits and thresholds.
    pub recounted: u64,
    /// From when on the messages before the first one count, where the profile sets a limit.
    pub counted_since: Option<Timestamp>,
    /// Messages that no longer found room among the counts, so that later ones may pass which should not.
    pub uncounted: u64,
    /// From when on what is counted for measures is known: of what was before, only what came of it is.
    pub measures_since: Option<Timestamp>,
    /// Measures that the gate had in force then: taken over, because what led to them was before.
    pub measures_before: Vec<MeasureStep>,
    /// The first steps of measures that the profile takes, and how many there are in all.
    pub measures: Vec<MeasureStep>,
    /// See `measures`.
    pub measure_steps: u64,
    /// Messages that found no room among those counts.
    pub unmeasured: u64,
    /// Those whose provider declares a class by a TLV, and whose older records do not say by which: judged without.
    pub undeclared: u64,
    /// Do-not-disturb lists that changed meanwhile: whom they spared before is known of judged messages only.
    pub lists: Vec<ListChange>,
    /// Those that were not judged again, by reason.
    pub unjudged: BTreeMap<String, u64>,
    /// Entries of the journal that cannot be read.
    pub unread: u64,
    /// `forward -> reject` and so on; the same word twice where only the rules or the class differ.
    pub decisions: BTreeMap<String, u64>,
    /// By rule: what it newly finds and no longer finds.
    pub rules: BTreeMap<String, RuleChanges>,
    /// By class as it was judged then: its changed messages, by decision.
    pub classes: BTreeMap<String, BTreeMap<String, u64>>,
    /// The same by port; a source that is nobody's stands for itself.
    pub ports: BTreeMap<String, BTreeMap<String, u64>>,
    /// The same by sender.
    pub senders: BTreeMap<String, BTreeMap<String, u64>>,
    /// Messages whose class differs: `service -> commercial`.
    pub reclassed: BTreeMap<String, u64>,
    /// Some of the changed messages.
    pub examples: Vec<Example>,
}

/// A do-not-disturb list that was read anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListChange {
    /// When.
    pub at: Timestamp,
    /// The list's name.
    pub name: String,
    /// Entries that were new.
    pub added: u64,
    /// Entries that were there no longer.
    pub removed: u64,
}

/// How often a rule speaks otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleChanges {
    /// It newly rejects or holds.
    pub newly_failing: u64,
    /// It no longer does.
    pub no_longer_failing: u64,
    /// It newly alerts or is newly observed.
    pub newly_noted: u64,
    /// It no longer is.
    pub no_longer_noted: u64,
}

/// A changed message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Its record, for `portcullis explain`.
    pub record: String,
    /// When it came.
    pub received: Timestamp,
    /// The port.
    pub source: String,
    /// The recipient, its middle hidden.
    pub destination: String,
    /// The sender's id.
    pub sender: Option<String>,
    /// `forward -> reject`
    pub decision: String,
    /// `service -> commercial`, where the class differs.
    pub class: Option<String>,
    /// Each finding that is new, with its reason.
    pub new: Vec<String>,
    /// Each finding that is gone.
    pub gone: Vec<String>,
}

impl Report {
    /// Rules by what they newly stop, the most first.
    pub fn rules_by_weight(&self) -> Vec<(Rule, &RuleChanges)> {
        let mut rules: Vec<_> =
            self.rules.iter().filter_map(|(id, changes)| Some((Rule::from_id(id)?, changes))).collect();
        rules.sort_by_key(|(rule, changes)| {
            (std::cmp::Reverse(changes.newly_failing + changes.no_longer_failing), *rule)
        });
        rules
    }
}
