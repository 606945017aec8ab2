//! What would change: recorded messages judged again, and the differences counted.
//!
//! Owns the comparison of a record with its second verdict, and the sums. Refuses to read the
//! journal, to send and to record. Keeps no more than its bounds, however many messages come.
//! Driven by `portcullis replay`, entry by entry.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use jiff::Timestamp;

mod change;
mod frequency;
mod measured;
mod report;

use super::again::{Bench, Lookup, Sent, Unjudged};
use super::desk::mark;
use super::measures::{FoundStep, MeasureStatus};
use super::record::{self, Content, Grounds, List, Long, PartOutcome, Record, name};
use crate::rules::{Class, Decision, Facts, Operation, Verdict};
use crate::store::EntryId;
use crate::store::sends::Pair;
use change::Change;
pub(super) use change::word;
use frequency::{Moment, Tally};
pub use measured::MeasureStep;
use measured::Measured;
pub use report::{Example, ListChange, Report, RuleChanges};

/// Ports or senders that are told apart; what exceeds this is counted together.
const MOST_NAMES: usize = 10_000;

/// The name under which those are counted.
const OTHERS: &str = "(others)";

/// Changes of do-not-disturb lists that are told.
const MOST_LISTS: usize = 100;

/// Examples of one kind of change.
const ALIKE: usize = 3;

/// A replay under way.
pub struct Replay<'r> {
    bench: Bench<'r>,
    most_examples: usize,
    report: Report,
    tally: Tally<'r>,
    measured: Measured<'r>,
    /// From when on messages count for R19, UTC milliseconds.
    tallied_ms: i64,
    /// How many examples there are of each kind of change.
    shown: HashMap<String, usize>,
}

impl<'r> Replay<'r> {
    /// Nothing judged yet. The rates of slow-downs are told by a clock that may begin anywhere.
    pub fn new(bench: Bench<'r>, most_examples: usize, clock: Instant) -> Self {
        let (tally, measured) = (Tally::new(bench.profile), Measured::new(bench.profile, clock));
        let (report, shown) = (Report::default(), HashMap::new());
        Self { bench, most_examples, report, tally, measured, tallied_ms: i64::MAX, shown }
    }

    /// What it has come to so far.
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// From when on messages count for those of this moment: they are to be remembered before it is reached.
    pub fn counts_from(&mut self, at: Timestamp) -> Timestamp {
        let tallied = self.tally.counts_from(at);
        self.report.counted_since = tallied;
        self.tallied_ms = tallied.map_or(i64::MAX, Timestamp::as_millisecond);
        let measured = self.measured.counts_from(at);
        tallied.map_or(measured, |tallied| tallied.min(measured))
    }

    /// Takes note of a step of a measure, oldest first: what holds before the counts begin is not in them.
    pub fn stood(&mut self, step: FoundStep) {
        self.measured.stood(step);
    }

    /// The same of what is in force today, once all steps are told.
    pub fn stands(&mut self, measure: MeasureStatus) {
        self.measured.stands(measure);
    }

    /// All of that is told; entries come now.
    pub fn begin(&mut self) {
        self.measured.begin(self.bench.register, &mut self.report);
    }

    /// No more entries come.
    pub fn finish(&mut self) {
        if self.report.recounted > 0 {
            self.measured.finish(&mut self.report);
        }
    }

    /// Takes note of an entry from before the first that is judged: what passed then counts.
    pub fn remember(&mut self, id: EntryId, payload: &[u8]) {
        // One that cannot be read counts for nothing, as it did for nobody.
        let Ok((record, grounds)) = Grounds::decode(payload) else { return };
        let (Record::Submission(sent) | Record::Long(Long { submission: sent, .. })) = &record else {
            return self.end(&record);
        };
        self.measured.note_recorded(sent, self.bench.register, &mut self.report);
        let forwarded = sent.verdict == "forward" && sent.class == Class::Commercial.name();
        let Ok(message) = Sent::of(sent, grounds.as_ref()) else { return };
        if !forwarded || sent.received_ms < self.tallied_ms || message.submission().operation == Operation::ReplaceSm {
            return;
        }
        if let (Some(sender), Some(msisdn)) = (sent.sender.as_deref(), sent.msisdn) {
            // It may have had another id then.
            let sender = self.bench.register.sender(sender).map_or(sender, |known| &known.id);
            let moment = moment(Pair::new(sender, msisdn), sent, message.delivery());
            self.tally.count(name(id), moment, message.received());
        }
    }

