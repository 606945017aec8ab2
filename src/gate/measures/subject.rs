//! One provider, sender or port: what was counted of it and what is in force against it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Standing;
use crate::gate::limits::Allowance;
use crate::register::Rate;
use crate::rules::r25_measures::{Counts, Fingerprint, Kind, Measure, Reach, Settings, Step, Texts, Window, due, next};

/// Counted by every session; asked before every verdict.
#[derive(Debug)]
pub(in crate::gate) struct Subject {
    kind: Kind,
    name: Arc<str>,
    /// Whether a measure may stop a message: nearly always not, and then nothing is locked for it.
    stops: AtomicBool,
    /// Whether anything was counted since it was last looked at.
    touched: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    counted: Counted,
    standing: Option<Standing>,
    allowance: Allowance,
}

/// What was counted; it survives a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counted {
    /// Marketing judged, and refused.
    rejects: Window,
    /// Sent on, and complained of.
    complaints: Window,
    texts: Texts,
}

/// A step to be taken: nothing yet has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) kind: Kind,
    pub(super) name: Arc<str>,
    /// `None` ends the measure in force.
    pub(super) step: Option<Step>,
    pub(super) reach: Reach,
    pub(super) reason: String,
    pub(super) by: &'static str,
    pub(super) until_ms: Option<i64>,
}

/// What a verdict counts as.
#[derive(Clone, Copy, Debug)]
pub(in crate::gate) struct Noted<'f> {
    pub(in crate::gate) marketing: bool,
    pub(in crate::gate) sent: bool,
    pub(in crate::gate) fingerprint: Option<&'f Fingerprint>,
}

impl Counted {
    fn new(settings: &Settings) -> Self {
        Self {
            rejects: Window::new(settings.rejects.window),
            complaints: Window::new(settings.complaints.window),
            texts: Texts::default(),
        }
    }

    /// Whether nothing within the windows is left.
    fn is_idle(&self, now_ms: i64) -> bool {
        self.rejects.sums(now_ms) == [0, 0] && self.complaints.sums(now_ms) == [0, 0] && self.texts.is_empty()
    }

    fn counts(&self, settings: &Settings, now_ms: i64) -> Counts {
        let ([judged, rejected], [sent, complaints]) = (self.rejects.sums(now_ms), self.complaints.sums(now_ms));
        let burst = self.texts.largest_burst(settings.bursts.window, settings.known_after, now_ms);
        Counts { judged, rejected, sent, complaints, burst }
    }
}

