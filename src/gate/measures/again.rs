//! Measures counted again (R25): which steps other thresholds would have taken, and when.
//!
//! Owns a second set of those who are counted, driven by the moments of records: verdicts, complaints and what
//! operators ordered. Each is looked at once a second, as a running gate does. Refuses to read the journal, a clock,
//! and what the gate did by itself then. Keeps no more than its bounds. Driven by [`crate::gate::replay`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::subject::Noted;
use super::{Name, Standing, Subject, Trail};
use crate::rules::r25_measures::{Kind, Settings, Step};

/// Those who are counted; a register has fewer.
const MOST_SUBJECTS: usize = 20_000;
/// Ways of messages that are remembered: beyond, they are found anew.
const MOST_PATHS: usize = 50_000;
/// Steps that are told.
const MOST_STEPS: usize = 1000;
/// How often one is looked at over a long silence: each second at its beginning, when steps follow each other, and
/// then in so many parts.
const FIRST_LOOKS: i64 = 60;
const LOOKS: i64 = 2000;

/// What is counted again.
pub(in crate::gate) struct Again<'p> {
    settings: &'p Settings,
    by_name: HashMap<Name, usize>,
    subjects: Vec<Watched>,
    paths: HashMap<Way, Arc<Path>>,
    /// A moment on the clock of rates, and the same in UTC milliseconds.
    base: (Instant, Option<i64>),
    steps: Vec<Taken>,
    step_count: u64,
}

/// Provider, port and sender of a message; nothing where not known.
#[derive(Clone, Copy, Debug)]
pub(in crate::gate) struct Whose<'m> {
    pub(in crate::gate) provider: &'m str,
    pub(in crate::gate) sender: Option<&'m str>,
    pub(in crate::gate) port: Option<&'m str>,
}

type Way = [String; 3];

/// Who is counted for a message.
pub(in crate::gate) struct Path {
    pub(in crate::gate) trail: Trail,
    places: Vec<usize>,
}

struct Watched {
    subject: Arc<Subject>,
    /// The second until which it was looked at.
    seen_s: Option<i64>,
}

/// A step that would have been taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gate) struct Taken {
    pub(in crate::gate) at_ms: i64,
    pub(in crate::gate) kind: Kind,
    pub(in crate::gate) name: Arc<str>,
    /// `None` ends it.
    pub(in crate::gate) step: Option<Step>,
    pub(in crate::gate) reason: String,
}

impl<'p> Again<'p> {
    /// Nothing counted; rates are told by a clock that begins anywhere.
    pub(in crate::gate) fn new(settings: &'p Settings, base: Instant) -> Self {
        let (by_name, subjects, paths) = (HashMap::new(), Vec::new(), HashMap::new());
        Self { settings, by_name, subjects, paths, base: (base, None), steps: Vec::new(), step_count: 0 }
    }

