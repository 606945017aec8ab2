//! The whole reasoning on one submission: what each rule came to, those that had nothing against it among them.
//!
//! Owns the words for rules that passed or do not speak of the message. Refuses to check anything:
//! the verdict and its findings are those of [`super::judge`], of one run. Driven by `explain`.

use std::borrow::Cow;

use super::case::Case;
use super::r20_template::kept;
use super::spans::{Label, Span, spans};
use super::verdict::{Effect, Verdict};
use super::{CHECKS, Class, Consent, Mode, Operation, Rule, r14_public_interest};

/// What judging one submission came to, with all of its reasoning.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The same as [`super::judge`] gives.
    pub verdict: Verdict,
    /// Why the message is of its class (R10).
    pub class: Cow<'static, str>,
    /// Every rule, in order.
    pub rules: Vec<RuleResult>,
    /// What was found in the text.
    pub spans: Vec<Span>,
}

/// One rule on one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleResult {
    /// The rule.
    pub rule: Rule,
    /// How strictly it is applied here.
    pub mode: Mode,
    /// What it came to.
    pub outcome: Outcome,
    /// Why, in a sentence.
    pub why: Cow<'static, str>,
}

/// What a rule came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It found something.
    Found(Effect),
    /// It looked and found nothing.
    Passed,
    /// It does not speak of this message.
    Silent,
    /// It is not applied.
    Off,
    /// It speaks at another moment, or of more than one message.
    Elsewhere,
}

impl Outcome {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Found(Effect::Failed) => "failed",
            Self::Found(Effect::Held) => "held",
            Self::Found(Effect::Alert) => "alert",
            Self::Found(Effect::Observed) => "observed",
            Self::Passed => "passed",
            Self::Silent => "does not apply",
            Self::Off => "off",
            Self::Elsewhere => "elsewhere",
        }
    }
}

pub(super) fn examination(case: Case<'_>) -> Examination {
    let spans = spans(&case);
    let rules = Rule::all().map(|rule| result(&case, rule, &spans)).collect();
    let class = class(&case);
    Examination { class, rules, spans, verdict: case.close() }
}

fn result(case: &Case<'_>, rule: Rule, spans: &[Span]) -> RuleResult {
    let mode = case.mode(rule);
    let (outcome, why) = match case.findings().iter().find(|finding| finding.rule == rule) {
        Some(finding) => (Outcome::Found(finding.effect), finding.why.clone()),
        None => without_finding(case, rule, mode, spans),
    };
    RuleResult { rule, mode, outcome, why }
}

fn without_finding(case: &Case<'_>, rule: Rule, mode: Mode, spans: &[Span]) -> (Outcome, Cow<'static, str>) {
    let port = case.port_class;
    match rule {
        Rule::R13 if port.is_sheltered() => {
            return (Outcome::Passed, format!("on a {port} port no marketing rule is asked").into());
        }
        Rule::R13 => return (Outcome::Silent, format!("a {port} port is not sheltered from marketing rules").into()),
        Rule::R14 if r14_public_interest::speaks_for(case) => {
            return (Outcome::Passed, "a public port of a government body: exempt".into());
        }
        Rule::R14 => return (Outcome::Silent, "not a public port of a government body".into()),
        Rule::R23 | Rule::R24 => return (Outcome::Elsewhere, "speaks of what subscribers reply".into()),
        Rule::R26 => return (Outcome::Elsewhere, "holds by the record itself".into()),
        _ => {}
    }
    if mode == Mode::Off {
        return (Outcome::Off, format!("off for {port} ports of this provider").into());
    }
    if rule == Rule::R10 {
        return (Outcome::Passed, class(case));
    }
    if rule == Rule::R22 && case.submission.operation != Operation::ReplaceSm {
        return (Outcome::Silent, "not a replacement".into());
    }
    if !CHECKS.iter().any(|(checked, _)| *checked == rule) {
        return (Outcome::Elsewhere, "nothing about a single message is checked by it".into());
    }
    if rule.is_marketing() && port.is_sheltered() {
        return (Outcome::Silent, format!("R13: a marketing rule is not asked on a {port} port").into());
    }
    if rule.is_marketing() && !case.is_marketing() {
        return (Outcome::Silent, format!("speaks of commercial messages; this one is {}", case.class).into());
    }
    if reads_text(rule) && case.text().is_none() {
        return (Outcome::Silent, "there is no text to look at: see R16".into());
    }
    passed(case, rule, spans)
}

