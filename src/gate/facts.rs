//! What the store knows, in the words of the rules.
//!
//! Owns the reading of a subscriber's standing as consent and refusal. Refuses to judge.
//! Driven by the desk for every message, and by `portcullis judge`.

use std::sync::Arc;

use jiff::Timestamp;

use crate::rules::{Basis, Consent, Facts, Identity, Refusal};
use crate::store::consents::{Category, Held, Status};
use crate::store::{Consents, Standing, StoreError};

/// Looks up where the recipient stands with the sender, as of `now`.
pub fn look_up<'r>(consents: &Consents, identity: Identity<'r>, now: Timestamp) -> Result<Facts<'r>, StoreError> {
    let mut facts = Facts::new(identity);
    let (Some(sender), Some(msisdn)) = (identity.sender, identity.msisdn) else {
        return Ok(facts);
    };
    tell(&mut facts, &consents.standing(&sender.id, msisdn.0)?, now);
    Ok(facts)
}

/// The same from rows that were shown: what is held of the recipient, whatever the sender.
pub fn of_rows<'r>(identity: Identity<'r>, rows: &[Held], now: Timestamp) -> Facts<'r> {
    let mut facts = Facts::new(identity);
    if let Some(sender) = identity.sender {
        tell(&mut facts, &standing_of(rows.iter().filter(|row| row.sender == sender.id)), now);
    }
    facts
}

fn tell(facts: &mut Facts<'_>, standing: &Standing, now: Timestamp) {
    let category = facts.identity.port.and_then(|port| port.category.as_deref());
    let (consent, basis) = consent(standing, category, now);
    facts.consent = consent;
    facts.basis = basis.map(|held| Basis { at_ms: held.at_ms, category: Arc::clone(&held.name) });
    facts.refusal = standing.refused_at_ms.map(|at| Refusal::Sender { at: Timestamp::from_millisecond(at).ok() });
}

/// What rows of one sender come to: a refusal ends every consent that is not later.
fn standing_of<'h>(rows: impl Iterator<Item = &'h Held> + Clone) -> Standing {
    let refused = rows.clone().filter(|row| row.status == Status::Refusal).map(|row| row.at_ms).max();
    let stands = |row: &&Held| row.status == Status::Consent && refused.is_none_or(|refused| row.at_ms > refused);
    let categories: Vec<_> = rows
        .filter(stands)
        .map(|row| Category {
            name: row.category.as_str().into(),
            status: row.status,
            at_ms: row.at_ms,
            expires_at_ms: row.expires_at_ms,
        })
        .collect();
    // A consent after a refusal lifts it, as the store has it.
    let refused_at_ms = if categories.is_empty() { refused } else { None };
    Standing { refused_at_ms, categories }
}

/// The best standing among the categories that count, and which has it: a port without a category takes any, and
/// a consent without one covers every port of the sender.
fn consent<'s>(standing: &'s Standing, wanted: Option<&str>, now: Timestamp) -> (Consent, Option<&'s Category>) {
    let counts = |category: &&Category| {
        category.status == Status::Consent
            && (category.name.is_empty() || wanted.is_none_or(|wanted| *category.name == *wanted))
    };
    let mut best = (Consent::None, None);
    for category in standing.categories.iter().filter(counts) {
        if category.expires_at_ms.is_none_or(|end| now.as_millisecond() < end) {
            return (Consent::Active, Some(category));
        }
        best = (Consent::Expired, Some(category));
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(categories: &[(&str, Status, Option<i64>)]) -> Standing {
        let categories = categories
            .iter()
            .map(|&(name, status, expires_at_ms)| Category { name: name.into(), status, at_ms: 0, expires_at_ms })
            .collect();
        Standing { refused_at_ms: None, categories }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn a_consent_counts_until_its_term_ends() {
        let standing = standing(&[("promotion", Status::Consent, Some(1000))]);
        assert_eq!(consent(&standing, None, at(999)).0, Consent::Active);
        assert_eq!(consent(&standing, None, at(1000)).0, Consent::Expired);
    }

    #[test]
    fn a_port_with_a_category_takes_that_category_or_a_general_consent() {
        let other = standing(&[("news", Status::Consent, None)]);
        assert_eq!(consent(&other, Some("promotion"), at(0)).0, Consent::None);
        let general = standing(&[("", Status::Consent, None)]);
        assert_eq!(consent(&general, Some("promotion"), at(0)).0, Consent::Active);
    }

    #[test]
    fn a_withdrawn_category_does_not_count() {
        let standing = standing(&[("promotion", Status::Refusal, None)]);
        assert_eq!(consent(&standing, None, at(0)).0, Consent::None);
    }
}
