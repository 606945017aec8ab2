//! What became of reply routes, in the journal: a restart does not make a dead route fresh.
//!
//! Owns the events' form: `reply route open` speaks of all ports of an account, `reply route of A, B, * open` of
//! those named, `*` for the numbers the register does not have. Refuses to write where the profile does not ask.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

use super::{OTHERS, Reach, Turn, receives};
use crate::gate::Gate;
use crate::gate::address_range::AddressRange;
use crate::gate::record::{self, Origin, REPLY_ROUTE, Record};
use crate::relay::BindKind;
use crate::rules::Identity;
use crate::store::{Index, Query, StoreError};

/// The events begin with this: so they are found.
const ROUTE: &str = "reply route ";
const OF: &str = "of ";
const OPEN: &str = "open";
const LOST: &str = "lost since ";

/// Ports that one record names.
const NAMED: usize = 50;

/// How far back a route's history is looked for, and in how many records; a lost one is written anew long before.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(62 * 24);
const MOST_READ: usize = 200_000;
const ANEW_MS: i64 = 24 * 60 * 60 * 1000;

/// When what is lost was last written anew, UTC milliseconds.
#[derive(Debug, Default)]
pub(in crate::gate) struct Written(AtomicI64);

/// Lost routes by when.
type Lost = BTreeMap<Timestamp, Vec<Box<str>>>;

/// What a record says.
#[derive(Debug, PartialEq, Eq)]
struct Told<'e> {
    /// Of which ports; of all of the account where none is named.
    of: Option<Vec<&'e str>>,
    lost: Option<Timestamp>,
}

impl Gate {
    /// A session is bound and can or cannot receive; which ports it is for, where it can.
    pub(in crate::gate) fn route_opened(
        &self,
        origin: Origin<'_>,
        (kind, range): (BindKind, AddressRange),
        now: Timestamp,
    ) -> Arc<Reach> {
        if !receives(kind) {
            return Arc::default();
        }
        let _in_order = self.routes.in_order();
        let (reach, turn) = self.routes.open(&origin.provider, origin.session, range);
        self.write_turn(&turn, now);
        reach
    }

    /// A session has ended; nobody says when where it broke off.
    pub(in crate::gate) fn route_closed(&self, origin: Origin<'_>, now: Option<Timestamp>) {
        let _in_order = self.routes.in_order();
        let turn = self.routes.close(&origin.provider, origin.session, now);
        if let Some(now) = now {
            self.write_turn(&turn, now);
        }
    }

    /// The register has changed: new ports come in, others go out, and what was kept for lack of a bind may go.
    pub fn follow_ports(&self, now: Timestamp) {
        let in_order = self.routes.in_order();
        for turn in self.routes.follow(&self.register.load(), now) {
            self.write_turn(&turn, now);
        }
        drop(in_order);
        self.accounts.try_again();
    }

    /// Since when replies to a message do not come in, where the profile lets that matter.
    pub(in crate::gate) fn lost_route(&self, identity: &Identity<'_>, now: Timestamp) -> Option<Timestamp> {
        self.profile.opt_out.dead_after()?;
        let port = identity.port.map_or(OTHERS, |port| port.number.as_str());
        self.routes.lost(&identity.provider.system_id, port, now)
    }

    /// The routes that are lost, where the profile lets that matter.
    pub fn lost_routes(&self, now: Timestamp) -> Vec<super::LostRoutes> {
        if self.profile.opt_out.dead_after().is_none() {
            return Vec::new();
        }
        self.routes.lost_ones(now)
    }

    /// Whether what is lost is to be written anew, so that it is found after a long time.
    pub(in crate::gate) fn has_old_routes(&self, now: Timestamp) -> bool {
        let last = self.routes_written.0.load(Ordering::Relaxed);
        self.profile.opt_out.dead_after().is_some() && now.as_millisecond() - last >= ANEW_MS
    }

    /// Writes all that is lost.
    pub(in crate::gate) fn write_routes_anew(&self, now: Timestamp) {
        self.routes_written.0.store(now.as_millisecond(), Ordering::Relaxed);
        for (provider, of, lost) in self.routes.lost_since(now) {
            for (since, names) in lost {
                self.write_routes(&provider, &names, of, &format!("{LOST}{since}"), now);
            }
        }
    }

    fn write_turn(&self, turn: &Turn, now: Timestamp) {
        self.write_routes(&turn.provider, &turn.opened, turn.of, OPEN, now);
        self.write_routes(&turn.provider, &turn.lost, turn.of, &format!("{LOST}{now}"), now);
    }

    fn write_routes(&self, provider: &str, names: &[Box<str>], of: usize, what: &str, now: Timestamp) {
        if self.profile.opt_out.dead_after().is_none() {
            return;
        }
        for event in said(names, of, what) {
            // Which session it was is signalling, which expires before this is forgotten.
            let origin = Origin { provider: provider.into(), session: 0, peer: "".into() };
            let record = Record::Session(record::Session { at_ms: now.as_millisecond(), origin, event: event.into() });
            if let Err(error) = self.journal.append(record.encode(Vec::new())) {
                tracing::error!(%error, "what became of a reply route could not be recorded");
            }
        }
    }

