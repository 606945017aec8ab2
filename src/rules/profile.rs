//! A profile: which rules hold, how strictly, and with which settings.
//!
//! Owns the reading of profile data, built in or from a configuration. Refuses settings that
//! would let a marketing rule stop service or public messages (R13). Driven by `config`.

use jiff::civil::Time;
use jiff::tz::{Offset, TimeZone};

use super::{Class, Mode, Modes, Rule};
use crate::document::{self, Complaints, Fault, Section};
use crate::register::Provider;

/// The profiles that come with the program: name and text.
const BUILT_IN: [(&str, &str); 3] = [
    ("cn-2020-draft", include_str!("profiles/cn-2020-draft.toml")),
    ("cn-2015-31", include_str!("profiles/cn-2015-31.toml")),
    ("cn-2026-74", include_str!("profiles/cn-2026-74.toml")),
];

/// The profile that holds where none is named.
pub const DEFAULT: &str = "cn-2020-draft";

/// What an operator may tune, all of it checked.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The profile's name, or that of the one it is based on.
    pub name: String,
    /// The legal text it follows, in a sentence.
    pub law: String,
    /// How long evidence is kept.
    pub retention: Retention,
    /// The lowest code of the gate's own range.
    pub code_base: u32,
    /// Whether the contact phone must be there (R06).
    pub phone: PhoneLabel,
    /// Where a signature may stand (R05).
    pub signature_position: SignaturePosition,
    /// How many characters a signature may have, least and most (R05).
    pub signature_length: (usize, usize),
    /// The hours in which commercial messages are delivered (R18); none for all.
    pub quiet_hours: Option<Window>,
    /// The zone of days and hours.
    pub time_zone: TimeZone,
    rules: Modes,
    class_rules: [Modes; Class::ALL.len()],
}

/// How long evidence is kept, in calendar months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Signalling records.
    pub signalling_months: u8,
    /// Send records with their text.
    pub record_months: u8,
    /// Consents and refusals, after the relationship ends.
    pub consent_months: u8,
}

/// Whether a commercial message carries a contact phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneLabel {
    /// It must.
    Required,
    /// It must, and the sender must have registered it.
    RequiredAndRegistered,
    /// It may.
    Optional,
    /// It must not.
    Forbidden,
}

/// Where a signature may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignaturePosition {
    /// At the head of the text.
    Head,
    /// At the head, or with an alert at its tail.
    HeadOrTail,
}

/// A window of the day in which something is allowed, its end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first minute.
    pub from: Time,
    /// The minute after its last.
    pub until: Time,
}

impl Window {
    /// Reads `08:00-21:00`.
    fn parse(text: &str) -> Option<Self> {
        let (from, until) = text.split_once('-')?;
        let time = |text: &str| Time::strptime("%H:%M", text.trim()).ok();
        Some(Self { from: time(from)?, until: time(until)? }).filter(|window| window.from != window.until)
    }

    /// Whether a time of day lies within; a window may run over midnight.
    pub fn contains(&self, time: Time) -> bool {
        if self.from < self.until {
            self.from <= time && time < self.until
        } else {
            self.from <= time || time < self.until
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::built_in(DEFAULT).unwrap_or_else(|| Self::unset(DEFAULT))
    }
}

impl Profile {
    /// The names of the profiles that come with the program.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|&(name, _)| name)
    }

    /// A profile that comes with the program.
    pub fn built_in(name: &str) -> Option<Self> {
        let &(name, text) = BUILT_IN.iter().find(|&&(known, _)| known == name)?;
        Self::parse(name, std::path::Path::new(name), text).ok()
    }

    /// A whole profile from its text.
    pub fn parse(name: &str, file: &std::path::Path, text: &str) -> Result<Self, Vec<Fault>> {
        let complaints = Complaints::new(file, text);
        let table = document::parse(text, &complaints);
        let top = Section::top(&table, &complaints);
        let mut profile = Self::unset(name);
        profile.read(&top);
        top.finish();
        let (faults, _) = complaints.into_parts();
        if faults.is_empty() { Ok(profile) } else { Err(faults) }
    }

    /// How strictly a rule is applied to a provider's messages of a class.
    pub fn mode(&self, rule: Rule, class: Class, provider: &Provider) -> Mode {
        if matches!(rule, Rule::R13 | Rule::R14) {
            return Mode::Enforce;
        }
        let set = provider.rules.get(rule).or(self.class_rules[class as usize].get(rule)).or(self.rules.get(rule));
        set.unwrap_or(Mode::Off).min(provider.mode)
    }

    /// Sets a rule's mode for every class.
    pub const fn set_mode(&mut self, rule: Rule, mode: Mode) {
        self.rules.set(rule, mode);
    }

