//! Measures against providers, senders and ports (R25): counted, taken, kept and lifted.
//!
//! Owns what was counted of each and which measure is in force. A step is in the journal before it
//! takes effect, and in a file of its own after, so that no crash lifts a suspension; only an
//! operator does. Refuses to judge and to block a session: it is told of verdicts and asked for
//! facts. Driven by the desks, once a second by the proxy, and by the command line.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::{self, Record};
use crate::rules::r25_measures::{Kind, Reach, Settings, Step};
use crate::store::journal::AppendError;
use crate::store::{EntryId, Health, Journal, Ticket};

mod again;
mod counts;
mod file;
mod status;
mod subject;
mod trail;

pub(super) use again::{Again, Path as Way, Taken, Whose};
pub use status::{FoundStep, MeasureStatus, StepTotals, history};
pub(super) use subject::{Noted, Subject};
pub(super) use trail::{Trail, Trails};

use file::Files;
use subject::Change;

/// How often the journal is looked at for a record to be durable, and how many times.
const LOOK: Duration = Duration::from_millis(2);
const LOOKS: usize = 5000;

/// Reviews between two times that the counts are kept: what a crash may cost, against a file of all of them.
const KEEP_EVERY: u64 = 60;

/// Whom a measure is against: a kind and a name.
type Name = (Kind, Arc<str>);

/// Every measure, and what is counted for them.
#[derive(Debug)]
pub struct Measures {
    settings: Settings,
    subjects: Mutex<HashMap<Name, Arc<Subject>>>,
    /// One step at a time: the journal, the file, the effect.
    taking: Mutex<()>,
    /// What is in force and counted; never held while somebody waits.
    kept: Mutex<Kept>,
    /// One writes the counts at a time.
    keeping: Mutex<()>,
    files: Files,
    taken: [AtomicU64; 4],
    reviews: AtomicU64,
}

/// What is in force, as the file has it.
#[derive(Debug, Default)]
struct Kept {
    standings: BTreeMap<Name, Standing>,
    /// The last step's record that is in it, and the last complaint's that is counted.
    step: Option<EntryId>,
    complaint: Option<EntryId>,
}

/// A measure in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// How far it goes.
    pub step: Step,
    /// What it touches.
    pub reach: Reach,
    /// Why it was taken.
    pub reason: String,
    /// `gate` or `operator`.
    pub by: String,
    /// Since when, UTC milliseconds.
    pub since_ms: i64,
    /// When time alone ends it; a suspension, never.
    pub until_ms: Option<i64>,
}

/// What an operator orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Whom it is about.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Suspended with this reach; `None` resumes.
    pub suspend: Option<Reach>,
    /// Why.
    pub reason: String,
}

/// Why a measure was not taken or lifted.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The step cannot be recorded.
    #[error("nothing was changed: the journal takes no record of it: {0}")]
    Append(#[from] AppendError),
    /// The journal is down.
    #[error("nothing was changed: the journal cannot write: {0}")]
    Down(Arc<str>),
    /// The record did not get to disk.
    #[error("nothing was changed yet: the record does not get to disk; it holds from the next start on if it does")]
    Unsettled,
    /// There is nothing to resume.
    #[error("{0} {1} is under no measure")]
    Free(Kind, String),
    /// It is so already.
    #[error("{0} {1} is suspended already, since {2}: {3}")]
    Suspended(Kind, String, jiff::Timestamp, String),
}

impl Measures {
    /// Takes up what is in force: the file, and every step that the journal has beyond it.
    pub fn open(
        data: &Path,
        settings: &Settings,
        journal: &Journal,
        now_ms: i64,
    ) -> Result<Self, crate::store::StoreError> {
        let measures = Self {
            settings: settings.clone(),
            subjects: Mutex::default(),
            taking: Mutex::default(),
            kept: Mutex::default(),
            keeping: Mutex::default(),
            files: Files::new(data),
            taken: Default::default(),
            reviews: AtomicU64::new(0),
        };
        measures.take_up(journal, now_ms)?;
        Ok(measures)
    }

    /// The thresholds.
    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Says in the log what is in force.
    pub(super) fn announce(&self) {
        for ((kind, name), Standing { step, reason, .. }) in &self.kept().standings {
            tracing::warn!(%kind, name = &**name, %step, reason, "measure in force from before");
        }
    }

    /// The one that is counted under this name.
    pub(super) fn subject(&self, kind: Kind, name: &str) -> Arc<Subject> {
        let name: Arc<str> = name.into();
        let mut subjects = lock(&self.subjects);
        let subject = subjects.entry((kind, Arc::clone(&name)));
        Arc::clone(subject.or_insert_with(|| Arc::new(Subject::new(kind, name, &self.settings))))
    }

