//! Why a message was judged as it was, and what a reply was taken for: from its record, in full.
//!
//! Owns the account of one record: text and what was found in it, every rule, the consent it rested
//! on, the versions it was judged by, and what judging it again comes to. Refuses to read the store
//! itself: entries and events are handed in. Driven by `portcullis explain`.

use jiff::Timestamp;
use serde::Serialize;

use super::again::{Bench, Sent, Unjudged};
use super::evidence::{FoundDelivery, FoundMessage};
use super::record::{self, Content, Ground, Grounds};
use super::{DoNotDisturb, facts, replay};
use crate::rules::{Examination, Facts, Outcome, Rule, Submission, examine};
use crate::store::consents::Held;

mod reply;
mod standing;

pub use reply::{ExplainedReply, explain_reply};
pub use standing::ExplainedStanding;

/// The account of a message.
#[derive(Debug, Serialize)]
pub struct ExplainedMessage {
    /// The record with what became of the message.
    pub message: FoundMessage,
    /// The other recipients of the same PDU, where there are any.
    pub others: Vec<OtherRecipient>,
    /// What was found in the text.
    pub spans: Vec<ExplainedSpan>,
    /// Why no rule judged it, where none did.
    pub unjudged: Option<String>,
    /// Why it is of its class (R10).
    pub class: Option<String>,
    /// Every rule in order; by the record alone where it cannot be judged again.
    pub rules: Vec<ExplainedRule>,
    /// The consent or refusal it rested on.
    pub standing: Option<ExplainedStanding>,
    /// What it was judged by, and what there is now.
    pub judged_by: JudgedBy,
    /// What judging it again comes to.
    pub again: Vec<Again>,
}

/// Another recipient of the same PDU.
#[derive(Debug, Serialize)]
pub struct OtherRecipient {
    /// Its record.
    pub record: String,
    /// `destination_addr`
    pub destination: String,
    /// `forward`, `reject` or `hold`.
    pub verdict: String,
    /// The status for it.
    pub status: String,
}

/// Something found in the text.
#[derive(Debug, Serialize)]
pub struct ExplainedSpan {
    /// `signature`, `phone`, `opt-out` or `contact`.
    pub label: &'static str,
    /// Where it starts in the text, in octets of UTF-8.
    pub start: Option<usize>,
    /// Where it ends.
    pub end: Option<usize>,
    /// What it says.
    pub text: String,
    /// What the register and the profile know of it.
    pub note: String,
}

/// One rule on the message.
#[derive(Debug, Serialize)]
pub struct ExplainedRule {
    /// `R05`
    pub rule: &'static str,
    /// `name`
    pub name: &'static str,
    /// The article it rests on.
    pub article: &'static str,
    /// What it asks for.
    pub sentence: &'static str,
    /// `enforce`, `observe` or `off`, as it is set now.
    pub mode: Option<&'static str>,
    /// What it came to: as recorded, where it found something then, and by judging again otherwise.
    pub outcome: &'static str,
    /// Why.
    pub why: String,
    /// What it comes to now, where that is something else.
    pub now: Option<String>,
}

/// The versions a verdict rests on.
#[derive(Debug, Serialize)]
pub struct JudgedBy {
    /// The profile's name.
    pub profile: String,
    /// The digest of its settings; records from before it was kept have none.
    pub settings: Option<String>,
    /// The register's version.
    pub register: String,
    /// The profile there is now.
    pub profile_now: String,
    /// The digest of its settings.
    pub settings_now: String,
    /// The version of the register there is now.
    pub register_now: String,
    /// Whether both are the same; unknown where the record has no digest.
    pub is_same: Option<bool>,
}

/// A second verdict.
#[derive(Debug, Serialize)]
pub struct Again {
    /// By what.
    pub by: &'static str,
    /// `forward`, `reject` or `hold`; none where it cannot be judged.
    pub verdict: Option<String>,
    /// The status of that.
    pub status: Option<String>,
    /// Whether verdict, class and findings are those of the record.
    pub is_same: bool,
    /// What differs, in sentences.
    pub differs: Vec<String>,
}

