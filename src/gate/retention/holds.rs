//! Legal holds: what must not expire, by number, sender, provider or time, until somebody lifts it.
//!
//! Owns the register of holds and its file in the data directory, sealed and replaced whole. A hold is on disk before
//! it is recorded, and its lifting is recorded before it is on disk: a crash leaves a hold too many, never one too few.
//! Refuses to start on a file that cannot be read. Driven by the command line, the complaints and the purge.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::{self, Unusable};
use crate::gate::changes::{self, ChangeError};
use crate::gate::record::Change;
use crate::store::keys::{Keys, Sealer};
use crate::store::{Journal, StoreError};

/// Holds that may stand at a time.
const MOST: usize = 10_000;

/// The longest reason, in octets.
const LONGEST_WHY: usize = 2_000;

/// The name of the key that seals the file, and what is bound to it.
const KEY: &str = "holds";

const MISSING: &str = "is missing: what is held cannot be read, and nothing may expire; put it back from a backup";

/// What an operator wants held: what meets all that is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldOrder {
    /// The subscriber.
    pub msisdn: Option<u64>,
    /// The sender's id.
    pub sender: Option<String>,
    /// The provider's `system_id`.
    pub provider: Option<String>,
    /// Not before this moment, UTC milliseconds.
    pub since_ms: Option<i64>,
    /// Before this moment, UTC milliseconds.
    pub until_ms: Option<i64>,
    /// Why.
    pub why: String,
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its name: `H1`.
    pub id: String,
    /// What it holds, and why.
    pub order: HoldOrder,
    /// Who set it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Who lifted it, when and why, where somebody did.
    pub lifted: Option<Lifted>,
}

/// The end of a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifted {
    /// Who lifted it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

/// Why a hold was not set or not lifted.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// Nothing is named.
    #[error("a hold names a number, a sender, a provider or a time")]
    Unbounded,
    /// The times are the wrong way round.
    #[error("the hold's time ends before it begins")]
    Backwards,
    /// No reason, or too long a one.
    #[error("a hold says why, in at most {LONGEST_WHY} octets")]
    Why,
    /// There are too many.
    #[error("there are {MOST} holds already: lift those that are over")]
    Full,
    /// There is none of that name.
    #[error("there is no hold {0}")]
    Unknown(String),
    /// It is lifted already.
    #[error("hold {0} was lifted at {1}")]
    Over(String, Timestamp),
    /// The file cannot be written.
    #[error("nothing was changed: {0}")]
    Store(#[from] StoreError),
    /// It is not on record.
    #[error("hold {0} stands, but {1}")]
    Unrecorded(String, ChangeError),
    /// Its lifting is not on record, and so it is not lifted.
    #[error("the hold stands: {0}")]
    Unlifted(ChangeError),
}

/// The register of holds.
#[derive(Debug)]
pub struct Holds {
    path: PathBuf,
    sealer: Sealer,
    kept: Mutex<Kept>,
    /// Held by whoever lets something go, from its last look at what stands until it is gone.
    going: Mutex<()>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// The number of the last one.
    last: u64,
    holds: Vec<Hold>,
}

impl Holds {
    /// The holds of this data directory.
    pub fn open(data: &Path, keys: &Keys) -> Result<Self, StoreError> {
        let path = data.join("holds.json");
        // Another key would open nothing, and stand in the way of the right one.
        let key = if path.exists() { keys.get(KEY)? } else { Some(keys.make(KEY)?) };
        let key = key.ok_or_else(|| StoreError::Key { path: keys.path(KEY), what: MISSING.to_owned() })?;
        let sealer = key.derive("file").sealer();
        let kept = file::read_sealed(&path, &sealer, KEY).map_err(|error| match error {
            Unusable::Io(error) => StoreError::io(&path, "read the legal holds", error),
            Unusable::Form(what) => StoreError::damaged(
                &path,
                format!("{what}: what is held is not known, and nothing may expire; restore the file from a backup"),
            ),
        })?;
        Ok(Self { path, sealer, kept: Mutex::new(kept.unwrap_or_default()), going: Mutex::default() })
    }

    /// Every hold, those that were lifted last long ago left out.
    pub fn list(&self) -> Vec<Hold> {
        self.kept().holds.clone()
    }

    /// Those that stand.
    pub fn standing(&self) -> Vec<Hold> {
        self.kept().holds.iter().filter(|hold| hold.lifted.is_none()).cloned().collect()
    }

    /// Sets a hold; it is on disk and on record when this returns. Waits until what is being let go is gone: what
    /// is there when this returns is held.
    pub fn set(&self, journal: &Journal, order: HoldOrder, by: &str, now: Timestamp) -> Result<Hold, HoldError> {
        order.check()?;
        let _going = self.going();
        let mut kept = self.kept();
        if kept.holds.iter().filter(|hold| hold.lifted.is_none()).count() >= MOST {
            return Err(HoldError::Full);
        }
        let mut next = kept.clone();
        next.last += 1;
        let id = format!("H{}", next.last);
        let hold = Hold { id: id.clone(), order, by: by.to_owned(), at: now, lifted: None };
        next.holds.push(hold.clone());
        self.write(&next)?;
        *kept = next;
        drop(kept);
        changes::record(journal, change("hold", &hold, by, &hold.order.why, now))
            .map_err(|error| HoldError::Unrecorded(id, error))?;
        Ok(hold)
    }