    /// Takes the steps that are due by what was counted, and ends what time has ended. Blocks on the disk.
    pub fn review(&self, journal: &Journal, now_ms: i64) {
        let subjects: Vec<Arc<Subject>> = lock(&self.subjects).values().cloned().collect();
        let changes: Vec<Change> =
            subjects.iter().filter_map(|subject| subject.review(&self.settings, now_ms)).collect();
        if !changes.is_empty()
            && let Err(error) = self.take(journal, changes, now_ms)
        {
            tracing::error!(%error, "a measure that is due is not taken: it is tried again");
            subjects.iter().for_each(|subject| subject.touch());
        }
        if self.reviews.fetch_add(1, Ordering::Relaxed) % KEEP_EVERY == KEEP_EVERY - 1 {
            self.keep_counts(now_ms);
        }
    }

    /// Carries out an operator's order; durable, and in force, when this returns.
    pub fn obey(&self, journal: &Journal, order: &Order, now_ms: i64) -> Result<(), MeasureError> {
        let standing = self.subject(order.kind, &order.name).standing();
        match (&standing, order.suspend) {
            (None, None) => return Err(MeasureError::Free(order.kind, order.name.clone())),
            (Some(had), Some(reach)) if had.step == Step::Suspend && had.reach == reach => {
                let since = jiff::Timestamp::from_millisecond(had.since_ms).unwrap_or_default();
                return Err(MeasureError::Suspended(order.kind, order.name.clone(), since, had.reason.clone()));
            }
            _ => {}
        }
        let change = Change {
            kind: order.kind,
            name: order.name.as_str().into(),
            step: order.suspend.map(|_| Step::Suspend),
            reach: order.suspend.unwrap_or_default(),
            reason: order.reason.clone(),
            by: "operator",
            until_ms: None,
        };
        self.take(journal, vec![change], now_ms)?;
        // What led to it is known to whoever resumes: counting begins anew.
        if order.suspend.is_none() {
            self.subject(order.kind, &order.name).forget(&self.settings);
            self.keep_counts(now_ms);
        }
        Ok(())
    }

    /// The journal, the file, the effect: in this order, so that none is lost and none acts unrecorded.
    fn take(&self, journal: &Journal, changes: Vec<Change>, now_ms: i64) -> Result<(), MeasureError> {
        let _one = lock(&self.taking);
        check_health(journal)?;
        let mut last = None;
        let room = journal.reserve(changes.len(), 0)?;
        for change in &changes {
            last = Some(room.append_parts(&change.record(now_ms).encode(Vec::new()), &[])?);
        }
        drop(room);
        let Some(last) = last else { return Ok(()) };
        settle(journal, last)?;
        let mut standings = self.kept().standings.clone();
        for change in &changes {
            change.apply(&mut standings, now_ms);
        }
        if let Err(error) = self.files.keep_standings(&standings, last.id) {
            tracing::error!(%error, "the measures in force cannot be kept in their file: the journal has them");
        }
        let mut kept = self.kept();
        kept.standings.clone_from(&standings);
        kept.step = Some(last.id);
        drop(kept);
        for change in changes {
            let (kind, name) = (change.kind, Arc::clone(&change.name));
            let word = change.word();
            tracing::warn!(%kind, name = &*name, step = word, by = change.by, reason = change.reason, "measure taken");
            self.taken[change.step.map_or(3, |step| step as usize)].fetch_add(1, Ordering::Relaxed);
            self.subject(kind, &name).set(standings.get(&(kind, name)).cloned());
        }
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

impl Change {
    /// `alert`, `slow`, `suspend` or `resume`.
    fn word(&self) -> &'static str {
        self.step.map_or("resume", Step::name)
    }

    fn record(&self, now_ms: i64) -> Record<'_> {
        Record::Measure(record::Measure {
            at_ms: now_ms,
            kind: self.kind.name().into(),
            name: (&*self.name).into(),
            step: self.word().into(),
            everything: self.reach == Reach::Everything,
            reason: self.reason.as_str().into(),
            by: self.by.into(),
            until_ms: self.until_ms,
        })
    }

    fn apply(&self, standings: &mut BTreeMap<Name, Standing>, now_ms: i64) {
        let name = (self.kind, Arc::clone(&self.name));
        match self.standing(now_ms) {
            None => drop(standings.remove(&name)),
            Some(standing) => drop(standings.insert(name, standing)),
        }
    }

    /// What holds with it.
    fn standing(&self, now_ms: i64) -> Option<Standing> {
        Some(Standing {
            step: self.step?,
            reach: self.reach,
            reason: self.reason.clone(),
            by: self.by.into(),
            since_ms: now_ms,
            until_ms: self.until_ms,
        })
    }
}

/// What must be on disk is not even tried while nothing gets there.
pub(super) fn check_health(journal: &Journal) -> Result<(), MeasureError> {
    match &journal.progress().borrow().health {
        Health::Up => Ok(()),
        Health::Down { reason } => Err(MeasureError::Down(Arc::clone(reason))),
    }
}

/// Waits for a record to be on disk; the spool is not enough for what must survive.
pub(super) fn settle(journal: &Journal, ticket: Ticket) -> Result<(), MeasureError> {
    let progress = journal.progress();
    for _ in 0..LOOKS {
        if progress.borrow().durable >= ticket.sequence {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
    Err(MeasureError::Unsettled)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
