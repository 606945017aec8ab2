//! By which binds replies to a provider's ports come in, and since when there is none.
//!
//! Owns the receiving binds of each provider, which of its ports each is for (`address_range`), and since when a port
//! has none. A session has a carrier bind of its own, which goes and comes with the provider's: who cannot receive
//! from the carrier is not here. Refuses to judge: R07 does. Driven by the desks and by a register that changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::address_range::AddressRange;
use crate::register::Register;
use crate::relay::BindKind;

mod history;
mod seen;
#[cfg(test)]
mod tests;

pub(super) use history::Written;
pub use seen::LostRoutes;

/// Stands for the numbers that the register does not have: any bind takes replies to them.
const OTHERS: &str = "*";

/// The routes of all providers.
#[derive(Debug, Default)]
pub(super) struct Routes {
    list: Mutex<HashMap<String, Account>>,
    /// Held from a turn to its record, so that the last record says how it stands.
    order: Mutex<()>,
}

#[derive(Debug)]
struct Account {
    /// The sessions that can receive.
    binds: BTreeMap<u64, Arc<Reach>>,
    ports: Arc<Ports>,
    /// By port, and of the others.
    routes: HashMap<Box<str>, Route>,
}

/// The ports of a provider, each with the numbers by which a range is tried: its own, and what the provider has of it.
type Ports = HashMap<Box<str>, Vec<Box<str>>>;

#[derive(Clone, Copy, Debug, Default)]
struct Route {
    /// Sessions that take replies.
    binds: usize,
    /// Since when there is none, once that is known.
    lost: Option<Timestamp>,
}

/// Which of its account's ports a bind is for.
#[derive(Debug, Default)]
pub(super) struct Reach {
    range: AddressRange,
    /// Those it is not for.
    refused: ArcSwap<HashSet<Box<str>>>,
}

/// What an event did to an account's routes; the names of all of them where it did it to all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Turn {
    provider: String,
    opened: Vec<Box<str>>,
    lost: Vec<Box<str>>,
    /// How many routes the account has.
    of: usize,
}

impl Reach {
    /// Whether replies to a port of the register come in by this bind.
    pub(super) fn takes(&self, port: &str) -> bool {
        !self.refused.load().contains(port)
    }

    /// The ports that it is not for. A range that is for none of them is about something else: some peers put
    /// their own number there, or their subscribers'.
    fn refused(&self, ports: &Ports) -> HashSet<Box<str>> {
        if !self.range.is_narrow() {
            return HashSet::new();
        }
        let takes = |tried: &[Box<str>]| tried.iter().any(|number| self.range.may_take(number));
        let refused: HashSet<_> =
            ports.iter().filter(|(_, tried)| !takes(tried)).map(|(port, _)| port.clone()).collect();
        if refused.len() == ports.len() { HashSet::new() } else { refused }
    }

    /// Why it counts as all, where it says something else.
    fn remark(&self, ports: &Ports) -> Option<&'static str> {
        if self.range.is_unreadable() {
            return Some("is no regular expression and counts as all");
        }
        let is_none = self.range.is_narrow() && self.refused.load().is_empty() && !ports.is_empty();
        let takes_any = || ports.values().flatten().any(|number| self.range.takes(number));
        (is_none && !takes_any()).then_some("is for none of its ports and counts as all")
    }
}

impl Routes {
    /// One turn at a time, for as long as this is held.
    fn in_order(&self) -> MutexGuard<'_, ()> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session is bound. Nothing comes back where it cannot receive.
    fn open(&self, provider: &str, session: u64, range: AddressRange) -> (Arc<Reach>, Turn) {
        let reach = Arc::new(Reach { range, ..Reach::default() });
        loop {
            let ports = Arc::clone(&self.lock().entry(provider.to_owned()).or_default().ports);
            // Not while everybody waits.
            reach.refused.store(Arc::new(reach.refused(&ports)));
            let mut list = self.lock();
            let account = list.entry(provider.to_owned()).or_default();
            if !Arc::ptr_eq(&account.ports, &ports) {
                continue;
            }
            if let Some(remark) = reach.remark(&ports) {
                tracing::warn!(provider, session, "{} {remark}", reach.range);
            }
            account.binds.insert(session, Arc::clone(&reach));
            return (reach, account.settle(provider, None));
        }
    }

    /// A session takes no more; nobody says when where it broke off.
    fn close(&self, provider: &str, session: u64, now: Option<Timestamp>) -> Turn {
        let mut list = self.lock();
        let Some(account) = list.get_mut(provider) else { return Turn::default() };
        match account.binds.remove(&session) {
            Some(_) => account.settle(provider, now),
            None => Turn::default(),
        }
    }

