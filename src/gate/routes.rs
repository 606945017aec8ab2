//! By which binds replies come in, and since when a provider has had none.
//!
//! Owns the count of receiving binds of each provider and, where the profile asks for it, its history in the
//! journal, so that a restart does not make a dead route fresh. Refuses to judge: R07 does. Driven by the desks.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::Gate;
use super::record::{self, Origin, REPLY_ROUTE, Record};
use crate::relay::BindKind;
use crate::store::{Index, Query, StoreError};

/// The events, as the journal shows them among those of the sessions.
const OPEN: &str = "reply route open";
const LOST: &str = "reply route lost since ";

/// How far back a route's history is looked for; a lost one is written anew long before.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(62 * 24);
const ANEW_MS: i64 = 24 * 60 * 60 * 1000;

/// The routes of all providers.
#[derive(Debug, Default)]
pub(super) struct Routes {
    list: Mutex<HashMap<String, Route>>,
}

#[derive(Debug, Default)]
struct Route {
    /// The sessions that can receive.
    sessions: HashSet<u64>,
    /// Since when there is none, once that is known.
    lost: Option<Timestamp>,
}

impl Routes {
    /// A session is bound; whether it opens its provider's route.
    fn open(&self, provider: &str, session: u64, kind: BindKind) -> bool {
        if kind == BindKind::Transmitter {
            return false;
        }
        let mut list = self.lock();
        let route = list.entry(provider.to_owned()).or_default();
        route.lost = None;
        route.sessions.insert(session) && route.sessions.len() == 1
    }

    /// A session takes no more; whether its provider's route ends with it.
    fn close(&self, provider: &str, session: u64, now: Option<Timestamp>) -> bool {
        let mut list = self.lock();
        let Some(route) = list.get_mut(provider) else { return false };
        let is_lost = route.sessions.remove(&session) && route.sessions.is_empty();
        if is_lost {
            route.lost = now;
        }
        is_lost
    }

    /// How many binds of a provider can receive.
    pub(super) fn receiving(&self, provider: &str) -> usize {
        self.lock().get(provider).map_or(0, |route| route.sessions.len())
    }

    /// Since when none of a provider's binds can receive; a provider that was never seen has lost its route now.
    pub(super) fn lost(&self, provider: &str, now: Timestamp) -> Option<Timestamp> {
        let mut list = self.lock();
        match list.get_mut(provider) {
            Some(route) if !route.sessions.is_empty() => None,
            Some(route) => Some(*route.lost.get_or_insert(now)),
            None => {
                list.insert(provider.to_owned(), Route { lost: Some(now), ..Route::default() });
                Some(now)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Route>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// A session is bound and can or cannot receive.
    pub(super) fn route_opened(&self, origin: Origin<'_>, kind: BindKind, now: Timestamp) {
        if self.routes.open(&origin.provider, origin.session, kind) {
            self.write_route(origin, OPEN.to_owned(), now);
        }
    }

    /// A session has ended; nobody says when where it broke off.
    pub(super) fn route_closed(&self, origin: Origin<'_>, now: Option<Timestamp>) {
        if self.routes.close(&origin.provider, origin.session, now)
            && let Some(now) = now
        {
            self.write_route(origin, format!("{LOST}{now}"), now);
        }
    }

    /// Since when a provider's replies cannot come in, where the profile lets that matter.
    pub(super) fn lost_route(&self, provider: &str, now: Timestamp) -> Option<Timestamp> {
        self.profile.opt_out.dead_after()?;
        self.routes.lost(provider, now)
    }

    fn write_route(&self, origin: Origin<'_>, event: String, now: Timestamp) {
        if self.profile.opt_out.dead_after().is_none() {
            return;
        }
        // Which session it was is signalling, which expires before this is forgotten.
        let origin = Origin { session: 0, peer: "".into(), ..origin };
        let record = Record::Session(record::Session { at_ms: now.as_millisecond(), origin, event: event.into() });
        if let Err(error) = self.journal.append(record.encode(Vec::new())) {
            tracing::error!(%error, "what became of a reply route could not be recorded");
        }
    }

    /// Takes up what the process before knew. A route that it left open is lost now.
    pub(super) fn restore_routes(&self, now: Timestamp) -> Result<(), StoreError> {
        if self.profile.opt_out.dead_after().is_none() {
            return Ok(());
        }
        let register = self.register.load();
        let mut wanted: HashSet<&str> =
            register.providers().iter().map(|provider| provider.system_id.as_str()).collect();
        let since = now.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
        let query = Query {
            key: Some((Index::Source, REPLY_ROUTE.to_vec())),
            since_ms: Some(since.as_millisecond()),
            newest_first: true,
            ..Query::default()
        };
        let mut entries = self.journal.find(query)?;
        while !wanted.is_empty()
            && let Some(entry) = entries.next()
        {
            let (id, payload) = entry?;
            let Ok(Record::Session(record)) = Record::decode(&payload) else {
                tracing::error!(record = %id, "a record of a reply route cannot be read");
                continue;
            };
            let Some(provider) = wanted.take(&*record.origin.provider) else { continue };
            let told = record.event.strip_prefix(LOST).and_then(|at| at.parse().ok());
            let is_fresh = now.as_millisecond() - record.at_ms < ANEW_MS;
            self.restore_route(provider, told.unwrap_or(now), told.is_some() && is_fresh, now);
        }
        for provider in wanted {
            self.restore_route(provider, now, false, now);
        }
        Ok(())
    }

    fn restore_route(&self, provider: &str, lost: Timestamp, is_written: bool, now: Timestamp) {
        let route = Route { lost: Some(lost), ..Route::default() };
        self.routes.lock().insert(provider.to_owned(), route);
        if !is_written {
            let origin = Origin { provider: provider.into(), session: 0, peer: "".into() };
            self.write_route(origin, format!("{LOST}{lost}"), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 0).unwrap()
    }

    #[test]
    fn a_route_is_lost_with_its_last_receiving_bind() {
        let routes = Routes::default();
        assert_eq!(routes.lost("agg1", at(1)), Some(at(1)), "never seen: from now");
        assert_eq!(routes.lost("agg1", at(5)), Some(at(1)));
        assert!(!routes.open("agg1", 1, BindKind::Transmitter), "which receives nothing");
        assert_eq!(routes.lost("agg1", at(6)), Some(at(1)));
        assert!(routes.open("agg1", 2, BindKind::Receiver));
        assert!(!routes.open("agg1", 3, BindKind::Transceiver), "open already");
        assert_eq!((routes.lost("agg1", at(7)), routes.receiving("agg1")), (None, 2));
        assert!(!routes.close("agg1", 1, Some(at(8))) && !routes.close("agg1", 2, Some(at(8))));
        assert!(routes.close("agg1", 3, Some(at(9))));
        assert!(!routes.close("agg1", 3, Some(at(10))), "closed once");
        assert_eq!(routes.lost("agg1", at(11)), Some(at(9)));
        assert_eq!(routes.lost("agg2", at(11)), Some(at(11)), "each provider has its own");
    }

    #[test]
    fn a_route_that_broke_off_counts_from_when_it_is_asked_about() {
        let routes = Routes::default();
        routes.open("agg1", 1, BindKind::Transceiver);
        assert!(routes.close("agg1", 1, None));
        assert_eq!(routes.lost("agg1", at(7)), Some(at(7)));
    }
}