const fn reads_text(rule: Rule) -> bool {
    matches!(rule, Rule::R05 | Rule::R06 | Rule::R07 | Rule::R08 | Rule::R12 | Rule::R15 | Rule::R20)
}

fn class(case: &Case<'_>) -> Cow<'static, str> {
    match &case.promotion {
        Some(promotion) => format!("commercial on a {} port: {promotion}", case.port_class).into(),
        None if case.facts.identity.port.is_none() => "commercial: an unknown port is taken for one".into(),
        None if case.port_class == Class::Commercial => "commercial: its port is".into(),
        None => format!("{} as its port is; nothing in it promotes", case.port_class).into(),
    }
}

/// The reason why a rule that looked has nothing against the message.
fn passed(case: &Case<'_>, rule: Rule, spans: &[Span]) -> (Outcome, Cow<'static, str>) {
    let identity = &case.facts.identity;
    let shown =
        |label| spans.iter().find(|span| span.label == label).map(|span| format!("{} ({})", span.text, span.note));
    let passed = |why: Option<String>, or: &'static str| (Outcome::Passed, why.map_or(Cow::Borrowed(or), Cow::Owned));
    match rule {
        Rule::R01 => passed(None, "it comes from a sending number of sane form"),
        Rule::R02 if case.found(Rule::R01) => (Outcome::Silent, "there is no number to own: see R01".into()),
        Rule::R02 => passed(
            identity.port.map(|port| {
                format!("port {} is registered, in use, and {}'s to use", port.number, identity.provider.system_id)
            }),
            "the source is the provider's to use",
        ),
        Rule::R03 if case.port_class == Class::Commercial => passed(None, "a commercial port may carry any message"),
        Rule::R03 => passed(None, "the message is what its port is registered for"),
        Rule::R04 => match identity.sender {
            Some(sender) => {
                let until = sender.filed_until.map(|last| format!(" until {last}")).unwrap_or_default();
                passed(Some(format!("sender {} is active and filed{until}", sender.id)), "")
            }
            None => (Outcome::Silent, "no sender is known: see R01, R02 and R05".into()),
        },
        Rule::R05 if case.class == Class::Personal => (Outcome::Silent, "personal messages need no name".into()),
        Rule::R05 => passed(shown(Label::Signature), "the name is there"),
        Rule::R06 => passed(shown(Label::Phone), "the profile does not ask for a phone"),
        Rule::R07 => passed(shown(Label::OptOut), "the way to refuse is told"),
        Rule::R08 => passed(None, "nothing is asked of who wants to refuse"),
        Rule::R09 => consent(case),
        Rule::R11 => passed(None, "no refusal is known"),
        Rule::R12 => passed(None, "it does not ask for consent"),
        Rule::R15 => passed(None, "everything is written plainly"),
        Rule::R16 => passed(None, "the text can be read, and a subscriber keeps it"),
        Rule::R17 => passed(shown(Label::Contact), "no link and no contact id in it"),
        Rule::R18 if case.profile.quiet_hours.is_none() => passed(None, "the profile sets no hours"),
        Rule::R18 => passed(None, "it is delivered within the hours that the profile sets"),
        Rule::R19 => passed(None, "no more messages than the profile and the consent allow"),
        Rule::R20 if case.template.is_none() => (Outcome::Silent, "its sender has filed no templates".into()),
        Rule::R20 => passed(kept(case).map(|kept| format!("keeps to template {}", kept.id)), "keeps to a template"),
        Rule::R21 if case.submission.deliver_at.is_none() && case.submission.valid_until.is_none() => {
            (Outcome::Silent, "neither a schedule nor a validity is set".into())
        }
        Rule::R21 => passed(None, "schedule and validity are within bounds"),
        Rule::R22 => passed(None, "it replaces a message that the gate knows"),
        Rule::R25 => passed(None, "no measure in force speaks of it"),
        _ => passed(None, "nothing against it"),
    }
}

fn consent(case: &Case<'_>) -> (Outcome, Cow<'static, str>) {
    let says = |other: Rule| (Outcome::Silent, Cow::Owned(format!("{other} speaks in its place")));
    if case.found(Rule::R11) {
        return says(Rule::R11);
    }
    if case.found(Rule::R12) {
        return says(Rule::R12);
    }
    match case.facts.consent {
        Consent::Active => (Outcome::Passed, "the recipient agreed to this sender's messages".into()),
        _ if case.facts.vouched => {
            (Outcome::Passed, "only the carrier knows the recipients, and the provider may address them".into())
        }
        _ => (Outcome::Silent, "for whom it is sent is not known: see R01, R02, R04 and R05".into()),
    }
}
