//! Who is connected, and how many binds each provider has.
//!
//! Owns the list of sessions and the limits on it. Refuses to know what they do.
//! Driven by the listener and the desks; read by the admin socket.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The sessions there are.
#[derive(Debug)]
pub struct Sessions {
    list: Mutex<List>,
    most: usize,
}

#[derive(Debug, Default)]
struct List {
    last: u64,
    sessions: BTreeMap<u64, SessionStatus>,
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

impl Sessions {
    /// Room for `most` sessions at a time.
    pub fn new(most: usize) -> Self {
        Self { list: Mutex::default(), most }
    }

    /// Enters a fresh connection; `None` when there are too many.
    pub fn enter(&self, peer: SocketAddr, now: Timestamp) -> Option<u64> {
        let mut list = self.lock();
        if list.sessions.len() >= self.most {
            return None;
        }
        list.last += 1;
        let session = list.last;
        list.sessions.insert(session, SessionStatus { session, peer, since: now, provider: None });
        Some(session)
    }

    /// Takes one of the provider's binds for this session; false when all are taken.
    pub fn take_bind(&self, session: u64, provider: &str, most: usize) -> bool {
        let mut list = self.lock();
        let others = list
            .sessions
            .values()
            .filter(|other| other.session != session && other.provider.as_deref() == Some(provider))
            .count();
        if others >= most {
            return false;
        }
        if let Some(status) = list.sessions.get_mut(&session) {
            status.provider = Some(provider.to_owned());
        }
        true
    }

    /// Forgets a session that has ended.
    pub fn leave(&self, session: u64) {
        self.lock().sessions.remove(&session);
    }

    /// The sessions now.
    pub fn list(&self) -> Vec<SessionStatus> {
        self.lock().sessions.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> SocketAddr {
        "127.0.0.1:1000".parse().unwrap()
    }

    #[test]
    fn a_provider_has_at_most_its_number_of_binds_and_gets_one_back_when_a_session_ends() {
        let sessions = Sessions::new(10);
        let enter = || sessions.enter(peer(), Timestamp::UNIX_EPOCH).unwrap();
        let (first, second) = (enter(), enter());
        assert!(sessions.take_bind(first, "agg1", 1));
        assert!(sessions.take_bind(first, "agg1", 1), "the same session binds again");
        assert!(!sessions.take_bind(second, "agg1", 1));
        assert!(sessions.take_bind(second, "agg2", 1));
        sessions.leave(first);
        assert!(sessions.take_bind(enter(), "agg1", 1));
    }

    #[test]
    fn connections_beyond_the_limit_are_turned_away() {
        let sessions = Sessions::new(1);
        assert!(sessions.enter(peer(), Timestamp::UNIX_EPOCH).is_some());
        assert!(sessions.enter(peer(), Timestamp::UNIX_EPOCH).is_none());
    }
}
