//! A database that does not change any more: its rows in order, in one file.
//!
//! Owns the form of the file, and the check of every octet that is read from it. Cheap to open, takes
//! exactly the room its rows need, and stays readable to whoever has it open when it is replaced. Refuses
//! changes. Driven by the journal, for days that are over.
//!
//! | octets | of the file |
//! |---|---|
//! | 8 | `PCTABLE1` |
//! | … | pages: rows, each length of the key (1), of the value (2), key, value; then CRC-32 (4) of the rows |
//! | … | the index: for each page length of its first key (1), place (8), length (4), first key |
//! | 20 | place of the index (8), its length (8), CRC-32 (4) of the index and of these two |
//!
//! All little-endian.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Engine, EngineError, Fault, Row, VALUE_BYTES};

const MAGIC: &[u8; 8] = b"PCTABLE1";

/// Rows beyond these octets go into the next page.
const PAGE: usize = 16 << 10;

/// Longest page that is read: one that was full but for an octet, and one more row.
const LONGEST: usize = PAGE + VALUE_BYTES + 1024;

const FOOTER: usize = 20;

const SUM: usize = 4;

/// Where a page is.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: u64,
    length: u32,
    /// Where its first key is in the index.
    key: (u32, u8),
}

/// An open table.
#[derive(Debug)]
pub(super) struct Table {
    file: File,
    path: PathBuf,
    keys: Vec<u8>,
    pages: Vec<Place>,
}

/// Opens the table at `path`.
pub fn open_table(path: &Path) -> Result<Arc<dyn Engine>, EngineError> {
    let file = File::open(path).map_err(|e| refused(path, &e))?;
    let length = file.metadata().map_err(|e| refused(path, &e))?.len();
    let table = Table { file, path: path.to_owned(), keys: Vec::new(), pages: Vec::new() };
    table.indexed(length).map(|table| Arc::new(table) as Arc<dyn Engine>)
}

impl Table {
    fn indexed(mut self, length: u64) -> Result<Self, EngineError> {
        let broken = || self.broken("is no table, or cut short");
        if self.read(0, MAGIC.len())? != MAGIC {
            return Err(broken());
        }
        let end = length.checked_sub(FOOTER as u64).ok_or_else(broken)?;
        let footer = self.read(end, FOOTER)?;
        let number = |from: usize| footer[from..].first_chunk().map(|octets| u64::from_le_bytes(*octets));
        let (at, octets) = number(0).zip(number(8)).ok_or_else(broken)?;
        if at.checked_add(octets) != Some(end) {
            return Err(broken());
        }
        let index = self.read(at, usize::try_from(octets).map_err(|_| broken())?)?;
        let mut sum = crc32fast::Hasher::new();
        sum.update(&index);
        sum.update(&footer[..16]);
        if footer[16..] != sum.finalize().to_le_bytes() {
            return Err(broken());
        }
        self.pages = places(&index).ok_or_else(broken)?;
        self.keys = index;
        Ok(self)
    }

    fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, EngineError> {
        let mut octets = vec![0; length];
        match self.file.read_exact_at(&mut octets, at) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(self.broken("is cut short")),
            read => read.map(|()| octets).map_err(|e| refused(&self.path, &e)),
        }
    }

    fn key(&self, place: &Place) -> &[u8] {
        let (from, length) = (place.key.0 as usize, usize::from(place.key.1));
        self.keys.get(from..from + length).unwrap_or_default()
    }

    /// The page that has `key` if any has: the last that does not begin after it.
    fn page_of(&self, key: &[u8]) -> usize {
        self.pages.partition_point(|place| self.key(place) <= key).saturating_sub(1)
    }

    fn page(&self, number: usize) -> Result<Vec<u8>, EngineError> {
        let Some(place) = self.pages.get(number) else { return Ok(Vec::new()) };
        let length = usize::try_from(place.length).ok().filter(|length| (SUM..=LONGEST + SUM).contains(length));
        let mut page = self.read(place.at, length.ok_or_else(|| self.broken("has a page of no known length"))?)?;
        let sum = page.split_off(page.len() - SUM);
        match crc32fast::hash(&page).to_le_bytes() == *sum {
            true => Ok(page),
            false => Err(self.broken(&format!("is damaged in the page at {}", place.at))),
        }
    }

    fn broken(&self, what: &str) -> EngineError {
        EngineError { fault: Fault::Broken, what: format!("{} {what}", self.path.display()) }
    }

    fn changes_nothing(&self) -> EngineError {
        let what = format!("{} is of a day that is over, and takes no changes", self.path.display());
        EngineError { fault: Fault::System, what }
    }
}

