//! What is asked of what is kept: whether it is unaltered, who read it, how long it stays, what is held.
//!
//! Owns the answers to these requests. Refuses to decide anything: the journal and the retention do. Driven by [`Books`].

use super::api::{Books, Line, Request};
use crate::clock;
use crate::gate::Moment;
use crate::gate::readings::{self, ReadingQuery};
use crate::gate::retention::{Hold, Order, Stores};

impl Books<'_> {
    /// The answer to a request about retention; to any other, nothing.
    pub(super) fn keeping(&self, request: &Request) -> Result<Vec<Line>, String> {
        let holds = &self.retention.holds;
        let line = |hold: Hold| vec![Line::Hold(Box::new(hold))];
        let who = self.asker.who();
        match request {
            Request::RetentionPlan(as_of) => {
                let plan = self.retention.plan(self.journal, *as_of, self.now);
                plan.map(|plan| vec![Line::RetentionPlan(Box::new(plan))]).map_err(said)
            }
            Request::Purge(yes) => self.purge(*yes),
            Request::Holds => Ok(holds.list().into_iter().flat_map(line).collect()),
            Request::Hold(order) => holds.set(self.journal, order.clone(), who, self.now).map(line).map_err(said),
            Request::LiftHold(id, why) => holds.lift(self.journal, id, why, who, self.now).map(line).map_err(said),
            _ => Ok(Vec::new()),
        }
    }

    /// Whether the journal is as it was signed, and its heads.
    pub(super) fn unaltered(&self, request: &Request, emit: &mut dyn FnMut(Line) -> bool) -> Result<Vec<Line>, String> {
        match request {
            Request::Verify(check) => {
                let verified = self.journal.verify(check, &mut |fault| emit(Line::Fault(fault)));
                verified.map(|verified| vec![Line::Verified(verified)]).map_err(said)
            }
            _ => {
                let line = |head| Line::Head(Box::new(head));
                self.journal.heads().map(|heads| heads.into_iter().map(line).collect()).map_err(said)
            }
        }
    }

    /// Who read what.
    pub(super) fn readings(
        &self,
        query: &ReadingQuery,
        emit: &mut dyn FnMut(Line) -> bool,
    ) -> Result<Vec<Line>, String> {
        let listed = readings::list(self.journal, query, &mut |reading| emit(Line::Reading(reading)));
        listed.map(|()| Vec::new()).map_err(said)
    }

    fn purge(&self, yes: bool) -> Result<Vec<Line>, String> {
        let stores = Stores { journal: self.journal, consents: self.consents, register: self.register.as_deref() };
        let order = Order { by: self.asker.who().to_owned(), yes };
        let now = Moment { wall: self.now, monotonic: clock::monotonic() };
        let purged = self.retention.purge(stores, &order, now).map_err(said)?;
        Ok(vec![Line::Purged(Box::new(purged))])
    }
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
