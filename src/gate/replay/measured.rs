//! Measures under another profile (R25): what the journal has goes to the counts, and what holds comes back.
//!
//! Owns the reading of records as verdicts, complaints and orders. What the gate did by itself then is passed over:
//! it is counted again. Only what it had in force before the counts begin is taken over, and told. Refuses to judge.
//! Driven by [`super::Replay`].

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Report;
use crate::gate::measures::{Again, FoundStep, MeasureStatus, Noted, Standing, Taken, Way, Whose};
use crate::gate::record::{self, Content, Record};
use crate::register::{Provider, Register};
use crate::rules::r25_measures::{Kind, Reach, Step, fingerprint_of};
use crate::rules::{Class, Facts, Mode, Profile, Rule, Verdict};

/// Measures from before that are told.
const MOST_BEFORE: usize = 1000;

/// One step of a measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MeasureStep {
    /// When.
    pub at: Timestamp,
    /// `provider`, `sender` or `port`.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// `alert`, `slow` or `suspend`; `resume` where it ends.
    pub step: String,
    /// Why.
    pub reason: String,
}

/// What is counted again.
pub(super) struct Measured<'r> {
    profile: &'r Profile,
    again: Again<'r>,
    /// What was in force last, by the steps of before the counts.
    before: BTreeMap<(Kind, String), FoundStep>,
    /// Whom the journal has steps against.
    known: HashSet<(Kind, String)>,
    /// From when on records count, UTC milliseconds.
    from_ms: i64,
    /// From when on messages are judged, and the last moment met.
    judged_ms: i64,
    last_ms: i64,
}

impl<'r> Measured<'r> {
    pub(super) fn new(profile: &'r Profile, base: Instant) -> Self {
        let again = Again::new(&profile.measures, base);
        let (before, known) = (BTreeMap::new(), HashSet::new());
        Self { profile, again, before, known, from_ms: i64::MIN, judged_ms: i64::MIN, last_ms: i64::MIN }
    }

    /// From when on records count for messages from this moment on; from there alone where the profile has no
    /// threshold.
    pub(super) fn counts_from(&mut self, at: Timestamp) -> Timestamp {
        let back = self.profile.measures.reaches_back();
        let back = SignedDuration::try_from(back).unwrap_or(SignedDuration::MAX);
        let from = at.saturating_sub(back).unwrap_or(Timestamp::MIN);
        (self.from_ms, self.judged_ms) = (from.as_millisecond(), at.as_millisecond());
        from
    }

    /// A step that the journal has, in its order.
    pub(super) fn stood(&mut self, step: FoundStep) {
        let Some(kind) = Kind::from_name(&step.kind) else { return };
        let name = (kind, step.name.clone());
        self.known.insert(name.clone());
        if step.at.as_millisecond() >= self.from_ms {
            return;
        }
        if step.step == "resume" {
            self.before.remove(&name);
        } else {
            self.before.insert(name, step);
        }
    }

    /// What holds today, once all steps are told: it is older than the journal where that has none.
    pub(super) fn stands(&mut self, now: MeasureStatus) {
        let MeasureStatus { kind, name, step, reach, reason, by, since, .. } = now;
        if self.known.contains(&(kind, name.clone())) {
            return;
        }
        let (everything, step) = (reach == Reach::Everything, step.name().to_owned());
        let word = kind.name().to_owned();
        let step =
            FoundStep { id: String::new(), at: since, kind: word, name: name.clone(), step, everything, reason, by };
        self.before.insert((kind, name), step);
    }

    /// What holds when the counts begin. What the gate took by itself came of counts that are not known; without
    /// thresholds it would not have.
    pub(super) fn begin(&mut self, register: &Register, report: &mut Report) {
        for ((kind, name), step) in std::mem::take(&mut self.before) {
            let (Some(how_far), is_own) = (Step::from_name(&step.step), step.by != "operator") else { continue };
            if is_own && !self.profile.measures.is_on() {
                continue;
            }
            let calm = i64::try_from(self.profile.measures.calm_after.as_millis()).unwrap_or(i64::MAX);
            let standing = Standing {
                step: how_far,
                reach: reach(step.everything),
                reason: step.reason.clone(),
                by: step.by,
                since_ms: step.at.as_millisecond(),
                until_ms: (how_far != Step::Suspend).then(|| self.from_ms.saturating_add(calm)),
            };
            self.again.stands(kind, own_name(register, kind, &name), standing);
            if is_own && report.measures_before.len() < MOST_BEFORE {
                let FoundStep { at, step, reason, .. } = step;
                report.measures_before.push(MeasureStep { at, kind, name, step, reason });
            }
        }
    }