    pub(in crate::gate) const fn settings(&self) -> &'p Settings {
        self.settings
    }

    /// Those who are counted for a message of this moment, everything taken that is due by then; none where there
    /// is no room for another.
    pub(in crate::gate) fn meet(&mut self, whose: Whose<'_>, at_ms: i64) -> Option<Arc<Path>> {
        let path = self.path(whose)?;
        path.places.iter().for_each(|&place| self.look_until(place, at_ms));
        Some(path)
    }

    fn path(&mut self, whose: Whose<'_>) -> Option<Arc<Path>> {
        // A port that is not known has no sender that counts.
        let sender = whose.port.and(whose.sender);
        let way = [whose.provider, whose.port.unwrap_or_default(), sender.unwrap_or_default()].map(str::to_owned);
        if let Some(path) = self.paths.get(&way) {
            return Some(Arc::clone(path));
        }
        let names = [(Kind::Provider, Some(whose.provider)), (Kind::Sender, sender), (Kind::Port, whose.port)];
        let named = names.into_iter().filter_map(|(kind, name)| Some((kind, name?)));
        let places = named.map(|(kind, name)| self.place(kind, name)).collect::<Option<Vec<_>>>()?;
        let subjects = places.iter().map(|&place| Arc::clone(&self.subjects[place].subject)).collect();
        let path = Arc::new(Path { trail: Trail::over(subjects), places });
        if self.paths.len() >= MOST_PATHS {
            self.paths.clear();
        }
        self.paths.insert(way, Arc::clone(&path));
        Some(path)
    }

    fn place(&mut self, kind: Kind, name: &str) -> Option<usize> {
        let name: Arc<str> = name.into();
        let key = (kind, Arc::clone(&name));
        if let Some(&place) = self.by_name.get(&key) {
            return Some(place);
        }
        if self.subjects.len() >= MOST_SUBJECTS {
            return None;
        }
        let subject = Arc::new(Subject::new(kind, name, self.settings));
        self.subjects.push(Watched { subject, seen_s: None });
        self.by_name.insert(key, self.subjects.len() - 1);
        Some(self.subjects.len() - 1)
    }

    /// The moment on the clock of rates.
    pub(in crate::gate) fn instant(&mut self, at_ms: i64) -> Instant {
        let (base, base_ms) = &mut self.base;
        let passed = at_ms.saturating_sub(*base_ms.get_or_insert(at_ms));
        *base + Duration::from_millis(u64::try_from(passed).unwrap_or_default())
    }

    /// A measure holds from before: one of an operator, or what came of counts that are not known.
    pub(in crate::gate) fn stands(&mut self, kind: Kind, name: &str, standing: Standing) {
        if let Some(place) = self.place(kind, name) {
            self.subjects[place].subject.set(Some(standing));
        }
    }

    /// An operator suspends or resumes; who resumes knows what led to it.
    pub(in crate::gate) fn obey(&mut self, kind: Kind, name: &str, standing: Option<Standing>, at_ms: i64) {
        let Some(place) = self.place(kind, name) else { return };
        self.look_until(place, at_ms);
        let subject = &self.subjects[place].subject;
        if standing.is_none() {
            subject.forget(self.settings);
        }
        subject.set(standing);
    }

    /// Somebody complains of who sent a message.
    pub(in crate::gate) fn complain(&mut self, kind: Kind, name: &str, at_ms: i64) {
        if let Some(place) = self.place(kind, name) {
            self.look_until(place, at_ms);
            self.subjects[place].subject.complain(at_ms);
        }
    }

    /// Counts a verdict that was recorded.
    pub(in crate::gate) fn note(&self, path: &Path, noted: Noted<'_>, at_ms: i64) {
        path.places.iter().for_each(|&place| self.subjects[place].subject.note(noted, self.settings, at_ms));
    }

    /// Takes what is due until this moment of all.
    pub(in crate::gate) fn finish(&mut self, at_ms: i64) {
        (0..self.subjects.len()).for_each(|place| self.look_until(place, at_ms));
    }

    /// The steps taken from this moment on, oldest first, and how many there were in all.
    pub(in crate::gate) fn steps(&self, since_ms: i64) -> (Vec<Taken>, u64) {
        let mut steps: Vec<Taken> = self.steps.iter().filter(|step| step.at_ms >= since_ms).cloned().collect();
        steps.sort_by(|one, other| (one.at_ms, one.kind, &one.name).cmp(&(other.at_ms, other.kind, &other.name)));
        (steps, self.step_count)
    }

    /// Looks at one at the end of each second until this moment. Nobody depends on another, so that it is enough to
    /// look when something happens to it.
    fn look_until(&mut self, place: usize, at_ms: i64) {
        let until_s = at_ms.div_euclid(1000);
        let Watched { subject, seen_s } = &mut self.subjects[place];
        let from = seen_s.unwrap_or(until_s);
        let (mut seen, step) = (from, ((until_s - from) / LOOKS).max(1));
        while seen < until_s && !subject.is_settled() {
            seen = (seen + if seen - from < FIRST_LOOKS { 1 } else { step }).min(until_s);
            let now_ms = seen * 1000;
            let Some(change) = subject.review(self.settings, now_ms) else { continue };
            subject.set(change.standing(now_ms));
            self.step_count += 1;
            if self.steps.len() < MOST_STEPS {
                let (kind, name) = (change.kind, Arc::clone(&change.name));
                self.steps.push(Taken { at_ms: now_ms, kind, name, step: change.step, reason: change.reason });
            }
        }
        *seen_s = Some(until_s.max(seen));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::rules::Profile;
    use crate::rules::r25_measures::Reach;

    const WHOSE: Whose<'_> = Whose { provider: "herald", sender: Some("bakery"), port: Some("1069") };
    const DAY_MS: i64 = 86_400_000;

    fn profile(measures: &str) -> Profile {
        Profile::parse("p", std::path::Path::new("p.toml"), &format!("[measures]\n{measures}")).expect("a profile")
    }

    fn reject(again: &mut Again<'_>, at_ms: i64) {
        let path = again.meet(WHOSE, at_ms).expect("room");
        again.note(&path, Noted { marketing: true, sent: false, fingerprint: None }, at_ms);
    }

    fn told(again: &Again<'_>, kind: Kind) -> Vec<(i64, Option<Step>)> {
        let (steps, _) = again.steps(0);
        steps.into_iter().filter(|step| step.kind == kind).map(|step| (step.at_ms, step.step)).collect()
    }

    #[test]
    fn steps_follow_each_other_by_the_second_and_time_ends_them_in_a_silence() {
        let profile = profile(
            "rejects = { window = \"16s\", minimum = 2, alert = \"50%\", slow = \"60%\" }\ncalm_after = \"20s\"",
        );
        let mut again = Again::new(&profile.measures, clock::monotonic());
        reject(&mut again, 10_200);
        reject(&mut again, 10_400);
        again.finish(12_999);
        assert_eq!(told(&again, Kind::Port), [(11_000, Some(Step::Alert)), (12_000, Some(Step::Slow))]);
        again.finish(DAY_MS);
        // The second in which they were is out of the window 16 s later; 20 s after that it is over.
        assert_eq!(told(&again, Kind::Port)[2..], [(45_000, None)]);
        assert_eq!(told(&again, Kind::Provider), told(&again, Kind::Sender));
        assert_eq!(again.steps(40_000).1, 9, "all are counted, and those asked for told");
    }

    #[test]
    fn only_an_operator_ends_a_suspension_and_then_it_counts_anew() {
        let profile = profile("rejects = { window = \"1h\", minimum = 1, suspend = \"50%\" }");
        let mut again = Again::new(&profile.measures, clock::monotonic());
        reject(&mut again, 1000);
        let path = again.meet(WHOSE, 30 * DAY_MS).expect("room");
        let now = again.instant(30 * DAY_MS);
        let holds = |path: &Path| path.trail.in_force(&profile.measures, crate::rules::Class::Commercial, now);
        assert_eq!(holds(&path).map(|measure| (measure.step, measure.reach)), Some((Step::Suspend, Reach::Marketing)));
        for (kind, name) in [(Kind::Provider, "herald"), (Kind::Sender, "bakery"), (Kind::Port, "1069")] {
            again.obey(kind, name, None, 30 * DAY_MS);
        }
        again.finish(31 * DAY_MS);
        assert_eq!(holds(&path), None);
    }

    #[test]
    fn there_is_room_for_so_many() {
        let profile = profile("rejects = { minimum = 1, suspend = \"50%\" }");
        let mut again = Again::new(&profile.measures, clock::monotonic());
        let port = |n: usize| format!("1069{n}");
        for n in 0..MOST_SUBJECTS - 2 {
            assert!(again.meet(Whose { port: Some(&port(n)), ..WHOSE }, 0).is_some(), "{n}");
        }
        assert!(again.meet(Whose { port: Some("none"), ..WHOSE }, 0).is_none());
        assert!(again.meet(WHOSE, 0).is_none() && again.meet(Whose { port: Some(&port(7)), ..WHOSE }, 0).is_some());
    }
}
