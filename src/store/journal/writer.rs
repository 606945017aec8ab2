//! The one thread that writes the journal.
//!
//! Owns group commit: all that gathered while the disk was busy becomes durable together. While
//! the store cannot write it keeps what it has, says so, and tries again, opening the day anew.
//! Driven by the front; watched by [`super::eye`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Day;
use super::day::DayStore;
use super::days::Days;
use super::eye::Eye;
use super::front::Front;
use super::group::Group;
use crate::clock;
use crate::store::StoreError;

/// How long after a failure writing is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// Entries that become durable together at most, so that a long spool shows progress.
const SLICE: usize = 8_192;

/// A day that is over and gets no more entries is finished after this time.
const LINGER: Duration = Duration::from_mins(5);

/// How often it is signed how far the day being written has come.
const SIGN: Duration = Duration::from_mins(1);

/// From so many entries in the last group on, more are waited for before the next is written.
const GATHER_FROM: usize = 32;

/// Until so many are there, ...
const GATHER_ENTRIES: usize = 400;

/// ... or none came for so long, ...
const PAUSE: Duration = Duration::from_micros(150);

/// ... or so long at most.
const GATHER: Duration = Duration::from_millis(2);

/// An interval is cut short when so many entries wait.
const INTERVAL_ENTRIES: usize = 16_384;

const PANICKED: StoreError = StoreError::Limit { what: "panics in the writer", limit: 0 };

/// A day that is being written.
struct Writing {
    day: Day,
    store: Arc<DayStore>,
    used: Instant,
}

pub(super) struct Writer {
    front: Arc<Front>,
    days: Arc<Days>,
    eye: Arc<Eye>,
    interval: Option<Duration>,
    open: Vec<Writing>,
    /// When days that are over are next looked for.
    tidy_at: Instant,
    /// When it is next signed how far the days have come, where they have come further.
    sign_at: Option<Instant>,
    /// The first entries are signed for at once.
    has_signed: bool,
    /// The sequence of the last entry that is durable.
    durable: u64,
}

impl Writer {
    pub(super) fn new(front: Arc<Front>, days: Arc<Days>, eye: Arc<Eye>, interval: Option<Duration>) -> Self {
        Self {
            front,
            days,
            eye,
            interval,
            open: Vec::new(),
            tidy_at: clock::monotonic(),
            sign_at: None,
            has_signed: false,
            durable: 0,
        }
    }

    /// Writes until the front is closed and empty.
    pub(super) fn run(mut self, recovered: Option<Arc<DayStore>>) {
        let now = clock::monotonic();
        self.open.extend(recovered.map(|store| Writing { day: store.day, store, used: now }));
        let (mut group, mut before) = (Group::default(), 0);
        loop {
            self.let_gather(before);
            let last = self.front.take(&mut group);
            before = group.len();
            if !group.is_empty() {
                if !self.write_out(&group, last) {
                    return;
                }
                group.clear();
                self.tidy();
                if let Some(interval) = self.interval {
                    self.front.sleep(INTERVAL_ENTRIES, interval);
                }
            } else if self.front.is_closed() {
                return self.sign();
            } else {
                self.front.sleep(1, self.until_signed().min(LINGER));
                self.tidy();
            }
        }
    }

    /// Those just answered append their next entries first: larger groups, less work for each. Where
    /// many come, the disk's time is worth waiting until no more do.
    fn let_gather(&self, before: usize) {
        if before < GATHER_FROM {
            return std::thread::yield_now();
        }
        let end = clock::monotonic() + GATHER;
        let mut gathered = 0;
        loop {
            self.front.sleep(GATHER_ENTRIES, PAUSE);
            let now = self.front.gathered();
            if now == gathered || now >= GATHER_ENTRIES || clock::monotonic() >= end {
                return;
            }
            gathered = now;
        }
    }