    /// Takes up the ports of a register: new ones have the routes that are there, and none from now on where there is
    /// none.
    fn follow(&self, register: &Register, now: Timestamp) -> Vec<Turn> {
        let mut ports: HashMap<&str, Ports> = HashMap::new();
        for provider in register.providers() {
            ports.insert(&provider.system_id, Ports::new());
        }
        for port in register.ports() {
            for provider in register.providers_of(port) {
                let own = [port.number.as_str()].into_iter();
                let tried = own.chain(provider.extensions_of(port.number.as_bytes())).map(Box::from).collect();
                ports.entry(&provider.system_id).or_default().insert(port.number.as_str().into(), tried);
            }
        }
        let gone: Vec<String> =
            self.lock().keys().filter(|known| !ports.contains_key(known.as_str())).cloned().collect();
        let gone = gone.iter().map(|provider| (provider.as_str(), Ports::new()));
        let all: Vec<_> = ports.into_iter().chain(gone).collect();
        let turns = all.into_iter().map(|(provider, ports)| self.follow_account(provider, Arc::new(ports), now));
        let turns = turns.filter(|turn| !turn.is_empty()).collect();
        self.lock().retain(|provider, account| !account.binds.is_empty() || register.provider(provider).is_some());
        turns
    }

    fn follow_account(&self, provider: &str, ports: Arc<Ports>, now: Timestamp) -> Turn {
        let mut list = self.lock();
        let account = list.entry(provider.to_owned()).or_default();
        if *account.ports == *ports {
            return Turn::default();
        }
        account.ports = ports;
        for reach in account.binds.values() {
            reach.refused.store(Arc::new(reach.refused(&account.ports)));
        }
        account.settle(provider, Some(now))
    }

    /// Since when replies to a port of a provider do not come in. A provider that was never seen has lost its routes
    /// now; a port that is not among its own has the routes of the others.
    pub(super) fn lost(&self, provider: &str, port: &str, now: Timestamp) -> Option<Timestamp> {
        let mut list = self.lock();
        let Some(account) = list.get_mut(provider) else {
            let unseen = Account {
                routes: HashMap::from([(OTHERS.into(), Route { binds: 0, lost: Some(now) })]),
                ..Account::default()
            };
            list.insert(provider.to_owned(), unseen);
            return Some(now);
        };
        let name = if account.routes.contains_key(port) { port } else { OTHERS };
        let route = account.routes.get_mut(name).filter(|route| route.binds == 0)?;
        Some(*route.lost.get_or_insert(now))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Account {
    fn default() -> Self {
        let routes = HashMap::from([(OTHERS.into(), Route::default())]);
        Self { binds: BTreeMap::new(), ports: Arc::default(), routes }
    }
}

impl Account {
    /// Counts the binds of each route anew, once binds or ports have changed.
    fn settle(&mut self, provider: &str, now: Option<Timestamp>) -> Turn {
        self.routes.retain(|name, _| name.as_ref() == OTHERS || self.ports.contains_key(name));
        let mut turn =
            Turn { provider: provider.to_owned(), of: self.ports.len() + 1, opened: Vec::new(), lost: Vec::new() };
        let refused: Vec<_> = self.binds.values().map(|reach| reach.refused.load()).collect();
        let narrow: Vec<_> = refused.iter().filter(|refused| !refused.is_empty()).collect();
        for name in self.ports.keys().map(AsRef::as_ref).chain([OTHERS]) {
            let binds = refused.len() - narrow.iter().filter(|refused| refused.contains(name)).count();
            let is_new = !self.routes.contains_key(name);
            if is_new {
                self.routes.insert(name.into(), Route::default());
            }
            let Some(route) = self.routes.get_mut(name) else { continue };
            let was_open = std::mem::replace(&mut route.binds, binds) > 0;
            match (was_open, binds > 0) {
                (false, true) => turn.opened.push(name.into()),
                (true, false) => turn.lost.push(name.into()),
                (false, false) if is_new => turn.lost.push(name.into()),
                _ => continue,
            }
            route.lost = now.filter(|_| binds == 0);
        }
        turn
    }
}

impl Turn {
    fn is_empty(&self) -> bool {
        self.opened.is_empty() && self.lost.is_empty()
    }
}

/// Whether a bind of this kind gets deliveries.
const fn receives(kind: BindKind) -> bool {
    !matches!(kind, BindKind::Transmitter)
}
