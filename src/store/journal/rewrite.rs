//! Days as a whole: sealed when they are over, opened again for what comes late, rid of what has expired.
//!
//! Owns what a day is made of then: it is built aside, and put in place by [`super::swap`]. One day is rewritten at a time.
//! Refuses a day that is being written. Driven by the sealer, by the writer, and by retention.

use std::path::Path;
use std::sync::Arc;

use super::day::DayStore;
use super::days::Days;
use super::group::{Entry, Group, Key};
use super::heads::{Extent, Head, Standing};
use super::layout::{HOT, VERSION_1};
use super::pace::Pace;
use super::seals::{content_key, signalling_key};
use super::swap::remove;
use super::{Day, EntryId, Parts};
use crate::store::StoreError;
use crate::store::engine::{EngineError, TableWriter};

/// Entries that are written together on the way from one folder to another.
const TOGETHER: usize = 512;

/// Octets of them.
const TOGETHER_BYTES: usize = 256 << 10;

/// What a head is to say of a day.
#[derive(Debug)]
pub(super) struct Said {
    layout: u8,
    standing: Standing,
    signalling_expired: bool,
    extent: Extent,
}

impl Said {
    /// Whether a head says the same.
    pub(super) fn is(&self, head: &Head) -> bool {
        let of_head = (head.standing, head.signalling_expired, head.extent.as_ref());
        (self.standing, self.signalling_expired, Some(&self.extent)) == of_head
    }
}

impl Days {
    /// Finishes a day that is over: all in one table, and a head signed. `false` where it is being written,
    /// is of layout 1, or is not there.
    pub(super) fn seal_day(&self, day: Day) -> Result<bool, StoreError> {
        let _alone = self.alone();
        self.seal_alone(day)
    }

    pub(super) fn seal_alone(&self, day: Day) -> Result<bool, StoreError> {
        if self.open().is_written(day) {
            return Ok(false);
        }
        self.finish_one(day)?;
        let Some(store) = self.reader(day)?.filter(|store| store.layout != VERSION_1) else { return Ok(false) };
        self.vouch(&store)?;
        if store.is_table() {
            return self.sign(&store, &[]).map(|()| true);
        }
        let seen = store.seal()?;
        store.right_index()?;
        self.build_table(day, &mut |table| copy(&store, table, &[HOT], &mut Pace::at_once(self)))?;
        self.put_in_place(day, store, seen, &[])
    }

    /// Signs what there is of a day, some of whose keys are about to be forgotten.
    pub(super) fn sign(&self, store: &DayStore, forget: &[String]) -> Result<(), StoreError> {
        self.note(store.day, self.said(store, forget)?)
    }

    /// What a head says of a day, some of whose keys are about to be forgotten. Reads all of its index.
    pub(super) fn said(&self, store: &DayStore, forget: &[String]) -> Result<Said, StoreError> {
        let standing = if store.generation() == 0 { Standing::Sealed } else { Standing::Held };
        let has_signalling = store.seals.as_ref().is_some_and(|seals| seals.has_signalling());
        let signalling_expired = !has_signalling || forget.contains(&signalling_key(store.day, store.generation()));
        Ok(Said { layout: store.layout, standing, signalling_expired, extent: store.extent()? })
    }

    pub(super) fn note(&self, day: Day, said: Said) -> Result<(), StoreError> {
        self.heads.note(day, said.layout, said.standing, said.signalling_expired, Some(said.extent))
    }

    /// Makes a day one that can be written to: a table is no more than read, and so is layout 1. What can be
    /// written to already waits for nobody.
    pub(super) fn make_writable(&self, day: Day) -> Result<(), StoreError> {
        self.finish_one(day)?;
        let needs_work = |store: &DayStore| store.is_table() || store.layout == VERSION_1;
        let open = || self.reader_with(day, self.cache());
        if open()?.is_none_or(|store| !needs_work(&store)) {
            return Ok(());
        }
        let waiting = self.waiting.wait();
        let _alone = self.alone();
        drop(waiting);
        match open()?.filter(|store| needs_work(store)) {
            Some(store) if store.is_table() => self.unseal(store),
            Some(store) => {
                tracing::warn!(day = %day, "the day is rewritten in the journal's present layout");
                self.convert(store)
            }
            None => Ok(()),
        }
    }

    fn unseal(&self, store: Arc<DayStore>) -> Result<(), StoreError> {
        self.vouch(&store)?;
        let (day, seen) = (store.day, store.reach());
        let dir = self.begin_building(day)?;
        let failed = |e: EngineError| StoreError::engine(&dir, &e);
        let engine = self.engines().open(&dir, self.cache(), true).map_err(failed)?;
        let mut put = Ok(());
        let copied = store.engine.scan(&[], &[u8::MAX], &mut |key, value| {
            put = engine.put(key, value);
            put.is_ok()
        });
        copied.map_err(|e| store.failed(&e)).and(put.and_then(|()| engine.sync()).map_err(failed))?;
        drop(engine);
        self.put_in_place(day, store, seen, &[]).map(drop)
    }

    /// From layout 1 to the present one.
    fn convert(&self, store: Arc<DayStore>) -> Result<(), StoreError> {
        let (day, seen) = (store.day, store.reach());
        let dir = self.begin_building(day)?;
        let fresh = self.begun(day, &dir, 0)?;
        Copying::new(&fresh).all(&store, &mut |_, _| true)?;
        drop(fresh);
        self.put_in_place(day, store, seen, &[]).map(drop)
    }

