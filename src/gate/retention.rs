//! Retention: what has expired goes, what is held stays, and both are on record.
//!
//! Owns the holds, the policies of the past, the purge and what is known of the last one. Refuses to decide how long
//! anything is kept (the profile does), to delete by a clock that has just jumped, and to let more days go at once than
//! a night can bring without an operator's word. Driven once a day by the proxy, and by the command line.

mod aside;
mod file;
mod held;
mod holds;
mod pace;
mod plan;
mod policies;
mod purge;
mod purged;
mod subscribers;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

pub use holds::{Hold, HoldError, HoldOrder, Holds, Lifted};
pub use plan::{Item, Piece, Plan};
pub use purged::{Gone, Order, PurgeError, Purged};
pub use subscribers::Said;

use super::Moment;
use crate::config::{Config, RetentionConfig};
use crate::register::Register;
use crate::rules::retention::Retention as Months;
use crate::store::journal::Day;
use crate::store::keys::Keys;
use crate::store::{Consents, Journal, StoreError};
use file::Unusable;
use plan::{Known, Remainder, Stored};
use policies::{Policies, Policy};
use watch::Watch;

/// After a purge that could not do all it should, the next try.
const RETRY: SignedDuration = SignedDuration::from_mins(10);

/// How often it is noted that the gate was there.
const NOTED: SignedDuration = SignedDuration::from_hours(1);

/// The stores that a purge works on.
#[derive(Clone, Copy)]
pub struct Stores<'s> {
    /// The send records.
    pub journal: &'s Journal,
    /// Consents and refusals.
    pub consents: &'s Consents,
    /// Who owns which port, where a gate has it at hand.
    pub register: Option<&'s Register>,
}

/// What expires, what is held, and what was purged.
#[derive(Debug)]
pub struct Retention {
    /// The legal holds.
    pub holds: Holds,
    data: PathBuf,
    keys: Keys,
    settings: RetentionConfig,
    zone: TimeZone,
    months: Months,
    path: PathBuf,
    /// The register's file.
    register: PathBuf,
    state: Mutex<State>,
    watch: Mutex<Watch>,
    /// One purge at a time.
    purging: Mutex<()>,
    stopping: AtomicBool,
    /// Not tried again before this moment, UTC milliseconds.
    not_before: AtomicI64,
}

/// What outlives the process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    version: u32,
    policies: Policies,
    /// When the gate was last there.
    seen: Option<Timestamp>,
    /// The day of the last purge by itself.
    last_run: Option<Date>,
    /// The last day of which it is certain that it came.
    vouched: Option<Date>,
    /// What was begun and not seen to its end.
    under_way: Option<UnderWay>,
    remainders: Vec<Remainder>,
    last: Option<Purged>,
}

/// A deletion that is on record and may not have been done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct UnderWay {
    day: Date,
    what: Piece,
}

/// What `status` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionStatus {
    /// The last purge, by itself or by hand.
    pub last: Option<Purged>,
    /// Legal holds that stand.
    pub holds: usize,
    /// Days of which only held entries are left.
    pub remainders: usize,
    /// Whether the clock has jumped and is not believed yet.
    pub clock_doubted: bool,
}

impl Retention {
    /// Takes up what is known of the past, and notes what holds from now on.
    pub fn open(config: &Config, keys: &Keys, now: Moment) -> Result<Self, StoreError> {
        let path = config.data.join("retention.json");
        let state = read_state(&path)?;
        let retention = Self {
            holds: Holds::open(&config.data, keys)?,
            data: config.data.clone(),
            keys: keys.clone(),
            settings: config.retention,
            zone: config.time_zone.clone(),
            months: config.profile.retention.months,
            path,
            register: config.register.clone(),
            watch: Mutex::new(Watch::new(now, state.seen)),
            state: Mutex::new(state),
            purging: Mutex::default(),
            stopping: AtomicBool::new(false),
            not_before: AtomicI64::new(i64::MIN),
        };
        let policy = Policy {
            since: retention.zone.to_datetime(now.wall).date(),
            zone: config.time_zone_name.clone(),
            profile: config.profile.name.clone(),
            months: retention.months,
        };
        let today = policy.since;
        retention.change(|state| {
            // Before the first purge there is nothing to go by but the clock.
            let vouched = state.vouched.or(state.last_run).unwrap_or(today);
            (state.vouched.replace(vouched) != Some(vouched)) | state.policies.note(policy)
        })?;
        Ok(retention)
    }

