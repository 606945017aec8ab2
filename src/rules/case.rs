//! A submission on the table: what several rules need to know, found out once.

use std::borrow::Cow;
use std::cell::OnceCell;

use jiff::Timestamp;
use portcullis_protocol::CommandStatus;

use super::fold::Look;
use super::hints::Hints;
use super::r07_opt_out::{Told, told};
use super::signature::{Signatures, signatures};
use super::submission::Submission;
use super::template::Outcome;
use super::{
    Class, Facts, Mode, Profile, Rule, Verdict, fold, numerals, r10_class, r16_opaque, r17_links, r20_template,
    r25_measures,
};
use crate::rules::verdict::{Effect, Finding, Flaw, Severity};

/// Everything a rule looks at.
pub(super) struct Case<'a> {
    pub(super) submission: &'a Submission<'a>,
    pub(super) facts: &'a Facts<'a>,
    pub(super) profile: &'a Profile,
    pub(super) now: Timestamp,
    /// The class of the port; an unknown one is treated as commercial.
    pub(super) port_class: Class,
    /// What the message is, and why where its text or the provider's word makes it commercial.
    pub(super) class: Class,
    pub(super) promotion: Option<Cow<'static, str>>,
    /// Why the whole text is not to be had, where it is not.
    pub(super) unreadable: Option<r16_opaque::Reason>,
    /// The first link or contact id that the sender has not registered, where R17 is on.
    pub(super) stray_link: Option<String>,
    /// How it stands to its sender's templates, where R20 is on and there are any.
    pub(super) template: Option<Outcome<'a, 'a>>,
    text: &'a str,
    folded: Cow<'a, str>,
    has_numerals: bool,
    spelt: OnceCell<Option<String>>,
    signatures: Signatures<'a>,
    hints: Hints,
    told: OnceCell<Told>,
    told_when_folded: OnceCell<Told>,
    findings: Vec<Finding>,
}

impl<'a> Case<'a> {
    pub(super) fn new(
        submission: &'a Submission<'a>,
        facts: &'a Facts<'a>,
        profile: &'a Profile,
        now: Timestamp,
    ) -> Self {
        let text = submission.content.readable().unwrap_or_default();
        let port_class = facts.identity.port.map_or(Class::Commercial, |port| port.class);
        let Look { folded, has_numerals } = fold::look(text);
        let mut case = Self {
            submission,
            facts,
            profile,
            now,
            port_class,
            class: port_class,
            promotion: None,
            unreadable: r16_opaque::unreadable(submission),
            stray_link: None,
            template: None,
            text,
            hints: Hints::of(&folded),
            folded,
            has_numerals,
            spelt: OnceCell::new(),
            signatures: signatures(text),
            told: OnceCell::new(),
            told_when_folded: OnceCell::new(),
            findings: Vec::new(),
        };
        if case.mode(Rule::R17) != Mode::Off {
            case.stray_link = r17_links::stray(&case);
        }
        if case.mode(Rule::R20) != Mode::Off {
            case.template = r20_template::outcome(&case);
        }
        if case.mode(Rule::R10) != Mode::Off {
            case.promotion = r10_class::promotion(&case);
        }
        case.observe_class();
        if case.promotion.is_some() {
            case.class = Class::Commercial;
        }
        case
    }