    /// Lifts a hold; that is on record and on disk when this returns.
    pub fn lift(&self, journal: &Journal, id: &str, why: &str, by: &str, now: Timestamp) -> Result<Hold, HoldError> {
        check_why(why)?;
        let mut kept = self.kept();
        let mut next = kept.clone();
        let hold = next.holds.iter_mut().find(|hold| hold.id.eq_ignore_ascii_case(id));
        let hold = hold.ok_or_else(|| HoldError::Unknown(id.to_owned()))?;
        if let Some(lifted) = &hold.lifted {
            return Err(HoldError::Over(hold.id.clone(), lifted.at));
        }
        changes::record(journal, change("hold-lifted", hold, by, why, now)).map_err(HoldError::Unlifted)?;
        hold.lifted = Some(Lifted { by: by.to_owned(), at: now, why: why.to_owned() });
        let lifted = hold.clone();
        self.write(&next)?;
        *kept = next;
        Ok(lifted)
    }

    /// Lets go of holds that were lifted before a moment: they name numbers, and have an end as well.
    pub(super) fn forget_lifted(&self, before: Timestamp) -> Result<(), StoreError> {
        let mut kept = self.kept();
        let over = |hold: &Hold| hold.lifted.as_ref().is_some_and(|lifted| lifted.at < before);
        if !kept.holds.iter().any(over) {
            return Ok(());
        }
        let mut next = kept.clone();
        next.holds.retain(|hold| !over(hold));
        self.write(&next)?;
        *kept = next;
        Ok(())
    }

    fn write(&self, kept: &Kept) -> Result<(), StoreError> {
        file::write_sealed(&self.path, kept, &self.sealer, KEY)
            .map_err(|error| StoreError::io(&self.path, "keep the legal holds", error))
    }

    /// No hold is set while this is held.
    pub(super) fn going(&self) -> MutexGuard<'_, ()> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HoldOrder {
    fn check(&self) -> Result<(), HoldError> {
        let times = (self.since_ms, self.until_ms);
        if self.msisdn.is_none() && self.sender.is_none() && self.provider.is_none() && times == (None, None) {
            return Err(HoldError::Unbounded);
        }
        match times {
            (Some(since), Some(until)) if until <= since => Err(HoldError::Backwards),
            _ => check_why(&self.why),
        }
    }

    /// Whether something that happened between two moments may be held.
    pub(super) fn touches(&self, from_ms: i64, until_ms: i64) -> bool {
        self.since_ms.is_none_or(|since| since < until_ms) && self.until_ms.is_none_or(|until| until > from_ms)
    }
}

fn check_why(why: &str) -> Result<(), HoldError> {
    let is_good = !why.trim().is_empty() && why.len() <= LONGEST_WHY;
    if is_good { Ok(()) } else { Err(HoldError::Why) }
}

fn change<'c>(what: &'c str, hold: &'c Hold, by: &'c str, why: &'c str, now: Timestamp) -> Change<'c> {
    let order = &hold.order;
    let time = |ms: Option<i64>| {
        ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).map(|at| at.to_string()).unwrap_or_default()
    };
    Change::new(now.as_millisecond(), what, by, &hold.id)
        .of(order.msisdn.map(|msisdn| msisdn.to_string()).unwrap_or_default())
        .with("sender", order.sender.as_deref().unwrap_or_default())
        .with("provider", order.provider.as_deref().unwrap_or_default())
        .with("from", time(order.since_ms))
        .with("until", time(order.until_ms))
        .with("why", why)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use super::*;
    use crate::gate::record::RecordSchema;
    use crate::store::JournalOptions;
    use crate::store::keys::MasterSource;

    #[test]
    fn a_hold_is_set_when_what_is_being_let_go_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(&folder.path().join("keys"), &MasterSource::Beside).unwrap();
        let journal =
            Journal::open(&folder.path().join("journal"), Arc::new(RecordSchema), JournalOptions::default()).unwrap();
        let holds = Holds::open(folder.path(), &keys).unwrap();
        let order = HoldOrder { msisdn: Some(8_613_800_138_001), why: "case 118".to_owned(), ..HoldOrder::default() };
        let (said, answer) = sync_channel(1);
        std::thread::scope(|scope| {
            let going = holds.going();
            let set = || said.send(holds.set(&journal, order, "me", Timestamp::UNIX_EPOCH).map(|hold| hold.id));
            let set = scope.spawn(set);
            answer.recv_timeout(Duration::from_millis(300)).unwrap_err();
            assert!(holds.standing().is_empty() && !set.is_finished());
            drop(going);
            assert_eq!(answer.recv_timeout(Duration::from_secs(60)).unwrap().unwrap(), "H1");
        });
        assert_eq!(holds.standing().len(), 1);
    }
}
