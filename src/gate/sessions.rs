//! Who is connected, and how many binds each provider has.
//!
//! Owns the list of sessions and the limits on it: in total, for each address, for each
//! provider. Refuses to know what they do. Driven by the listener and the desks; read by the
//! admin socket.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many there may be at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Connections, bound or not.
    pub sessions: usize,
    /// Connections from one address.
    pub per_address: usize,
    /// Binds of all providers.
    pub binds: usize,
}

/// The sessions there are.
#[derive(Debug)]
pub struct Sessions {
    list: Mutex<List>,
    limits: SessionLimits,
}

#[derive(Debug, Default)]
struct List {
    last: u64,
    sessions: BTreeMap<u64, SessionStatus>,
    by_address: HashMap<IpAddr, usize>,
    by_provider: HashMap<String, usize>,
}

/// One session, as `portcullis status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// The gate's number of it.
    pub session: u64,
    /// The provider's network address.
    pub peer: SocketAddr,
    /// When the connection was accepted.
    pub since: Timestamp,
    /// The provider, once its bind is accepted.
    pub provider: Option<String>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// Connections in total.
    #[error("max_sessions reached")]
    Sessions,
    /// Connections from this address.
    #[error("max_sessions_per_address reached")]
    Address,
    /// Binds of this provider.
    #[error("all of its binds are in use")]
    Provider,
    /// Binds in total.
    #[error("max_binds of the gate reached")]
    Binds,
}

/// A connection's entry in the list, given back when dropped.
#[derive(Debug)]
pub struct Place {
    sessions: Arc<Sessions>,
    session: u64,
    peer: SocketAddr,
    /// The address it counts for.
    counted: Option<IpAddr>,
}

/// The address an origin is counted by: a whole /64 where the peer has one to itself.
pub(super) fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address => address,
    }
}

impl Sessions {
    /// Room within these limits.
    pub fn new(limits: SessionLimits) -> Arc<Self> {
        Arc::new(Self { list: Mutex::default(), limits })
    }

    /// Enters a fresh connection.
    pub fn enter(self: &Arc<Self>, peer: SocketAddr, now: Timestamp) -> Result<Place, Full> {
        let mut list = self.lock();
        if list.sessions.len() >= self.limits.sessions {
            return Err(Full::Sessions);
        }
        list.last += 1;
        let session = list.last;
        list.sessions.insert(session, SessionStatus { session, peer, since: now, provider: None });
        Ok(Place { sessions: Arc::clone(self), session, peer, counted: None })
    }

    /// The sessions now.
    pub fn list(&self) -> Vec<SessionStatus> {
        self.lock().sessions.values().cloned().collect()
    }

    /// Where a session's provider comes from.
    pub(super) fn peer(&self, session: u64) -> Option<SocketAddr> {
        self.lock().sessions.get(&session).map(|status| status.peer)
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The session's number.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// Where the provider comes from.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Counts the connection for the address it really comes from, once that is known.
    pub fn settle(&mut self, peer: SocketAddr) -> Result<(), Full> {
        let address = origin(peer.ip());
        let mut list = self.sessions.lock();
        let count = list.by_address.get(&address).copied().unwrap_or(0);
        if count >= self.sessions.limits.per_address {
            return Err(Full::Address);
        }
        list.by_address.insert(address, count + 1);
        if let Some(status) = list.sessions.get_mut(&self.session) {
            status.peer = peer;
        }
        drop(list);
        self.counted = Some(address);
        self.peer = peer;
        Ok(())
    }

    /// Takes one of the provider's binds for this session.
    pub fn take_bind(&self, provider: &str, most: usize) -> Result<(), Full> {
        let mut list = self.sessions.lock();
        list.give_back(self.session);
        let count = list.by_provider.get(provider).copied().unwrap_or(0);
        if count >= most {
            return Err(Full::Provider);
        }
        if list.by_provider.values().sum::<usize>() >= self.sessions.limits.binds {
            return Err(Full::Binds);
        }
        list.by_provider.insert(provider.to_owned(), count + 1);
        if let Some(status) = list.sessions.get_mut(&self.session) {
            status.provider = Some(provider.to_owned());
        }
        Ok(())
    }

    /// Gives the bind back that came to nothing.
    pub fn give_back_bind(&self) {
        self.sessions.lock().give_back(self.session);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut list = self.sessions.lock();
        list.give_back(self.session);
        list.sessions.remove(&self.session);
        if let Some(address) = self.counted {
            less(&mut list.by_address, &address);
        }
    }
}

impl List {
    fn give_back(&mut self, session: u64) {
        if let Some(provider) = self.sessions.get_mut(&session).and_then(|status| status.provider.take()) {
            less(&mut self.by_provider, &provider);
        }
    }
}

fn less<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(sessions: usize, per_address: usize, binds: usize) -> Arc<Sessions> {
        Sessions::new(SessionLimits { sessions, per_address, binds })
    }