    /// Writes a group whose last entry has sequence `last`, however often it takes; `false` if it was given up.
    fn write_out(&mut self, group: &Group, last: u64) -> bool {
        let mut done = 0;
        while done < group.len() {
            let until = group.len().min(done + SLICE);
            self.eye.begin();
            let written = catch_unwind(AssertUnwindSafe(|| self.write(group, done, until)));
            let written = written.unwrap_or(Err(PANICKED));
            let left = (group.len() - until) as u64;
            match written {
                Ok(bytes) => {
                    self.front.settle(until - done, bytes);
                    self.durable = last - left;
                    self.eye.durable(self.durable);
                    let first = if self.has_signed { SIGN } else { Duration::ZERO };
                    self.sign_at.get_or_insert_with(|| clock::monotonic() + first);
                    done = until;
                }
                Err(e) => {
                    self.eye.failed(&e, self.front.sequence());
                    self.give_up_open_days();
                    if self.front.is_closed() {
                        tracing::error!(lost = group.len() - done, error = %e, "closed while the journal cannot write");
                        return false;
                    }
                    self.pause();
                }
            }
        }
        true
    }

    /// Writes a part of a group; gives the octets of its payloads.
    fn write(&mut self, group: &Group, from: usize, until: usize) -> Result<usize, StoreError> {
        let entries = || (from..until).filter_map(|at| group.get(at));
        let mut left = entries().peekable();
        while let Some(day) = left.peek().map(|entry| entry.id.day) {
            let run = std::iter::from_fn(|| left.next_if(|entry| entry.id.day == day));
            self.store(day)?.write(run)?;
        }
        Ok(entries().map(|entry| entry.len()).sum())
    }

    fn store(&mut self, day: Day) -> Result<Arc<DayStore>, StoreError> {
        let now = clock::monotonic();
        self.open.retain(|open| !open.store.is_gone());
        if let Some(open) = self.open.iter_mut().find(|open| open.day == day) {
            open.used = now;
            return Ok(Arc::clone(&open.store));
        }
        let store = self.days.writer(day)?;
        self.open.push(Writing { day, store: Arc::clone(&store), used: now });
        Ok(store)
    }

    /// After an error nothing in memory can be trusted to match the disk: every day is opened anew.
    fn give_up_open_days(&mut self) {
        for open in self.open.drain(..) {
            self.days.release(open.day, true);
        }
    }

    /// Waits before the next try; what is appended meanwhile counts as spooled.
    fn pause(&self) {
        let until = clock::monotonic() + RETRY;
        while clock::monotonic() < until && !self.front.is_closed() {
            self.front.sleep(usize::MAX, RETRY / 20);
            self.eye.spooled(self.front.sequence());
        }
    }

    fn until_signed(&self) -> Duration {
        self.sign_at.map_or(Duration::MAX, |at| at.saturating_duration_since(clock::monotonic()))
    }

    /// Has all entries in the chain, and signs its end. A disk that does not do so is told of as with a commit.
    fn sign(&mut self) {
        if self.sign_at.take().is_none() {
            return;
        }
        self.has_signed = true;
        self.eye.begin();
        let signed = catch_unwind(AssertUnwindSafe(|| self.sign_tips()));
        match signed.unwrap_or(Err(PANICKED)) {
            Ok(()) => self.eye.durable(self.durable),
            Err(e) => {
                self.eye.failed(&e, self.front.sequence());
                self.give_up_open_days();
                self.sign_at = Some(clock::monotonic() + RETRY);
            }
        }
    }

    fn sign_tips(&mut self) -> Result<(), StoreError> {
        let open = self.open.iter().filter(|open| !open.store.is_gone());
        let tips = open.map(|open| Ok((open.day, open.store.chain_up()?))).collect::<Result<Vec<_>, StoreError>>()?;
        if let Err(e) = self.days.heads.sign_tip(&tips) {
            tracing::error!(error = %e, "how far the journal has come could not be signed; its entries are safe");
            self.sign_at = Some(clock::monotonic() + SIGN);
        }
        Ok(())
    }

    /// Lets go of days that are over, so that they can be sealed, and signs how far the others have come.
    fn tidy(&mut self) {
        if self.until_signed().is_zero() {
            self.sign();
        }
        let now = clock::monotonic();
        if now < self.tidy_at {
            return;
        }
        self.tidy_at = now + LINGER / 10;
        let newest = self.open.iter().map(|open| open.day).max();
        let is_over = |day| Some(day) < newest || self.days.is_over(day);
        let over = |open: &mut Writing| now.duration_since(open.used) >= LINGER && is_over(open.day);
        for open in self.open.extract_if(.., over) {
            drop(open.store);
            self.days.release(open.day, false);
        }
    }
}
