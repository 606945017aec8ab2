//! The rulebook: whether a message may pass, and why not.
//!
//! Owns the judging of one submission by every rule, as a pure function of the submission,
//! the facts, the profile and `now`. Refuses to look anything up, to read a clock and to
//! touch the message. Driven by the gate and by `portcullis judge`.

mod case;
pub mod class;
pub mod codes;
pub mod examine;
pub mod facts;
mod fold;
pub mod frequency;
mod hints;
mod latin;
pub mod msisdn;
mod numerals;
mod phone;
pub mod profile;
mod r01_source_present;
mod r02_source_owned;
mod r03_port_purpose;
mod r04_identity;
pub mod r05_name;
pub mod r06_phone;
pub mod r07_opt_out;
mod r08_obstacle;
mod r09_consent;
pub mod r10_class;
mod r11_refusal;
mod r12_consent_request;
mod r13_no_over_restriction;
mod r14_public_interest;
mod r15_obfuscation;
mod r16_opaque;
pub mod r17_links;
pub mod r18_quiet_hours;
pub mod r19_frequency;
mod r20_template;
pub mod r21_schedule;
mod r22_replace;
mod r23_mo_refusal;
mod r24_mo_consent;
pub mod r25_measures;
pub mod r26_evidence;
pub mod reply;
pub mod retention;
pub mod rule;
mod scorer;
pub mod signature;
pub mod spans;
pub mod submission;
pub mod template;
pub mod terms;
pub mod verdict;
pub mod workdays;

use std::borrow::Cow;

use jiff::Timestamp;

pub use class::Class;
pub use codes::{Code, Codes};
pub use examine::{Examination, Outcome, RuleResult};
pub use facts::{Basis, Consent, Facts, Identity, Ownership, Refusal};
pub use frequency::{Frequency, MOST_COUNTED, Period};
pub use msisdn::Msisdn;
pub use profile::Profile;
pub use rule::{Mode, Modes, Rule};
pub use spans::{Label, Span};
pub use submission::{Operation, Presentation, Submission};
pub use verdict::{Decision, Effect, Finding, Permit, Verdict};

use case::Case;
use verdict::Flaw;

/// What a rule does: looks at the case and finds a flaw, or none.
type Check = fn(&Case<'_>) -> Option<Flaw>;

/// The rules that judge a submission, in the order in which they answer.
///
/// R10, R13 and R14 are not among them: R10 says what a message is, and the other two hold in
/// [`Case::apply`] and [`Case::is_marketing`], where no setting reaches. R23 and R24 judge what
/// comes back: see [`reply`]. The others speak of more than one message, or of none.
const CHECKS: [(Rule, Check); 20] = [
    (Rule::R01, r01_source_present::check),
    (Rule::R02, r02_source_owned::check),
    (Rule::R03, r03_port_purpose::check),
    (Rule::R04, r04_identity::check),
    (Rule::R05, r05_name::check),
    (Rule::R06, r06_phone::check),
    (Rule::R07, r07_opt_out::check),
    (Rule::R08, r08_obstacle::check),
    (Rule::R09, r09_consent::check),
    (Rule::R11, r11_refusal::check),
    (Rule::R12, r12_consent_request::check),
    (Rule::R15, r15_obfuscation::check),
    (Rule::R16, r16_opaque::check),
    (Rule::R17, r17_links::check),
    (Rule::R18, r18_quiet_hours::check),
    (Rule::R19, r19_frequency::check),
    (Rule::R20, r20_template::check),
    (Rule::R21, r21_schedule::check),
    (Rule::R22, r22_replace::check),
    (Rule::R25, r25_measures::check),
];

/// A text as a reader takes it, whatever characters it is spelt with: what prohibitions are looked for in.
pub fn folded(text: &str) -> Cow<'_, str> {
    fold::fold(text)
}

/// Judges one submission. Total: every input has a verdict, and the verdict names every rule that failed.
pub fn judge(submission: &Submission<'_>, facts: &Facts<'_>, profile: &Profile, now: Timestamp) -> Verdict {
    apply(submission, facts, profile, now).close()
}

/// Judges it the same way, and tells the whole reasoning: what every rule came to, and what was found in the text.
pub fn examine(submission: &Submission<'_>, facts: &Facts<'_>, profile: &Profile, now: Timestamp) -> Examination {
    examine::examination(apply(submission, facts, profile, now))
}

fn apply<'a>(submission: &'a Submission<'a>, facts: &'a Facts<'a>, profile: &'a Profile, now: Timestamp) -> Case<'a> {
    let mut case = Case::new(submission, facts, profile, now);
    for (rule, check) in CHECKS {
        case.apply(rule, check);
    }
    case
}