    /// Judges an entry again, if it is a message's. One that cannot be read is counted, and the others go on.
    pub fn take(&mut self, id: EntryId, payload: &[u8], lookup: &mut Lookup<'_>) {
        let (record, grounds) = match Grounds::decode(payload) {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(%id, %error, "an entry that cannot be read");
                self.report.unread += 1;
                return;
            }
        };
        let sent = match &record {
            Record::Submission(sent) | Record::Long(Long { submission: sent, .. }) => sent,
            other => return self.end(other),
        };
        self.report.messages += 1;
        match self.judge(id, sent, grounds.as_ref(), lookup) {
            Ok((verdict, is_recorded)) => {
                self.report.looked_up += u64::from(!is_recorded);
                self.compare(id, sent, &verdict);
            }
            Err(why) => *self.report.unjudged.entry(reason(&why)).or_default() += 1,
        }
    }

    /// What it comes to now, and whether the record itself said what was known.
    fn judge(
        &mut self,
        id: EntryId,
        record: &record::Submission<'_>,
        grounds: Option<&Grounds<'_>>,
        lookup: &mut Lookup<'_>,
    ) -> Result<(Verdict, bool), Unjudged> {
        let sent = Sent::of(record, grounds)?;
        let submission = sent.submission();
        let (mut facts, is_recorded) = sent.facts(self.bench, &submission, lookup)?;
        let declares = facts.identity.provider.class_tlv.is_some();
        self.report.undeclared += u64::from(declares && grounds.is_none());
        let place = pair(&facts).filter(|_| submission.operation != Operation::ReplaceSm);
        let place = place.map(|pair| moment(pair, record, sent.delivery()));
        let is_other = !sent.is_judged_by(self.bench.profile);
        if is_other {
            self.report.recounted += 1;
            facts.sent = place.map(|place| self.tally.sent(&place, sent.received())).unwrap_or_default();
        }
        let (at_ms, port_class) = (record.received_ms, facts.identity.port_class());
        let way = self.measured.tell(&mut facts, at_ms, is_other, &mut self.report);
        let verdict = sent.judge(self.bench.profile, &submission, &facts, is_other);
        if let Some(way) = way {
            self.measured.note(&way, port_class, &verdict, at_ms);
        }
        if let Some(place) = place
            && verdict.decision == Decision::Forward
            && verdict.class == Class::Commercial
        {
            self.tally.count(name(id), place, sent.received());
            self.report.uncounted = self.tally.left_out();
        }
        Ok((verdict, is_recorded))
    }

    /// What became of a message, and of the lists.
    fn end(&mut self, record: &Record<'_>) {
        match record {
            Record::Outcome(outcome) => self.tally.end(outcome, false),
            Record::PartOutcome(PartOutcome { outcome, .. }) => self.tally.end(outcome, true),
            Record::List(list) => self.note(list),
            other => self.measured.hear(other, self.bench.register),
        }
    }

    /// Whom a list spared before it changed, nobody knows any more.
    fn note(&mut self, list: &List<'_>) {
        let matters = self.report.messages > 0 && list.added + list.removed > 0;
        if matters && self.report.lists.len() < MOST_LISTS {
            let at = Timestamp::from_millisecond(list.at_ms).unwrap_or_default();
            let name = list.name.to_string();
            self.report.lists.push(ListChange { at, name, added: list.added, removed: list.removed });
        }
    }

    fn compare(&mut self, id: EntryId, record: &record::Submission<'_>, verdict: &Verdict) {
        let change = Change::of(record, verdict);
        if change.is_none() {
            self.report.unchanged += 1;
            return;
        }
        self.report.changed += 1;
        let report = &mut self.report;
        *report.decisions.entry(change.decision.clone()).or_default() += 1;
        if let Some(class) = &change.class {
            *report.reclassed.entry(class.clone()).or_default() += 1;
        }
        for (findings, is_new) in [(&change.new, true), (&change.gone, false)] {
            for (rule, fails, _) in findings {
                let changes = report.rules.entry(rule.to_string()).or_default();
                *match (is_new, fails) {
                    (true, true) => &mut changes.newly_failing,
                    (false, true) => &mut changes.no_longer_failing,
                    (true, false) => &mut changes.newly_noted,
                    (false, false) => &mut changes.no_longer_noted,
                } += 1;
            }
        }
        let port = record.port.as_ref().map_or(record.source.addr.as_ref(), |(number, _)| number);
        count(&mut report.classes, &record.class, &change.decision);
        count(&mut report.ports, port, &change.decision);
        count(&mut report.senders, record.sender.as_deref().unwrap_or("(unknown)"), &change.decision);
        self.show(id, record, &change);
    }

    fn show(&mut self, id: EntryId, record: &record::Submission<'_>, change: &Change) {
        if self.report.examples.len() >= self.most_examples {
            return;
        }
        let shown = self.shown.entry(change.kind()).or_default();
        if *shown >= ALIKE {
            return;
        }
        *shown += 1;
        let said = |(rule, _, why): &(String, bool, String)| format!("{rule}: {why}");
        self.report.examples.push(Example {
            record: id.to_string(),
            received: Timestamp::from_millisecond(record.received_ms).unwrap_or_default(),
            source: record.source.addr.to_string(),
            destination: masked(record.msisdn, &record.destination.addr),
            sender: record.sender.as_ref().map(ToString::to_string),
            decision: change.decision.clone(),
            class: change.class.clone(),
            new: change.new.iter().map(said).collect(),
            gone: change.gone.iter().map(said).collect(),
        });
    }
}

