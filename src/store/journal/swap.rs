//! Putting a day's folder in the place of another, so that a crash at any moment leaves one of them whole.
//!
//! Owns the names a folder has on its way: `.building` and `.scratch` until it is whole, `.ready` from the
//! moment it is to take the day's place, `.going` what it replaced. What was cut short is finished where
//! it was signed, or undone, at the next start. A list of keys to be forgotten travels with the folder: they go once it is
//! in place. Driven by whoever rewrites a day.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Day;
use super::day::{DayStore, Reach};
use super::days::Days;
use super::rewrite::Said;
use crate::store::StoreError;
use crate::store::engine::TableWriter;
use crate::store::lock::{create_private_dir, sync_dir};

/// The file of a day that is over.
pub(in crate::store) const TABLE: &str = "table";

/// The list of keys that go once the folder is in place.
const FORGET: &str = "forget";

/// How often, and how long each time, readers of the folder that is replaced are waited for.
const TURNS: u32 = 250;
const TURN: Duration = Duration::from_millis(20);

impl Days {
    /// A folder's name on its way.
    pub(super) fn aside(&self, day: Day, ending: &str) -> PathBuf {
        self.dir().join(format!("{day}.{ending}"))
    }

    /// Begins a folder that is to replace the day's.
    pub(super) fn begin_building(&self, day: Day) -> Result<PathBuf, StoreError> {
        let dir = self.aside(day, "building");
        remove(&dir)?;
        create_private_dir(&dir)?;
        Ok(dir)
    }

    /// Builds a day's table aside, from the rows that `fill` pushes.
    pub(super) fn build_table(
        &self,
        day: Day,
        fill: &mut dyn FnMut(&mut TableWriter) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let dir = self.begin_building(day)?;
        let path = dir.join(TABLE);
        let mut table = TableWriter::create(&path).map_err(|e| StoreError::engine(&path, &e))?;
        fill(&mut table)?;
        table.finish().map_err(|e| StoreError::engine(&path, &e))?;
        sync_dir(&dir)
    }

    /// Puts what was built in the place of `source`, which had come to `seen` then, and signs it; these keys
    /// are forgotten. `false`, and what was built is gone, where somebody has written to the day since.
    pub(super) fn put_in_place(
        &self,
        day: Day,
        source: Arc<DayStore>,
        seen: Reach,
        forget: &[String],
    ) -> Result<bool, StoreError> {
        let building = self.aside(day, "building");
        if !forget.is_empty() {
            let path = building.join(FORGET);
            write_list(&path, forget).map_err(|e| StoreError::io(&path, "write the list of keys", e))?;
            sync_dir(&building)?;
        }
        // It reads the whole index: whoever wants any other day does not wait for that.
        let said = match building.join(TABLE).exists() {
            true => Some(self.said(&self.open_at(day, &building)?, forget)?),
            false => None,
        };
        for _ in 0..TURNS {
            let mut open = self.open();
            if open.is_written(day) || source.reach() != seen {
                break;
            }
            // A database has to be closed before another folder has its name; a table may be read on.
            if source.is_table() || open.is_free_of_others(day, &source) {
                open.forget(day);
                drop(source);
                self.swap(day, said)?;
                drop(open);
                return self.finish_forgetting(day).map(|()| true);
            }
            drop(open);
            std::thread::sleep(TURN);
        }
        remove(&building).map(|()| false)
    }

    /// Has what was built take the day's place once what is said of it is signed. Where that cannot be, as on
    /// a full disk, the day is left as it was: ready, what was built would be in everybody's way.
    fn swap(&self, day: Day, said: Option<Said>) -> Result<(), StoreError> {
        rename(&self.aside(day, "building"), &self.aside(day, "ready"))?;
        let signed = sync_dir(self.dir()).and_then(|()| said.map_or(Ok(()), |said| self.note(day, said)));
        match signed {
            Ok(()) => self.exchange(day),
            Err(e) => self.undo_swap(day).and(Err(e)),
        }
    }

    /// Undoes a swap that was not finished: the day in place stays. What was ready is only deleted under a name
    /// from which nobody takes it up half deleted.
    pub(super) fn undo_swap(&self, day: Day) -> Result<(), StoreError> {
        let (ready, building, path) = (self.aside(day, "ready"), self.aside(day, "building"), self.path(day));
        if !ready.exists() {
            return Ok(());
        }
        if !path.exists() {
            return rename(&ready, &path);
        }
        remove(&building)?;
        rename(&ready, &building)?;
        remove(&building)
    }

    /// Finishes what a failure has left half done of a day that nobody writes to.
    pub(super) fn finish_one(&self, day: Day) -> Result<(), StoreError> {
        // Whoever puts a day in place holds this meanwhile: what is ready now was left by a failure.
        let mut open = self.open();
        if !self.aside(day, "ready").exists() {
            return Ok(());
        }
        // What is open of it is the folder that goes.
        open.forget(day);
        self.finish_swap(day)?;
        drop(open);
        self.finish_forgetting(day)
    }

