//! The rules by number, and how strictly each is applied.
//!
//! Owns the numbering, the names, the articles and the modes. What a rule checks is in its
//! own file; rules that speak of a session or of stored traffic are named here all the same,
//! because profiles and records speak of them.

use std::fmt;

/// A rule of the rulebook, in the order in which answers are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "each is named and explained by its row in `ROWS`")]
pub enum Rule {
    R01 = 1,
    R02,
    R03,
    R04,
    R05,
    R06,
    R07,
    R08,
    R09,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    R16,
    R17,
    R18,
    R19,
    R20,
    R21,
    R22,
    R23,
    R24,
    R25,
    R26,
}

/// What is said about a rule; each rule's own file says it where there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) name: &'static str,
    pub(super) article: &'static str,
    pub(super) sentence: &'static str,
}

/// Every rule in order.
const ROWS: [(Rule, &str, About); 26] = [
    (Rule::R01, "R01", super::r01_source_present::ABOUT),
    (Rule::R02, "R02", super::r02_source_owned::ABOUT),
    (Rule::R03, "R03", super::r03_port_purpose::ABOUT),
    (Rule::R04, "R04", super::r04_identity::ABOUT),
    (Rule::R05, "R05", super::r05_name::ABOUT),
    (Rule::R06, "R06", super::r06_phone::ABOUT),
    (Rule::R07, "R07", super::r07_opt_out::ABOUT),
    (Rule::R08, "R08", super::r08_obstacle::ABOUT),
    (Rule::R09, "R09", super::r09_consent::ABOUT),
    (Rule::R10, "R10", super::r10_class::ABOUT),
    (Rule::R11, "R11", super::r11_refusal::ABOUT),
    (Rule::R12, "R12", super::r12_consent_request::ABOUT),
    (Rule::R13, "R13", super::r13_no_over_restriction::ABOUT),
    (Rule::R14, "R14", super::r14_public_interest::ABOUT),
    (Rule::R15, "R15", super::r15_obfuscation::ABOUT),
    (Rule::R16, "R16", super::r16_opaque::ABOUT),
    (Rule::R17, "R17", super::r17_links::ABOUT),
    (Rule::R18, "R18", super::r18_quiet_hours::ABOUT),
    (Rule::R19, "R19", super::r19_frequency::ABOUT),
    (Rule::R20, "R20", super::r20_template::ABOUT),
    (Rule::R21, "R21", super::r21_schedule::ABOUT),
    (Rule::R22, "R22", super::r22_replace::ABOUT),
    (Rule::R23, "R23", super::r23_mo_refusal::ABOUT),
    (Rule::R24, "R24", super::r24_mo_consent::ABOUT),
    (Rule::R25, "R25", super::r25_measures::ABOUT),
    (Rule::R26, "R26", super::r26_evidence::ABOUT),
];

impl Rule {
    /// Every rule in order.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.0)
    }

    /// `R05`
    pub fn id(self) -> &'static str {
        ROWS[self.index()].1
    }

    /// `name`
    pub fn name(self) -> &'static str {
        ROWS[self.index()].2.name
    }

    /// The article it rests on.
    pub fn article(self) -> &'static str {
        ROWS[self.index()].2.article
    }

    /// The sentence an operator reads.
    pub fn sentence(self) -> &'static str {
        ROWS[self.index()].2.sentence
    }

    /// The rule with this identifier: `R05`.
    pub fn from_id(id: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.1 == id).map(|row| row.0)
    }

    /// Whether the rule protects against marketing, and so must never stop a service or public message (R13).
    pub const fn is_marketing(self) -> bool {
        matches!(self, Self::R06 | Self::R07 | Self::R08 | Self::R09 | Self::R11 | Self::R12 | Self::R18 | Self::R19)
    }

    /// Whether it holds whatever the settings: without R13 and R14 over-blocking would be a setting, and
    /// a verdict without its record (R26) is no verdict.
    pub const fn is_fixed(self) -> bool {
        matches!(self, Self::R13 | Self::R14 | Self::R26)
    }

    const fn index(self) -> usize {
        self as usize - 1
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// How strictly a rule is applied; ordered from lax to strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Not looked at.
    Off,
    /// The verdict records what the rule would have done.
    Observe,
    /// The rule decides.
    Enforce,
}

impl Mode {
    /// The words of the settings, each with its mode.
    pub const WORDS: [(&'static str, Self); 3] =
        [("enforce", Self::Enforce), ("observe", Self::Observe), ("off", Self::Off)];
}

/// A value for each rule, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Modes([Option<Mode>; ROWS.len()]);

impl Modes {
    /// The mode set for a rule.
    pub const fn get(&self, rule: Rule) -> Option<Mode> {
        self.0[rule.index()]
    }

    /// Sets the mode of a rule.
    pub const fn set(&mut self, rule: Rule, mode: Mode) {
        self.0[rule.index()] = Some(mode);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_rules() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.0.index(), index);
            assert_eq!(Rule::from_id(row.1), Some(row.0));
        }
    }
}
