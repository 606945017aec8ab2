//! A profile: which rules hold, how strictly, and with which settings.
//!
//! Owns the reading of profile data, built in or from a configuration. Refuses settings that
//! would let a marketing rule stop service or public messages (R13). Driven by `config`.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use jiff::tz::{Offset, TimeZone};

use super::{
    Class, Mode, Modes, Rule, r05_name, r06_phone, r07_opt_out, r10_class, r13_no_over_restriction, r17_links,
    r18_quiet_hours, r19_frequency, r21_schedule, r25_measures, r26_evidence, reply, retention,
};
use crate::document::{self, Complaints, Fault, Section};
use crate::register::Provider;

/// The profiles that come with the program, each with its text and read once: its patterns take a while.
static BUILT_IN: [BuiltIn; 3] = [
    BuiltIn::new("cn-2020-draft", include_str!("profiles/cn-2020-draft.toml")),
    BuiltIn::new("cn-2015-31", include_str!("profiles/cn-2015-31.toml")),
    BuiltIn::new("cn-2026-74", include_str!("profiles/cn-2026-74.toml")),
];

struct BuiltIn {
    name: &'static str,
    text: &'static str,
    read: OnceLock<Option<Profile>>,
}

impl BuiltIn {
    const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text, read: OnceLock::new() }
    }
}

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
    pub retention: retention::Settings,
    /// The lowest code of the gate's own range.
    pub code_base: u32,
    /// Where a signature may stand, and how long it may be (R05).
    pub name_label: r05_name::Settings,
    /// Whether the contact phone must be there (R06).
    pub phone: r06_phone::Label,
    /// The accepted ways to refuse (R07).
    pub opt_out: r07_opt_out::Settings,
    /// How much promotion makes a message commercial (R10).
    pub thresholds: r10_class::Thresholds,
    /// Which contacts a sender must have registered (R17).
    pub links: r17_links::Settings,
    /// The hours in which commercial messages are delivered (R18); none for all.
    pub quiet_hours: Option<r18_quiet_hours::Window>,
    /// How often a sender may write to a number (R19).
    pub frequency: r19_frequency::Settings,
    /// How far ahead messages may be scheduled, and how long they may be valid (R21).
    pub schedule: r21_schedule::Settings,
    /// From when on measures are taken (R25).
    pub measures: r25_measures::Settings,
    /// What becomes of messages while the store cannot do its part (R26).
    pub failure: r26_evidence::Failure,
    /// What replies mean (R23, R24).
    pub replies: reply::Settings,
    /// The zone of days and hours.
    pub time_zone: TimeZone,
    rules: Modes,
    class_rules: [Modes; Class::ALL.len()],
    digest: u64,
}

impl Default for Profile {
    fn default() -> Self {
        Self::built_in(DEFAULT).unwrap_or_else(|| Self::unset(DEFAULT))
    }
}

