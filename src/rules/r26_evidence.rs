//! R26 evidence (Art 8, 34): every verdict has its durable record before the answer leaves.
//!
//! Owns what becomes of a message, by its class, while the store cannot do its part: the consents
//! cannot be asked, or the journal cannot write. It has no check and one mode: what cannot be
//! enforced is said in `[failure]`, and each use of that is recorded.

use super::Class;
use super::rule::About;
use crate::document::Section;

pub(super) const ABOUT: About = About {
    name: "evidence",
    article: "Art 8, 34",
    sentence: "Every verdict has its durable record before the answer leaves.",
};

/// What becomes of a message while the store cannot do its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resort {
    /// It waits: the provider keeps it and tries again.
    Hold,
    /// It is refused for good.
    Reject,
    /// It goes on, judged as far as can be; its record waits in memory.
    Forward,
}

/// What becomes of a message for which not even memory has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrecorded {
    /// It waits.
    Hold,
    /// It goes on without a record, unless it is commercial.
    Forward,
}

/// What becomes of a gate that starts while its register cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It does not start: no provider could be told from another.
    Stop,
    /// It starts with the register that was last in force.
    LastGood,
}

/// The last resort of each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    classes: [Resort; Class::ALL.len()],
    /// Where the memory for records is full as well.
    pub spool_full: Unrecorded,
    /// Where the register cannot be used at the start; while the gate runs, the last good one holds.
    pub register: Unreadable,
}

impl Default for Failure {
    fn default() -> Self {
        let mut classes = [Resort::Forward; Class::ALL.len()];
        classes[Class::Commercial as usize] = Resort::Hold;
        Self { classes, spool_full: Unrecorded::Hold, register: Unreadable::Stop }
    }
}

impl Failure {
    /// What becomes of a message of this class.
    pub const fn resort(&self, class: Class) -> Resort {
        self.classes[class as usize]
    }

    /// Takes over what `[failure]` names.
    pub(super) fn read(&mut self, section: &Section<'_, '_>) {
        // Marketing to people of whom nobody knows whether they agreed: not by a slip of the pen.
        const COMMERCIAL: [(&str, Resort); 3] =
            [("hold", Resort::Hold), ("reject", Resort::Reject), ("forward-unjudged", Resort::Forward)];
        // Never refused for good: they break no rule (R13).
        const OTHERS: [(&str, Resort); 2] = [("forward", Resort::Forward), ("hold", Resort::Hold)];
        const SPOOL: [(&str, Unrecorded); 2] =
            [("hold", Unrecorded::Hold), ("forward-unrecorded", Unrecorded::Forward)];
        let Some(table) = section.section("failure") else { return };
        for (word, class) in Class::WORDS {
            let words: &[_] = if class == Class::Commercial { &COMMERCIAL } else { &OTHERS };
            let Some(resort) = table.word(word, words) else { continue };
            self.classes[class as usize] = resort;
            if class == Class::Commercial && resort == Resort::Forward {
                table
                    .warn(word, "while the consents cannot be asked, marketing goes to people who may have refused it");
            } else if class.is_sheltered() && resort == Resort::Hold {
                table.warn(word, format!("while the store is down, {class} messages reach nobody (R13)"));
            }
        }
        let register = [("stop", Unreadable::Stop), ("last-good", Unreadable::LastGood)];
        self.register = table.word("register", &register).unwrap_or(self.register);
        self.spool_full = table.word("spool_full", &SPOOL).unwrap_or(self.spool_full);
        table.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Complaints, parse};

    fn read(text: &str) -> (Failure, Vec<String>, usize) {
        let complaints = Complaints::new(std::path::Path::new("p.toml"), text);
        let table = parse(text, &complaints);
        let mut failure = Failure::default();
        failure.read(&Section::top(&table, &complaints));
        let (faults, warnings) = complaints.into_parts();
        (failure, faults.into_iter().map(|fault| fault.key).collect(), warnings.len())
    }

    #[test]
    fn marketing_waits_and_all_else_goes_on_unless_said_otherwise() {
        let (failure, faults, warnings) = read("");
        assert_eq!((faults.len(), warnings), (0, 0));
        let resorts = Class::ALL.map(|class| failure.resort(class));
        assert_eq!(resorts, [Resort::Hold, Resort::Forward, Resort::Forward, Resort::Forward]);
        let (failure, _, warnings) = read("[failure]\ncommercial = \"forward-unjudged\"\npublic = \"hold\"\n");
        assert_eq!((failure.resort(Class::Commercial), failure.resort(Class::Public)), (Resort::Forward, Resort::Hold));
        assert_eq!(warnings, 2);
    }

    #[test]
    fn words_that_would_let_marketing_slip_or_stop_the_others_for_good_are_faults() {
        let (failure, faults, _) =
            read("[failure]\ncommercial = \"forward\"\nservice = \"reject\"\nspool_full = \"drop\"\n");
        assert_eq!(faults, ["failure.commercial", "failure.service", "failure.spool_full"]);
        assert_eq!(failure, Failure::default());
    }
}
