//! Letting go of consents and refusals whose time is over, and of the papers that prove nothing any more.
//!
//! Owns the walk through the consents at a measured pace, and the file `senders-left.json` that remembers since when a
//! sender or provider is not in the register: nobody says so when it happens. Refuses to judge what a
//! relationship is, and to touch what a legal hold speaks of. Driven by the retention, on a thread of its own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::relationship::{self, Terms};
use crate::register::Register;
use crate::store::consents::{ALL_SENDERS_OF, Held, Walk};
use crate::store::{Consents, EvidenceFiles, StoreError};

/// The file of those that left.
const FILE: &str = "senders-left.json";

/// A paper is put before the event that names it: one younger than this is left alone.
const YOUNG: SignedDuration = SignedDuration::from_hours(24);

/// What is kept how long, and by whose word.
pub struct Order<'o> {
    /// Months that what proves a consent is kept.
    pub evidence_months: u8,
    /// Months that consents and refusals are kept after the relationship ended.
    pub subscription_months: u8,
    /// Whose days they are.
    pub zone: &'o TimeZone,
    /// The day that it goes by.
    pub today: Date,
    /// The moment it is.
    pub now: Timestamp,
    /// Who is still there.
    pub register: &'o Register,
    /// Whether a legal hold speaks of an event.
    pub is_held: &'o dyn Fn(&Held) -> bool,
    /// Whether it is only counted what would go.
    pub is_trial: bool,
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LetGo {
    /// Events looked at.
    pub seen: u64,
    /// Events that went.
    pub events: u64,
    /// Events that a legal hold kept though their time is over.
    pub held: u64,
    /// Proofs that went with them.
    pub proofs: u64,
    /// Papers that went with those.
    pub papers: u64,
    /// Whether it came to its end; if not, the next one begins anew and loses nothing.
    pub is_whole: bool,
}

/// Walks through all consents and lets go what has expired. `go_on` is asked between two steps, and rests there as
/// long as it thinks right; where it says no, the walk ends.
pub fn let_go(
    consents: &Consents,
    papers: &EvidenceFiles,
    data: &Path,
    order: &Order<'_>,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<LetGo, StoreError> {
    let left = Left::read(data, order)?;
    let entity = |id: &str| order.register.sender(id).map_or_else(|| id.to_owned(), |sender| sender.id.clone());
    let left_at_ms = |entity: &str| left.since(entity);
    let nobody = |_: &Held| false;
    let terms = |is_held| Terms {
        evidence_months: order.evidence_months,
        subscription_months: order.subscription_months,
        zone: order.zone,
        today: order.today,
        entity: &entity,
        left_at_ms: &left_at_ms,
        is_held,
    };
    let (with_holds, without) = (terms(order.is_held), terms(&nobody));
    let (mut done, mut walk) = (LetGo::default(), Walk::default());
    let (mut held, mut expected) = (0, 0);
    let mut decide = |events: &[Held]| {
        let goes = relationship::expired(events, &without);
        if !goes.contains(&true) {
            return goes;
        }
        let may_go = relationship::expired(events, &with_holds);
        let count = |goes: &[bool]| goes.iter().filter(|goes| **goes).count() as u64;
        held += count(&goes) - count(&may_go);
        expected += count(&may_go);
        if order.is_trial { vec![false; events.len()] } else { may_go }
    };
    loop {
        let stepped = consents.expire(&mut walk, &mut decide)?;
        done.seen += stepped.seen;
        done.events += stepped.events;
        done.proofs += stepped.proofs;
        done.is_whole = stepped.is_done;
        if done.is_whole || !go_on() {
            break;
        }
    }
    done.held = held;
    if order.is_trial {
        done.events = expected;
        return Ok(done);
    }
    left.write()?;
    if let Some(named) = walk.papers() {
        done.papers = papers.remove_others(named, order.now - YOUNG)?;
    }
    Ok(done)
}

/// Since when senders and providers are not in the register.
struct Left<'l> {
    path: PathBuf,
    register: &'l Register,
    now_ms: i64,
    known: RefCell<BTreeMap<String, i64>>,
}

impl<'l> Left<'l> {
    /// Whoever is back is not among them.
    fn read(data: &Path, order: &Order<'l>) -> Result<Self, StoreError> {
        let path = data.join(FILE);
        let mut known: BTreeMap<String, i64> = match std::fs::read_to_string(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => return Err(StoreError::io(&path, "read who left the register", e)),
            Ok(text) => serde_json::from_str(&text).map_err(|e| {
                let what = format!("{e}: remove it to have all who are not in the register counted from now on");
                StoreError::damaged(&path, what)
            })?,
        };
        known.retain(|entity, _| !is_registered(order.register, entity));
        Ok(Self { path, register: order.register, now_ms: order.now.as_millisecond(), known: RefCell::new(known) })
    }

    /// When an entity left; one that was not missed before left now.
    fn since(&self, entity: &str) -> Option<i64> {
        if is_registered(self.register, entity) {
            return None;
        }
        if let Some(since) = self.known.borrow().get(entity) {
            return Some(*since);
        }
        self.known.borrow_mut().insert(entity.to_owned(), self.now_ms);
        Some(self.now_ms)
    }

    /// On disk when this returns, whole.
    fn write(&self) -> Result<(), StoreError> {
        let text = serde_json::to_string(&*self.known.borrow()).map_err(std::io::Error::other);
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let written = text.and_then(|text| {
            let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
            fresh.write_all(text.as_bytes())?;
            fresh.as_file().sync_all()?;
            fresh.persist(&self.path).map_err(|e| e.error)?;
            std::fs::File::open(folder)?.sync_all()
        });
        written.map_err(|e| StoreError::io(&self.path, "note who left the register", e))
    }
}

fn is_registered(register: &Register, entity: &str) -> bool {
    match entity.strip_prefix(ALL_SENDERS_OF) {
        Some(account) => register.provider(account).is_some(),
        None => register.sender(entity).is_some(),
    }
}

#[cfg(test)]
mod tests;
