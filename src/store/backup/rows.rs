//! A file of rows: a database as it was at one moment, whatever its rows mean.
//!
//! Owns the form: a mark, then rows one after the other; a later row of the same key replaces an earlier
//! one, so that a file can be written while the database changes. Refuses a file that is cut short.
//! Driven by the backup (writing) and the restore (reading).
//!
//! | octets | of a row |
//! |---|---|
//! | 1 | length of the key |
//! | 2 | length of the value, little-endian; 0xFFFF: the row is gone |
//! | … | key, value |

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use ring::digest;

use super::super::lock::private_file;
use super::Sha256;

/// How every file of rows begins.
const MARK: &[u8; 8] = b"PCROWS1\n";

/// The length of a value that is none.
const REMOVED: u16 = u16::MAX;

/// A file that is being written, its SHA-256 taken on the way.
pub(super) struct Writer {
    out: BufWriter<File>,
    digest: digest::Context,
    octets: u64,
    rows: u64,
}

/// What a file has come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) sha256: Sha256,
    pub(super) octets: u64,
}

impl Writer {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let out = BufWriter::with_capacity(256 << 10, private_file(path)?);
        let digest = digest::Context::new(&digest::SHA256);
        Ok(Self { out, digest, octets: 0, rows: 0 })
    }

    /// The same for a file of rows.
    pub(super) fn of_rows(path: &Path) -> io::Result<Self> {
        let mut file = Self::create(path)?;
        file.write(MARK)?;
        Ok(file)
    }

    pub(super) fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.digest.update(octets);
        self.octets += octets.len() as u64;
        self.out.write_all(octets)
    }

    /// A row as it is now; without a value, that there is none.
    pub(super) fn row(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        let key_length = u8::try_from(key.len()).map_err(|_| too_long("key"))?;
        let value_length = match value.map(|value| u16::try_from(value.len())) {
            None => REMOVED,
            Some(Ok(length)) if length != REMOVED => length,
            Some(_) => return Err(too_long("value")),
        };
        self.write(&[key_length])?;
        self.write(&value_length.to_le_bytes())?;
        self.write(key)?;
        self.rows += 1;
        self.write(value.unwrap_or_default())
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// On disk when this returns, but for its name.
    pub(super) fn finish(self) -> io::Result<Written> {
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.digest.finish().as_ref());
        Ok(Written { sha256: Sha256(sha256), octets: self.octets })
    }
}

fn too_long(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("a {what} is too long for a file of rows"))
}

/// Sees a row; without a value, that there is none any more.
type See<'s> = dyn FnMut(&[u8], Option<&[u8]>) -> io::Result<()> + 's;

/// Shows every row of a file in the order in which they were written.
pub(super) fn read(path: &Path, see: &mut See<'_>) -> io::Result<()> {
    let mut file = BufReader::with_capacity(256 << 10, File::open(path)?);
    let mut mark = [0; MARK.len()];
    file.read_exact(&mut mark)?;
    if mark != *MARK {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no file of rows"));
    }
    let (mut key, mut value) = (Vec::new(), Vec::new());
    let mut head = [0; 3];
    loop {
        if file.read(&mut head[..1])? == 0 {
            return Ok(());
        }
        file.read_exact(&mut head[1..])?;
        let length = u16::from_le_bytes([head[1], head[2]]);
        fill(&mut file, &mut key, head[0].into())?;
        fill(&mut file, &mut value, if length == REMOVED { 0 } else { length.into() })?;
        see(&key, (length != REMOVED).then_some(&value))?;
    }
}

fn fill(file: &mut impl Read, octets: &mut Vec<u8>, length: usize) -> io::Result<()> {
    octets.resize(length, 0);
    file.read_exact(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = Vec<(Vec<u8>, Option<Vec<u8>>)>;

    fn seen(path: &Path) -> io::Result<Seen> {
        let mut seen = Vec::new();
        read(path, &mut |key, value| {
            seen.push((key.to_vec(), value.map(<[u8]>::to_vec)));
            Ok(())
        })?;
        Ok(seen)
    }

    #[test]
    fn rows_read_back_and_a_file_that_was_cut_short_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let mut file = Writer::of_rows(&path).unwrap();
        let rows: Seen = vec![
            (b"a".to_vec(), Some(Vec::new())),
            (vec![7; 255], Some(vec![1; 7168])),
            (b"a".to_vec(), None),
            (Vec::new(), Some(b"last".to_vec())),
        ];
        rows.iter().for_each(|(key, value)| file.row(key, value.as_deref()).unwrap());
        assert_eq!(file.rows(), 4);
        let written = file.finish().unwrap();
        let octets = std::fs::read(&path).unwrap();
        assert_eq!(
            (written.octets, written.sha256),
            (octets.len() as u64, crate::store::evidence_files::sha256_of(&octets))
        );
        assert_eq!(seen(&path).unwrap(), rows);
        let ends: Vec<usize> = rows
            .iter()
            .scan(MARK.len(), |at, (key, value)| {
                *at += 3 + key.len() + value.as_ref().map_or(0, Vec::len);
                Some(*at)
            })
            .collect();
        for cut in (0..octets.len()).filter(|cut| *cut != MARK.len() && !ends.contains(cut)).step_by(97) {
            std::fs::write(&path, &octets[..cut]).unwrap();
            assert!(seen(&path).is_err(), "cut at {cut}");
        }
        std::fs::write(&path, b"PCROWS2\n").unwrap();
        assert!(seen(&path).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = Writer::of_rows(&folder.path().join("rows")).unwrap();
        assert!(file.row(&[0; 256], None).is_err());
        assert!(file.row(&[0], Some(&[0; 65_535])).is_err());
    }
}