    /// Puts a folder that is ready, where there is one, in the day's place if it is what was signed last of the day.
    /// Any other is one that a crash kept from being signed, or that somebody has put there: the day stays as it was,
    /// and what was to be done to it is done when it is asked for again.
    fn finish_swap(&self, day: Day) -> Result<(), StoreError> {
        let (ready, going, path) = (self.aside(day, "ready"), self.aside(day, "going"), self.path(day));
        if !ready.exists() {
            return Ok(());
        }
        if self.is_signed(day, &ready)? {
            return self.exchange(day);
        }
        tracing::warn!(%day, "a folder that was to take the day's place was not signed, and does not");
        if !path.exists() && going.exists() {
            rename(&going, &path)?;
        }
        self.undo_swap(day)
    }

    fn is_signed(&self, day: Day, ready: &Path) -> Result<bool, StoreError> {
        let Some(known) = self.heads.of(day)? else { return Ok(false) };
        if !ready.join(TABLE).exists() {
            return Ok(false);
        }
        let forget = read_list(&ready.join(FORGET))?;
        match self.open_at(day, ready).and_then(|store| self.said(&store, &forget)) {
            Ok(said) => Ok(said.is(&known.head)),
            Err(StoreError::Damaged { .. } | StoreError::Expired { .. } | StoreError::Key { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn exchange(&self, day: Day) -> Result<(), StoreError> {
        let (ready, going, path) = (self.aside(day, "ready"), self.aside(day, "going"), self.path(day));
        if path.exists() {
            remove(&going)?;
            rename(&path, &going)?;
        }
        rename(&ready, &path)?;
        sync_dir(self.dir())
    }

    /// Forgets the keys that the list of a folder in place names, and deletes the folder that had its place.
    fn finish_forgetting(&self, day: Day) -> Result<(), StoreError> {
        let list = self.path(day).join(FORGET);
        let names = read_list(&list)?;
        for name in names.iter().filter(|name| name.starts_with(&format!("{day}-"))) {
            self.keys.forget(name)?;
        }
        if !names.is_empty() {
            fs::remove_file(&list).map_err(|e| StoreError::io(&list, "delete the list of keys", e))?;
            sync_dir(&self.path(day))?;
        }
        remove(&self.aside(day, "going"))
    }

    /// Finishes, or undoes, what the process before left half done.
    pub(super) fn finish_swaps(&self) -> Result<(), StoreError> {
        for name in self.names()? {
            let Some((day, ending)) = name.split_once('.') else { continue };
            let (Ok(day), path) = (day.parse(), self.dir().join(&name)) else { continue };
            match ending {
                "ready" => self.finish_swap(day)?,
                "building" | "scratch" => remove(&path)?,
                _ => {}
            }
        }
        self.list()?.into_iter().try_for_each(|day| self.finish_forgetting(day))?;
        // Of days that are deleted whole.
        let going = self.names()?.into_iter().filter(|name| name.ends_with(".going"));
        going.map(|name| self.dir().join(name)).try_for_each(|path| remove(&path))
    }
}

fn write_list(path: &Path, names: &[String]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    names.iter().try_for_each(|name| writeln!(file, "{name}"))?;
    file.sync_all()
}

/// The names on a list; none where there is no list.
fn read_list(path: &Path) -> Result<Vec<String>, StoreError> {
    match fs::read_to_string(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(StoreError::io(path, "read the list of keys", e)),
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|e| StoreError::io(from, "rename the day", e))
}

/// Deletes a folder; one that is not there is none the worse.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|e| StoreError::io(path, "delete the day", e)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::group::Entry;
    use super::super::layout::HOT;
    use super::super::pace::Pace;
    use super::super::plain::Plain;
    use super::super::rewrite::copy;
    use super::super::{EntryId, JournalOptions};
    use super::*;
    use crate::store::lock::Lock;

    /// Writes an entry, and gives the day up as after an error.
    fn write(days: &Days, day: Day, number: u64) {
        let entry = Entry { id: EntryId { day, number }, at_ms: 0, content: b"content", signalling: b"", keys: &[] };
        days.writer(day).unwrap().write(std::iter::once(entry)).unwrap();
        days.release(day, true);
    }

    #[test]
    fn an_entry_that_came_while_the_table_was_built_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let days = Days::new(&path, Lock::take(&path).unwrap(), Arc::new(Plain), &JournalOptions::default()).unwrap();
        let day = Day(jiff::civil::date(2026, 11, 17));
        write(&days, day, 0);
        let store = days.reader(day).unwrap().unwrap();
        let seen = store.seal().unwrap();
        let build = || days.build_table(day, &mut |table| copy(&store, table, &[HOT], &mut Pace::at_once(&days)));
        build().unwrap();
        // In a row that moves no chain.
        let tip = store.tip();
        write(&days, day, 1);
        assert_eq!(store.tip(), tip);
        assert!(!days.put_in_place(day, store, seen, &[]).unwrap());
        let store = days.reader(day).unwrap().unwrap();
        assert_eq!(store.get(1).unwrap().unwrap().content, b"content");
        drop(store);
        assert!(days.seal_day(day).unwrap());
        let store = days.reader(day).unwrap().unwrap();
        assert!(store.is_table());
        assert_eq!(store.get(1).unwrap().unwrap().content, b"content");
    }
}