    /// Takes over every setting that a table names.
    pub fn read(&mut self, section: &Section<'_, '_>) {
        if let Some(law) = section.string("law") {
            law.clone_into(&mut self.law);
        }
        self.read_retention(section);
        if let Some(base) = section.integer("code_base", 0x0400..=0x04F0) {
            self.code_base = u32::try_from(base).unwrap_or(self.code_base);
        }
        set(&mut self.phone, section.word("phone", &PhoneLabel::WORDS));
        set(&mut self.signature_position, section.word("signature_position", &SignaturePosition::WORDS));
        self.read_signature_length(section);
        if section.string("quiet_hours").is_some_and(|text| text != "off") {
            let expected = "a window like \"08:00-21:00\", or \"off\"";
            self.quiet_hours = section.parsed("quiet_hours", expected, Window::parse).or(self.quiet_hours);
        } else if section.contains("quiet_hours") {
            self.quiet_hours = None;
        }
        read_modes(section, &mut self.rules, None);
        for (word, class) in Class::WORDS {
            if let Some(table) = section.section(word) {
                read_modes(&table, &mut self.class_rules[class as usize], Some(class));
                table.finish();
            }
        }
    }

    fn read_retention(&mut self, section: &Section<'_, '_>) {
        let Some(table) = section.section("retention") else { return };
        let months = |key| table.integer(key, 1..=240).and_then(|months| u8::try_from(months).ok());
        set(&mut self.retention.signalling_months, months("signalling_months"));
        set(&mut self.retention.record_months, months("record_months"));
        set(&mut self.retention.consent_months, months("consent_months"));
        table.finish();
    }

    fn read_signature_length(&mut self, section: &Section<'_, '_>) {
        let bound = |key| section.integer(key, 1..=64).and_then(|length| usize::try_from(length).ok());
        set(&mut self.signature_length.0, bound("signature_shortest"));
        set(&mut self.signature_length.1, bound("signature_longest"));
        if self.signature_length.0 > self.signature_length.1 {
            section.fault("signature_shortest", "is more than signature_longest");
        }
    }

    fn unset(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            law: String::new(),
            retention: Retention { signalling_months: 1, record_months: 5, consent_months: 5 },
            code_base: 0x0480,
            phone: PhoneLabel::Required,
            signature_position: SignaturePosition::Head,
            signature_length: (2, 16),
            quiet_hours: None,
            time_zone: TimeZone::fixed(Offset::constant(8)),
            rules: Modes::default(),
            class_rules: [Modes::default(); Class::ALL.len()],
        }
    }
}

/// Takes over the modes of a table whose keys are rules; for a class, none that R13 forbids.
pub(crate) fn read_modes(section: &Section<'_, '_>, modes: &mut Modes, class: Option<Class>) {
    for rule in Rule::all() {
        let Some(mode) = section.word(rule.id(), &Mode::WORDS) else { continue };
        if matches!(rule, Rule::R13 | Rule::R14) && mode != Mode::Enforce {
            section.fault(rule.id(), format!("{rule} {} holds whatever the settings; leave it out", rule.name()));
        } else if rule.is_marketing() && mode == Mode::Enforce && class.is_some_and(|class| class.is_sheltered()) {
            let class = class.map_or("", Class::name);
            section.fault(
                rule.id(),
                format!("R13: a marketing rule ({rule} {}) must never reject {class} messages", rule.name()),
            );
        } else {
            modes.set(rule, mode);
        }
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

impl PhoneLabel {
    const WORDS: [(&'static str, Self); 4] = [
        ("required", Self::Required),
        ("required-and-registered", Self::RequiredAndRegistered),
        ("optional", Self::Optional),
        ("forbidden", Self::Forbidden),
    ];
}

impl SignaturePosition {
    const WORDS: [(&'static str, Self); 2] = [("head", Self::Head), ("head-or-tail", Self::HeadOrTail)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_reads() {
        for (name, text) in BUILT_IN {
            if let Err(faults) = Profile::parse(name, std::path::Path::new(name), text) {
                panic!("{}", faults[0]);
            }
        }
    }

    #[test]
    fn a_window_may_run_over_midnight() {
        let window = Window::parse("20:00-06:00").unwrap();
        assert!(window.contains(Time::constant(23, 0, 0, 0)) && window.contains(Time::constant(5, 59, 0, 0)));
        assert!(!window.contains(Time::constant(6, 0, 0, 0)) && !window.contains(Time::constant(12, 0, 0, 0)));
        assert_eq!(Window::parse("08:00-08:00"), None);
        assert_eq!(Window::parse("8-25"), None);
    }
}
