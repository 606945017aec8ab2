//! What events come to: where a subscriber stands with a sender at a moment.
//!
//! Owns the rules of time: the last event in event time wins, a tie is a refusal, a consent counts
//! from its own time on and a refusal at once. Pure. Driven by the ledger, and by whoever asks why
//! a message was sent on that day.

use std::sync::Arc;

use super::{Held, Status, Towards};

/// Where a subscriber stands with a sender.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// The refusal that nothing later has lifted, and when it was said.
    pub refused_at_ms: Option<i64>,
    /// Each category the subscriber ever agreed to.
    pub categories: Vec<Category>,
}

/// Where a subscriber stands with one category of a sender.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Category {
    /// Its name.
    pub name: Arc<str>,
    /// [`Status::Consent`] if nothing refused at or after it and the number changed its holder not since; whether
    /// it has expired is the reader's to judge.
    pub status: Status,
    /// When it was agreed to.
    pub at_ms: i64,
    /// Until when it holds.
    pub expires_at_ms: Option<i64>,
    /// How often it allows messages, as it was recorded.
    pub frequency: Option<Arc<str>>,
}

/// An event as far as standing depends on it; `C` tells categories apart, `E` finds the event again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<C, E> {
    pub(super) status: Status,
    pub(super) category: C,
    pub(super) at_ms: i64,
    pub(super) recorded_at_ms: Option<i64>,
    pub(super) expires_at_ms: Option<i64>,
    pub(super) event: E,
}

/// What events come to at a moment.
#[derive(Clone, Debug)]
pub(super) struct Outlook<C, E> {
    /// The last refusal, lifted or not.
    pub(super) refused: Option<(i64, E)>,
    /// The last change of holder.
    changed: Option<(i64, E)>,
    /// The last consent to each category.
    pub(super) consents: Vec<Said<C, E>>,
}

impl<C: PartialEq + Copy, E: Copy> Outlook<C, E> {
    pub(super) fn of(events: impl Iterator<Item = Said<C, E>>, at_ms: i64) -> Self {
        let mut outlook = Self { refused: None, changed: None, consents: Vec::new() };
        for said in events {
            match said.status {
                // A clock that runs ahead must not put a refusal off.
                Status::Refusal if said.at_ms.min(said.recorded_at_ms.unwrap_or(i64::MAX)) <= at_ms => {
                    later(&mut outlook.refused, &said);
                }
                Status::HolderChange if said.at_ms <= at_ms => later(&mut outlook.changed, &said),
                Status::Consent if said.at_ms <= at_ms => outlook.agreed(said),
                _ => {}
            }
        }
        outlook
    }

    fn agreed(&mut self, said: Said<C, E>) {
        let rank = |said: &Said<C, E>| (said.at_ms, std::cmp::Reverse(said.expires_at_ms.unwrap_or(i64::MAX)));
        match self.consents.iter_mut().find(|known| known.category == said.category) {
            Some(known) if rank(known) < rank(&said) => *known = said,
            Some(_) => {}
            None => self.consents.push(said),
        }
    }

    /// What became of a consent: still one, refused since, or another's by now.
    pub(super) fn status(&self, consent: &Said<C, E>) -> Status {
        let since = |end: &Option<(i64, E)>| end.as_ref().is_some_and(|(at_ms, _)| *at_ms >= consent.at_ms);
        match (since(&self.refused), since(&self.changed)) {
            (true, _) => Status::Refusal,
            (false, true) => Status::HolderChange,
            (false, false) => Status::Consent,
        }
    }

    /// The refusal that stands: a later consent, to whatever category, has lifted it.
    pub(super) fn refusal(&self) -> Option<(i64, E)> {
        let (at_ms, event) = self.refused?;
        self.consents.iter().all(|consent| consent.at_ms <= at_ms).then_some((at_ms, event))
    }
}

fn later<C, E: Copy>(last: &mut Option<(i64, E)>, said: &Said<C, E>) {
    if last.is_none_or(|(at_ms, _)| at_ms < said.at_ms) {
        *last = Some((said.at_ms, said.event));
    }
}