impl Profile {
    /// The names of the profiles that come with the program.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|built_in| built_in.name)
    }

    /// A profile that comes with the program.
    pub fn built_in(name: &str) -> Option<Self> {
        let built_in = BUILT_IN.iter().find(|built_in| built_in.name == name)?;
        built_in.read.get_or_init(|| Self::parse(name, std::path::Path::new(name), built_in.text).ok()).clone()
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
        if rule.is_fixed() {
            return Mode::Enforce;
        }
        self.mode_set(rule, class, Some(provider)).min(provider.mode)
    }

    /// The mode of a rule, the nearest word first: the provider's for the class, the provider's, the
    /// profile's for the class, the profile's. It holds whatever the provider's own strictest mode is: what a subscriber says (R23, R24)
    /// counts also where the provider's messages are only observed.
    pub fn mode_set(&self, rule: Rule, class: Class, provider: Option<&Provider>) -> Mode {
        let of = |provider: &Provider| provider.class_rules[class as usize].get(rule).or(provider.rules.get(rule));
        let own = provider.and_then(of);
        let set = own.or(self.class_rules[class as usize].get(rule)).or(self.rules.get(rule));
        set.unwrap_or(Mode::Off)
    }

    /// Sets a rule's mode for every class.
    pub fn set_mode(&mut self, rule: Rule, mode: Mode) {
        self.rules.set(rule, mode);
        self.note(&(rule.id(), mode as u8));
    }

    /// A short name for exactly these settings, for the records.
    pub const fn digest(&self) -> [u8; 8] {
        self.digest.to_be_bytes()
    }

    /// Takes settings into the digest, in the order in which they are made.
    fn note(&mut self, settings: &impl Hash) {
        let mut hasher = siphasher::sip::SipHasher13::new();
        (self.digest, settings).hash(&mut hasher);
        self.digest = hasher.finish();
    }

    /// Takes over every setting that a table names.
    pub fn read(&mut self, section: &Section<'_, '_>) {
        let settings = section.settings(&["base"]);
        if !settings.is_empty() {
            self.note(&settings);
        }
        if let Some(law) = section.string("law") {
            law.clone_into(&mut self.law);
        }
        self.retention.read(section);
        if let Some(base) = section.integer("code_base", 0x0400..=0x04F0) {
            self.code_base = u32::try_from(base).unwrap_or(self.code_base);
        }
        self.name_label.read(section);
        self.phone.read(section);
        self.opt_out.read(section);
        self.thresholds.read(section);
        self.links.read(section);
        r18_quiet_hours::read(&mut self.quiet_hours, section);
        self.frequency.read(section);
        self.schedule.read(section);
        self.measures.read(section);
        self.failure.read(section);
        self.replies.read(section);
        read_modes(section, &mut self.rules, None);
        read_class_modes(section, &mut self.class_rules);
        r13_no_over_restriction::check_thresholds(&self.thresholds, section);
    }

    fn unset(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            law: String::new(),
            retention: retention::Settings::default(),
            code_base: 0x0480,
            name_label: r05_name::Settings::default(),
            phone: r06_phone::Label::default(),
            opt_out: r07_opt_out::Settings::default(),
            thresholds: r10_class::Thresholds::default(),
            links: r17_links::Settings::default(),
            quiet_hours: None,
            frequency: r19_frequency::Settings::default(),
            schedule: r21_schedule::Settings::default(),
            measures: r25_measures::Settings::default(),
            failure: r26_evidence::Failure::default(),
            replies: reply::Settings::default(),
            time_zone: TimeZone::fixed(Offset::constant(8)),
            rules: Modes::default(),
            class_rules: [Modes::default(); Class::ALL.len()],
            digest: 0,
        }
    }
}

/// Takes over the modes of a table whose keys are rules; for a class, none that R13 forbids.
pub(crate) fn read_modes(section: &Section<'_, '_>, modes: &mut Modes, class: Option<Class>) {
    for rule in Rule::all() {
        let Some(mode) = section.word(rule.id(), &Mode::WORDS) else { continue };
        if rule.is_fixed() && mode != Mode::Enforce {
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

/// The same for the tables named after a class.
pub(crate) fn read_class_modes(section: &Section<'_, '_>, modes: &mut [Modes; Class::ALL.len()]) {
    for (word, class) in Class::WORDS {
        if let Some(table) = section.section(word) {
            read_modes(&table, &mut modes[class as usize], Some(class));
            table.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Profile {
        Profile::parse("p", std::path::Path::new("p.toml"), text).unwrap_or_else(|faults| panic!("{}", faults[0]))
    }

    #[test]
    fn the_digest_is_of_the_settings_and_not_of_their_writing() {
        let profile = parsed("R05 = \"enforce\"\nphone = \"optional\"\n");
        assert_eq!(profile.digest(), parsed("# a word\nphone   =  'optional'\nR05 = \"enforce\"").digest());
        assert_ne!(profile.digest(), parsed("R05 = \"observe\"\nphone = \"optional\"\n").digest());
        let mut changed = profile.clone();
        changed.set_mode(Rule::R06, Mode::Observe);
        assert_ne!(profile.digest(), changed.digest());
    }

    #[test]
    fn every_built_in_profile_reads() {
        for BuiltIn { name, text, .. } in &BUILT_IN {
            if let Err(faults) = Profile::parse(name, std::path::Path::new(name), text) {
                panic!("{}", faults[0]);
            }
        }
    }
}
