//! The purge: what is due goes, one day after the other, each on record before and after.
//!
//! Owns the order of things, so that a process that is killed at any of them loses nothing else and the next one
//! completes it: the record, the note that it is under way, the deletion, the record of its end. Refuses to delete what
//! is held and what it could not record. Driven by the retention's owner, on a thread of its own.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use jiff::civil::Date;

use super::held::{self, Held, Matcher};
use super::holds::Hold;
use super::pace::Pace;
use super::plan::{Item, Piece, Plan, Remainder};
use super::purged::{Gone, Order, PurgeError, Purged};
use super::subscribers::Said;
use super::{RETRY, Retention, Stores, UnderWay, aside, lock, span};
use crate::gate::Moment;
use crate::gate::changes::{self, GATE};
use crate::gate::record::Change;
use crate::register::Register;
use crate::store::StoreError;
use crate::store::journal::Day;

/// The word under which all of it is on record.
pub(super) const PURGE: &str = "purge";

impl Retention {
    /// Lets go of what is due. Blocks for as long as that takes, or until [`Retention::stop`].
    pub fn purge(&self, stores: Stores<'_>, order: &Order, now: Moment) -> Result<Purged, PurgeError> {
        let Ok(_one) = self.purging.try_lock() else { return Err(PurgeError::UnderWay) };
        let done = self.go_through(stores, order, now);
        if !done.as_ref().is_ok_and(|purged| purged.complete && purged.faults.is_empty()) {
            let next = now.wall.saturating_add(RETRY).unwrap_or(now.wall);
            self.not_before.store(next.as_millisecond(), Ordering::Relaxed);
        }
        done
    }

