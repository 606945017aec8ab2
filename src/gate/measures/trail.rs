//! Who is counted for a message: its provider, its sender, its port.
//!
//! Owns a session's short memory of them, so that no message waits for the table all share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::subject::Noted;
use super::{Measures, Subject};
use crate::rules::r25_measures::{Kind, Measure, Reach, Settings};
use crate::rules::{Class, Decision, Effect, Finding, Identity, Rule, Verdict};

/// Ports a session remembers.
const REMEMBERED: usize = 64;

/// The three that a message is counted for; of an unknown port only the provider.
#[derive(Debug)]
pub(in crate::gate) struct Trail {
    sender: Option<String>,
    subjects: Vec<Arc<Subject>>,
    messages: AtomicU64,
}

/// A session's trails by their port's number.
#[derive(Debug, Default)]
pub(in crate::gate) struct Trails(HashMap<String, Arc<Trail>>);

impl Trails {
    /// The trail of a message.
    pub(in crate::gate) fn of(&mut self, measures: &Measures, identity: &Identity<'_>) -> Arc<Trail> {
        let port = identity.port.map_or("", |port| port.number.as_str());
        let sender = identity.port.and(identity.sender).map(|sender| sender.id.as_str());
        if let Some(trail) = self.0.get(port)
            && trail.sender.as_deref() == sender
        {
            return Arc::clone(trail);
        }
        let mut subjects = vec![measures.subject(Kind::Provider, &identity.provider.system_id)];
        subjects.extend(sender.map(|id| measures.subject(Kind::Sender, id)));
        subjects.extend(identity.port.map(|port| measures.subject(Kind::Port, &port.number)));
        let trail = Arc::new(Trail { sender: sender.map(str::to_owned), subjects, messages: AtomicU64::new(0) });
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        self.0.insert(port.to_owned(), Arc::clone(&trail));
        trail
    }
}

impl Trail {
    /// One of these.
    pub(super) fn over(subjects: Vec<Arc<Subject>>) -> Self {
        Self { sender: None, subjects, messages: AtomicU64::new(0) }
    }

    /// The hardest measure that speaks of a message on a port of this class.
    pub(in crate::gate) fn in_force(&self, settings: &Settings, port_class: Class, now: Instant) -> Option<Measure> {
        // Of two suspensions, the one that stops service messages too.
        let rank = |measure: &Option<Measure>| measure.as_ref().map(|m| (m.step, m.reach == Reach::Everything));
        let mut hardest: Option<Measure> = None;
        for subject in &self.subjects {
            let measure = subject.in_force(port_class.is_sheltered(), settings, now);
            if rank(&measure) > rank(&hardest) {
                hardest = measure;
            }
        }
        hardest
    }

    /// A marketing message passes: each that slows it down gives of its rate.
    pub(in crate::gate) fn spend(&self, settings: &Settings, port_class: Class, verdict: &Verdict, now: Instant) {
        let marketing = verdict.class == Class::Commercial && !port_class.is_sheltered();
        if marketing && verdict.decision == Decision::Forward {
            self.subjects.iter().for_each(|subject| subject.spend(settings, now));
        }
    }

    /// Whether the text of the message at hand is to be compared with others.
    pub(in crate::gate) fn samples(&self, settings: &Settings) -> bool {
        let each = settings.bursts.sampling();
        each.is_some_and(|each| self.messages.fetch_add(1, Ordering::Relaxed).is_multiple_of(each))
    }

    /// Counts a verdict; what only a measure stopped, and what must wait, does not count.
    pub(in crate::gate) fn note(&self, settings: &Settings, port_class: Class, verdict: &Verdict, now_ms: i64) {
        let sent = verdict.decision == Decision::Forward;
        let failed = |found: &Finding| found.effect == Effect::Failed && found.rule != Rule::R25;
        if !sent && !verdict.findings.iter().any(failed) {
            return;
        }
        let marketing = verdict.class == Class::Commercial && !port_class.is_sheltered();
        let noted = Noted { marketing, sent, fingerprint: verdict.fingerprint.as_ref() };
        for subject in &self.subjects {
            subject.note(noted, settings, now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Standing, file::Files};
    use super::*;
    use crate::clock;
    use crate::rules::r25_measures::{Settings, Step};

    fn measures() -> Measures {
        Measures {
            settings: Settings::default(),
            subjects: Default::default(),
            taking: Default::default(),
            kept: Default::default(),
            keeping: Default::default(),
            files: Files::new(std::path::Path::new("none")),
            taken: Default::default(),
            reviews: AtomicU64::new(0),
        }
    }

    fn trail(measures: &Measures, in_force: &[(Kind, Step, Reach)]) -> Trail {
        let subject = |&(kind, step, reach): &(Kind, Step, Reach)| {
            let subject = measures.subject(kind, "herald");
            let (reason, by) = ("ticket 1".into(), "operator".into());
            subject.set(Some(Standing { step, reach, reason, by, since_ms: 0, until_ms: None }));
            subject
        };
        Trail { sender: None, subjects: in_force.iter().map(subject).collect(), messages: AtomicU64::new(0) }
    }

    #[test]
    fn of_two_suspensions_the_one_that_stops_everything_speaks() {
        let measures = measures();
        let some = (Kind::Provider, Step::Suspend, Reach::Marketing);
        let all = (Kind::Port, Step::Suspend, Reach::Everything);
        let slow = (Kind::Sender, Step::Slow, Reach::Marketing);
        for order in [[some, all, slow], [all, slow, some], [slow, some, all]] {
            let trail = trail(&measures, &order);
            let speaks =
                trail.in_force(&measures.settings, Class::Commercial, clock::monotonic()).expect("a suspension");
            assert_eq!((speaks.kind, speaks.reach), (Kind::Port, Reach::Everything));
        }
    }

    #[test]
    fn to_be_asked_about_spends_nothing_of_a_slow_down() {
        let measures = measures();
        let trail = trail(&measures, &[(Kind::Provider, Step::Slow, Reach::Marketing)]);
        let now = clock::monotonic();
        let rate = measures.settings.slow_rate;
        for _ in 0..=rate {
            assert_eq!(trail.in_force(&measures.settings, Class::Commercial, now), None);
        }
        (0..rate).for_each(|_| trail.subjects[0].spend(&measures.settings, now));
        let speaks = trail.in_force(&measures.settings, Class::Commercial, now).expect("a slow-down");
        assert_eq!(speaks.step, Step::Slow);
    }
}