    /// Whether the daily purge has come due. Blocks on the disk once an hour.
    pub fn is_due(&self, now: Moment) -> bool {
        let time = lock(&self.watch).time(now);
        let seen = |state: &State| state.seen.is_none_or(|seen| (now.wall.duration_since(seen)).abs() > NOTED);
        if seen(&lock(&self.state)) {
            let noted = self.change(|state| {
                state.seen = Some(time);
                true
            });
            if let Err(error) = noted {
                tracing::warn!(%error, "it cannot be noted that the gate is there");
            }
        }
        let local = self.zone.to_datetime(time);
        let is_done = lock(&self.state).last_run == Some(local.date());
        let may_try = now.wall.as_millisecond() >= self.not_before.load(Ordering::Relaxed);
        !is_done && local.time() >= self.settings.at && may_try
    }

    /// What goes when, seen from a day; today where none is given.
    pub fn plan(&self, journal: &Journal, as_of: Option<Date>, now: Timestamp) -> Result<Plan, StoreError> {
        match as_of {
            Some(made_up) => self.plan_for(journal, made_up, None),
            None => self.plan_of_day(journal, self.zone.to_datetime(now).date()),
        }
    }

    /// The plan of a day that is taken to have come.
    fn plan_of_day(&self, journal: &Journal, today: Date) -> Result<Plan, StoreError> {
        let vouched = lock(&self.state).vouched;
        self.plan_for(journal, today, vouched)
    }

    fn plan_for(&self, journal: &Journal, as_of: Date, vouched: Option<Date>) -> Result<Plan, StoreError> {
        let stored = self.stored(journal)?;
        let holds = self.holds.standing();
        let state = lock(&self.state).clone();
        let known = Known { policies: &state.policies, holds: &holds, remainders: &state.remainders, vouched };
        Ok(Plan::new(as_of, &stored, known, self.settings.at_most))
    }

    /// How it is.
    pub fn status(&self) -> RetentionStatus {
        let state = lock(&self.state).clone();
        RetentionStatus {
            last: state.last,
            holds: self.holds.standing().len(),
            remainders: state.remainders.len(),
            clock_doubted: lock(&self.watch).is_doubted(),
        }
    }

    /// Everything on disk that has a day.
    fn stored(&self, journal: &Journal) -> Result<Vec<Stored>, StoreError> {
        let folder = self.data.join("journal");
        let stored = |day, what, path: &Path| Stored { day, what, octets: aside::octets(path), span_ms: span(day.0) };
        let mut all = Vec::new();
        for day in journal.days()? {
            all.push(stored(day, Piece::Day, &folder.join(day.to_string())));
        }
        for day in signalled(&self.keys.names()?) {
            all.push(stored(day, Piece::Signalling, &folder.join(day.to_string())));
        }
        for (day, name) in aside::list(&folder)? {
            let path = folder.join(&name);
            all.push(stored(day, Piece::Aside(name), &path));
        }
        Ok(all)
    }

    /// Changes what outlives the process: in effect once it is on disk; `change` says whether there is something new.
    fn change(&self, change: impl FnOnce(&mut State) -> bool) -> Result<(), StoreError> {
        let mut state = lock(&self.state);
        let mut next = state.clone();
        if !change(&mut next) {
            return Ok(());
        }
        next.version = VERSION;
        file::write(&self.path, &next)
            .map_err(|error| StoreError::io(&self.path, "keep the state of retention", error))?;
        *state = next;
        Ok(())
    }
}

/// Readers of a later form keep reading this one.
const VERSION: u32 = 2;

/// In forms before this one, what was held of a day kept all of its signalling.
const THINNED: u32 = 2;

fn read_state(path: &Path) -> Result<State, StoreError> {
    let state: Option<State> = file::read(path).map_err(|error| match error {
        Unusable::Io(error) => StoreError::io(path, "read the state of retention", error),
        Unusable::Form(what) => StoreError::damaged(
            path,
            format!(
                "{what}: under which profile the days were judged is not known; restore the file, or remove it to \
                 have all days kept as the profile of now says"
            ),
        ),
    })?;
    match state {
        Some(state) if state.version > VERSION => {
            Err(StoreError::damaged(path, format!("version {}: this portcullis reads {VERSION}", state.version)))
        }
        state => {
            let mut state = state.unwrap_or_default();
            if state.version < THINNED {
                // They are looked through again, for what is not held.
                state.remainders.retain(|left| left.what != Piece::Signalling);
            }
            Ok(state)
        }
    }
}

/// The days whose signalling there is a key for.
fn signalled(keys: &[String]) -> Vec<Day> {
    let day = |name: &String| name.split_once("-signalling").and_then(|(day, _)| day.parse().ok());
    let mut days: Vec<Day> = keys.iter().filter_map(day).collect();
    days.dedup();
    days
}

/// When a day begins and ends, whatever the zone it was named in.
fn span(day: Date) -> (i64, i64) {
    let midnight =
        |date: Date| TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).map_or(i64::MAX, Timestamp::as_millisecond);
    (midnight(day.saturating_sub(1.day())), midnight(day.saturating_add(2.days())))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