    /// Ends a purge that is under way, between two things or in a rest.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn go_through(&self, stores: Stores<'_>, order: &Order, now: Moment) -> Result<Purged, PurgeError> {
        let loaded = self.load_register(stores)?;
        let stores = Stores { register: stores.register.or(loaded.as_ref()), ..stores };
        let time = if order.yes { now.wall } else { lock(&self.watch).time(now) };
        let today = self.zone.to_datetime(time).date();
        self.finish_what_was_begun(stores, order, now.wall)?;
        let plan = self.plan_of_day(stores.journal, today)?;
        let mut purged = Purged {
            at: now.wall,
            as_of: today,
            by: order.by.clone(),
            gone: Vec::new(),
            said: Said::default(),
            clock_doubted: !order.yes && lock(&self.watch).is_doubted(),
            doubt: plan.doubt().filter(|_| !order.yes),
            faults: Vec::new(),
            complete: true,
        };
        match &purged.doubt {
            Some(_) => self.say_doubt(stores, order, &purged)?,
            None => {
                let mut pace = Pace { per_second: self.settings.per_second, done: 0, stopping: &self.stopping };
                self.let_go(stores, order, &plan, &mut purged, &mut pace)?;
                self.let_consents_go(stores, order, &mut purged, &mut pace)?;
                self.say_doubt(stores, order, &purged)?;
            }
        }
        self.tidy(stores, &plan, time)?;
        self.remember(&purged, order)?;
        Ok(purged)
    }

    fn say_doubt(&self, stores: Stores<'_>, order: &Order, purged: &Purged) -> Result<(), PurgeError> {
        let Some(doubt) = &purged.doubt else { return Ok(()) };
        tracing::error!("not purged: {doubt}");
        let change = Change::new(purged.at.as_millisecond(), PURGE, &order.by, "");
        changes::record(stores.journal, change.ending(format!("refused: {doubt}")))?;
        Ok(())
    }

    /// Who is still there, and owns which port; a running gate has it at hand.
    fn load_register(&self, stores: Stores<'_>) -> Result<Option<Register>, PurgeError> {
        if stores.register.is_some() {
            return Ok(None);
        }
        Register::load(&self.register).map(Some).map_err(PurgeError::Register)
    }

    fn let_go(
        &self,
        stores: Stores<'_>,
        order: &Order,
        plan: &Plan,
        purged: &mut Purged,
        pace: &mut Pace<'_>,
    ) -> Result<(), PurgeError> {
        for item in plan.due() {
            let gone = if pace.is_over() { Ok(None) } else { self.let_one_go(stores, order, item, purged.at, pace) };
            match gone {
                Ok(Some(gone)) => {
                    tracing::info!(day = %gone.day, what = ?gone.what, octets = gone.octets, kept = gone.kept, "purged");
                    pace.take(gone.octets);
                    purged.gone.push(gone);
                }
                Ok(None) => {
                    purged.complete = false;
                    break;
                }
                Err(error @ (PurgeError::Store(_) | PurgeError::Busy(_))) => {
                    tracing::error!(%error, day = %item.day, "could not be purged: tried again");
                    purged.faults.push(format!("{}: {error}", name(item)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// `None` where it was told to end before it had begun.
    fn let_one_go(
        &self,
        stores: Stores<'_>,
        order: &Order,
        item: &Item,
        at: Timestamp,
        pace: &mut Pace<'_>,
    ) -> Result<Option<Gone>, PurgeError> {
        let mut standing = self.holds.standing();
        let (held, _going) = loop {
            let Some(held) = self.held(stores, item, &standing, pace)? else { return Ok(None) };
            let going = self.holds.going();
            let now = self.holds.standing();
            if now == standing {
                break (held, going);
            }
            standing = now;
        };
        let what = name(item);
        let at_ms = at.as_millisecond();
        let details = || {
            let holds: Vec<&str> = held.by.iter().map(String::as_str).collect();
            Change::new(at_ms, PURGE, &order.by, &what)
                .with("expired", item.goes_on.to_string())
                .with("months", item.months.to_string())
                .with("profile", item.profile.as_str())
                .with("octets", item.octets.to_string())
                .with("kept", if held.by.is_empty() { String::new() } else { held.numbers.len().to_string() })
                .with("held", holds.join(", "))
        };
        let left = || Remainder { day: item.day, what: item.what.clone(), holds: held.by.iter().cloned().collect() };
        let mut gone = Gone {
            day: item.day,
            what: item.what.clone(),
            octets: 0,
            kept: held.numbers.len() as u64,
            holds: held.by.iter().cloned().collect(),
        };
        if !held.by.is_empty() && held.is_all() {
            changes::record(stores.journal, details().ending("held"))?;
            self.settle(item, Some(left()))?;
            return Ok(Some(gone));
        }
        changes::record(stores.journal, details().ending("begun"))?;
        let under_way = UnderWay { day: item.day, what: item.what.clone() };
        // Another may be noted still: of an item that could not be done, and is noted when it is tried again.
        self.change(|state| state.under_way.replace(under_way.clone()) != Some(under_way))?;
        self.delete(stores, item, &held)?;
        gone.octets = item.octets.saturating_sub(self.octets(item));
        changes::record(stores.journal, details().with("freed", gone.octets.to_string()))?;
        self.settle(item, (!held.by.is_empty()).then(left))?;
        Ok(Some(gone))
    }

    /// What is held of it; `None` where it was told to end.
    fn held(
        &self,
        stores: Stores<'_>,
        item: &Item,
        holds: &[Hold],
        pace: &mut Pace<'_>,
    ) -> Result<Option<Held>, StoreError> {
        let (from_ms, until_ms) = span(item.day);
        let matcher = Matcher::new(holds, stores.register, from_ms, until_ms);
        if matcher.is_empty() {
            return Ok(Some(Held::default()));
        }
        if matches!(item.what, Piece::Aside(_)) || self.is_set_aside(item)? {
            // It cannot be read: all of it may be what is held. The day begun anew in its place has the same keys.
            return Ok(Some(Held { by: matcher.names().into_iter().collect(), ..Held::default() }));
        }
        held::of_day(stores.journal, Day(item.day), &matcher, &mut |octets| pace.take(octets))
    }

    /// Whether a folder of that day was set aside.
    fn is_set_aside(&self, item: &Item) -> Result<bool, StoreError> {
        Ok(aside::list(&self.data.join("journal"))?.iter().any(|(day, _)| day.0 == item.day))
    }

    fn delete(&self, stores: Stores<'_>, item: &Item, held: &Held) -> Result<(), PurgeError> {
        let day = Day(item.day);
        let is_done = match &item.what {
            Piece::Aside(name) => aside::remove(&self.data.join("journal"), name).map(|()| true),
            Piece::Signalling if held.by.is_empty() => stores.journal.drop_signalling(day),
            Piece::Signalling => stores.journal.thin_signalling(day, |id, _| held.numbers.contains(&id.number)),
            Piece::Day if held.by.is_empty() => stores.journal.drop_day(day),
            Piece::Day => stores.journal.extract_day(day, |id, _| held.numbers.contains(&id.number)),
        };
        if is_done? { Ok(()) } else { Err(PurgeError::Busy(name(item))) }
    }

    fn octets(&self, item: &Item) -> u64 {
        let folder = self.data.join("journal");
        match &item.what {
            Piece::Aside(name) => aside::octets(&folder.join(name)),
            Piece::Day | Piece::Signalling => aside::octets(&folder.join(Day(item.day).to_string())),
        }
    }

    /// It is done, and this is left of it.
    fn settle(&self, item: &Item, left: Option<Remainder>) -> Result<(), StoreError> {
        self.change(|state| {
            state.under_way = None;
            state.remainders.retain(|left| left.day != item.day || left.what != item.what);
            state.remainders.extend(left);
            true
        })
    }

    /// What a process before this one had put on record as begun: where it is gone, its end goes on record as well;
    /// where it is not, it is due and is begun anew.
    fn finish_what_was_begun(&self, stores: Stores<'_>, order: &Order, now: Timestamp) -> Result<(), PurgeError> {
        let Some(UnderWay { day, what }) = lock(&self.state).under_way.clone() else { return Ok(()) };
        let is_there = self.stored(stores.journal)?.iter().any(|stored| stored.day.0 == day && stored.what == what);
        if !is_there {
            let what = piece_name(day, &what);
            let change = Change::new(now.as_millisecond(), PURGE, &order.by, &what);
            changes::record(stores.journal, change.with("after", "a restart"))?;
        }
        self.change(|state| state.under_way.take().is_some())?;
        Ok(())
    }

    /// Lets go of what is known of days and holds that are no more.
    fn tidy(&self, stores: Stores<'_>, plan: &Plan, now: Timestamp) -> Result<(), StoreError> {
        let stored = self.stored(stores.journal)?;
        let oldest = stored.iter().map(|stored| stored.day.0).min().unwrap_or(plan.as_of);
        self.change(|state| {
            let before = state.remainders.len();
            let is_there = |left: &Remainder| stored.iter().any(|s| s.day.0 == left.day && s.what == left.what);
            state.remainders.retain(is_there);
            state.policies.forget_before(oldest) | (state.remainders.len() != before)
        })?;
        let kept = jiff::Span::new().months(self.months.content);
        let before = self.zone.to_datetime(now).checked_sub(kept);
        match before.and_then(|before| self.zone.to_timestamp(before)) {
            Ok(before) => self.holds.forget_lifted(before),
            Err(_) => Ok(()),
        }
    }

    fn remember(&self, purged: &Purged, order: &Order) -> Result<(), StoreError> {
        self.change(|state| {
            let is_done = purged.complete && purged.faults.is_empty();
            if is_done && (purged.doubt.is_none() || order.by == GATE) {
                state.last_run = Some(purged.as_of);
            }
            if purged.doubt.is_none() {
                state.vouched = Some(purged.as_of);
            }
            state.last = Some(purged.clone());
            true
        })
    }
}

fn name(item: &Item) -> String {
    piece_name(item.day, &item.what)
}

/// How the records name it.
fn piece_name(day: Date, what: &Piece) -> String {
    match what {
        Piece::Day => Day(day).to_string(),
        Piece::Signalling => format!("{} signalling", Day(day)),
        Piece::Aside(name) => name.clone(),
    }
}
