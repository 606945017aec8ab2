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

/// Identifier, name, article.
const ROWS: [(Rule, &str, &str, &str); 26] = [
    (Rule::R01, "R01", "source-present", "Art 9"),
    (Rule::R02, "R02", "source-owned", "Art 9, 12"),
    (Rule::R03, "R03", "port-purpose", "Art 9, 17/18"),
    (Rule::R04, "R04", "identity", "Art 12"),
    (Rule::R05, "R05", "name", "Art 19"),
    (Rule::R06, "R06", "phone", "Art 19"),
    (Rule::R07, "R07", "opt-out-told", "Art 19"),
    (Rule::R08, "R08", "no-obstacle", "Art 19"),
    (Rule::R09, "R09", "consent", "Art 16, 19"),
    (Rule::R10, "R10", "class", "definitions"),
    (Rule::R11, "R11", "refusal", "Art 16"),
    (Rule::R12, "R12", "consent-request", "Order 31 Art 18"),
    (Rule::R13, "R13", "no-over-restriction", "Art 17/18"),
    (Rule::R14, "R14", "public-interest", "chapter on public-interest messages"),
    (Rule::R15, "R15", "obfuscation", "Art 19"),
    (Rule::R16, "R16", "opaque", "Art 8"),
    (Rule::R17, "R17", "links", "carriers' terms"),
    (Rule::R18, "R18", "quiet-hours", "profile"),
    (Rule::R19, "R19", "frequency", "profile"),
    (Rule::R20, "R20", "template", "carriers' terms"),
    (Rule::R21, "R21", "schedule", "the gate's own"),
    (Rule::R22, "R22", "replace", "the gate's own"),
    (Rule::R23, "R23", "mo-refusal", "Art 16, 19"),
    (Rule::R24, "R24", "mo-consent", "Art 16"),
    (Rule::R25, "R25", "measures", "Art 23, 40"),
    (Rule::R26, "R26", "evidence", "Art 8, 34"),
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
        ROWS[self.index()].2
    }

    /// The article it rests on.
    pub fn article(self) -> &'static str {
        ROWS[self.index()].3
    }

    /// The rule with this identifier: `R05`.
    pub fn from_id(id: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.1 == id).map(|row| row.0)
    }

    /// Whether the rule protects against marketing, and so must never stop a service or public message (R13).
    pub const fn is_marketing(self) -> bool {
        matches!(self, Self::R06 | Self::R07 | Self::R08 | Self::R09 | Self::R11 | Self::R12 | Self::R18 | Self::R19)
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