    /// Counts a message from before the first that is judged, as its record says.
    pub(super) fn note_recorded(&mut self, sent: &record::Submission<'_>, register: &Register, report: &mut Report) {
        let Some(class) = Class::ALL.into_iter().find(|class| class.name() == sent.class) else { return };
        let Some(provider) = register.provider(&sent.origin.provider) else { return };
        let port_class = sent.port.as_ref().and_then(|(_, word)| Class::ALL.into_iter().find(|c| c.name() == word));
        let port_class = port_class.unwrap_or(Class::Commercial);
        let is_sent = sent.verdict == "forward";
        let failed = |finding: &record::Finding<'_>| finding.effect == "failed" && finding.rule != Rule::R25.id();
        let whose = Whose {
            provider: &sent.origin.provider,
            sender: sent.sender.as_deref().map(|id| own_name(register, Kind::Sender, id)),
            port: sent.port.as_ref().map(|(number, _)| number.as_ref()),
        };
        let Some(way) = self.meet(whose, provider, port_class, sent.received_ms, report) else { return };
        let is_sampled = way.trail.samples(self.again.settings());
        if !is_sent && !sent.findings.iter().any(failed) {
            return;
        }
        let marketing = class == Class::Commercial && !port_class.is_sheltered();
        let text = match &sent.content {
            Content::Text(text) if is_sampled && marketing && is_sent => Some(fingerprint_of(text)),
            _ => None,
        };
        let noted = Noted { marketing, sent: is_sent, fingerprint: text.as_ref() };
        self.again.note(&way, noted, sent.received_ms);
    }

    /// Who is counted for a message that is judged; what holds, where that is `counted` again, and whether its text
    /// is compared become facts.
    pub(super) fn tell(
        &mut self,
        facts: &mut Facts<'_>,
        at_ms: i64,
        counted: bool,
        report: &mut Report,
    ) -> Option<Arc<Way>> {
        let identity = &facts.identity;
        let whose = Whose {
            provider: &identity.provider.system_id,
            sender: identity.sender.map(|sender| sender.id.as_str()),
            port: identity.port.map(|port| port.number.as_str()),
        };
        let port_class = identity.port_class();
        let way = self.meet(whose, identity.provider, port_class, at_ms, report)?;
        let now = self.again.instant(at_ms);
        if counted {
            facts.measure = way.trail.in_force(self.again.settings(), port_class, now);
        }
        facts.sampled = way.trail.samples(self.again.settings());
        Some(way)
    }

    /// Counts the verdict of a message that was met.
    pub(super) fn note(&mut self, way: &Way, port_class: Class, verdict: &Verdict, at_ms: i64) {
        let now = self.again.instant(at_ms);
        way.trail.spend(self.again.settings(), port_class, verdict, now);
        way.trail.note(self.again.settings(), port_class, verdict, at_ms);
    }

    fn meet(
        &mut self,
        whose: Whose<'_>,
        provider: &Provider,
        port_class: Class,
        at_ms: i64,
        report: &mut Report,
    ) -> Option<Arc<Way>> {
        if at_ms < self.from_ms || self.profile.mode(Rule::R25, port_class, provider) == Mode::Off {
            return None;
        }
        report.measures_since.get_or_insert(Timestamp::from_millisecond(at_ms).unwrap_or_default());
        self.last_ms = self.last_ms.max(at_ms);
        let way = self.again.meet(whose, at_ms);
        report.unmeasured += u64::from(way.is_none());
        way
    }

    /// What an operator ordered, and what somebody complained of.
    pub(super) fn hear(&mut self, record: &Record<'_>, register: &Register) {
        match record {
            Record::Measure(measure) if measure.by == "operator" && measure.at_ms >= self.from_ms => {
                let Some(kind) = Kind::from_name(&measure.kind) else { return };
                let standing = Step::from_name(&measure.step).map(|step| Standing {
                    step,
                    reach: reach(measure.everything),
                    reason: measure.reason.to_string(),
                    by: measure.by.to_string(),
                    since_ms: measure.at_ms,
                    until_ms: measure.until_ms,
                });
                self.again.obey(kind, own_name(register, kind, &measure.name), standing, measure.at_ms);
            }
            Record::Complaint(complaint) if complaint.repeats.is_none() && complaint.at_ms >= self.from_ms => {
                for (kind, name) in &complaint.against {
                    if let Some(kind) = Kind::from_name(kind) {
                        self.again.complain(kind, own_name(register, kind, name), complaint.at_ms);
                    }
                }
            }
            _ => {}
        }
    }

    /// The steps that the profile takes while messages are judged.
    pub(super) fn finish(&mut self, report: &mut Report) {
        self.again.finish(self.last_ms);
        let (steps, count) = self.again.steps(self.judged_ms);
        report.measure_steps = count;
        report.measures = steps.into_iter().map(MeasureStep::from).collect();
    }
}

impl From<Taken> for MeasureStep {
    fn from(Taken { at_ms, kind, name, step, reason }: Taken) -> Self {
        let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
        Self { at, kind, name: name.to_string(), step: step.map_or("resume", Step::name).to_owned(), reason }
    }
}

/// A sender may have had another id then.
fn own_name<'n>(register: &'n Register, kind: Kind, name: &'n str) -> &'n str {
    match kind {
        Kind::Sender => register.sender(name).map_or(name, |known| &known.id),
        Kind::Provider | Kind::Port => name,
    }
}

const fn reach(everything: bool) -> Reach {
    if everything { Reach::Everything } else { Reach::Marketing }
}