impl Subject {
    pub(super) fn new(kind: Kind, name: Arc<str>, settings: &Settings) -> Self {
        let state = State { counted: Counted::new(settings), standing: None, allowance: Allowance::default() };
        Self { kind, name, stops: AtomicBool::new(false), touched: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// The measure that speaks of a message now: of a slow-down, only once its rate is used up.
    pub(in crate::gate) fn in_force(&self, sheltered: bool, settings: &Settings, now: Instant) -> Option<Measure> {
        if !self.stops.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.lock();
        let State { standing, allowance, .. } = &mut *state;
        let standing = standing.as_ref().filter(|standing| !sheltered || standing.reach == Reach::Everything)?;
        // Asked alone: only what every other rule lets pass spends of it.
        if standing.step == Step::Slow && allowance.has(slow_rate(settings), now) {
            return None;
        }
        Some(Measure {
            kind: self.kind,
            name: Arc::clone(&self.name),
            step: standing.step,
            reach: standing.reach,
            reason: standing.reason.as_str().into(),
        })
    }

    /// A message passes that is slowed down.
    pub(super) fn spend(&self, settings: &Settings, now: Instant) {
        if !self.stops.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.lock();
        if state.standing.as_ref().is_some_and(|standing| standing.step == Step::Slow) {
            state.allowance.spend(slow_rate(settings), now);
        }
    }

    /// Counts a verdict.
    pub(in crate::gate) fn note(&self, noted: Noted<'_>, settings: &Settings, now_ms: i64) {
        self.touch();
        let mut state = self.lock();
        if noted.marketing {
            state.counted.rejects.add(now_ms, [1, u64::from(!noted.sent)]);
        }
        if noted.sent {
            state.counted.complaints.add(now_ms, [1, 0]);
        }
        if let Some(fingerprint) = noted.fingerprint {
            let each = settings.bursts.sampling().unwrap_or(1);
            state.counted.texts.note(fingerprint, each, settings.bursts.window, now_ms);
        }
    }

    /// Counts a complaint.
    pub(super) fn complain(&self, at_ms: i64) {
        self.touch();
        self.lock().counted.complaints.add(at_ms, [0, 1]);
    }

    /// Lets it be looked at anew.
    pub(super) fn touch(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    /// The step that is due now, if any.
    pub(super) fn review(&self, settings: &Settings, now_ms: i64) -> Option<Change> {
        let touched = self.touched.swap(false, Ordering::Relaxed);
        let mut state = self.lock();
        // A rate that rises because good messages grow old tells of nothing new.
        if !touched && state.standing.is_none() {
            return None;
        }
        let current = state.standing.as_ref().map(|standing| standing.step);
        if current == Some(Step::Suspend) {
            return None;
        }
        let due = due(settings, &state.counted.counts(settings, now_ms));
        let calm = i64::try_from(settings.calm_after.as_millis()).unwrap_or(i64::MAX);
        let until_ms = now_ms.saturating_add(calm);
        let change = |step: Option<Step>, reason: String| Change {
            kind: self.kind,
            name: Arc::clone(&self.name),
            step,
            reach: Reach::Marketing,
            reason,
            by: "gate",
            until_ms: step.filter(|step| *step != Step::Suspend).map(|_| until_ms),
        };
        if let (Some(step), Some((_, why))) = (next(current, due.as_ref().map(|(step, _)| *step)), &due) {
            return Some(change(Some(step), why.clone().into_owned()));
        }
        let standing = state.standing.as_mut()?;
        match due {
            // Its cause goes on, and so does it.
            Some((step, _)) if step >= standing.step => {
                standing.until_ms = Some(until_ms);
                None
            }
            _ if standing.until_ms.is_some_and(|until| now_ms < until) => None,
            Some((step, why)) => Some(change(Some(step), format!("milder again: {why}"))),
            None => Some(change(None, "its cause is over".into())),
        }
    }

    /// Whether looking at it changes nothing as long as nothing happens.
    pub(super) fn is_settled(&self) -> bool {
        let step = self.lock().standing.as_ref().map(|standing| standing.step);
        step == Some(Step::Suspend) || step.is_none() && !self.touched.load(Ordering::Relaxed)
    }

    /// What is in force.
    pub(super) fn standing(&self) -> Option<Standing> {
        self.lock().standing.clone()
    }

    /// Puts a measure in force, or none.
    pub(super) fn set(&self, standing: Option<Standing>) {
        let mut state = self.lock();
        let stops = standing.as_ref().is_some_and(|standing| standing.step != Step::Alert);
        if standing.as_ref().map(|standing| standing.step) != state.standing.as_ref().map(|standing| standing.step) {
            state.allowance = Allowance::default();
        }
        state.standing = standing;
        self.stops.store(stops, Ordering::Relaxed);
    }

    /// Counts from now on only.
    pub(super) fn forget(&self, settings: &Settings) {
        self.lock().counted = Counted::new(settings);
    }

    pub(super) fn counts(&self, settings: &Settings, now_ms: i64) -> Counts {
        self.lock().counted.counts(settings, now_ms)
    }

    /// What is to be kept of it; nothing where nothing was counted lately.
    pub(super) fn counted(&self, now_ms: i64) -> Option<Counted> {
        let state = self.lock();
        let counted = &state.counted;
        (!counted.is_idle(now_ms)).then(|| Counted { texts: counted.texts.latest(), ..counted.clone() })
    }

    /// Goes on counting where a process before left off; windows that were set anew begin anew.
    pub(super) fn count_on(&self, counted: Counted) {
        self.touch();
        let mut state = self.lock();
        let State { counted: own, .. } = &mut *state;
        if own.rejects.is_as_long_as(&counted.rejects) {
            own.rejects = counted.rejects;
        }
        if own.complaints.is_as_long_as(&counted.complaints) {
            own.complaints = counted.complaints;
        }
        own.texts = counted.texts;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slow_rate(settings: &Settings) -> Rate {
    Rate { messages_per_second: settings.slow_rate, burst: settings.slow_rate }
}
