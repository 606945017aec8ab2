//! The consent or refusal that a verdict rested on: as it was known then, and as it is known today.

use jiff::Timestamp;
use serde::Serialize;

use super::{Case, basis};
use crate::gate::facts;
use crate::gate::record::Ground;
use crate::rules::{Consent, Facts, Refusal};
use crate::store::consents::{Held, Status, Stood, Towards, standing_as_of};

/// Where the recipient stood with the sender.
#[derive(Debug, Serialize)]
pub struct ExplainedStanding {
    /// The sender.
    pub sender: String,
    /// The recipient, canonical.
    pub msisdn: u64,
    /// What was known then, in a sentence.
    pub then: String,
    /// Whether the record says so itself; else it is what the consents had recorded by that time.
    pub is_recorded: bool,
    /// The event that was rested on, with its method, wording and evidence, where it is held still.
    pub then_by: Vec<Held>,
    /// What is known today of that time.
    pub today: String,
    /// The event that this rests on.
    pub today_by: Vec<Held>,
    /// Whether both are the same.
    pub is_same: bool,
}

/// `then` is what the rules were told; `at` when the message was to be delivered.
pub(super) fn explain(case: &Case<'_>, then: &Facts<'_>, at: Timestamp) -> Option<ExplainedStanding> {
    let identity = then.identity;
    let (sender, msisdn) = (identity.sender?, identity.msisdn?);
    let today = facts::of_events(identity, case.events, case.lists, at);
    let towards = facts::towards(sender, Some(&identity.provider.system_id));
    let category = identity.port.and_then(|port| port.category.as_deref());
    let stood = standing_as_of(case.events, towards, category, at.as_millisecond());
    let then_by = match case.grounds {
        Some(grounds) => basis(grounds).map(|ground| named(ground, case.events, towards)).unwrap_or_default(),
        None => by(&stood.then),
    };
    Some(ExplainedStanding {
        sender: sender.id.clone(),
        msisdn: msisdn.0,
        then: sentence(then),
        is_recorded: case.grounds.is_some(),
        then_by: then_by.into_iter().cloned().collect(),
        today: sentence(&today),
        today_by: by(&stood.today).into_iter().cloned().collect(),
        is_same: (then.consent, then.refusal) == (today.consent, today.refusal),
    })
}

/// The events that a standing rests on.
fn by<'h>(stood: &Stood<'h>) -> Vec<&'h Held> {
    match stood {
        Stood::Nothing => Vec::new(),
        Stood::Refused(event) | Stood::Expired(event) => vec![event],
        Stood::Agreed(events) => events.clone(),
        Stood::HolderChanged(consent, change) => vec![consent, change],
    }
}

/// The events that a ground names: one, unless two were said in the same millisecond.
fn named<'h>(ground: &Ground<'_>, events: &'h [Held], towards: Towards<'_>) -> Vec<&'h Held> {
    let wanted = |event: &&Held| match ground {
        Ground::Consent(at_ms, category) | Ground::Expired(at_ms, category) => {
            event.status == Status::Consent && event.at_ms == *at_ms && event.category == *category
        }
        Ground::Refused(Some(at_ms)) => event.status == Status::Refusal && event.at_ms == *at_ms,
        _ => false,
    };
    events.iter().filter(|event| towards.is_meant_by(event)).filter(wanted).collect()
}

fn sentence(facts: &Facts<'_>) -> String {
    let at = |ms| Timestamp::from_millisecond(ms).unwrap_or_default();
    let basis = facts.basis.as_ref().map(|basis| {
        let category = if basis.category.is_empty() { "every category" } else { &basis.category };
        format!(" of {} to {category}", at(basis.at_ms))
    });
    let basis = basis.unwrap_or_default();
    match (facts.refusal, facts.consent) {
        (Some(Refusal::DoNotDisturb), _) => "the number was on the do-not-disturb list".to_owned(),
        (Some(Refusal::Sender { at: Some(at) }), _) => format!("a refusal of {at} stood"),
        (Some(Refusal::Sender { at: None }), _) => "a refusal stood".to_owned(),
        (None, Consent::Active) => format!("a consent{basis} held"),
        (None, Consent::Expired) => format!("the term of a consent{basis} was over"),
        (None, Consent::None) => "no consent and no refusal".to_owned(),
    }
}
