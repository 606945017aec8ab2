//! What judging comes to: data, never an error.
//!
//! Owns the decision, the findings it rests on, and the permit without which nothing goes to
//! the carrier. Refuses to be built anywhere but here.

use std::borrow::Cow;
use std::fmt;

use portcullis_protocol::CommandStatus;

use super::r25_measures::Fingerprint;
use super::{Class, Code, Rule};

/// What becomes of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It goes to the carrier.
    Forward,
    /// It is refused for good.
    Reject,
    /// It is refused for now; the provider tries again.
    Hold,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward",
            Self::Reject => "reject",
            Self::Hold => "hold",
        })
    }
}

/// What a finding does to the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The rule failed and the message is refused.
    Failed,
    /// The rule failed and the message must wait.
    Held,
    /// Worth an operator's look; the message passes.
    Alert,
    /// The rule is only observed: it would have refused.
    Observed,
}

/// One rule that had something to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// What it does.
    pub effect: Effect,
    /// What it answers, or would answer.
    pub status: CommandStatus,
    /// The sentence an operator reads.
    pub why: Cow<'static, str>,
}

/// The outcome of judging one submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What becomes of the message.
    pub decision: Decision,
    /// What the message is.
    pub class: Class,
    /// Every rule that failed, alerted or would have failed, in order.
    pub findings: Vec<Finding>,
    /// The answer: that of the first rule that decided; `ESME_ROK` for a forward.
    pub status: CommandStatus,
    /// Tells near-duplicates of a marketing text that passes, where bursts are counted (R25).
    pub fingerprint: Option<Fingerprint>,
    permit: Option<Permit>,
}

impl Verdict {
    /// The leave to forward, where the decision is to.
    pub const fn permit(&self) -> Option<Permit> {
        self.permit
    }

    /// The rules that failed or alerted, in order; merely observed ones are not among them.
    pub fn rules(&self) -> impl Iterator<Item = Rule> {
        self.findings.iter().filter(|finding| finding.effect != Effect::Observed).map(|finding| finding.rule)
    }

    /// The same with further findings, of rules that look at more than this message: as they were recorded when it
    /// came. None is added of a rule that has spoken.
    #[must_use]
    pub fn with(self, recorded: impl IntoIterator<Item = Finding>) -> Self {
        let mut findings = self.findings;
        for finding in recorded {
            if !findings.iter().any(|known| known.rule == finding.rule) {
                findings.push(finding);
            }
        }
        findings.sort_by_key(|finding| finding.rule);
        Self::new(self.class, findings)
    }

    pub(super) fn new(class: Class, findings: Vec<Finding>) -> Self {
        let first = |effect| findings.iter().find(|finding: &&Finding| finding.effect == effect);
        let (decision, status) = match (first(Effect::Failed), first(Effect::Held)) {
            (Some(failed), _) => (Decision::Reject, failed.status),
            (None, Some(held)) => (Decision::Hold, held.status),
            (None, None) => (Decision::Forward, CommandStatus::ESME_ROK),
        };
        let permit = (decision == Decision::Forward).then_some(Permit(Ground::Judged));
        Self { decision, class, findings, status, fingerprint: None, permit }
    }
}

/// What a rule found, before its mode is applied and its code chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) severity: Severity,
    pub(super) code: Code,
    pub(super) why: Cow<'static, str>,
}

impl Flaw {
    /// A reason to refuse the message.
    pub(super) fn reject(code: Code, why: impl Into<Cow<'static, str>>) -> Self {
        Self { severity: Severity::Reject, code, why: why.into() }
    }

    /// A reason to let it wait.
    pub(super) fn hold(code: Code, why: impl Into<Cow<'static, str>>) -> Self {
        Self { severity: Severity::Hold, code, why: why.into() }
    }

    /// Worth an operator's look.
    pub(super) fn alert(code: Code, why: impl Into<Cow<'static, str>>) -> Self {
        Self { severity: Severity::Alert, code, why: why.into() }
    }
}

/// What a rule wants done where it is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Reject,
    Hold,
    Alert,
}

/// Leave to send a frame to the carrier; forwarding demands one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit(Ground);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    Judged,
    Unjudged(&'static str),
}

impl Permit {
    /// For what no rule speaks of (`query_sm`, `enquire_link`, …); the reason stands in the code, to be searched for.
    pub const fn unjudged(reason: &'static str) -> Self {
        Self(Ground::Unjudged(reason))
    }

    /// Why the frame went unjudged, where it did.
    pub const fn reason_unjudged(self) -> Option<&'static str> {
        match self.0 {
            Ground::Judged => None,
            Ground::Unjudged(reason) => Some(reason),
        }
    }
}
