//! The binds of each account, and what the gate owes it while none of them can take it.
//!
//! Owns which session of an account sends what the gate owes. Refuses to keep more than its
//! bound: what is dropped then is said, and the journal still has it. Driven by the desks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::mailbox::{Mail, Mailbox};
use super::owed::Owed;
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
struct Bound {
    session: u64,
    kind: BindKind,
    mailbox: Mailbox,
}

impl Bound {
    fn fits(&self, owed: &Owed) -> bool {
        match owed {
            Owed::Part(_) | Owed::Withdrawal(_) => self.kind != BindKind::Receiver,
            Owed::Report(_) => self.kind != BindKind::Transmitter,
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
    pub(super) fn join(&self, provider: &str, session: u64, kind: BindKind, mailbox: Mailbox) {
        let mut list = self.lock();
        let account = list.entry(provider.to_owned()).or_default();
        account.binds.push(Bound { session, kind, mailbox });
        for owed in std::mem::take(&mut account.backlog) {
            account.post(owed);
        }
    }

    /// A session takes no more. Nothing reaches its mailbox after this.
    pub(super) fn leave(&self, session: u64) {
        self.lock().retain(|_, account| {
            account.binds.retain(|bound| bound.session != session);
            !(account.binds.is_empty() && account.backlog.is_empty())
        });
    }

    /// Hands something owed to a session that can send it, or keeps it for the next one.
    pub(super) fn post(&self, owed: Owed) {
        let mut list = self.lock();
        let account = list.entry(owed.provider().to_owned()).or_default();
        account.post(Box::new(owed));
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
    fn post(&mut self, mut owed: Box<Owed>) {
        self.turn = self.turn.wrapping_add(1);
        let fitting: Vec<&Bound> = self.binds.iter().filter(|bound| bound.fits(&owed)).collect();
        for n in 0..fitting.len() {
            match fitting[(self.turn + n) % fitting.len()].give(owed) {
                Ok(()) => return,
                Err(back) => owed = back,
            }
        }
        if self.backlog.len() >= BACKLOG
            && let Some(dropped) = self.backlog.pop_front()
        {
            tracing::error!(provider = dropped.provider(), "too much is owed to a provider without a fitting bind");
        }
        self.backlog.push_back(owed);
    }
}
