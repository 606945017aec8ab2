//! The consent or refusal that a verdict rested on: as it was known then, and as it is known today.

use jiff::Timestamp;
use serde::Serialize;

use super::{Case, basis};
use crate::gate::facts;
use crate::gate::record::Ground;
use crate::rules::{Consent, Facts, Refusal};
use crate::store::consents::Held;

/// Where the recipient stood with the sender.
#[derive(Debug, Serialize)]
pub struct ExplainedStanding {
    /// The sender.
    pub sender: String,
    /// The recipient, canonical.
    pub msisdn: u64,
    /// What was known then, in a sentence; none in records from before it was kept.
    pub then: Option<String>,
    /// What is known today of that time.
    pub today: String,
    /// Whether both are the same.
    pub is_same: Option<bool>,
    /// The event that was rested on, with its evidence, where it is held still.
    pub event: Option<Held>,
    /// Every event that is held of the recipient towards the sender.
    pub events: Vec<Held>,
}

/// `then` is what the rules were told; `at` when the message was to be delivered.
pub(super) fn explain(case: &Case<'_>, then: &Facts<'_>, at: Timestamp) -> Option<ExplainedStanding> {
    let identity = then.identity;
    let (sender, msisdn) = (identity.sender?, identity.msisdn?);
    let today = facts::of_rows(identity, case.events, at);
    let recorded = case.grounds.map(|_| sentence(then));
    let events: Vec<Held> = case.events.iter().filter(|event| concerns(event, &sender.id)).cloned().collect();
    let event = case.grounds.and_then(basis).and_then(|ground| named(ground, &events)).cloned();
    Some(ExplainedStanding {
        sender: sender.id.clone(),
        msisdn: msisdn.0,
        is_same: recorded.as_ref().map(|_| (then.consent, then.refusal) == (today.consent, today.refusal)),
        then: recorded,
        today: sentence(&today),
        event,
        events,
    })
}

/// Events of a change of holder, or towards all senders of a provider, carry no sender's id of their own.
fn concerns(event: &Held, sender: &str) -> bool {
    event.sender == sender || event.sender.is_empty() || event.sender.contains(':')
}

/// The event that a ground names.
fn named<'h>(ground: &Ground<'_>, events: &'h [Held]) -> Option<&'h Held> {
    use crate::store::consents::Status;
    match ground {
        Ground::Consent(at_ms, category) | Ground::Expired(at_ms, category) => events
            .iter()
            .find(|event| event.status == Status::Consent && event.at_ms == *at_ms && event.category == *category),
        Ground::Refused(Some(at_ms)) => {
            events.iter().find(|event| event.status == Status::Refusal && event.at_ms == *at_ms)
        }
        _ => None,
    }
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
