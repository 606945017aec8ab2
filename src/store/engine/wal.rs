//! What was changed since the database was last flushed, in a file whose sync is cheap.
//!
//! Owns the frames: each holds the changes between two syncs, numbered without a gap, so that opening
//! tells which of them the database has not got. Written over again from the start once the database
//! is flushed, so that a sync touches no metadata. Refuses to know what rows mean. Driven by the
//! engine, because sled's own flush wakes all its threads each time.
//!
//! | octets | of a frame |
//! |---|---|
//! | 4 | length of the changes |
//! | 4 | CRC-32 of what follows |
//! | 8 | number |
//! | … | changes: length of the key (1), of the value (2; 0xFFFF where the row is removed), key, value |
//!
//! All little-endian. A frame that is cut short, of another sum or of another number than the next
//! one is where the file ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Octets of the file. Few, because sled writes over segments (512 KiB) that it has copied elsewhere,
/// and writes some octets for each that is changed: the database is flushed, and its file synced, more
/// than once while it fills one.
const ROOM: usize = 64 << 10;

/// Longest frame; more changes at once are not worth writing twice.
const LONGEST: usize = 32 << 10;

const HEADER: usize = 16;

/// The length of a value that is none.
const REMOVED: u16 = u16::MAX;

/// Makes a change again; without a value, the row is removed.
type Redo<'r> = dyn FnMut(&[u8], Option<&[u8]>) -> io::Result<()> + 'r;

/// A frame that was read.
struct Frame<'f> {
    number: u64,
    changes: &'f [u8],
}

/// The file, and the frame that is being gathered.
#[derive(Debug)]
pub(super) struct Wal {
    path: PathBuf,
    file: Option<Arc<File>>,
    /// Where the next frame is written.
    at: usize,
    /// Its number.
    next: u64,
    frame: Vec<u8>,
    is_too_long: bool,
}

/// What a file had to say when it was opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Nothing that the database lacks.
    Nothing,
    /// Changes after the one the database has last; all of them were shown.
    Changes,
    /// Later changes, but not the next ones: what is between is lost.
    Gap,
}

impl Wal {
    /// Reads the file at `path`, and shows every change after frame `since` in order.
    pub(super) fn open(path: PathBuf, since: u64, redo: &mut Redo<'_>) -> io::Result<(Self, Read)> {
        let octets = match std::fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let (mut last, mut read) = (since, Read::Nothing);
        for frame in frames(&octets).filter(|frame| frame.number > since) {
            if frame.number != last + 1 {
                read = Read::Gap;
                break;
            }
            each_change(frame.changes, redo)?;
            (last, read) = (frame.number, Read::Changes);
        }
        let wal = Self { path, file: None, at: 0, next: last + 1, frame: vec![0; HEADER], is_too_long: false };
        Ok((wal, read))
    }

    /// The number that the changes gathered now will have.
    pub(super) fn number(&self) -> u64 {
        self.next
    }

    /// Gathers a change.
    pub(super) fn note(&mut self, key: &[u8], value: Option<&[u8]>) {
        let octets = 3 + key.len() + value.map_or(0, <[u8]>::len);
        let (Ok(key_length), Ok(value_length)) =
            (u8::try_from(key.len()), value.map_or(Ok(REMOVED), |value| u16::try_from(value.len())))
        else {
            self.is_too_long = true;
            return;
        };
        if self.is_too_long || self.frame.len() + octets > LONGEST {
            self.is_too_long = true;
            return;
        }
        self.frame.push(key_length);
        self.frame.extend_from_slice(&value_length.to_le_bytes());
        self.frame.extend_from_slice(key);
        self.frame.extend_from_slice(value.unwrap_or_default());
    }

    /// Whether nothing was gathered.
    pub(super) fn is_empty(&self) -> bool {
        self.frame.len() == HEADER && !self.is_too_long
    }

    /// Whether what was gathered fits; if not, the database has to be flushed instead.
    pub(super) fn has_room(&self) -> bool {
        !self.is_too_long && self.at + self.frame.len() <= ROOM
    }

    /// The file to be synced, where something was written.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        self.file.clone()
    }

    /// Writes the frame; it is on disk once the file is synced.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(self.file.insert(Arc::new(create(&self.path)?))),
        };
        let length = u32::try_from(self.frame.len() - HEADER).map_err(io::Error::other)?;
        self.frame[8..HEADER].copy_from_slice(&self.next.to_le_bytes());
        let sum = crc32fast::hash(&self.frame[8..]);
        self.frame[..4].copy_from_slice(&length.to_le_bytes());
        self.frame[4..8].copy_from_slice(&sum.to_le_bytes());
        file.write_all_at(&self.frame, self.at as u64)?;
        self.at += self.frame.len();
        self.begin_next();
        Ok(())
    }

    /// The database has everything, on disk: the file is written over from its start.
    pub(super) fn restart(&mut self) {
        self.at = 0;
        self.begin_next();
    }

    /// The database has everything, on disk, and is closed.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.file = None;
        match std::fs::remove_file(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn begin_next(&mut self) {
        self.next += 1;
        self.frame.truncate(HEADER);
        self.is_too_long = false;
    }
}

/// A file of full length, so that no later write makes it longer.
fn create(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(&vec![0; ROOM])?;
    file.sync_all()?;
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(file)
}