/// The events of a subscriber that concern a sender.
fn concerning<'h>(events: &'h [Held], towards: Towards<'_>) -> impl Iterator<Item = Said<&'h str, &'h Held>> {
    events.iter().filter(move |held| towards.is_meant_by(held)).map(|held| Said {
        status: held.status,
        category: held.category.as_str(),
        at_ms: held.at_ms,
        recorded_at_ms: held.recorded_at_ms,
        expires_at_ms: held.expires_at_ms,
        event: held,
    })
}

impl Standing {
    /// The same as [`super::Consents::standing`], from events that were shown.
    pub fn of_events(events: &[Held], towards: Towards<'_>, at_ms: i64) -> Self {
        let outlook = Outlook::of(concerning(events, towards), at_ms);
        let category = |said: &Said<&str, &Held>| Category {
            name: said.category.into(),
            status: outlook.status(said),
            at_ms: said.at_ms,
            expires_at_ms: said.expires_at_ms,
            frequency: Some(said.event.frequency.as_str()).filter(|text| !text.is_empty()).map(Into::into),
        };
        Self {
            refused_at_ms: outlook.refusal().map(|(at_ms, _)| at_ms),
            categories: outlook.consents.iter().map(category).collect(),
        }
    }
}

/// Where a subscriber stood at a moment, and by which events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stood<'h> {
    /// Nothing was said, which is a refusal by law.
    Nothing,
    /// Refused, by this event.
    Refused(&'h Held),
    /// Agreed: these consents held, one a category.
    Agreed(Vec<&'h Held>),
    /// Agreed once; the term of this, the last of the consents, was over.
    Expired(&'h Held),
    /// Agreed once; the number went to another holder since, by the second event.
    HolderChanged(&'h Held, &'h Held),
}

/// Where a subscriber stood at a moment, by what is known now and by what was known then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AsOf<'h> {
    /// By every event there is.
    pub today: Stood<'h>,
    /// By the events that had been recorded by that moment; of those from before arrivals were kept, all.
    pub then: Stood<'h>,
}

/// Why a message could be sent at that moment, or not. `events` is a subscriber's whole history, in any order;
/// `category` the one a message is of, `None` for any.
pub fn standing_as_of<'h>(events: &'h [Held], towards: Towards<'_>, category: Option<&str>, at_ms: i64) -> AsOf<'h> {
    let known = |said: &Said<&str, &Held>| said.recorded_at_ms.is_none_or(|recorded| recorded <= at_ms);
    AsOf {
        today: stood(concerning(events, towards), category, at_ms),
        then: stood(concerning(events, towards).filter(known), category, at_ms),
    }
}

fn stood<'h>(events: impl Iterator<Item = Said<&'h str, &'h Held>>, category: Option<&str>, at_ms: i64) -> Stood<'h> {
    let outlook = Outlook::of(events, at_ms);
    if let Some((_, refusal)) = outlook.refusal() {
        return Stood::Refused(refusal);
    }
    let fits = |said: &&Said<&str, &Held>| {
        said.category.is_empty() || category.is_none_or(|category| category == said.category)
    };
    let agreed: Vec<_> = outlook.consents.iter().filter(fits).collect();
    let holds = |said: &&&Said<&str, &Held>| outlook.status(said) == Status::Consent;
    let is_over = |said: &&&Said<&str, &Held>| said.expires_at_ms.is_some_and(|end| end <= at_ms);
    let active: Vec<&Held> = agreed.iter().filter(|s| holds(s) && !is_over(s)).map(|said| said.event).collect();
    if !active.is_empty() {
        return Stood::Agreed(active);
    }
    if let Some(expired) = agreed.iter().filter(holds).max_by_key(|said| said.at_ms) {
        return Stood::Expired(expired.event);
    }
    let last = agreed.iter().max_by_key(|said| said.at_ms);
    match (last, outlook.refused, outlook.changed) {
        (Some(said), _, Some((_, change))) if outlook.status(said) == Status::HolderChange => {
            Stood::HolderChanged(said.event, change)
        }
        // A consent to another category has lifted the refusal there alone.
        (_, Some((_, refusal)), _) => Stood::Refused(refusal),
        _ => Stood::Nothing,
    }
}

#[cfg(test)]
mod tests;
