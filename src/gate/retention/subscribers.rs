//! The consents' part of a purge: what subscribers said goes when the relationship is over for long enough.
//!
//! Owns the doubt in too much at once, and the records of what went. Refuses to judge what a relationship is: the
//! subscriptions do. Driven by the purge, after the days.

use serde::{Deserialize, Serialize};

use super::held;
use super::pace::Pace;
use super::purge::PURGE;
use super::purged::{Order, PurgeError, Purged};
use super::{Retention, Stores};
use crate::gate::changes;
use crate::gate::record::Change;
use crate::gate::subscriptions::{self, LetGo};
use crate::store::EvidenceFiles;
use crate::store::consents::Held;

/// What a step of the walk through the consents reads, by and large.
const STEP_OCTETS: u64 = 64 << 10;

/// So many events may go in a night whatever there are, ...
const FEW: u64 = 1_000;

/// ... and beyond that one in so many.
const SHARE: u64 = 10;

/// What went of what subscribers said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Consents, refusals and changes of holder.
    pub events: u64,
    /// Wordings and the like that proved them.
    pub proofs: u64,
    /// Evidence files that proved them.
    pub papers: u64,
    /// Events that are held and stay.
    pub held: u64,
}

impl Retention {
    /// Lets go of consents and refusals whose time is over.
    pub(super) fn let_consents_go(
        &self,
        stores: Stores<'_>,
        order: &Order,
        purged: &mut Purged,
        pace: &mut Pace<'_>,
    ) -> Result<(), PurgeError> {
        let mut expected = true;
        if !order.yes {
            let trial = self.walk(stores, purged, pace, true)?;
            let doubt = doubt(&trial);
            if !trial.is_whole || doubt.is_some() {
                purged.complete &= trial.is_whole;
                purged.doubt = doubt;
                return Ok(());
            }
            expected = trial.events > 0;
        }
        let change = || Change::new(purged.at.as_millisecond(), PURGE, &order.by, "consents");
        if expected {
            changes::record(stores.journal, change().ending("begun"))?;
        }
        let gone = self.walk(stores, purged, pace, false)?;
        if expected || gone.proofs + gone.papers > 0 {
            let change = change().ending(if gone.is_whole { changes::DONE } else { "told to end" });
            let change = change.with("events", gone.events.to_string()).with("proofs", gone.proofs.to_string());
            let change = change.with("papers", gone.papers.to_string()).with("held", gone.held.to_string());
            changes::record(stores.journal, change)?;
        }
        purged.complete &= gone.is_whole;
        purged.said = Said { events: gone.events, proofs: gone.proofs, papers: gone.papers, held: gone.held };
        Ok(())
    }

    fn walk(
        &self,
        stores: Stores<'_>,
        purged: &Purged,
        pace: &mut Pace<'_>,
        is_trial: bool,
    ) -> Result<LetGo, PurgeError> {
        let Some(register) = stores.register else { return Ok(LetGo::default()) };
        let holds = self.holds.standing();
        let is_held = |held: &Held| held::speaks_of(&holds, held, register);
        let papers = EvidenceFiles::of(&self.data, &self.keys)?;
        let order = subscriptions::Order {
            evidence_months: self.months.consent_evidence,
            subscription_months: self.months.subscriptions,
            zone: &self.zone,
            today: purged.as_of,
            now: purged.at,
            register,
            is_held: &is_held,
            is_trial,
        };
        let mut go_on = || pace.take(STEP_OCTETS);
        Ok(subscriptions::let_go(stores.consents, &papers, &self.data, &order, &mut go_on)?)
    }
}

/// Why so much does not go without an operator's word.
fn doubt(trial: &LetGo) -> Option<String> {
    let most = FEW.max(trial.seen / SHARE);
    (trial.events > most).then(|| {
        format!(
            "{} of {} consents and refusals are due at once, and more than {most} in a night ask for an operator's \
             word: is the clock right, and are all senders in the register? `retention run --yes` lets them go",
            trial.events, trial.seen
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_all_consents_is_not_let_go_in_a_night() {
        let trial = |events, seen| LetGo { events, seen, is_whole: true, ..LetGo::default() };
        assert_eq!(doubt(&trial(1_000, 1_000)), None);
        assert!(doubt(&trial(1_001, 1_001)).is_some_and(|why| why.starts_with("1001 of 1001")));
        assert_eq!(doubt(&trial(100_000, 1_000_000)), None);
        assert!(doubt(&trial(100_001, 1_000_000)).is_some());
    }
}