    /// A day that is begun in a folder aside, sealed with keys of that generation.
    fn begun(&self, day: Day, dir: &Path, generation: u8) -> Result<DayStore, StoreError> {
        let engine = self.engines().open(dir, self.cache(), true).map_err(|e| StoreError::engine(dir, &e))?;
        DayStore::open(day, dir.to_owned(), engine, self.schema_shared(), (&self.keys, generation))
    }

    /// Rids a day of every entry but those that `keep` wants: they stay under their numbers, sealed with
    /// keys of their own; what opened the others is forgotten. `false` where it is being written, is not
    /// there, or all of it is kept. Cut short, it is done when it is asked for again.
    pub(super) fn extract_day(
        &self,
        day: Day,
        keep: &mut dyn FnMut(EntryId, &Parts) -> bool,
    ) -> Result<bool, StoreError> {
        let _alone = self.alone();
        if self.open().is_written(day) {
            return Ok(false);
        }
        self.seal_alone(day)?;
        let Some(store) = self.reader(day)? else { return Ok(false) };
        let seen = store.reach();
        let mut pace = Pace::of(self);
        let (mut kept, mut others) = (Vec::new(), false);
        store.each_entry(&mut |number, parts| {
            pace.take(parts.content.len());
            if keep(EntryId { day, number }, &parts) {
                kept.push(number);
            } else {
                others = true;
            }
            Ok(())
        })?;
        if !others {
            return Ok(false);
        }
        if kept.is_empty() {
            drop(store);
            return self.drop_alone(day);
        }
        let generation =
            store.generation().checked_add(1).ok_or(StoreError::Limit { what: "extractions of a day", limit: 255 })?;
        let scratch = self.aside(day, "scratch");
        remove(&scratch)?;
        let fresh = self.begun(day, &scratch, generation)?;
        Copying::new(&fresh).all(&store, &mut |number, parts| {
            pace.take(parts.content.len());
            kept.binary_search(&number).is_ok()
        })?;
        self.build_table(day, &mut |table| copy(&fresh, table, &[HOT], &mut pace))?;
        drop(fresh);
        remove(&scratch)?;
        let mut forget = self.signalling_keys(day)?;
        forget.retain(|name| *name != signalling_key(day, generation));
        forget.push(content_key(day, store.generation()));
        self.put_in_place(day, store, seen, &forget)
    }
}

/// Copies a day's rows, but for those with these tags.
pub(super) fn copy(
    store: &DayStore,
    table: &mut TableWriter,
    without: &[u8],
    pace: &mut Pace<'_>,
) -> Result<(), StoreError> {
    let mut pushed = Ok(());
    let scanned = store.engine.scan(&[], &[u8::MAX], &mut |key, value| {
        pace.take(key.len() + value.len());
        if !key.first().is_some_and(|tag| without.contains(tag)) {
            pushed = table.push(key, value);
        }
        pushed.is_ok()
    });
    scanned.and(pushed).map_err(|e| store.failed(&e))
}

/// Entries on their way into another day.
struct Copying<'d> {
    into: &'d DayStore,
    group: Group,
    keys: Vec<Key>,
}

impl<'d> Copying<'d> {
    fn new(into: &'d DayStore) -> Self {
        Self { into, group: Group::default(), keys: Vec::new() }
    }

    /// Copies the entries that are wanted, and finishes the day they come to.
    fn all(mut self, from: &DayStore, wanted: &mut dyn FnMut(u64, &Parts) -> bool) -> Result<(), StoreError> {
        from.each_entry(&mut |number, parts| if wanted(number, &parts) { self.take(number, &parts) } else { Ok(()) })?;
        self.write()?;
        self.into.seal().map(drop)
    }

    fn take(&mut self, number: u64, parts: &Parts) -> Result<(), StoreError> {
        let schema = &*self.into.schema;
        self.keys.clear();
        Key::read_all(schema, &parts.content, &mut self.keys);
        self.group.push(Entry {
            id: EntryId { day: self.into.day, number },
            at_ms: schema.at_ms(&parts.content),
            content: &parts.content,
            signalling: parts.signalling.as_deref().unwrap_or_default(),
            keys: &self.keys,
        });
        if self.group.len() >= TOGETHER || self.group.bytes() >= TOGETHER_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.into.write(self.group.entries())?;
        self.group.clear();
        Ok(())
    }
}

impl DayStore {
    /// Shows every entry, in order.
    pub(super) fn each_entry(
        &self,
        see: &mut dyn FnMut(u64, Parts) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.each_block(&mut |raw| {
            let (block, signalling) = (self.opened(raw)?, self.signalling(raw)?);
            (raw.first..raw.first + block.len()).try_for_each(|number| {
                let content = block.get(number).unwrap_or_default().to_vec();
                see(number, Parts { content, signalling: self.signalling_in(signalling.as_ref(), number) })
            })
        })?;
        let pending: Vec<_> =
            self.tail().pending.entries().map(|entry| (entry.id.number, Parts::from(&entry))).collect();
        pending.into_iter().try_for_each(|(number, parts)| see(number, parts))
    }
}