/// Between whom a message goes, where both are known.
fn pair(facts: &Facts<'_>) -> Option<Pair> {
    Some(Pair::new(&facts.identity.sender?.id, facts.identity.msisdn?.0))
}

/// Its place among those that count.
fn moment(pair: Pair, record: &record::Submission<'_>, delivery: Timestamp) -> Moment {
    let text = match &record.content {
        Content::Text(text) => text.as_ref(),
        Content::Opaque(..) => "",
    };
    Moment { pair, at_s: delivery.as_second(), mark: mark(record.source.addr.as_bytes(), text) }
}

/// Reasons with a detail of their own are counted together.
fn reason(why: &Unjudged) -> String {
    match why {
        Unjudged::NoConsents(_) => "the consents cannot be asked".to_owned(),
        other => other.to_string(),
    }
}

fn count(groups: &mut BTreeMap<String, BTreeMap<String, u64>>, name: &str, decision: &str) {
    let name = if groups.len() >= MOST_NAMES && !groups.contains_key(name) { OTHERS } else { name };
    *groups.entry(name.to_owned()).or_default().entry(decision.to_owned()).or_default() += 1;
}

/// A subscriber's number as others may see it: 138****8001.
pub fn masked(msisdn: Option<u64>, raw: &str) -> String {
    let number = msisdn.map_or_else(|| raw.to_owned(), |number| number.to_string());
    let own = number.strip_prefix("86").filter(|own| own.len() == 11).unwrap_or(&number);
    let chars: Vec<char> = own.chars().collect();
    if chars.len() < 8 {
        return "*".repeat(chars.len().min(4));
    }
    let (head, tail) = (&chars[..3], &chars[chars.len() - 4..]);
    head.iter().chain(&['*'; 4]).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_shown_without_its_middle() {
        assert_eq!(masked(Some(8_613_800_138_001), "x"), "138****8001");
        assert_eq!(masked(Some(447_700_900_123), "x"), "447****0123");
        assert_eq!(masked(None, "10086"), "****");
        assert_eq!(masked(None, "list-of-friends"), "lis****ends");
    }

    #[test]
    fn names_beyond_the_bound_are_counted_together() {
        let mut groups = BTreeMap::new();
        for name in 0..MOST_NAMES + 5 {
            count(&mut groups, &name.to_string(), "forward -> reject");
        }
        assert_eq!(groups.len(), MOST_NAMES + 1);
        assert_eq!(groups[OTHERS]["forward -> reject"], 5);
    }
}
