//! What the providers were told, and whether the journal knows of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use portcullis::admin::api::{Line, Request};
use portcullis::admin::client::{Access, AccessError};
use portcullis::config::Config;
use portcullis::gate::evidence::{Found, Query};
use portcullis_protocol::CommandStatus;

use crate::messages::{Merit, serial_in, serial_of};

/// Faults told one by one; beyond them they are only counted.
const TOLD: usize = 10;

/// What a record must say of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// Accepted: `forward`.
    Accepted,
    /// Its first part was accepted, which says nothing of the whole.
    Begun,
    /// Refused for good: `reject`.
    Refused,
}

/// What happened to the load.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) messages: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    /// Refused for now.
    pub(crate) put_off: AtomicU64,
    /// Left without an answer by a connection that was lost.
    pub(crate) unanswered: AtomicU64,
    /// Receipts and replies.
    pub(crate) delivered: AtomicU64,
    told: Mutex<HashMap<u32, Told>>,
    faults: Mutex<(Vec<String>, u64)>,
}

impl Ledger {
    /// An answer to a PDU of this message.
    pub(crate) fn answered(&self, serial: u32, merit: Merit, told: Option<Told>, status: CommandStatus) {
        let by_rule = (0x0480..0x0500).contains(&status.0);
        let counter = match status {
            CommandStatus::ESME_ROK => &self.accepted,
            _ if by_rule => &self.refused,
            _ => &self.put_off,
        };
        counter.fetch_add(1, Relaxed);
        match (merit, status) {
            (Merit::Compliant, _) if by_rule => self.fault(format!("{serial}: compliant, and refused with {status:?}")),
            // A part that is acknowledged says nothing of the whole.
            (Merit::Offending | Merit::Broken, CommandStatus::ESME_ROK) if told == Some(Told::Accepted) => {
                self.fault(format!("{serial}: {merit:?}, and accepted"));
            }
            _ => {}
        }
        let told = match status {
            CommandStatus::ESME_ROK => told,
            _ if by_rule && merit != Merit::Broken => told.map(|_| Told::Refused),
            _ => None,
        };
        if let Some(told) = told {
            // A part that comes again may be told more than the first: any of it must be recorded.
            lock(&self.told).insert(serial, told);
        }
    }

    pub(crate) fn fault(&self, what: String) {
        let mut faults = lock(&self.faults);
        faults.1 += 1;
        if faults.0.len() < TOLD {
            faults.0.push(what);
        }
    }

    /// Compares what was told with the journal of a gate that has ended.
    pub(crate) fn check(&self, config: &Config) -> Result<Vec<String>, AccessError> {
        let mut told = std::mem::take(&mut *lock(&self.told));
        let (expected, mut records) = (told.len(), 0_u64);
        Access::open(config)?.ask(&Request::Find(Query::default()), |line| {
            let Line::Found(Found::Message(message)) = line else { return true };
            records += 1;
            let text = message.text.as_deref().and_then(serial_of);
            let Some(serial) = text.or_else(|| serial_in(message.opaque.as_deref()?)) else { return true };
            let says = match told.get(&serial) {
                Some(Told::Accepted) => message.verdict == "forward",
                Some(Told::Refused) => message.verdict == "reject",
                Some(Told::Begun) => true,
                None => false,
            };
            if says {
                told.remove(&serial);
            }
            true
        })?;
        println!("{expected} messages answered for good, {records} records in the journal, {} missing", told.len());
        for (serial, told) in told {
            self.fault(format!("{serial}: told {told:?}, and no record says so"));
        }
        let (mut faults, count) = std::mem::take(&mut *lock(&self.faults));
        if count > faults.len() as u64 {
            faults.push(format!("and {} more", count - faults.len() as u64));
        }
        Ok(faults)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