/// All that is known for the account.
pub struct Case<'c> {
    /// The record with what became of the message.
    pub message: FoundMessage,
    /// The send record itself.
    pub record: &'c record::Submission<'c>,
    /// What stands behind it.
    pub grounds: Option<&'c Grounds<'c>>,
    /// Other records of the same PDU.
    pub others: Vec<FoundMessage>,
    /// What is known of the recipient's word today.
    pub events: &'c [Held],
    /// The do-not-disturb lists of now.
    pub lists: &'c DoNotDisturb,
    /// Register and profile of now.
    pub bench: Bench<'c>,
    /// The moment.
    pub now: Timestamp,
}

/// Accounts for a message.
pub fn explain_message(case: Case<'_>) -> ExplainedMessage {
    let mut account = ExplainedMessage {
        message: case.message.clone(),
        others: case.others.iter().map(OtherRecipient::of).collect(),
        spans: Vec::new(),
        unjudged: None,
        class: None,
        rules: Vec::new(),
        standing: None,
        judged_by: JudgedBy::of(&case),
        again: Vec::new(),
    };
    let sent = match Sent::of(case.record, case.grounds) {
        Ok(sent) => sent,
        Err(why) => {
            account.unjudged = Some(unjudged(&why, case.record));
            account.rules = recorded_only(case.record);
            return account;
        }
    };
    let submission = sent.submission();
    let then =
        sent.facts(case.bench, &submission, &mut |identity, at| Ok(facts::of_events_known(identity, case.events, at)));
    let facts = match then {
        Ok((facts, _)) => facts,
        Err(why) => {
            account.unjudged = Some(why.to_string());
            account.rules = recorded_only(case.record);
            return account;
        }
    };
    let examination = sent.examine(case.bench.profile, &submission, &facts, sent.received());
    let known = as_known(&case, &facts, sent.delivery());
    let as_known = sent.examine(case.bench.profile, &submission, &known, sent.received());
    account.standing = standing::explain(&case, &facts, sent.delivery());
    account.again = vec![
        Again::of("what was known then", case.record, &examination),
        Again::of("what is known today of that time", case.record, &as_known),
        Again::of("what holds now, if it came now", case.record, &as_now(&case, &submission, &facts)),
    ];
    account.rules = examination.rules.iter().map(|result| ExplainedRule::of(result, case.record)).collect();
    account.class = Some(examination.class.to_string());
    account.spans = examination.spans.iter().map(ExplainedSpan::of).collect();
    account
}

/// The facts with what is known today of the recipient's word at a moment.
fn as_known<'r>(case: &Case<'_>, facts: &Facts<'r>, at: Timestamp) -> Facts<'r> {
    let known = facts::of_events(facts.identity, case.events, case.lists, at);
    let Facts { consent, basis, frequency, refusal, .. } = known;
    Facts { consent, basis, frequency, refusal, unasked: false, ..facts.clone() }
}

/// The verdict if the same message came at this moment, for delivery at once. What was counted then is not counted
/// here: nobody knows what would be now.
fn as_now(case: &Case<'_>, submission: &Submission<'_>, facts: &Facts<'_>) -> Examination {
    let facts = Facts { reply_route_lost: None, ..as_known(case, facts, case.now) };
    let submission = Submission { deliver_at: None, valid_until: None, ..submission.clone() };
    examine(&submission, &facts, case.bench.profile, case.now)
}

fn unjudged(why: &Unjudged, record: &record::Submission<'_>) -> String {
    match (why, &record.content) {
        (Unjudged::TurnedAway, Content::Opaque(reason, _)) => format!("{why}: {reason}"),
        (Unjudged::Incomplete, _) => {
            let said = record.findings.first().map(|finding| finding.why.to_string());
            said.map_or_else(|| why.to_string(), |said| format!("{why}: {said}"))
        }
        _ => why.to_string(),
    }
}

/// What the record says of each rule, where nothing more can be said.
fn recorded_only(record: &record::Submission<'_>) -> Vec<ExplainedRule> {
    let told = record.findings.iter().filter_map(|finding| {
        let rule = Rule::from_id(&finding.rule)?;
        Some(ExplainedRule {
            mode: None,
            outcome: outcome(&finding.effect),
            why: finding.why.to_string(),
            now: None,
            ..ExplainedRule::about(rule)
        })
    });
    told.collect()
}

/// An effect of a record among the words there are.
fn outcome(effect: &str) -> &'static str {
    ["failed", "held", "alert", "observed"].into_iter().find(|word| *word == effect).unwrap_or("recorded")
}

impl ExplainedRule {
    fn about(rule: Rule) -> Self {
        Self {
            rule: rule.id(),
            name: rule.name(),
            article: rule.article(),
            sentence: rule.sentence(),
            mode: None,
            outcome: "",
            why: String::new(),
            now: None,
        }
    }