    fn enter(sessions: &Arc<Sessions>) -> Place {
        sessions.enter("127.0.0.1:1000".parse().unwrap(), Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn a_provider_has_at_most_its_number_of_binds_and_gets_one_back_when_a_session_ends() {
        let sessions = sessions(10, 10, 10);
        let (first, second) = (enter(&sessions), enter(&sessions));
        assert_eq!(first.take_bind("agg1", 1), Ok(()));
        assert_eq!(first.take_bind("agg1", 1), Ok(()), "the same session binds again");
        assert_eq!(second.take_bind("agg1", 1), Err(Full::Provider));
        assert_eq!(second.take_bind("agg2", 1), Ok(()));
        drop(first);
        assert_eq!(enter(&sessions).take_bind("agg1", 1), Ok(()));
        second.give_back_bind();
        assert_eq!(enter(&sessions).take_bind("agg2", 1), Ok(()));
    }

    #[test]
    fn binds_of_all_providers_have_a_limit_too() {
        let sessions = sessions(10, 10, 2);
        let places = [enter(&sessions), enter(&sessions), enter(&sessions)];
        assert_eq!(places[0].take_bind("agg1", 9), Ok(()));
        assert_eq!(places[1].take_bind("agg2", 9), Ok(()));
        assert_eq!(places[2].take_bind("agg3", 9), Err(Full::Binds));
        assert_eq!(places[1].take_bind("agg3", 9), Ok(()), "its own bind is not in its way");
    }

    #[test]
    fn connections_beyond_the_limit_are_turned_away() {
        let sessions = sessions(1, 10, 10);
        let place = enter(&sessions);
        let more = sessions.enter(place.peer(), Timestamp::UNIX_EPOCH);
        assert_eq!(more.map(|_| ()), Err(Full::Sessions));
        drop(place);
        enter(&sessions);
        assert_eq!(sessions.list(), []);
    }

    #[test]
    fn an_address_has_at_most_its_share() {
        let sessions = sessions(10, 2, 10);
        let mut settled = Vec::new();
        let mut from = |address: &str| {
            let mut place = enter(&sessions);
            let outcome = place.settle(format!("{address}:1").parse().unwrap());
            settled.push(place);
            outcome
        };
        assert_eq!(from("192.0.2.1"), Ok(()));
        assert_eq!(from("[::ffff:192.0.2.1]"), Ok(()), "the same address");
        assert_eq!(from("192.0.2.1"), Err(Full::Address));
        assert_eq!(from("192.0.2.2"), Ok(()));
        assert_eq!(from("[2001:db8::1]"), Ok(()));
        assert_eq!(from("[2001:db8::ffff:2]"), Ok(()));
        assert_eq!(from("[2001:db8::3]"), Err(Full::Address), "the same /64");
        settled.clear();
        assert!(sessions.lock().by_address.is_empty());
    }
}