    /// Takes up what the process before knew. A route that it left open is lost now.
    pub(in crate::gate) fn restore_routes(&self, now: Timestamp) -> Result<(), StoreError> {
        let register = self.register.load();
        self.routes.follow(&register, now);
        if self.profile.opt_out.dead_after().is_none() {
            return Ok(());
        }
        let mut wanted = self.routes.names();
        let since = now.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
        let query = Query {
            key: Some((Index::Source, REPLY_ROUTE.to_vec())),
            since_ms: Some(since.as_millisecond()),
            newest_first: true,
            ..Query::default()
        };
        let mut is_old = false;
        for entry in self.journal.find(query)?.take(MOST_READ) {
            if wanted.is_empty() {
                break;
            }
            let (id, payload) = entry?;
            let Ok(Record::Session(record)) = Record::decode(&payload) else {
                tracing::error!(record = %id, "a record of a reply route cannot be read");
                continue;
            };
            let Some(told) = Told::read(&record.event) else { continue };
            let names = told.names(&record.origin.provider, &mut wanted);
            is_old |= !names.is_empty() && (told.lost.is_none() || now.as_millisecond() - record.at_ms >= ANEW_MS);
            self.routes.restore(&record.origin.provider, &names, told.lost.unwrap_or(now));
        }
        if is_old || !wanted.is_empty() {
            self.write_routes_anew(now);
        }
        self.routes_written.0.store(now.as_millisecond(), Ordering::Relaxed);
        Ok(())
    }
}

impl super::Routes {
    /// The routes of each provider.
    fn names(&self) -> HashMap<String, HashSet<Box<str>>> {
        let list = self.lock();
        list.iter().map(|(provider, account)| (provider.clone(), account.routes.keys().cloned().collect())).collect()
    }

    fn restore(&self, provider: &str, names: &[Box<str>], lost: Timestamp) {
        let mut list = self.lock();
        let Some(account) = list.get_mut(provider) else { return };
        for name in names {
            if let Some(route) = account.routes.get_mut(name) {
                route.lost = Some(lost);
            }
        }
    }

    /// What is lost, by provider and moment, with the number of the provider's routes.
    fn lost_since(&self, now: Timestamp) -> Vec<(String, usize, Lost)> {
        let mut list = self.lock();
        let lost = list.iter_mut().map(|(provider, account)| {
            let mut lost = Lost::new();
            for (name, route) in account.routes.iter_mut().filter(|(_, route)| route.binds == 0) {
                lost.entry(*route.lost.get_or_insert(now)).or_default().push(name.clone());
            }
            (provider.clone(), account.routes.len(), lost)
        });
        lost.collect()
    }
}

/// The events that say so of these routes among so many.
fn said(names: &[Box<str>], of: usize, what: &str) -> Vec<String> {
    if !names.is_empty() && names.len() == of {
        return vec![format!("{ROUTE}{what}")];
    }
    names.chunks(NAMED).map(|names| format!("{ROUTE}{OF}{} {what}", names.join(", "))).collect()
}

impl<'e> Told<'e> {
    fn read(event: &'e str) -> Option<Self> {
        let said = event.strip_prefix(ROUTE)?;
        let (rest, lost) = match said.rsplit_once(LOST) {
            Some((rest, at)) => (rest, Some(at.parse().ok()?)),
            None => (said.strip_suffix(OPEN)?, None),
        };
        let of = rest.strip_prefix(OF).map(|names| names.trim_end().split(", ").collect());
        Some(Self { of, lost })
    }

    /// Those it speaks of that nothing newer spoke of.
    fn names(&self, provider: &str, wanted: &mut HashMap<String, HashSet<Box<str>>>) -> Vec<Box<str>> {
        let Some(left) = wanted.get_mut(provider) else { return Vec::new() };
        let names = match &self.of {
            None => left.drain().collect(),
            Some(names) => names.iter().filter_map(|name| left.take(*name)).collect(),
        };
        if left.is_empty() {
            wanted.remove(provider);
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOMENT: &str = "2026-11-24T10:00:00Z";

    #[test]
    fn an_older_gates_records_speak_of_all_ports() {
        let at = Some(MOMENT.parse().unwrap());
        assert_eq!(Told::read("reply route open"), Some(Told { of: None, lost: None }));
        assert_eq!(Told::read(&format!("reply route lost since {MOMENT}")), Some(Told { of: None, lost: at }));
        assert_eq!(Told::read("reply route closed"), None);
        assert_eq!(Told::read("reply route lost since ever"), None);
        assert_eq!(Told::read("bound as transceiver"), None);
    }

    #[test]
    fn what_was_told_last_of_a_port_counts() {
        let all: HashSet<Box<str>> = ["1", "2", OTHERS].map(Box::from).into();
        let mut wanted = HashMap::from([("p".to_owned(), all)]);
        let some = Told { of: Some(vec!["2", "3"]), lost: None };
        assert_eq!(some.names("p", &mut wanted), ["2".into()]);
        assert!(some.names("p", &mut wanted).is_empty() && some.names("q", &mut wanted).is_empty());
        let mut rest = Told { of: None, lost: None }.names("p", &mut wanted);
        rest.sort_unstable();
        assert_eq!(rest, [OTHERS.into(), "1".into()]);
        assert!(wanted.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            names in proptest::collection::hash_set("[0-9]{1,20}|[A-Za-z0-9_.&][A-Za-z0-9 _.&-]{0,9}[A-Za-z0-9]", 1..120),
            more in 0usize..2,
            is_lost: bool,
        ) {
            let names: Vec<Box<str>> = names.into_iter().map(Into::into).chain([OTHERS.into()]).collect();
            let what = if is_lost { format!("{LOST}{MOMENT}") } else { OPEN.to_owned() };
            let mut wanted = HashMap::from([("p".to_owned(), names.iter().cloned().collect())]);
            for event in said(&names, names.len() + more, &what) {
                let told = Told::read(&event).expect("an event of our own");
                prop_assert_eq!(told.lost.is_some(), is_lost);
                told.names("p", &mut wanted);
            }
            prop_assert!(wanted.is_empty(), "{:?}", wanted);
        }
    }
}