    /// The raw text of the whole message, where it is to be had.
    pub(super) fn text(&self) -> Option<&'a str> {
        self.unreadable.is_none().then_some(self.text)
    }

    /// The text as a reader takes it, of a part as well: what a part promotes, the whole promotes.
    pub(super) fn folded(&self) -> &str {
        &self.folded
    }

    /// Whether folding the text changed it.
    pub(super) const fn is_disguised(&self) -> bool {
        matches!(self.folded, Cow::Owned(_))
    }

    /// The same, with the digits of phones that are written as numerals.
    pub(super) fn readable(&self) -> &str {
        let spell = || if self.has_numerals { numerals::spelt(&self.folded) } else { None };
        self.spelt.get_or_init(spell).as_deref().unwrap_or(&self.folded)
    }

    /// Whether a reader may take anything for something else than what is written.
    pub(super) fn is_plain(&self) -> bool {
        std::ptr::eq(self.readable(), self.text)
    }

    /// Which closer looks are worth while.
    pub(super) const fn hints(&self) -> Hints {
        self.hints
    }

    /// How the raw text tells the way to refuse.
    pub(super) fn told(&self) -> &Told {
        self.told.get_or_init(|| self.tell(self.body()))
    }

    /// The raw text without a signature at its tail.
    pub(super) fn body(&self) -> &'a str {
        body(self.text, self.signatures)
    }

    /// How the text as a reader takes it does.
    pub(super) fn told_when_folded(&self) -> &Told {
        if self.is_disguised() {
            self.told_when_folded.get_or_init(|| self.tell(self.folded_body()))
        } else {
            self.told()
        }
    }

    /// The text as a reader takes it, without a signature at its tail.
    pub(super) fn folded_body(&self) -> &str {
        let signatures = if self.is_disguised() { signatures(&self.folded) } else { self.signatures };
        body(&self.folded, signatures)
    }

    fn tell(&self, body: &str) -> Told {
        told(body, &self.profile.opt_out, self.facts.identity.port)
    }

    pub(super) const fn signatures(&self) -> Signatures<'a> {
        self.signatures
    }

    /// Whether the obligations of commercial messages hold for it: no marketing rule ever
    /// speaks of what goes out on a service or public port (R13, R14).
    pub(super) fn is_marketing(&self) -> bool {
        self.class == Class::Commercial && !self.port_class.is_sheltered()
    }

    pub(super) fn mode(&self, rule: Rule) -> Mode {
        self.profile.mode(rule, self.port_class, self.facts.identity.provider)
    }

    /// Where the class is only observed it stays the port's, and what would have made it another is recorded.
    /// For a provider of whom everything is observed it is found all the same: nothing comes of it.
    fn observe_class(&mut self) {
        let provider = self.facts.identity.provider;
        if self.profile.mode_set(Rule::R10, self.port_class, Some(provider)) == Mode::Observe
            && let Some(why) = self.promotion.take()
        {
            let why = format!("it would count as commercial: {why}").into();
            let (effect, status) = (Effect::Observed, CommandStatus::ESME_ROK);
            self.findings.push(Finding { rule: Rule::R10, effect, status, why });
        }
    }

    /// Whether a link that R17 does not only observe leads elsewhere.
    pub(super) fn leads_astray(&self) -> Option<&String> {
        let provider = self.facts.identity.provider;
        let counts = self.profile.mode_set(Rule::R17, self.port_class, Some(provider)) == Mode::Enforce;
        self.stray_link.as_ref().filter(|_| counts)
    }

    /// Whether one of these rules has already refused the message.
    pub(super) fn refused_by(&self, rules: &[Rule]) -> bool {
        self.findings.iter().any(|finding| finding.effect == Effect::Failed && rules.contains(&finding.rule))
    }

    /// What the rules have found so far, in order.
    pub(super) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether a rule had something to say, in whichever mode.
    pub(super) fn found(&self, rule: Rule) -> bool {
        self.findings.iter().any(|finding| finding.rule == rule)
    }

    /// Applies one rule.
    pub(super) fn apply(&mut self, rule: Rule, check: fn(&Self) -> Option<Flaw>) {
        let mode = self.mode(rule);
        if mode == Mode::Off || rule.is_marketing() && self.port_class.is_sheltered() {
            return;
        }
        let Some(flaw) = check(self) else { return };
        let effect = match (flaw.severity, mode) {
            (Severity::Alert, _) => Effect::Alert,
            (_, Mode::Observe | Mode::Off) => Effect::Observed,
            (Severity::Reject, Mode::Enforce) => Effect::Failed,
            (Severity::Hold, Mode::Enforce) => Effect::Held,
        };
        let status = flaw.code.status(self.facts.identity.provider.codes, self.profile.code_base);
        self.findings.push(Finding { rule, effect, status, why: flaw.why });
    }

    pub(super) fn close(mut self) -> Verdict {
        self.findings.sort_by_key(|found| found.rule);
        let stopped = self.findings.iter().any(|found| matches!(found.effect, Effect::Failed | Effect::Held));
        let fingerprint = if stopped { None } else { r25_measures::fingerprint(&self) };
        let mut verdict = Verdict::new(self.class, self.findings);
        verdict.fingerprint = fingerprint;
        verdict
    }
}

/// A text without the signature at its tail.
fn body<'t>(text: &'t str, signatures: Signatures<'t>) -> &'t str {
    signatures.label.filter(|label| label.at_tail).map_or(text, |label| label.rest)
}
