//! What the store knows, in the words of the rules.
//!
//! Owns the reading of a subscriber's standing as consent and refusal. Refuses to judge.
//! Driven by the desk for every message, and by `portcullis judge`.

use std::sync::Arc;

use jiff::Timestamp;

use crate::gate::DoNotDisturb;
use crate::register::Sender;
use crate::rules::{Basis, Consent, Facts, Frequency, Identity, Refusal};
use crate::store::consents::{Category, Held, Status, Towards};
use crate::store::{Consents, Standing, StoreError};

/// Looks up where the recipient stands with the sender, as of `now`.
pub fn look_up<'r>(
    consents: &Consents,
    lists: &DoNotDisturb,
    identity: Identity<'r>,
    now: Timestamp,
) -> Result<Facts<'r>, StoreError> {
    let mut facts = undisturbed(identity, lists);
    let (Some(sender), Some(msisdn)) = (identity.sender, identity.msisdn) else {
        return Ok(facts);
    };
    let towards = towards(sender, Some(&identity.provider.system_id));
    tell(&mut facts, &consents.standing(towards, msisdn.0, now.as_millisecond())?, now);
    Ok(facts)
}

/// The same from events that were shown: the recipient's whole history, whatever the sender.
pub fn of_events<'r>(identity: Identity<'r>, events: &[Held], lists: &DoNotDisturb, now: Timestamp) -> Facts<'r> {
    let mut facts = undisturbed(identity, lists);
    if let Some(sender) = identity.sender {
        let towards = towards(sender, Some(&identity.provider.system_id));
        tell(&mut facts, &Standing::of_events(events, towards, now.as_millisecond()), now);
    }
    facts
}

/// The same from what had been recorded by that moment; of events from before arrivals were kept, from all. Lists
/// have no past: they say nothing here.
pub fn of_events_known<'r>(identity: Identity<'r>, events: &[Held], now: Timestamp) -> Facts<'r> {
    let is_known = |event: &&Held| event.recorded_at_ms.is_none_or(|recorded| recorded <= now.as_millisecond());
    let known: Vec<Held> = events.iter().filter(is_known).cloned().collect();
    of_events(identity, &known, &DoNotDisturb::default(), now)
}

/// What holds whatever was said to the sender: whether the recipient is on a do-not-disturb list.
fn undisturbed<'r>(identity: Identity<'r>, lists: &DoNotDisturb) -> Facts<'r> {
    let refusal = identity.msisdn.filter(|msisdn| lists.has(msisdn.0)).map(|_| Refusal::DoNotDisturb);
    Facts { refusal, ..Facts::new(identity) }
}

/// A sender as the consents know it: under the ids it had before as well, and among those of its provider.
pub fn towards<'r>(sender: &'r Sender, provider: Option<&'r str>) -> Towards<'r> {
    Towards { sender: &sender.id, former: &sender.former_ids, provider }
}

fn tell(facts: &mut Facts<'_>, standing: &Standing, now: Timestamp) {
    let category = facts.identity.port.and_then(|port| port.category.as_deref());
    let (consent, frequency, basis) = consent(standing, category, now);
    (facts.consent, facts.frequency) = (consent, frequency);
    facts.basis = basis.map(|held| Basis { at_ms: held.at_ms, category: Arc::clone(&held.name) });
    let refused = standing.refused_at_ms.map(|at| Refusal::Sender { at: Timestamp::from_millisecond(at).ok() });
    facts.refusal = refused.or(facts.refusal);
}

/// The best standing among the categories that count, how often it allows messages, and which has it: a port without
/// a category takes any, and a consent without one covers every port of the sender.
fn consent<'s>(
    standing: &'s Standing,
    wanted: Option<&str>,
    now: Timestamp,
) -> (Consent, Option<Frequency>, Option<&'s Category>) {
    let counts = |category: &&Category| {
        category.status == Status::Consent
            && (category.name.is_empty() || wanted.is_none_or(|wanted| *category.name == *wanted))
    };
    let mut best = (Consent::None, None, None);
    for category in standing.categories.iter().filter(counts) {
        if category.expires_at_ms.is_some_and(|end| end <= now.as_millisecond()) {
            if best.0 == Consent::None {
                best = (Consent::Expired, None, Some(category));
            }
            continue;
        }
        let frequency = category.frequency.as_deref().and_then(Frequency::parse);
        // What was agreed to for this category itself goes before what was agreed to in general.
        if wanted.is_some_and(|wanted| *category.name == *wanted) {
            return (Consent::Active, frequency, Some(category));
        }
        let rate = |frequency: Option<Frequency>| frequency.map_or(u32::MAX, Frequency::a_year);
        if best.0 != Consent::Active || rate(frequency) > rate(best.1) {
            best = (Consent::Active, frequency, Some(category));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(categories: &[(&str, Status, Option<i64>)]) -> Standing {
        let categories = categories
            .iter()
            .map(|&(name, status, expires_at_ms)| Category {
                name: name.into(),
                status,
                at_ms: 0,
                expires_at_ms,
                frequency: None,
            })
            .collect();
        Standing { refused_at_ms: None, categories }
    }

    fn found(standing: &Standing, wanted: Option<&str>, now: Timestamp) -> Consent {
        consent(standing, wanted, now).0
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn a_consent_counts_until_its_term_ends() {
        let standing = standing(&[("promotion", Status::Consent, Some(1000))]);
        assert_eq!(found(&standing, None, at(999)), Consent::Active);
        assert_eq!(found(&standing, None, at(1000)), Consent::Expired);
    }

    #[test]
    fn a_port_with_a_category_takes_that_category_or_a_general_consent() {
        let other = standing(&[("news", Status::Consent, None)]);
        assert_eq!(found(&other, Some("promotion"), at(0)), Consent::None);
        let general = standing(&[("", Status::Consent, None)]);
        assert_eq!(found(&general, Some("promotion"), at(0)), Consent::Active);
    }

    #[test]
    fn a_withdrawn_category_does_not_count() {
        let standing = standing(&[("promotion", Status::Refusal, None)]);
        assert_eq!(found(&standing, None, at(0)), Consent::None);
    }

    #[test]
    fn the_frequency_is_that_of_the_consent_that_counts() {
        let often = |name: &str, frequency: Option<&str>| Category {
            name: name.into(),
            status: Status::Consent,
            at_ms: 0,
            expires_at_ms: None,
            frequency: frequency.map(Into::into),
        };
        let of = |categories: &[Category], wanted| {
            let standing = Standing { refused_at_ms: None, categories: categories.to_vec() };
            consent(&standing, wanted, at(0)).1.map(|frequency| frequency.to_string())
        };
        let both = [often("", Some("9/month")), often("promotion", Some("1/week"))];
        assert_eq!(of(&both, Some("promotion")).as_deref(), Some("1/week"), "the category's own");
        assert_eq!(of(&both, Some("news")).as_deref(), Some("9/month"), "the general one");
        assert_eq!(of(&both, None).as_deref(), Some("9/month"), "the one that allows most");
        assert_eq!(of(&[often("news", Some("1/day")), often("offers", None)], None), None, "one has no limit");
    }
}