impl Engine for Table {
    fn put(&self, _: &[u8], _: &[u8]) -> Result<(), EngineError> {
        Err(self.changes_nothing())
    }

    fn remove(&self, _: &[u8]) -> Result<(), EngineError> {
        Err(self.changes_nothing())
    }

    fn sync(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let page = self.page(self.page_of(key))?;
        Ok(rows(&page).find(|(there, _)| *there == key).map(|(_, value)| value.to_vec()))
    }

    fn first(&self, from: &[u8], until: &[u8]) -> Result<Option<Row>, EngineError> {
        let mut found = None;
        self.scan(from, until, &mut |key, value| {
            found = Some((key.to_vec(), value.to_vec()));
            false
        })?;
        Ok(found)
    }

    fn last(&self, from: &[u8], until: &[u8]) -> Result<Option<Row>, EngineError> {
        for number in (self.page_of(from)..=self.page_of(until)).rev() {
            let page = self.page(number)?;
            let found = rows(&page).filter(|(key, _)| from <= *key && *key < until).last();
            if let Some((key, value)) = found {
                return Ok(Some((key.to_vec(), value.to_vec())));
            }
        }
        Ok(None)
    }

    fn scan(&self, from: &[u8], until: &[u8], see: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), EngineError> {
        for number in self.page_of(from)..self.pages.len() {
            let page = self.page(number)?;
            for (key, value) in rows(&page).filter(|(key, _)| from <= *key) {
                if key >= until || !see(key, value) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Writes a table; it is on disk, and named, when [`TableWriter::finish`] returns.
#[derive(Debug)]
pub struct TableWriter {
    file: BufWriter<File>,
    path: PathBuf,
    at: u64,
    page: Vec<u8>,
    first: Vec<u8>,
    index: Vec<u8>,
}

impl TableWriter {
    /// Begins a file at `path`, in place of whatever is there.
    pub fn create(path: &Path) -> Result<Self, EngineError> {
        let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
        let mut file = BufWriter::with_capacity(256 << 10, file.map_err(|e| refused(path, &e))?);
        file.write_all(MAGIC).map_err(|e| refused(path, &e))?;
        let (page, first, index) = Default::default();
        Ok(Self { file, path: path.to_owned(), at: MAGIC.len() as u64, page, first, index })
    }

    /// The next row: its key is above those before.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let (Ok(key_length), Ok(value_length)) = (u8::try_from(key.len()), u16::try_from(value.len())) else {
            return Err(refused(&self.path, &format!("row of {} and {} octets", key.len(), value.len())));
        };
        if !self.page.is_empty() && self.page.len() + value.len() > PAGE {
            self.end_page()?;
        }
        if self.page.is_empty() {
            self.first = key.to_vec();
        }
        self.page.push(key_length);
        self.page.extend_from_slice(&value_length.to_le_bytes());
        self.page.extend_from_slice(key);
        self.page.extend_from_slice(value);
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), EngineError> {
        let sum = crc32fast::hash(&self.page).to_le_bytes();
        self.page.extend_from_slice(&sum);
        let length = u32::try_from(self.page.len()).map_err(|e| refused(&self.path, &e))?;
        self.index.push(u8::try_from(self.first.len()).map_err(|e| refused(&self.path, &e))?);
        self.index.extend_from_slice(&self.at.to_le_bytes());
        self.index.extend_from_slice(&length.to_le_bytes());
        self.index.extend_from_slice(&self.first);
        self.file.write_all(&self.page).map_err(|e| refused(&self.path, &e))?;
        self.at += u64::from(length);
        self.page.clear();
        Ok(())
    }

    /// Writes what is left; the file is on disk when this returns, its name is not.
    pub fn finish(mut self) -> Result<(), EngineError> {
        if !self.page.is_empty() {
            self.end_page()?;
        }
        let mut footer = [self.at.to_le_bytes(), (self.index.len() as u64).to_le_bytes()].concat();
        let mut sum = crc32fast::Hasher::new();
        sum.update(&self.index);
        sum.update(&footer);
        footer.extend_from_slice(&sum.finalize().to_le_bytes());
        let written = self.file.write_all(&self.index).and_then(|()| self.file.write_all(&footer));
        let synced = written.and_then(|()| self.file.into_inner().map_err(io::Error::from)?.sync_all());
        synced.map_err(|e| refused(&self.path, &e))
    }
}

/// The rows of a page.
fn rows(page: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut left = page;
    std::iter::from_fn(move || {
        let (&[key, low, high], rest) = left.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(key.into())?;
        let (value, rest) = rest.split_at_checked(u16::from_le_bytes([low, high]).into())?;
        left = rest;
        Some((key, value))
    })
}

/// The pages an index names.
fn places(index: &[u8]) -> Option<Vec<Place>> {
    let (mut pages, mut left) = (Vec::new(), index);
    while let Some((&[length, rest_of_head @ ..], rest)) = left.split_first_chunk::<13>() {
        let at = u64::from_le_bytes(*rest_of_head.first_chunk()?);
        let octets = u32::from_le_bytes(*rest_of_head.last_chunk()?);
        let from = u32::try_from(index.len() - rest.len()).ok()?;
        left = rest.get(usize::from(length)..)?;
        pages.push(Place { at, length: octets, key: (from, length) });
    }
    left.is_empty().then_some(pages)
}

fn refused(path: &Path, why: &dyn std::fmt::Display) -> EngineError {
    EngineError { fault: Fault::System, what: format!("{}: {why}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rows = Vec<(Vec<u8>, Vec<u8>)>;

    fn key(n: u32) -> Vec<u8> {
        [&b"K"[..], &n.to_be_bytes()].concat()
    }

    fn made(count: u32) -> Rows {
        (0..count).map(|n| (key(n * 2), vec![n.to_le_bytes()[0]; (n as usize * 37) % VALUE_BYTES])).collect()
    }

    fn written(dir: &Path, rows: &Rows) -> PathBuf {
        let path = dir.join("table");
        let mut table = TableWriter::create(&path).unwrap();
        rows.iter().for_each(|(key, value)| table.push(key, value).unwrap());
        table.finish().unwrap();
        path
    }

    fn scanned(table: &dyn Engine, from: &[u8], until: &[u8]) -> Result<Rows, EngineError> {
        let mut seen = Rows::new();
        table.scan(from, until, &mut |key, value| {
            seen.push((key.to_vec(), value.to_vec()));
            true
        })?;
        Ok(seen)
    }

    #[test]
    fn rows_are_found_as_in_a_sorted_list() {
        let dir = tempfile::tempdir().unwrap();
        for count in [0, 1, 2, 700] {
            let made = made(count);
            let table = open_table(&written(dir.path(), &made)).unwrap();
            for from in (0..1_410).step_by(47) {
                let expected = made.iter().find(|(there, _)| *there == key(from)).map(|(_, value)| value.clone());
                assert_eq!(table.get(&key(from)).unwrap(), expected);
                for until in [from, from + 1, from + 2, from + 9, 1_399, 9_999] {
                    let (low, high) = (key(from), key(until));
                    let between: Rows = made.iter().filter(|(key, _)| low <= *key && *key < high).cloned().collect();
                    assert_eq!(table.first(&low, &high).unwrap().as_ref(), between.first());
                    assert_eq!(table.last(&low, &high).unwrap().as_ref(), between.last());
                    assert!(scanned(&*table, &low, &high).unwrap() == between);
                }
            }
            assert_eq!(table.first(b"", b"L").unwrap().as_ref(), made.first());
            assert_eq!(table.last(b"A", b"Z").unwrap().as_ref(), made.last());
            assert!(table.put(b"K", b"").is_err() && table.remove(b"K").is_err());
        }
    }

    #[test]
    fn no_octet_can_change_unnoticed() {
        let dir = tempfile::tempdir().unwrap();
        let made: Rows = (0..3).map(|n| (key(n), vec![7; 6_000])).chain((3..9).map(|n| (key(n), vec![8; 9]))).collect();
        let path = written(dir.path(), &made);
        let whole = std::fs::read(&path).unwrap();
        // Values are alike: every seventh octet of them does.
        for at in (0..whole.len()).filter(|at| *at < 64 || at % 7 == 0 || at + 500 > whole.len()) {
            let mut octets = whole.clone();
            octets[at] ^= 0x10;
            std::fs::write(&path, octets).unwrap();
            let told = open_table(&path).and_then(|table| scanned(&*table, b"", b"Z"));
            assert!(told.is_err(), "octet {at}");
        }
        for length in (0..whole.len()).step_by(71) {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(open_table(&path).is_err(), "{length} octets");
        }
    }
}
