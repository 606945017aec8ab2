//! The binds of each account, and what the gate owes it while none of them can take it.
//!
//! Owns which session of an account sends what the gate owes. Refuses to keep more than its
//! bound: the oldest then gives way, and whoever posted sees to its end. Driven by the desks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::mailbox::{Mail, Mailbox};
use super::owed::Owed;
use super::routes::Reach;
use crate::relay::BindKind;

/// Kept for an account without a fitting bind; then the oldest go.
const BACKLOG: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Accounts {
    list: Mutex<HashMap<String, Account>>,
}

#[derive(Debug, Default)]
struct Account {
    binds: Vec<Bound>,
    backlog: VecDeque<Box<Owed>>,
    turn: usize,
}

/// One bound session.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) session: u64,
    pub(super) kind: BindKind,
    /// The ports it is for, where it receives.
    pub(super) reach: Arc<Reach>,
    pub(super) mailbox: Mailbox,
}

impl Bound {
    fn fits(&self, owed: &Owed) -> bool {
        match owed {
            Owed::Part(_) | Owed::Withdrawal(_) => self.kind != BindKind::Receiver,
            Owed::Report(report) => self.kind != BindKind::Transmitter && self.reach.takes(&report.route),
        }
    }

    fn give(&self, owed: Box<Owed>) -> Result<(), Box<Owed>> {
        let sent = self.mailbox.try_send(Mail::Owed(owed));
        sent.map_err(|error| match error.into_inner() {
            Mail::Owed(owed) => owed,
            Mail::Judged(_) | Mail::Looked(_) => unreachable!("what comes back is what was sent"),
        })
    }
}

impl Accounts {
    /// A session is bound: it gets what waits for one of its kind.
    pub(super) fn join(&self, provider: &str, bound: Bound) {
        let mut list = self.lock();
        let account = list.entry(provider.to_owned()).or_default();
        account.binds.push(bound);
        account.try_again();
    }

    /// The binds are for other ports than before.
    pub(super) fn try_again(&self) {
        self.lock().values_mut().for_each(Account::try_again);
    }

    /// A session takes no more. Nothing reaches its mailbox after this.
    pub(super) fn leave(&self, session: u64) {
        self.lock().retain(|_, account| {
            account.binds.retain(|bound| bound.session != session);
            !(account.binds.is_empty() && account.backlog.is_empty())
        });
    }

    /// Hands something owed to a session that can send it, or keeps it for the next one; what gives way to it
    /// comes back.
    #[must_use]
    pub(super) fn post(&self, owed: Owed) -> Option<Owed> {
        let mut list = self.lock();
        let account = list.entry(owed.provider().to_owned()).or_default();
        account.post(Box::new(owed)).map(|owed| *owed)
    }

    /// Hands something owed to a session that can send it now; whether there was one.
    pub(super) fn offer(&self, owed: Owed) -> bool {
        self.lock().get_mut(owed.provider()).is_some_and(|account| account.offer(Box::new(owed)).is_ok())
    }

    /// Whether something for the carrier is sent, or kept, without that anything gives way.
    pub(super) fn takes(&self, provider: &str) -> bool {
        self.can_send(provider) || self.lock().get(provider).is_none_or(|account| account.backlog.len() < BACKLOG)
    }

    /// Whether a session of the account is there that can send messages.
    pub(super) fn can_send(&self, provider: &str) -> bool {
        let can_send = |bound: &Bound| bound.kind != BindKind::Receiver;
        self.lock().get(provider).is_some_and(|account| account.binds.iter().any(can_send))
    }

    /// What nobody has sent.
    pub(super) fn unsent(&self) -> Vec<Owed> {
        self.lock().values_mut().flat_map(|account| std::mem::take(&mut account.backlog)).map(|owed| *owed).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn try_again(&mut self) {
        for owed in std::mem::take(&mut self.backlog) {
            // Nothing gives way: there was room for each of them.
            let _none = self.post(owed);
        }
    }

    fn post(&mut self, owed: Box<Owed>) -> Option<Box<Owed>> {
        let owed = self.offer(owed).err()?;
        let oldest = if self.backlog.len() >= BACKLOG { self.backlog.pop_front() } else { None };
        self.backlog.push_back(owed);
        oldest
    }

    fn offer(&mut self, mut owed: Box<Owed>) -> Result<(), Box<Owed>> {
        self.turn = self.turn.wrapping_add(1);
        let fitting: Vec<&Bound> = self.binds.iter().filter(|bound| bound.fits(&owed)).collect();
        for n in 0..fitting.len() {
            match fitting[(self.turn + n) % fitting.len()].give(owed) {
                Ok(()) => return Ok(()),
                Err(back) => owed = back,
            }
        }
        Err(owed)
    }
}

#[cfg(test)]
mod tests {
    use portcullis_protocol::pdu::EnquireLink;
    use portcullis_protocol::{CommandStatus, Pdu};

    use super::*;
    use crate::gate::owed::{Report, State};
    use crate::store::EntryId;
    use crate::store::journal::Day;

    fn report(number: u64) -> Owed {
        let id = EntryId { day: Day(jiff::civil::date(2026, 11, 24)), number };
        let frame = Pdu::EnquireLink(EnquireLink::default()).to_frame(CommandStatus::ESME_ROK, 0);
        let provider = "herald".to_owned();
        let (subscriber, port, route) = (String::new(), String::new(), "1069".to_owned());
        Owed::Report(Report {
            provider,
            id,
            frame,
            subscriber,
            port,
            route,
            state: State::Unknown,
            attempts: 0,
            not_before: None,
        })
    }

    #[test]
    fn beyond_its_bound_the_oldest_gives_way_and_comes_back() {
        let accounts = Accounts::default();
        for number in 0..100_000 {
            assert!(accounts.takes("herald"));
            assert!(accounts.post(report(number)).is_none());
        }
        assert!(!accounts.takes("herald") && accounts.takes("courier"));
        let Some(Owed::Report(oldest)) = accounts.post(report(100_000)) else { panic!("nothing gave way") };
        assert_eq!(oldest.id.number, 0);
        assert!(!accounts.offer(report(100_001)), "nobody is bound");
        assert_eq!(accounts.unsent().len(), 100_000);
    }
}
