//! One case: a message, the circumstances, and the expected verdict.

use std::path::Path;

use jiff::Timestamp;
use portcullis::cli::judge::{Request, Standing};
use portcullis::config::Config;
use portcullis::register::{Provider, Register};
use portcullis::rules::{Class, Facts, Frequency, Presentation, Profile, Refusal, Rule, Submission, Verdict, judge};
use portcullis_protocol::address::Ton;
use portcullis_protocol::text::{Concatenation, Opaque, Text};
use serde::Deserialize;

/// A line of a case file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    id: String,
    source: String,
    destination: String,
    #[serde(default)]
    text: String,
    consent: Standing,
    at: String,
    provider: Option<String>,
    expect: String,
    rules: Vec<String>,
    /// The status answered, where the case is about it.
    status: Option<String>,
    /// The message's class, where the case is about it.
    class: Option<String>,
    /// Settings of `[profile]`, in place of those of the samples.
    profile: Option<String>,
    /// Type of number of the source.
    ton: Option<u8>,
    /// `binary`, `undecodable`, a `data_coding`, or an application port.
    opaque: Option<String>,
    /// `sm_default_msg_id`
    #[serde(default)]
    canned: u8,
    /// Number and total.
    part: Option<(u8, u8)>,
    #[serde(default)]
    service_type: String,
    #[serde(default)]
    asked_before: bool,
    deliver_at: Option<String>,
    valid_until: Option<String>,
    /// When this sender's messages to the recipient were delivered before.
    #[serde(default)]
    sent: Vec<Timestamp>,
    /// How often the consent allows messages.
    frequency: Option<String>,
    #[serde(default)]
    do_not_disturb: bool,
    #[serde(default)]
    replaces_unknown: bool,
    #[serde(rename = "why")]
    _why: String,
}

/// The samples speak of quiet hours where they are on.
const SETTINGS: &str = "quiet_hours = \"08:00-21:00\"";

impl Case {
    pub(crate) fn read(place: &str, line: &str) -> Self {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{place}: {error}"))
    }

    pub(crate) fn name(&self) -> &str {
        &self.id
    }

    /// Its text, where it is there as a whole.
    pub(crate) fn text(&self) -> Option<&str> {
        let whole = self.opaque.is_none() && self.part.is_none() && self.canned == 0 && !self.text.is_empty();
        whole.then_some(&*self.text)
    }

    /// The same message in other words.
    pub(crate) fn with_text(&self, text: &str) -> Self {
        Self { text: text.to_owned(), ..self.clone() }
    }

    /// Whether it passes, and the rules that say something.
    pub(crate) fn expected(&self) -> (bool, &[String]) {
        (self.expect == "forward", &self.rules)
    }

    pub(crate) fn verdict(&self, register: &Register) -> Verdict {
        self.verdict_under(register, "", |_| {})
    }

    /// Whether its circumstances say nothing of a rule, nor of a table of the profile.
    pub(crate) fn leaves(&self, rule: Rule) -> bool {
        self.profile.as_ref().is_none_or(|settings| !settings.contains(rule.id()) && !settings.contains('['))
    }

    /// The class of its port.
    pub(crate) fn port_class(&self, register: &Register) -> Class {
        register.port(self.source.as_bytes()).map_or(Class::Commercial, |port| port.class)
    }

    /// The verdict with more settings after those of `[profile]`, and with a provider that is adjusted.
    pub(crate) fn verdict_under(&self, register: &Register, settings: &str, adjust: impl Fn(&mut Provider)) -> Verdict {
        let request = Request {
            source: self.source.clone(),
            destination: self.destination.clone(),
            text: self.text.clone(),
            provider: self.provider.clone(),
            at: Some(self.at.clone()),
            consent: Some(self.consent),
        };
        let now = request.at().unwrap().unwrap();
        // A source that nobody's prefixes cover was still submitted by somebody.
        let mut provider = request.provider(register).unwrap_or(&register.providers()[0]).clone();
        adjust(&mut provider);
        let submission = self.circumstances(request.submission());
        let identity = register.identify(&provider, &submission);
        let known = self.consent.facts(identity);
        let refusal = self.do_not_disturb.then_some(Refusal::DoNotDisturb).or(known.refusal);
        let frequency = self.frequency.as_ref().map(|text| Frequency::parse(text).unwrap());
        let (asked_before, replaces_unknown) = (self.asked_before, self.replaces_unknown);
        let facts = Facts { asked_before, replaces_unknown, refusal, frequency, sent: self.sent.clone(), ..known };
        judge(&submission, &facts, &self.profile(settings), now)
    }

    /// What differs from the expectation, as a line; none where nothing does.
    pub(crate) fn difference(&self, register: &Register) -> Option<String> {
        let verdict = self.verdict(register);
        let rules: Vec<&str> = verdict.rules().map(|rule| rule.id()).collect();
        let status = format!("{:#010x}", verdict.status.0);
        let same = verdict.decision.to_string() == self.expect
            && rules == self.rules
            && self.status.as_ref().is_none_or(|expected| *expected == status)
            && self.class.as_ref().is_none_or(|expected| expected == verdict.class.name());
        let why: Vec<_> = verdict.findings.iter().map(|finding| format!("{}: {}", finding.rule, finding.why)).collect();
        (!same).then(|| {
            let expected = format!("{} {:?}", self.expect, self.rules);
            format!(
                "{}: expected {expected}, got {} {rules:?} {status} {} {why:?}",
                self.id, verdict.decision, verdict.class
            )
        })
    }

    fn circumstances<'a>(&'a self, submission: Submission<'a>) -> Submission<'a> {
        let opaque = self.opaque.as_deref().map(|reason| match reason {
            "binary" => Opaque::Binary,
            "broken" => Opaque::BrokenUdh,
            "port" => Opaque::PortAddressed(2948),
            other => Opaque::UnknownDataCoding(other.parse().unwrap()),
        });
        let mut source = submission.source;
        source.ton = self.ton.map_or(source.ton, Ton);
        Submission {
            source,
            content: opaque.map_or(submission.content, Text::Opaque),
            sm_default_msg_id: self.canned,
            service_type: self.service_type.as_bytes(),
            presentation: Presentation::Kept,
            part: self.part.map(|(number, total)| Concatenation { reference: 7, total, number }),
            valid_until: self.valid_until.as_ref().map(|at| at.parse::<Timestamp>().unwrap()),
            deliver_at: self.deliver_at.as_ref().map(|at| at.parse::<Timestamp>().unwrap()),
            ..submission
        }
    }

    fn profile(&self, more: &str) -> Profile {
        let settings = self.profile.as_deref().unwrap_or(SETTINGS);
        let text = format!(
            "register = \"r\"\n[[listen]]\naddress = \"127.0.0.1:1\"\n[carrier]\naddresses = [\"h:1\"]\n[profile]\n{settings}\n{more}\n"
        );
        let config = Config::parse(Path::new(&self.id), &text).unwrap_or_else(|faults| panic!("{}", faults[0]));
        config.profile
    }
}
