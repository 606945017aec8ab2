//! R25 measures (Art 23, 40): who causes complaints, rejects or floods of new text is slowed down and suspended.
//!
//! Owns what a measure does to a message, and when one is due by what was counted. Refuses to
//! count and to remember: the gate does, and tells what is in force as a fact. A measure stops
//! marketing only; service and public messages (R13) where an operator has said so in words.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use portcullis_protocol::CommandStatus;
use serde::{Deserialize, Serialize};

use super::Code;
use super::case::Case;
use super::rule::About;
use super::verdict::Flaw;

mod settings;
mod texts;
mod window;

pub use settings::{Settings, Thresholds};
pub use texts::{Fingerprint, Texts};
pub use window::Window;

pub(super) const ABOUT: About = About {
    name: "measures",
    article: "Art 23, 40",
    sentence: "Complaints, rejects and bursts slow down and suspend who causes them.",
};

/// What a suspension answers.
pub const SUSPENDED: Code = Code::Own(0xE);

/// What slowing down answers.
pub const SLOWED: Code = Code::Fixed(CommandStatus::ESME_RTHROTTLED);

/// Whom a measure is taken against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A provider, by its `system_id`.
    Provider,
    /// A sender, by its id.
    Sender,
    /// A port, by its number in the register.
    Port,
}

impl Kind {
    /// The words of the command line, each with its kind.
    pub const WORDS: [(&'static str, Self); 3] =
        [("provider", Self::Provider), ("sender", Self::Sender), ("port", Self::Port)];

    /// The word for this kind.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Sender => "sender",
            Self::Port => "port",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::WORDS.into_iter().find(|(word, _)| *word == name).map(|(_, kind)| kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How far a measure goes; ordered from mild to hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// An operator is told.
    Alert,
    /// No more than the reduced rate passes.
    Slow,
    /// Nothing passes, until somebody resumes it.
    Suspend,
}

impl Step {
    /// Every step, mild to hard.
    pub const ALL: [Self; 3] = [Self::Alert, Self::Slow, Self::Suspend];

    /// The word for this step.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Slow => "slow",
            Self::Suspend => "suspend",
        }
    }

    /// The step with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }

    /// The one before it, if any.
    const fn before(self) -> Option<Self> {
        match self {
            Self::Alert => None,
            Self::Slow => Some(Self::Alert),
            Self::Suspend => Some(Self::Slow),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which messages a measure touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Commercial messages: whatever the gate finds out by itself is about those.
    #[default]
    Marketing,
    /// Every message, one-time passwords and warnings included: an operator says so in words.
    Everything,
}

/// A measure that speaks of the message at hand: a suspension, or a slow-down whose rate is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Whom it was taken against.
    pub kind: Kind,
    /// Its name.
    pub name: Arc<str>,
    /// How far it goes.
    pub step: Step,
    /// What it touches.
    pub reach: Reach,
    /// Why it was taken.
    pub reason: Arc<str>,
}

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    let measure = case.facts.measure.as_ref()?;
    if measure.reach == Reach::Marketing && !case.is_marketing() {
        return None;
    }
    let Measure { kind, name, reason, .. } = measure;
    match measure.step {
        Step::Alert => None,
        Step::Slow => {
            let rate = case.profile.measures.slow_rate;
            let why = format!("{kind} {name} is slowed down to {rate} messages a second: {reason}");
            Some(Flaw::hold(SLOWED, why))
        }
        Step::Suspend => Some(Flaw::reject(SUSPENDED, format!("{kind} {name} is suspended: {reason}"))),
    }
}

/// What tells near-duplicates of a marketing text that passes; none where nobody compares them.
pub(super) fn fingerprint(case: &Case<'_>) -> Option<Fingerprint> {
    let compared = case.facts.sampled && case.is_marketing() && case.text().is_some();
    compared.then(|| Fingerprint::of(case.folded()))
}

/// The same of a recorded text.
pub fn fingerprint_of(text: &str) -> Fingerprint {
    Fingerprint::of(&super::fold::fold(text))
}

/// What was counted of one provider, sender or port, each within its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Marketing messages judged, and those of them refused for good.
    pub judged: u64,
    /// See `judged`.
    pub rejected: u64,
    /// Messages sent on, and complaints about such.
    pub sent: u64,
    /// See `sent`.
    pub complaints: u64,
    /// The most messages that one new text made.
    pub burst: u64,
}

