//! How long what a subscriber said is kept: until so many months after the relationship with a sender has ended.
//!
//! Owns the end of a relationship: no consent stands any more (its term is over, it was refused, the number has another
//! holder, the sender left the register), and the day after which all of it may go. Refuses to let a "no" go
//! that still protects: the last refusal stays while its sender is registered and so many months longer, that of all
//! senders of a provider as long as an older consent does, and the last change of holder always, so that no consent of before, however late it comes, turns into a "yes". Pure. Driven by the retention.

use std::cmp::Reverse;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

use crate::store::consents::{ALL_SENDERS_OF, Held, Status};

/// What a decision rests on, beside the events.
pub struct Terms<'t> {
    /// Months that what proves a consent is kept after it was said and recorded.
    pub evidence_months: u8,
    /// Months that consents and refusals are kept after the relationship ended.
    pub subscription_months: u8,
    /// Whose days they are.
    pub zone: &'t TimeZone,
    /// The day it is.
    pub today: Date,
    /// The entity that an id in the consents stands for: ids it had before are the same.
    pub entity: &'t dyn Fn(&str) -> String,
    /// When an entity, or the provider of [`crate::store::consents::all_senders_of`], left the register; `None` while
    /// it is there.
    pub left_at_ms: &'t dyn Fn(&str) -> Option<i64>,
    /// Whether a legal hold speaks of an event.
    pub is_held: &'t dyn Fn(&Held) -> bool,
}

/// Which of a subscriber's events go; all of a relationship go together, but for what still protects.
pub fn expired(events: &[Held], terms: &Terms<'_>) -> Vec<bool> {
    let owner = |held: &Held| match held.status {
        Status::HolderChange => String::new(),
        _ => (terms.entity)(&held.sender),
    };
    let owners: Vec<String> = events.iter().map(owner).collect();
    let changes: Vec<i64> = events.iter().filter(|e| e.status == Status::HolderChange).map(|e| e.at_ms).collect();
    let mut goes = vec![false; events.len()];
    let mut entities: Vec<&String> = owners.iter().collect();
    // Refusals of all senders of a provider come last: they protect from what is left.
    entities.sort_unstable_by_key(|entity| (is_provider(entity), *entity));
    entities.dedup();
    for entity in entities {
        let own: Vec<usize> = (0..events.len()).filter(|at| owners[*at] == *entity).collect();
        let all: Vec<&Held> = own.iter().map(|at| &events[*at]).collect();
        let left_at_ms = (terms.left_at_ms)(entity).filter(|_| !entity.is_empty());
        let relationship = Relationship { events: &all, changes: &changes, left_at_ms };
        let Some(end_ms) = relationship.end_ms() else { continue };
        let is_over = |end_ms| relationship.goes_from(end_ms, terms) <= terms.today;
        if !is_over(end_ms) || all.iter().any(|held| (terms.is_held)(held)) {
            continue;
        }
        let has_left = left_at_ms.is_some_and(|left| is_over(end_ms.max(left)));
        let protects = |no: &&Held| !has_left || (is_provider(entity) && leaves_consent(events, &goes, no.at_ms));
        let protecting = relationship.protecting().filter(protects);
        for at in own {
            goes[at] = Some(&events[at]) != protecting;
        }
    }
    goes
}

fn is_provider(entity: &str) -> bool {
    entity.starts_with(ALL_SENDERS_OF)
}

/// Whether a consent stays that was given before a moment: it would be a "yes" again once the "no" of then is forgotten.
fn leaves_consent(events: &[Held], goes: &[bool], before_ms: i64) -> bool {
    let is_consent = |held: &Held| held.status == Status::Consent && held.at_ms <= before_ms;
    events.iter().zip(goes).any(|(held, goes)| !goes && is_consent(held))
}

/// All that was said between a subscriber and an entity.
struct Relationship<'r> {
    events: &'r [&'r Held],
    /// When the number changed its holder.
    changes: &'r [i64],
    left_at_ms: Option<i64>,
}

impl<'r> Relationship<'r> {
    /// When it ended: the last moment that something was said, or that a consent held. `None` while one can still hold.
    fn end_ms(&self) -> Option<i64> {
        let mut end = self.events.iter().map(|held| held.at_ms).max()?;
        for consent in self.events.iter().filter(|held| held.status == Status::Consent) {
            end = end.max(self.consent_end_ms(consent)?);
        }
        Some(end)
    }

    /// When a consent ceased to hold; `None` where nothing ended it.
    fn consent_end_ms(&self, consent: &Held) -> Option<i64> {
        // Of two at the same moment the one that ends sooner stands.
        let rank = |held: &Held| (held.at_ms, Reverse(held.expires_at_ms.unwrap_or(i64::MAX)));
        let ends = |held: &&&Held| match held.status {
            Status::Consent => held.category == consent.category && rank(held) > rank(consent),
            Status::Refusal | Status::HolderChange => held.at_ms >= consent.at_ms,
        };
        let said = self.events.iter().filter(ends).map(|held| held.at_ms);
        let others = self.changes.iter().copied().chain(self.left_at_ms).filter(|at_ms| *at_ms >= consent.at_ms);
        said.chain(others).chain(consent.expires_at_ms).min()
    }

    /// The event that stays though all is over: the last change of holder, or the last refusal.
    fn protecting(&self) -> Option<&'r Held> {
        let kinds = self.events.iter().filter(|held| held.status != Status::Consent);
        kinds.max_by_key(|held| held.at_ms).copied()
    }

    /// The first day on which it may be gone: the day after the last one of each of its terms.
    fn goes_from(&self, end_ms: i64, terms: &Terms<'_>) -> Date {
        let said = |held: &&Held| held.at_ms.max(held.recorded_at_ms.unwrap_or(i64::MIN));
        let evidence = self.events.iter().map(said).max().unwrap_or(end_ms);
        let last = |ms, months| day_of(ms, terms.zone).saturating_add(Span::new().months(months));
        last(end_ms, terms.subscription_months).max(last(evidence, terms.evidence_months)).saturating_add(1.day())
    }
}

/// The day of a moment; one beyond the calendar never comes.
fn day_of(ms: i64, zone: &TimeZone) -> Date {
    Timestamp::from_millisecond(ms).map_or(Date::MAX, |at| zone.to_datetime(at).date())
}

#[cfg(test)]
mod tests;