    fn of(result: &crate::rules::RuleResult, record: &record::Submission<'_>) -> Self {
        let mode = crate::rules::Mode::WORDS.iter().find(|(_, mode)| *mode == result.mode).map(|(word, _)| *word);
        let about = Self { mode, ..Self::about(result.rule) };
        let recorded = record.findings.iter().find(|finding| finding.rule == result.rule.id());
        let now = result.outcome.name();
        match (recorded, result.outcome) {
            (Some(then), outcome_now) if outcome(&then.effect) == outcome_now.name() => {
                Self { outcome: now, why: then.why.to_string(), ..about }
            }
            (Some(then), _) => {
                let now = Some(format!("{now}: {}", result.why));
                Self { outcome: outcome(&then.effect), why: then.why.to_string(), now, ..about }
            }
            // The record names every rule that found something: this one did not, then.
            (None, Outcome::Found(_)) => {
                let why = "nothing against it when it came".to_owned();
                Self { outcome: "passed", why, now: Some(format!("{now}: {}", result.why)), ..about }
            }
            (None, _) => Self { outcome: now, why: result.why.to_string(), ..about },
        }
    }
}

impl ExplainedSpan {
    fn of(span: &crate::rules::Span) -> Self {
        let (start, end) = span.place.unzip();
        Self { label: span.label.name(), start, end, text: span.text.clone(), note: span.note.clone() }
    }
}

impl OtherRecipient {
    fn of(message: &FoundMessage) -> Self {
        Self {
            record: message.id.clone(),
            destination: message.destination.clone(),
            verdict: message.verdict.clone(),
            status: message.status.clone(),
        }
    }
}

impl JudgedBy {
    fn of(case: &Case<'_>) -> Self {
        let hex = |digest: [u8; 8]| format!("{:016x}", u64::from_be_bytes(digest));
        let settings = case.grounds.and_then(Grounds::profile).map(hex);
        let settings_now = hex(case.bench.profile.digest());
        let register = case.record.register.to_string();
        let register_now = case.bench.register.version().to_owned();
        let is_same = settings.as_ref().map(|settings| *settings == settings_now && register == register_now);
        Self {
            profile: case.record.profile.to_string(),
            settings,
            register,
            profile_now: case.bench.profile.name.clone(),
            settings_now,
            register_now,
            is_same,
        }
    }
}

impl Again {
    fn of(by: &'static str, record: &record::Submission<'_>, examination: &Examination) -> Self {
        let verdict = &examination.verdict;
        let mut differs = Vec::new();
        let now = verdict.decision.to_string();
        if now != record.verdict {
            differs.push(format!("{} then, {now} now", record.verdict));
        } else if verdict.status.0 != record.status {
            differs.push(format!("answered {:#010x} then, {:#010x} now", record.status, verdict.status.0));
        }
        if verdict.class.name() != record.class {
            differs.push(format!("class {} then, {} now: {}", record.class, verdict.class, examination.class));
        }
        for finding in &verdict.findings {
            let effect = replay::word(finding.effect);
            if !record.findings.iter().any(|then| then.rule == finding.rule.id() && then.effect == effect) {
                differs.push(format!("{} {effect} now: {}", finding.rule, finding.why));
            }
        }
        for then in &record.findings {
            let stays = |finding: &&crate::rules::Finding| {
                finding.rule.id() == then.rule && replay::word(finding.effect) == then.effect
            };
            if verdict.findings.iter().find(stays).is_none() {
                differs.push(format!("{} {} no longer: {}", then.rule, then.effect, then.why));
            }
        }
        Self {
            by,
            verdict: Some(now),
            status: Some(format!("{:#010x}", verdict.status.0)),
            is_same: differs.is_empty(),
            differs,
        }
    }
}

/// The consent or refusal that a record names.
fn basis<'g>(grounds: &'g Grounds<'_>) -> Option<&'g Ground<'g>> {
    grounds.iter().find(|ground| {
        matches!(ground, Ground::Consent(..) | Ground::Expired(..) | Ground::Refused(_) | Ground::DoNotDisturb)
    })
}

/// Which account a delivery gets.
pub fn is_receipt(delivery: &FoundDelivery) -> bool {
    delivery.taken.is_none() && (delivery.receipt_of.is_some() || delivery.state.is_some())
}