/// The hardest step that the counts ask for, and why.
pub fn due(settings: &Settings, counts: &Counts) -> Option<(Step, Cow<'static, str>)> {
    let Counts { judged, rejected, sent, complaints, burst } = *counts;
    let rejects = settings.rejects.rate_step(rejected, judged, judged);
    // A complaint may be about a message of before the counting.
    let sent = sent.max(complaints);
    let complained = settings.complaints.rate_step(complaints, sent, complaints);
    let flood = settings.bursts.count_step(burst);
    let [one, two, three] = [
        rejects.map(|step| (step, format!("{rejected} of {judged} messages rejected within {:#}", settings.rejects))),
        complained.map(|step| {
            (step, format!("{complaints} complaints about {sent} messages within {:#}", settings.complaints))
        }),
        flood.map(|step| (step, format!("{burst} messages of one new text within {:#}", settings.bursts))),
    ];
    let hardest =
        [one, two, three].into_iter().flatten().reduce(|hard, other| if other.0 > hard.0 { other } else { hard });
    hardest.map(|(step, why)| (step, why.into()))
}

/// The step to take now: measures are taken one after the other, so that each has its record.
pub fn next(current: Option<Step>, due: Option<Step>) -> Option<Step> {
    let mut step = due.filter(|due| current.is_none_or(|current| *due > current))?;
    while let Some(before) = step.before().filter(|before| current.is_none_or(|current| *before > current)) {
        step = before;
    }
    Some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_taken_one_after_the_other_and_never_back() {
        let steps = [None, Some(Step::Alert), Some(Step::Slow), Some(Step::Suspend)];
        for (have, current) in steps.into_iter().enumerate() {
            for (want, due) in steps.into_iter().enumerate() {
                let expected = if want > have { steps[have + 1] } else { None };
                assert_eq!(next(current, due), expected, "{current:?} {due:?}");
            }
        }
    }

    #[test]
    fn the_hardest_cause_counts_and_says_its_figures() {
        let settings = Settings::parse(
            "[measures]\nrejects = { window = \"10m\", minimum = 100, alert = \"20%\", suspend = \"80%\" }\n\
             complaints = { window = \"24h\", minimum = 3, alert = \"0.1%\", slow = \"1%\" }\n\
             bursts = { window = \"10m\", alert = 500 }\n",
        );
        let counts = Counts::default();
        assert_eq!(due(&settings, &counts), None);
        assert_eq!(due(&settings, &Counts { judged: 99, rejected: 99, ..counts }), None, "1 of 1 is no rate");
        assert_eq!(due(&settings, &Counts { judged: 100, rejected: 19, ..counts }), None);
        let said = |counts: &Counts| due(&settings, counts).map(|(step, why)| (step, why.into_owned()));
        let alert = "20 of 100 messages rejected within 10m".to_owned();
        assert_eq!(said(&Counts { judged: 100, rejected: 20, ..counts }), Some((Step::Alert, alert)));
        let slow = Counts { judged: 100, rejected: 79, sent: 300, complaints: 3, burst: 600 };
        assert_eq!(said(&slow), Some((Step::Slow, "3 complaints about 300 messages within 1d".to_owned())));
        assert_eq!(said(&Counts { rejected: 80, ..slow }).map(|(step, _)| step), Some(Step::Suspend));
        assert_eq!(said(&Counts { complaints: 2, sent: 2, ..counts }), None, "too few to be a rate");
        let burst = Counts { burst: 500, ..counts };
        assert_eq!(said(&burst), Some((Step::Alert, "500 messages of one new text within 10m".to_owned())));
    }
}