/// The frames from the start on, each with the number after the one before.
fn frames(octets: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let (mut left, mut expected) = (octets, None);
    std::iter::from_fn(move || {
        let (frame, rest) = take_frame(left)?;
        if expected.is_some_and(|expected| frame.number != expected) {
            return None;
        }
        expected = Some(frame.number + 1);
        left = rest;
        Some(frame)
    })
}

fn take_frame(octets: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (length, rest) = octets.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= LONGEST)?;
    let (summed, rest) = rest.split_at_checked(8 + length)?;
    if crc32fast::hash(summed) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (number, changes) = summed.split_first_chunk::<8>()?;
    Some((Frame { number: u64::from_le_bytes(*number), changes }, rest))
}

fn each_change(mut changes: &[u8], redo: &mut Redo<'_>) -> io::Result<()> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "a change that is cut short");
    while let Some((&key_length, rest)) = changes.split_first() {
        let (value_length, rest) = rest.split_first_chunk::<2>().ok_or_else(broken)?;
        let value_length = u16::from_le_bytes(*value_length);
        let (key, rest) = rest.split_at_checked(key_length.into()).ok_or_else(broken)?;
        let octets = if value_length == REMOVED { 0 } else { usize::from(value_length) };
        let (value, rest) = rest.split_at_checked(octets).ok_or_else(broken)?;
        redo(key, (value_length != REMOVED).then_some(value))?;
        changes = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = Vec<(Vec<u8>, Option<Vec<u8>>)>;

    fn read(path: &Path, since: u64) -> (Wal, Read, Seen) {
        let mut seen = Vec::new();
        let (wal, read) = Wal::open(path.to_owned(), since, &mut |key, value| {
            seen.push((key.to_vec(), value.map(<[u8]>::to_vec)));
            Ok(())
        })
        .unwrap();
        (wal, read, seen)
    }

    fn change(n: u8) -> (Vec<u8>, Option<Vec<u8>>) {
        (vec![n, 7], (!n.is_multiple_of(3)).then(|| vec![n; usize::from(n) * 9]))
    }

    fn write(wal: &mut Wal, changes: std::ops::Range<u8>) {
        for (key, value) in changes.map(change) {
            wal.note(&key, value.as_deref());
        }
        assert!(wal.has_room());
        wal.write().unwrap();
    }

    #[test]
    fn what_was_written_is_shown_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wal");
        let (mut wal, nothing, seen) = read(&path, 0);
        assert_eq!((nothing, seen.len(), wal.number()), (Read::Nothing, 0, 1));
        write(&mut wal, 0..5);
        write(&mut wal, 5..9);
        let (wal, changes, seen) = read(&path, 0);
        assert_eq!((changes, wal.number()), (Read::Changes, 3));
        assert_eq!(seen, (0..9).map(change).collect::<Seen>());
        let (wal, changes, seen) = read(&path, 1);
        assert_eq!((changes, wal.number()), (Read::Changes, 3));
        assert_eq!(seen, (5..9).map(change).collect::<Seen>());
        let (wal, nothing, _) = read(&path, 7);
        assert_eq!((nothing, wal.number()), (Read::Nothing, 8));
    }

    #[test]
    fn frames_of_the_round_before_are_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wal");
        let (mut wal, ..) = read(&path, 0);
        for _ in 0..4 {
            write(&mut wal, 1..2);
        }
        wal.restart();
        write(&mut wal, 1..2);
        let (_, changes, seen) = read(&path, 5);
        assert_eq!((changes, seen), (Read::Changes, vec![change(1)]));
    }

    #[test]
    fn what_is_missing_between_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wal");
        let (mut wal, ..) = read(&path, 3);
        write(&mut wal, 1..2);
        assert_eq!(read(&path, 2).1, Read::Gap);
        assert_eq!(read(&path, 3).1, Read::Changes);
    }

    #[test]
    fn a_frame_with_any_octet_changed_is_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wal");
        let (mut wal, ..) = read(&path, 0);
        write(&mut wal, 1..3);
        let second = wal.at;
        write(&mut wal, 3..5);
        let whole = std::fs::read(&path).unwrap();
        for at in second..wal.at {
            let mut octets = whole.clone();
            octets[at] ^= 1;
            std::fs::write(&path, octets).unwrap();
            assert_eq!(read(&path, 0).2, (1..3).map(change).collect::<Seen>(), "octet {at}");
        }
    }

    #[test]
    fn more_than_fits_has_to_be_flushed() {
        let dir = tempfile::tempdir().unwrap();
        let (mut wal, ..) = read(&dir.path().join("wal"), 0);
        let value = vec![1; 7000];
        for _ in 0..LONGEST / 7000 + 1 {
            wal.note(b"key", Some(&value));
        }
        assert!(!wal.has_room() && !wal.is_empty());
        wal.restart();
        assert!(wal.is_empty() && wal.number() == 2);
        let mut frames = 0;
        loop {
            (0..3).for_each(|_| wal.note(b"key", Some(&value)));
            if !wal.has_room() {
                break;
            }
            wal.write().unwrap();
            frames += 1;
        }
        assert_eq!(frames, ROOM / (HEADER + 3 * 7006));
    }
}
