//! The rulebook: whether a message may pass, and why not.
//!
//! Owns the judging of one submission by every rule, as a pure function of the submission,
//! the facts, the profile and `now`. Refuses to look anything up, to read a clock and to
//! touch the message. Driven by the gate and by `portcullis judge`.

pub mod class;
pub mod codes;
pub mod facts;
pub mod msisdn;
pub mod profile;
pub mod rule;
pub mod submission;
pub mod verdict;
pub mod wire;

use jiff::Timestamp;

pub use class::Class;
pub use codes::{Code, Codes};
pub use facts::{Consent, Facts, Identity, Ownership, Refusal};
pub use msisdn::Msisdn;
pub use profile::Profile;
pub use rule::{Mode, Modes, Rule};
pub use submission::{Operation, Submission};
pub use verdict::{Decision, Effect, Finding, Permit, Verdict};

/// Judges one submission. Total: every input has a verdict, and the verdict names every rule that failed.
pub fn judge(_submission: &Submission<'_>, facts: &Facts<'_>, profile: &Profile, _now: Timestamp) -> Verdict {
    let class = facts.identity.port.map_or(Class::Commercial, |port| port.class);
    Verdict::of(class, class, Vec::new(), facts.identity.provider, profile)
}

/// The name in the 【】 at a text's head.
pub(crate) fn signature_at_head(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('【')?.split_once('】')?;
    Some(name)
}
